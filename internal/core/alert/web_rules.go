package alert

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
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

var kindWords = map[string]struct{ Title, About string }{
	KindThreshold:  {"Threshold", "A value goes beyond a limit: load above 5, free space below 10 %."},
	KindAbsence:    {"Absence", "Something that should report no longer does."},
	KindAnomaly:    {"Anomaly", "A value is unlike the same time in past weeks."},
	KindForecast:   {"Forecast", "A value will go beyond a limit if it goes on like this: a disk that fills up."},
	KindExpression: {"PromQL", "An expression that finds what is wrong by itself, as in a Prometheus rule file."},
	KindRecording:  {"Recording", "The result of an expression is stored as a series of its own."},
}

type ruleRow struct {
	Rule
	Href     string
	KindWord string
	Tone     ui.Tone
	Word     string
	State    string // firing, pending, ok, error, unknown, disabled
	Last     time.Time
	Took     time.Duration
	Problem  string
	Active   int
}

type ruleGroup struct {
	Name  string
	Every string
	Rows  []ruleRow
}

type rulesView struct {
	Filters ui.Filters
	Groups  []ruleGroup
	Deleted []ruleRow
	Empty   *ui.Empty
	NoMatch bool
	May     bool
	Undo    string // where the rule that was just deleted can be brought back
	Name    string // of that rule
}

func newRuleRow(ws kernel.WorkspaceID, r Rule, states map[kernel.ID]promRule) ruleRow {
	row := ruleRow{Rule: r, Href: ruleHref(ws, r.ID), KindWord: kindWords[r.Kind].Title, Tone: severityTone(r.Severity), Word: severityWord(r.Severity), State: "waiting"}
	s, known := states[r.ID]
	switch {
	case !r.Enabled:
		row.State = "disabled"
		return row
	case !known || s.LastEvaluation.IsZero():
		return row
	case s.Health == "err":
		row.State, row.Problem = "error", s.LastError
	case s.State == Firing || s.State == Pending:
		row.State = s.State
	default:
		row.State = "ok"
	}
	row.Last, row.Took, row.Active = s.LastEvaluation, time.Duration(s.EvaluationTime*float64(time.Second)), len(s.Alerts)
	return row
}

// ruleStates are what the rules do, by id.
func (m *Module) ruleStates(ctx context.Context, ws kernel.WorkspaceID) (map[kernel.ID]promRule, error) {
	groups, err := m.status(ctx, ws)
	out := map[kernel.ID]promRule{}
	for _, g := range groups {
		for _, r := range g.Rules {
			out[r.ID] = r
		}
	}
	return out, err
}

func (m *Module) rulesPage(w http.ResponseWriter, r *http.Request) error {
	ctx, ws := r.Context(), wsOf(r)
	list, err := m.Rules(ctx, ws)
	if err != nil {
		return err
	}
	settings, err := m.Groups(ctx, ws)
	if err != nil {
		return err
	}
	states, err := m.ruleStates(ctx, ws)
	if err != nil {
		return err
	}
	deleted, err := m.DeletedRules(ctx, ws)
	if err != nil {
		return err
	}
	v := rulesView{May: mayChange(r), Filters: ui.NewFilters(r.URL, "rules",
		ui.Filter{Name: "q", Label: "Search", Placeholder: "Name or expression", Wide: true},
		ui.Filter{Name: "state", Label: "State", Kind: "select", Options: []ui.Option{{Value: "firing", Label: "Firing"}, {Value: "pending", Label: "Pending"}, {Value: "ok", Label: "Fine"}, {Value: "error", Label: "Error"}, {Value: "disabled", Label: "Disabled"}}})}
	q, state := strings.ToLower(r.URL.Query().Get("q")), r.URL.Query().Get("state")
	for _, rule := range list {
		row := newRuleRow(ws, rule, states)
		if q != "" && !strings.Contains(strings.ToLower(rule.Name+" "+rule.Expr+" "+rule.Group), q) || state != "" && row.State != state {
			continue
		}
		if n := len(v.Groups); n == 0 || v.Groups[n-1].Name != rule.Group {
			v.Groups = append(v.Groups, ruleGroup{Name: rule.Group, Every: span(settings[rule.Group].Every())})
		}
		last := &v.Groups[len(v.Groups)-1]
		last.Rows = append(last.Rows, row)
	}
	for _, rule := range deleted {
		v.Deleted = append(v.Deleted, newRuleRow(ws, rule, nil))
		if string(rule.ID) == r.URL.Query().Get("deleted") && v.May {
			v.Undo, v.Name = ruleHref(ws, rule.ID)+"/restore", rule.Name
		}
	}
	v.NoMatch = len(list) > 0 && len(v.Groups) == 0
	page := ui.Page{Title: "Rules", App: appKey, Section: home(ws) + "/rules", Body: v, Lead: "What is watched, how often, and what it found last.",
		Toasts: toast(r, map[string]string{"restored": "The rule is back.", "imported": "The rules are imported."})}
	if len(list) == 0 {
		v.Empty = &ui.Empty{Icon: "list", Title: "No rules yet", Text: "Turn on a pack of ready-made rules, write one, or import the rule files of a Prometheus.",
			Action: &ui.Action{Label: "See the rule packs", Href: home(ws) + "/packs", Primary: true}}
		page.Body = v
	}
	if v.May {
		page.Actions = []ui.Action{{Label: "Import", Href: home(ws) + "/rules/import"}, {Label: "New rule", Href: home(ws) + "/rules/new", Icon: "plus", Primary: true}}
	}
	if len(list) > 0 {
		page.Actions = append([]ui.Action{{Label: "Export", Href: home(ws) + "/rules/export", Icon: "download"}}, page.Actions...)
	}
	return m.pages.Render(w, r, http.StatusOK, "rules", page)
}

type ruleView struct {
	ruleRow
	About    string
	Compiled string
	Every    time.Duration
	Stats    []ui.Stat
	Alerts   []alertRow
	Versions []Version
	Notes    []ui.Param
	Pairs    []ui.Param
	May      bool
}

func (m *Module) rulePage(w http.ResponseWriter, r *http.Request) error {
	ctx, ws := r.Context(), wsOf(r)
	id, err := pathID(r)
	if err != nil {
		return err
	}
	rule, err := m.FindRule(ctx, ws, id)
	if err != nil {
		return err
	}
	states, err := m.ruleStates(ctx, ws)
	if err != nil {
		return err
	}
	settings, err := m.Groups(ctx, ws)
	if err != nil {
		return err
	}
	v := ruleView{ruleRow: newRuleRow(ws, rule, states), About: kindWords[rule.Kind].About, Every: settings[rule.Group].Every(), May: mayChange(r),
		Notes: pairs(rule.Annotations), Pairs: pairs(rule.Labels)}
	if v.Compiled, err = m.compileExpr(rule); err != nil {
		v.Problem = firstNote(err)
	}
	if v.Versions, err = m.Versions(ctx, ws, id); err != nil {
		return err
	}
	list, err := m.Alerts(ctx, ws, Filter{RuleID: id, Limit: 20})
	if err != nil {
		return err
	}
	for _, a := range list {
		v.Alerts = append(v.Alerts, newRow(ws, a, nil))
	}
	took, _ := ui.Duration(v.Took)
	v.Stats = []ui.Stat{{Label: "Evaluated every", Value: span(v.Every), Hint: "group " + rule.Group}, {Label: "Last evaluation took", Value: took}, {Label: "Alerts now", Value: strconv.Itoa(v.Active), Tone: v.alertTone()}}
	page := ui.Page{Title: rule.Name, App: appKey, Section: home(ws) + "/rules", Crumbs: []ui.Crumb{{Label: "Rules", Href: home(ws) + "/rules"}}, Body: v,
		Toasts: toast(r, map[string]string{"saved": "The rule is saved and in force.", "enabled": "The rule is on.", "disabled": "The rule is off. Its alerts are over."})}
	if v.May && rule.DeletedAt.IsZero() {
		page.Actions = []ui.Action{{Label: "Edit", Href: v.Href + "/edit", Icon: "edit", Primary: true}}
		if rule.Enabled {
			page.Actions = append(page.Actions, ui.Action{Label: "Turn off", Href: v.Href + "/disable", Post: true})
		} else {
			page.Actions = append(page.Actions, ui.Action{Label: "Turn on", Href: v.Href + "/enable", Post: true})
		}
		page.Actions = append(page.Actions, ui.Action{Label: "Delete", Href: v.Href + "/delete", Icon: "trash", Danger: true, Post: true})
	} else if v.May {
		page.Actions = []ui.Action{{Label: "Bring it back", Href: v.Href + "/restore", Post: true, Primary: true}}
	}
	return m.pages.Render(w, r, http.StatusOK, "rule", page)
}

func (r ruleRow) alertTone() ui.Tone {
	if r.State == Firing {
		return ui.ToneBad
	}
	return ""
}

// ruleForm is the form of a rule, with what it would have done when that was asked for.
type ruleForm struct {
	Action, Test, Cancel string
	Kinds                []ui.Tab
	KindWord, About      string
	Hidden               []ui.Param
	What, Then, More     []ui.Field // what is watched; what follows; the rest
	Error                string
	Compiled             string
	Backtest             *Backtest
	Span                 ui.Field
	Submit               string
}

// Invalid lists the fields with an error, for the summary above the form.
func (f ruleForm) Invalid() []ui.Field {
	return ui.Form{Fields: slices.Concat(f.What, f.Then, f.More)}.Invalid()
}

var testSpans = []ui.Option{{Value: "1d", Label: "the last day"}, {Value: "7d", Label: "the last 7 days"}, {Value: "30d", Label: "the last 30 days"}}

func (m *Module) newRulePage(w http.ResponseWriter, r *http.Request) error {
	ws := wsOf(r)
	q := r.URL.Query()
	rule := Rule{Kind: q.Get("kind"), Group: "default", Enabled: true, Expr: q.Get("expr"), Compare: ">", Severity: "warning"}
	if !slices.Contains(Kinds, rule.Kind) {
		rule.Kind = KindThreshold
		if rule.Expr == "" {
			rule.Expr = ""
		}
	}
	return m.renderRuleForm(w, r, ws, rule, ruleInput{}, nil, nil)
}

func (m *Module) editRulePage(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	rule, err := m.FindRule(r.Context(), wsOf(r), id)
	if err != nil {
		return err
	}
	return m.renderRuleForm(w, r, wsOf(r), rule, ruleInput{version: rule.Version}, nil, nil)
}

// ruleInput is what a form says beside the rule.
type ruleInput struct {
	version int
	every   time.Duration
	raw     func(string) string // what was typed, to show it again; nil at first
}

func text(in ruleInput, name, value string) string {
	if in.raw != nil {
		return in.raw(name)
	}
	return value
}

func span(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return modelDuration(d).String()
}

func (m *Module) renderRuleForm(w http.ResponseWriter, r *http.Request, ws kernel.WorkspaceID, rule Rule, in ruleInput, b *Backtest, wrong error) error {
	status, e, err := formStatus(wrong)
	if err != nil {
		return err
	}
	settings, err := m.Groups(r.Context(), ws)
	if err != nil {
		return err
	}
	v := ruleForm{Action: home(ws) + "/rules", Test: home(ws) + "/rules/test", Cancel: home(ws) + "/rules", KindWord: kindWords[rule.Kind].Title, About: kindWords[rule.Kind].About,
		Hidden: []ui.Param{{Name: "kind", Value: rule.Kind}}, Backtest: b, Submit: "Save the rule"}
	v.Span = ui.Field{Name: "span", Label: "Before you save, see what it would have done in", Kind: "select", Required: true, Options: testSpans, Hint: "“Try it out” evaluates the rule over what is stored, without telling anybody.", Value: cmp.Or(text(in, "span", "7d"), "7d")}
	title := "New rule"
	if rule.ID != "" {
		title = "Edit " + rule.Name
		v.Action, v.Cancel = ruleHref(ws, rule.ID), ruleHref(ws, rule.ID)
		v.Hidden = append(v.Hidden, ui.Param{Name: "id", Value: string(rule.ID)}, ui.Param{Name: "version", Value: strconv.Itoa(in.version)})
	} else {
		for _, k := range Kinds {
			v.Kinds = append(v.Kinds, ui.Tab{Label: kindWords[k].Title, Href: v.Action + "/new?kind=" + k, Current: k == rule.Kind})
		}
	}
	v.What, v.Then, v.More = m.ruleFields(ws, rule, in, settings)
	all, note := withNotes(slices.Concat(v.What, v.Then, v.More), e)
	v.What, v.Then, v.More, v.Error = all[:len(v.What)], all[len(v.What):len(v.What)+len(v.Then)], all[len(v.What)+len(v.Then):], note
	if c, err := m.compileExpr(rule); err == nil {
		v.Compiled = c
	}
	return m.pages.Render(w, r, status, "ruleform", ui.Page{Title: title, App: appKey, Section: home(ws) + "/rules",
		Crumbs: []ui.Crumb{{Label: "Rules", Href: home(ws) + "/rules"}}, Body: v})
}

var compareOptions = []ui.Option{{Value: ">", Label: "is above"}, {Value: ">=", Label: "is at or above"}, {Value: "<", Label: "is below"}, {Value: "<=", Label: "is at or below"},
	{Value: "==", Label: "is exactly"}, {Value: "!=", Label: "is anything but"}}

var intervalOptions = []ui.Option{{Value: "15s", Label: "15 seconds"}, {Value: "30s", Label: "30 seconds"}, {Value: "1m", Label: "minute"}, {Value: "5m", Label: "5 minutes"}, {Value: "1h", Label: "hour"}}

func (m *Module) ruleFields(ws kernel.WorkspaceID, rule Rule, in ruleInput, settings map[string]Group) (what, then, more []ui.Field) {
	f := func(name, label, value string) ui.Field {
		return ui.Field{Name: name, Label: label, Value: text(in, name, value)}
	}
	req := func(field ui.Field) ui.Field { field.Required = true; return field }
	hint := func(field ui.Field, hint string) ui.Field { field.Hint = hint; return field }
	choice := func(field ui.Field, options []ui.Option) ui.Field {
		field.Kind, field.Options = "select", options
		return field
	}
	name := req(f("name", "Name", rule.Name))
	name.Placeholder, name.MaxLength = "HighLoad", maxName
	if rule.Kind == KindRecording {
		name.Label, name.Placeholder = "Name of the new series", "instance:load:avg5m"
	}
	expr := req(f("expr", "PromQL", rule.Expr))
	expr.Kind, expr.Rows, expr.API = "promql", 3, "/w/"+string(ws)+"/explore/api"
	what = []ui.Field{name, expr}
	value := f("value", "Limit", number(rule.Value))
	value.InputMode, value.Required = "decimal", true
	compare := req(choice(f("compare", "Fires when it", cmp.Or(rule.Compare, ">")), compareOptions))
	switch rule.Kind {
	case KindThreshold:
		what = append(what, compare, value)
	case KindAbsence:
		each := ui.Field{Name: "each", Label: "Watch each series that reported within a day by itself", Kind: "checkbox", Checked: rule.Each,
			Hint: "Else it fires when nothing at all is left that fits."}
		what = append(what, hint(f("window", "Missing for", cmp.Or(span(time.Duration(rule.Window)), "5m")), "Such as 5m or 1h."), each)
	case KindAnomaly:
		dev := f("deviations", "How many deviations are too many", number(cmp.Or(rule.Deviations, 5)))
		ign := hint(f("ignore", "Ignore differences up to", number(rule.Ignore)), "In the unit of the expression. However calm past weeks were, a smaller difference never fires.")
		what = append(what, req(choice(f("direction", "Fires when it is", cmp.Or(rule.Direction, "either")), []ui.Option{{Value: "either", Label: "unusually high or low"}, {Value: "above", Label: "unusually high"}, {Value: "below", Label: "unusually low"}})),
			hint(f("weeks", "Compared with the same time in the last … weeks", strconv.Itoa(cmp.Or(rule.Weeks, 4))), "1 to 8. There must be that much history."),
			hint(dev, "Robust ones: the median distance from the median. 3 is twitchy, 5 is calm, 10 is numb."), ign)
	case KindForecast:
		value.Label = "Limit"
		compare.Label = "Fires when it will"
		compare.Options = []ui.Option{{Value: "<", Label: "fall below"}, {Value: ">", Label: "rise above"}, {Value: "<=", Label: "reach, from above"}, {Value: ">=", Label: "reach, from below"}}
		if rule.ID == "" && in.raw == nil {
			compare.Value = "<"
		}
		what = append(what, compare, value, hint(f("horizon", "Within", cmp.Or(span(time.Duration(rule.Horizon)), "1d")), "Such as 4h or 3d."),
			hint(f("window", "Going by the last", cmp.Or(span(time.Duration(rule.Window)), "6h")), "A line is laid through this much history."))
	}
	if rule.IsAlert() {
		summary := f("summary", "Summary", rule.Annotations["summary"])
		summary.Placeholder = "Load of {{ $labels.instance }} is {{ $value }}"
		summary.Hint = "The first line of the message. {{ $labels.… }} and {{ $value }} stand for what was found."
		description := f("description", "Description", rule.Annotations["description"])
		description.Kind, description.Rows = "textarea", 2
		then = []ui.Field{
			hint(f("for", "For at least", span(time.Duration(rule.For))), "It must go on for this long, such as 5m. Empty: it fires at once."),
			hint(f("keep", "Keep firing for", span(time.Duration(rule.KeepFiringFor))), "After it is over, in case it comes back. Calms what flaps."),
			choice(req(f("severity", "Severity", cmp.Or(rule.Severity, "warning"))), severityChoices(rule.Severity)), summary, description,
		}
	}
	group := req(f("group", "Group", rule.Group))
	group.MaxLength, group.Hint = maxName, "Rules of a group are evaluated together, in their order."
	every := choice(f("interval", "Evaluate the group every", cmp.Or(span(settings[rule.Group].Every()), "30s")), intervalOptions)
	if !slices.ContainsFunc(intervalOptions, func(o ui.Option) bool { return o.Value == every.Value }) {
		every.Options = append([]ui.Option{{Value: every.Value, Label: every.Value}}, intervalOptions...)
	}
	labels := f("labels", "Labels", writePairs(rule.Labels))
	labels.Kind, labels.Rows, labels.Mono, labels.Hint = "textarea", 2, true, "One name=value per line. Routes, silences and inhibitions look at them."
	more = []ui.Field{group, every, labels}
	if rule.IsAlert() {
		notes := f("annotations", "Further annotations", writePairs(rule.Annotations, "summary", "description"))
		notes.Kind, notes.Rows, notes.Mono, notes.Hint = "textarea", 2, true, "One name=value per line, such as runbook_url=https://…"
		more = append(more, notes)
	}
	return what, then, more
}

func severityChoices(have string) []ui.Option {
	if have != "" && !slices.ContainsFunc(severityOptions, func(o ui.Option) bool { return o.Value == have }) {
		return append([]ui.Option{{Value: have, Label: have}}, severityOptions...)
	}
	return severityOptions
}

// readRule reads the form of a rule. The rule has what could be read even when something is wrong.
func readRule(form map[string][]string) (rule Rule, in ruleInput, err error) {
	get := func(name string) string {
		if v := form[name]; len(v) > 0 {
			return strings.TrimSpace(v[0])
		}
		return ""
	}
	in.raw = get
	rule = Rule{ID: kernel.ID(get("id")), Kind: get("kind"), Name: get("name"), Group: get("group"), Expr: get("expr"), Compare: get("compare"), Severity: get("severity"),
		Direction: get("direction"), Each: get("each") != "", Enabled: true}
	if !slices.Contains(Kinds, rule.Kind) {
		rule.Kind = KindExpression
	}
	if !rule.IsAlert() {
		rule.Severity = ""
	}
	if v := get("version"); v != "" {
		in.version, _ = strconv.Atoi(v) // a form that was tampered with asks for no version
	}
	note := func(e error) { err = cmp.Or(err, e) }
	for name, into := range map[string]*float64{"value": &rule.Value, "deviations": &rule.Deviations, "ignore": &rule.Ignore} {
		if v := get(name); v != "" {
			n, e := strconv.ParseFloat(strings.ReplaceAll(v, ",", "."), 64)
			if e != nil || n != n {
				note(kernel.InvalidField(name, "Write a number."))
			}
			*into = n
		}
	}
	if v := get("weeks"); v != "" {
		n, e := strconv.Atoi(v)
		if e != nil {
			note(kernel.InvalidField("weeks", "Write a whole number."))
		}
		rule.Weeks = n
	}
	for name, into := range map[string]*time.Duration{"window": (*time.Duration)(&rule.Window), "horizon": (*time.Duration)(&rule.Horizon), "for": (*time.Duration)(&rule.For),
		"keep": (*time.Duration)(&rule.KeepFiringFor), "interval": &in.every} {
		if v := get(name); v != "" {
			d, e := parseSpan(v)
			if e != nil {
				note(kernel.InvalidField(name, "Write a time span such as 30s, 5m, 2h or 7d."))
			}
			*into = d
		}
	}
	var e error
	if rule.Labels, e = readPairs("labels", get("labels")); e != nil {
		note(e)
	}
	if rule.Annotations, e = readPairs("annotations", get("annotations")); e != nil {
		note(e)
	}
	if rule.Annotations == nil {
		rule.Annotations = map[string]string{}
	}
	for _, name := range []string{"summary", "description"} {
		if v := get(name); v != "" {
			rule.Annotations[name] = v
		}
	}
	if (rule.Kind == KindThreshold || rule.Kind == KindForecast) && get("value") == "" {
		note(kernel.InvalidField("value", "Write a number."))
	}
	return rule, in, err
}

func (m *Module) createRule(w http.ResponseWriter, r *http.Request) error {
	return m.saveRulePost(w, r, "", "alert_rule.create")
}

func (m *Module) updateRulePost(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	return m.saveRulePost(w, r, id, "alert_rule.update")
}

func (m *Module) saveRulePost(w http.ResponseWriter, r *http.Request, id kernel.ID, action string) error {
	form, err := httpx.ReadForm(r)
	if err != nil {
		return err
	}
	ws := wsOf(r)
	rule, in, err := readRule(form)
	rule.ID = id
	if id != "" {
		old, e := m.FindRule(r.Context(), ws, id)
		if e != nil {
			return e
		}
		rule.Enabled, rule.Pack = old.Enabled, old.Pack
	}
	if err == nil {
		var saved Rule
		if saved, err = m.SaveRule(r.Context(), ws, rule, in.every, in.version); err == nil {
			if err := m.d.Audit(r.Context(), action, "alert_rule:"+string(saved.ID), saved.Name); err != nil {
				return err
			}
			return respond.SeeOther(w, r, ruleHref(ws, saved.ID)+"?done=saved")
		}
	}
	return m.renderRuleForm(w, r, ws, rule, in, nil, err)
}

func (m *Module) testRule(w http.ResponseWriter, r *http.Request) error {
	form, err := httpx.ReadForm(r)
	if err != nil {
		return err
	}
	rule, in, err := readRule(form)
	var b *Backtest
	if err == nil {
		back, e := parseSpan(cmp.Or(form.Get("span"), "7d"))
		if e != nil || back < time.Hour || back > 90*24*time.Hour {
			back = 7 * 24 * time.Hour
		}
		b, err = m.Backtest(r.Context(), wsOf(r), rule, in.every, back)
	}
	return m.renderRuleForm(w, r, wsOf(r), rule, in, b, err)
}

func (m *Module) flipRule(w http.ResponseWriter, r *http.Request, action string, change func(context.Context, kernel.WorkspaceID, kernel.ID) error, to func(ws kernel.WorkspaceID, id kernel.ID) string) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	if err := change(r.Context(), wsOf(r), id); err != nil {
		return err
	}
	if err := m.d.Audit(r.Context(), action, strings.SplitN(action, ".", 2)[0]+":"+string(id), ""); err != nil {
		return err
	}
	return respond.SeeOther(w, r, to(wsOf(r), id))
}

func (m *Module) enableRulePost(w http.ResponseWriter, r *http.Request) error {
	return m.flipRule(w, r, "alert_rule.enable", func(ctx context.Context, ws kernel.WorkspaceID, id kernel.ID) error {
		return m.EnableRule(ctx, ws, id, true)
	},
		func(ws kernel.WorkspaceID, id kernel.ID) string { return ruleHref(ws, id) + "?done=enabled" })
}

func (m *Module) disableRulePost(w http.ResponseWriter, r *http.Request) error {
	return m.flipRule(w, r, "alert_rule.disable", func(ctx context.Context, ws kernel.WorkspaceID, id kernel.ID) error {
		return m.EnableRule(ctx, ws, id, false)
	},
		func(ws kernel.WorkspaceID, id kernel.ID) string { return ruleHref(ws, id) + "?done=disabled" })
}

func (m *Module) deleteRulePost(w http.ResponseWriter, r *http.Request) error {
	return m.flipRule(w, r, "alert_rule.delete", m.DeleteRule, func(ws kernel.WorkspaceID, id kernel.ID) string { return home(ws) + "/rules?deleted=" + string(id) })
}

func (m *Module) restoreRulePost(w http.ResponseWriter, r *http.Request) error {
	return m.flipRule(w, r, "alert_rule.restore", m.RestoreRule, func(ws kernel.WorkspaceID, id kernel.ID) string { return home(ws) + "/rules?done=restored" })
}

func (m *Module) exportRules(w http.ResponseWriter, r *http.Request) error {
	var buf bytes.Buffer
	if err := m.ExportYAML(r.Context(), wsOf(r), &buf); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/yaml")
	w.Header().Set("Content-Disposition", `attachment; filename="kept-rules.yaml"`)
	_, _ = w.Write(buf.Bytes()) // a client that left
	return nil
}

type importView struct {
	Form     ui.Form
	Results  []Imported
	Bad      int
	Problems string
}

func importForm(ws kernel.WorkspaceID, yaml string, all, skip bool) ui.Form {
	return ui.Form{Action: home(ws) + "/rules/import", Submit: "Import", Cancel: home(ws) + "/rules", Fields: []ui.Field{
		{Name: "yaml", Label: "Rule file", Kind: "textarea", Rows: 16, Mono: true, Required: true, Value: yaml, Placeholder: "groups:\n  - name: hosts\n    rules:\n      - alert: HostDown\n        expr: up == 0\n        for: 5m",
			Hint: "YAML as Prometheus and promtool read it. Groups of the same names are replaced; rules that are as they were keep their alerts."},
		{Name: "all", Label: "Delete rules that are not in the file", Kind: "checkbox", Checked: all, Hint: "Those of rule packs stay. What is deleted can be brought back for 30 days."},
		{Name: "skip", Label: "Leave wrong rules out, and import the others", Kind: "checkbox", Checked: skip},
	}}
}

func (m *Module) importPage(w http.ResponseWriter, r *http.Request) error {
	return m.renderImport(w, r, http.StatusOK, importView{Form: importForm(wsOf(r), "", false, false)})
}

func (m *Module) renderImport(w http.ResponseWriter, r *http.Request, status int, v importView) error {
	for _, i := range v.Results {
		if i.Problem != "" {
			v.Bad++
		}
	}
	ws := wsOf(r)
	return m.pages.Render(w, r, status, "import", ui.Page{Title: "Import rules", App: appKey, Section: home(ws) + "/rules",
		Crumbs: []ui.Crumb{{Label: "Rules", Href: home(ws) + "/rules"}}, Body: v})
}

func (m *Module) importRules(w http.ResponseWriter, r *http.Request) error {
	form, err := httpx.ReadForm(r)
	if err != nil {
		return err
	}
	yaml, all, skip := form.Get("yaml"), form.Has("all"), form.Has("skip")
	list, err := m.ImportYAML(r.Context(), wsOf(r), []byte(yaml), all, skip)
	status, e, err := formStatus(err)
	if err != nil {
		return err
	}
	v := importView{Form: importForm(wsOf(r), yaml, all, skip), Results: list}
	if e != nil {
		v.Form = v.Form.WithErrors(e.Fields)
		if len(v.Form.Invalid()) == 0 {
			v.Form.Error = e.Safe
		}
		return m.renderImport(w, r, status, v)
	}
	if err := m.d.Audit(r.Context(), "alert_rule.import", "alert_rules", fmt.Sprintf("%d rules", len(list))); err != nil {
		return err
	}
	return respond.SeeOther(w, r, home(wsOf(r))+"/rules?done=imported")
}
