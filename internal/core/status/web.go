package status

import (
	"context"
	"embed"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/httpx/respond"
	"github.com/kept-dev/kept/internal/ui"
)

//go:embed templates/*.html
var templates embed.FS

const (
	appKey        = "alerts"
	pathManage    = "/w/{ws}/status-page"
	pathIncidents = pathManage + "/incidents"
	pathPublic    = "/status/{slug}"
	pathServer    = "/notices"
	maxForm       = 64 << 10
)

func home(ws kernel.WorkspaceID) string { return "/w/" + string(ws) + "/status-page" }

func publicHref(p Page) string { return "/status/" + p.Slug }

func noticeHref(ws kernel.WorkspaceID, id kernel.ID) string {
	return home(ws) + "/incidents/" + string(id)
}

// Routes is the module's part of the route table.
func (m *Module) Routes() []httpx.Route {
	view := func(path string, h httpx.Handler) httpx.Route {
		return httpx.Route{Method: "GET", Path: path, Handler: h, Access: httpx.Member, Needs: httpx.MayView, Rate: httpx.RatePage}
	}
	change := func(path string, h httpx.Handler) httpx.Route {
		r := view(path, h)
		r.Needs = httpx.MayChange
		return r
	}
	post := func(action, path string, h httpx.Handler) httpx.Route {
		return httpx.Route{Method: "POST", Path: path, Handler: h, Access: httpx.Member, Needs: httpx.MayChange, Rate: httpx.RateWrite, Audit: action, MaxBody: maxForm}
	}
	public := func(path string, h httpx.Handler) httpx.Route {
		return httpx.Route{Method: "GET", Path: path, Handler: h, Access: httpx.Public, Rate: httpx.RatePage}
	}
	secret := func(r httpx.Route) httpx.Route { r.Secrets = []string{"token"}; return r }
	const own = "a visitor's own subscription, of which a list is kept and no log"
	act := func(path string, h httpx.Handler, rate httpx.RateClass) httpx.Route {
		return httpx.Route{Method: "POST", Path: path, Handler: h, Access: httpx.Public, Rate: rate, NoAudit: own, MaxBody: maxForm}
	}
	return []httpx.Route{
		view(pathManage, m.managePage),
		change(pathManage+"/settings", m.settingsPage),
		post("status_page.update", pathManage+"/settings", m.saveSettings),
		post("status_component.create", pathManage+"/components", m.addComponent),
		post("status_component.delete", pathManage+"/components/{id}/delete", m.removeComponent),
		post("status_webhook.delete", pathManage+"/webhooks/{id}/delete", m.removeWebhook),
		post("status_webhook.enable", pathManage+"/webhooks/{id}/enable", m.enableWebhook),
		change(pathIncidents+"/new", m.newPage),
		post("status_notice.create", pathIncidents, m.create),
		view(pathIncidents+"/{id}", m.noticePage),
		post("status_notice.tell", pathIncidents+"/{id}", m.tellPost),
		change(pathIncidents+"/{id}/edit", m.editPage),
		post("status_notice.update", pathIncidents+"/{id}/edit", m.editPost),
		post("status_notice.delete", pathIncidents+"/{id}/delete", m.deletePost),
		post("status_notice.restore", pathIncidents+"/{id}/restore", m.restorePost),

		public(pathPublic, m.publicPage),
		public(pathPublic+"/feed", m.feed),
		public(pathPublic+"/incidents/{id}", m.publicNotice),
		act(pathPublic+"/subscribe", m.subscribePost, httpx.RateMail),
		act(pathPublic+"/subscribe/webhook", m.subscribeWebhookPost, httpx.RateMail),
		secret(public(pathPublic+"/confirm/{token}", m.confirmPage)),
		secret(act(pathPublic+"/confirm/{token}", m.confirmPost, httpx.RateWrite)),
		secret(public(pathPublic+"/unsubscribe/{token}", m.unsubscribePage)),
		secret(act(pathPublic+"/unsubscribe/{token}", m.unsubscribePost, httpx.RateWrite)),

		public("/status", m.serverStatus),
		{Method: "GET", Path: pathServer, Handler: m.serverPage, Access: httpx.SignedIn, Rate: httpx.RatePage},
		{Method: "POST", Path: pathServer + "/{id}/hide", Handler: m.hidePost, Access: httpx.SignedIn, Rate: httpx.RateWrite, NoAudit: "what somebody has read", MaxBody: maxForm},
	}
}

// Nav is the module's part of the navigation.
func (m *Module) Nav() []ui.NavItem {
	return []ui.NavItem{{App: appKey, Group: "Messages", Label: "Status page", Href: pathManage, Icon: "external", Order: 60, Needs: string(httpx.MayView)}}
}

func wsOf(r *http.Request) kernel.WorkspaceID { return httpx.ActorOf(r.Context()).WorkspaceID }

func mayChange(r *http.Request) bool {
	return slices.Contains([]string{"owner", "admin", "member"}, string(httpx.ActorOf(r.Context()).Role))
}

func pathID(r *http.Request) (kernel.ID, error) {
	id := r.PathValue("id")
	if !kernel.ValidID(id) {
		return "", errNone()
	}
	return kernel.ID(id), nil
}

// formStatus is the status of a form that is shown again, with notes on its fields; another error passes through.
func formStatus(f *ui.Form, err error) (int, error) {
	if err == nil {
		return http.StatusOK, nil
	}
	var e *kernel.Error
	if !errors.As(err, &e) || e.Code != kernel.Invalid {
		return 0, err
	}
	f.Error = e.Safe
	for i := range f.Fields {
		if note, ok := e.Fields[f.Fields[i].Name]; ok {
			f.Fields[i].Error, f.Error = note, ""
		}
	}
	return respond.Status(e.Code), nil
}

type noticeRow struct {
	Notice
	Href   string
	Names  []string // of the parts that are affected
	Tone   ui.Tone
	Latest *Update
}

// KindWord is what it is, at the beginning of a sentence.
func (n noticeRow) KindWord() string { return word(n.Kind) }

// Lasted is how long it took, as people say it; empty when it ended before it began.
func (n noticeRow) Lasted() string {
	d := n.OverAt.Sub(n.StartsAt).Round(time.Minute)
	hours, minutes := int64(d.Hours()), int64(d.Minutes())
	switch {
	case d <= 0:
		return ""
	case minutes < 60:
		return some(minutes, "minute")
	case hours < 48:
		text := some(hours, "hour")
		if minutes %= 60; minutes > 0 {
			text += " " + some(minutes, "minute")
		}
		return text
	}
	return some(hours/24, "day")
}

func some(n int64, word string) string {
	if n != 1 {
		word += "s"
	}
	return strconv.FormatInt(n, 10) + " " + word
}

func row(n Notice, href string, parts []Component) noticeRow {
	r := noticeRow{Notice: n, Href: href, Tone: toneOf(n), Names: namesOf(parts, n)}
	if len(n.Updates) > 0 {
		r.Latest = &n.Updates[0]
	}
	return r
}

// namesOf are the names of the parts that a notice affects.
func namesOf(parts []Component, n Notice) []string {
	out := []string{}
	for _, c := range parts {
		if slices.Contains(n.Components, c.ID) {
			out = append(out, c.Name)
		}
	}
	return out
}

func toneOf(n Notice) ui.Tone {
	switch {
	case n.Over():
		return ui.ToneGood
	case n.Kind != Incident:
		return ui.ToneActive
	case n.Impact == "minor":
		return ui.ToneWarn
	}
	return ui.ToneBad
}

type manageView struct {
	Page       Page
	Public     string // where it can be read
	Settings   string
	Open, Past []noticeRow
	Deleted    []noticeRow
	Components []Component
	Add        ui.Form
	Base       string
	Mails      int64
	Webhooks   []Subscriber
	Server     bool // the page speaks for the server
	May        bool
	Empty      *ui.Empty
}

func (m *Module) managePage(w http.ResponseWriter, r *http.Request) error {
	return m.renderManage(w, r, "", nil)
}

func (m *Module) renderManage(w http.ResponseWriter, r *http.Request, name string, wrong error) error {
	ctx, ws := r.Context(), wsOf(r)
	p, err := m.Page(ctx, ws)
	if err != nil {
		return err
	}
	v := manageView{Page: p, Base: home(ws), Server: ws == m.d.Server, Settings: home(ws) + "/settings", May: mayChange(r),
		Add: ui.Form{Action: home(ws) + "/components", Submit: "Add", Narrow: true, Fields: []ui.Field{{Name: "name", Label: "Part of your service", Value: name, MaxLength: maxTitle, Required: true, Placeholder: "API"}}}}
	status, err := formStatus(&v.Add, wrong)
	if err != nil {
		return err
	}
	page := ui.Page{Title: "Status page", App: appKey, Section: home(ws), Lead: "What your customers are told of incidents and maintenance.", Body: &v, Toasts: toasts(r, ws)}
	if p.Slug == "" {
		v.Empty = &ui.Empty{Icon: "external", Title: "No status page yet", Text: "Give it an address and a name. Nobody can read it before you turn it on."}
		if v.May {
			v.Empty.Action = &ui.Action{Label: "Set up the status page", Href: v.Settings, Primary: true}
		}
		return m.pages.Render(w, r, status, "manage", page)
	}
	if err := m.fillManage(ctx, ws, &v); err != nil {
		return err
	}
	if v.May {
		fresh := home(ws) + "/incidents/new"
		page.Actions = []ui.Action{{Label: "Security update", Href: fresh + "?kind=security+update"}, {Label: "Plan maintenance", Href: fresh + "?kind=maintenance"}, {Label: "New incident", Href: fresh, Icon: "plus", Primary: true}}
	}
	return m.pages.Render(w, r, status, "manage", page)
}

func (m *Module) fillManage(ctx context.Context, ws kernel.WorkspaceID, v *manageView) (err error) {
	v.Public = m.d.BaseURL() + "/status/" + v.Page.Slug
	if v.Components, err = m.Components(ctx, ws); err != nil {
		return err
	}
	if v.Mails, err = m.Mails(ctx, ws); err != nil {
		return err
	}
	if v.Webhooks, err = m.Webhooks(ctx, ws); err != nil {
		return err
	}
	all, err := m.Notices(ctx, ws, m.d.Clock().Add(-barDays*24*time.Hour), true)
	for _, n := range all {
		x := row(n, noticeHref(ws, n.ID), v.Components)
		switch {
		case !n.DeletedAt.IsZero():
			v.Deleted = append(v.Deleted, x)
		case n.Over():
			v.Past = append(v.Past, x)
		default:
			v.Open = append(v.Open, x)
		}
	}
	return err
}

func toasts(r *http.Request, ws kernel.WorkspaceID) []ui.Toast {
	q := r.URL.Query()
	text := map[string]string{"saved": "The status page is saved.", "added": "The part is on the page.", "removed": "The part is off the page.",
		"hook-removed": "The webhook gets nothing more.", "hook-enabled": "The webhook gets the next update.",
		"published": "It is published.", "told": "The update is published.", "changed": "The change is saved.", "deleted": "It is off the page; it can be put back for 30 days.", "restored": "It is on the page again."}[q.Get("done")]
	if text == "" {
		return nil
	}
	return []ui.Toast{{Tone: ui.ToneGood, Text: text}}
}

func (m *Module) settingsPage(w http.ResponseWriter, r *http.Request) error {
	p, err := m.Page(r.Context(), wsOf(r))
	if err != nil {
		return err
	}
	return m.renderSettings(w, r, p, nil)
}

func (m *Module) renderSettings(w http.ResponseWriter, r *http.Request, p Page, wrong error) error {
	f := ui.Form{Action: home(wsOf(r)) + "/settings", Submit: "Save", Cancel: home(wsOf(r)), Fields: []ui.Field{
		{Name: "title", Label: "Name", Required: true, Value: p.Title, MaxLength: maxTitle, Placeholder: "Example status"},
		{Name: "slug", Label: "Address", Required: true, Mono: true, Value: p.Slug, MaxLength: 40, Placeholder: "example", Hint: "It is read at " + m.d.BaseURL() + "/status/ and this."},
		{Name: "about", Label: "About", Kind: "textarea", Rows: 3, Value: p.About, MaxLength: maxText, Hint: "A sentence at the top: what this is the status of, and where to ask."},
		{Name: "public", Label: "Everybody can read it", Kind: "checkbox", Checked: p.Public},
	}}
	status, err := formStatus(&f, wrong)
	if err != nil {
		return err
	}
	return m.pages.Render(w, r, status, "form", ui.Page{Title: "Settings of the status page", App: appKey, Section: home(wsOf(r)), Crumbs: []ui.Crumb{{Label: "Status page", Href: home(wsOf(r))}}, Body: formView{Form: f}})
}

type formView struct {
	Form  ui.Form
	Parts []part
	Note  string // who reads it, if that is a surprise
}

type part struct {
	Component
	Checked bool
}

func (m *Module) saveSettings(w http.ResponseWriter, r *http.Request) error {
	form, err := httpx.ReadForm(r)
	if err != nil {
		return err
	}
	p := Page{WorkspaceID: wsOf(r), Slug: strings.TrimSpace(form.Get("slug")), Title: form.Get("title"), About: form.Get("about"), Public: form.Has("public")}
	if err := m.SavePage(r.Context(), p); err != nil {
		return m.renderSettings(w, r, p, err)
	}
	detail := "off"
	if p.Public {
		detail = "public"
	}
	return m.done(w, r, "status_page.update", "status_page:"+p.Slug, detail, home(p.WorkspaceID)+"?done=saved")
}

func (m *Module) removeWebhook(w http.ResponseWriter, r *http.Request) error {
	return m.onWebhook(w, r, m.RemoveWebhook, "status_webhook.delete", "hook-removed")
}

func (m *Module) enableWebhook(w http.ResponseWriter, r *http.Request) error {
	return m.onWebhook(w, r, m.EnableWebhook, "status_webhook.enable", "hook-enabled")
}

func (m *Module) onWebhook(w http.ResponseWriter, r *http.Request, do func(context.Context, kernel.WorkspaceID, kernel.ID) error, action, done string) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	if err := do(r.Context(), wsOf(r), id); err != nil {
		return err
	}
	return m.done(w, r, action, webhookTarget(id), "", home(wsOf(r))+"?done="+done)
}

// done writes the audit log and goes on.
func (m *Module) done(w http.ResponseWriter, r *http.Request, action, target, detail, to string) error {
	if err := m.d.Audit(r.Context(), action, target, detail); err != nil {
		return err
	}
	return respond.SeeOther(w, r, to)
}

func (m *Module) addComponent(w http.ResponseWriter, r *http.Request) error {
	form, err := httpx.ReadForm(r)
	if err != nil {
		return err
	}
	id, err := m.AddComponent(r.Context(), wsOf(r), form.Get("name"))
	if err != nil {
		return m.renderManage(w, r, form.Get("name"), err)
	}
	return m.done(w, r, "status_component.create", "status_component:"+string(id), "", home(wsOf(r))+"?done=added")
}

func (m *Module) removeComponent(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	if err := m.RemoveComponent(r.Context(), wsOf(r), id); err != nil {
		return err
	}
	return m.done(w, r, "status_component.delete", "status_component:"+string(id), "", home(wsOf(r))+"?done=removed")
}
