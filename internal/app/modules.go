package app

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kept-dev/kept/internal/core/privacy"
	"github.com/kept-dev/kept/internal/platform/config"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/httpx/accesslog"
	"github.com/kept-dev/kept/internal/ui"
)

// Module is a part of Kept. What else it can do it shows by having more of the methods below.
type Module interface{ Name() string }

type (
	migrator interface{ Migrations() []db.Migration }
	router   interface{ Routes() []httpx.Route }
	starter  interface {
		Start(ctx context.Context) error
	}
	stopper interface {
		Stop(ctx context.Context) error
	}
	collector interface{ Collections() []privacy.Collection }
	readier   interface {
		Ready(ctx context.Context) error
	}
	measurer  interface{ Metrics() []prometheus.Collector }
	navigator interface{ Nav() []ui.NavItem }
)

// mounted is a module and the database that its schema lives in.
type mounted struct {
	Module
	db *db.DB
}

// appNames are the apps that --apps may name.
var appNames = []string{"jobs", "metrics"}

// buildModules makes the modules in the order in which they are migrated and started; each may use those above it.
func (a *App) buildModules(context.Context) (err error) {
	if err := a.checkApps(); err != nil {
		return err
	}
	a.requests = accesslog.New(a.control, a.logger)
	if err := a.buildCore(); err != nil {
		return err
	}
	a.modules = []mounted{
		{sealModule{a.keys}, a.control},
		{accessLogModule{a.requests, a.cfg.AccessLogDays}, a.control},
		{a.core.audit, a.control},
		{a.core.mail, a.control},
		{a.core.identity, a.control},
		{a.core.workspaces, a.control},
		{a.core.access, a.control},
		{a.core.proof, a.control},
		{a.core.federation, a.control},
		{a.core.scim, a.control},
		{a.core.apilog, a.control},
		{a.core.agreement, a.control},
		{a.core.privacy, a.control},
	}
	if a.appOn("jobs") {
		if a.jobsApp, err = a.buildJobs(); err != nil {
			return err
		}
		a.modules = append(a.modules, mounted{jobIndexModule{a.jobsApp}, a.index}, mounted{a.jobsApp, a.jobs})
	}
	if err := a.buildTelemetry(); err != nil {
		return err
	}
	for _, m := range a.extra {
		a.modules = append(a.modules, mounted{m, a.control})
	}
	a.joinTelemetry()
	// The queue comes last, so that the modules whose code its jobs run are started before it and stopped after it.
	a.modules = append(a.modules, mounted{queueModule{a.queue}, a.control})
	for _, m := range a.modules {
		if p, ok := m.Module.(navigator); ok {
			for _, item := range p.Nav() {
				item.With = a.appOf(m.Module)
				a.nav = append(a.nav, item)
			}
		}
	}
	return a.registerModuleMetrics()
}

func (a *App) checkApps() error {
	for _, name := range a.cfg.Apps {
		if slices.Contains(appNames, name) {
			continue
		}
		hint := ""
		if near := config.Nearest(name, appNames); near != "" {
			hint = "; did you mean " + near + "?"
		}
		return fmt.Errorf("--apps: there is no app %q%s (there are: %s)", name, hint, strings.Join(appNames, ", "))
	}
	return nil
}

// appOn tells whether an app is to run. Without --apps all of them do.
func (a *App) appOn(name string) bool {
	return len(a.cfg.Apps) == 0 || slices.Contains(a.cfg.Apps, name)
}

// migrate brings every module's schema up to date, in the order of the list. The jobs database counts its migrations
// even while no module has any for it, so that the data map is the same whichever apps are on.
func (a *App) migrate(ctx context.Context) error {
	if err := a.jobs.Migrate(ctx); err != nil {
		return err
	}
	for _, m := range a.modules {
		if p, ok := m.Module.(migrator); ok {
			if err := m.db.Migrate(ctx, db.Module{Name: m.Name(), Migrations: p.Migrations()}); err != nil {
				return err
			}
		}
	}
	return nil
}

// startModules starts them in order; what was started is stopped in the reverse order.
func (a *App) startModules(ctx context.Context) error {
	for _, m := range a.modules {
		if p, ok := m.Module.(stopper); ok {
			a.onStop(m.Name(), p.Stop)
		}
		if p, ok := m.Module.(starter); ok {
			if err := p.Start(ctx); err != nil {
				return fmt.Errorf("start %s: %w", m.Name(), err)
			}
		}
	}
	return nil
}

// Databases are the databases by the names that collections use.
func (a *App) Databases() []privacy.Database {
	return []privacy.Database{{Where: privacy.ControlDB, DB: a.control}, {Where: "jobs database", DB: a.jobs}, {Where: "job index database", DB: a.index}}
}

// Collections is the data map: what every module declares to store.
func (a *App) Collections() []privacy.Collection {
	var out []privacy.Collection
	for _, m := range a.modules {
		if p, ok := m.Module.(collector); ok {
			out = append(out, p.Collections()...)
		}
	}
	return out
}
