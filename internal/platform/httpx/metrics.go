package httpx

import (
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// durationBounds are the upper ends of the histogram's buckets, in seconds.
var durationBounds = []float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10}

// Metrics counts requests by route, rate class and class of status, and times them by route and class.
type Metrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
}

// NewMetrics makes Metrics and registers them. It fails when the registry has them already.
func NewMetrics(registry prometheus.Registerer) (*Metrics, error) {
	m := &Metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kept_http_requests_total", Help: "Requests answered, by route, rate class and class of status.",
		}, []string{"method", "route", "class", "status"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "kept_http_request_duration_seconds", Help: "Time from a request to the end of its answer.", Buckets: durationBounds,
		}, []string{"method", "route", "class"}),
	}
	for _, c := range []prometheus.Collector{m.requests, m.duration} {
		if err := registry.Register(c); err != nil {
			return nil, fmt.Errorf("httpx: metrics: %w", err)
		}
	}
	return m, nil
}

// routeMetrics are one route's series. They are looked up once and then kept, because looking up hashes every label.
type routeMetrics struct {
	all      *Metrics
	labels   []string
	statuses [6]atomic.Pointer[prometheus.Counter] // by the status' first digit
	duration atomic.Pointer[prometheus.Observer]
}

func (m *Metrics) route(r Route) *routeMetrics {
	if m == nil {
		return nil
	}
	pattern := r.Path
	if pattern == "" {
		pattern = "(none)"
	}
	return &routeMetrics{all: m, labels: []string{r.Method, pattern, string(r.Rate)}}
}

func (m *routeMetrics) observe(status int, took time.Duration) {
	if m == nil {
		return
	}
	m.counter(min(status/100, 5)).Inc()
	m.observer().Observe(took.Seconds())
}

// counter makes the series at its first use, so that a scrape has none of routes that nobody asked for. Two requests
// that make it at once get the same one.
func (m *routeMetrics) counter(digit int) prometheus.Counter {
	if c := m.statuses[digit].Load(); c != nil {
		return *c
	}
	c := m.all.requests.WithLabelValues(m.labels[0], m.labels[1], m.labels[2], strconv.Itoa(digit)+"xx")
	m.statuses[digit].Store(&c)
	return c
}

func (m *routeMetrics) observer() prometheus.Observer {
	if o := m.duration.Load(); o != nil {
		return *o
	}
	o := m.all.duration.WithLabelValues(m.labels...)
	m.duration.Store(&o)
	return o
}
