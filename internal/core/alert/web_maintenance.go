package alert

import (
	"cmp"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/httpx/respond"
	"github.com/kept-dev/kept/internal/ui"
)

type windowRow struct {
	Window
	Href    string
	Again   string // where the same can be planned again
	End     string // where the one that goes on is ended; empty: nothing goes on, or it recurs
	Restore string
	Next    []Span
	Now     bool
	zone    *time.Location
}

// Recurs is how often it happens, in words where there are some.
func (w windowRow) Recurs() string {
	for _, o := range windowRepeats {
		if o.Value == w.Rule {
			return strings.ToLower(o.Label[:1]) + o.Label[1:]
		}
	}
	return w.Rule
}

// InZone writes a time in the window's own zone.
func (w windowRow) InZone(t time.Time) string {
	return t.In(w.zone).Format("Mon 2 Jan 15:04 MST")
}

type windowsView struct {
	Rows    []windowRow
	Past    []windowRow
	Deleted []windowRow
	Empty   *ui.Empty
	May     bool
	Undo    string // where the window that was just deleted can be brought back
	Name    string // of that window
}

func windowHref(ws kernel.WorkspaceID, id kernel.ID) string {
	return home(ws) + "/maintenance/" + string(id)
}

func newWindowRow(ws kernel.WorkspaceID, x Window, now time.Time) windowRow {
	row := windowRow{Window: x, Href: windowHref(ws, x.ID), Next: x.Next(now, 2), zone: zoneOf(x.Zone)}
	row.Again, row.Restore = home(ws)+"/maintenance/new?from="+string(x.ID), row.Href+"/restore"
	if _, row.Now = x.At(now); row.Now && x.Rule == "" {
		row.End = row.Href + "/end"
	}
	return row
}

func (m *Module) windowsPage(w http.ResponseWriter, r *http.Request) error {
	ws, now := wsOf(r), m.d.Clock()
	list, err := m.Windows(r.Context(), ws, now.Add(-muteKept))
	if err != nil {
		return err
	}
	deleted, err := m.DeletedWindows(r.Context(), ws)
	if err != nil {
		return err
	}
	v := windowsView{May: mayChange(r)}
	for _, x := range deleted {
		row := newWindowRow(ws, x, now)
		v.Deleted = append(v.Deleted, row)
		if string(x.ID) == r.URL.Query().Get("deleted") && v.May {
			v.Undo, v.Name = row.Restore, x.Name
		}
	}
	for _, x := range list {
		row := newWindowRow(ws, x, now)
		if len(row.Next) == 0 {
			v.Past = append(v.Past, row)
		} else {
			v.Rows = append(v.Rows, row)
		}
	}
	if len(v.Rows) == 0 {
		v.Empty = &ui.Empty{Icon: "settings", Title: "No maintenance is planned", Text: "Plan work once or again and again, and the alerts that it causes send no messages."}
		if v.May {
			v.Empty.Action = &ui.Action{Label: "Plan maintenance", Href: home(ws) + "/maintenance/new", Primary: true}
		}
	}
	page := ui.Page{Title: "Maintenance", App: appKey, Section: home(ws) + "/maintenance", Body: v, Lead: "Planned work, during which alerts send no messages. They still show.",
		Toasts: toast(r, map[string]string{"saved": "The maintenance window is saved.", "restored": "The maintenance window is back.", "ended": "The maintenance is over."})}
	if v.May && len(v.Rows) > 0 {
		page.Actions = []ui.Action{{Label: "Plan maintenance", Href: home(ws) + "/maintenance/new", Icon: "plus", Primary: true}}
	}
	return m.pages.Render(w, r, http.StatusOK, "windows", page)
}

func zoneOf(name string) *time.Location {
	zone, err := time.LoadLocation(name)
	if err != nil {
		return time.UTC
	}
	return zone
}

type windowInput struct {
	id                                               kernel.ID
	name, matchers, start, lasts, repeat, rule, zone string
}

// windowRepeats are the recurrences that the form offers; the last one is a rule of one's own.
var windowRepeats = []ui.Option{{Value: "", Label: "Once"}, {Value: "FREQ=DAILY", Label: "Every day"}, {Value: "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR", Label: "Every working day"},
	{Value: "FREQ=WEEKLY", Label: "Every week"}, {Value: "FREQ=WEEKLY;INTERVAL=2", Label: "Every other week"}, {Value: "FREQ=MONTHLY", Label: "Every month"}, {Value: "own", Label: "By a rule of RFC 5545"}}

func (m *Module) newWindowPage(w http.ResponseWriter, r *http.Request) error {
	in := windowInput{start: m.d.Clock().Truncate(time.Hour).Add(time.Hour).Format(localTime), lasts: "2h", zone: "UTC"}
	if id := r.URL.Query().Get("from"); kernel.ValidID(id) {
		x, err := m.FindWindow(r.Context(), wsOf(r), kernel.ID(id))
		if err != nil {
			return err
		}
		start := in.start
		if in = windowInputOf(x); x.Start.Before(m.d.Clock()) && x.Rule == "" {
			in.start = start
		}
		in.id = ""
	}
	return m.renderWindow(w, r, in, false, nil)
}

func (m *Module) editWindowPage(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	x, err := m.FindWindow(r.Context(), wsOf(r), id)
	if err != nil {
		return err
	}
	return m.renderWindow(w, r, windowInputOf(x), true, nil)
}

func windowInputOf(x Window) windowInput {
	in := windowInput{x.ID, x.Name, WriteMatchers(x.Matchers), x.Start.In(zoneOf(x.Zone)).Format(localTime), model.Duration(x.Lasts).String(), x.Rule, "", x.Zone}
	known := false
	for _, o := range windowRepeats {
		known = known || o.Value == x.Rule
	}
	if !known {
		in.repeat, in.rule = "own", x.Rule
	}
	return in
}

func (in windowInput) window() (x Window, err error) {
	x = Window{ID: in.id, Name: strings.TrimSpace(in.name), Rule: in.repeat, Zone: strings.TrimSpace(in.zone)}
	if in.repeat == "own" {
		if x.Rule = strings.TrimSpace(in.rule); x.Rule == "" {
			return x, kernel.InvalidField("rule", "Write a rule of RFC 5545, such as FREQ=MONTHLY;BYDAY=1SA.")
		}
	}
	zone, err := time.LoadLocation(x.Zone)
	if err != nil || x.Zone == "" {
		return x, kernel.InvalidField("zone", "Name a time zone such as Europe/Berlin or UTC.")
	}
	if x.Start, err = time.ParseInLocation(localTime, in.start, zone); err != nil {
		return x, kernel.InvalidField("start", "Write a date and a time.")
	}
	if x.Lasts, err = parseSpan(in.lasts); err != nil {
		return x, kernel.InvalidField("lasts", "Write a time span such as 30m or 2h.")
	}
	x.Matchers, err = ReadMatchers(in.matchers)
	return x, err
}

func (m *Module) renderWindow(w http.ResponseWriter, r *http.Request, in windowInput, try bool, wrong error) error {
	status, e, err := formStatus(wrong)
	if err != nil {
		return err
	}
	ws := wsOf(r)
	list := home(ws) + "/maintenance"
	v := quietForm{Action: list, Test: list + "/test", Cancel: list, Submit: "Save", See: "See when and what", DangerWord: "Delete", Zone: zoneOf(in.zone), Fields: []ui.Field{
		{Name: "name", Label: "What is done", Required: true, Value: in.name, MaxLength: maxName, Placeholder: "Database upgrade"},
		{Name: "matchers", Label: "Alerts with", Kind: "textarea", Rows: 3, Mono: true, Value: in.matchers, Placeholder: "instance=~\"db.*\"",
			Hint: "One label per line, as in a silence. Empty: all alerts."},
		{Name: "start", Label: "Begins", Kind: "datetime-local", Required: true, Value: in.start, Hint: "In the time zone below."},
		{Name: "lasts", Label: "Lasts", Required: true, Value: in.lasts, Hint: "Such as 30m or 2h."},
		{Name: "zone", Label: "Time zone", Required: true, Value: in.zone, Hint: "Such as Europe/Berlin: the window keeps its hour when the clocks change."},
		{Name: "repeat", Label: "Recurs", Kind: "select", Required: true, Value: in.repeat, Options: windowRepeats},
		{Name: "rule", Label: "Rule", Mono: true, Value: in.rule, MaxLength: maxRRule, Placeholder: "FREQ=MONTHLY;BYDAY=1SA", Hint: "Only for “By a rule of RFC 5545”. COUNT and UNTIL end it."},
	}}
	title := "Plan maintenance"
	if in.id != "" {
		title, v.Action, v.Danger = cmp.Or(in.name, "Maintenance"), list+"/"+string(in.id), list+"/"+string(in.id)+"/delete"
		v.Hidden = []ui.Param{{Name: "id", Value: string(in.id)}}
	}
	v.Fields, v.Error = withNotes(v.Fields, e)
	if x, err := in.window(); try && err == nil && e == nil {
		v.Tried, v.Next = true, x.Next(m.d.Clock(), windowPreview)
		if v.Alerts, err = m.wouldMute(r, ws, x.Matchers, true); err != nil {
			return err
		}
	}
	return m.pages.Render(w, r, status, "quiet", ui.Page{Title: title, App: appKey, Section: list, Crumbs: []ui.Crumb{{Label: "Maintenance", Href: list}}, Body: v})
}

func readWindow(r *http.Request) (in windowInput, err error) {
	form, err := httpx.ReadForm(r)
	if err != nil {
		return in, err
	}
	in = windowInput{"", form.Get("name"), form.Get("matchers"), form.Get("start"), form.Get("lasts"), form.Get("repeat"), form.Get("rule"), form.Get("zone")}
	if id := form.Get("id"); kernel.ValidID(id) {
		in.id = kernel.ID(id)
	}
	return in, nil
}

func (m *Module) testWindow(w http.ResponseWriter, r *http.Request) error {
	in, err := readWindow(r)
	if err != nil {
		return err
	}
	x, err := in.window()
	if err == nil {
		err = checkWindow(x, m.d.Clock())
	}
	return m.renderWindow(w, r, in, true, err)
}

func (m *Module) createWindow(w http.ResponseWriter, r *http.Request) error {
	return m.saveWindowPost(w, r, "", "maintenance.create")
}

func (m *Module) updateWindow(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	return m.saveWindowPost(w, r, id, "maintenance.update")
}

func (m *Module) saveWindowPost(w http.ResponseWriter, r *http.Request, id kernel.ID, action string) error {
	in, err := readWindow(r)
	if err != nil {
		return err
	}
	in.id = id
	if id != "" {
		if _, err := m.FindWindow(r.Context(), wsOf(r), id); err != nil {
			return err
		}
	}
	x, err := in.window()
	if err == nil {
		x, err = m.SaveWindow(r.Context(), wsOf(r), x)
	}
	if err != nil {
		return m.renderWindow(w, r, in, false, err)
	}
	if err := m.d.Audit(r.Context(), action, "maintenance:"+string(x.ID), ""); err != nil {
		return err
	}
	return respond.SeeOther(w, r, home(wsOf(r))+"/maintenance?done=saved")
}

func (m *Module) deleteWindowPost(w http.ResponseWriter, r *http.Request) error {
	return m.flipRule(w, r, "maintenance.delete", m.DeleteWindow, func(ws kernel.WorkspaceID, id kernel.ID) string {
		return home(ws) + "/maintenance?deleted=" + string(id)
	})
}

func (m *Module) restoreWindowPost(w http.ResponseWriter, r *http.Request) error {
	return m.flipRule(w, r, "maintenance.restore", m.RestoreWindow, func(ws kernel.WorkspaceID, _ kernel.ID) string { return home(ws) + "/maintenance?done=restored" })
}

func (m *Module) endWindowPost(w http.ResponseWriter, r *http.Request) error {
	return m.flipRule(w, r, "maintenance.end", m.EndWindow, func(ws kernel.WorkspaceID, _ kernel.ID) string { return home(ws) + "/maintenance?done=ended" })
}
