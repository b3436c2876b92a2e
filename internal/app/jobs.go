package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kept-dev/kept/internal/apps/jobs"
	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/core/privacy"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/config"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/httpx"
)

// WithDecodeOnly makes job ingest read and check events and then forget them: what the benchmark compares with.
func WithDecodeOnly() Option { return func(a *App) { a.decodeOnly = true } }

// plans are the limits of every workspace: the operator's.
func (a *App) plans() privacy.Planner {
	const day = 24 * time.Hour
	return privacy.SelfHosted{Limits: privacy.Plan{JobEvents: time.Duration(a.cfg.JobsDays) * day, Metrics: time.Duration(a.cfg.MetricsDays) * day}}
}

func (a *App) buildJobs() (*jobs.Module, error) {
	return jobs.New(jobs.Deps{
		DB: a.jobs, IndexDB: a.index, Keys: a.keys, Bus: a.bus, UI: a.ui, Clock: a.clock, Logger: a.logger, BaseURL: a.BaseURL,
		KeyByToken: a.core.access.ByToken, Used: a.usedJobs, DecodeOnly: a.decodeOnly, Audit: a.auditActor,
		MaxAge: privacy.ByPlan(a.plans(), func(p privacy.Plan) time.Duration { return p.JobEvents }),
	})
}

// jobIndexModule brings the schema of the job index up to date, in its own database.
type jobIndexModule struct{ jobs *jobs.Module }

func (jobIndexModule) Name() string                 { return "job_index" }
func (m jobIndexModule) Migrations() []db.Migration { return m.jobs.IndexMigrations() }

// auditActor writes what somebody did in an app to the audit log of the workspace that the request is in.
func (a *App) auditActor(ctx context.Context, action, target, detail string) error {
	actor := httpx.ActorOf(ctx)
	return a.control.Tx(ctx, func(tx *db.Tx) error {
		return audit.Record(ctx, tx, audit.Event{
			WorkspaceID: actor.WorkspaceID, Actor: audit.Actor{Kind: "account", ID: actor.AccountID, Label: actor.Email},
			Action: action, Target: target, Detail: detail,
		})
	})
}

// payloads counts the payload policies that are in force.
type payloads struct{ a *App }

func (p payloads) PayloadPolicies(ctx context.Context) (out privacy.PayloadState, err error) {
	if p.a.jobsApp == nil {
		return out, nil
	}
	ids, err := p.a.core.workspaces.WorkspaceIDs(ctx)
	if err != nil {
		return out, err
	}
	for _, ws := range ids {
		s, err := p.a.jobsApp.ReadSettings(ctx, ws)
		if err != nil {
			return out, err
		}
		switch s.Payloads {
		case "full":
			out.Full++
		case "keys":
			out.KeysOnly++
		case "none":
			out.None++
		default:
			out.Undecided++
		}
	}
	return out, nil
}

// RebuildJobs makes the job index of every workspace again from the event log, also beside a running server.
func RebuildJobs(ctx context.Context, cfg config.Config, tell func(ws kernel.WorkspaceID, events int64), options ...Option) error {
	return beside(ctx, cfg, options, func(a *App) error {
		if a.jobsApp == nil {
			return errors.New("the app jobs is off: there is nothing to rebuild")
		}
		known, err := a.jobsApp.Log().Workspaces(ctx)
		if err != nil {
			return err
		}
		for _, ws := range known {
			if err := a.jobsApp.Index().Rebuild(ctx, ws, func(n int64) { tell(ws, n) }); err != nil {
				return fmt.Errorf("workspace %s: %w", ws, err)
			}
		}
		return nil
	})
}

// Jobs is the app for background jobs; nil when it is off.
func (a *App) Jobs() *jobs.Module { return a.jobsApp }

// JobsBytes is what job data takes on disk.
func (a *App) JobsBytes(ctx context.Context) (int64, error) {
	n, err := a.jobs.Size(ctx)
	if err != nil || a.index == a.jobs {
		return n, err
	}
	more, err := a.index.Size(ctx)
	return n + more, err
}
