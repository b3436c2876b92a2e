package scim

import (
	"embed"
	"net/http"
	"slices"

	"github.com/kept-dev/kept/internal/core/access"
	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/core/workspace"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/httpx/respond"
	"github.com/kept-dev/kept/internal/ui"
)

//go:embed templates/*.html
var templates embed.FS

const pathPage = "/w/{ws}/settings/provisioning"

func (m *Module) pageRoutes() []httpx.Route {
	if m.pages == nil || m.d.Access == nil {
		return nil
	}
	const maxForm = 64 << 10
	return []httpx.Route{
		{Method: "GET", Path: pathPage, Handler: m.page, Access: httpx.Member, Needs: httpx.MayManage, Rate: httpx.RatePage},
		{Method: "POST", Path: pathPage + "/key", Handler: m.makeKey, Access: httpx.Member, Needs: httpx.MayManage, StepUp: true, Rate: httpx.RateWrite, Audit: "api_key.create", MaxBody: maxForm},
		{Method: "POST", Path: pathPage + "/groups/{id}", Handler: m.chooseRole, Access: httpx.Member, Needs: httpx.MayManage, StepUp: true, Rate: httpx.RateWrite, Audit: "scim_group.role", MaxBody: maxForm},
	}
}

// Nav is the module's part of the navigation.
func (m *Module) Nav() []ui.NavItem {
	if m.pages == nil || m.d.Access == nil {
		return nil
	}
	return []ui.NavItem{{App: "settings", Group: "Workspace", Label: "Provisioning", Href: pathPage, Icon: "refresh", Order: 35, Needs: string(httpx.MayManage)}}
}

func pageHref(ws kernel.WorkspaceID) string { return "/w/" + string(ws) + "/settings/provisioning" }

func keyHref(ws kernel.WorkspaceID, id kernel.ID, what string) string {
	return "/w/" + string(ws) + "/settings/api-keys/" + string(id) + "/" + what
}

type keyView struct {
	access.Key
	Rotate, Revoke string
}

type groupView struct {
	Group
	Members int
	Field   ui.Field
	Action  string
}

type userView struct {
	User
	State, Role string
}

type pageView struct {
	BaseURL string
	Keys    []keyView
	MakeKey string
	Groups  []groupView
	Users   []userView
	Pager   ui.Pager
	Empty   *ui.Empty
}

// pageSize is how many users stand on a page.
const pageSize = 100

type position struct {
	Key string `json:"k"`
}

// page shows how to connect a directory, and what it has said so far.
func (m *Module) page(w http.ResponseWriter, r *http.Request) error {
	ws := httpx.ActorOf(r.Context()).WorkspaceID
	v, err := m.pageView(r, ws)
	if err != nil {
		return err
	}
	p := ui.Page{Title: "Provisioning", App: "settings", Body: v,
		Lead: "Your organisation's directory (Okta, Entra ID and others that speak SCIM 2.0) can look after the members of this workspace."}
	if r.URL.Query().Get("done") == "role" {
		p.Toasts = []ui.Toast{{Tone: ui.ToneGood, Text: "The role is saved, and given to the members of the group."}}
	}
	return m.pages.Render(w, r, http.StatusOK, "provisioning", p)
}

func (m *Module) pageView(r *http.Request, ws kernel.WorkspaceID) (v pageView, err error) {
	v = pageView{BaseURL: m.d.BaseURL + base, MakeKey: pageHref(ws) + "/key"}
	if v.Keys, err = m.keysOf(r, ws); err != nil {
		return v, err
	}
	if v.Groups, err = m.groupViews(r, ws); err != nil {
		return v, err
	}
	if err := m.userViews(r, ws, &v); err != nil {
		return v, err
	}
	if len(v.Users) == 0 && len(v.Groups) == 0 {
		v.Empty = &ui.Empty{Icon: "users", Title: "The directory has sent nobody yet",
			Text: "Enter the address and a key in your directory, then assign people to the application there. They are invited, and appear here."}
	}
	return v, nil
}

// keysOf lists the keys for provisioning that work.
func (m *Module) keysOf(r *http.Request, ws kernel.WorkspaceID) ([]keyView, error) {
	all, err := m.d.Access.Keys(r.Context(), ws)
	if err != nil {
		return nil, err
	}
	var out []keyView
	for _, k := range all {
		if slices.Contains(k.Scopes, access.ScopeSCIM) && k.Works(m.d.Clock()) {
			out = append(out, keyView{k, keyHref(ws, k.ID, "rotate"), keyHref(ws, k.ID, "revoke")})
		}
	}
	return out, nil
}

func (m *Module) groupViews(r *http.Request, ws kernel.WorkspaceID) ([]groupView, error) {
	groups, err := groupsOf(r.Context(), m.db, ws)
	if err != nil {
		return nil, err
	}
	members, err := membersOf(r.Context(), m.db, ws)
	if err != nil {
		return nil, err
	}
	options := []ui.Option{{Value: "", Label: "no role of its own"}}
	for _, role := range GroupRoles() {
		options = append(options, ui.Option{Value: role.Name, Label: role.Name})
	}
	out := make([]groupView, len(groups))
	for i, g := range groups {
		out[i] = groupView{Group: g, Members: len(members[g.ID]), Action: pageHref(ws) + "/groups/" + string(g.ID),
			Field: ui.Field{Name: "role", ID: "role-" + string(g.ID), Kind: "select", Label: "Role of " + g.DisplayName, Value: g.Role, Options: options}}
	}
	return out, nil
}

// userViews reads one page of users and what became of them.
func (m *Module) userViews(r *http.Request, ws kernel.WorkspaceID, v *pageView) error {
	ctx := r.Context()
	var after position
	if c := r.URL.Query().Get("cursor"); c != "" {
		if err := kernel.DecodeCursor(c, &after); err != nil {
			return err
		}
	}
	users, err := listUsers(ctx, m.db, `SELECT `+userColumns+` FROM scim_users WHERE workspace_id = $1 AND user_key > $2 ORDER BY user_key LIMIT $3`, ws, after.Key, pageSize+1)
	if err != nil {
		return err
	}
	next := ""
	if len(users) > pageSize {
		users = users[:pageSize]
		next = kernel.EncodeCursor(position{key(users[pageSize-1].UserName)})
	}
	v.Pager = ui.NewPager(r.URL, "scim-users", next, "")
	for _, u := range users {
		view, err := m.userView(r, u)
		if err != nil {
			return err
		}
		v.Users = append(v.Users, view)
	}
	return nil
}

// userView says what became of a user.
func (m *Module) userView(r *http.Request, u User) (v userView, err error) {
	v = userView{User: u, State: "off"}
	if !u.Active {
		return v, nil
	}
	p, found, err := m.member(r.Context(), u)
	if err != nil || found {
		v.State, v.Role = "member", p.Role
		return v, err
	}
	v.State = "not invited"
	in, err := m.d.Workspaces.InvitationTo(r.Context(), u.WorkspaceID, u.Email)
	if err == nil && in.Open(m.d.Clock()) {
		v.State, v.Role = "invited", in.Role
	}
	return v, ignore(err, kernel.NotFound)
}

type keyMadeView struct{ BaseURL, Text, Href string }

// makeKey answers with the page that has the key, instead of sending the browser on to it: so the key is in no address,
// no cookie and no table.
func (m *Module) makeKey(w http.ResponseWriter, r *http.Request) error {
	a := httpx.ActorOf(r.Context())
	_, text, err := m.d.Access.CreateKey(r.Context(), audit.ActorOf(a), a.WorkspaceID, access.NewKey{Name: "Provisioning (SCIM)", Scopes: []string{access.ScopeSCIM}})
	if err != nil {
		return err
	}
	href := pageHref(a.WorkspaceID)
	w.Header().Set("Cache-Control", "no-store")
	return m.pages.Render(w, r, http.StatusOK, "made", ui.Page{Title: "The key is ready", App: "settings", Section: href,
		Lead: "Copy it now: it cannot be shown again.", Crumbs: []ui.Crumb{{Label: "Provisioning", Href: href}},
		Body: keyMadeView{BaseURL: m.d.BaseURL + base, Text: text, Href: href}})
}

// chooseRole saves the role of a group.
func (m *Module) chooseRole(w http.ResponseWriter, r *http.Request) error {
	form, err := httpx.ReadForm(r)
	if err != nil {
		return err
	}
	id, err := pathID(r)
	if err != nil {
		return err
	}
	a := httpx.ActorOf(r.Context())
	if err := m.SetGroupRole(r.Context(), audit.ActorOf(a), a.WorkspaceID, id, form.Get("role")); err != nil {
		return err
	}
	return respond.SeeOther(w, r, pageHref(a.WorkspaceID)+"?done=role")
}

// Roles names the roles in order, for the page's explanation.
func (v pageView) Roles() []workspace.Role { return GroupRoles() }

// Default is the role of somebody to whom no group gives one.
func (v pageView) Default() string { return defaultRole }
