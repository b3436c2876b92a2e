package bus_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"github.com/kept-dev/kept/internal/platform/bus"
	"github.com/kept-dev/kept/internal/platform/bus/bustest"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/db/dbtest"
)

func openPostgres(t *testing.T, cfg db.Config) *bus.Postgres {
	t.Helper()
	b, err := bus.OpenPostgres(t.Context(), dbtest.Open(t, cfg), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

func TestMemory(t *testing.T) {
	t.Parallel()
	bustest.Run(t, func(t *testing.T) (here, there bus.Bus) {
		b := bus.NewMemory()
		t.Cleanup(func() { b.Close() })
		return b, b
	})
}

func TestPostgres(t *testing.T) {
	t.Parallel()
	bustest.Run(t, func(t *testing.T) (here, there bus.Bus) {
		cfg := dbtest.Postgres(t)
		return openPostgres(t, cfg), openPostgres(t, cfg)
	})
}

func TestPostgresReconnectsAndSaysSo(t *testing.T) {
	t.Parallel()
	cfg := dbtest.Postgres(t)
	b := openPostgres(t, cfg)
	d := dbtest.Open(t, cfg)
	s, quiet := bustest.Subscribe(t, b, "a"), bustest.Subscribe(t, b, "quiet")
	for range 2 {
		var killed int
		err := d.QueryRow(t.Context(), `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
			WHERE application_name = 'kept bus' AND datname = current_database()`).Scan(&killed)
		if err != nil || killed != 1 {
			t.Fatalf("ended %d connections, %v", killed, err)
		}
		for _, s := range []*bus.Subscription{s, quiet} {
			if m := bustest.Next(t, s); !m.Missed {
				t.Errorf("after a lost connection: %q, want word that something may be missing", m.Payload)
			}
		}
		bustest.Publish(t, b, "a", "after")
		if m := bustest.Next(t, s); m.Missed || string(m.Payload) != "after" {
			t.Errorf("after reconnecting: %q, missed %v", m.Payload, m.Missed)
		}
	}
}

func TestPostgresIgnoresStrangers(t *testing.T) {
	t.Parallel()
	cfg := dbtest.Postgres(t)
	b := openPostgres(t, cfg)
	s := bustest.Subscribe(t, b, "a")
	for _, text := range []string{"", "hello", "! !", "YQ !", " "} {
		if _, err := dbtest.Open(t, cfg).Writer().ExecContext(t.Context(), `SELECT pg_notify('kept_bus', $1)`, text); err != nil {
			t.Fatal(err)
		}
	}
	bustest.Publish(t, b, "a", "ours")
	if m := bustest.Next(t, s); string(m.Payload) != "ours" {
		t.Errorf("got %q", m.Payload)
	}
}

func TestClosedBus(t *testing.T) {
	t.Parallel()
	for name, b := range map[string]interface {
		bus.Bus
		Close() error
	}{"memory": bus.NewMemory(), "postgres": openPostgres(t, dbtest.Postgres(t))} {
		s := bustest.Subscribe(t, b, "a")
		if err := errors.Join(b.Close(), b.Close()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		_, errNext := s.Next(t.Context())
		_, errSubscribe := b.Subscribe(context.Background(), "a")
		for _, err := range []error{errNext, errSubscribe, b.Publish(t.Context(), "a", nil)} {
			if !errors.Is(err, bus.ErrClosed) {
				t.Errorf("%s: %v, want ErrClosed", name, err)
			}
		}
	}
}
