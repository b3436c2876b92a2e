package host

import (
	"os"
	"path/filepath"
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

// TestContainersWithoutControllers: where the tree of version 2 has no controllers, as inside of a container, processor time
// is counted all the same.
func TestContainersWithoutControllers(t *testing.T) {
	t.Parallel()
	sys := t.TempDir()
	id := strings.Repeat("ab", 32)
	box := filepath.Join(sys, "fs/cgroup/system.slice/docker-"+id+".scope")
	if err := os.MkdirAll(box, 0o700); err != nil {
		t.Fatal(err)
	}
	for path, content := range map[string]string{filepath.Join(sys, "fs/cgroup/cgroup.controllers"): "", filepath.Join(box, "cpu.stat"): "usage_usec 4500000\nuser_usec 4000000\nsystem_usec 500000\n"} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	h := New(Options{Sys: sys, Only: []string{"containers"}})
	defer h.Close()
	got := text(t, h.Collect)
	if want := `container_cpu_usage_seconds_total{cpu="total",id="/system.slice/docker-` + id + `.scope",name="abababababab"} 4.5`; !strings.Contains(got, want) {
		t.Errorf("no %s in\n%s", want, got)
	}
	if strings.Contains(got, "container_memory") {
		t.Errorf("memory that nobody counts:\n%s", got)
	}
}
