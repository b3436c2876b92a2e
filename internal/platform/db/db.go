// Package db opens the database and runs transactions on it: SQLite in the data directory by default, PostgreSQL by
// URL. One SQL text serves both: statements are written with numbered placeholders ($1) and times are integer
// microseconds (see kernel.Micros). Package db has no business words.
package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	_ "github.com/jackc/pgx/v5/stdlib" // the "pgx" driver of database/sql
	_ "modernc.org/sqlite"             // the "sqlite" driver of database/sql

	"github.com/kept-dev/kept/internal/kernel"
)

// Dialect is the SQL engine behind a DB.
type Dialect string

// The two engines.
const (
	SQLite   Dialect = "sqlite"
	Postgres Dialect = "postgres"
)

// ErrNoRows is what a QueryRow scan gives when nothing matched.
var ErrNoRows = sql.ErrNoRows

// Config says which database to open.
type Config struct {
	URL   string       // postgres://… for PostgreSQL; empty for SQLite
	Path  string       // the SQLite file; its folder must exist
	Clock kernel.Clock // what Tx.Now reads; nil is the system clock
	// Durable makes each SQLite commit wait for the disk (synchronous=FULL), so that it outlives a power cut and not
	// only a killed process. PostgreSQL does so unless its operator turned it off.
	Durable bool
	// Bulk is for a database of large sealed values: SQLite uses larger pages, and does not overwrite what is deleted,
	// because without its key it says nothing.
	Bulk bool
}

// DB is an open database: many readers and, on SQLite, one writer.
type DB struct {
	dialect Dialect
	reader  *sql.DB
	writer  *sql.DB

	checkpointer    *sql.DB // of a Bulk database on SQLite
	stopCheckpoints func()

	clock kernel.Clock
	path  string
	url   string
}

// Open opens the database and checks that it answers.
func Open(ctx context.Context, cfg Config) (*DB, error) {
	d := &DB{clock: cfg.Clock, path: cfg.Path, url: cfg.URL}
	if d.clock == nil {
		d.clock = kernel.SystemClock
	}
	var err error
	if cfg.URL != "" {
		err = d.openPostgres(cfg.URL)
	} else {
		err = d.openSQLite(cfg)
	}
	if err != nil {
		return nil, err
	}
	if err := d.writer.PingContext(ctx); err != nil {
		d.Close()
		return nil, fmt.Errorf("db: open %s: %w", d.describe(), err)
	}
	return d, nil
}

func (d *DB) openPostgres(url string) (err error) {
	if !strings.HasPrefix(url, "postgres://") && !strings.HasPrefix(url, "postgresql://") {
		return errors.New("db: the database URL must begin with postgres://")
	}
	d.dialect = Postgres
	if d.writer, err = sql.Open("pgx", url); err != nil {
		return fmt.Errorf("db: the database URL cannot be read: %w", err)
	}
	d.writer.SetMaxOpenConns(20)
	d.writer.SetMaxIdleConns(10)
	d.writer.SetConnMaxIdleTime(5 * time.Minute)
	d.reader = d.writer
	return nil
}

// openSQLite sets pragmas through the connection string, so that every connection of a pool has them. busy_timeout
// comes first because the ones after it may have to wait for a lock. Those that describe the file are the writer's
// alone: auto_vacuum takes the write lock even when it changes nothing, so a reader that connected during a write
// transaction would wait for its end.
func (d *DB) openSQLite(cfg Config) (err error) {
	d.dialect = SQLite
	if err := createPrivate(cfg.Path); err != nil {
		return err
	}
	sync := "NORMAL"
	if cfg.Durable {
		sync = "FULL"
	}
	dsn := "file:" + uriPath(cfg.Path) + "?_pragma=busy_timeout(5000)&_pragma=cache_size(-16384)&_pragma=temp_store(MEMORY)"
	pages, overwrite, checkpoint := "4096", "ON", "1000"
	if cfg.Bulk {
		pages, overwrite, checkpoint = "16384", "OFF", "16384"
	}
	if d.writer, err = sql.Open("sqlite", dsn+"&_txlock=immediate&_pragma=page_size("+pages+")&_pragma=auto_vacuum(INCREMENTAL)"+
		"&_pragma=journal_mode(WAL)&_pragma=synchronous("+sync+")&_pragma=foreign_keys(ON)&_pragma=secure_delete("+overwrite+")"+
		"&_pragma=wal_autocheckpoint("+checkpoint+")"); err != nil {
		return fmt.Errorf("db: %w", err)
	}
	d.writer.SetMaxOpenConns(1)
	if cfg.Bulk {
		if d.checkpointer, err = sql.Open("sqlite", dsn+"&_pragma=synchronous("+sync+")&_pragma=wal_autocheckpoint(0)"); err != nil {
			return fmt.Errorf("db: %w", err)
		}
		d.checkpointer.SetMaxOpenConns(1)
		d.stopCheckpoints = d.keepCheckpointing()
	}
	if d.reader, err = sql.Open("sqlite", dsn+"&_pragma=query_only(ON)"); err != nil {
		return fmt.Errorf("db: %w", err)
	}
	d.reader.SetMaxOpenConns(max(4, 2*runtime.NumCPU()))
	d.reader.SetMaxIdleConns(max(4, 2*runtime.NumCPU()))
	return nil
}

// uriPath writes a path so that SQLite, which reads the connection string as a URI, finds the same file.
func uriPath(path string) string {
	return strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23").Replace(filepath.ToSlash(path))
}

// createPrivate makes the file readable by its owner only before SQLite would make it with the umask's rights.
func createPrivate(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("db: %w", err)
	}
	return f.Close()
}

// Dialect tells which engine this is, for the few places where the engines differ.
func (d *DB) Dialect() Dialect { return d.dialect }

// URL is the PostgreSQL URL that the database was opened with; empty on SQLite. It holds a password: never print it.
func (d *DB) URL() string { return d.url }

// Path is the SQLite file; empty on PostgreSQL.
func (d *DB) Path() string { return d.path }

// Writer is the pool that may write, for libraries that want a *sql.DB. On SQLite it has one connection.
func (d *DB) Writer() *sql.DB { return d.writer }

func (d *DB) describe() string {
	if d.dialect == Postgres {
		return "PostgreSQL"
	}
	return d.path
}

// Ping tells whether the database answers.
func (d *DB) Ping(ctx context.Context) error { return d.reader.PingContext(ctx) }

// Close closes both pools. Closing twice is harmless.
func (d *DB) Close() error {
	if d.stopCheckpoints != nil {
		d.stopCheckpoints()
	}
	err := d.writer.Close()
	if d.reader != d.writer && d.reader != nil {
		err = errors.Join(err, d.reader.Close())
	}
	return err
}

// Query runs a read on the reader pool.
func (d *DB) Query(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
	return d.reader.QueryContext(ctx, Rebind(d.dialect, text), args...)
}

// QueryRow runs a read of at most one row on the reader pool.
func (d *DB) QueryRow(ctx context.Context, text string, args ...any) *sql.Row {
	return d.reader.QueryRowContext(ctx, Rebind(d.dialect, text), args...)
}

// IsUniqueViolation tells whether err says that a row with that key exists already.
func IsUniqueViolation(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code == "23505"
	}
	var lite interface{ Code() int }
	if errors.As(err, &lite) {
		return lite.Code() == 2067 || lite.Code() == 1555 // SQLITE_CONSTRAINT_UNIQUE, _PRIMARYKEY
	}
	return false
}

// isRetryable tells whether a transaction lost a race that it would win on another try.
func isRetryable(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == "40001" || pg.Code == "40P01") // serialization failure, deadlock
}
