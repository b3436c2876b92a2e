package privacy

import (
	"context"
	"log/slog"
	"sync"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/ui"
)

// Deps is what the module needs.
type Deps struct {
	DB      *db.DB       // where its own tables are
	Sources Sources      // what it looks at
	UI      *ui.UI       // nil: no pages, as for a command line
	Clock   kernel.Clock // nil is the system clock
	Logger  *slog.Logger // nil is slog.Default
	// Version of the server, for reports.
	Version string
}

// Module is the privacy core. It starts nothing by itself: internal/app schedules RunAll every night and Sweep every
// Sources.SweepEvery, and runs Export and Erase on request.
type Module struct {
	db      *db.DB
	sources Sources
	pages   *ui.Pages
	clock   kernel.Clock
	log     *slog.Logger
	version string

	running sync.Mutex // one run of the checks at a time: they read whole tables
}

// New makes the module. The sources may still be incomplete; they are read when they are used.
func New(d Deps) *Module {
	m := &Module{db: d.DB, sources: d.Sources, clock: d.Clock, log: d.Logger, version: d.Version}
	if m.clock == nil {
		m.clock = kernel.SystemClock
	}
	if m.log == nil {
		m.log = slog.Default()
	}
	if d.UI != nil {
		m.pages = d.UI.MustPages(templates, "templates/*.html")
	}
	return m
}

// Name implements the contract of modules.
func (m *Module) Name() string { return "privacy" }

// Map is the data map of all modules.
func (m *Module) Map() *Map { return m.dataMap() }

func (m *Module) dataMap() *Map {
	if m.sources.Collections == nil {
		return NewMap(nil)
	}
	return NewMap(m.sources.Collections())
}

// Validate finds declarations that are incomplete or contradict one another, and differences between them and the live
// schema. internal/app calls it after the migrations: an empty answer is COL-1 kept.
func (m *Module) Validate(ctx context.Context) ([]Finding, error) {
	findings := m.dataMap().Validate(m.sources.Databases)
	schema, err := CompareSchema(ctx, m.dataMap(), m.sources.Databases)
	return append(findings, schema.Findings...), err
}

// Routes are the public pages; none without a UI.
func (m *Module) Routes() []httpx.Route {
	routes := []httpx.Route{{
		Method: "GET", Path: "/privacy/promises.json", Handler: m.promisesJSON, Access: httpx.Public, Rate: httpx.RatePage,
	}}
	if m.pages != nil {
		routes = append(routes, httpx.Route{
			Method: "GET", Path: "/privacy", Handler: m.privacyPage, Access: httpx.Public, Rate: httpx.RatePage,
		})
	}
	return routes
}
