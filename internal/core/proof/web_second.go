package proof

import (
	"net/http"

	"github.com/kept-dev/kept/internal/core/identity"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/httpx/respond"
	"github.com/kept-dev/kept/internal/ui"
)

type secondView struct {
	Code, Recovery ui.Form
	Open           bool // the form for a recovery code
}

func newSecondView(flow, next string) secondView {
	v := secondView{
		Code: ui.Form{Action: pathSecond, ID: "code", Submit: "Sign in", Hidden: hidden("flow", flow, "next", next), Fields: []ui.Field{
			codeField("Code", "Six digits, from the authenticator app on your phone.")}},
		Recovery: ui.Form{Action: pathSecond, ID: "recovery", Submit: "Sign in with it", Hidden: hidden("flow", flow, "next", next), Fields: []ui.Field{
			{Name: "recovery", Label: "Recovery code", Required: true, Autocomplete: "off", MaxLength: 64, Mono: true,
				Hint: "One of those that you saved when you added the app."}}},
	}
	v.Code.Fields[0].Autofocus = true
	return v
}

func (m *Module) renderSecond(w http.ResponseWriter, r *http.Request, status int, v secondView) error {
	return m.pages.Render(w, r, status, "second", ui.Page{Title: "Enter the code", Shape: ui.ShapeCenter, Body: v,
		Lead: "Your account has a second factor."})
}

// AskSecond answers a request whose first factor was right with the page that asks for the second.
func (m *Module) AskSecond(w http.ResponseWriter, r *http.Request, flow, next string) error {
	return m.renderSecond(w, r, http.StatusOK, newSecondView(flow, httpx.SafeNext(next)))
}

// secondPage has nothing to go on with: the flow is in the page that was answered to the password, not in an address.
func (m *Module) secondPage(w http.ResponseWriter, r *http.Request) error {
	return respond.SeeOther(w, r, pathSignIn)
}

func (m *Module) second(w http.ResponseWriter, r *http.Request) error {
	if err := parseForm(r); err != nil {
		return err
	}
	f := r.PostForm
	next := httpx.SafeNext(f.Get("next"))
	s, err := m.FinishSignIn(r.Context(), f.Get("flow"), Second{Code: f.Get("code"), Recovery: f.Get("recovery")}, identity.DeviceOf(r))
	if err == nil {
		return m.d.Identity.Give(w, r, s, next)
	}
	v := newSecondView(f.Get("flow"), next)
	form := &v.Code
	if v.Open = f.Has("recovery"); v.Open {
		form = &v.Recovery
		v.Code.Fields[0].Autofocus = false
	}
	changed, status, ok := refused(w, *form, err)
	if !ok {
		return m.gone(w, r, err, ui.Link{Label: "Sign in", Href: pathSignIn})
	}
	*form = changed
	return m.renderSecond(w, r, status, v)
}
