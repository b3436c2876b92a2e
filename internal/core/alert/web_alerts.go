package alert

import (
	"cmp"
	"context"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/prometheus/promql"

	"github.com/kept-dev/kept/internal/core/query"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/httpx/respond"
	"github.com/kept-dev/kept/internal/ui"
)

// alertRow is one alert in a list.
type alertRow struct {
	Alert
	Href     string
	RuleHref string
	Tone     ui.Tone
	Word     string // of the severity
	Shown    []ui.Param
	Muted    *Mute
	Number   string
}

// Since is when the state began.
func (r alertRow) Since() time.Time {
	switch r.State {
	case Firing:
		return r.FiredAt
	case Resolved:
		return r.ResolvedAt
	}
	return r.StartedAt
}

// Lasted is how long it fired.
func (r alertRow) Lasted() any {
	if r.FiredAt.IsZero() || r.ResolvedAt.IsZero() {
		return nil
	}
	return r.ResolvedAt.Sub(r.FiredAt)
}

func newRow(ws kernel.WorkspaceID, a Alert, mute *Mute) alertRow {
	return alertRow{Alert: a, Href: alertHref(ws, a.ID), RuleHref: ruleHref(ws, a.RuleID), Tone: severityTone(a.Severity), Word: severityWord(a.Severity),
		Shown: pairs(a.Labels, "alertname", "severity"), Muted: mute, Number: ui.Number(a.Value)}
}

type alertsView struct {
	Filters ui.Filters
	Firing  []alertRow
	Pending []alertRow
	Recent  []alertRow
	Live    *ui.Live
	Empty   *ui.Empty // nothing is watched yet
	Calm    string    // nothing is wrong
	NoMatch bool
	Pager   ui.Pager
}

func alertFilters(r *http.Request, target string, history bool) ui.Filters {
	fields := []ui.Filter{
		{Name: "q", Label: "Search", Placeholder: "Name or label", Wide: true},
		{Name: "severity", Label: "Severity", Kind: "select", Options: severityOptions},
	}
	if history {
		fields = append(fields, ui.Filter{Name: "from", Label: "From", Kind: "date"}, ui.Filter{Name: "to", Label: "Until", Kind: "date"})
	} else {
		fields = append(fields, ui.Filter{Name: "state", Label: "State", Kind: "select", Options: []ui.Option{
			{Value: Firing, Label: "Firing"}, {Value: Pending, Label: "Pending"}, {Value: Resolved, Label: "Resolved"}}})
	}
	return ui.NewFilters(r.URL, target, fields...)
}

// readFilter reads a list's filter from an address; the pages and the API share it.
func readFilter(q url.Values) (f Filter, err error) {
	f = Filter{Text: strings.TrimSpace(q.Get("q")), Name: q.Get("name"), Fingerprint: q.Get("fingerprint"), RuleID: kernel.ID(q.Get("rule"))}
	if s := q.Get("severity"); s != "" {
		f.Severities = strings.Split(s, ",")
	}
	if s := q.Get("state"); s != "" {
		f.States = strings.Split(s, ",")
	}
	if f.From, err = httpx.ReadTime(q.Get("from")); err != nil {
		return f, kernel.InvalidField("from", "Write a date.")
	}
	if f.To, err = httpx.ReadTime(q.Get("to")); err != nil {
		return f, kernel.InvalidField("to", "Write a date.")
	}
	if !f.To.IsZero() && len(q.Get("to")) == len("2006-01-02") {
		f.To = f.To.Add(24 * time.Hour) // the day is meant, whole
	}
	if c := q.Get("cursor"); c != "" {
		if !kernel.ValidID(c) {
			return f, kernel.Errorf(kernel.Malformed, "The cursor is not one of ours.")
		}
		f.Before = kernel.ID(c)
	}
	return f, nil
}

// recentFor is for how long an alert that is over stays on the first page.
const recentFor = 24 * time.Hour

func (m *Module) alertsPage(w http.ResponseWriter, r *http.Request) error {
	ws := wsOf(r)
	v := alertsView{Filters: alertFilters(r, "alerts", false), Live: livePage(ws, "alerts")}
	f, err := readFilter(r.URL.Query())
	if err != nil {
		return err
	}
	mutes, err := m.mutesAt(r.Context(), ws, m.d.Clock())
	if err != nil {
		return err
	}
	asked := f.States
	for _, part := range []struct {
		state string
		into  *[]alertRow
		limit int
	}{{Firing, &v.Firing, 300}, {Pending, &v.Pending, 100}, {Resolved, &v.Recent, 30}} {
		if len(asked) > 0 && !slices.Contains(asked, part.state) {
			continue
		}
		f.States, f.Limit, f.From = []string{part.state}, part.limit, time.Time{}
		if part.state == Resolved {
			f.From = m.d.Clock().Add(-recentFor)
		}
		list, err := m.Alerts(r.Context(), ws, f)
		if err != nil {
			return err
		}
		for _, a := range list {
			*part.into = append(*part.into, newRow(ws, a, mutes.of(a.Labels)))
		}
	}
	slices.SortStableFunc(v.Firing, func(a, b alertRow) int {
		return cmp.Or(rank(a)-rank(b), b.FiredAt.Compare(a.FiredAt))
	})
	if len(v.Firing)+len(v.Pending)+len(v.Recent) == 0 {
		if err := m.nothing(r.Context(), ws, &v); err != nil {
			return err
		}
	}
	page := ui.Page{Title: "Alerts", App: appKey, Section: home(ws), Body: v, Toasts: toast(r, map[string]string{"silenced": "The silence is in force."})}
	if n := len(v.Firing); n > 0 {
		page.Lead, _ = ui.Plural(n, "alert fires now.", "alerts fire now.")
	} else if len(asked) == 0 && v.Empty == nil {
		page.Lead = "Nothing fires now."
	}
	if mayChange(r) {
		page.Actions = []ui.Action{{Label: "New rule", Href: home(ws) + "/rules/new", Icon: "plus", Primary: true}}
	}
	page.Live = nil
	return m.pages.Render(w, r, http.StatusOK, "alerts", page)
}

// rank orders what fires: what nobody takes care of first, then by severity.
func rank(a alertRow) int {
	n := 1
	switch a.Severity {
	case "critical", "page":
		n = 0
	case "info":
		n = 2
	}
	if !a.AckedAt.IsZero() {
		n += 10
	}
	if a.Muted != nil {
		n += 20
	}
	return n
}

// nothing says why a list is empty.
func (m *Module) nothing(ctx context.Context, ws kernel.WorkspaceID, v *alertsView) error {
	if v.Filters.Active > 0 {
		v.NoMatch = true
		return nil
	}
	rules, err := m.Rules(ctx, ws)
	if err != nil {
		return err
	}
	on := 0
	for _, r := range rules {
		if r.Enabled && r.IsAlert() {
			on++
		}
	}
	if on == 0 {
		v.Empty = &ui.Empty{Icon: "bell", Title: "Nothing is watched yet", Text: "Turn on a pack of ready-made rules, or write a rule of your own. Its message goes to the owners and admins by mail until you route it elsewhere.",
			Action: &ui.Action{Label: "See the rule packs", Href: home(ws) + "/packs", Primary: true}}
		return nil
	}
	text, err := ui.Plural(on, "rule watches, and finds nothing wrong.", "rules watch, and find nothing wrong.")
	v.Calm = text
	return err
}

func (m *Module) historyPage(w http.ResponseWriter, r *http.Request) error {
	ws := wsOf(r)
	f, err := readFilter(r.URL.Query())
	if err != nil {
		return err
	}
	const perPage = 50
	f.States, f.Limit = []string{Firing, Resolved}, perPage+1
	list, err := m.Alerts(r.Context(), ws, f)
	if err != nil {
		return err
	}
	next := ""
	if len(list) > perPage {
		list = list[:perPage]
		next = string(list[perPage-1].ID)
	}
	v := alertsView{Filters: alertFilters(r, "history", true), Pager: ui.NewPager(r.URL, "history", next, "")}
	for _, a := range list {
		v.Recent = append(v.Recent, newRow(ws, a, nil))
	}
	if len(list) == 0 {
		if v.NoMatch = v.Filters.Active > 0; !v.NoMatch {
			v.Empty = &ui.Empty{Icon: "clock", Title: "Nothing has fired yet", Text: "Every alert that fired is listed here for a year, with what stood behind it and who took care of it.",
				Action: &ui.Action{Label: "See the rules", Href: home(ws) + "/rules"}}
		}
	}
	return m.pages.Render(w, r, http.StatusOK, "history", ui.Page{Title: "History", App: appKey, Section: home(ws) + "/history", Body: v})
}

type alertView struct {
	alertRow
	Summary     string
	Description string
	Runbook     string
	Stats       []ui.Stat
	Chart       *ui.Chart
	NoChart     string
	Expr        string
	RuleName    string
	Similar     []alertRow
	SilenceHref string
	TellHref    string   // where customers are told
	Told        *ui.Link // the incident, if they were
	Form        ui.Form  // of the acknowledgement
	Open        bool
	May         bool
	UnackHref   string
	Home        string
	Notes       []ui.Param
}

func (m *Module) alertPage(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	return m.renderAlert(w, r, id, nil)
}

func (m *Module) renderAlert(w http.ResponseWriter, r *http.Request, id kernel.ID, wrong error) error {
	ctx, ws := r.Context(), wsOf(r)
	status, e, err := formStatus(wrong)
	if err != nil {
		return err
	}
	a, err := m.FindAlert(ctx, ws, id)
	if err != nil {
		return err
	}
	mutes, err := m.mutesAt(ctx, ws, m.d.Clock())
	if err != nil {
		return err
	}
	v := alertView{alertRow: newRow(ws, a, nil), Summary: a.Annotations["summary"], Description: a.Annotations["description"], Open: a.State != Resolved, May: mayChange(r)}
	if v.Open {
		v.Muted = mutes.of(a.Labels)
	}
	if u, err := url.Parse(a.Annotations["runbook_url"]); err == nil && (u.Scheme == "https" || u.Scheme == "http") {
		v.Runbook = u.String()
	}
	v.Notes = pairs(a.Annotations, "summary", "description", "runbook_url")
	v.Stats = alertStats(v.alertRow)
	v.SilenceHref = home(ws) + "/silences/new?alert=" + string(a.ID)
	v.TellHref = "/w/" + string(ws) + "/status-page/incidents/new?alert=" + string(a.ID)
	if v.Told, err = m.toldOf(ctx, ws, a.ID); err != nil {
		return err
	}
	fields, text := withNotes([]ui.Field{{Name: "note", Label: "Note", Kind: "textarea", Rows: 2, MaxLength: maxNote, Value: r.PostFormValue("note"), Placeholder: "What you found, or what you do about it"}}, e)
	v.Form = ui.Form{Action: v.Href + "/ack", Fields: fields, Submit: "Acknowledge", Error: text}
	v.UnackHref, v.Home = v.Href+"/unack", home(ws)
	rule, err := m.FindRule(ctx, ws, a.RuleID)
	switch {
	case err == nil:
		v.RuleName = rule.Name
		v.Chart, v.Expr = m.alertChart(ctx, ws, rule, a)
		if v.Chart == nil {
			v.NoChart = "There are no numbers of that time any more, or the expression has changed."
		}
	case kernel.CodeOf(err) == kernel.NotFound:
		v.RuleHref, v.NoChart = "", "The rule is gone."
	default:
		return err
	}
	similar, err := m.similar(ctx, ws, a)
	if err != nil {
		return err
	}
	for _, s := range similar {
		v.Similar = append(v.Similar, newRow(ws, s, nil))
	}
	return m.pages.Render(w, r, status, "alert", ui.Page{Title: a.Name, App: appKey, Section: home(ws), NoHead: true, Body: v,
		Toasts: toast(r, map[string]string{"acked": "You take care of it: nobody is reminded until it is over.", "unacked": "Reminders go out again."})})
}

func alertStats(a alertRow) []ui.Stat {
	since, _ := ui.Duration(time.Since(a.StartedAt).Round(time.Second))
	out := []ui.Stat{{Label: "Value", Value: a.Number, Tone: a.statTone(), Hint: "when it was last evaluated"}}
	switch a.State {
	case Resolved:
		lasted, _ := ui.Duration(a.ResolvedAt.Sub(a.FiredAt))
		out = append(out, ui.Stat{Label: "Fired for", Value: lasted})
	case Firing:
		lasted, _ := ui.Duration(time.Since(a.FiredAt).Round(time.Second))
		out = append(out, ui.Stat{Label: "Fires for", Value: lasted})
	default:
		out = append(out, ui.Stat{Label: "Pending for", Value: since})
	}
	times, _ := ui.Count(a.Fired)
	stat := ui.Stat{Label: "Fired in the last day", Value: times, Unit: "times"}
	if a.Fired == 1 {
		stat.Unit = "time"
	}
	if a.Flaps() {
		stat.Tone, stat.Hint = ui.ToneWarn, "it comes and goes: a longer “for” would calm it"
	}
	return append(out, stat)
}

func (r alertRow) statTone() ui.Tone {
	if r.State == Firing {
		return r.Tone
	}
	return ""
}

// alertChart draws the rule's expression around the firing, of the series that the alert is about.
func (m *Module) alertChart(ctx context.Context, ws kernel.WorkspaceID, rule Rule, a Alert) (*ui.Chart, string) {
	expr := rule.Expr
	if rule.Kind == KindAbsence || rule.Kind == KindAnomaly {
		if c, err := m.compileExpr(rule); err == nil && rule.Kind == KindAbsence {
			expr = c
		}
	}
	end := a.ResolvedAt
	if end.IsZero() {
		end = time.Now()
	}
	length := max(end.Sub(a.StartedAt), 20*time.Minute)
	from := a.StartedAt.Add(-max(length/2, 30*time.Minute))
	to := end.Add(length / 4)
	if now := time.Now(); to.After(now) {
		to = now
	}
	if to.Sub(from) > 7*24*time.Hour {
		from = to.Add(-7 * 24 * time.Hour)
	}
	chart := m.ruleChart(ctx, ws, rule.Name, expr, from, to, chartPoints, a.Labels)
	if chart == nil {
		return nil, expr
	}
	if rule.Kind == KindThreshold {
		chart.Thresholds = []ui.Threshold{{Value: rule.Value, Tone: severityTone(a.Severity), Label: "limit"}}
	}
	if !a.FiredAt.IsZero() {
		chart.Marks = append(chart.Marks, ui.Mark{At: a.FiredAt, Until: a.ResolvedAt, Label: "fires", Tone: severityTone(a.Severity)})
	}
	return chart, expr
}

// The limits of a chart beside a rule.
const (
	chartPoints = 240
	testPoints  = 1000 // of a backtest, which is about a longer time: what is short should not fall between two
	chartLines  = 8
	chartTime   = 5 * time.Second
)

// ruleChart draws what a rule looks at at so many moments, of the series that fit an alert's labels; nil where there are no numbers.
func (m *Module) ruleChart(ctx context.Context, ws kernel.WorkspaceID, name, expr string, from, to time.Time, points int, labels map[string]string) *ui.Chart {
	step := max((to.Sub(from) / time.Duration(points)).Round(time.Second), 5*time.Second)
	ctx, cancel := context.WithTimeout(ctx, chartTime)
	defer cancel()
	res, err := m.d.Query.Range(ctx, ws, expr, query.Span{From: from, To: to, Step: step})
	if err != nil {
		return nil
	}
	matrix, ok := res.Value.(promql.Matrix)
	if !ok {
		return nil
	}
	chart := &ui.Chart{ID: "alert-chart", Title: name, From: from, To: to, Height: 220}
	for at := from; !at.After(to); at = at.Add(step) {
		chart.At = append(chart.At, at)
	}
	first := from.UnixMilli()
	for _, s := range matrix {
		ls := s.Metric.Map()
		if !fits(ls, labels) || len(chart.Series) == chartLines {
			continue
		}
		values := make([]float64, len(chart.At))
		for i := range values {
			values[i] = math.NaN()
		}
		for _, p := range s.Floats {
			if i := int((p.T - first) / step.Milliseconds()); i >= 0 && i < len(values) {
				values[i] = p.F
			}
		}
		chart.Series = append(chart.Series, ui.Series{Label: seriesLabel(ls, name), Values: values})
	}
	if len(chart.Series) == 0 {
		return nil
	}
	return chart
}

// fits tells whether a series is one that the alert is about: all labels that both have agree.
func fits(series, alert map[string]string) bool {
	for name, value := range series {
		if other, ok := alert[name]; ok && name != "alertname" && other != value {
			return false
		}
	}
	return true
}

func seriesLabel(ls map[string]string, name string) string {
	var parts []string
	for _, p := range pairs(ls, "__name__") {
		parts = append(parts, p.Value)
	}
	if len(parts) == 0 {
		return cmp.Or(ls["__name__"], name)
	}
	return strings.Join(parts, " · ")
}

func (m *Module) ack(w http.ResponseWriter, r *http.Request) error {
	return m.changeAck(w, r, "acked", func(id kernel.ID, note string) error { return m.Acknowledge(r.Context(), wsOf(r), id, note) })
}

func (m *Module) unack(w http.ResponseWriter, r *http.Request) error {
	return m.changeAck(w, r, "unacked", func(id kernel.ID, _ string) error { return m.Unacknowledge(r.Context(), wsOf(r), id) })
}

func (m *Module) changeAck(w http.ResponseWriter, r *http.Request, done string, change func(id kernel.ID, note string) error) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	form, err := httpx.ReadForm(r)
	if err != nil {
		return err
	}
	if err := change(id, strings.TrimSpace(form.Get("note"))); err != nil {
		return m.renderAlert(w, r, id, err)
	}
	if err := m.d.Audit(r.Context(), "alert."+strings.TrimSuffix(done, "ed"), "alert:"+string(id), ""); err != nil {
		return err
	}
	return respond.SeeOther(w, r, alertHref(wsOf(r), id)+"?done="+done)
}
