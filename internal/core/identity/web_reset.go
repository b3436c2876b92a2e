package identity

import (
	"net/http"

	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/httpx/respond"
	"github.com/kept-dev/kept/internal/ui"
)

func resetCard(email string) cardPage {
	return cardPage{title: "Reset your password", lead: "We mail you a link with which you choose a new one.", view: cardView{
		Form:  &ui.Form{Action: pathReset, Submit: "Mail me the link", Fields: []ui.Field{emailField(email, true)}},
		Links: []ui.Link{{Label: "Sign in", Href: pathSignIn}},
	}}
}

func (m *Module) resetPage(w http.ResponseWriter, r *http.Request) error {
	p := resetCard("")
	return m.card(w, r, http.StatusOK, p.title, p.lead, p.view)
}

func (m *Module) reset(w http.ResponseWriter, r *http.Request) error {
	if err := parseForm(r); err != nil {
		return err
	}
	email := r.PostForm.Get("email")
	if err := m.RequestReset(r.Context(), email); err != nil {
		return m.again(w, r, resetCard(email), err)
	}
	return m.sent(w, r, pathReset, email, "")
}

func resetNewCard(secret, email string) cardPage {
	return cardPage{title: "Choose a new password", lead: "Everybody who is signed in as " + email + " is signed out.", view: cardView{
		Form: &ui.Form{Action: pathResetNew, Submit: "Set the password", Hidden: hidden("token", secret), Fields: []ui.Field{
			{Name: "email", Label: "E-mail address", Kind: "email", Value: email, Autocomplete: "username", Required: true, Disabled: true},
			newPasswordField("password", "New password"),
		}},
	}}
}

func (m *Module) resetNewPage(w http.ResponseWriter, r *http.Request) error {
	secret := r.URL.Query().Get("token")
	email, err := m.ResetAddress(r.Context(), secret)
	if err != nil {
		return m.deadLink(w, r, err, ui.Link{Label: "Ask for a new link", Href: pathReset})
	}
	p := resetNewCard(secret, email)
	return m.card(w, r, http.StatusOK, p.title, p.lead, p.view)
}

func (m *Module) resetNew(w http.ResponseWriter, r *http.Request) error {
	if err := parseForm(r); err != nil {
		return err
	}
	secret := r.PostForm.Get("token")
	email, err := m.ResetAddress(r.Context(), secret)
	if err == nil {
		err = m.Reset(r.Context(), secret, r.PostForm.Get("password"))
	}
	if err != nil {
		if derr := m.again(w, r, resetNewCard(secret, email), err); derr == nil {
			return nil
		}
		return m.deadLink(w, r, err, ui.Link{Label: "Ask for a new link", Href: pathReset})
	}
	httpx.ClearSession(w, r)
	return respond.SeeOther(w, r, pathSignIn+"?done=reset")
}
