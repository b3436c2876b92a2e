// Package metrics is the app for hosts and services: it takes what agents and clients send (remote write, OTLP), knows the
// hosts that report, and shows them, what is wrong first. Questions are answered by core/query, alerts made by core/alert.
package metrics

import (
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kept-dev/kept/internal/apps/metrics/agents"
	"github.com/kept-dev/kept/internal/apps/metrics/intake"
	"github.com/kept-dev/kept/internal/core/access"
	"github.com/kept-dev/kept/internal/core/alert"
	"github.com/kept-dev/kept/internal/core/query"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/bus"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/seal"
	"github.com/kept-dev/kept/internal/platform/series"
	"github.com/kept-dev/kept/internal/ui"
)

// Deps is what the app needs of the rest.
type Deps struct {
	DB     *db.DB
	UI     *ui.UI
	Bus    bus.Bus
	Keys   *seal.Keys
	Store  series.Store
	Query  *query.Module
	Alerts *alert.Module
	Access *access.Module // makes the keys of enrolled agents
	// ByToken finds whose API key a token is; Unauthenticated when it is nobody's.
	ByToken func(ctx context.Context, token string) (httpx.Actor, error)
	// MaxAge is how long a workspace keeps metrics; 0 is for ever.
	MaxAge func(ctx context.Context, ws kernel.WorkspaceID) (time.Duration, error)
	// Rate is how many samples a second a workspace may send; 0 is no limit. Nil is no limit.
	Rate func(ctx context.Context, ws kernel.WorkspaceID) (float64, error)
	// MaxHosts is how many hosts a workspace may have enrolled; 0 is no limit. Nil is no limit.
	MaxHosts func(ctx context.Context, ws kernel.WorkspaceID) (int64, error)
	// Used is told what each request carried. Nil: nobody counts.
	Used    func(ws kernel.WorkspaceID, c intake.Counts)
	Agents  string // folder with the builds of kept-agent that are handed out; empty: none
	Version string // of the server, and of the agent that belongs to it
	BaseURL func() string
	Clock   kernel.Clock
	Logger  *slog.Logger
	// Audit writes a change to the audit log of the workspace that the request is in.
	Audit func(ctx context.Context, action, target, detail string) error
}

// byCertificate finds whose client certificate it is.
func (d *Deps) byCertificate() func(context.Context, *x509.Certificate) (httpx.Actor, error) {
	if d.Access == nil {
		return nil
	}
	return d.Access.ByCertificate
}

// Module is the app.
type Module struct {
	d        Deps
	intake   *intake.Intake
	seen     *seen
	meanings *meanings
	drops    *dropCache
	agents   *agents.Builds
	pages    *ui.Pages // nil: no pages

	mentioners []query.Mentioner

	loop kernel.Loop // writes down what was noted
}

// New makes the app.
func New(d Deps) (*Module, error) {
	if d.DB == nil || d.Store == nil || d.Query == nil {
		return nil, errors.New("metrics: DB, Store and Query are needed")
	}
	if d.Clock == nil {
		d.Clock = kernel.SystemClock
	}
	if d.Logger == nil {
		d.Logger = slog.Default()
	}
	m := &Module{d: d, seen: newSeen(d.Clock), meanings: newMeanings(d.Clock), drops: newDropCache(d.Clock), agents: agents.In(d.Agents)}
	var err error
	m.intake, err = intake.New(intake.Deps{Store: d.Store, ByToken: d.ByToken, ByCertificate: d.byCertificate(), Rules: m.dropRules, Rate: d.Rate, Used: d.Used, Means: m.meanings.note, Host: m.seen.note, Resource: m.noteResource, Clock: d.Clock, Logger: d.Logger})
	if err != nil {
		return nil, err
	}
	return m, m.buildPages()
}

// Name implements app.Module.
func (m *Module) Name() string { return "metrics" }

// UseMentioners adds those who know where metrics are in use. It must be called before Start.
func (m *Module) UseMentioners(p ...query.Mentioner) { m.mentioners = append(m.mentioners, p...) }

// Metrics counts what the app does.
func (m *Module) Metrics() []prometheus.Collector { return m.intake.Metrics() }

// ingestRoutes are the ways in. They find their key by themselves, because Prometheus may send it as a password.
func (m *Module) ingestRoutes() []httpx.Route {
	in := func(path string, h httpx.Handler) httpx.Route {
		return httpx.Route{Method: "POST", Path: path, Handler: h, Access: httpx.Handled, Rate: httpx.RateIngest, MaxBody: intake.MaxBody,
			AnyPrefix: true, Fail: intake.Fail, NoAudit: "samples are counted, not audited"}
	}
	otlp := in("/v1/metrics", m.intake.OTLP) // also behind /prometheus/api/v1/otlp, where Prometheus has it
	otlp.Fail = intake.FailOTLP
	return []httpx.Route{in("/prometheus/api/v1/write", m.intake.RemoteWrite), otlp}
}
