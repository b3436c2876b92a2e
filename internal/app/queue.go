package app

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kept-dev/kept/internal/core/privacy"
	"github.com/kept-dev/kept/internal/platform/queue"
)

// queueModule gives the queue of background work its place among the modules.
type queueModule struct{ *queue.Queue }

func (queueModule) Name() string { return "queue" }

// Collections declares the queue's tables with its own words for the columns.
func (m queueModule) Collections() []privacy.Collection {
	titles := map[string]string{"queue_jobs": "Background work of the server", "queue_periods": "Times of periodic work"}
	var out []privacy.Collection
	for table, columns := range m.Tables() {
		c := privacy.Collection{
			Name: table, Module: m.Name(), Title: cmp.Or(titles[table], table), Subjects: "nobody",
			Purpose: "to do work in the background that survives a crash", Where: privacy.ControlDB,
			Retention: "1 day after it was done, 30 days after it failed for good",
			NoExport:  "it holds ids of ours only", NoErase: "it holds ids of ours only and goes by itself",
		}
		for _, name := range slices.Sorted(maps.Keys(columns)) {
			c.Fields = append(c.Fields, privacy.Field{Name: name, Category: privacy.Technical, Note: columns[name]})
		}
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b privacy.Collection) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// Metrics are the queue's figures, read from the database at each scrape.
func (m queueModule) Metrics() []prometheus.Collector {
	return []prometheus.Collector{queueCollector{m.Queue}}
}

type queueCollector struct{ queue *queue.Queue }

var (
	queueJobs = prometheus.NewDesc("kept_queue_jobs", "Background jobs by state.", []string{"state"}, nil)
	queueAge  = prometheus.NewDesc("kept_queue_oldest_wait_seconds", "How long the first of the waiting jobs has been due.", nil, nil)
	queueRuns = prometheus.NewDesc("kept_queue_attempts_total", "Attempts of this process by outcome.", []string{"outcome"}, nil)
)

func (queueCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- queueJobs
	ch <- queueAge
	ch <- queueRuns
}

// statsTimeout bounds what a scrape asks of the database.
const statsTimeout = 2 * time.Second

// Collect sends nothing when the database does not answer: a gap says more than a wrong figure.
func (c queueCollector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), statsTimeout)
	defer cancel()
	s, err := c.queue.Stats(ctx)
	if err != nil {
		return
	}
	for state, n := range map[string]int64{"waiting": s.Waiting, "scheduled": s.Scheduled, "running": s.Running, "dead": s.Dead} {
		ch <- prometheus.MustNewConstMetric(queueJobs, prometheus.GaugeValue, float64(n), state)
	}
	ch <- prometheus.MustNewConstMetric(queueAge, prometheus.GaugeValue, s.OldestWait.Seconds())
	for outcome, n := range map[string]int64{"done": s.Done, "failed": s.Failed, "lost": s.Lost} {
		ch <- prometheus.MustNewConstMetric(queueRuns, prometheus.CounterValue, float64(n), outcome)
	}
}
