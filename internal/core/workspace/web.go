package workspace

import (
	"context"
	"embed"
	"errors"
	"net/http"

	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/httpx/respond"
	"github.com/kept-dev/kept/internal/ui"
)

//go:embed templates/*.html
var templates embed.FS

// Routes is the module's part of the route table.
func (m *Module) Routes() []httpx.Route {
	return []httpx.Route{
		{Method: "GET", Path: "/{$}", Handler: m.start, Access: httpx.Public, Rate: httpx.RatePage},
		{Method: "GET", Path: "/workspaces", Handler: m.chooser, Access: httpx.SignedIn, Rate: httpx.RatePage},
		{Method: "GET", Path: "/workspaces/new", Handler: m.newPage, Access: httpx.SignedIn, Rate: httpx.RatePage},
		{Method: "POST", Path: "/workspaces", Handler: m.create, Access: httpx.SignedIn, Rate: httpx.RateWrite, Audit: "workspace.create", MaxBody: 64 << 10},
		{Method: "GET", Path: "/w/{ws}", Handler: m.home, Access: httpx.Member, Needs: httpx.MayBelong, Rate: httpx.RatePage},
		{Method: "GET", Path: "/w/{ws}/settings", Handler: m.settings, Access: httpx.Member, Needs: httpx.MayBelong, Rate: httpx.RatePage},
		{Method: "POST", Path: "/w/{ws}/settings", Handler: m.rename, Access: httpx.Member, Needs: httpx.MayManage, Rate: httpx.RateWrite, Audit: "workspace.rename", MaxBody: 64 << 10},
	}
}

// Nav is the module's part of the navigation.
func (m *Module) Nav() []ui.NavItem {
	return []ui.NavItem{
		{App: "settings", Label: "Workspace", Href: "/w/{ws}/settings", Icon: "settings", Order: 20},
	}
}

// Switch lists the links to the other workspaces of a person, for the menu of every page.
func (m *Module) Switch(ctx context.Context, a httpx.Actor) ([]ui.Link, error) {
	if a.AccountID == "" {
		return nil, nil
	}
	all, err := m.Of(ctx, a.AccountID)
	if err != nil {
		return nil, err
	}
	var links []ui.Link
	for _, w := range all {
		if w.ID != a.WorkspaceID {
			links = append(links, ui.Link{Label: w.Name, Href: "/w/" + string(w.ID)})
		}
	}
	return append(links, ui.Link{Label: "New workspace…", Href: "/workspaces/new"}), nil
}

// start sends everybody where they belong.
func (m *Module) start(w http.ResponseWriter, r *http.Request) error {
	a := httpx.ActorOf(r.Context())
	if a.Anonymous() {
		return respond.SeeOther(w, r, "/sign-in")
	}
	all, err := m.Of(r.Context(), a.AccountID)
	if err != nil {
		return err
	}
	switch len(all) {
	case 0:
		return respond.SeeOther(w, r, "/workspaces/new")
	case 1:
		return respond.SeeOther(w, r, m.homeOf(all[0].ID))
	}
	return respond.SeeOther(w, r, "/workspaces")
}

func (m *Module) homeOf(ws kernel.WorkspaceID) string { return "/w/" + string(ws) + "/" + m.d.Home }

func (m *Module) home(w http.ResponseWriter, r *http.Request) error {
	return respond.SeeOther(w, r, m.homeOf(httpx.ActorOf(r.Context()).WorkspaceID))
}

func (m *Module) chooser(w http.ResponseWriter, r *http.Request) error {
	all, err := m.Of(r.Context(), httpx.ActorOf(r.Context()).AccountID)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return respond.SeeOther(w, r, "/workspaces/new")
	}
	return m.pages.Render(w, r, http.StatusOK, "chooser", ui.Page{Title: "Your workspaces", Shape: ui.ShapeCenter, Body: all})
}

func newForm(name string) ui.Form {
	return ui.Form{Action: "/workspaces", Submit: "Make the workspace", Fields: []ui.Field{
		{Name: "name", Label: "Name of the workspace", Value: name, Autocomplete: "organization", Required: true, Autofocus: true,
			MaxLength: maxName, Hint: "Your team, company or project. It can be changed later."},
	}}
}

func (m *Module) newPage(w http.ResponseWriter, r *http.Request) error {
	return m.renderNew(w, r, http.StatusOK, newForm(""))
}

func (m *Module) renderNew(w http.ResponseWriter, r *http.Request, status int, f ui.Form) error {
	return m.pages.Render(w, r, status, "new", ui.Page{Title: "A place for your work", Shape: ui.ShapeCenter, Body: f,
		Lead: "A workspace keeps jobs, keys and people together, apart from everybody else's."})
}

func (m *Module) create(w http.ResponseWriter, r *http.Request) error {
	name, err := readName(r)
	if err != nil {
		return err
	}
	ws, err := m.Create(r.Context(), audit.ActorOf(httpx.ActorOf(r.Context())), name)
	if err != nil {
		form, status, ok := refused(newForm(name), err)
		if !ok {
			return err
		}
		return m.renderNew(w, r, status, form)
	}
	return respond.SeeOther(w, r, m.homeOf(ws.ID))
}

func readName(r *http.Request) (string, error) {
	if err := r.ParseForm(); err != nil {
		return "", kernel.Wrap(err, kernel.Malformed, "The form could not be read.")
	}
	return r.PostForm.Get("name"), nil
}

// refused puts an error into a form. ok is false for errors that are not about what was typed.
func refused(f ui.Form, err error) (_ ui.Form, status int, ok bool) {
	var e *kernel.Error
	if !errors.As(err, &e) || e.Code != kernel.Invalid && e.Code != kernel.Conflict {
		return f, 0, false
	}
	if f = f.WithErrors(e.Fields); len(f.Invalid()) == 0 {
		f.Error = e.Safe
	}
	return f, respond.Status(e.Code), true
}

type settingsView struct {
	ID     kernel.WorkspaceID
	Name   string
	Form   *ui.Form // for owners
	People []Person
}

func (m *Module) settingsView(r *http.Request) (settingsView, error) {
	a := httpx.ActorOf(r.Context())
	people, err := m.People(r.Context(), a.WorkspaceID)
	v := settingsView{ID: a.WorkspaceID, Name: a.Workspace, People: people}
	if a.Role == RoleOwner {
		v.Form = &ui.Form{Action: "/w/" + string(a.WorkspaceID) + "/settings", Narrow: true, Submit: "Save", Fields: []ui.Field{
			{Name: "name", Label: "Name", Value: a.Workspace, Required: true, MaxLength: maxName}}}
	}
	return v, err
}

func (m *Module) renderSettings(w http.ResponseWriter, r *http.Request, status int, v settingsView) error {
	page := ui.Page{Title: "Workspace", App: "settings", Body: v}
	if r.URL.Query().Get("done") == "name" && status == http.StatusOK {
		page.Toasts = []ui.Toast{{Tone: ui.ToneGood, Text: "The name is saved."}}
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
		return m.renameAgain(w, r, name, err)
	}
	return respond.SeeOther(w, r, "/w/"+string(a.WorkspaceID)+"/settings?done=name")
}

func (m *Module) renameAgain(w http.ResponseWriter, r *http.Request, name string, err error) error {
	v, verr := m.settingsView(r)
	if verr != nil {
		return verr
	}
	v.Form.Fields[0].Value = name
	form, status, ok := refused(*v.Form, err)
	if !ok {
		return err
	}
	v.Form = &form
	return m.renderSettings(w, r, status, v)
}
