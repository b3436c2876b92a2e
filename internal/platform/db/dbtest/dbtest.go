// Package dbtest runs a test on every database engine that Kept supports.
package dbtest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/testkit/pgtest"
)

// Each runs f on SQLite in a temporary folder and on a fresh PostgreSQL database, as parallel subtests.
func Each(t *testing.T, f func(t *testing.T, d *db.DB)) {
	t.Helper()
	EachClock(t, nil, f)
}

// EachClock is Each for a test that moves the clock which db.Tx.Now reads.
func EachClock(t *testing.T, clock kernel.Clock, f func(t *testing.T, d *db.DB)) {
	t.Helper()
	EachConfig(t, func(t *testing.T, cfg db.Config) {
		cfg.Clock = clock
		f(t, Open(t, cfg))
	})
}

// EachConfig gives f a new, empty database that is not open yet, for a test that opens it more than once.
func EachConfig(t *testing.T, f func(t *testing.T, cfg db.Config)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		f(t, SQLite(t))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		f(t, Postgres(t))
	})
}

// SQLite is a database file in a temporary folder.
func SQLite(t testing.TB) db.Config {
	t.Helper()
	return db.Config{Path: filepath.Join(t.TempDir(), "control.db")}
}

// Postgres is a fresh PostgreSQL database.
func Postgres(t testing.TB) db.Config {
	t.Helper()
	return db.Config{URL: pgtest.URL(t)}
}

// Open opens a database until the test ends and brings its schema up to date.
func Open(t testing.TB, cfg db.Config, modules ...db.Module) *db.DB {
	t.Helper()
	if cfg.URL == "" && len(modules) > 0 {
		copyMigrated(t, cfg.Path, modules)
	}
	d, err := db.Open(t.Context(), cfg)
	if err != nil {
		t.Fatalf("open the database: %v", err)
	}
	t.Cleanup(func() { d.Close() })
	if err := d.Migrate(t.Context(), modules...); err != nil {
		t.Fatalf("migrate: %v", err)
	}
	return d
}

// migrated holds, by the modules that made it, an empty SQLite database with their schema: to migrate it anew costs more
// than most tests.
var migrated sync.Map // of func() ([]byte, error)

// copyMigrated puts a database with the modules' schema at path, unless there is a file.
func copyMigrated(t testing.TB, path string, modules []db.Module) {
	t.Helper()
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return
	}
	build, _ := migrated.LoadOrStore(fmt.Sprint(modules), sync.OnceValues(func() ([]byte, error) { return migrate(modules) }))
	image, err := build.(func() ([]byte, error))()
	if err == nil {
		err = os.WriteFile(path, image, 0o600)
	}
	if err != nil {
		t.Fatalf("migrate: %v", err)
	}
}

func migrate(modules []db.Module) (image []byte, err error) {
	dir, err := os.MkdirTemp("", "kept-migrated-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "empty.db")
	d, err := db.Open(context.Background(), db.Config{Path: path})
	if err != nil {
		return nil, err
	}
	err = d.Migrate(context.Background(), modules...)
	if err := errors.Join(err, d.Close()); err != nil { // closing writes the log back into the file
		return nil, err
	}
	return os.ReadFile(path)
}
