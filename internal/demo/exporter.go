package demo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// exporter is what the shop tells of itself to whoever scrapes it, as any program does that uses Prometheus's library.
type exporter struct {
	registry *prometheus.Registry
	url      string

	work   *prometheus.HistogramVec // by kind
	failed *prometheus.CounterVec   // by kind
	calls  *prometheus.CounterVec   // by service and code
	took   *prometheus.HistogramVec // by service
	euros  prometheus.Counter
}

func newExporter() *exporter {
	e := &exporter{
		registry: prometheus.NewRegistry(),
		work: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "shop_work_seconds", Help: "How long the shop worked on something.", Buckets: prometheus.ExponentialBuckets(0.001, 4, 7),
		}, []string{"kind"}),
		failed: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "shop_work_failures_total", Help: "Attempts that failed."}, []string{"kind"}),
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "shop_client_requests_total", Help: "Requests to other services, by the answer's status.",
		}, []string{"service", "code"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "shop_client_request_seconds", Help: "How long other services took to answer.", Buckets: []float64{0.005, 0.05, 0.25, 0.5, 1, 1.5, 2.5},
		}, []string{"service"}),
		euros: prometheus.NewCounter(prometheus.CounterOpts{Name: "shop_sales_euros_total", Help: "What customers were charged."}),
	}
	e.registry.MustRegister(e.work, e.failed, e.calls, e.took, e.euros,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return e
}

// listen serves /metrics on a port of its own until the returned function is called.
func (e *exporter) listen() (stop func(context.Context) error, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(e.registry, promhttp.HandlerOpts{}))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	e.url = "http://" + l.Addr().String() + "/metrics"
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	return func(ctx context.Context) error {
		err := server.Shutdown(ctx)
		if served := <-ended; !errors.Is(served, http.ErrServerClosed) {
			err = errors.Join(err, served)
		}
		return err
	}, nil
}

// worked counts one attempt at a job.
func (e *exporter) worked(kind string, began time.Time, err error) {
	e.work.WithLabelValues(kind).Observe(time.Since(began).Seconds())
	failures := e.failed.WithLabelValues(kind) // there from the start: a rate needs a zero to rise from
	if err != nil {
		failures.Inc()
	}
}

// called counts one request to a service; code 0 is one without an answer.
func (e *exporter) called(service string, code int, began time.Time) {
	text := "none"
	if code > 0 {
		text = strconv.Itoa(code)
	}
	e.calls.WithLabelValues(service, text).Inc()
	e.took.WithLabelValues(service).Observe(time.Since(began).Seconds())
}

// MetricsURL is where the shop can be scraped while it runs.
func (d *Demo) MetricsURL() string { return d.exporter.url }
