package dashboard

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/ui"
)

// allValue is how "All" stands in addresses and defaults.
const allValue = "$__all"

// maxChoices is how many choices of a query are offered.
const maxChoices = 1000

// varQuery is the query of a variable.
type varQuery struct {
	kind     string // "label_values", "metrics", "label_names", "query_result"
	selector string
	label    string
}

var (
	labelValuesQuery = regexp.MustCompile(`(?s)^label_values\(\s*(?:(.*\S)\s*,)?\s*([A-Za-z_$][A-Za-z0-9_{}$]*)\s*\)$`)
	metricsQuery     = regexp.MustCompile(`(?s)^metrics\(\s*(.*?)\s*\)$`)
	labelNamesQuery  = regexp.MustCompile(`^label_names\(\s*\)$`)
	resultQuery      = regexp.MustCompile(`(?s)^query_result\(\s*(.*\S)\s*\)$`)
)

func parseVarQuery(s string) (varQuery, error) {
	s = strings.TrimSpace(s)
	if m := labelValuesQuery.FindStringSubmatch(s); m != nil {
		return varQuery{kind: "label_values", selector: m[1], label: m[2]}, nil
	}
	if m := metricsQuery.FindStringSubmatch(s); m != nil {
		return varQuery{kind: "metrics", selector: strings.Trim(m[1], `"'`)}, nil
	}
	if labelNamesQuery.MatchString(s) {
		return varQuery{kind: "label_names"}, nil
	}
	if m := resultQuery.FindStringSubmatch(s); m != nil {
		return varQuery{kind: "query_result", selector: m[1]}, nil
	}
	return varQuery{}, errors.New("write label_values(label), label_values(selector, label), metrics(regex), label_names() or query_result(expression)")
}

// scope is what a page may see: a workspace, a span, and labels that every series must have.
type scope struct {
	ws      kernel.WorkspaceID
	span    ui.TimeRange
	filters []*labels.Matcher
}

// choose finds the choices of every variable and what the address picks, in order: a variable may use those above it.
// A variable whose choices cannot be found has none and says why; the page goes on.
func (m *Module) choose(ctx context.Context, sc scope, vars []Variable, q url.Values) env {
	e := env{choices: map[string]choice{}, builtin: map[string]string{}}
	e.times(sc.span, sc.span.Step(240, 0))
	for _, v := range vars {
		c := choice{Variable: v}
		switch v.Kind {
		case VarQuery:
			options, err := m.choices(ctx, sc, e, v)
			if err != nil {
				c.Note = kernel.AsError(err).Safe
			}
			c.Options = options
		case VarList, VarInterval:
			c.Options = v.Options
		}
		c.pick(q["var-"+v.Name])
		e.choices[v.Name] = c
	}
	return e
}

// pick takes the values of the address, else the default.
func (c *choice) pick(from []string) {
	if c.Kind == VarConstant {
		from = nil
	}
	if len(from) > maxOptions {
		from = from[:maxOptions]
	}
	for i := range from {
		from[i] = clipBytes(from[i], maxNote)
	}
	given := len(from) > 0
	if !given {
		from = c.Default
	}
	if !c.Multi && len(from) > 1 {
		from = from[:1]
	}
	switch {
	case c.All && (slices.Contains(from, allValue) || len(from) == 0):
		c.IsAll, c.Values = true, c.Options
	case len(from) > 0:
		c.Values = from
	case len(c.Options) > 0:
		c.Values = c.Options[:1]
	}
	if c.Kind == VarText && len(c.Values) == 0 {
		c.Values = []string{""}
	}
}

func clipBytes(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "")
}

// times fills in what queries know of the time.
func (e env) times(s ui.TimeRange, step time.Duration) {
	const scrape = 15 * time.Second // the distance of samples that $__rate_interval must bridge
	length := s.Span()
	e.builtin["__interval"] = promDuration(step)
	e.builtin["__interval_ms"] = fmt.Sprint(step.Milliseconds())
	e.builtin["__rate_interval"] = promDuration(max(step+scrape, 4*scrape))
	e.builtin["__rate_interval_ms"] = fmt.Sprint(max(step+scrape, 4*scrape).Milliseconds())
	e.builtin["__range"] = promDuration(length.Round(time.Second))
	e.builtin["__range_s"] = fmt.Sprint(int64(length.Seconds()))
	e.builtin["__range_ms"] = fmt.Sprint(length.Milliseconds())
	e.builtin["__from"] = fmt.Sprint(s.From.UnixMilli())
	e.builtin["__to"] = fmt.Sprint(s.To.UnixMilli())
}

// at is the env with another step.
func (e env) at(s ui.TimeRange, step time.Duration) env {
	out := env{choices: e.choices, builtin: map[string]string{}}
	out.times(s, step)
	return out
}

// choices asks for the choices of a query variable.
func (m *Module) choices(ctx context.Context, sc scope, e env, v Variable) ([]string, error) {
	q, err := parseVarQuery(v.Query)
	if err != nil {
		return nil, kernel.Errorf(kernel.Invalid, "%v", err)
	}
	values, err := m.found(ctx, sc, e, q)
	if err != nil {
		return nil, err
	}
	values, err = extract(values, v.Regex)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(values, natural)
	values = slices.Compact(values)
	return values[:min(len(values), maxChoices)], nil
}

func (m *Module) found(ctx context.Context, sc scope, e env, q varQuery) ([]string, error) {
	switch q.kind {
	case "label_names":
		return m.labelNames(ctx, sc)
	case "metrics":
		values, err := m.labelValues(ctx, sc, "__name__", "")
		if err != nil {
			return nil, err
		}
		return extract(values, "("+strings.TrimSpace(".*(?:"+e.text(q.selector, nil)+").*")+")")
	case "query_result":
		return m.resultLines(ctx, sc, e, q.selector)
	}
	selector, err := e.query(q.selector)
	if err != nil {
		return nil, err
	}
	return m.labelValues(ctx, sc, e.text(q.label, nil), selector)
}

func (m *Module) labelValues(ctx context.Context, sc scope, label, selector string) ([]string, error) {
	var sets [][]*labels.Matcher
	switch {
	case selector != "":
		expr, err := m.d.Query.Parse(selector)
		if err != nil {
			return nil, kernel.Errorf(kernel.Invalid, "%v", err)
		}
		vs, ok := expr.(*parser.VectorSelector)
		if !ok {
			return nil, kernel.Errorf(kernel.Invalid, "label_values needs a selector such as up{job=\"node\"}.")
		}
		sets = [][]*labels.Matcher{append(slices.Clone(vs.LabelMatchers), sc.filters...)}
	case len(sc.filters) > 0:
		sets = [][]*labels.Matcher{sc.filters}
	}
	values, err := m.d.Query.LabelValues(ctx, sc.ws, label, sets, sc.span.From, sc.span.To)
	return slices.Clone(values), err
}

func (m *Module) labelNames(ctx context.Context, sc scope) ([]string, error) {
	q, err := m.d.Query.Storage(sc.ws).Querier(sc.span.From.UnixMilli(), sc.span.To.UnixMilli())
	if err != nil {
		return nil, err
	}
	defer q.Close()
	names, _, err := q.LabelNames(ctx, nil, sc.filters...)
	return slices.Clone(names), err
}

// resultLines are the series of an instant query, each as a line of text that a regular expression picks from.
func (m *Module) resultLines(ctx context.Context, sc scope, e env, expr string) ([]string, error) {
	expr, err := e.query(expr)
	if err != nil {
		return nil, err
	}
	if expr, err = m.enforce(expr, sc.filters); err != nil {
		return nil, err
	}
	res, err := m.d.Query.Instant(ctx, sc.ws, expr, sc.span.To)
	if err != nil {
		return nil, err
	}
	vector, _ := res.Value.(promql.Vector)
	out := make([]string, 0, len(vector))
	for _, s := range vector {
		out = append(out, fmt.Sprintf("%s %v %d", s.Metric, s.F, s.T))
	}
	return out, nil
}

// extract keeps what matches; the first group, if there is one, becomes the value.
func extract(values []string, pattern string) ([]string, error) {
	if pattern == "" {
		return values, nil
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, kernel.Errorf(kernel.Invalid, "The regular expression of the variable cannot be read.")
	}
	out := make([]string, 0, len(values))
	for _, v := range values {
		m := re.FindStringSubmatch(v)
		switch {
		case m == nil:
		case re.SubexpIndex("value") > 0:
			out = append(out, m[re.SubexpIndex("value")])
		case len(m) > 1:
			out = append(out, m[1])
		default:
			out = append(out, v)
		}
	}
	return out, nil
}

// natural orders "disk2" before "disk10".
func natural(a, b string) int {
	for a != "" && b != "" {
		na, ra := leadingNumber(a)
		nb, rb := leadingNumber(b)
		if na != "" && nb != "" {
			ta, tb := strings.TrimLeft(na, "0"), strings.TrimLeft(nb, "0")
			if c := cmp.Or(cmp.Compare(len(ta), len(tb)), cmp.Compare(ta, tb), cmp.Compare(na, nb)); c != 0 {
				return c
			}
			a, b = ra, rb
			continue
		}
		if a[0] != b[0] {
			return cmp.Compare(a[0], b[0])
		}
		a, b = a[1:], b[1:]
	}
	return cmp.Compare(len(a), len(b))
}

func leadingNumber(s string) (digits, rest string) {
	i := 0
	for i < len(s) && s[i] >= '0' && s[i] <= '9' {
		i++
	}
	return s[:i], s[i:]
}
