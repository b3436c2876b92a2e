package jobs

import (
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/kept-dev/kept/internal/core/dashboard"
	"github.com/kept-dev/kept/internal/core/query"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db/dbtest"
	"github.com/kept-dev/kept/internal/platform/series"
)

// asker asks PromQL questions about a server's jobs.
type asker struct {
	*query.Module
	now time.Time
}

func newAsker(t testing.TB, s *server) *asker {
	t.Helper()
	a := &asker{now: time.Now().Truncate(15 * time.Second)}
	store, err := series.OpenTSDB(series.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	if a.Module, err = query.New(query.Deps{Store: series.Watch(store), Clock: kernel.SystemClock}); err != nil {
		t.Fatal(err)
	}
	a.Use(s)
	a.UseDescribers(s)
	return a
}

// value is the one value that an expression has now.
func (a *asker) value(t testing.TB, expr string) float64 {
	t.Helper()
	res, err := a.Instant(t.Context(), testWS, expr, a.now)
	if err != nil {
		t.Fatal(expr, err)
	}
	v, ok := res.Value.(promql.Vector)
	if !ok || len(v) != 1 {
		t.Fatalf("%s: %v", expr, res.Value)
	}
	return v[0].F
}

// run is the events of a job that waits and works so many milliseconds and then completes or fails; ago is when it came.
func run(now time.Time, queue, id string, ago time.Duration, wait, took int64, end string) string {
	at := now.Add(-ago).UnixMilli()
	event := func(kind string, at int64) string {
		return fmt.Sprintf(`{"jobId":%q,"jobName":"send","queue":%q,"event":%q,"timestamp":%d,"env":"production"}`, id, queue, kind, at)
	}
	out := event("waiting", at)
	if wait >= 0 {
		out += "," + event("active", at+wait)
	}
	if end != "" {
		out += "," + event(end, at+wait+took)
	}
	return out
}

func TestJobsAreSeries(t *testing.T) {
	t.Parallel()
	s := serve(t, dbtest.Open(t, dbtest.SQLite(t)))
	a := newAsker(t, s)
	var events []string
	for i := range 100 { // one each half minute
		end := "completed"
		if i%10 == 0 {
			end = "failed"
		}
		events = append(events, run(a.now, "mail", fmt.Sprint("m", i), time.Duration(i+2)*30*time.Second, 200, 2000, end))
	}
	events = append(events, run(a.now, "slow", "w1", 10*time.Minute, -1, 0, ""), run(a.now, "slow", "w2", 5*time.Minute, -1, 0, ""),
		run(a.now, "slow", "r1", 20*time.Minute, 120_000, 0, ""))
	s.post(t, `{"events":[`+strings.Join(events, ",")+`]}`)
	for expr, want := range map[string]float64{
		`kept_jobs_completed_total{queue="mail",name="send",env="production"}`:                            90,
		`sum(kept_jobs_failed_total)`:                                                                     10,
		`sum by (queue) (increase(kept_jobs_enqueued_total{queue="mail"}[30m]))`:                          58,
		`kept_jobs_waiting{queue="slow"}`:                                                                 2,
		`kept_jobs_waiting{queue="slow"} offset 15m`:                                                      0,
		`kept_jobs_waiting{queue="slow"} offset 19m`:                                                      1, // the one that runs now waited then
		`kept_jobs_running{queue="slow"}`:                                                                 1,
		`kept_jobs_running{queue="slow"} offset 19m`:                                                      0,
		`kept_jobs_oldest_waiting_seconds{queue="slow"}`:                                                  600,
		`kept_jobs_oldest_waiting_seconds{queue="slow"} offset 3m`:                                        420,
		`kept_jobs_oldest_waiting_seconds{queue="slow"} offset 15m`:                                       0,
		`kept_job_duration_seconds_sum{queue="mail"}`:                                                     200,
		`kept_job_duration_seconds_count{queue="mail"}`:                                                   100,
		`kept_job_duration_seconds_bucket{queue="mail",le="1.0"}`:                                         0,
		`kept_job_duration_seconds_bucket{queue="mail",le="2.5"}`:                                         100,
		`kept_job_duration_seconds_bucket{queue="mail",le="+Inf"}`:                                        100,
		`kept_job_wait_seconds_bucket{queue="mail",le="0.25"}`:                                            100,
		`kept_jobs_retried_total{queue="mail"}`:                                                           0,
		`count({queue="slow"}) > bool 5`:                                                                  1,
		`sum(rate(kept_jobs_failed_total[10m])) / sum(rate(kept_jobs_enqueued_total{queue="mail"}[10m]))`: 2.0 / 18,
	} {
		if got := a.value(t, expr); math.Abs(got-want) > 0.02*want {
			t.Errorf("%s = %v, want %v", expr, got, want)
		}
	}
	if q := a.value(t, `histogram_quantile(0.5, sum by (le) (rate(kept_job_duration_seconds_bucket{queue="mail"}[30m])))`); q < 1 || q > 2.5 {
		t.Errorf("median %v", q)
	}
	names, err := a.LabelValues(t.Context(), testWS, "__name__", nil, a.now.Add(-time.Hour), a.now)
	if err != nil || len(names) != 13 {
		t.Errorf("%v, %v", names, err)
	}
	queues, err := a.LabelValues(t.Context(), testWS, "queue", nil, a.now.Add(-time.Hour), a.now)
	if err != nil || fmt.Sprint(queues) != "[mail slow]" {
		t.Errorf("%v, %v", queues, err)
	}
	if other, err := a.LabelValues(t.Context(), "01arz3ndektsv4rrffq69g5faw", "queue", nil, a.now.Add(-time.Hour), a.now); err != nil || len(other) != 0 {
		t.Errorf("another workspace sees %v, %v", other, err)
	}
	meta, err := a.Metadata(t.Context(), testWS, "kept_job_duration_seconds")
	if err != nil || len(meta) != 1 || meta["kept_job_duration_seconds"][0].Type != "histogram" {
		t.Errorf("%v, %v", meta, err)
	}
}

// TestSeriesSurviveRetention sweeps old jobs and looks at what is left: nothing falls, and what is new is as it was.
func TestSeriesSurviveRetention(t *testing.T) {
	t.Parallel()
	s := serve(t, dbtest.Open(t, dbtest.SQLite(t)))
	a := newAsker(t, s)
	var events []string
	for i := range 200 {
		events = append(events, run(a.now, "mail", fmt.Sprint("m", i), time.Duration(i+1)*time.Minute, 10, 20, "completed"))
	}
	s.post(t, `{"events":[`+strings.Join(events[100:], ",")+`]}`)
	cut := kernel.Micros(time.Now())
	s.post(t, `{"events":[`+strings.Join(events[:100], ",")+`]}`)
	const recent = `increase(kept_jobs_completed_total[1h])`
	before := a.value(t, recent)
	if removed, err := s.index.Sweep(t.Context(), testWS, cut); err != nil || removed != 100 {
		t.Fatal(removed, err)
	}
	if after := a.value(t, recent); after != before || math.Abs(after-60) > 1 {
		t.Errorf("%v, before the sweep %v", after, before)
	}
	if total := a.value(t, `kept_jobs_completed_total`); total != 100 {
		t.Errorf("%v", total)
	}
	res, err := a.Range(t.Context(), testWS, `delta(kept_jobs_completed_total[5m]) < 0 or resets(kept_jobs_completed_total[5m]) > 0`,
		query.Span{From: a.now.Add(-5 * time.Hour), To: a.now, Step: time.Minute})
	if err != nil || len(res.Value.(promql.Matrix)) != 0 {
		t.Errorf("%v, %v", res.Value, err)
	}
}

// TestDashboardShowsJobs asks every panel of the dashboard that the app brings.
func TestDashboardShowsJobs(t *testing.T) {
	t.Parallel()
	s := serve(t, dbtest.Open(t, dbtest.SQLite(t)))
	a := newAsker(t, s)
	var events []string
	for i := range 60 {
		end := []string{"completed", "completed", "failed"}[i%3]
		events = append(events, run(a.now, "mail", fmt.Sprint("m", i), time.Duration(i+1)*15*time.Second, 100, 3000, end))
	}
	s.post(t, `{"events":[`+strings.Join(append(events, run(a.now, "slow", "w1", 40*time.Minute, -1, 0, "")), ",")+`]}`)
	fill := strings.NewReplacer("$queue", ".*", "$env", ".*", "$__rate_interval", "10m", "$__range", "1h")
	for _, f := range s.Dashboards() {
		d, err := dashboard.Decode(f.JSON)
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range d.Rows {
			for _, p := range row.Panels {
				res, err := a.Instant(t.Context(), testWS, fill.Replace(p.Targets[0].Expr), a.now)
				if v, ok := res.Value.(promql.Vector); err != nil || !ok || len(v) == 0 {
					t.Errorf("%s: %v, %v", p.ID, res.Value, err)
				}
			}
		}
	}
}

// TestRulesOfJobs looks for what each rule is for in an hour in which it happened, and in one in which it did not.
func TestRulesOfJobs(t *testing.T) {
	t.Parallel()
	s := serve(t, dbtest.Open(t, dbtest.SQLite(t)))
	a := newAsker(t, s)
	var events []string
	add := func(queue string, n int, ago, apart time.Duration, wait, took int64, end func(i int) string) {
		for i := range n {
			events = append(events, run(a.now, queue, fmt.Sprint(queue, ago, i), ago+time.Duration(i)*apart, wait, took, end(i)))
		}
	}
	completed, nothing := func(int) string { return "completed" }, func(int) string { return "" }
	add("fine", 300, time.Minute, time.Minute, 100, 500, completed)
	add("fine", 1500, 20*time.Hour, 30*time.Second, 100, 500, completed)
	add("failing", 40, time.Minute, 20*time.Second, 100, 500, func(i int) string { return []string{"failed", "completed", "completed"}[i%3] })
	add("stuck", 1, 20*time.Minute, time.Minute, -1, 0, nothing)
	add("growing", 150, time.Second, 5*time.Second, -1, 0, nothing)
	add("slow", 60, time.Minute, 12*time.Second, 100, 4000, completed)
	add("slow", 1500, 20*time.Hour, 30*time.Second, 100, 500, completed)
	add("stopped", 1500, 20*time.Hour, 30*time.Second, 100, 500, completed)
	for part := range slices.Chunk(events, 400) {
		s.post(t, `{"events":[`+strings.Join(part, ",")+`]}`)
	}
	want := map[string]string{"JobsFailing": "failing", "JobsNotStarted": "stuck", "JobsBacklogGrows": "growing", "JobsSlow": "slow", "JobsStopped": "stopped"}
	groups, errs := rulefmt.Parse(s.RulePacks()[0].YAML, false, model.UTF8Validation, parser.NewParser(parser.Options{}), slog.New(slog.DiscardHandler))
	if len(errs) > 0 || len(groups.Groups[0].Rules) != len(want) {
		t.Fatal(errs)
	}
	for _, r := range groups.Groups[0].Rules {
		res, err := a.Instant(t.Context(), testWS, r.Expr, a.now)
		if err != nil {
			t.Fatal(r.Alert, err)
		}
		v := res.Value.(promql.Vector)
		if len(v) != 1 || v[0].Metric.Get("queue") != want[r.Alert] {
			t.Errorf("%s: %v", r.Alert, v)
		}
	}
}
