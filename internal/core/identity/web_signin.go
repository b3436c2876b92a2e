package identity

import (
	"net/http"

	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/httpx/respond"
	"github.com/kept-dev/kept/internal/ui"
)

func (m *Module) signInCard(email, next string) cardPage {
	v := cardView{Form: &ui.Form{Action: pathSignIn, Submit: "Sign in", Hidden: hidden("next", next), Fields: []ui.Field{
		emailField(email, email == ""),
		{Name: "password", Label: "Password", Kind: "password", Autocomplete: "current-password", Required: true, Autofocus: email != ""},
	}}, Offers: m.offers(next)}
	if !m.d.NoMail {
		v.Links = append(v.Links, ui.Link{Label: "Mail me a link to sign in", Href: withNext(pathWithLink, next)}, ui.Link{Label: "Forgot the password?", Href: pathReset})
	}
	if !m.d.ClosedSignUp {
		v.Links = append(v.Links, ui.Link{Label: "Open an account", Href: withNext(pathSignUp, next)})
	}
	if p, ok := m.second.(passkeyTaker); ok && p.PasskeysAvailable() {
		v.Form.Fields[0].Autocomplete = "username webauthn" // browsers then offer passkeys in the field
		v.Passkey = &passkeyButton{Action: pathSignInPasskey, Next: next}
	}
	return cardPage{title: "Sign in", view: v}
}

// passkeyTaker is a sibling that signs people in with passkeys; its script is on the sign-in page.
type passkeyTaker interface{ PasskeysAvailable() bool }

// passkeyButton is what the script needs: where answers go, and where to go then.
type passkeyButton struct{ Action, Next string }

const pathSignInPasskey = "/sign-in/passkey"

func withNext(path, next string) string {
	if next == "" {
		return path
	}
	out, err := ui.WithQuery(path, "next", next)
	if err != nil {
		return path
	}
	return out
}

// signInLeads are what is said after what ended in signing out.
var signInLeads = map[string]string{
	"reset":      "The new password is set. Sign in with it.",
	"everywhere": "You are signed out everywhere.",
}

func (m *Module) signInPage(w http.ResponseWriter, r *http.Request) error {
	next := localPath(r.URL.Query().Get("next"))
	if !httpx.ActorOf(r.Context()).Anonymous() {
		if next == "" {
			next = m.d.Start
		}
		return respond.SeeOther(w, r, next)
	}
	if m.waitsForAge(r.Context(), httpx.SessionToken(r)) {
		return respond.SeeOther(w, r, withNext(pathAge, next))
	}
	p := m.signInCard("", next)
	p.lead = signInLeads[r.URL.Query().Get("done")]
	return m.card(w, r, http.StatusOK, p.title, p.lead, p.view)
}

func (m *Module) signIn(w http.ResponseWriter, r *http.Request) error {
	if err := parseForm(r); err != nil {
		return err
	}
	f := r.PostForm
	next := localPath(f.Get("next"))
	step, err := m.SignIn(r.Context(), SignIn{Email: f.Get("email"), Password: f.Get("password"), Device: DeviceOf(r)})
	if err != nil {
		return m.again(w, r, m.signInCard(f.Get("email"), next), err)
	}
	return m.goOn(w, r, step, next)
}

func (m *Module) signOut(w http.ResponseWriter, r *http.Request) error {
	if token := httpx.SessionToken(r); token != "" {
		if err := m.SignOut(r.Context(), token); err != nil {
			return err
		}
	}
	httpx.ClearSession(w, r)
	w.Header().Set("Clear-Site-Data", `"cache"`)
	return respond.SeeOther(w, r, pathSignIn)
}

func withLinkCard(email, next string) cardPage {
	return cardPage{title: "Sign in by mail", lead: "We mail you a link that signs you in, once.", view: cardView{
		Form:  &ui.Form{Action: pathWithLink, Submit: "Mail me the link", Hidden: hidden("next", next), Fields: []ui.Field{emailField(email, true)}},
		Links: []ui.Link{{Label: "Sign in with a password", Href: withNext(pathSignIn, next)}},
	}}
}

func (m *Module) withLinkPage(w http.ResponseWriter, r *http.Request) error {
	if m.d.NoMail {
		return errNoMail
	}
	p := withLinkCard("", localPath(r.URL.Query().Get("next")))
	return m.card(w, r, http.StatusOK, p.title, p.lead, p.view)
}

func (m *Module) withLink(w http.ResponseWriter, r *http.Request) error {
	if err := parseForm(r); err != nil {
		return err
	}
	email, next := r.PostForm.Get("email"), localPath(r.PostForm.Get("next"))
	if err := m.RequestLink(r.Context(), email, next); err != nil {
		return m.again(w, r, withLinkCard(email, next), err)
	}
	return m.sent(w, r, pathWithLink, email, next)
}

// linkPage asks for a click, because programs that look at links in mails and chats must not use this one up.
func (m *Module) linkPage(w http.ResponseWriter, r *http.Request) error {
	secret := r.URL.Query().Get("token")
	email, err := m.LinkAddress(r.Context(), secret)
	if err != nil {
		return m.deadLink(w, r, err, ui.Link{Label: "Ask for a new link", Href: pathWithLink})
	}
	return m.card(w, r, http.StatusOK, "Sign in", "This link works once, for "+email+".",
		cardView{Form: &ui.Form{Action: pathLink, Submit: "Sign in", Hidden: hidden("token", secret)}})
}

func (m *Module) signInByLink(w http.ResponseWriter, r *http.Request) error {
	if err := parseForm(r); err != nil {
		return err
	}
	step, next, err := m.SignInByLink(r.Context(), r.PostForm.Get("token"), DeviceOf(r))
	if err != nil {
		return m.deadLink(w, r, err, ui.Link{Label: "Ask for a new link", Href: pathWithLink})
	}
	return m.goOn(w, r, step, next)
}

// goOn answers a first factor that was right: the login, or the page that asks for the second.
func (m *Module) goOn(w http.ResponseWriter, r *http.Request, step Step, next string) error {
	if step.Session != nil {
		return m.Give(w, r, *step.Session, next)
	}
	w.Header().Set("Cache-Control", "no-store")
	if asker, ok := m.second.(SecondAsker); ok {
		return asker.AskSecond(w, r, step.Second, next)
	}
	return m.card(w, r, http.StatusOK, "Second step", "Enter the code that your authenticator app shows.", cardView{
		Form: &ui.Form{Action: pathSecond, Submit: "Sign in", Hidden: append(hidden("flow", step.Second), hidden("next", next)...), Fields: []ui.Field{
			{Name: "code", Label: "Code", Autocomplete: "one-time-code", Required: true, Autofocus: true, MaxLength: 40}}},
	})
}
