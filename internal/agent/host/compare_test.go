//go:build linux

package host

import (
	"bytes"
	"os"
	"testing"

	"github.com/kept-dev/kept/internal/agent/metric"
)

// TestPrintsThisMachine reads the machine that the tests run on: whatever it is, reading it works.
func TestPrintsThisMachine(t *testing.T) {
	t.Parallel()
	h := New(Options{})
	defer h.Close()
	s := metric.NewSet(100_000)
	s.Begin()
	h.Collect(s)
	h.CollectSlow(s)
	var b bytes.Buffer
	if err := metric.WriteText(&b, s.End()); err != nil {
		t.Fatal(err)
	}
	if p := os.Getenv("KEPT_AGENT_TEXT"); p != "" {
		os.WriteFile(p, b.Bytes(), 0o600)
	}
	for _, name := range []string{"node_cpu_seconds_total{", "node_memory_MemTotal_bytes ", "node_load1 ", "node_uname_info{", "kept_process_count{"} {
		if !bytes.Contains(b.Bytes(), []byte("\n"+name)) {
			t.Errorf("no series begins with %s", name)
		}
	}
}

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
