// Package app composes Kept: configuration, then adapters, then modules, then the server, in an order that can be read
// from the top of New down. It is the one place that knows every other package; nothing imports it but commands and tests.
package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kept-dev/kept/internal/apps/jobs"
	metricsapp "github.com/kept-dev/kept/internal/apps/metrics"
	"github.com/kept-dev/kept/internal/core/identity"
	"github.com/kept-dev/kept/internal/core/mail"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/blob"
	"github.com/kept-dev/kept/internal/platform/bus"
	"github.com/kept-dev/kept/internal/platform/config"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/httpx/accesslog"
	"github.com/kept-dev/kept/internal/platform/queue"
	"github.com/kept-dev/kept/internal/platform/seal"
	"github.com/kept-dev/kept/internal/platform/series"
	"github.com/kept-dev/kept/internal/ui"
)

// App is a whole Kept: made by New or Open, started, and stopped.
type App struct {
	cfg    config.Config
	logger *slog.Logger
	clock  kernel.Clock
	rates  map[httpx.RateClass]httpx.Limit
	extra  []Module
	cost   identity.Cost

	keepMail   bool
	decodeOnly bool
	mailbox    *mail.Mailbox

	control      *db.DB     // accounts, settings, indexes
	jobs         *db.DB     // the job log; on PostgreSQL the same database
	index        *db.DB     // what is made from the job log; on PostgreSQL the same database
	keys         *seal.Keys // data keys of workspaces
	blobs        *blob.Disk
	series       series.Store
	seriesModule seriesModule
	bus          bus.Bus
	queue        *queue.Queue
	limiter      *httpx.Limiter
	ui           *ui.UI

	registry   *prometheus.Registry
	metrics    *httpx.Metrics
	requests   *accesslog.Log
	core       core
	modules    []mounted
	jobsApp    *jobs.Module       // nil when the app is off
	metricsApp *metricsapp.Module // nil when the app is off
	nav        []ui.NavItem

	mux      *httpx.Mux
	openAPI  []byte
	listener net.Listener
	server   *http.Server
	failed   chan error // the server ended by itself
	ready    atomic.Bool
	started  atomic.Bool
	stops    stops
}

// Option changes how an App is composed.
type Option func(*App)

// WithClock replaces the system clock, for tests and for the benchmark.
func WithClock(c kernel.Clock) Option { return func(a *App) { a.clock = c } }

// WithLogger replaces the log on standard error.
func WithLogger(l *slog.Logger) Option { return func(a *App) { a.logger = l } }

// WithRates replaces limits of single classes; the others keep theirs.
func WithRates(rates map[httpx.RateClass]httpx.Limit) Option { return func(a *App) { a.rates = rates } }

// WithPasswordCost makes passwords cheaper to hash, for tests, which hash often.
func WithPasswordCost(c identity.Cost) Option { return func(a *App) { a.cost = c } }

// WithModule adds a module after all others, for tests of the composition. Its schema is in the control database.
func WithModule(m Module) Option { return func(a *App) { a.extra = append(a.extra, m) } }

// New opens everything that a server needs and brings the schema up to date, but answers no request yet. On SQLite it
// takes the data directory for this process: a second server there is refused. After an error nothing is left open.
func New(ctx context.Context, cfg config.Config, options ...Option) (*App, error) {
	return open(ctx, cfg, true, options)
}

// Open opens the same things for a command that works beside a running server. It cannot be started.
func Open(ctx context.Context, cfg config.Config, options ...Option) (*App, error) {
	return open(ctx, cfg, false, options)
}

func open(ctx context.Context, cfg config.Config, serve bool, options []Option) (_ *App, err error) {
	a := &App{cfg: cfg, clock: kernel.SystemClock, failed: make(chan error, 1)}
	for _, option := range options {
		option(a)
	}
	if a.logger == nil {
		a.logger = newLogger(os.Stderr, cfg.LogFormat, cfg.LogLevel)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.Stop(context.WithoutCancel(ctx)))
		}
	}()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	a.limiter = httpx.NewLimiter(a.rates, a.clock)
	for _, step := range []func(context.Context) error{
		func(ctx context.Context) error { return a.claim(ctx, serve) },
		a.openDatabases,
		a.openStores,
		a.openBus,
		a.buildUI,
		a.buildMetrics,
		a.buildModules,
		a.migrate,
		a.buildMux,
	} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// claim makes the data directory and, for a server, takes what only one can have: on SQLite the directory, and the port.
// The port comes early because modules need to know the address that mailed links lead to; requests wait until Start.
func (a *App) claim(ctx context.Context, serve bool) error {
	if err := os.MkdirAll(a.cfg.Data, 0o700); err != nil {
		return fmt.Errorf("the data directory cannot be made: %w", err)
	}
	if !serve {
		return nil
	}
	if a.cfg.Database == "" {
		release, err := lockDir(a.cfg.Data)
		if err != nil {
			return err
		}
		a.onStop("data directory", func(context.Context) error { return release() })
	}
	return a.bind(ctx)
}

// openDatabases opens the three SQLite files, or the one PostgreSQL in all roles. The job log has a file of its own: it is
// written all the time, and its commits wait for the disk. So has the index that is made from it: its large commits must
// not hold up the log's, and need not wait for the disk, because what a power cut takes is made again.
func (a *App) openDatabases(ctx context.Context) (err error) {
	open := func(name string, durable, bulk bool) (*db.DB, error) {
		d, err := db.Open(ctx, db.Config{
			URL: a.cfg.Database.Text(), Path: filepath.Join(a.cfg.Data, name+".db"), Clock: a.clock, Durable: durable, Bulk: bulk,
		})
		if err == nil {
			a.onStop(name+" database", func(context.Context) error { return d.Close() })
		}
		return d, err
	}
	if a.control, err = open("control", false, false); err != nil {
		return err
	}
	if a.jobs, a.index = a.control, a.control; a.control.Dialect() == db.Postgres {
		return nil
	}
	if a.jobs, err = open("jobs", true, true); err != nil {
		return err
	}
	a.index, err = open("jobs-index", false, true)
	return err
}

// openStores opens what else holds data: the keys that seal it and the blobs.
func (a *App) openStores(context.Context) error {
	key, created, err := seal.LoadInstanceKey(a.keyFile(), a.cfg.InstanceKey.Text())
	if err != nil {
		return err
	}
	if created {
		a.logger.Info("an instance key was made: keep a copy of it apart from the backups, they are worth nothing without it", "key", a.keyFile())
	}
	a.keys = seal.New(a.control, key)
	if a.blobs, err = blob.OpenDisk(filepath.Join(a.cfg.Data, "blobs")); err != nil {
		return err
	}
	a.onStop("blobs", func(context.Context) error { return a.blobs.Close() })
	return a.openSeries()
}

// openBus carries word of changes within the process, or with PostgreSQL between all that share it, and opens the queue
// of background work.
func (a *App) openBus(ctx context.Context) error {
	a.queue = queue.New(queue.Config{DB: a.control, Logger: a.logger, Clock: a.clock})
	if a.control.Dialect() == db.SQLite {
		memory := bus.NewMemory()
		a.bus = memory
		a.onStop("bus", func(context.Context) error { return memory.Close() })
		return nil
	}
	shared, err := bus.OpenPostgres(ctx, a.control, a.logger)
	if err != nil {
		return err
	}
	a.bus = shared
	a.onStop("bus", func(context.Context) error { return shared.Close() })
	return nil
}

// Start starts the modules in order and then answers requests. An App starts once.
func (a *App) Start(ctx context.Context) error {
	if a.listener == nil {
		return errors.New("app: opened beside a server, so it cannot be one")
	}
	if !a.started.CompareAndSwap(false, true) {
		return errors.New("app: started already")
	}
	if err := a.startModules(ctx); err != nil {
		return err
	}
	if err := a.serve(); err != nil {
		return err
	}
	a.ready.Store(true)
	a.logger.Info("kept is ready", "url", a.URL(), "data", a.dataDir(), "key", a.keyPlace(), "database", string(a.control.Dialect()))
	return nil
}

// dataDir is the data directory as an absolute path, so that the log says which one it is.
func (a *App) dataDir() string {
	if abs, err := filepath.Abs(a.cfg.Data); err == nil {
		return abs
	}
	return a.cfg.Data
}

// Stop ends everything, the newest first: the server stops taking requests and answers those it has, then the modules,
// then the databases. Whatever takes longer than ctx is cut off. Stopping again does nothing.
func (a *App) Stop(ctx context.Context) error {
	a.ready.Store(false)
	return a.stops.run(ctx, a.logger)
}

func (a *App) onStop(name string, f func(context.Context) error) { a.stops.push(name, f) }

// Failed tells when the server ended although nobody stopped it.
func (a *App) Failed() <-chan error { return a.failed }

// URL is where the server listens, as http://host:port; beside a server, where the configuration says that it does.
func (a *App) URL() string {
	addr := a.cfg.Addr
	if a.listener != nil {
		addr = a.listener.Addr().String()
	}
	scheme := "http"
	if a.cfg.TLSCert != "" {
		scheme = "https"
	}
	host, port, _ := net.SplitHostPort(addr) // checked: see config.Config.Validate
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}

// BaseURL is how people reach the server: what the operator said, else where it listens.
func (a *App) BaseURL() string {
	if a.cfg.BaseURL != "" {
		return trimSlash(a.cfg.BaseURL)
	}
	u, err := url.Parse(a.URL())
	if err != nil {
		return a.URL()
	}
	if ip, err := netip.ParseAddr(u.Hostname()); err == nil && ip.IsLoopback() {
		u.Host = net.JoinHostPort("localhost", u.Port()) // browsers bind passkeys to names, not to addresses
	}
	return u.String()
}

func trimSlash(s string) string {
	for len(s) > 0 && s[len(s)-1] == '/' {
		s = s[:len(s)-1]
	}
	return s
}

// Mux is the route table, for tests and for checks that look at it.
func (a *App) Mux() *httpx.Mux { return a.mux }

// Control is the database of accounts and settings.
func (a *App) Control() *db.DB { return a.control }

// JobsDB is the database of the job log; on PostgreSQL it is the same as Control.
func (a *App) JobsDB() *db.DB { return a.jobs }

// Keys are the data keys of workspaces.
func (a *App) Keys() *seal.Keys { return a.keys }

// Bus carries word of changes.
func (a *App) Bus() bus.Bus { return a.bus }

// Queue does background work.
func (a *App) Queue() *queue.Queue { return a.queue }

// AccessLog is the request log.
func (a *App) AccessLog() *accesslog.Log { return a.requests }

// Run serves until ctx ends or the server fails, and then stops within the grace of the configuration.
func Run(ctx context.Context, cfg config.Config, options ...Option) error {
	a, err := New(ctx, cfg, options...)
	if err != nil {
		return err
	}
	err = a.Start(ctx)
	if err == nil {
		select {
		case <-ctx.Done():
			a.logger.Info("kept is stopping", "grace", cfg.ShutdownGrace.String())
		case err = <-a.failed:
		}
	}
	stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cfg.ShutdownGrace+moduleGrace)
	defer cancel()
	return errors.Join(err, a.Stop(stopCtx))
}

// moduleGrace is what modules and databases have after the server's grace is over.
const moduleGrace = 10 * time.Second
