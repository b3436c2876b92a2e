package proof

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/kept-dev/kept/internal/core/identity"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/httpx/respond"
	"github.com/kept-dev/kept/internal/ui"
)

type proveView struct {
	Email    string
	Next     string
	Passkey  bool
	Password *ui.Form
	Code     *ui.Form
	Send     *ui.Form // mails a code
	MailCode *ui.Form // takes it
}

// safeNext is where to go after a proof: a path on this server, and not the page that asks for proofs. Empty is the front
// page.
func safeNext(next string) string {
	if next = httpx.SafeNext(next); next == "/" || next == pathProve || strings.HasPrefix(next, pathProve+"/") || strings.HasPrefix(next, pathProve+"?") {
		return ""
	}
	return next
}

func (m *Module) proveView(r *http.Request, next, flow string) (v proveView, err error) {
	by := httpx.ActorOf(r.Context())
	has, err := m.meansOf(r.Context(), by.AccountID)
	if err != nil {
		return v, err
	}
	v = proveView{Email: by.Email, Next: next, Passkey: has.Passkey}
	if has.Password {
		v.Password = &ui.Form{Action: pathProve + "/password", ID: "password", Submit: "Confirm", Hidden: hidden("username", by.Email, "next", next), Fields: []ui.Field{
			{Name: "password", Label: "Password", Kind: "password", Autocomplete: "current-password", Required: true, Autofocus: !has.Passkey}}}
		if has.Code {
			v.Password.Fields = append(v.Password.Fields, codeField("Code of your authenticator app", ""))
		}
	}
	if has.Code && !has.Password {
		v.Code = &ui.Form{Action: pathProve + "/code", ID: "code", Submit: "Confirm", Hidden: hidden("next", next), Fields: []ui.Field{
			codeField("Code of your authenticator app", "")}}
	}
	if has.Mail() {
		v.mail(next, flow)
	}
	return v, nil
}

func (v *proveView) mail(next, flow string) {
	v.Send = &ui.Form{Action: pathProve + "/mail", ID: "mail", Submit: "Mail me a code", Hidden: hidden("next", next)}
	if flow == "" {
		return
	}
	v.Send.Submit = "Mail another code"
	v.MailCode = &ui.Form{Action: pathProve + "/mail-code", ID: "mail-code", Submit: "Confirm", Hidden: hidden("next", next, "flow", flow), Fields: []ui.Field{
		codeField("Code of the mail", "Eight digits. It works for ten minutes.")}}
	v.MailCode.Fields[0].Autofocus = true
}

func (m *Module) renderProve(w http.ResponseWriter, r *http.Request, status int, v proveView) error {
	return m.pages.Render(w, r, status, "prove", ui.Page{Title: "Confirm that it is you", Shape: ui.ShapeCenter, Body: v,
		Lead: "This step asks again who you are. You are signed in as " + v.Email + "."})
}

func (m *Module) provePage(w http.ResponseWriter, r *http.Request) error {
	v, err := m.proveView(r, safeNext(r.URL.Query().Get("next")), "")
	if err != nil {
		return err
	}
	return m.renderProve(w, r, http.StatusOK, v)
}

// proved answers one of the forms: on to where the person was going, or the page again with what was wrong.
func (m *Module) proved(w http.ResponseWriter, r *http.Request, s identity.Session, err error, pick func(*proveView) *ui.Form) error {
	next, flow := safeNext(r.PostForm.Get("next")), r.PostForm.Get("flow")
	if err == nil {
		return m.d.Identity.Give(w, r, s, next)
	}
	v, verr := m.proveView(r, next, flow)
	if verr != nil {
		return verr
	}
	form := pick(&v)
	if form == nil { // what the account has no longer, or never had
		return respond.SeeOther(w, r, proveHref(next))
	}
	changed, status, ok := refused(w, *form, err)
	if !ok {
		return m.gone(w, r, err, ui.Link{Label: "Confirm that it is you", Href: proveHref(next)})
	}
	*form = changed
	return m.renderProve(w, r, status, v)
}

func proveHref(next string) string {
	if next == "" {
		return pathProve
	}
	return pathProve + "?next=" + url.QueryEscape(next)
}

func (m *Module) provePassword(w http.ResponseWriter, r *http.Request) error {
	if err := parseForm(r); err != nil {
		return err
	}
	s, err := m.ProveByPassword(r.Context(), httpx.ActorOf(r.Context()), r.PostForm.Get("password"), r.PostForm.Get("code"))
	return m.proved(w, r, s, err, func(v *proveView) *ui.Form { return v.Password })
}

func (m *Module) proveCode(w http.ResponseWriter, r *http.Request) error {
	if err := parseForm(r); err != nil {
		return err
	}
	s, err := m.ProveByCode(r.Context(), httpx.ActorOf(r.Context()), r.PostForm.Get("code"))
	return m.proved(w, r, s, err, func(v *proveView) *ui.Form { return v.Code })
}

func (m *Module) proveMail(w http.ResponseWriter, r *http.Request) error {
	if err := parseForm(r); err != nil {
		return err
	}
	next := safeNext(r.PostForm.Get("next"))
	flow, err := m.SendProofCode(r.Context(), httpx.ActorOf(r.Context()))
	if err != nil {
		return err
	}
	v, err := m.proveView(r, next, flow)
	if err != nil {
		return err
	}
	return m.renderProve(w, r, http.StatusOK, v)
}

func (m *Module) proveMailCode(w http.ResponseWriter, r *http.Request) error {
	if err := parseForm(r); err != nil {
		return err
	}
	s, err := m.ProveByMail(r.Context(), httpx.ActorOf(r.Context()), r.PostForm.Get("flow"), r.PostForm.Get("code"))
	return m.proved(w, r, s, err, func(v *proveView) *ui.Form { return v.MailCode })
}
