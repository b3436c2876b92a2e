package series_test

import (
	"path/filepath"
	"testing"

	"github.com/kept-dev/kept/internal/platform/series"
	"github.com/kept-dev/kept/internal/platform/series/seriestest"
)

func open(t testing.TB, cfg series.Config) *series.TSDB {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = filepath.Join(t.TempDir(), "series")
	}
	if cfg.OutOfOrder == 0 {
		cfg.OutOfOrder = seriestest.Window
	}
	s, err := series.OpenTSDB(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestTSDB(t *testing.T) {
	t.Parallel()
	seriestest.Run(t, seriestest.Tester{Start: func(t *testing.T) func() series.Store {
		dir := filepath.Join(t.TempDir(), "series")
		return func() series.Store { return open(t, series.Config{Dir: dir}) }
	}})
}
