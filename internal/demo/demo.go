// Package demo is the workload of "kept demo": a small shop whose background
// jobs run in a real River queue and do real work. They hash files, make
// thumbnails, send mail to the demo's mailbox, call a flaky service, fan an
// order out into its parts, fail, and are tried again. Everything reaches the
// server over HTTP through the Go SDK, as the jobs of any other program would;
// nothing that is shown was made up.
package demo

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivermigrate"
	"github.com/riverqueue/river/rivertype"
	_ "modernc.org/sqlite" // driver of the queue's database

	kept "github.com/kept-dev/kept/sdk/go"
	"github.com/kept-dev/kept/sdk/go/keptriver"
)

// Config configures a [Demo]. Endpoint, APIKey, Dir, SelfURL and Mail are needed.
type Config struct {
	Endpoint string // where jobs are reported to
	APIKey   string
	Dir      string // for the queue's database and the files to work on
	SelfURL  string // where [FlakyHandler] is served, at FlakyPath

	// Mail delivers a mail to the demo's mailbox.
	Mail func(ctx context.Context, to, subject, text string) error

	// OnProgress is told how far the first burst of jobs is; done equals total
	// at its end. It is called from one goroutine and must return soon.
	OnProgress func(done, total int, what string)

	History int           // jobs of the first burst; default 300
	Pause   time.Duration // mean time between two stories afterwards; default 1.2 s
	Logger  *slog.Logger  // default: discards
}

// Demo is the workload. Make it with [New].
type Demo struct {
	cfg  Config
	http *http.Client

	mu      sync.Mutex
	stops   []func(context.Context) error // newest last
	started bool
	ready   chan struct{}
	begun   sync.Once

	client *kept.Client
	river  *river.Client[*sql.Tx]
	files  string
	shop   *shop

	exporter *exporter
}

// New checks the configuration. Nothing runs before Start.
func New(cfg Config) (*Demo, error) {
	if cfg.Endpoint == "" || cfg.APIKey == "" || cfg.Dir == "" || cfg.SelfURL == "" || cfg.Mail == nil {
		return nil, errors.New("demo: Endpoint, APIKey, Dir, SelfURL and Mail are needed")
	}
	if cfg.History == 0 {
		cfg.History = 300
	}
	if cfg.Pause == 0 {
		cfg.Pause = 1200 * time.Millisecond
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.OnProgress == nil {
		cfg.OnProgress = func(int, int, string) {}
	}
	return &Demo{cfg: cfg, ready: make(chan struct{}), shop: newShop(), exporter: newExporter()}, nil
}

// Ready is closed when the first burst of jobs has been worked.
func (d *Demo) Ready() <-chan struct{} { return d.ready }

// Start makes the files, opens the queue, and lets the shop begin; it does not
// wait for the first burst. The workload runs until Stop, whatever becomes of ctx.
func (d *Demo) Start(ctx context.Context) (err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.started {
		return nil
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.stopLocked(context.WithoutCancel(ctx)))
		}
	}()
	if err := d.makeFiles(); err != nil {
		return fmt.Errorf("demo: make files: %w", err)
	}
	if err := d.openClients(); err != nil {
		return err
	}
	stop, err := d.exporter.listen()
	if err != nil {
		return err
	}
	d.onStop(stop)
	db, err := d.openQueue(ctx)
	if err != nil {
		return fmt.Errorf("demo: open queue: %w", err)
	}
	if err := d.startRiver(ctx, db); err != nil {
		return fmt.Errorf("demo: start queue: %w", err)
	}
	d.client.Deployment("shop-"+kept.Version, "", "the demo shop opened")
	d.startPlay(ctx)
	d.started = true
	return nil
}

// Stop ends the workload: no new jobs, a moment for the running ones, and the
// last reports delivered within ctx. It is safe before Start and twice.
func (d *Demo) Stop(ctx context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.stopLocked(ctx)
}

func (d *Demo) stopLocked(ctx context.Context) (err error) {
	for n := len(d.stops); n > 0; n = len(d.stops) {
		stop := d.stops[n-1]
		d.stops = d.stops[:n-1]
		err = errors.Join(err, stop(ctx))
	}
	d.started = false
	return err
}

func (d *Demo) onStop(f func(context.Context) error) { d.stops = append(d.stops, f) }

func (d *Demo) openClients() error {
	transport := &http.Transport{MaxIdleConnsPerHost: 4, IdleConnTimeout: 10 * time.Second}
	d.http = &http.Client{Transport: transport, Timeout: patience}
	d.onStop(func(context.Context) error { transport.CloseIdleConnections(); return nil })

	client, err := kept.New(kept.Config{Endpoint: d.cfg.Endpoint, APIKey: d.cfg.APIKey, Env: "production", Logger: d.cfg.Logger})
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	d.client = client
	d.onStop(client.Close)
	return nil
}

func (d *Demo) openQueue(ctx context.Context) (*sql.DB, error) {
	file := filepath.Join(d.cfg.Dir, "queue.db")
	db, err := sql.Open("sqlite", "file:"+file+"?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)&_txlock=immediate")
	if err != nil {
		return nil, err
	}
	d.onStop(func(context.Context) error { return db.Close() })
	db.SetMaxOpenConns(1) // River on SQLite wants it
	migrator, err := rivermigrate.New(riversqlite.New(db), &rivermigrate.Config{Logger: d.cfg.Logger})
	if err != nil {
		return nil, err
	}
	_, err = migrator.Migrate(ctx, rivermigrate.DirectionUp, nil)
	return db, err
}

func (d *Demo) startRiver(ctx context.Context, db *sql.DB) (err error) {
	hook := keptriver.New(d.client)
	d.river, err = river.NewClient(riversqlite.New(db), &river.Config{
		Logger:       quietRiver(d.cfg.Logger),
		Middleware:   []rivertype.Middleware{hook},
		PeriodicJobs: d.periodicJobs(),
		Queues: map[string]river.QueueConfig{
			"default": {MaxWorkers: 6}, "media": {MaxWorkers: 2}, "mail": {MaxWorkers: 3}, "billing": {MaxWorkers: 3},
		},
		RescueStuckJobsAfter: 2 * time.Minute,
		Workers:              d.workers(),
	})
	if err != nil {
		return err
	}
	unwatch := hook.Watch(d.river)
	d.onStop(func(context.Context) error { unwatch(); return nil })
	if err := d.river.Start(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	d.onStop(d.stopRiver)
	return nil
}

// stopRiver gives running jobs a moment, and then cancels them.
func (d *Demo) stopRiver(ctx context.Context) error {
	soft, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if d.river.Stop(soft) == nil {
		return nil
	}
	return d.river.StopAndCancel(ctx)
}

// quietRiver drops what River writes about failing jobs: failing is part of the demo.
func quietRiver(l *slog.Logger) *slog.Logger { return slog.New(errorsOnly{l.Handler()}) }

type errorsOnly struct{ slog.Handler }

func (h errorsOnly) Handle(ctx context.Context, r slog.Record) error {
	if r.Level < slog.LevelError || len(r.Message) > 11 && r.Message[:11] == "jobexecutor" {
		return nil
	}
	return h.Handler.Handle(ctx, r)
}

func (h errorsOnly) WithAttrs(a []slog.Attr) slog.Handler { return errorsOnly{h.Handler.WithAttrs(a)} }
func (h errorsOnly) WithGroup(n string) slog.Handler      { return errorsOnly{h.Handler.WithGroup(n)} }

// makeFiles fills a fresh folder with what the jobs work on.
func (d *Demo) makeFiles() error {
	d.files = filepath.Join(d.cfg.Dir, "files")
	if err := os.RemoveAll(d.files); err != nil {
		return err
	}
	for _, sub := range []string{"uploads", "photos", "thumbnails", "exports"} {
		if err := os.MkdirAll(filepath.Join(d.files, sub), 0o700); err != nil {
			return err
		}
	}
	if err := writeUploads(filepath.Join(d.files, "uploads")); err != nil {
		return err
	}
	return writePhotos(filepath.Join(d.files, "photos"))
}
