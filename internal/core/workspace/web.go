package workspace

import (
	"context"
	"embed"
	"errors"
	"net/http"
	"strconv"

	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/httpx/respond"
	"github.com/kept-dev/kept/internal/ui"
)

//go:embed templates/*.html
var templates embed.FS

// The addresses of the module's pages. Mails have some of them.
const (
	pathChooser    = "/workspaces"
	pathInvitation = "/invitations"
	pathTransfer   = "/account/transfers/{ws}"
	pathSettings   = "/w/{ws}/settings"
	pathMembers    = pathSettings + "/members"
	pathMember     = pathMembers + "/{account}"
	pathHandOver   = pathSettings + "/transfer"
)

func settingsHref(ws kernel.WorkspaceID) string { return "/w/" + string(ws) + "/settings" }
func membersHref(ws kernel.WorkspaceID) string  { return settingsHref(ws) + "/members" }
func handOverHref(ws kernel.WorkspaceID) string { return settingsHref(ws) + "/transfer" }
func transferHref(ws kernel.WorkspaceID) string { return "/account/transfers/" + string(ws) }
func memberHref(ws kernel.WorkspaceID, a kernel.AccountID) string {
	return membersHref(ws) + "/" + string(a)
}

// Routes is the module's part of the route table.
func (m *Module) Routes() []httpx.Route {
	page := func(path string, needs httpx.Permission, h httpx.Handler) httpx.Route {
		return httpx.Route{Method: "GET", Path: path, Handler: h, Access: httpx.Member, Needs: needs, Rate: httpx.RatePage}
	}
	form := func(path string, needs httpx.Permission, rate httpx.RateClass, audit string, h httpx.Handler) httpx.Route {
		return httpx.Route{Method: "POST", Path: path, Handler: h, Access: httpx.Member, Needs: needs, Rate: rate, Audit: audit, MaxBody: maxForm}
	}
	careful := func(r httpx.Route) httpx.Route {
		r.StepUp = true
		return r
	}
	const manage, own, belong, view = httpx.MayManage, httpx.MayOwn, httpx.MayBelong, httpx.MayView
	return append(m.personRoutes(),
		page("/w/{ws}", belong, m.home),
		page(pathSettings, belong, m.settings),
		form(pathSettings, manage, httpx.RateWrite, "workspace.rename", m.rename),
		careful(form(pathSettings+"/security", own, httpx.RateWrite, "workspace.demand_factor", m.demandFactor)),
		page(pathMembers, view, m.membersPage),
		form(pathMembers+"/invite", manage, httpx.RateMail, "invitation.create", m.invite),
		form(pathSettings+"/invitations/{id}/resend", manage, httpx.RateMail, "invitation.resend", m.resend),
		form(pathSettings+"/invitations/{id}/revoke", manage, httpx.RateWrite, "invitation.revoke", m.revoke),
		careful(page(pathMember, manage, m.memberPage)),
		careful(form(pathMember, manage, httpx.RateWrite, "member.change", m.changeMember)),
		careful(page(pathMember+"/remove", manage, m.removePage)),
		careful(form(pathMember+"/remove", manage, httpx.RateWrite, "member.remove", m.removeMember)),
		page(pathSettings+"/leave", belong, m.leavePage),
		form(pathSettings+"/leave", belong, httpx.RateWrite, "member.leave", m.leave),
		careful(page(pathHandOver, own, m.handOverPage)),
		careful(form(pathHandOver, own, httpx.RateMail, "ownership.offer", m.handOver)),
		careful(form(pathHandOver+"/withdraw", own, httpx.RateWrite, "ownership.withdraw", m.withdraw)),
	)
}

const maxForm = 64 << 10 // bytes

// personRoutes are those that belong to no workspace, or to one that the person is not a member of yet.
func (m *Module) personRoutes() []httpx.Route {
	const public, signedIn = httpx.Public, httpx.SignedIn
	return []httpx.Route{
		{Method: "GET", Path: "/{$}", Handler: m.start, Access: public, Rate: httpx.RatePage},
		{Method: "GET", Path: pathChooser, Handler: m.chooser, Access: signedIn, Rate: httpx.RatePage},
		{Method: "GET", Path: pathChooser + "/new", Handler: m.newPage, Access: signedIn, Rate: httpx.RatePage},
		{Method: "POST", Path: pathChooser, Handler: m.create, Access: signedIn, Rate: httpx.RateWrite, Audit: "workspace.create", MaxBody: maxForm},
		{Method: "GET", Path: pathInvitation, Handler: m.invitationPage, Access: public, Rate: httpx.RateAuth},
		{Method: "POST", Path: pathInvitation + "/accept", Handler: m.acceptInvitation, Access: signedIn, Rate: httpx.RateAuth, Audit: "invitation.accept", MaxBody: maxForm},
		{Method: "POST", Path: pathInvitation + "/decline", Handler: m.declineInvitation, Access: public, Rate: httpx.RateAuth, Audit: "invitation.decline", MaxBody: maxForm},
		{Method: "POST", Path: pathInvitation + "/sign-up", Handler: m.signUp, Access: public, Rate: httpx.RateAuth, Audit: "account.sign_up", MaxBody: maxForm},
		{Method: "GET", Path: pathTransfer, Handler: m.transferPage, Access: signedIn, StepUp: true, Rate: httpx.RatePage},
		{Method: "POST", Path: pathTransfer, Handler: m.acceptTransfer, Access: signedIn, StepUp: true, Rate: httpx.RateWrite, Audit: "ownership.accept", MaxBody: maxForm},
		{Method: "POST", Path: pathTransfer + "/decline", Handler: m.declineTransfer, Access: signedIn, Rate: httpx.RateWrite, Audit: "ownership.decline", MaxBody: maxForm},
	}
}

// Nav is the module's part of the navigation.
func (m *Module) Nav() []ui.NavItem {
	return []ui.NavItem{
		{App: "settings", Group: "Workspace", Label: "General", Href: pathSettings, Icon: "settings", Order: 20, Needs: string(httpx.MayBelong)},
		{App: "settings", Group: "Workspace", Label: "Members", Href: pathMembers, Icon: "users", Order: 21, Needs: string(httpx.MayView)},
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
	invited, err := m.InvitationsFor(ctx, a.AccountID)
	if len(invited) > 0 {
		links = append(links, ui.Link{Label: "Invitations: " + strconv.Itoa(len(invited)), Href: pathChooser})
	}
	return append(links, ui.Link{Label: "New workspace…", Href: pathChooser + "/new"}), err
}

// start sends everybody where they belong.
func (m *Module) start(w http.ResponseWriter, r *http.Request) error {
	a := httpx.ActorOf(r.Context())
	if a.Anonymous() {
		return respond.SeeOther(w, r, "/sign-in")
	}
	v, err := m.chooserView(r)
	switch {
	case err != nil:
		return err
	case len(v.Workspaces) == 1 && !v.asked():
		only := v.Workspaces[0]
		return respond.SeeOther(w, r, m.homeOf(only.ID, only.Role, only.Apps))
	case len(v.Workspaces) == 0 && !v.asked():
		return respond.SeeOther(w, r, pathChooser+"/new")
	}
	return respond.SeeOther(w, r, pathChooser)
}

// homeOf is where a workspace begins for somebody: not at an app that the person may not open.
func (m *Module) homeOf(ws kernel.WorkspaceID, role string, apps []string) string {
	if m.d.Home != homeSettings && Allows(role, httpx.MayView) && includes(apps, []string{m.d.Home}) {
		return "/w/" + string(ws) + "/" + m.d.Home
	}
	return settingsHref(ws)
}

func (m *Module) home(w http.ResponseWriter, r *http.Request) error {
	a := httpx.ActorOf(r.Context())
	return respond.SeeOther(w, r, m.homeOf(a.WorkspaceID, a.Role, a.Apps))
}

type chooserView struct {
	Workspaces  []Workspace
	Invitations []Invitation
	Transfers   []Transfer
}

// asked tells whether there is something to answer.
func (v chooserView) asked() bool { return len(v.Invitations)+len(v.Transfers) > 0 }

func (m *Module) chooserView(r *http.Request) (v chooserView, err error) {
	account := httpx.ActorOf(r.Context()).AccountID
	if v.Workspaces, err = m.Of(r.Context(), account); err != nil {
		return v, err
	}
	if v.Invitations, err = m.InvitationsFor(r.Context(), account); err != nil {
		return v, err
	}
	v.Transfers, err = m.TransfersTo(r.Context(), account)
	return v, err
}

func (m *Module) chooser(w http.ResponseWriter, r *http.Request) error {
	v, err := m.chooserView(r)
	if err != nil {
		return err
	}
	if len(v.Workspaces) == 0 && !v.asked() {
		return respond.SeeOther(w, r, pathChooser+"/new")
	}
	return m.pages.Render(w, r, http.StatusOK, "chooser", ui.Page{Title: "Your workspaces", Shape: ui.ShapeCenter, Body: v, Toasts: done(r)})
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
	return respond.SeeOther(w, r, m.homeOf(ws.ID, ws.Role, nil))
}

func parseForm(r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return kernel.Wrap(err, kernel.Malformed, "The form could not be read.")
	}
	return nil
}

func readName(r *http.Request) (string, error) {
	err := parseForm(r)
	return r.PostForm.Get("name"), err
}

// refused puts an error into a form. ok is false for errors that are not about what was typed.
func refused(f ui.Form, err error) (_ ui.Form, status int, ok bool) {
	var e *kernel.Error
	if !errors.As(err, &e) {
		return f, 0, false
	}
	switch e.Code {
	case kernel.Invalid, kernel.Conflict, kernel.Limited:
	default:
		return f, 0, false
	}
	if f = f.WithErrors(e.Fields); len(f.Invalid()) == 0 {
		f.Error = e.Safe
	}
	return f, respond.Status(e.Code), true
}

// doneTexts are what is said after a change; the address has the key only.
var doneTexts = map[string]string{
	"name":      "The name is saved.",
	"demanded":  "From now on only members with a second factor get in.",
	"undemand":  "Members no longer need a second factor.",
	"invited":   "The invitation is on its way.",
	"resent":    "The invitation was sent again. The link of the one before works no more.",
	"revoked":   "The invitation is revoked. Its link works no more.",
	"member":    "The member is changed.",
	"removed":   "The member is removed.",
	"left":      "You have left the workspace.",
	"declined":  "The invitation is declined.",
	"offered":   "The offer is on its way.",
	"withdrawn": "The offer is withdrawn.",
	"refused":   "You declined the ownership.",
	"owner":     "You are the owner of this workspace now.",
}

func done(r *http.Request) []ui.Toast {
	if text := doneTexts[r.URL.Query().Get("done")]; text != "" {
		return []ui.Toast{{Tone: ui.ToneGood, Text: text}}
	}
	return nil
}
