package series_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/storage"

	"github.com/kept-dev/kept/internal/platform/series"
	"github.com/kept-dev/kept/internal/platform/series/seriestest"
)

// TestPromQL runs every evaluation of Prometheus's own test files with our storage below the engine. The race detector
// makes some of the files fifty times slower and finds nothing there, where one goroutine computes; so they run without it.
func TestPromQL(t *testing.T) {
	t.Parallel()
	if raceDetector {
		cmd := exec.CommandContext(t.Context(), "go", "test", "-race=false", "-vet=off", "-count=1", "-run", "^TestPromQL$", ".")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0") // as the build that is in the cache
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	engine := promqltest.NewTestEngineWithOpts(t, promql.EngineOpts{
		MaxSamples: 10000, Timeout: 100 * time.Second,
		NoStepSubqueryIntervalFn: func(int64) int64 { return 60_000 },
		EnableAtModifier:         true, EnableNegativeOffset: true,
		EnableDelayedNameRemoval: true, UseStartTimestamps: true,
		Parser: parser.NewParser(promqltest.TestParserOpts),
	})
	promqltest.RunBuiltinTestsWithStorage(parallel{t}, engine, func(tb testing.TB) storage.Storage {
		dir, err := os.MkdirTemp("", "kept-promql")
		if err != nil {
			tb.Fatal(err)
		}
		s, err := series.OpenTSDB(series.Config{Dir: filepath.Join(dir, "series"), IdleClose: time.Hour})
		if err != nil {
			tb.Fatal(err)
		}
		return whole{s.For(seriestest.NewWorkspace()), s, dir}
	})
}

// parallel runs the files side by side.
type parallel struct{ *testing.T }

func (p parallel) Run(name string, f func(*testing.T)) bool {
	return p.T.Run(name, func(t *testing.T) {
		t.Parallel()
		f(t)
	})
}

// whole is a workspace's storage as the suite wants it: one that it may close.
type whole struct {
	series.Storage
	store *series.TSDB
	dir   string
}

func (whole) StartTime() (int64, error) { return 0, nil }

func (w whole) Close() error {
	err := w.store.Close()
	os.RemoveAll(w.dir)
	return err
}
