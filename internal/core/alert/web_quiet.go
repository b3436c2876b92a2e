package alert

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/httpx/respond"
	"github.com/kept-dev/kept/internal/ui"
)

// parseSpan reads a time span as Prometheus writes it: 30s, 1h30m, 7d.
func parseSpan(s string) (time.Duration, error) {
	d, err := model.ParseDuration(strings.ReplaceAll(s, " ", ""))
	return time.Duration(d), err
}

type silenceRow struct {
	Silence
	Now    string // pending, active, expired
	Mutes  int    // alerts that it mutes now
	Expire string
	Again  string // where the same can be made again
}

type silencesView struct {
	Active  []silenceRow
	Expired []silenceRow
	Empty   *ui.Empty
	May     bool
}

func (m *Module) silencesPage(w http.ResponseWriter, r *http.Request) error {
	ctx, ws, now := r.Context(), wsOf(r), m.d.Clock()
	list, err := m.Silences(ctx, ws, now.Add(-muteKept))
	if err != nil {
		return err
	}
	open, err := m.openAlerts(ctx, ws)
	if err != nil {
		return err
	}
	v := silencesView{May: mayChange(r)}
	for _, s := range list {
		row := silenceRow{Silence: s, Now: s.State(now), Expire: home(ws) + "/silences/" + string(s.ID) + "/expire",
			Again: home(ws) + "/silences/new?matchers=" + url.QueryEscape(WriteMatchers(s.Matchers)) + "&comment=" + url.QueryEscape(s.Comment)}
		for _, a := range open {
			if a.State == Firing && matches(s.Matchers, a.Labels) {
				row.Mutes++
			}
		}
		if row.Now == "expired" {
			v.Expired = append(v.Expired, row)
		} else {
			v.Active = append(v.Active, row)
		}
	}
	if len(v.Active) == 0 {
		v.Empty = &ui.Empty{Icon: "minus", Title: "Nothing is silenced", Text: "Silence an alert that you know of, for as long as you work on it. It still shows, but sends no messages."}
		if v.May {
			v.Empty.Action = &ui.Action{Label: "New silence", Href: home(ws) + "/silences/new", Primary: true}
		}
	}
	page := ui.Page{Title: "Silences", App: appKey, Section: home(ws) + "/silences", Body: v,
		Toasts: toast(r, map[string]string{"saved": "The silence is in force.", "expired": "The silence is over."})}
	if v.May && len(v.Active) > 0 {
		page.Actions = []ui.Action{{Label: "New silence", Href: home(ws) + "/silences/new", Icon: "plus", Primary: true}}
	}
	return m.pages.Render(w, r, http.StatusOK, "silences", page)
}

// quietForm is the form of a silence or a window, with what it would mute.
type quietForm struct {
	Action, Test, Cancel string
	Hidden               []ui.Param
	Fields               []ui.Field
	Error                string
	Tried                bool
	Alerts               []alertRow // that it would mute now
	Next                 []Span     // of a window
	Zone                 *time.Location
	Submit, Danger       string // Danger is where it is deleted
}

// Invalid lists the fields with an error, for the summary above the form.
func (f quietForm) Invalid() []ui.Field { return ui.Form{Fields: f.Fields}.Invalid() }

// InZone writes an occurrence in the window's own time.
func (f quietForm) InZone(t time.Time) string { return t.In(f.Zone).Format("Mon 2 Jan 2006 15:04 MST") }

type silenceInput struct {
	matchers, comment, lasts string
}

var silenceLasts = []ui.Option{{Value: "30m", Label: "30 minutes"}, {Value: "1h", Label: "1 hour"}, {Value: "4h", Label: "4 hours"}, {Value: "1d", Label: "1 day"}, {Value: "3d", Label: "3 days"}, {Value: "1w", Label: "1 week"}, {Value: "30d", Label: "30 days"}}

func (m *Module) newSilencePage(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	in := silenceInput{q.Get("matchers"), q.Get("comment"), "4h"}
	if id := q.Get("alert"); kernel.ValidID(id) {
		a, err := m.FindAlert(r.Context(), wsOf(r), kernel.ID(id))
		if err != nil {
			return err
		}
		var list []Matcher
		for _, p := range pairs(a.Labels) {
			list = append(list, Matcher{p.Name, "=", p.Value})
		}
		in.matchers = WriteMatchers(list)
		return m.renderSilence(w, r, in, true, nil)
	}
	return m.renderSilence(w, r, in, in.matchers != "", nil)
}

func (m *Module) renderSilence(w http.ResponseWriter, r *http.Request, in silenceInput, try bool, wrong error) error {
	status, e, err := formStatus(wrong)
	if err != nil {
		return err
	}
	ws := wsOf(r)
	list, parse := ReadMatchers(in.matchers)
	v := quietForm{Action: home(ws) + "/silences", Test: home(ws) + "/silences/test", Cancel: home(ws) + "/silences", Submit: "Silence", Fields: []ui.Field{
		{Name: "matchers", Label: "Alerts with", Kind: "textarea", Rows: 4, Mono: true, Required: true, Value: in.matchers, Placeholder: "alertname=\"DiskFull\"\ninstance=~\"web.*\"",
			Hint: "One label per line: = and != compare, =~ and !~ take a regular expression. All must fit."},
		{Name: "lasts", Label: "For", Kind: "select", Required: true, Value: in.lasts, Options: silenceLasts},
		{Name: "comment", Label: "Why", Value: in.comment, MaxLength: maxNote, Placeholder: "The disk is on order"},
	}}
	v.Fields, v.Error = withNotes(v.Fields, e)
	if try && parse == nil && e == nil {
		v.Tried = true
		if v.Alerts, err = m.wouldMute(r, ws, list, false); err != nil {
			return err
		}
	}
	return m.pages.Render(w, r, status, "silence", ui.Page{Title: "New silence", App: appKey, Section: v.Cancel, Crumbs: []ui.Crumb{{Label: "Silences", Href: v.Cancel}}, Body: v})
}

// wouldMute lists the open alerts that matchers fit.
func (m *Module) wouldMute(r *http.Request, ws kernel.WorkspaceID, list []Matcher, all bool) (out []alertRow, err error) {
	open, err := m.openAlerts(r.Context(), ws)
	for _, a := range open {
		if matches(list, a.Labels) || all && len(list) == 0 {
			out = append(out, newRow(ws, a, nil))
		}
	}
	return out, err
}

func (m *Module) readSilence(r *http.Request) (s Silence, in silenceInput, err error) {
	form, err := httpx.ReadForm(r)
	if err != nil {
		return s, in, err
	}
	in = silenceInput{form.Get("matchers"), strings.TrimSpace(form.Get("comment")), form.Get("lasts")}
	if s.Matchers, err = ReadMatchers(in.matchers); err != nil {
		return s, in, err
	}
	lasts, err := parseSpan(in.lasts)
	if err != nil {
		return s, in, kernel.InvalidField("lasts", "Choose for how long.")
	}
	s.Comment, s.From = in.comment, m.d.Clock()
	s.Until = s.From.Add(lasts)
	return s, in, checkSilence(s, s.From)
}

func (m *Module) testSilence(w http.ResponseWriter, r *http.Request) error {
	_, in, err := m.readSilence(r)
	return m.renderSilence(w, r, in, true, err)
}

func (m *Module) createSilence(w http.ResponseWriter, r *http.Request) error {
	s, in, err := m.readSilence(r)
	if err == nil {
		s, err = m.SaveSilence(r.Context(), wsOf(r), s)
	}
	if err != nil {
		return m.renderSilence(w, r, in, false, err)
	}
	if err := m.d.Audit(r.Context(), "silence.create", "silence:"+string(s.ID), ""); err != nil {
		return err
	}
	return respond.SeeOther(w, r, home(wsOf(r))+"/silences?done=saved")
}

func (m *Module) expireSilencePost(w http.ResponseWriter, r *http.Request) error {
	return m.flipRule(w, r, "silence.expire", m.ExpireSilence, func(ws kernel.WorkspaceID, _ kernel.ID) string { return home(ws) + "/silences?done=expired" })
}

type windowRow struct {
	Window
	Href string
	Next []Span
	Now  bool
	zone *time.Location
}

// InZone writes a time in the window's own zone.
func (w windowRow) InZone(t time.Time) string {
	return t.In(w.zone).Format("Mon 2 Jan 15:04 MST")
}

type windowsView struct {
	Rows  []windowRow
	Past  []windowRow
	Empty *ui.Empty
	May   bool
}

func (m *Module) windowsPage(w http.ResponseWriter, r *http.Request) error {
	ws, now := wsOf(r), m.d.Clock()
	list, err := m.Windows(r.Context(), ws, now.Add(-muteKept))
	if err != nil {
		return err
	}
	v := windowsView{May: mayChange(r)}
	for _, x := range list {
		row := windowRow{Window: x, Href: home(ws) + "/maintenance/" + string(x.ID), Next: x.Next(now, 2), zone: zoneOf(x.Zone)}
		_, row.Now = x.At(now)
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
	page := ui.Page{Title: "Maintenance", App: appKey, Section: home(ws) + "/maintenance", Body: v,
		Toasts: toast(r, map[string]string{"saved": "The maintenance window is saved.", "deleted": "The maintenance window is deleted."})}
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

const localTime = "2006-01-02T15:04"

func (m *Module) newWindowPage(w http.ResponseWriter, r *http.Request) error {
	in := windowInput{start: m.d.Clock().Truncate(time.Hour).Add(time.Hour).Format(localTime), lasts: "2h", zone: "UTC"}
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
	in := windowInput{id, x.Name, WriteMatchers(x.Matchers), x.Start.In(zoneOf(x.Zone)).Format(localTime), model.Duration(x.Lasts).String(), x.Rule, "", x.Zone}
	known := false
	for _, o := range windowRepeats {
		known = known || o.Value == x.Rule
	}
	if !known {
		in.repeat, in.rule = "own", x.Rule
	}
	return m.renderWindow(w, r, in, true, nil)
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
	v := quietForm{Action: list, Test: list + "/test", Cancel: list, Submit: "Save", Zone: zoneOf(in.zone), Fields: []ui.Field{
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
	return m.pages.Render(w, r, status, "window", ui.Page{Title: title, App: appKey, Section: list, Crumbs: []ui.Crumb{{Label: "Maintenance", Href: list}}, Body: v})
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
	if err := m.d.Audit(r.Context(), action, "maintenance:"+string(x.ID), x.Name); err != nil {
		return err
	}
	return respond.SeeOther(w, r, home(wsOf(r))+"/maintenance?done=saved")
}

func (m *Module) deleteWindowPost(w http.ResponseWriter, r *http.Request) error {
	return m.flipRule(w, r, "maintenance.delete", func(ctx context.Context, ws kernel.WorkspaceID, id kernel.ID) error {
		return m.DeleteWindow(ctx, ws, id)
	},
		func(ws kernel.WorkspaceID, _ kernel.ID) string { return home(ws) + "/maintenance?done=deleted" })
}
