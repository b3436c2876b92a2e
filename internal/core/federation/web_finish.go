package federation

import (
	"errors"
	"net/http"

	"github.com/kept-dev/kept/internal/core/identity"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/httpx/respond"
	"github.com/kept-dev/kept/internal/ui"
)

// finishCard is the last step of opening an account with a provider.
func (m *Module) finishCard(in identity.Newcomer) cardView {
	fields := []ui.Field{{Name: "name", Label: "Name", Value: in.Name, Autocomplete: "name", MaxLength: maxName, Hint: "Your team sees it."}}
	if born, ok := m.d.Identity.BirthField(in.Born); ok {
		fields = append(fields, born)
	}
	return cardView{Form: &ui.Form{Action: pathFinish, Submit: "Open the account", Fields: fields}, Links: []ui.Link{{Label: "Sign in another way", Href: "/sign-in"}}}
}

func (m *Module) renderFinish(w http.ResponseWriter, r *http.Request, status int, n newcomer, v cardView) error {
	return m.card(w, r, status, "Open your account", "You sign in with "+m.label(n.Provider)+", as "+n.Person.Email+".", v)
}

func (m *Module) finishPage(w http.ResponseWriter, r *http.Request) error {
	_, n, err := m.peek(r.Context(), flowNew, httpx.SessionToken(r))
	if err != nil {
		return m.notBegun(w, r, err)
	}
	return m.renderFinish(w, r, http.StatusOK, n, m.finishCard(identity.Newcomer{Name: n.Person.Name}))
}

func (m *Module) finishForm(w http.ResponseWriter, r *http.Request) error {
	if err := parseForm(r); err != nil {
		return err
	}
	token := httpx.SessionToken(r)
	_, n, err := m.peek(r.Context(), flowNew, token)
	if err != nil {
		return m.notBegun(w, r, err)
	}
	in := identity.Newcomer{Name: r.PostForm.Get("name"), Born: r.PostForm.Get("born")}
	s, next, err := m.finish(r.Context(), token, in, identity.DeviceOf(r))
	if identity.TooYoung(err) {
		return m.turnAway(w, r, err)
	}
	if err != nil {
		return m.finishAgain(w, r, n, in, err)
	}
	return m.d.Identity.Give(w, r, s, next)
}

// finishAgain shows the form with what was wrong in it.
func (m *Module) finishAgain(w http.ResponseWriter, r *http.Request, n newcomer, in identity.Newcomer, err error) error {
	var e *kernel.Error
	if !errors.As(err, &e) || e.Code != kernel.Invalid && e.Code != kernel.Conflict {
		return m.notBegun(w, r, err)
	}
	v := m.finishCard(in)
	form := v.Form.WithErrors(e.Fields)
	if len(form.Invalid()) == 0 {
		form.Error = e.Safe
	}
	v.Form = &form
	return m.renderFinish(w, r, respond.Status(e.Code), n, v)
}

// turnAway is the page for somebody under the minimum age.
func (m *Module) turnAway(w http.ResponseWriter, r *http.Request, why error) error {
	httpx.ClearSession(w, r)
	return m.card(w, r, http.StatusForbidden, "You are too young for this server", kernel.AsError(why).Safe, cardView{})
}

// notBegun is the page of a flow that is over.
func (m *Module) notBegun(w http.ResponseWriter, r *http.Request, err error) error {
	if kernel.CodeOf(err) != kernel.NotFound {
		return err
	}
	return m.card(w, r, http.StatusNotFound, "This took too long", "", cardView{Text: []string{"It was not begun in this browser, it is too old, or it is done already."},
		Links: []ui.Link{{Label: "Start again", Href: "/sign-in"}}})
}

func parseForm(r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return kernel.Wrap(err, kernel.Malformed, "The form could not be read.")
	}
	return nil
}
