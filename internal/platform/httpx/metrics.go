package httpx

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// durationBounds are the upper ends of the histogram's buckets, in seconds.
var durationBounds = [...]float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10}

// Metrics counts requests by route and class. It writes itself in Prometheus' text format, which for counters alone is
// not worth a library: everything about a route is found before the first request, so that counting is a few atomic
// additions.
type Metrics struct {
	mu     sync.Mutex
	routes []*routeMetrics
}

type routeMetrics struct {
	labels   string
	statuses [6]atomic.Uint64 // by the status' first digit; 0 is unused
	buckets  [len(durationBounds) + 1]atomic.Uint64
	nanos    atomic.Int64
}

// NewMetrics makes an empty set.
func NewMetrics() *Metrics { return &Metrics{} }

func (m *Metrics) route(r Route) *routeMetrics {
	if m == nil {
		return nil
	}
	pattern := r.Path
	if pattern == "" {
		pattern = "(none)"
	}
	rm := &routeMetrics{labels: fmt.Sprintf("method=%q,route=%q,class=%q", r.Method, pattern, string(r.Rate))}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.routes = append(m.routes, rm)
	return rm
}

func (m *routeMetrics) observe(status int, took time.Duration) {
	if m == nil {
		return
	}
	m.statuses[min(status/100, 5)].Add(1)
	seconds, i := took.Seconds(), 0
	for i < len(durationBounds) && seconds > durationBounds[i] {
		i++
	}
	m.buckets[i].Add(1)
	m.nanos.Add(int64(took))
}

// WriteTo writes the counters of the routes that have been used.
func (m *Metrics) WriteTo(w io.Writer) (int64, error) {
	var b strings.Builder
	m.mu.Lock()
	routes := m.routes
	m.mu.Unlock()
	b.WriteString("# HELP kept_http_requests_total Requests answered, by route, rate class and class of status.\n" +
		"# TYPE kept_http_requests_total counter\n")
	for _, r := range routes {
		r.writeCounts(&b)
	}
	b.WriteString("# HELP kept_http_request_duration_seconds Time from request to the end of its answer.\n" +
		"# TYPE kept_http_request_duration_seconds histogram\n")
	for _, r := range routes {
		r.writeDurations(&b)
	}
	n, err := io.WriteString(w, b.String())
	return int64(n), err
}

func (m *routeMetrics) writeCounts(b *strings.Builder) {
	for digit := range m.statuses {
		if n := m.statuses[digit].Load(); n > 0 {
			fmt.Fprintf(b, "kept_http_requests_total{%s,status=\"%dxx\"} %d\n", m.labels, digit, n)
		}
	}
}

func (m *routeMetrics) writeDurations(b *strings.Builder) {
	const name = "kept_http_request_duration_seconds"
	var counts [len(durationBounds) + 1]uint64
	var total uint64
	for i := range counts {
		counts[i] = m.buckets[i].Load()
		total += counts[i]
	}
	if total == 0 {
		return
	}
	var sum uint64
	for i, bound := range durationBounds {
		sum += counts[i]
		fmt.Fprintf(b, "%s_bucket{%s,le=\"%s\"} %d\n", name, m.labels, strconv.FormatFloat(bound, 'g', -1, 64), sum)
	}
	fmt.Fprintf(b, "%s_bucket{%s,le=\"+Inf\"} %d\n%s_sum{%s} %g\n%s_count{%s} %d\n",
		name, m.labels, total, name, m.labels, time.Duration(m.nanos.Load()).Seconds(), name, m.labels, total)
}
