package workspace

import (
	"net/http"

	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/httpx/respond"
	"github.com/kept-dev/kept/internal/ui"
)

type settingsView struct {
	ID       kernel.WorkspaceID
	Name     string
	Role     Role
	Form     *ui.Form // for whoever may rename
	Demand   bool
	Factor   *ui.Form // for owners
	Owner    bool
	Transfer *Transfer // for owners, while one is open
	Href     string
}

func (m *Module) settingsView(r *http.Request) (v settingsView, err error) {
	a := httpx.ActorOf(r.Context())
	ws, err := m.Membership(r.Context(), a.AccountID, a.WorkspaceID)
	if err != nil {
		return v, err
	}
	v = settingsView{ID: ws.ID, Name: ws.Name, Demand: ws.DemandFactor, Owner: Allows(a.Role, httpx.MayOwn), Href: settingsHref(ws.ID)}
	v.Role, _ = roleNamed(a.Role)
	if Allows(a.Role, httpx.MayManage) {
		v.Form = &ui.Form{Action: v.Href, Narrow: true, Submit: "Save", Fields: []ui.Field{
			{Name: "name", Label: "Name", Value: ws.Name, Required: true, MaxLength: maxName}}}
	}
	if !v.Owner {
		return v, nil
	}
	v.Factor = &ui.Form{Action: v.Href + "/security", ID: "security", Narrow: true, Submit: "Save", Fields: []ui.Field{
		{Name: "demand", Label: "Let in only members with a second factor", Kind: "checkbox", Checked: ws.DemandFactor,
			Hint: "A passkey, or an authenticator app beside the password. Who has none is asked to set one up."}}}
	t, open, err := m.TransferOf(r.Context(), ws.ID)
	if open {
		v.Transfer = &t
	}
	return v, err
}

func (m *Module) renderSettings(w http.ResponseWriter, r *http.Request, status int, v settingsView) error {
	page := ui.Page{Title: "Workspace", App: "settings", Body: v}
	if status == http.StatusOK {
		page.Toasts = done(r)
	}
	return m.pages.Render(w, r, status, "settings", page)
}

func (m *Module) settings(w http.ResponseWriter, r *http.Request) error {
	v, err := m.settingsView(r)
	if err != nil {
		return err
	}
	return m.renderSettings(w, r, http.StatusOK, v)
}

func (m *Module) rename(w http.ResponseWriter, r *http.Request) error {
	name, err := readName(r)
	if err != nil {
		return err
	}
	a := httpx.ActorOf(r.Context())
	if err := m.Rename(r.Context(), a, name); err != nil {
		return m.settingsAgain(w, r, err, func(v *settingsView) *ui.Form {
			v.Form.Fields[0].Value = name
			return v.Form
		})
	}
	return respond.SeeOther(w, r, settingsHref(a.WorkspaceID)+"?done=name")
}

// settingsAgain shows the page with what was wrong in one of its forms, which pick finds.
func (m *Module) settingsAgain(w http.ResponseWriter, r *http.Request, err error, pick func(*settingsView) *ui.Form) error {
	v, verr := m.settingsView(r)
	if verr != nil {
		return verr
	}
	form := pick(&v)
	changed, status, ok := refused(*form, err)
	if !ok {
		return err
	}
	*form = changed
	return m.renderSettings(w, r, status, v)
}

func (m *Module) demandFactor(w http.ResponseWriter, r *http.Request) error {
	if err := parseForm(r); err != nil {
		return err
	}
	a := httpx.ActorOf(r.Context())
	demand, text := r.PostForm.Has("demand"), "undemand"
	if demand {
		text = "demanded"
	}
	if err := m.DemandFactor(r.Context(), a, demand); err != nil {
		return m.settingsAgain(w, r, err, func(v *settingsView) *ui.Form { return v.Factor })
	}
	return respond.SeeOther(w, r, settingsHref(a.WorkspaceID)+"?done="+text)
}

// question is a page that asks before something is done.
func (m *Module) question(w http.ResponseWriter, r *http.Request, status int, page ui.Page, text string, f ui.Form) error {
	page.App, page.Body = "settings", ui.Dialog{Text: text, Form: f}
	return m.pages.Render(w, r, status, "question", page)
}

func (m *Module) leavePage(w http.ResponseWriter, r *http.Request) error {
	return m.renderLeave(w, r, http.StatusOK, leaveForm(r))
}

func leaveForm(r *http.Request) ui.Form {
	href := settingsHref(httpx.ActorOf(r.Context()).WorkspaceID)
	return ui.Form{Action: href + "/leave", Submit: "Leave the workspace", Danger: true, Cancel: href}
}

func (m *Module) renderLeave(w http.ResponseWriter, r *http.Request, status int, f ui.Form) error {
	a := httpx.ActorOf(r.Context())
	return m.question(w, r, status, ui.Page{Title: "Leave " + a.Workspace + "?", Section: settingsHref(a.WorkspaceID),
		Crumbs: []ui.Crumb{{Label: "Workspace", Href: settingsHref(a.WorkspaceID)}}},
		"You lose access to everything in it at once, and your personal tokens for it are revoked. To come back you need an invitation.", f)
}

func (m *Module) leave(w http.ResponseWriter, r *http.Request) error {
	a := httpx.ActorOf(r.Context())
	if err := m.Leave(r.Context(), audit.ActorOf(a), a.WorkspaceID); err != nil {
		form, status, ok := refused(leaveForm(r), err)
		if !ok {
			return err
		}
		return m.renderLeave(w, r, status, form)
	}
	return respond.SeeOther(w, r, pathChooser+"?done=left")
}
