package identity

import (
	"net/http"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/geo"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/httpx/respond"
	"github.com/kept-dev/kept/internal/ui"
)

type loginsView struct {
	Logins      []loginView
	Others      bool
	Attribution geo.Credit
}

type loginView struct {
	Login
	Device  string
	Place   string
	Current bool
}

func (m *Module) loginsPage(w http.ResponseWriter, r *http.Request) error {
	by := httpx.ActorOf(r.Context())
	logins, err := m.Logins(r.Context(), by.AccountID)
	if err != nil {
		return err
	}
	v := loginsView{Others: len(logins) > 1, Attribution: geo.Attribution}
	for _, l := range logins {
		v.Logins = append(v.Logins, loginView{Login: l, Device: l.device(), Place: geo.Name(l.Country), Current: l.ID == by.LoginID})
	}
	return m.pages.Render(w, r, http.StatusOK, "logins", ui.Page{Title: "Logins", App: "settings", Section: pathLogins,
		Lead:   "Where you are signed in. A login ends after 14 days without use, and after 90 days in any case.",
		Toasts: done(r, http.StatusOK), Body: v})
}

func (m *Module) endLogin(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	if !kernel.ValidID(id) {
		return kernel.Errorf(kernel.NotFound, "This login has ended already.")
	}
	if err := m.EndLogin(r.Context(), httpx.ActorOf(r.Context()), kernel.ID(id)); err != nil {
		return err
	}
	return respond.SeeOther(w, r, pathLogins+"?done=login")
}

func (m *Module) endOthers(w http.ResponseWriter, r *http.Request) error {
	if _, err := m.EndOtherLogins(r.Context(), httpx.ActorOf(r.Context())); err != nil {
		return err
	}
	return respond.SeeOther(w, r, pathLogins+"?done=logins")
}

func (m *Module) endEverywhere(w http.ResponseWriter, r *http.Request) error {
	if err := m.EndAllLogins(r.Context(), httpx.ActorOf(r.Context())); err != nil {
		return err
	}
	httpx.ClearSession(w, r)
	w.Header().Set("Clear-Site-Data", `"cache"`)
	return respond.SeeOther(w, r, pathSignIn+"?done=everywhere")
}
