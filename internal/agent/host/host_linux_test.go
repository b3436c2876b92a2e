package host

import (
	"strings"
	"testing"

	"github.com/kept-dev/kept/internal/agent/metric"
)

// TestThisMachine reads the machine that the tests run on: whatever it is, reading it works.
func TestThisMachine(t *testing.T) {
	t.Parallel()
	h := New(Options{})
	defer h.Close()
	got := text(t, func(s *metric.Set) {
		h.Collect(s)
		h.CollectSlow(s)
	})
	for _, name := range []string{"node_cpu_seconds_total{", "node_memory_MemTotal_bytes ", "node_load1 ", "node_uname_info{", "kept_process_count{"} {
		if !strings.Contains(got, "\n"+name) {
			t.Errorf("no series begins with %s", name)
		}
	}
}

// BenchmarkCollect is what happens at each interval.
func BenchmarkCollect(b *testing.B) {
	h := New(Options{})
	defer h.Close()
	s := metric.NewSet(100_000)
	b.ReportAllocs()
	for b.Loop() {
		s.Begin()
		h.Collect(s)
		s.End()
	}
}

// BenchmarkCollectSlow is what happens once a minute.
func BenchmarkCollectSlow(b *testing.B) {
	h := New(Options{})
	defer h.Close()
	s := metric.NewSet(100_000)
	b.ReportAllocs()
	for b.Loop() {
		s.Begin()
		h.CollectSlow(s)
		s.End()
	}
}
