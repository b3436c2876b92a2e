// Package testkit runs the whole of Kept in a test: the real server on a port of its own, in a folder of its own, on
// SQLite or PostgreSQL, with a clock that the test moves.
package testkit

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/app"
	"github.com/kept-dev/kept/internal/core/identity"
	"github.com/kept-dev/kept/internal/platform/config"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/testkit/pgtest"
)

// App is a running Kept and somebody's browser in front of it.
type App struct {
	*app.App
	*Browser
	Clock  *Clock
	Config config.Config
}

// Option changes how a test's Kept is set up.
type Option func(*settings)

type settings struct {
	cfg     config.Config
	clock   *Clock
	rates   map[httpx.RateClass]httpx.Limit
	options []app.Option
}

// Config changes the configuration; Data and Addr are set already.
func Config(change func(*config.Config)) Option { return func(s *settings) { change(&s.cfg) } }

// Database uses a PostgreSQL database in place of SQLite; see pgtest.URL.
func Database(url string) Option {
	return Config(func(c *config.Config) { c.Database = config.Secret(url) })
}

// WithClock starts with a clock that the test has made, for two servers that must agree on the time.
func WithClock(c *Clock) Option { return func(s *settings) { s.clock = c } }

// RealRates leaves the rate limits on. Without it only a test's patience limits it, because all of its requests come
// from one address.
func RealRates() Option { return func(s *settings) { s.rates = nil } }

// RealPasswords hashes passwords at their real cost, for tests that look at how they are stored.
func RealPasswords() Option { return With(app.WithPasswordCost(identity.Cost{})) }

// With hands options to app.New.
func With(options ...app.Option) Option {
	return func(s *settings) { s.options = append(s.options, options...) }
}

// cheap spares tests what makes passwords hard to guess.
var cheap = identity.Cost{Memory: 64, Passes: 1, Threads: 1}

const stopWithin = 20 * time.Second

// Start runs Kept until the test ends. The server has started when it returns.
func Start(t testing.TB, options ...Option) *App {
	t.Helper()
	a := New(t, options...)
	if err := a.Start(t.Context()); err != nil {
		t.Fatalf("start: %v", err)
	}
	return a
}

// New makes a Kept that is not started, and stops it when the test ends.
func New(t testing.TB, options ...Option) *App {
	t.Helper()
	s := settings{cfg: config.Default(), clock: NewClock(), rates: noLimits()}
	s.cfg.Data, s.cfg.Addr = t.TempDir(), "127.0.0.1:0"
	for _, option := range options {
		option(&s)
	}
	logger := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	all := append([]app.Option{app.WithClock(s.clock.Now), app.WithLogger(logger), app.WithRates(s.rates), app.WithPasswordCost(cheap)}, s.options...)
	a, err := app.New(t.Context(), s.cfg, all...)
	if err != nil {
		t.Fatalf("new: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), stopWithin) // the test's own context has ended
		defer cancel()
		if err := a.Stop(ctx); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return &App{App: a, Browser: NewBrowser(t, a.URL()), Clock: s.clock, Config: s.cfg}
}

func noLimits() map[httpx.RateClass]httpx.Limit {
	out := map[httpx.RateClass]httpx.Limit{}
	for class := range httpx.DefaultRates() {
		out[class] = httpx.Limit{}
	}
	return out
}

// Each runs f on both engines, as parallel subtests, with options for Start or New.
func Each(t *testing.T, f func(t *testing.T, engine Option)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		f(t, func(*settings) {})
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		f(t, Database(pgtest.URL(t)))
	})
}

// EachApp is Each for a test that only wants a running server.
func EachApp(t *testing.T, f func(t *testing.T, a *App)) {
	t.Helper()
	Each(t, func(t *testing.T, engine Option) { f(t, Start(t, engine)) })
}
