package metrics

import (
	"context"
	"log/slog"
	"math"
	"net/http"
	"strconv"

	"github.com/kept-dev/kept/internal/core/workspace"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/httpx/respond"
	"github.com/kept-dev/kept/internal/platform/series"
	"github.com/kept-dev/kept/internal/ui"
)

// usageView is what a workspace's metrics take.
type usageView struct {
	Stats    []ui.Stat
	Progress *ui.Progress // towards the limit of series
	Metrics  []metricUse
	More     int // metrics that are not listed
	Unused   []metricUse
	Labels   []series.Count
	Pairs    []series.Count
	Drops    []Drop
	DropHref string
	May      bool // change rules
	Problem  string
	Empty    *ui.Empty
}

// How many rows the lists have.
const (
	usageMetrics = 30
	usageUnused  = 50
	usageLabels  = 15
)

// RateText is the rate of a metric.
func (u metricUse) RateText() string {
	if math.IsNaN(u.Rate) {
		return "–"
	}
	return ui.Number(u.Rate)
}

// MoreUsers is by how many more than the first it is used.
func (u metricUse) MoreUsers() int { return len(u.UsedBy) - 1 }

// DropHref is where a rule for the metric is made.
func (v *usageView) DropOf(name string) string {
	href, _ := ui.WithQuery(v.DropHref, "selector", selectorOf(name))
	return href
}

// selectorOf selects one metric, whatever its name is made of.
func selectorOf(name string) string { return `{__name__=` + strconv.Quote(name) + `}` }

func (m *Module) usagePage(w http.ResponseWriter, r *http.Request) error {
	a := httpx.ActorOf(r.Context())
	v, err := m.usageView(r.Context(), a)
	if err != nil {
		return err
	}
	page := ui.Page{Title: "Usage", App: appKey, Section: usageHref(a.WorkspaceID), Lead: "What metrics there are, what they take, and which of them nobody looks at.", Body: v}
	if v.Empty == nil {
		page.Actions = []ui.Action{{Label: "Over time", Href: usageDashboard(a.WorkspaceID), Icon: "chart"}}
	}
	switch r.URL.Query().Get("done") {
	case "dropped":
		page.Toasts = []ui.Toast{{Tone: ui.ToneGood, Text: "The rule is in force: what it matches is dropped when it comes. What is stored stays."}}
	case "kept":
		page.Toasts = []ui.Toast{{Tone: ui.ToneGood, Text: "The rule is gone: what it matched is kept again from now on."}}
	}
	return m.pages.Render(w, r, http.StatusOK, "usage", page)
}

func (m *Module) usageView(ctx context.Context, a httpx.Actor) (*usageView, error) {
	ws := a.WorkspaceID
	v := &usageView{DropHref: dropsHref(ws), May: workspace.Allows(a.Role, httpx.MayManage)}
	stats, err := m.d.Store.Stats(ctx, ws, usageLabels)
	if err != nil {
		return nil, err
	}
	if v.Drops, err = m.Drops(ctx, ws); err != nil {
		return nil, err
	}
	if stats.Series == 0 && stats.Samples == 0 {
		v.Empty = &ui.Empty{Icon: "database", Title: "No metrics yet", Text: "This page counts series and samples as soon as some arrive.",
			Action: &ui.Action{Label: "Connect a host", Href: connectHref(ws), Primary: true}}
		return v, nil
	}
	limit, err := m.sampleLimit(ctx, ws)
	if err != nil {
		return nil, err
	}
	uses, err := m.metricUses(ctx, ws, m.d.Clock())
	if err != nil {
		m.d.Logger.LogAttrs(ctx, slog.LevelWarn, "usage: metrics could not be counted", slog.Any("cause", err))
		v.Problem = "The metrics of this workspace could not be counted in time. The figures of the store are below."
		for _, c := range stats.ByMetric {
			uses = append(uses, metricUse{Name: c.Name, Series: c.Count, Rate: math.NaN()})
		}
	} else {
		for _, u := range uses {
			if u.Unused() {
				v.Unused = append(v.Unused, u)
			}
		}
	}
	v.Stats, v.Progress = usageStats(stats, uses, len(v.Unused), limit)
	v.More = max(0, len(uses)-usageMetrics)
	v.Metrics, v.Unused = uses[:min(usageMetrics, len(uses))], v.Unused[:min(usageUnused, len(v.Unused))]
	v.Labels, v.Pairs = stats.ByLabel, stats.ByPair
	return v, nil
}

// sampleLimit is how many samples a second the workspace may send; 0 is no limit.
func (m *Module) sampleLimit(ctx context.Context, ws kernel.WorkspaceID) (float64, error) {
	if m.d.Rate == nil {
		return 0, nil
	}
	return m.d.Rate(ctx, ws)
}

func usageStats(s series.Stats, uses []metricUse, unused int, limit float64) ([]ui.Stat, *ui.Progress) {
	count := func(n int64) string { text, _ := ui.Count(n); return text }
	var rate float64
	for _, u := range uses {
		if !math.IsNaN(u.Rate) {
			rate += u.Rate
		}
	}
	active := ui.Stat{Label: "Active series", Value: count(s.Series), Hint: "no limit"}
	var progress *ui.Progress
	if s.Limit > 0 {
		active.Hint = "of " + count(s.Limit)
		progress = &ui.Progress{Label: "Active series", Value: min(s.Series, s.Limit), Max: s.Limit, Text: count(s.Series) + " of " + count(s.Limit)}
		if s.Series >= s.Limit {
			active.Tone = ui.ToneBad
		}
	}
	samples := ui.Stat{Label: "Samples a second", Value: ui.Number(rate), Hint: "over five minutes"}
	if limit > 0 {
		samples.Hint = "of " + ui.Number(limit) + ", over five minutes"
		if rate >= limit {
			samples.Tone = ui.ToneBad
		}
	}
	out := []ui.Stat{active, {Label: "Metrics", Value: count(int64(len(uses)))}, samples,
		{Label: "Not in use", Value: count(int64(unused)), Hint: "metrics"}}
	if s.Bytes > 0 {
		text, _ := ui.Bytes(s.Bytes)
		out = append(out, ui.Stat{Label: "On disk", Value: text})
	}
	if s.Refused > 0 {
		out = append(out, ui.Stat{Label: "Samples refused", Value: count(s.Refused), Hint: "over the limit", Tone: ui.ToneBad})
	}
	return out, progress
}

// dropView is the form of a rule, with what it would do.
type dropView struct {
	Action  string // where the preview is asked for
	Cancel  string
	Field   ui.Field
	Preview *dropPreview
	Make    *ui.Form // makes the rule
	Problem string
}

// Shown are the metrics that the preview lists.
func (p *dropPreview) Shown() []metricUse { return p.Metrics[:min(20, len(p.Metrics))] }

// SeriesShare and RateShare are how much it would keep out.
func (p *dropPreview) SeriesShare() string { return share(float64(p.Series), float64(p.All)) }
func (p *dropPreview) RateShare() string   { return share(p.Rate, p.AllRate) }

// RateText and AllRateText are samples in a second.
func (p *dropPreview) RateText() string    { return ui.Number(p.Rate) }
func (p *dropPreview) AllRateText() string { return ui.Number(p.AllRate) }

// Everything tells whether nothing would be left.
func (p *dropPreview) Everything() bool { return p.Series == p.All && p.All > 0 }

func share(part, all float64) string {
	if all == 0 {
		return "–"
	}
	return percent(part / all)
}

func selectorField(selector string) ui.Field {
	return ui.Field{Name: "selector", Label: "Series to drop", Value: selector, Required: true, MaxLength: maxSelector, Mono: true, Placeholder: `node_cpu_seconds_total{mode="steal"}`,
		Hint: "A metric's name, or a selector as in PromQL with =, !=, =~ and !~."}
}

func makeForm(ws kernel.WorkspaceID, selector, note string) *ui.Form {
	return &ui.Form{Action: dropsHref(ws), Submit: "Drop them from now on", Danger: true, Cancel: usageHref(ws), Hidden: []ui.Param{{Name: "selector", Value: selector}}, Fields: []ui.Field{
		{Name: "note", Label: "Why", Value: note, MaxLength: maxNote, Hint: "For whoever wonders later where they are."}}}
}

// dropPage asks what to drop; with a selector in the address it says what that would do.
func (m *Module) dropPage(w http.ResponseWriter, r *http.Request) error {
	ws := httpx.ActorOf(r.Context()).WorkspaceID
	selector := r.URL.Query().Get("selector")
	v := newDropView(ws, selector)
	if selector == "" {
		return m.renderDrop(w, r, http.StatusOK, v)
	}
	p, err := m.previewDrop(r.Context(), ws, selector, m.d.Clock())
	if e := kernel.AsError(err); err != nil && e.Code == kernel.Invalid {
		v.Field.Error = e.Fields["selector"]
		return m.renderDrop(w, r, http.StatusUnprocessableEntity, v)
	}
	v.Make = makeForm(ws, selector, "")
	if err != nil {
		m.d.Logger.LogAttrs(r.Context(), slog.LevelWarn, "a drop rule could not be previewed", slog.Any("cause", err))
		v.Problem = "What it would drop could not be counted in time. The rule can be made all the same."
	} else {
		v.Preview = &p
	}
	return m.renderDrop(w, r, http.StatusOK, v)
}

func newDropView(ws kernel.WorkspaceID, selector string) dropView {
	return dropView{Action: dropsHref(ws), Cancel: usageHref(ws), Field: selectorField(selector)}
}

func (m *Module) renderDrop(w http.ResponseWriter, r *http.Request, status int, v dropView) error {
	ws := httpx.ActorOf(r.Context()).WorkspaceID
	return m.pages.Render(w, r, status, "drop", ui.Page{Title: "Drop series", App: appKey, Section: usageHref(ws), Crumbs: []ui.Crumb{{Label: "Usage", Href: usageHref(ws)}},
		Lead: "What matches is not stored when it comes, whichever way. What is stored stays until its time is over.", Body: v})
}

func (m *Module) makeDrop(w http.ResponseWriter, r *http.Request) error {
	form, err := httpx.ReadForm(r)
	if err != nil {
		return err
	}
	by, ws := actorOf(r)
	selector := form.Get("selector")
	if _, err = m.AddDrop(r.Context(), by, ws, selector, form.Get("note")); err == nil {
		return respond.SeeOther(w, r, usageHref(ws)+"?done=dropped#drops")
	}
	e := kernel.AsError(err)
	if e.Code != kernel.Invalid {
		return err
	}
	v := newDropView(ws, selector)
	v.Field.Error = e.Fields["selector"]
	if e.Fields["note"] != "" {
		again := makeForm(ws, selector, form.Get("note")).WithErrors(e.Fields)
		v.Make = &again
	}
	return m.renderDrop(w, r, http.StatusUnprocessableEntity, v)
}

func (m *Module) removeDrop(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	by, ws := actorOf(r)
	d, err := m.findDrop(r.Context(), ws, id)
	if err != nil {
		return err
	}
	if err := m.RemoveDrop(r.Context(), by, ws, d); err != nil {
		return err
	}
	return respond.SeeOther(w, r, usageHref(ws)+"?done=kept#drops")
}
