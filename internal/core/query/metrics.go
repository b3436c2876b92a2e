package query

import "github.com/prometheus/client_golang/prometheus"

// Metrics tell operators how the cache does and how many wait.
func (m *Module) Metrics() []prometheus.Collector {
	steps := func(from string, n func() int64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "kept_query_steps_total", ConstLabels: prometheus.Labels{"from": from},
			Help: "Steps of range queries that the cache could have answered, by where their values came from."}, func() float64 { return float64(n()) })
	}
	return []prometheus.Collector{
		steps("cache", m.cache.cached.Load), steps("engine", m.cache.evaluated.Load),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "kept_query_running", Help: "Queries that run now."},
			func() float64 { running, _ := m.gate.load(); return float64(running) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "kept_query_waiting", Help: "Queries that wait for their turn."},
			func() float64 { _, waiting := m.gate.load(); return float64(waiting) }),
	}
}
