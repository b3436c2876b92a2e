package alert

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/ui"
)

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
			hint(dev, "How far past weeks differed from one another counts as one, without regard to outliers. 3 is twitchy, 5 is calm, 10 is numb."), ign)
	case KindForecast:
		value.Label = "Limit"
		compare.Label = "Fires when it will"
		compare.Options = []ui.Option{{Value: "<", Label: "fall below"}, {Value: ">", Label: "rise above"}, {Value: "<=", Label: "reach, from above"}, {Value: ">=", Label: "reach, from below"}}
		if rule.ID == "" && in.raw == nil {
			compare.Value = "<"
		}
		what = append(what, compare, value, hint(f("horizon", "Within", cmp.Or(span(time.Duration(rule.Horizon)), "1d")), "Such as 4h or 3d."),
			hint(f("window", "Going by the last", cmp.Or(span(time.Duration(rule.Window)), "1d")), "A line is laid through this much history. Take as long as the usual ups and downs last, such as a day: in less, every morning looks like a trend."))
	}
	if rule.IsAlert() {
		summary := f("summary", "Summary", rule.Annotations["summary"])
		summary.Placeholder = "Load of {{ $labels.instance }} is {{ $value }}"
		summary.Hint = "The first line of the message. {{ $labels.… }} and {{ $value }} stand for what was found."
		description := f("description", "Description", rule.Annotations["description"])
		description.Kind, description.Rows = "textarea", 2
		then = []ui.Field{
			hint(f("for", "For at least", span(time.Duration(rule.For))), forHint(rule.Kind)),
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

func forHint(kind string) string {
	if kind == KindAnomaly {
		return "It must go on for this long, such as 30m. Empty: it fires at once, and single odd values make false alarms."
	}
	return "It must go on for this long, such as 5m. Empty: it fires at once."
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
