package app

import (
	"context"

	"github.com/kept-dev/kept/internal/apps/metrics/intake"
	"github.com/kept-dev/kept/internal/core/usage"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
)

// buildUsage makes what counts what workspaces use.
func (a *App) buildUsage() (err error) {
	a.core.usage, err = usage.New(usage.Deps{DB: a.control, Holdings: a.holdings, Limits: a.limits, Clock: a.clock, Logger: a.logger})
	return err
}

// limits are what a workspace may have, by its plan and by the operator's settings.
func (a *App) limits(ctx context.Context, ws kernel.WorkspaceID) (usage.Limits, error) {
	operator := usage.Limits{Series: a.cfg.MetricsSeries, SampleRate: float64(a.cfg.MetricsRate), Hosts: a.cfg.MetricsHosts}
	return usage.ByPlan(a.plans(), operator)(ctx, ws)
}

func (a *App) maxSeries(ctx context.Context, ws kernel.WorkspaceID) (int64, error) {
	l, err := a.limits(ctx, ws)
	return l.Series, err
}

func (a *App) sampleRate(ctx context.Context, ws kernel.WorkspaceID) (float64, error) {
	l, err := a.limits(ctx, ws)
	return l.SampleRate, err
}

func (a *App) maxHosts(ctx context.Context, ws kernel.WorkspaceID) (int64, error) {
	l, err := a.limits(ctx, ws)
	return l.Hosts, err
}

// holdings are what a workspace has now.
func (a *App) holdings(ctx context.Context, ws kernel.WorkspaceID) (out usage.Holdings, err error) {
	stats, err := a.series.Stats(ctx, ws, 0)
	if err != nil {
		return out, err
	}
	out.Series, out.Bytes = stats.Series, stats.Bytes
	if a.metricsApp != nil {
		out.Hosts, err = a.metricsApp.CountHosts(ctx, ws)
	}
	return out, err
}

func (a *App) usedMetrics(ws kernel.WorkspaceID, c intake.Counts) {
	a.core.usage.Add(ws, usage.Counts{Samples: int64(c.Samples + c.Histograms + c.Refused), Refused: int64(c.Refused)})
}

func (a *App) usedJobs(ws kernel.WorkspaceID, events int) {
	a.core.usage.Add(ws, usage.Counts{JobEvents: int64(events)})
}

// countedLog is the access log, which also counts what programs ask of a workspace.
type countedLog struct{ a *App }

// Write implements httpx.AccessLog.
func (l countedLog) Write(e httpx.Entry) {
	l.a.requests.Write(e)
	switch {
	case e.KeyID == "" && e.TokenID == "":
	case e.Class == httpx.RateIngest:
		l.a.core.usage.Add(e.WorkspaceID, usage.Counts{Ingests: 1})
	default:
		l.a.core.usage.Add(e.WorkspaceID, usage.Counts{Requests: 1})
	}
}
