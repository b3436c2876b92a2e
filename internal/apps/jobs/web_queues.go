package jobs

import (
	"cmp"
	"fmt"
	"html/template"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/kept-dev/kept/internal/apps/jobs/fold"
	"github.com/kept-dev/kept/internal/apps/jobs/index"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/ui"
)

// queuesView is the overview of all queues.
type queuesView struct {
	Action  string
	Windows []statusTab
	Window  string
	Env     string
	Envs    []string
	Live    *ui.Live
	Stats   []ui.Stat
	Chart   ui.Chart
	Deploys []Deployment
	Queues  []queueView
	Empty   *ui.Empty
}

// Swap are the htmx attributes of a link that changes the whole page.
func (v queuesView) Swap(href string) any { return ui.Pager{Target: "queues"}.Attrs(href) }

// queueView is a row of the table.
type queueView struct {
	index.QueueStats
	Href       string
	FailedHref string
	PerMinute  string
	WaitShares shares
	TookShares shares
	now        int64
}

// shares are three quantiles as spans for templates.
type shares struct{ P50, P95, P99 any }

func newShares(s *index.Spans) shares {
	return shares{shown(s.Quantile(.5)), shown(s.Quantile(.95)), shown(s.Quantile(.99))}
}

// Rate is the part of the finished runs that failed.
func (q queueView) Rate() float64 { return q.FailureRate() }

// Troubled tells whether a run failed.
func (q queueView) Troubled() bool { return q.ByStatus[fold.Failed] > 0 }

// RateWidth is the width of the bar of the failure rate, of 100; one failure in a thousand can still be seen.
func (q queueView) RateWidth() string {
	rate := q.FailureRate()
	if math.IsNaN(rate) || rate == 0 {
		return "0"
	}
	return fmt.Sprintf("%.1f", max(4, 100*rate))
}

// Oldest is how long the longest waiting run has waited; nil when none waits.
func (q queueView) Oldest() any {
	if q.OldestWaiting == 0 {
		return nil
	}
	return max(0, q.now-q.OldestWaiting)
}

// Trend draws completed and failed runs over time.
func (q queueView) Trend() template.HTML {
	return trend(q.Done, q.Failed, fmt.Sprintf("%d completed and %d failed", q.ByStatus[fold.Completed], q.ByStatus[fold.Failed]))
}

// trend draws columns, failures at the foot of each.
func trend(done, failed []int, label string) template.HTML {
	const height, width = 20.0, 2.0
	most := 1
	for i := range done {
		most = max(most, done[i]+failed[i])
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="trend" viewBox="0 0 %g %g" width="%g" height="%g" role="img" aria-label="%s">`,
		width*float64(len(done)), height, width*float64(len(done)), height, template.HTMLEscapeString(label))
	fmt.Fprintf(&b, `<rect class="trend-base" y="%g" width="%g" height="1"/>`, height, width*float64(len(done)))
	column := func(class string, i int, from, n int) {
		if n == 0 {
			return
		}
		h := max(1, height*float64(n)/float64(most))
		y := height - height*float64(from)/float64(most) - h
		fmt.Fprintf(&b, `<rect class="%s" x="%g" y="%.1f" width="%g" height="%.1f"/>`, class, width*float64(i), max(0, y), width-.4, h)
	}
	for i := range done {
		column("trend-bad", i, 0, failed[i])
		column("trend-done", i, failed[i], done[i])
	}
	b.WriteString(`</svg>`)
	return template.HTML(b.String())
}

func (m *Module) queuesPage(w http.ResponseWriter, r *http.Request) error {
	v, err := m.queuesView(r)
	if err != nil {
		return err
	}
	return m.pages.Render(w, r, http.StatusOK, "queues", ui.Page{Title: "Queues", App: appKey,
		Section: queuesHref(httpx.ActorOf(r.Context()).WorkspaceID), Body: v})
}

// bounds are where a window begins and ends, on whole steps of the chart, so that its columns stay where they are while
// one looks.
func (w window) bounds(now time.Time) (from, to time.Time) {
	step := w.Long / chartColumns
	to = now.Truncate(step).Add(step)
	return to.Add(-w.Long), to
}

// chartColumns is how many buckets an overview has.
const chartColumns = 60

// defaultWindow is what the overview shows when the address does not say.
var defaultWindow = windows[0]

func (m *Module) queuesView(r *http.Request) (*queuesView, error) {
	ctx, q := r.Context(), r.URL.Query()
	ws := httpx.ActorOf(ctx).WorkspaceID
	facets, err := m.index.Facets(ctx, ws)
	if err != nil {
		return nil, err
	}
	span, ok := findWindow(q.Get("time"))
	if !ok {
		span = defaultWindow
	}
	v := &queuesView{Action: queuesHref(ws), Window: q.Get("time"), Env: q.Get("env"), Envs: facets.Envs, Live: livePage(ws, "queues")}
	for _, o := range windows {
		href, _ := ui.WithQuery(r.URL, "time", o.Key)
		v.Windows = append(v.Windows, statusTab{o.Label, href, o.Key == span.Key})
	}
	now := m.d.Clock()
	from, to := span.bounds(now)
	o, err := m.index.Overview(ctx, ws, kernel.Micros(from), kernel.Micros(to), v.Env)
	if err != nil {
		return nil, err
	}
	if len(o.Queues) == 0 {
		v.Empty = noQueues(ws, v.Env, len(facets.Queues) == 0)
		return v, nil
	}
	if v.Deploys, err = m.Deployments(ctx, ws, o.From, o.To); err != nil {
		return nil, err
	}
	v.Deploys = slices.DeleteFunc(v.Deploys, func(d Deployment) bool { return v.Env != "" && d.Env != "" && d.Env != v.Env })
	v.Queues = queueViews(ws, o, span.Key, v.Env, kernel.Micros(now))
	v.Stats = queueStats(ws, o, span)
	v.Chart = queueChart(o, v.Deploys)
	return v, nil
}

func noQueues(ws kernel.WorkspaceID, env string, never bool) *ui.Empty {
	switch {
	case never:
		return &ui.Empty{Icon: "queue", Title: "No queue yet", Text: "Queues appear here by themselves when a worker reports its first job.",
			Action: &ui.Action{Label: "Connect a worker", Href: listHref(ws), Primary: true}}
	case env != "":
		return &ui.Empty{Icon: "search", Title: "Nothing ran in " + env, Text: "Look at a longer time, or at all environments.",
			Action: &ui.Action{Label: "All environments", Href: queuesHref(ws)}}
	}
	return &ui.Empty{Icon: "clock", Title: "Nothing ran in this time", Text: "Look at a longer time.", Action: &ui.Action{Label: "Last 7 days", Href: queuesHref(ws) + "?time=7d"}}
}

func queueViews(ws kernel.WorkspaceID, o *index.Overview, span, env string, now int64) []queueView {
	minutes := float64(now-o.From) / 60e6
	out := make([]queueView, len(o.Queues))
	for i, q := range o.Queues {
		out[i] = queueView{QueueStats: q, now: now, PerMinute: perMinute(float64(q.Runs) / minutes),
			Href:       listWith(ws, "queue", q.Queue, "env", env, "time", span),
			FailedHref: listWith(ws, "queue", q.Queue, "env", env, "time", span, "status", "failed"),
			WaitShares: newShares(&q.Wait), TookShares: newShares(&q.Took)}
	}
	slices.SortStableFunc(out, byTrouble)
	return out
}

// perMinute writes a throughput; next to nothing is said to be that.
func perMinute(rate float64) string {
	if rate > 0 && rate < .01 {
		return "< 0.01"
	}
	return ui.Number(rate)
}

// byTrouble puts first what needs somebody: failures, then work that is left lying.
func byTrouble(a, b queueView) int {
	rate := func(q queueView) float64 {
		if q.Finished() == 0 {
			return 0
		}
		return q.FailureRate()
	}
	age := func(q queueView) int64 {
		if q.OldestWaiting == 0 {
			return 0
		}
		return q.now - q.OldestWaiting
	}
	return cmp.Or(cmp.Compare(rate(b), rate(a)), cmp.Compare(age(b), age(a)), cmp.Compare(b.Runs, a.Runs), cmp.Compare(a.Queue, b.Queue))
}

func queueStats(ws kernel.WorkspaceID, o *index.Overview, span window) []ui.Stat {
	var runs, failed, finished, waiting, later, running int
	var wait, took index.Spans
	for i := range o.Queues {
		q := &o.Queues[i]
		runs, failed, finished = runs+q.Runs, failed+q.ByStatus[fold.Failed], finished+q.Finished()
		waiting, later, running = waiting+q.Waiting, later+q.Later, running+q.Running
		wait.Merge(&q.Wait)
		took.Merge(&q.Took)
	}
	count := func(n int) string { s, _ := ui.Count(n); return s }
	rate := ui.Stat{Label: "Failure rate", Value: "–", Hint: "nothing has finished"}
	if finished > 0 {
		rate.Value, _ = ui.Percent(float64(failed) / float64(finished))
		rate.Hint = count(failed) + " of " + count(finished) + " finished"
		if failed > 0 {
			rate.Tone, rate.Href = ui.ToneBad, listWith(ws, "status", "failed", "time", span.Key)
		}
	}
	p95 := func(label string, s *index.Spans) ui.Stat {
		return ui.Stat{Label: label, Value: spanOr(s.Quantile(.95)), Hint: "median " + spanOr(s.Quantile(.5))}
	}
	line := ui.Stat{Label: "Waiting now", Value: count(waiting), Href: listWith(ws, "status", "waiting,stalled")}
	if later > 0 {
		line.Hint = count(later) + " due later"
	}
	return []ui.Stat{
		{Label: "Jobs", Value: count(runs), Hint: perMinute(float64(runs)/span.Long.Minutes()) + " a minute", Href: listWith(ws, "time", span.Key)},
		rate, p95("Waited, p95", &wait), p95("Took, p95", &took),
		{Label: "Running now", Value: count(running), Href: listWith(ws, "status", "active")},
		line,
	}
}

func queueChart(o *index.Overview, deploys []Deployment) ui.Chart {
	n := len(o.Queues[0].Done)
	done, failed, at := make([]float64, n), make([]float64, n), make([]time.Time, n)
	for i := range n {
		at[i] = kernel.FromMicros(o.From + int64(i)*o.Step)
		for _, q := range o.Queues {
			done[i] += float64(q.Done[i])
			failed[i] += float64(q.Failed[i])
		}
	}
	c := ui.Chart{ID: "queues-chart", Title: "Finished jobs", Unit: "jobs in " + strings.TrimSuffix(strings.TrimSuffix(spanText(o.Step), " 00 s"), " 00 min"), At: at, Bars: true, Stack: true, Height: 150,
		Series: []ui.Series{{Label: "Failed", Tone: ui.ToneBad, Values: failed}, {Label: "Completed", Tone: ui.ToneActive, Values: done}}}
	for _, d := range deploys {
		c.Marks = append(c.Marks, ui.Mark{At: kernel.FromMicros(d.At), Label: cmp.Or(d.Version, "deployment")})
	}
	return c
}
