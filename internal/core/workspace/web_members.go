package workspace

import (
	"errors"
	"net/http"
	"net/url"
	"slices"

	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/httpx/respond"
	"github.com/kept-dev/kept/internal/ui"
)

type membersView struct {
	Filters     ui.Filters
	People      []memberRow
	Pager       ui.Pager
	Empty       *ui.Empty
	Manage      bool // sees second factors and invitations, and changes them
	Apps        bool // there is a choice of apps
	Invitations []invitationRow
	Form        *ui.Form
}

type memberRow struct {
	Person
	Self   bool
	Access string // the apps; empty is all
	Factor bool
	Href   string // where the member can be changed; empty: not by this person
}

type invitationRow struct {
	Invitation
	Access  string
	Expired bool
	Href    string // where it can be sent again and revoked; empty: not by this person
}

func (m *Module) membersView(r *http.Request, in Invitation) (v membersView, err error) {
	a := httpx.ActorOf(r.Context())
	v.Manage, v.Apps = Allows(a.Role, httpx.MayManage), len(m.d.Apps) > 1
	here := r.URL
	if r.Method != http.MethodGet { // a form that is shown again is not where the list is
		here = &url.URL{Path: membersHref(a.WorkspaceID)}
	}
	var options []ui.Option
	for _, role := range roles {
		options = append(options, ui.Option{Value: role.Name, Label: role.Name})
	}
	v.Filters = ui.NewFilters(here, "members", ui.Filter{Name: "q", Label: "Name or address", Wide: true},
		ui.Filter{Name: "role", Label: "Role", Kind: "select", Options: options})
	q := here.Query()
	people, next, err := m.FindPeople(r.Context(), a.WorkspaceID, PeopleFilter{Search: q.Get("q"), Role: q.Get("role"), Cursor: q.Get("cursor")})
	if err != nil {
		return v, err
	}
	v.Pager = ui.NewPager(here, "members", next, "")
	if len(people) == 0 {
		v.Empty = &ui.Empty{Icon: "search", Title: "No member matches", Text: "Clear a filter.", Action: &ui.Action{Label: "Clear filters", Href: v.Filters.Clear}}
	}
	for _, p := range people {
		row, err := m.memberRow(r, a, p, v.Manage)
		if err != nil {
			return v, err
		}
		v.People = append(v.People, row)
	}
	if !v.Manage {
		return v, nil
	}
	form := m.inviteForm(a, in)
	v.Form = &form
	v.Invitations, err = m.invitationRows(r, a)
	return v, err
}

func (m *Module) memberRow(r *http.Request, a httpx.Actor, p Person, manage bool) (row memberRow, err error) {
	row = memberRow{Person: p, Self: p.AccountID == a.AccountID, Access: m.appLabels(p.Apps)}
	if !manage {
		return row, nil
	}
	own, _ := roleNamed(a.Role)
	if (authority{role: own}).mayTouch(p.Role) == nil {
		row.Href = memberHref(a.WorkspaceID, p.AccountID)
	}
	row.Factor, err = m.hasFactor(r.Context(), p.AccountID)
	return row, err
}

func (m *Module) invitationRows(r *http.Request, a httpx.Actor) (rows []invitationRow, err error) {
	all, err := m.Invitations(r.Context(), a.WorkspaceID)
	now := m.d.Clock()
	own, _ := roleNamed(a.Role)
	for _, in := range all {
		row := invitationRow{Invitation: in, Access: m.appLabels(in.Apps), Expired: !in.Open(now)}
		if (authority{role: own}).mayTouch(in.Role) == nil {
			row.Href = settingsHref(a.WorkspaceID) + "/invitations/" + string(in.ID)
		}
		rows = append(rows, row)
	}
	return rows, err
}

// accessFields are the role and, where there is a choice, the apps.
func (m *Module) accessFields(roles []Role, role string, apps []string) (fields []ui.Field, hidden []ui.Param) {
	choice := ui.Field{Name: "role", Label: "Role", Kind: "radio", Value: role, Required: true}
	for _, r := range roles {
		choice.Options = append(choice.Options, ui.Option{Value: r.Name, Label: r.Name, Hint: r.About})
	}
	fields = append(fields, choice)
	if len(m.d.Apps) < 2 && apps == nil {
		return fields, []ui.Param{{Name: "apps", Value: "all"}}
	}
	fields = append(fields, ui.Field{Name: "apps", Label: "May open all apps, also later ones", Kind: "checkbox", Value: "all", Checked: apps == nil,
		Hint: "Uncheck this to choose from those below."})
	for _, app := range m.d.Apps {
		fields = append(fields, ui.Field{Name: "app-" + app.Key, Label: "May open " + app.Label, Kind: "checkbox",
			Checked: slices.Contains(apps, app.Key)})
	}
	return fields, nil
}

// readAccess reads what accessFields show. Apps that are off at the moment, which kept has, stay as they are.
func (m *Module) readAccess(r *http.Request, kept []string) (role string, apps []string) {
	role = r.PostForm.Get("role")
	if r.PostForm.Get("apps") == "all" {
		return role, nil
	}
	apps = []string{}
	for _, app := range m.d.Apps {
		if r.PostForm.Has("app-" + app.Key) {
			apps = append(apps, app.Key)
		}
	}
	for _, key := range kept {
		if !slices.Contains(m.appKeys(), key) {
			apps = append(apps, key)
		}
	}
	return role, apps
}

func (m *Module) inviteForm(a httpx.Actor, in Invitation) ui.Form {
	grantable := slices.DeleteFunc(Grantable(a.Role), func(r Role) bool { return r.Name == RoleOwner })
	f := ui.Form{Action: membersHref(a.WorkspaceID) + "/invite", ID: "invite", Narrow: true, Submit: "Invite"}
	email := ui.Field{Name: "email", Label: "E-mail address", Kind: "email", Value: in.Email, Required: true, MaxLength: 254, Autocomplete: "off",
		Hint: "The invitation works for 7 days, and only for an account with this address."}
	if m.d.NoMail {
		email.Hint = "This server sends no mail. Somebody with an account finds the invitation on the page of workspaces."
	}
	fields, hidden := m.accessFields(grantable, in.Role, in.Apps)
	f.Fields, f.Hidden = append([]ui.Field{email}, fields...), hidden
	return f
}

func (m *Module) renderMembers(w http.ResponseWriter, r *http.Request, status int, v membersView, toasts ...ui.Toast) error {
	return m.pages.Render(w, r, status, "members", ui.Page{Title: "Members", App: "settings", Section: membersHref(httpx.ActorOf(r.Context()).WorkspaceID),
		Body: v, Toasts: toasts, Lead: "Who may see and change what in this workspace."})
}

func (m *Module) membersPage(w http.ResponseWriter, r *http.Request) error {
	v, err := m.membersView(r, Invitation{Role: RoleMember})
	if err != nil {
		return err
	}
	return m.renderMembers(w, r, http.StatusOK, v, done(r)...)
}

func (m *Module) invite(w http.ResponseWriter, r *http.Request) error {
	if err := parseForm(r); err != nil {
		return err
	}
	a := httpx.ActorOf(r.Context())
	in := Invitation{Email: r.PostForm.Get("email")}
	in.Role, in.Apps = m.readAccess(r, nil)
	if _, err := m.Invite(r.Context(), audit.ActorOf(a), a.WorkspaceID, in); err != nil {
		return m.inviteAgain(w, r, in, err)
	}
	return respond.SeeOther(w, r, membersHref(a.WorkspaceID)+"?done=invited")
}

func (m *Module) inviteAgain(w http.ResponseWriter, r *http.Request, in Invitation, err error) error {
	v, verr := m.membersView(r, in)
	if verr != nil {
		return verr
	}
	form, status, ok := refused(*v.Form, err)
	if !ok {
		return err
	}
	v.Form = &form
	return m.renderMembers(w, r, status, v)
}

// pathID is a wildcard of the path that names a thing; what cannot be an id names nothing.
func pathID(r *http.Request, name string, missing error) (kernel.ID, error) {
	id := r.PathValue(name)
	if !kernel.ValidID(id) {
		return "", missing
	}
	return kernel.ID(id), nil
}

func errNoSuchInvitation() error {
	return kernel.Errorf(kernel.NotFound, "There is no such invitation (any more).")
}

func (m *Module) resend(w http.ResponseWriter, r *http.Request) error {
	return m.answerInvitation(w, r, "resent", func(a httpx.Actor, id kernel.ID) error {
		_, err := m.Resend(r.Context(), audit.ActorOf(a), a.WorkspaceID, id)
		return err
	})
}

func (m *Module) revoke(w http.ResponseWriter, r *http.Request) error {
	return m.answerInvitation(w, r, "revoked", func(a httpx.Actor, id kernel.ID) error {
		return m.Revoke(r.Context(), audit.ActorOf(a), a.WorkspaceID, id)
	})
}

// answerInvitation does something with the invitation in the path. What people can do something about is said on the page.
func (m *Module) answerInvitation(w http.ResponseWriter, r *http.Request, text string, do func(httpx.Actor, kernel.ID) error) error {
	a := httpx.ActorOf(r.Context())
	id, err := pathID(r, "id", errNoSuchInvitation())
	if err != nil {
		return err
	}
	err = do(a, id)
	var e *kernel.Error
	switch {
	case err == nil:
		return respond.SeeOther(w, r, membersHref(a.WorkspaceID)+"?done="+text)
	case !errors.As(err, &e) || e.Code != kernel.Limited && e.Code != kernel.Conflict:
		return err
	}
	v, verr := m.membersView(r, Invitation{Role: RoleMember})
	if verr != nil {
		return verr
	}
	return m.renderMembers(w, r, respond.Status(e.Code), v, ui.Toast{Tone: ui.ToneBad, Text: e.Safe})
}

type memberView struct {
	Person Person
	Factor bool
	Form   ui.Form
	Remove string
	Offer  string // where the ownership can be offered; empty: not to this member, or not by this person
}

// pathMemberOf is the member in the path, when the person may change that one.
func (m *Module) pathMemberOf(r *http.Request) (Person, error) {
	a := httpx.ActorOf(r.Context())
	id, err := pathID(r, "account", errNoMember())
	if err != nil {
		return Person{}, err
	}
	p, err := m.Person(r.Context(), a.WorkspaceID, id)
	if err != nil {
		return p, err
	}
	own, _ := roleNamed(a.Role)
	return p, authority{role: own}.mayTouch(p.Role)
}

func (m *Module) memberView(a httpx.Actor, p Person, role string, apps []string) memberView {
	href := memberHref(a.WorkspaceID, p.AccountID)
	fields, hidden := m.accessFields(Grantable(a.Role), role, apps)
	v := memberView{Person: p, Remove: href + "/remove", Form: ui.Form{
		Action: href, Narrow: true, Submit: "Save", Fields: fields, Hidden: hidden, Cancel: membersHref(a.WorkspaceID)}}
	if Allows(a.Role, httpx.MayOwn) && p.Role != RoleOwner {
		v.Offer = handOverHref(a.WorkspaceID) + "?to=" + string(p.AccountID)
	}
	return v
}

func (m *Module) renderMember(w http.ResponseWriter, r *http.Request, status int, v memberView) (err error) {
	if v.Factor, err = m.hasFactor(r.Context(), v.Person.AccountID); err != nil {
		return err
	}
	href := membersHref(httpx.ActorOf(r.Context()).WorkspaceID)
	return m.pages.Render(w, r, status, "member", ui.Page{Title: v.Person.DisplayName(), App: "settings", Section: href,
		Crumbs: []ui.Crumb{{Label: "Members", Href: href}}, Body: v})
}

func (m *Module) memberPage(w http.ResponseWriter, r *http.Request) error {
	p, err := m.pathMemberOf(r)
	if err != nil {
		return err
	}
	return m.renderMember(w, r, http.StatusOK, m.memberView(httpx.ActorOf(r.Context()), p, p.Role, p.Apps))
}

func (m *Module) changeMember(w http.ResponseWriter, r *http.Request) error {
	if err := parseForm(r); err != nil {
		return err
	}
	p, err := m.pathMemberOf(r)
	if err != nil {
		return err
	}
	a := httpx.ActorOf(r.Context())
	role, apps := m.readAccess(r, p.Apps)
	if err := m.SetRole(r.Context(), audit.ActorOf(a), a.WorkspaceID, p.AccountID, role, apps); err != nil {
		v := m.memberView(a, p, role, apps)
		form, status, ok := refused(v.Form, err)
		if !ok {
			return err
		}
		v.Form = form
		return m.renderMember(w, r, status, v)
	}
	return respond.SeeOther(w, r, m.afterChange(a, p, role, "member"))
}

// afterChange is where to go after a member was changed: somebody who gave up his own rights may not see the list.
func (m *Module) afterChange(a httpx.Actor, p Person, role, text string) string {
	switch {
	case p.AccountID != a.AccountID || Allows(role, httpx.MayView):
		return membersHref(a.WorkspaceID) + "?done=" + text
	case role == "":
		return pathChooser + "?done=left"
	}
	return settingsHref(a.WorkspaceID)
}

func removeForm(ws kernel.WorkspaceID, p Person) ui.Form {
	href := memberHref(ws, p.AccountID)
	return ui.Form{Action: href + "/remove", Submit: "Remove the member", Danger: true, Cancel: href}
}

func (m *Module) renderRemove(w http.ResponseWriter, r *http.Request, status int, p Person, f ui.Form) error {
	ws := httpx.ActorOf(r.Context()).WorkspaceID
	return m.question(w, r, status, ui.Page{Title: "Remove " + p.DisplayName() + "?", Section: membersHref(ws),
		Crumbs: []ui.Crumb{{Label: "Members", Href: membersHref(ws)}, {Label: p.DisplayName(), Href: memberHref(ws, p.AccountID)}}},
		p.Email+" loses access at once, personal tokens and open invitations included. What this person made stays.", f)
}

func (m *Module) removePage(w http.ResponseWriter, r *http.Request) error {
	p, err := m.pathMemberOf(r)
	if err != nil {
		return err
	}
	return m.renderRemove(w, r, http.StatusOK, p, removeForm(httpx.ActorOf(r.Context()).WorkspaceID, p))
}

func (m *Module) removeMember(w http.ResponseWriter, r *http.Request) error {
	p, err := m.pathMemberOf(r)
	if err != nil {
		return err
	}
	a := httpx.ActorOf(r.Context())
	if err := m.Remove(r.Context(), audit.ActorOf(a), a.WorkspaceID, p.AccountID); err != nil {
		form, status, ok := refused(removeForm(a.WorkspaceID, p), err)
		if !ok {
			return err
		}
		return m.renderRemove(w, r, status, p, form)
	}
	return respond.SeeOther(w, r, m.afterChange(a, p, "", "removed"))
}
