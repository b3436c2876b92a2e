package app

import (
	"cmp"
	"context"

	"github.com/kept-dev/kept/internal/apps/metrics"
	"github.com/kept-dev/kept/internal/core/alert"
	"github.com/kept-dev/kept/internal/core/dashboard"
	"github.com/kept-dev/kept/internal/core/notify"
	"github.com/kept-dev/kept/internal/core/query"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/egress"
)

// telemetryNames are the core modules that show series and what follows from them.
var telemetryNames = []string{"query", "notify", "alert", "dashboard", "status"}

// buildTelemetry makes what all apps share of series, alerts and dashboards, and then the app for metrics. Apps that have
// series, rules or dashboards of their own are asked for them here.
func (a *App) buildTelemetry() (err error) {
	c := &a.core
	if err := a.buildUsage(); err != nil {
		return err
	}
	out := egress.New(egress.Config{AllowPrivate: a.cfg.AllowPrivate})
	if c.query, err = query.New(query.Deps{DB: a.control, Store: a.series, Clock: a.clock, Logger: a.logger, ByToken: c.access.ByToken,
		Limits: query.ByPlan(a.plans())}); err != nil {
		return err
	}
	if c.notify, err = notify.New(notify.Deps{
		DB: a.control, UI: a.ui, Keys: a.keys, Mail: c.mail, Out: out, BaseURL: a.BaseURL, Clock: a.clock, Logger: a.logger, Audit: a.auditActor,
	}); err != nil {
		return err
	}
	if c.alert, err = alert.New(alert.Deps{
		DB: a.control, UI: a.ui, Bus: a.bus, Keys: a.keys, Store: a.series, Query: c.query, Channels: c.notify, ByToken: c.access.ByToken, BaseURL: a.BaseURL,
		Clock: a.clock, Logger: a.logger, Audit: a.auditActor,
	}); err != nil {
		return err
	}
	if c.dashboard, err = dashboard.New(dashboard.Deps{
		DB: a.control, UI: a.ui, Keys: a.keys, Query: c.query, Dir: a.cfg.Dashboards, BaseURL: a.BaseURL, Clock: a.clock, Logger: a.logger, ByToken: c.access.ByToken, Audit: a.auditActor,
		People: a.memberNames,
	}); err != nil {
		return err
	}
	a.modules = append(a.modules, mounted{a.seriesModule, a.control}, mounted{c.usage, a.control}, mounted{c.query, a.control}, mounted{c.notify, a.control}, mounted{c.alert, a.control}, mounted{c.dashboard, a.control})
	if err := a.buildStatus(); err != nil {
		return err
	}
	if a.appOn("metrics") {
		if a.metricsApp, err = metrics.New(metrics.Deps{
			DB: a.control, UI: a.ui, Bus: a.bus, Keys: a.keys, Store: a.series, Query: c.query, Alerts: c.alert, Access: c.access,
			ByToken: c.access.ByToken, MaxAge: a.metricsAge(), Rate: a.sampleRate, MaxHosts: a.maxHosts, Used: a.usedMetrics, Agents: a.cfg.AgentBuilds(), Version: Version(), BaseURL: a.BaseURL, Clock: a.clock, Logger: a.logger, Audit: a.auditActor,
		}); err != nil {
			return err
		}
		a.modules = append(a.modules, mounted{a.metricsApp, a.control})
	}
	return nil
}

// memberNames are the names of a workspace's members, or their addresses.
func (a *App) memberNames(ctx context.Context, ws kernel.WorkspaceID) (map[kernel.AccountID]string, error) {
	people, err := a.core.workspaces.People(ctx, ws)
	if err != nil {
		return nil, err
	}
	out := map[kernel.AccountID]string{}
	for _, p := range people {
		out[p.AccountID] = cmp.Or(p.Name, p.Email)
	}
	return out, nil
}

// joinTelemetry hands what modules bring to those who show it.
func (a *App) joinTelemetry() {
	c := &a.core
	c.alert.UsePacks(a.rulePacks()...)
	c.alert.UseTeller(c.status)
	for _, m := range a.modules {
		if p, ok := m.Module.(query.Source); ok {
			c.query.Use(p)
		}
		if p, ok := m.Module.(query.Describer); ok {
			c.query.UseDescribers(p)
		}
		if p, ok := m.Module.(query.Mentioner); ok && a.metricsApp != nil {
			a.metricsApp.UseMentioners(p)
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
		if p, ok := m.Module.(dashboard.Tracer); ok {
			c.dashboard.UseTracers(p)
		}
	}
}

// rulePacks are the rules that modules bring.
func (a *App) rulePacks() (out []alert.RulePack) {
	for _, m := range a.modules {
		if p, ok := m.Module.(interface{ RulePacks() []alert.RulePack }); ok {
			out = append(out, p.RulePacks()...)
		}
	}
	return out
}
