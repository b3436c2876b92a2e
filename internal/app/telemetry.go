package app

import (
	"context"
	"path/filepath"
	"time"

	"github.com/kept-dev/kept/internal/apps/metrics"
	"github.com/kept-dev/kept/internal/core/alert"
	"github.com/kept-dev/kept/internal/core/dashboard"
	"github.com/kept-dev/kept/internal/core/notify"
	"github.com/kept-dev/kept/internal/core/privacy"
	"github.com/kept-dev/kept/internal/core/query"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/egress"
	"github.com/kept-dev/kept/internal/platform/series"
)

// telemetryNames are the core modules that show series and what follows from them.
var telemetryNames = []string{"query", "notify", "alert", "dashboard"}

// metricsAge is how long a workspace's metrics are kept.
func (a *App) metricsAge() func(context.Context, kernel.WorkspaceID) (time.Duration, error) {
	return privacy.ByPlan(a.plans(), func(p privacy.Plan) time.Duration { return p.Metrics })
}

// openSeries opens the store of time series; no database in it is opened before it is used.
func (a *App) openSeries() (err error) {
	tsdb, err := series.OpenTSDB(series.Config{
		Dir: filepath.Join(a.cfg.Data, "series"), Logger: a.logger, Clock: a.clock, MaxAge: a.metricsAge(),
		MaxSeries: func(context.Context, kernel.WorkspaceID) (int64, error) { return a.cfg.MetricsSeries, nil },
	})
	if err != nil {
		return err
	}
	a.series = series.Watch(tsdb)
	a.onStop("series", func(context.Context) error { return a.series.Close() })
	return nil
}

// buildTelemetry makes what all apps share of series, alerts and dashboards, and then the app for metrics. Apps that have
// series, rules or dashboards of their own are asked for them here.
func (a *App) buildTelemetry() (err error) {
	c := &a.core
	out := egress.New(egress.Config{AllowPrivate: a.cfg.AllowPrivate})
	if c.query, err = query.New(query.Deps{DB: a.control, Store: a.series, Clock: a.clock, Logger: a.logger, ByToken: c.access.ByToken}); err != nil {
		return err
	}
	if c.notify, err = notify.New(notify.Deps{
		DB: a.control, UI: a.ui, Keys: a.keys, Mail: c.mail, Out: out, BaseURL: a.BaseURL, Clock: a.clock, Logger: a.logger, Audit: a.auditActor,
	}); err != nil {
		return err
	}
	if c.alert, err = alert.New(alert.Deps{
		DB: a.control, UI: a.ui, Bus: a.bus, Store: a.series, Query: c.query, Channels: c.notify, ByToken: c.access.ByToken, BaseURL: a.BaseURL,
		Clock: a.clock, Logger: a.logger, Audit: a.auditActor,
	}); err != nil {
		return err
	}
	if c.dashboard, err = dashboard.New(dashboard.Deps{
		DB: a.control, UI: a.ui, Keys: a.keys, Query: c.query, Dir: a.cfg.Dashboards, BaseURL: a.BaseURL, Clock: a.clock, Logger: a.logger, ByToken: c.access.ByToken, Audit: a.auditActor,
	}); err != nil {
		return err
	}
	a.modules = append(a.modules, mounted{c.query, a.control}, mounted{c.notify, a.control}, mounted{c.alert, a.control}, mounted{c.dashboard, a.control})
	if a.appOn("metrics") {
		if a.metricsApp, err = metrics.New(metrics.Deps{
			DB: a.control, UI: a.ui, Bus: a.bus, Keys: a.keys, Store: a.series, Query: c.query, Alerts: c.alert, Access: c.access,
			ByToken: c.access.ByToken, MaxAge: a.metricsAge(), Version: Version(), BaseURL: a.BaseURL, Clock: a.clock, Logger: a.logger, Audit: a.auditActor,
		}); err != nil {
			return err
		}
		a.modules = append(a.modules, mounted{a.metricsApp, a.control})
	}
	a.joinTelemetry()
	return nil
}

// joinTelemetry hands what modules bring to those who show it.
func (a *App) joinTelemetry() {
	c := &a.core
	for _, m := range a.modules {
		if p, ok := m.Module.(query.Source); ok {
			c.query.Use(p)
		}
		if p, ok := m.Module.(query.Describer); ok {
			c.query.UseDescribers(p)
		}
		if p, ok := m.Module.(interface{ RulePacks() []alert.RulePack }); ok {
			c.alert.UsePacks(p.RulePacks()...)
		}
		if p, ok := m.Module.(alert.Explainer); ok {
			c.alert.UseExplainers(p)
		}
		if p, ok := m.Module.(interface{ Dashboards() []dashboard.File }); ok {
			c.dashboard.UseFiles(p.Dashboards()...)
		}
		if p, ok := m.Module.(dashboard.Annotator); ok {
			c.dashboard.UseAnnotators(p)
		}
	}
}
