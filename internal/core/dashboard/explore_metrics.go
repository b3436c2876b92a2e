package dashboard

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"

	"github.com/kept-dev/kept/internal/core/query"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/ui"
)

// metricsShown is how many metrics one page of the list has.
const metricsShown = 50

// metricsView is the list of metrics.
type metricsView struct {
	Range   ui.TimeRange
	Filters ui.Filters
	Rows    []metricRow
	Pager   ui.Pager
	Empty   *ui.Empty
}

// metricRow is one metric.
type metricRow struct {
	Name, Type, Unit, Help string
	Series                 int
	Href, Query            string
}

// metricNames are the names in a time, sorted.
func (m *Module) metricNames(ctx context.Context, ws kernel.WorkspaceID, span ui.TimeRange) ([]string, error) {
	return m.d.Query.LabelValues(ctx, ws, model.MetricNameLabel, nil, span.From, span.To)
}

// metricsPage lists the metrics of a time, with what is known of them.
func (m *Module) metricsPage(w http.ResponseWriter, r *http.Request) error {
	ws := httpx.ActorOf(r.Context()).WorkspaceID
	span := ui.ReadTimeRange(r.URL, m.d.Clock().UTC(), defaultRange)
	names, err := m.metricNames(r.Context(), ws, span)
	if err != nil {
		return err
	}
	known := m.metadataOf(r.Context(), ws)
	v := metricsView{Range: span, Filters: ui.NewFilters(r.URL, "metrics-list",
		ui.Filter{Name: "q", Label: "Search", Placeholder: "words in the name or in what it means", Wide: true},
		ui.Filter{Name: "type", Label: "Type", Kind: "select", Options: []ui.Option{{Value: "counter", Label: "counter"}, {Value: "gauge", Label: "gauge"}, {Value: "histogram", Label: "histogram"}, {Value: "summary", Label: "summary"}, {Value: "unknown", Label: "not known"}}})}
	rows := metricRows(names, known, r.URL.Query())
	total := len(rows)
	next := ""
	if at := r.URL.Query().Get("cursor"); at != "" {
		i, _ := slices.BinarySearchFunc(rows, at, func(row metricRow, at string) int { return cmp.Compare(row.Name, at) })
		rows = rows[i:]
	}
	if len(rows) > metricsShown {
		next, rows = rows[metricsShown].Name, rows[:metricsShown]
	}
	if err := m.countSeries(r.Context(), ws, span, rows); err != nil {
		m.d.Logger.Warn("series were not counted", "err", err) // a list without counts is of use
	}
	for i := range rows {
		rows[i].Href = metricHref(ws, rows[i].Name, span)
		rows[i].Query = exploring{Range: span}.href(ws, suggest(rows[i].Name, rows[i].Type))
	}
	v.Rows, v.Pager = rows, ui.NewPager(r.URL, "metrics-list", next, fmt.Sprintf("%d of %d metrics", len(rows), total))
	switch {
	case len(names) == 0:
		v.Empty = m.noMetrics(r, ws, span)
	case len(rows) == 0:
		v.Empty = &ui.Empty{Icon: "search", Title: "No metric matches", Text: "Search for fewer words, or take the type away.", Action: &ui.Action{Label: "Clear filters", Href: v.Filters.Clear}}
	}
	return m.pages.Render(w, r, http.StatusOK, "explore_metrics", ui.Page{Title: "Metrics", App: appKey, Section: exploreHref(ws), Body: v,
		Lead: "What has been received in this time, with its meaning and how many series each has.", Crumbs: []ui.Crumb{{Label: "Explore", Href: exploreHref(ws)}}})
}

func metricHref(ws kernel.WorkspaceID, name string, span ui.TimeRange) string {
	return exploreHref(ws) + "/metrics/" + url.PathEscape(name) + "?" + span.Query().Encode()
}

// metricRows are the metrics that match the search.
func metricRows(names []string, known map[string][]query.Metadata, q url.Values) []metricRow {
	words := strings.Fields(strings.ToLower(q.Get("q")))
	var rows []metricRow
	for _, name := range names {
		row := metricRow{Name: name}
		row.describe(known)
		if want := q.Get("type"); want != "" && want != cmp.Or(row.Type, "unknown") {
			continue
		}
		text := strings.ToLower(name + " " + row.Help)
		if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(text, w) }) {
			rows = append(rows, row)
		}
	}
	return rows
}

// describe finds the metadata, which histograms and summaries have under the name of their family.
func (row *metricRow) describe(known map[string][]query.Metadata) {
	for _, name := range []string{row.Name, strings.TrimSuffix(row.Name, "_bucket"), strings.TrimSuffix(row.Name, "_count"), strings.TrimSuffix(row.Name, "_sum"), strings.TrimSuffix(row.Name, "_total")} {
		if list := known[name]; len(list) > 0 {
			row.Type, row.Unit, row.Help = list[0].Type, list[0].Unit, list[0].Help
			break
		}
	}
	if row.Type == "" || row.Type == "unknown" {
		row.Type = typeOfName(row.Name)
	}
	row.Unit = cmp.Or(row.Unit, unitOfName(row.Name))
	switch {
	case strings.HasSuffix(row.Name, "_count"): // of observations, whatever they measure
		row.Unit = ""
	case row.Unit == "s":
		row.Unit = "seconds"
	}
}

// typeOfName is what the endings of names stand for, where nobody said it; "" when they do not tell.
func typeOfName(name string) string {
	switch {
	case strings.HasSuffix(name, "_total"):
		return "counter"
	case strings.HasSuffix(name, "_bucket"):
		return "histogram"
	case strings.HasSuffix(name, "_info"):
		return "info"
	}
	return ""
}

// countSeries counts the series of the metrics of one page at the end of the time.
func (m *Module) countSeries(ctx context.Context, ws kernel.WorkspaceID, span ui.TimeRange, rows []metricRow) error {
	if len(rows) == 0 {
		return nil
	}
	names := make([]string, len(rows))
	for i, row := range rows {
		names[i] = regexp.QuoteMeta(row.Name)
	}
	res, err := m.d.Query.Instant(ctx, ws, "count by (__name__) ({__name__=~"+quote(strings.Join(names, "|"))+"})", span.To)
	if err != nil {
		return err
	}
	found, _ := res.Value.(promql.Vector)
	for _, s := range found {
		i := slices.IndexFunc(rows, func(row metricRow) bool { return row.Name == s.Metric.Get(model.MetricNameLabel) })
		if i >= 0 {
			rows[i].Series = int(s.F)
		}
	}
	return nil
}

// metricView is one metric.
type metricView struct {
	metricRow
	Range  ui.TimeRange
	Labels []labelRow
	More   bool // there are more series than were looked at
	Try    []exploreStart
	Empty  *ui.Empty
}

// labelRow is one label of a metric.
type labelRow struct {
	Name   string
	Values int
	Some   []ui.Link
	Rest   int
	By     string // query by this label
}

// metricSeries is how many series of one metric are looked at.
const metricSeries = 10_000

// metricPage shows one metric: what it means, its labels, and queries to begin with.
func (m *Module) metricPage(w http.ResponseWriter, r *http.Request) error {
	ws := httpx.ActorOf(r.Context()).WorkspaceID
	span := ui.ReadTimeRange(r.URL, m.d.Clock().UTC(), defaultRange)
	v := metricView{metricRow: metricRow{Name: r.PathValue("metric")}, Range: span}
	match, err := labels.NewMatcher(labels.MatchEqual, model.MetricNameLabel, v.Name)
	if err != nil {
		return kernel.Wrap(err, kernel.Malformed, "This is no name of a metric.")
	}
	found, err := m.d.Query.Series(r.Context(), ws, [][]*labels.Matcher{{match}}, span.From, span.To, metricSeries)
	if err != nil {
		return err
	}
	v.describe(m.metadataOf(r.Context(), ws))
	v.Series, v.More = len(found), len(found) >= metricSeries
	if len(found) == 0 {
		v.Empty = &ui.Empty{Icon: "search", Title: "No series in this time", Text: "Nothing of this name was received between the two moments.", Action: &ui.Action{Label: "All metrics", Href: exploreHref(ws) + "/metrics"}}
	}
	v.try(ws)
	v.labels(ws, found)
	return m.pages.Render(w, r, http.StatusOK, "explore_metric", ui.Page{Title: v.Name, Lead: v.Help, App: appKey, Section: exploreHref(ws), Body: v,
		Crumbs: []ui.Crumb{{Label: "Explore", Href: exploreHref(ws)}, {Label: "Metrics", Href: exploreHref(ws) + "/metrics?" + span.Query().Encode()}}})
}

// try are queries that suit the metric.
func (v *metricView) try(ws kernel.WorkspaceID) {
	add := func(label, expr string) {
		v.Try = append(v.Try, exploreStart{label, expr, exploring{Range: v.Range}.href(ws, expr)})
	}
	best := suggest(v.Name, v.Type)
	raw := suggest(v.Name, "gauge")
	if best != raw {
		add("As it is used most", best)
	}
	if strings.HasPrefix(best, "rate(") {
		add("Sum of all", "sum("+best+")")
	} else if best == raw {
		add("Mean of all", "avg("+raw+")")
	}
	add("As received", raw)
	add("How many series", "count("+raw+")")
}

// labels counts the values of each label.
func (v *metricView) labels(ws kernel.WorkspaceID, found []labels.Labels) {
	counts := map[string]map[string]int{}
	for _, ls := range found {
		ls.Range(func(l labels.Label) {
			if l.Name == model.MetricNameLabel {
				return
			}
			if counts[l.Name] == nil {
				counts[l.Name] = map[string]int{}
			}
			counts[l.Name][l.Value]++
		})
	}
	raw := suggest(v.Name, "gauge")
	for name, values := range counts {
		row := labelRow{Name: name, Values: len(values)}
		list := make([]string, 0, len(values))
		for value := range values {
			list = append(list, value)
		}
		slices.SortFunc(list, func(a, b string) int { return cmp.Or(cmp.Compare(values[b], values[a]), cmp.Compare(a, b)) })
		for _, value := range list[:min(8, len(list))] {
			row.Some = append(row.Some, ui.Link{Label: value, Href: exploring{Range: v.Range}.href(ws, withMatcher(v.Name, name, value))})
		}
		row.Rest = len(list) - len(row.Some)
		row.By = exploring{Range: v.Range}.href(ws, "sum by ("+labelName(name)+") ("+cmp.Or(suggestInner(v.Name, v.Type), raw)+")")
		v.Labels = append(v.Labels, row)
	}
	slices.SortFunc(v.Labels, func(a, b labelRow) int { return cmp.Or(cmp.Compare(b.Values, a.Values), cmp.Compare(a.Name, b.Name)) })
}

// suggestInner is a query of a metric that can be summed: the rate of counters.
func suggestInner(name, kind string) string {
	if best := suggest(name, kind); strings.HasPrefix(best, "rate(") {
		return best
	}
	return ""
}

func labelName(name string) string {
	if plainName(name) && !strings.Contains(name, ":") {
		return name
	}
	return quote(name)
}

func withMatcher(metric, label, value string) string {
	if plainName(metric) {
		return metric + "{" + labelName(label) + "=" + quote(value) + "}"
	}
	return "{" + quote(metric) + ", " + labelName(label) + "=" + quote(value) + "}"
}
