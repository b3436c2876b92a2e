package alert

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/kept-dev/kept/internal/kernel"
)

// The kinds of rules. Every kind is compiled to one PromQL expression, so that each can leave as a Prometheus rule.
const (
	KindThreshold  = "threshold"  // a value beyond a limit
	KindAbsence    = "absence"    // what should be there is not
	KindAnomaly    = "anomaly"    // unlike the same time in past weeks
	KindForecast   = "forecast"   // will be beyond a limit
	KindExpression = "expression" // PromQL that finds what is wrong by itself; what imports become
	KindRecording  = "recording"  // writes its result as a series
)

// Kinds lists the kinds in the order in which people need them.
var Kinds = []string{KindThreshold, KindAbsence, KindAnomaly, KindForecast, KindExpression, KindRecording}

// Limits of rules.
const (
	maxRules      = 2000 // of a workspace
	maxName       = 200
	maxExpr       = 8 << 10
	maxText       = 2 << 10 // of an annotation or label, since they are templates that run
	maxPairs      = 30      // labels, or annotations
	minInterval   = 5 * time.Second
	maxInterval   = 24 * time.Hour
	maxRuleAlerts = 1000 // alerts of one rule at once, unless its group says less
)

// Rule is one rule as a person wrote it. Which fields count depends on the kind.
type Rule struct {
	ID      kernel.ID `json:"-"`
	Group   string    `json:"-"`
	Kind    string    `json:"kind"`
	Name    string    `json:"name"` // of the alert, or of the series of a recording rule
	Expr    string    `json:"expr"`
	Compare string    `json:"compare,omitempty"` // threshold, forecast: >, >=, <, <=, ==, !=
	Value   float64   `json:"value,omitempty"`

	Each   bool           `json:"each,omitempty"`   // absence: of each series that was there within a day, and not of all together
	Window model.Duration `json:"window,omitempty"` // absence: missing for; forecast: the history that the line is laid through

	Weeks      int     `json:"weeks,omitempty"`      // anomaly: how many past weeks
	Deviations float64 `json:"deviations,omitempty"` // anomaly: how many robust deviations are too many
	Direction  string  `json:"direction,omitempty"`  // anomaly: above, below, either
	Ignore     float64 `json:"ignore,omitempty"`     // anomaly: differences up to this never count

	Horizon model.Duration `json:"horizon,omitempty"` // forecast: how far ahead

	For           model.Duration    `json:"for,omitempty"`
	KeepFiringFor model.Duration    `json:"keep_firing_for,omitempty"`
	Severity      string            `json:"severity,omitempty"`
	Labels        map[string]string `json:"labels,omitempty"`
	Annotations   map[string]string `json:"annotations,omitempty"`

	Pack      string    `json:"-"` // of the pack that brought it
	Enabled   bool      `json:"-"`
	Version   int       `json:"-"`
	CreatedAt time.Time `json:"-"`
	UpdatedAt time.Time `json:"-"`
	UpdatedBy string    `json:"-"` // address; empty for a machine
	DeletedAt time.Time `json:"-"`
}

// Group is what the rules of one group share.
type Group struct {
	Name        string            `json:"-"`
	Interval    model.Duration    `json:"interval,omitempty"` // DefaultInterval if zero
	QueryOffset *model.Duration   `json:"query_offset,omitempty"`
	Limit       int               `json:"limit,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
}

// DefaultInterval is how often a group is evaluated that says nothing else.
const DefaultInterval = 30 * time.Second

// Every is how often the group is evaluated.
func (g Group) Every() time.Duration { return cmp.Or(time.Duration(g.Interval), DefaultInterval) }

// IsAlert tells whether the rule makes alerts.
func (r Rule) IsAlert() bool { return r.Kind != KindRecording }

// compile turns the rule into a Prometheus rule.
func (m *Module) compile(r Rule) (rulefmt.Rule, error) {
	expr, err := m.compileExpr(r)
	if err != nil {
		return rulefmt.Rule{}, err
	}
	out := rulefmt.Rule{Expr: expr, Labels: maps.Clone(r.Labels)}
	if !r.IsAlert() {
		out.Record = r.Name
		return out, nil
	}
	out.Alert, out.For, out.KeepFiringFor, out.Annotations = r.Name, r.For, r.KeepFiringFor, maps.Clone(r.Annotations)
	if r.Severity != "" {
		if out.Labels == nil {
			out.Labels = map[string]string{}
		}
		out.Labels["severity"] = r.Severity
	}
	return out, nil
}

// ofFormat is a Prometheus rule as one of ours.
func ofFormat(group string, in rulefmt.Rule) Rule {
	r := Rule{Group: group, Kind: KindExpression, Name: in.Alert, Expr: strings.TrimSpace(in.Expr), For: in.For, KeepFiringFor: in.KeepFiringFor,
		Labels: maps.Clone(in.Labels), Annotations: maps.Clone(in.Annotations), Enabled: true}
	if in.Record != "" {
		r.Kind, r.Name = KindRecording, in.Record
		return r
	}
	if s, ok := r.Labels["severity"]; ok {
		r.Severity = s
		delete(r.Labels, "severity")
	}
	return r
}

// compileExpr makes the PromQL of a rule. The error is Invalid, with a note per field.
func (m *Module) compileExpr(r Rule) (string, error) {
	if strings.TrimSpace(r.Expr) == "" {
		return "", kernel.InvalidField("expr", "Write what to look at, in PromQL.")
	}
	if len(r.Expr) > maxExpr {
		return "", kernel.InvalidField("expr", "The expression is longer than 8 KiB.")
	}
	expr, err := m.parser.ParseExpr(r.Expr)
	if err != nil {
		return "", kernel.InvalidField("expr", parseNote(err))
	}
	if t := expr.Type(); t != parser.ValueTypeVector && t != parser.ValueTypeScalar {
		return "", kernel.InvalidField("expr", "The expression must give one value for each series, not a "+parser.DocumentedType(t)+".")
	}
	switch r.Kind {
	case KindThreshold:
		return m.compileThreshold(r, expr)
	case KindAbsence:
		return compileAbsence(r, expr)
	case KindForecast:
		return compileForecast(r, expr)
	case KindAnomaly:
		return m.compileAnomaly(r, expr)
	case KindExpression, KindRecording:
		return expr.String(), nil
	}
	return "", kernel.InvalidField("kind", "Choose what kind of rule it is.")
}

// parseNote is the parser's complaint with its place. The text around it is the person's own.
func parseNote(err error) string {
	text := strings.TrimPrefix(err.Error(), "1:")
	if text == err.Error() {
		return text
	}
	return "At character " + text
}

var comparators = []string{">", ">=", "<", "<=", "==", "!="}

func number(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

// operand is the text of an expression as an operand: what binds weaker than a comparison goes into parentheses.
func operand(e parser.Expr) string {
	switch e.(type) {
	case *parser.BinaryExpr, *parser.UnaryExpr:
		return "(" + e.String() + ")"
	}
	return e.String()
}

func (m *Module) compileThreshold(r Rule, expr parser.Expr) (string, error) {
	if !slices.Contains(comparators, r.Compare) {
		return "", kernel.InvalidField("compare", "Choose a comparison.")
	}
	left := operand(expr)
	if expr.Type() == parser.ValueTypeScalar {
		left = "vector(" + expr.String() + ")"
	}
	return left + " " + r.Compare + " " + number(r.Value), nil
}

// absenceLookback is within what time a series must have been there for its absence to be noticed.
const absenceLookback = 24 * time.Hour

// compileAbsence asks for what is not there: anything at all, or each series that was there within a day.
func compileAbsence(r Rule, expr parser.Expr) (string, error) {
	window := cmp.Or(time.Duration(r.Window), 5*time.Minute)
	if window < time.Minute || window > absenceLookback/2 {
		return "", kernel.InvalidField("window", "Choose between 1m and 12h.")
	}
	if expr.Type() == parser.ValueTypeScalar {
		return "", kernel.InvalidField("expr", "A number is never absent: name a series.")
	}
	over := func(d time.Duration) string {
		if _, ok := expr.(*parser.VectorSelector); ok {
			return expr.String() + "[" + model.Duration(d).String() + "]"
		}
		return "(" + expr.String() + ")[" + model.Duration(d).String() + ":1m]"
	}
	if !r.Each {
		return "absent_over_time(" + over(window) + ")", nil
	}
	if _, ok := expr.(*parser.VectorSelector); !ok {
		return "", kernel.InvalidField("expr", "To watch each series, name one metric with its labels, such as up{job=\"web\"}.")
	}
	return "present_over_time(" + over(absenceLookback) + ") unless present_over_time(" + over(window) + ")", nil
}

// compileForecast lays a line through the history and asks where it will be.
func compileForecast(r Rule, expr parser.Expr) (string, error) {
	window, horizon := cmp.Or(time.Duration(r.Window), 6*time.Hour), time.Duration(r.Horizon)
	if !slices.Contains(comparators[:4], r.Compare) {
		return "", kernel.InvalidField("compare", "Choose a comparison.")
	}
	if window < 10*time.Minute || window > 28*24*time.Hour {
		return "", kernel.InvalidField("window", "Choose between 10m and 4w.")
	}
	if horizon < 10*time.Minute || horizon > 365*24*time.Hour {
		return "", kernel.InvalidField("horizon", "Choose between 10m and 1y.")
	}
	over := "(" + expr.String() + ")[" + model.Duration(window).String() + ":" + model.Duration(subStep(window)).String() + "]"
	if v, ok := expr.(*parser.VectorSelector); ok && v.OriginalOffset == 0 {
		over = expr.String() + "[" + model.Duration(window).String() + "]"
	}
	return "predict_linear(" + over + ", " + strconv.FormatInt(int64(horizon/time.Second), 10) + ") " + r.Compare + " " + number(r.Value), nil
}

// subStep is a step that divides a window into about a hundred.
func subStep(window time.Duration) time.Duration {
	return max(time.Minute, (window / 100).Truncate(time.Minute))
}

// check looks at a whole rule and compiles it.
func (m *Module) check(r Rule) (rulefmt.Rule, error) {
	if name := strings.TrimSpace(r.Name); name == "" || len(name) > maxName {
		return rulefmt.Rule{}, kernel.InvalidField("name", "Give it a name of up to 200 characters.")
	}
	if g := strings.TrimSpace(r.Group); g == "" || len(g) > maxName {
		return rulefmt.Rule{}, kernel.InvalidField("group", "Name a group of up to 200 characters.")
	}
	if len(r.Labels) > maxPairs || len(r.Annotations) > maxPairs {
		return rulefmt.Rule{}, kernel.InvalidField("labels", "There may be up to 30 labels and 30 annotations.")
	}
	for field, pairs := range map[string]map[string]string{"labels": r.Labels, "annotations": r.Annotations} {
		for name, text := range pairs {
			if len(text) > maxText {
				return rulefmt.Rule{}, kernel.InvalidField(field, name+" is longer than 2 KiB.")
			}
			if !utf8.ValidString(text) {
				return rulefmt.Rule{}, kernel.InvalidField(field, "The text of "+name+" is not UTF-8.")
			}
		}
	}
	out, err := m.compile(r)
	if err != nil {
		return out, err
	}
	for _, e := range out.Validate(rulefmt.RuleNode{}, model.UTF8Validation, m.parser) {
		return out, kernel.InvalidField(fieldOf(e.Error()), e.Error())
	}
	return out, nil
}

// fieldOf guesses which field a complaint of package rulefmt is about.
func fieldOf(text string) string {
	switch {
	case strings.Contains(text, "annotation"):
		return "annotations"
	case strings.Contains(text, "label"):
		return "labels"
	case strings.Contains(text, "rule name"):
		return "name"
	}
	return "expr"
}
