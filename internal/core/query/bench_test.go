package query_test

import (
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"github.com/kept-dev/kept/internal/core/query"
	"github.com/kept-dev/kept/internal/platform/db/dbtest"
	"github.com/kept-dev/kept/internal/platform/series"
)

const (
	benchHosts = 100
	benchDays  = 30
	benchEnd   = int64(1_795_176_000_000) // 2026-11-20 12:00 UTC
)

// benchSeries is what panels show of a host: its memory each 15 s, its processor by mode, its disks.
func benchSeries() (out []labels.Labels) {
	for h := range benchHosts {
		host := fmt.Sprintf("host-%03d", h)
		add := func(pairs ...string) {
			out = append(out, labels.FromStrings(append(pairs, "instance", host, "job", "node")...))
		}
		for _, mode := range []string{"idle", "iowait", "irq", "nice", "softirq", "steal", "system", "user"} {
			add("__name__", "node_cpu_seconds_total", "cpu", "0", "mode", mode)
		}
		for _, mount := range []string{"/", "/boot", "/var"} {
			add("__name__", "node_filesystem_avail_bytes", "mountpoint", mount)
		}
		for i := range 300 { // others, which make the index as large as it is
			add("__name__", fmt.Sprintf("node_other_%d_total", i))
		}
		add("__name__", "node_memory_MemAvailable_bytes")
		add("__name__", "node_load1")
	}
	return out
}

// fill appends samples of a span, each so many milliseconds. Series that no panel shows get few.
func fill(b *testing.B, app func() storage.Appender, all []labels.Labels, values []float64, from, to, each int64) {
	b.Helper()
	r := rand.New(rand.NewPCG(uint64(from), 1))
	a := app()
	refs := make([]storage.SeriesRef, len(all))
	for t, n := from, 0; t < to; t, n = t+each, n+1 {
		for i, l := range all {
			name := l.Get("__name__")
			if strings.HasPrefix(name, "node_other") && n%40 != 0 {
				continue
			}
			if strings.HasSuffix(name, "_total") {
				values[i] += float64(r.IntN(1500)) / 100
			} else {
				values[i] = 1e9 + float64(r.IntN(1e6))*4096
			}
			var err error
			if refs[i], err = a.Append(refs[i], l, t, values[i]); err != nil {
				b.Fatal(err)
			}
		}
		if n%20 == 19 {
			if err := a.Commit(); err != nil {
				b.Fatal(err)
			}
			a = app()
		}
	}
	if err := a.Commit(); err != nil {
		b.Fatal(err)
	}
}

var month = flag.String("month", "", "a folder to keep the month of BenchmarkPanels in, so that the next run need not make it again")

// benchStore opens a store with a month of samples: one each minute in the past, each 15 s in the last two hours.
func benchStore(b *testing.B) (*series.Watched, []labels.Labels) {
	dir := *month
	if dir == "" {
		dir = b.TempDir()
	}
	all := benchSeries()
	values := make([]float64, len(all))
	const day = int64(24 * 3600_000)
	recent := benchEnd - 2*3600_000
	_, err := os.Stat(filepath.Join(dir, string(testWS)))
	for from := benchEnd - benchDays*day; err != nil && from < recent; from += 3 * day {
		to := min(recent, from+3*day)
		writeBlock(b, filepath.Join(dir, string(testWS)), from, to, func(h *tsdb.Head) {
			fill(b, func() storage.Appender { return h.Appender(b.Context()) }, all, values, from, to, 60_000)
		})
	}
	store, openErr := series.OpenTSDB(series.Config{Dir: dir, Clock: func() time.Time { return time.UnixMilli(benchEnd) }})
	if openErr != nil {
		b.Fatal(openErr)
	}
	b.Cleanup(func() { store.Close() })
	watched := series.Watch(store)
	q, openErr := watched.For(testWS).Querier(0, 1) // opens the database
	if openErr != nil {
		b.Fatal(openErr)
	}
	q.Close()
	if err != nil {
		fill(b, func() storage.Appender { return watched.For(testWS).Appender(b.Context()) }, all, values, recent, benchEnd, 15_000)
	}
	return watched, all
}

// writeBlock writes a block as a store does: in the encoding that its head has.
func writeBlock(t testing.TB, dir string, from, to int64, write func(*tsdb.Head)) {
	t.Helper()
	opts := tsdb.DefaultHeadOptions()
	opts.ChunkRange, opts.ChunkDirRoot = 2*(to-from), t.TempDir()
	opts.FloatChunkEncoding.Store(uint32(chunkenc.EncXOR2))
	h, err := tsdb.NewHead(nil, nil, nil, nil, opts, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if err := h.Init(from); err != nil {
		t.Fatal(err)
	}
	write(h)
	c, err := tsdb.NewLeveledCompactor(t.Context(), nil, slog.New(slog.DiscardHandler), []int64{to - from}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write(dir, h, h.MinTime(), h.MaxTime()+1, nil); err != nil {
		t.Fatal(err)
	}
}

// processorTime is what the process has used of processors, milliseconds: on a machine that others keep busy, it says more
// than the time on the clock.
func processorTime(b *testing.B) float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e6
}

// benchPanels are questions of panels.
var benchPanels = []struct{ name, expr string }{
	{"memory of each host", "node_memory_MemAvailable_bytes"},
	{"load, the five highest", "topk(5, node_load1)"},
	{"processor of each host", `1 - avg by (instance) (rate(node_cpu_seconds_total{mode="idle"}[5m]))`},
	{"processor by mode", "sum by (mode) (rate(node_cpu_seconds_total[5m]))"},
	{"least free disk", "bottomk(10, node_filesystem_avail_bytes)"},
}

// BenchmarkDashboard times twenty panels that are asked for at once, until the last is answered.
func BenchmarkDashboard(b *testing.B) {
	watched, all := benchStore(b)
	m, err := query.New(query.Deps{DB: dbtest.Open(b, dbtest.SQLite(b)), Store: watched})
	if err != nil {
		b.Fatal(err)
	}
	end := time.UnixMilli(benchEnd)
	for _, s := range []query.Span{{From: end.Add(-time.Hour), To: end, Step: 15 * time.Second}, {From: end.Add(-benchDays * 24 * time.Hour), To: end, Step: 2 * time.Hour}} {
		for _, fresh := range []bool{true, false} {
			b.Run(s.To.Sub(s.From).String()+map[bool]string{true: "/in full", false: "/again"}[fresh], func(b *testing.B) {
				ask := func() {
					var panels sync.WaitGroup
					for i := range 20 {
						panels.Go(func() {
							metric := []string{"node_memory_MemAvailable_bytes", "node_load1", `rate(node_cpu_seconds_total{mode="idle"}[5m])`, "node_filesystem_avail_bytes"}[i%4]
							expr := fmt.Sprintf([]string{"%s", "topk(5, %s)", "avg(%s)", "max by (instance) (%s)", "%s * 8"}[i/4], metric)
							if _, err := m.Ask(b.Context(), testWS, query.Question{Expr: expr, Span: s.Aligned()}); err != nil {
								b.Error(err)
							}
						})
					}
					panels.Wait()
				}
				ask()
				busy, n := processorTime(b), 0
				for ; b.Loop(); n++ {
					if fresh {
						m.ForgetAnswers()
					} else {
						oneMore(b, watched, all[0])
					}
					ask()
				}
				b.ReportMetric((processorTime(b)-busy)/float64(n), "cpu-ms/op")
			})
		}
	}
}

// oneMore writes a sample: the newest steps of what the cache has are evaluated again.
func oneMore(b *testing.B, watched *series.Watched, l labels.Labels) {
	b.Helper()
	app := watched.For(testWS).Appender(b.Context())
	if _, err := app.Append(0, l, benchEnd-1000, 1); err != nil {
		b.Fatal(err)
	}
	if err := app.Commit(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkPanels times what a panel of a dashboard asks for with 100 hosts and a month of samples: as a page gets it
// that nobody has looked at, and as one that is looked at again. A sample each minute in the past, each 15 s in the last two hours.
func BenchmarkPanels(b *testing.B) {
	watched, all := benchStore(b)
	m, err := query.New(query.Deps{DB: dbtest.Open(b, dbtest.SQLite(b)), Store: watched})
	if err != nil {
		b.Fatal(err)
	}
	end := time.UnixMilli(benchEnd)
	for _, panel := range benchPanels {
		for _, s := range []struct {
			name string
			span query.Span
		}{
			{"1h", query.Span{From: end.Add(-time.Hour), To: end, Step: 15 * time.Second}},
			{"24h", query.Span{From: end.Add(-24 * time.Hour), To: end, Step: 5 * time.Minute}},
			{"30d", query.Span{From: end.Add(-benchDays * 24 * time.Hour), To: end, Step: 2 * time.Hour}},
		} {
			for _, fresh := range []bool{true, false} {
				way := map[bool]string{true: "in full", false: "again"}[fresh]
				b.Run(panel.name+"/"+s.name+"/"+way, func(b *testing.B) {
					q := query.Question{Expr: panel.expr, Span: s.span.Aligned()}
					points := 0
					if !fresh {
						if _, err := m.Ask(b.Context(), testWS, q); err != nil {
							b.Fatal(err)
						}
					}
					busy, n := processorTime(b), 0
					for ; b.Loop(); n++ {
						if fresh {
							m.ForgetAnswers()
						} else {
							oneMore(b, watched, all[0])
						}
						a, err := m.Ask(b.Context(), testWS, q)
						if err != nil {
							b.Fatal(err)
						}
						points = a.Value.(promql.Matrix).TotalSamples()
					}
					b.ReportMetric(float64(points), "points")
					b.ReportMetric((processorTime(b)-busy)/float64(n), "cpu-ms/op")
				})
			}
		}
	}
}
