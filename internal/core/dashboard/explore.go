package dashboard

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"github.com/kept-dev/kept/internal/core/query"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/ui"
)

const (
	pathExplore = "/w/{ws}/explore"

	exploreQueries = 8    // in one address
	exploreExpr    = 8192 // bytes of one query
	explorePoints  = 240
	exploreLeast   = 5 * time.Second // step; samples are seldom closer

	drawHeat = "heat" // buckets of histograms as rows
)

// exploreRoutes are the pages for single queries.
func (m *Module) exploreRoutes() []httpx.Route {
	out := []httpx.Route{
		viewing("GET", pathExplore, m.explorePage),
		viewing("GET", pathExplore+"/metrics", m.metricsPage),
		viewing("GET", pathExplore+"/metrics/{metric}", m.metricPage),
	}
	for path, h := range map[string]httpx.Handler{
		"/labels": m.completeLabels, "/label/{name}/values": m.completeValues, "/series": m.completeSeries, "/metadata": m.completeMetadata,
	} {
		r := viewing("GET", pathExplore+"/api"+path, h)
		r.Fail = query.Fail
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b httpx.Route) int { return cmp.Compare(a.Path, b.Path) })
	return out
}

// exploreNav is their part of the navigation.
func (m *Module) exploreNav() []ui.NavItem {
	return []ui.NavItem{{App: appKey, Label: "Explore", Href: pathExplore, Icon: "search", Order: 30, Needs: string(httpx.MayView)}}
}

func exploreHref(ws kernel.WorkspaceID) string { return "/w/" + string(ws) + "/explore" }

// exploring is what the address of the explore page says.
type exploring struct {
	Exprs []string // in the order of the fields; an empty one is a field that waits
	Table bool     // the values at the end instead of lines over time
	Step  time.Duration
	Draw  ui.Kind // or drawHeat
	Stack bool
	Range ui.TimeRange

	StepText string // as in the address
	Problem  string // of the step
}

func readExploring(r *http.Request, now time.Time) (exploring, error) {
	q := r.URL.Query()
	ex := exploring{Table: q.Get("view") == "table", Stack: q.Get("stack") != "", Range: ui.ReadTimeRange(r.URL, now, defaultRange), StepText: strings.TrimSpace(q.Get("step"))}
	for _, expr := range q["expr"] {
		if len(expr) > exploreExpr {
			return ex, kernel.Errorf(kernel.TooLarge, "A query may have %d characters.", exploreExpr)
		}
		if expr = strings.TrimSpace(expr); expr != "" {
			ex.Exprs = append(ex.Exprs, expr)
		}
	}
	if len(ex.Exprs) > exploreQueries {
		return ex, kernel.Errorf(kernel.TooLarge, "One page shows at most %d queries.", exploreQueries)
	}
	if q.Get("add") != "" && len(ex.Exprs) < exploreQueries || len(ex.Exprs) == 0 {
		ex.Exprs = append(ex.Exprs, "")
	}
	switch k := ui.Kind(q.Get("draw")); k {
	case ui.KindArea, ui.KindBars, ui.KindPoints, drawHeat:
		ex.Draw = k
	}
	ex.Range.Target = "explore-result"
	ex.readStep()
	return ex, nil
}

// readStep takes the step of the address where it makes sense, else one that suits the width of a page.
func (ex *exploring) readStep() {
	ex.Step = ex.Range.Step(explorePoints, exploreLeast)
	if ex.StepText == "" {
		return
	}
	d, err := model.ParseDuration(ex.StepText)
	switch step := time.Duration(d); {
	case err != nil || step <= 0:
		ex.Problem = "The step cannot be read. Write it like 30s or 5m."
	case step < time.Second:
		ex.Problem = "The least step is one second."
	case ex.Range.Span()/step > 4000:
		ex.Problem = "This step makes more than 4,000 points. Take a longer one, or a shorter time."
	default:
		ex.Step = step
	}
}

// asked are the queries that are not empty.
func (ex exploring) asked() []string {
	return slices.DeleteFunc(slices.Clone(ex.Exprs), func(s string) bool { return s == "" })
}

// query is the address's parameters without its queries.
func (ex exploring) query() url.Values {
	q := ex.Range.Query()
	if ex.Table {
		q.Set("view", "table")
	}
	if ex.StepText != "" {
		q.Set("step", ex.StepText)
	}
	if ex.Draw != "" {
		q.Set("draw", string(ex.Draw))
	}
	if ex.Stack {
		q.Set("stack", "1")
	}
	return q
}

// href is the address of the page with other queries.
func (ex exploring) href(ws kernel.WorkspaceID, exprs ...string) string {
	q := ex.query()
	q["expr"] = exprs
	return exploreHref(ws) + "?" + q.Encode()
}
