package dashboard

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/prometheus/promql/parser"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/ui"
)

// exploreView is the explore page.
type exploreView struct {
	exploring
	Action   string
	API      string // for completion
	Metrics  string // address of the list of metrics
	Queries  []exploreQuery
	More     bool // another query may be added
	Draws    []ui.Option
	StepHint string
	Tabs     ui.Tabs
	Fixed    string // address with the times that are shown, for who gets the link later
	Alert    string // address of the form for an alert; empty: nothing to make one of
	Panel    string // address of the form for a panel
	Result   *exploreResult
	Empty    *ui.Empty
	Start    []exploreStart
}

// exploreQuery is one field.
type exploreQuery struct {
	Name   string // A, B, …
	Expr   string
	Error  string
	Place  string // of the error in the text, as JSON for the editor
	Remove string
	Alert  string // address of the form for an alert, where there are several queries
}

// exploreStart is a query to begin with.
type exploreStart struct{ Label, Expr, Href string }

// explorePage shows what queries find.
func (m *Module) explorePage(w http.ResponseWriter, r *http.Request) error {
	ws := httpx.ActorOf(r.Context()).WorkspaceID
	ex, err := readExploring(r, m.d.Clock().UTC())
	if err != nil {
		return err
	}
	v := exploreView{exploring: ex, Action: exploreHref(ws), API: exploreHref(ws) + "/api", Metrics: exploreHref(ws) + "/metrics?" + ex.Range.Query().Encode(), More: len(ex.Exprs) < exploreQueries}
	v.Draws = []ui.Option{{Value: "", Label: "Lines"}, {Value: string(ui.KindArea), Label: "Areas"}, {Value: string(ui.KindBars), Label: "Columns"}, {Value: string(ui.KindPoints), Label: "Points"}, {Value: drawHeat, Label: "Heat map"}}
	v.StepHint = promDuration(ex.Step)
	v.queries(m, ws)
	if asked := ex.asked(); len(asked) > 0 {
		v.Result = m.explore(r.Context(), ws, &v)
		v.links(ws, r.URL, asked, may(r, httpx.MayChange))
	} else if err := m.exploreBegin(r, ws, &v); err != nil {
		return err
	}
	return m.pages.Render(w, r, http.StatusOK, "explore", ui.Page{Title: "Explore", App: appKey, Section: exploreHref(ws), Body: v})
}

// queries makes the fields, with what the parser says.
func (v *exploreView) queries(m *Module, ws kernel.WorkspaceID) {
	for i, expr := range v.Exprs {
		q := exploreQuery{Name: targetName(i), Expr: expr}
		if len(v.Exprs) > 1 {
			q.Remove = v.href(ws, slices.Delete(slices.Clone(v.Exprs), i, i+1)...)
		}
		if expr != "" {
			if _, err := m.d.Query.Parse(expr); err != nil {
				q.Error, q.Place = placeOf(err, len(expr))
			}
		}
		v.Queries = append(v.Queries, q)
	}
}

// placeOf is what is wrong with an expression, and where in it.
func placeOf(err error, length int) (text, place string) {
	at := struct {
		From int    `json:"from"`
		To   int    `json:"to"`
		Text string `json:"text"`
	}{To: length, Text: err.Error()}
	var list parser.ParseErrors
	var one *parser.ParseErr
	if errors.As(err, &list) && len(list) > 0 {
		one = &list[0]
	}
	if one != nil || errors.As(err, &one) {
		at.From, at.To = int(one.PositionRange.Start), int(one.PositionRange.End)
		if one.Err != nil {
			at.Text = strings.ToUpper(one.Err.Error()[:1]) + one.Err.Error()[1:] + "."
		}
	}
	b, _ := json.Marshal(at)
	return at.Text, string(b)
}

// links are the ways on from a result.
func (v *exploreView) links(ws kernel.WorkspaceID, u *url.URL, asked []string, change bool) {
	v.Tabs = ui.Tabs{Label: "Result", Items: []ui.Tab{
		{Label: "Graph", Href: withView(u, ""), Current: !v.Table},
		{Label: "Table", Href: withView(u, "table"), Current: v.Table},
	}}
	fixed := v.query()
	fixed.Set("from", ui.Moment(v.Range.From))
	fixed.Set("to", ui.Moment(v.Range.To))
	fixed.Del("refresh")
	fixed["expr"] = asked
	v.Fixed = exploreHref(ws) + "?" + fixed.Encode()
	if change {
		v.Alert = "/w/" + string(ws) + "/alerts/rules/new?" + url.Values{"expr": {asked[0]}}.Encode()
		v.Panel = homeHref(ws) + "/new?" + v.panelQuery(asked).Encode()
		for i := range v.Queries {
			if q := &v.Queries[i]; q.Expr != "" && len(asked) > 1 {
				q.Alert = "/w/" + string(ws) + "/alerts/rules/new?" + url.Values{"expr": {q.Expr}}.Encode()
			}
		}
		if len(asked) > 1 {
			v.Alert = ""
		}
	}
}

// panelQuery is what the form for a panel needs to make one of all that is shown.
func (v *exploreView) panelQuery(asked []string) url.Values {
	q := url.Values{"expr": asked}
	switch {
	case v.Table:
		q.Set("kind", KindTable)
	case v.Draw == drawHeat:
		q.Set("kind", KindHeatMap)
	case v.Draw != "":
		q.Set("draw", string(v.Draw))
	}
	if v.Stack {
		q.Set("stack", "1")
	}
	return q
}

func withView(u *url.URL, view string) string {
	href, _ := ui.WithQuery(u, "view", view, "add", "")
	return href
}

// starts are queries that are worth a first look, where their metric is there.
var starts = []struct{ metric, label, expr string }{
	{"up", "What is up", "up"},
	{"node_cpu_seconds_total", "Busy processors", `1 - avg by (instance) (rate(node_cpu_seconds_total{mode="idle"}[5m]))`},
	{"node_memory_MemAvailable_bytes", "Memory that is free", "node_memory_MemAvailable_bytes"},
	{"node_filesystem_avail_bytes", "Disks that fill up", `1 - node_filesystem_avail_bytes{fstype!~"tmpfs|ramfs"} / node_filesystem_size_bytes`},
	{"node_network_receive_bytes_total", "Network, received", "sum by (instance) (rate(node_network_receive_bytes_total[5m]))"},
	{"kept_jobs_completed_total", "Jobs completed", "sum by (queue) (rate(kept_jobs_completed_total[5m]))"},
	{"kept_jobs_waiting", "Jobs that wait", "sum by (queue) (kept_jobs_waiting)"},
}

// exploreBegin says what to do where nothing has been asked yet.
func (m *Module) exploreBegin(r *http.Request, ws kernel.WorkspaceID, v *exploreView) error {
	names, err := m.metricNames(r.Context(), ws, v.Range)
	if err != nil {
		return err
	}
	if len(names) == 0 {
		v.Empty = m.noMetrics(r, ws, v.Range)
		return nil
	}
	for _, s := range starts {
		if _, found := slices.BinarySearch(names, s.metric); found {
			v.Start = append(v.Start, exploreStart{s.label, s.expr, v.href(ws, s.expr)})
		}
	}
	for _, name := range names {
		if len(v.Start) >= 6 {
			break
		}
		if !slices.ContainsFunc(v.Start, func(s exploreStart) bool { return strings.Contains(s.Expr, name) }) {
			v.Start = append(v.Start, exploreStart{name, suggest(name, ""), v.href(ws, suggest(name, ""))})
		}
	}
	return nil
}

// noMetrics says why there is nothing: never, or not in this time.
func (m *Module) noMetrics(r *http.Request, ws kernel.WorkspaceID, span ui.TimeRange) *ui.Empty {
	now := m.d.Clock().UTC()
	ever, err := m.d.Query.LabelValues(r.Context(), ws, "__name__", nil, now.Add(-maxRange), now)
	if err == nil && len(ever) > 0 {
		href, _ := ui.WithQuery(r.URL, "from", "now-"+promDuration(7*24*time.Hour), "to", "now")
		return &ui.Empty{Icon: "clock", Title: "No metrics in this time", Text: "Nothing was received between the two moments that this page looks at.",
			Action: &ui.Action{Label: "Look at the last 7 days", Href: href}}
	}
	return &ui.Empty{Icon: "chart", Title: "No metrics yet",
		Text:   "Connect a host, or let a Prometheus or an OpenTelemetry exporter send what it has. Queries can be asked a few seconds later.",
		Action: &ui.Action{Label: "Connect a host", Href: "/w/" + string(ws) + "/hosts/connect", Icon: "plus", Primary: true}}
}
