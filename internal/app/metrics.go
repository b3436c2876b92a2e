package app

import (
	"context"
	"fmt"
	"net/http"
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/kept-dev/kept/internal/platform/httpx"
)

// buildMetrics makes this App's own registry, so that two Apps in one process do not count each other's requests.
func (a *App) buildMetrics(context.Context) (err error) {
	a.registry = prometheus.NewRegistry()
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "kept_build_info", Help: "The version that runs.",
		ConstLabels: prometheus.Labels{"version": Version(), "go": runtime.Version()},
	})
	build.Set(1)
	a.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), build)
	a.metrics, err = httpx.NewMetrics(a.registry)
	return err
}

// registerModuleMetrics takes the collectors of the modules that have some.
func (a *App) registerModuleMetrics() error {
	for _, m := range a.modules {
		p, ok := m.Module.(measurer)
		if !ok {
			continue
		}
		for _, c := range p.Metrics() {
			if err := a.registry.Register(c); err != nil {
				return fmt.Errorf("metrics of %s: %w", m.Name(), err)
			}
		}
	}
	return nil
}

// writeMetrics answers a scrape. Compression is the edge's business.
func (a *App) writeMetrics(w http.ResponseWriter, r *http.Request) error {
	promhttp.HandlerFor(a.registry, promhttp.HandlerOpts{DisableCompression: true}).ServeHTTP(w, r)
	return nil
}
