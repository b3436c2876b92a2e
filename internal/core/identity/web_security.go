package identity

import (
	"net/http"

	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/httpx/respond"
	"github.com/kept-dev/kept/internal/ui"
)

type securityView struct {
	Cards    []SecurityCard
	Password ui.Form
	HasOne   bool // a password
	Activity []Activity
}

func (m *Module) securityPage(w http.ResponseWriter, r *http.Request) error {
	v, err := m.securityView(r)
	if err != nil {
		return err
	}
	return m.renderSecurity(w, r, http.StatusOK, v)
}

func (m *Module) renderSecurity(w http.ResponseWriter, r *http.Request, status int, v securityView) error {
	return m.pages.Render(w, r, status, "security", ui.Page{Title: "Security", App: "settings", Section: pathSecurity,
		Lead: "How you sign in, and what protects your account.", Toasts: done(r, status), Body: v})
}

func (m *Module) securityView(r *http.Request) (v securityView, err error) {
	a, err := m.Account(r.Context(), httpx.ActorOf(r.Context()).AccountID)
	if err != nil {
		return v, err
	}
	for _, c := range m.carders {
		cards, err := c.SecurityCards(r.Context(), a.ID)
		if err != nil {
			return v, err
		}
		v.Cards = append(v.Cards, cards...)
	}
	if v.Activity, err = m.activity(r.Context(), a.ID); err != nil {
		return v, err
	}
	v.HasOne = a.HasPassword()
	v.Password = ui.Form{Action: pathAccount + "/password", ID: "password", Narrow: true, Submit: "Set a password",
		Fields: []ui.Field{newPasswordField("password", "New password")}}
	if v.HasOne {
		v.Password.Submit = "Change the password"
		v.Password.Fields = append([]ui.Field{currentField("f-password-current")}, v.Password.Fields...)
	}
	return v, nil
}

func (m *Module) changePassword(w http.ResponseWriter, r *http.Request) error {
	if err := parseForm(r); err != nil {
		return err
	}
	f := r.PostForm
	s, err := m.ChangePassword(r.Context(), httpx.ActorOf(r.Context()), f.Get("current"), f.Get("password"), DeviceOf(r))
	if err != nil {
		v, verr := m.securityView(r)
		if verr != nil {
			return verr
		}
		status, ok := refill(w, r, &v.Password, err)
		if !ok {
			return err
		}
		return m.renderSecurity(w, r, status, v)
	}
	m.setSession(w, r, s)
	return respond.SeeOther(w, r, pathSecurity+"?done=password")
}
