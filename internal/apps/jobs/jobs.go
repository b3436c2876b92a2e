// Package jobs is the app for background jobs: it takes what agents report, keeps every job's history and shows it. Its
// parts are eventlog (what was reported, durable), fold (events to runs), index (what questions are asked of), and this
// package, which has the ingest endpoint, the read API, the pages and the settings.
package jobs

import (
	"context"
	"log/slog"
	"time"

	"github.com/kept-dev/kept/internal/apps/jobs/eventlog"
	"github.com/kept-dev/kept/internal/apps/jobs/fold"
	"github.com/kept-dev/kept/internal/apps/jobs/index"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/bus"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/ui"
)

// Deps is what the app needs of the rest.
type Deps struct {
	DB      *db.DB // the jobs database
	IndexDB *db.DB // of what is made from the log; nil is DB
	Keys    eventlog.Keys
	Bus     bus.Bus
	UI      *ui.UI
	Clock   kernel.Clock
	Logger  *slog.Logger
	// KeyByToken finds whose API key a token is; Unauthenticated when it is nobody's.
	KeyByToken func(ctx context.Context, token string) (httpx.Actor, error)
	// MaxAge is how long a workspace keeps job events; 0 is for ever.
	MaxAge func(ctx context.Context, ws kernel.WorkspaceID) (time.Duration, error)
	// Used is told how many events each request carried: it must be quick. Nil: nobody counts.
	Used func(ws kernel.WorkspaceID, events int)
	// BaseURL is where agents and people reach the server.
	BaseURL func() string
	// Audit writes a change of settings to the audit log.
	Audit func(ctx context.Context, action, target, detail string) error
	// DecodeOnly makes ingest answer without storing anything: the benchmark's yardstick.
	DecodeOnly bool
}

// Module is the app.
type Module struct {
	d         Deps
	log       *eventlog.Log
	index     *index.Index
	projector *index.Projector
	settings  *settingsCache
	pages     *ui.Pages
	stats     stats
	streams   fold.Streams
}

// New makes the app.
func New(d Deps) (*Module, error) {
	if d.IndexDB == nil {
		d.IndexDB = d.DB
	}
	m := &Module{d: d}
	packer := eventlog.NewPacker()
	m.projector = index.NewProjector(d.Logger, m.changed)
	m.log = eventlog.New(d.DB, d.Keys, packer, m.appended)
	m.index = index.New(d.IndexDB, m.log, d.Keys, packer, d.Clock)
	m.settings = newSettingsCache(d.DB, d.Clock)
	return m, m.buildPages()
}

// Name implements app.Module.
func (m *Module) Name() string { return "jobs" }

// Migrations are the app's tables, but for those of IndexMigrations.
func (m *Module) Migrations() []db.Migration {
	return append(eventlog.Migrations(), settingsMigrations()...)
}

// IndexMigrations are the tables of the index database. All of them can be made again from the log.
func (m *Module) IndexMigrations() []db.Migration { return index.Migrations() }

// Start begins to accept, fold and tidy events, and folds what a crash left unfolded.
func (m *Module) Start(ctx context.Context) error {
	if err := m.log.Start(ctx); err != nil {
		return err
	}
	if err := m.projector.Start(ctx, m.index); err != nil {
		return err
	}
	known, err := m.log.Workspaces(ctx)
	if err != nil {
		return err
	}
	for _, ws := range known {
		m.projector.Nudge(ws)
	}
	return m.listen(ctx)
}

// Stop answers what is under way and ends the background work.
func (m *Module) Stop(ctx context.Context) error {
	if err := m.log.Stop(ctx); err != nil {
		return err
	}
	return m.projector.Stop(ctx)
}

// Index answers questions about jobs.
func (m *Module) Index() *index.Index { return m.index }

// Log is the event log.
func (m *Module) Log() *eventlog.Log { return m.log }
