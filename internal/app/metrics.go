package app

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
)

// writeMetrics answers a scrape: the edge's counters, the modules' and the process's.
func (a *App) writeMetrics(w http.ResponseWriter, _ *http.Request) error {
	var b bytes.Buffer
	if _, err := a.metrics.WriteTo(&b); err != nil {
		return err
	}
	for _, m := range a.modules {
		if p, ok := m.Module.(measurer); ok {
			if err := p.WriteMetrics(&b); err != nil {
				return fmt.Errorf("metrics of %s: %w", m.Name(), err)
			}
		}
	}
	writeProcess(&b)
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	_, _ = w.Write(b.Bytes()) // a scraper that left
	return nil
}

// writeProcess writes what operators look at first, under the names that Prometheus' own libraries use.
func writeProcess(w io.Writer) {
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	gauge(w, "go_goroutines", "Goroutines that exist.", float64(runtime.NumGoroutine()))
	gauge(w, "go_memstats_heap_alloc_bytes", "Bytes of the heap in use.", float64(mem.HeapAlloc))
	gauge(w, "go_memstats_sys_bytes", "Bytes obtained from the system.", float64(mem.Sys))
	counter(w, "go_gc_cycles_total", "Garbage collections done.", float64(mem.NumGC))
	if rss, ok := residentBytes(); ok {
		gauge(w, "process_resident_memory_bytes", "Resident memory.", rss)
	}
	fmt.Fprintf(w, "# HELP kept_build_info The version that runs.\n# TYPE kept_build_info gauge\n"+
		"kept_build_info{version=%q,go=%q} 1\n", Version(), runtime.Version())
}

func gauge(w io.Writer, name, help string, v float64)   { metric(w, name, help, "gauge", v) }
func counter(w io.Writer, name, help string, v float64) { metric(w, name, help, "counter", v) }

func metric(w io.Writer, name, help, kind string, v float64) {
	fmt.Fprintf(w, "# HELP %s %s\n# TYPE %s %s\n%s %s\n", name, help, name, kind, name, strconv.FormatFloat(v, 'g', -1, 64))
}

// residentBytes reads the resident size on Linux; elsewhere it is not known.
func residentBytes() (float64, bool) {
	f, err := os.Open("/proc/self/status")
	if err != nil {
		return 0, false
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		rest, ok := strings.CutPrefix(lines.Text(), "VmRSS:")
		if !ok {
			continue
		}
		kib, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 64)
		return kib * 1024, err == nil
	}
	return 0, false
}
