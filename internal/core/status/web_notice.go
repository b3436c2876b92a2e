package status

import (
	"net/http"
	"slices"
	"time"

	"github.com/kept-dev/kept/internal/core/alert"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/httpx/respond"
	"github.com/kept-dev/kept/internal/ui"
)

const localTime = "2006-01-02T15:04"

// newPage is the form of a new incident, filled in from an alert if the address names one.
func (m *Module) newPage(w http.ResponseWriter, r *http.Request) error {
	q, ws := r.URL.Query(), wsOf(r)
	n, text := First(Incident), ""
	n.Impact, n.StartsAt = impacts[0], m.d.Clock()
	switch kind := q.Get("kind"); kind {
	case Maintenance:
		n = First(kind)
		n.StartsAt = m.d.Clock().Truncate(time.Hour).Add(24 * time.Hour)
		n.EndsAt = n.StartsAt.Add(2 * time.Hour)
	case Security:
		n = First(kind)
		n.StartsAt = m.d.Clock()
	}
	if id := q.Get("alert"); kernel.ValidID(id) && m.d.Alerts != nil {
		if told, ok, err := m.OfAlert(r.Context(), ws, kernel.ID(id)); err != nil || ok {
			return seeNotice(w, r, ws, told, err)
		}
		a, err := m.d.Alerts.FindAlert(r.Context(), ws, kernel.ID(id))
		if err != nil {
			return err
		}
		n, text = fromAlert(n, a)
	}
	return m.renderNotice(w, r, n, text, true, nil)
}

func seeNotice(w http.ResponseWriter, r *http.Request, ws kernel.WorkspaceID, n Notice, err error) error {
	if err != nil {
		return err
	}
	return respond.SeeOther(w, r, noticeHref(ws, n.ID))
}

// fromAlert says of an incident what its alert knows. What customers are told is for people to write: labels and numbers
// of the inside stay inside.
func fromAlert(n Notice, a alert.Alert) (Notice, string) {
	n.Title, n.StartsAt, n.AlertID = a.Name, a.StartedAt, a.ID
	switch a.Severity {
	case "critical":
		n.Impact = "critical"
	case "info":
		n.Impact = "minor"
	default:
		n.Impact = "major"
	}
	if a.State == alert.Resolved {
		n.State = over(Incident)
	}
	return n, a.Annotations["summary"]
}

func options(list []string) (out []ui.Option) {
	for _, s := range list {
		out = append(out, ui.Option{Value: s, Label: word(s)})
	}
	return out
}

func (m *Module) renderNotice(w http.ResponseWriter, r *http.Request, n Notice, text string, fresh bool, wrong error) error {
	ws := wsOf(r)
	f := ui.Form{Action: home(ws) + "/incidents", Submit: "Publish", Cancel: home(ws), Hidden: []ui.Param{{Name: "kind", Value: n.Kind}, {Name: "alert", Value: string(n.AlertID)}}, Fields: []ui.Field{
		{Name: "title", Label: "Title", Required: true, Value: n.Title, MaxLength: maxTitle, Placeholder: "Payments are slow"}}}
	title := map[string]string{Incident: "New incident", Maintenance: "Plan maintenance", Security: "New security update"}[n.Kind]
	if n.Kind == Incident {
		f.Fields = append(f.Fields, ui.Field{Name: "impact", Label: "Impact", Kind: "select", Required: true, Value: n.Impact, Options: options(impacts)})
	}
	f.Fields = append(f.Fields, ui.Field{Name: "starts", Label: "Began", Kind: "datetime-local", Required: true, Value: n.StartsAt.UTC().Format(localTime), Hint: "In UTC."})
	if n.Kind == Security {
		f.Fields[len(f.Fields)-1].Label = "From"
	}
	if n.Kind == Maintenance {
		f.Fields[len(f.Fields)-1].Label = "Begins"
		f.Fields = append(f.Fields, ui.Field{Name: "ends", Label: "Ends", Kind: "datetime-local", Required: true, Value: n.EndsAt.UTC().Format(localTime), Hint: "In UTC."})
	}
	if fresh {
		f.Fields = append(f.Fields,
			ui.Field{Name: "state", Label: "State", Kind: "select", Required: true, Value: n.State, Options: options(states[n.Kind])},
			ui.Field{Name: "text", Label: "What customers read", Kind: "textarea", Rows: 5, Required: true, Value: text, MaxLength: maxText, Hint: "It goes to the page, the feed and the subscribers. An empty line begins a paragraph."})
	} else {
		title, f.Action, f.Submit, f.Cancel = "Change "+n.Title, noticeHref(ws, n.ID)+"/edit", "Save", noticeHref(ws, n.ID)
	}
	status, err := formStatus(&f, wrong)
	if err != nil {
		return err
	}
	parts, err := m.Components(r.Context(), ws)
	if err != nil {
		return err
	}
	v := formView{Form: f}
	if v.Note, err = m.readers(r, ws); err != nil {
		return err
	}
	for _, c := range parts {
		v.Parts = append(v.Parts, part{c, slices.Contains(n.Components, c.ID)})
	}
	return m.pages.Render(w, r, status, "notice_form", ui.Page{Title: title, App: appKey, Section: home(ws), Crumbs: []ui.Crumb{{Label: "Status page", Href: home(ws)}}, Body: v})
}

func readNotice(r *http.Request) (n Notice, text string, err error) {
	form, err := httpx.ReadForm(r)
	if err != nil {
		return n, "", err
	}
	n = Notice{Kind: form.Get("kind"), Title: form.Get("title"), Impact: form.Get("impact"), State: form.Get("state")}
	if states[n.Kind] == nil {
		n.Kind = Incident
	}
	if n.Kind != Incident {
		n.Impact = ""
	}
	if id := form.Get("alert"); kernel.ValidID(id) {
		n.AlertID = kernel.ID(id)
	}
	for _, id := range form["component"] {
		n.Components = append(n.Components, kernel.ID(id))
	}
	n.StartsAt, _ = time.Parse(localTime, form.Get("starts")) // the zero time is refused
	n.EndsAt, _ = time.Parse(localTime, form.Get("ends"))
	return n, form.Get("text"), nil
}

func (m *Module) create(w http.ResponseWriter, r *http.Request) error {
	n, text, err := readNotice(r)
	if err != nil {
		return err
	}
	made, err := m.Publish(r.Context(), wsOf(r), n, text)
	if err != nil {
		return m.renderNotice(w, r, n, text, true, err)
	}
	return m.done(w, r, "status_notice.create", "status_notice:"+string(made.ID), made.Title, noticeHref(wsOf(r), made.ID)+"?done=published")
}

// readers says who reads what is published, if that is not what one would think: nobody, or everybody on the server.
func (m *Module) readers(r *http.Request, ws kernel.WorkspaceID) (string, error) {
	if ws == m.d.Server {
		return "This page speaks for the whole server: whoever is signed in is shown it, and the owners of all workspaces get it by mail.", nil
	}
	p, err := m.Page(r.Context(), ws)
	if err == nil && !p.Public {
		return "The status page is off: nobody reads this until it is turned on, and no mail is sent.", nil
	}
	return "", err
}

type noticeView struct {
	noticeRow
	Alert                *ui.Link // that it was made from
	Calm                 string   // says that the alert is over and the incident is not
	Note                 string
	May                  bool
	Tell                 ui.Form
	Edit, Delete, Revive string
	Public               string
}

func (m *Module) noticePage(w http.ResponseWriter, r *http.Request) error {
	return m.renderOne(w, r, "", nil)
}

func (m *Module) renderOne(w http.ResponseWriter, r *http.Request, text string, wrong error) error {
	ws := wsOf(r)
	id, err := pathID(r)
	if err != nil {
		return err
	}
	n, err := m.Notice(r.Context(), ws, id, true)
	if err != nil {
		return err
	}
	parts, err := m.Components(r.Context(), ws)
	if err != nil {
		return err
	}
	p, err := m.Page(r.Context(), ws)
	if err != nil {
		return err
	}
	href := noticeHref(ws, id)
	v := noticeView{noticeRow: row(n, href, parts), May: mayChange(r), Edit: href + "/edit", Delete: href + "/delete", Revive: href + "/restore"}
	if p.Public && n.DeletedAt.IsZero() {
		v.Public = "/status/" + p.Slug + "/incidents/" + string(id)
	}
	if v.Note, err = m.readers(r, ws); err != nil {
		return err
	}
	if err := m.withAlert(r, ws, &v); err != nil {
		return err
	}
	next := n.State
	if v.Calm != "" {
		next = over(n.Kind)
	}
	v.Tell = ui.Form{Action: href, Submit: "Publish the update", Fields: []ui.Field{
		{Name: "state", Label: "State", Kind: "select", Required: true, Value: next, Options: options(states[n.Kind])},
		{Name: "text", Label: "What customers read", Kind: "textarea", Rows: 4, Required: true, Value: text, MaxLength: maxText},
	}}
	status, err := formStatus(&v.Tell, wrong)
	if err != nil {
		return err
	}
	page := ui.Page{Title: n.Title, App: appKey, Section: home(ws), Crumbs: []ui.Crumb{{Label: "Status page", Href: home(ws)}}, Body: v, Toasts: toasts(r, ws)}
	return m.pages.Render(w, r, status, "notice", page)
}

// withAlert says how the alert is that an incident was made from, unless it is gone.
func (m *Module) withAlert(r *http.Request, ws kernel.WorkspaceID, v *noticeView) error {
	if v.AlertID == "" || m.d.Alerts == nil {
		return nil
	}
	a, err := m.d.Alerts.FindAlert(r.Context(), ws, v.AlertID)
	if kernel.CodeOf(err) == kernel.NotFound && err != nil {
		return nil
	}
	if err != nil {
		return err
	}
	v.Alert = &ui.Link{Label: a.Name + ", " + string(a.State), Href: "/w/" + string(ws) + "/alerts/a/" + string(a.ID)}
	if a.State == alert.Resolved && !v.Over() {
		v.Calm = "The alert is over. If customers see that too, tell them that it is resolved."
	}
	return nil
}

func (m *Module) tellPost(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	form, err := httpx.ReadForm(r)
	if err != nil {
		return err
	}
	if err := m.Tell(r.Context(), wsOf(r), id, form.Get("state"), form.Get("text")); err != nil {
		return m.renderOne(w, r, form.Get("text"), err)
	}
	return m.done(w, r, "status_notice.tell", "status_notice:"+string(id), form.Get("state"), noticeHref(wsOf(r), id)+"?done=told")
}

func (m *Module) editPage(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	n, err := m.Notice(r.Context(), wsOf(r), id, false)
	if err != nil {
		return err
	}
	return m.renderNotice(w, r, n, "", false, nil)
}

func (m *Module) editPost(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	n, _, err := readNotice(r)
	if err != nil {
		return err
	}
	n.ID = id
	if err := m.Change(r.Context(), wsOf(r), n); err != nil {
		return m.renderNotice(w, r, n, "", false, err)
	}
	return m.done(w, r, "status_notice.update", "status_notice:"+string(id), n.Title, noticeHref(wsOf(r), id)+"?done=changed")
}

func (m *Module) deletePost(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	if err := m.Remove(r.Context(), wsOf(r), id); err != nil {
		return err
	}
	return m.done(w, r, "status_notice.delete", "status_notice:"+string(id), "", noticeHref(wsOf(r), id)+"?done=deleted")
}

func (m *Module) restorePost(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	if err := m.Restore(r.Context(), wsOf(r), id); err != nil {
		return err
	}
	return m.done(w, r, "status_notice.restore", "status_notice:"+string(id), "", noticeHref(wsOf(r), id)+"?done=restored")
}
