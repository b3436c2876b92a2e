package app

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kept-dev/kept/internal/core/privacy"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/httpx/accesslog"
)

// accessLogModule gives the request log, which is technology and knows nothing of promises, its place among the modules.
type accessLogModule struct {
	log  *accesslog.Log
	days int
}

func (m accessLogModule) Name() string { return "accesslog" }

func (m accessLogModule) Migrations() []db.Migration { return accesslog.Migrations() }

func (m accessLogModule) Start(ctx context.Context) error { return m.log.Start(ctx) }

func (m accessLogModule) Stop(ctx context.Context) error { return m.log.Stop(ctx) }

func (m accessLogModule) Metrics() []prometheus.Collector {
	return []prometheus.Collector{prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "kept_access_log_dropped_total", Help: "Requests that are missing from the access log.",
	}, func() float64 { return float64(m.log.Dropped()) })}
}

// Collections declares the log (COL-11) and its limit (RET-7).
func (m accessLogModule) Collections() []privacy.Collection {
	log, days := m.log, m.days
	return []privacy.Collection{{
		Name: "access_log", Module: m.Name(), Title: "Request log",
		Subjects: "account holders and visitors", Purpose: "operation, security and debugging",
		LegalBasis: "legitimate interest", Retention: fmt.Sprintf("%d days", days), Where: privacy.ControlDB,
		Promises: []string{"COL-7", "COL-11", "RET-7"},
		Fields: []privacy.Field{
			{Name: "id", Category: privacy.Technical},
			{Name: "at", Category: privacy.Technical, Note: "when the request began"},
			{Name: "request_id", Category: privacy.Technical, Note: "what an error page shows"},
			{Name: "method", Category: privacy.Technical},
			{Name: "path", Category: privacy.Network, Note: "path and query, secrets redacted"},
			{Name: "route", Category: privacy.Technical, Note: "the pattern that matched"},
			{Name: "status", Category: privacy.Technical},
			{Name: "bytes", Category: privacy.Technical, Note: "size of the answer"},
			{Name: "duration_us", Category: privacy.Technical},
			{Name: "requests", Category: privacy.Technical, Note: "more than 1 for machines' requests, which are summed up by the minute"},
			{Name: "ip", Category: privacy.Network},
			{Name: "user_agent", Category: privacy.Network},
			{Name: "account_id", Category: privacy.Technical},
			{Name: "key_id", Category: privacy.Technical, Note: "the API key that it came with"},
			{Name: "token_id", Category: privacy.Technical, Note: "the person's token that it came with"},
			{Name: "workspace_id", Category: privacy.Technical},
		},
		Oldest: log.Oldest, Count: log.Count, Sweep: log.Sweep, Export: log.Export, Erase: log.Erase,
		MaxAge: func(context.Context, kernel.WorkspaceID) (time.Duration, error) {
			return time.Duration(days) * 24 * time.Hour, nil
		},
	}}
}
