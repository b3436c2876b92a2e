package identity

import (
	"errors"
	"net/http"

	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/httpx/respond"
	"github.com/kept-dev/kept/internal/ui"
)

func (m *Module) ageCard(born, next string) cardPage {
	return cardPage{title: "How old are you?", lead: "This server is for people of a certain age. It asks once.", view: cardView{
		Form: &ui.Form{Action: pathAge, Submit: "Sign in", Hidden: hidden("next", next), Fields: m.birthFields(born)}}}
}

// agePage is for a browser whose cookie is that of a sign-in that waits for the age.
func (m *Module) agePage(w http.ResponseWriter, r *http.Request) error {
	next := localPath(r.URL.Query().Get("next"))
	if !m.waitsForAge(r.Context(), httpx.SessionToken(r)) {
		return respond.SeeOther(w, r, withNext(pathSignIn, next))
	}
	p := m.ageCard("", next)
	return m.card(w, r, http.StatusOK, p.title, p.lead, p.view)
}

func (m *Module) tellAge(w http.ResponseWriter, r *http.Request) error {
	if err := parseForm(r); err != nil {
		return err
	}
	born, next := r.PostForm.Get("born"), localPath(r.PostForm.Get("next"))
	s, err := m.TellAge(r.Context(), httpx.SessionToken(r), born, DeviceOf(r))
	switch {
	case errors.Is(err, errDeadFlow):
		return respond.SeeOther(w, r, withNext(pathSignIn, next))
	case TooYoung(err):
		httpx.ClearSession(w, r)
		return m.turnedAway(w, r)
	case err != nil:
		return m.again(w, r, m.ageCard(born, next), err)
	}
	return m.Give(w, r, s, next)
}

// turnedAway is the page for somebody under the minimum age.
func (m *Module) turnedAway(w http.ResponseWriter, r *http.Request) error {
	return m.card(w, r, http.StatusForbidden, "You are too young for this server", m.tooYoung().Safe, cardView{})
}
