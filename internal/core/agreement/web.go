package agreement

import (
	"net/http"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/httpx/respond"
	"github.com/kept-dev/kept/internal/ui"
)

const pathPage = "/w/{ws}/settings/agreement"

func href(ws kernel.WorkspaceID) string { return "/w/" + string(ws) + "/settings/agreement" }

// Routes are the pages; none without a UI.
func (m *Module) Routes() []httpx.Route {
	if m.pages == nil {
		return nil
	}
	return []httpx.Route{
		{Method: "GET", Path: pathPage, Handler: m.page, Access: httpx.Member, Needs: httpx.MayManage, Rate: httpx.RatePage},
		{Method: "POST", Path: pathPage, Handler: m.sign, Access: httpx.Member, Needs: httpx.MayOwn, StepUp: true, Rate: httpx.RateWrite, Audit: "agreement.sign"},
		{Method: "GET", Path: pathPage + "/{id}", Handler: m.signed, Access: httpx.Member, Needs: httpx.MayManage, Rate: httpx.RatePage},
	}
}

// Nav is the entry among the settings.
func (m *Module) Nav() []ui.NavItem {
	return []ui.NavItem{{App: "settings", Group: "Workspace", Label: "Agreement", Href: pathPage, Icon: "shield", Order: 45, Needs: string(httpx.MayManage)}}
}

type view struct {
	Document Document
	Version  string
	Signed   []row
	Form     *ui.Form
	One      *Agreement // the page of a signed one
	Back     string
}

type row struct {
	Agreement
	Href    string
	Current bool
}

func (m *Module) page(w http.ResponseWriter, r *http.Request) error {
	return m.render(w, r, http.StatusOK, form(httpx.ActorOf(r.Context()), m.Current(httpx.ActorOf(r.Context()).Workspace).Version(), Signature{}, nil))
}

func (m *Module) sign(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return kernel.Wrap(err, kernel.Malformed, "The form could not be read.")
	}
	a := httpx.ActorOf(r.Context())
	s := Signature{Name: r.PostForm.Get("name"), Title: r.PostForm.Get("title"), Version: r.PostForm.Get("version")}
	signed, err := m.Sign(r.Context(), a, s)
	switch kernel.CodeOf(err) {
	case kernel.Invalid:
		return m.render(w, r, http.StatusUnprocessableEntity, form(a, s.Version, s, kernel.AsError(err)))
	case kernel.Conflict:
		return m.render(w, r, http.StatusConflict, form(a, m.Current(a.Workspace).Version(), s, kernel.AsError(err)))
	}
	if err != nil {
		return err
	}
	return respond.SeeOther(w, r, href(a.WorkspaceID)+"/"+string(signed.ID))
}

// form is what an owner fills in; nobody else signs.
func form(a httpx.Actor, version string, s Signature, problem *kernel.Error) *ui.Form {
	if a.Role != "owner" {
		return nil
	}
	f := &ui.Form{Action: href(a.WorkspaceID), Submit: "Sign the agreement", Narrow: true, Hidden: []ui.Param{{Name: "version", Value: version}}, Fields: []ui.Field{
		{Name: "name", Label: "Name of the person who signs", Value: s.Name, MaxLength: maxName, Required: true, Autocomplete: "name"},
		{Name: "title", Label: "Function in the organisation", Value: s.Title, MaxLength: maxTitle, Required: true, Autocomplete: "organization-title"},
	}}
	if problem != nil {
		f.Error = problem.Safe
		for i := range f.Fields {
			f.Fields[i].Error = problem.Fields[f.Fields[i].Name]
		}
	}
	return f
}

func (m *Module) render(w http.ResponseWriter, r *http.Request, status int, f *ui.Form) error {
	a := httpx.ActorOf(r.Context())
	v := view{Document: m.Current(a.Workspace), Form: f}
	v.Version = v.Document.Version()
	signed, err := m.Signed(r.Context(), a.WorkspaceID)
	if err != nil {
		return err
	}
	for _, s := range signed {
		v.Signed = append(v.Signed, row{s, href(a.WorkspaceID) + "/" + string(s.ID), s.Version == v.Version})
	}
	return m.pages.Render(w, r, status, "agreement", ui.Page{
		Title: "Data processing agreement", Lead: "What Kept does with personal data for this workspace, as GDPR Art. 28 wants it in writing.", App: "settings", Body: v,
	})
}

func (m *Module) signed(w http.ResponseWriter, r *http.Request) error {
	a := httpx.ActorOf(r.Context())
	id := r.PathValue("id")
	if !kernel.ValidID(id) {
		return kernel.Errorf(kernel.NotFound, "There is no such agreement.")
	}
	one, err := m.Find(r.Context(), a.WorkspaceID, kernel.ID(id))
	if err != nil {
		return err
	}
	return m.pages.Render(w, r, http.StatusOK, "agreement", ui.Page{
		Title: "Signed agreement", App: "settings", Body: view{Document: one.Document, Version: one.Version, One: &one, Back: href(a.WorkspaceID)},
	})
}
