package jobs

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql"

	"github.com/kept-dev/kept/internal/apps/jobs/eventlog"
	"github.com/kept-dev/kept/internal/apps/jobs/fold"
	"github.com/kept-dev/kept/internal/core/query"
	"github.com/kept-dev/kept/internal/platform/db/dbtest"
	"github.com/kept-dev/kept/wire/jobviz"
)

// processorTime is what the process has used of processors, milliseconds: on a machine that others keep busy, it says more
// than the time on the clock.
func processorTime(b *testing.B) float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e6
}

// BenchmarkPanels times what panels about jobs ask for, with a million jobs in a month, of ten queues and twenty names.
func BenchmarkPanels(b *testing.B) {
	const jobs = 1_000_000
	s := serve(b, dbtest.Open(b, dbtest.SQLite(b)))
	a := newAsker(b, s)
	begin := a.now.Add(-30 * 24 * time.Hour).UnixMicro()
	var batch []eventlog.Record
	for n := range jobs {
		at := begin + int64(n)*(30*24*3600_000_000/jobs)
		for i, kind := range [3]jobviz.Type{jobviz.Waiting, jobviz.Active, jobviz.Completed} {
			if i == 2 && n%25 == 7 {
				kind = jobviz.Failed
			}
			batch = append(batch, eventlog.Record{Event: fold.Event{At: at + int64(i*(1+n%997))*5000, Type: kind, Arg: -1, Hash: uint32(n)}, ReceivedAt: at,
				Queue: fmt.Appendf(nil, "queue-%d", n%10), JobID: fmt.Append(nil, n), Name: fmt.Appendf(nil, "task-%d", n%20), Env: []byte("production")})
		}
		if len(batch) < 6000 && n < jobs-1 {
			continue
		}
		if err := s.log.Append(b.Context(), testWS, batch); err != nil {
			b.Fatal(err)
		}
		batch = batch[:0]
	}
	if err := s.index.CatchUp(b.Context(), testWS); err != nil {
		b.Fatal(err)
	}
	for tick := time.NewTicker(100 * time.Millisecond); ; <-tick.C {
		if settled, err := s.index.Settled(b.Context(), testWS); err != nil {
			b.Fatal(err)
		} else if settled {
			tick.Stop()
			break
		}
	}
	for _, panel := range []struct{ name, expr string }{
		{"completed", `sum by (queue) (rate(kept_jobs_completed_total[%s]))`},
		{"duration p95", `histogram_quantile(0.95, sum by (queue, le) (rate(kept_job_duration_seconds_bucket[%s])))`},
		{"waiting", `sum by (queue) (kept_jobs_waiting)`},
	} {
		for _, span := range []query.Span{{From: a.now.Add(-time.Hour), To: a.now, Step: 15 * time.Second}, {From: a.now.Add(-30 * 24 * time.Hour), To: a.now, Step: 2 * time.Hour}} {
			b.Run(fmt.Sprint(panel.name, " ", span.To.Sub(span.From)), func(b *testing.B) {
				expr := panel.expr
				if window := map[bool]string{true: "5m", false: "2h"}[span.Step < time.Minute]; expr != `sum by (queue) (kept_jobs_waiting)` {
					expr = fmt.Sprintf(expr, window)
				}
				points, busy, n := 0, processorTime(b), 0
				for ; b.Loop(); n++ {
					res, err := a.Range(b.Context(), testWS, expr, span)
					if err != nil {
						b.Fatal(err)
					}
					points = res.Value.(promql.Matrix).TotalSamples()
				}
				b.ReportMetric(float64(points), "points")
				b.ReportMetric((processorTime(b)-busy)/float64(n), "cpu-ms/op")
			})
		}
	}
}
