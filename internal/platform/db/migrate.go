package db

import (
	"context"
	"fmt"
	"regexp"
	"strings"
)

// Migration is one forward step of a module's schema. A step that has been released is never changed: add another.
type Migration struct {
	Name     string // says what it does, for the log and for reviewers
	SQL      string // for both engines, unless one of the next two is set
	SQLite   string // what SQLite runs instead
	Postgres string // what PostgreSQL runs instead
}

// Module is a named, ordered list of migrations. Order is the version: the first is 1.
type Module struct {
	Name       string
	Migrations []Migration
}

// typeWords are the words for types that Migration.SQL may use because the engines spell them differently. Only whole
// words in capitals count.
var typeWords = map[Dialect]map[string]string{
	SQLite: {"BYTES": "BLOB", "FLAG": "INTEGER", "REAL8": "REAL", "TEXT_C": "TEXT", "END_TABLE": "STRICT"},
	Postgres: {"BYTES": "BYTEA", "FLAG": "BIGINT", "INTEGER": "BIGINT", "REAL8": "DOUBLE PRECISION",
		"TEXT_C": `TEXT COLLATE "C"`, "END_TABLE": ""},
}

var capitalWord = regexp.MustCompile(`\b[A-Z][A-Z0-9_]*\b`)

// migrateLock is the key of PostgreSQL's advisory lock under which instances that start at once take turns.
const migrateLock = 0x6b657074 // "kept"

// Migrate brings the schema of the modules up to date, each step in its own transaction together with the record that
// it ran. A database that is newer than this binary is refused, because an older binary would misread it.
func (d *DB) Migrate(ctx context.Context, modules ...Module) error {
	err := d.Tx(ctx, func(tx *Tx) error {
		if err := tx.lockMigrations(ctx); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, tx.schemaText(`CREATE TABLE IF NOT EXISTS schema_versions (
			module TEXT_C NOT NULL, version INTEGER NOT NULL, name TEXT NOT NULL, applied_at INTEGER NOT NULL,
			PRIMARY KEY (module, version)) END_TABLE`))
		return err
	})
	if err != nil {
		return fmt.Errorf("db: migrate: %w", err)
	}
	for _, m := range modules {
		if err := d.migrateModule(ctx, m); err != nil {
			return fmt.Errorf("db: migrate %s: %w", m.Name, err)
		}
	}
	return nil
}

func (d *DB) migrateModule(ctx context.Context, m Module) error {
	for {
		done := false
		err := d.Tx(ctx, func(tx *Tx) error {
			if err := tx.lockMigrations(ctx); err != nil {
				return err
			}
			var version int
			if err := tx.QueryRow(ctx, `SELECT coalesce(max(version), 0) FROM schema_versions WHERE module = $1`, m.Name).Scan(&version); err != nil {
				return err
			}
			if version > len(m.Migrations) {
				return fmt.Errorf("the database is at version %d and this binary knows %d: run a newer kept", version, len(m.Migrations))
			}
			if done = version == len(m.Migrations); done {
				return nil
			}
			return tx.applyMigration(ctx, m.Name, version+1, m.Migrations[version])
		})
		if err != nil || done {
			return err
		}
	}
}

func (t *Tx) applyMigration(ctx context.Context, module string, version int, m Migration) error {
	text := t.schemaText(m.SQL)
	if t.dialect == SQLite && m.SQLite != "" {
		text = m.SQLite
	}
	if t.dialect == Postgres && m.Postgres != "" {
		text = m.Postgres
	}
	for _, statement := range splitStatements(text) {
		if _, err := t.tx.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("step %d (%s): %w", version, m.Name, err)
		}
	}
	_, err := t.Exec(ctx, `INSERT INTO schema_versions (module, version, name, applied_at) VALUES ($1, $2, $3, $4)`,
		module, version, m.Name, t.now.UnixMicro())
	return err
}

// lockMigrations makes the second of two instances that start at once wait and then find the step done. A table lock
// would not do: CREATE TABLE IF NOT EXISTS itself fails when two run at once. On SQLite each Tx has the write lock.
func (t *Tx) lockMigrations(ctx context.Context) error {
	if t.dialect != Postgres {
		return nil
	}
	_, err := t.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, migrateLock)
	return err
}

func (t *Tx) schemaText(text string) string {
	return capitalWord.ReplaceAllStringFunc(text, func(word string) string {
		if spelt, ok := typeWords[t.dialect][word]; ok {
			return spelt
		}
		return word
	})
}

// splitStatements cuts a migration at its semicolons, except those inside of literals and comments. Our schemas have
// no triggers or functions, whose bodies contain semicolons.
func splitStatements(text string) []string {
	var out []string
	start, empty := 0, true // empty: nothing but space and comments since start
	flush := func(end int) {
		if !empty {
			out = append(out, strings.TrimSpace(text[start:end]))
		}
		start, empty = end+1, true
	}
	for i := 0; i < len(text); {
		end := opaqueEnd(text, i)
		switch {
		case end > i:
			empty = empty && (text[i] == '-' || text[i] == '/')
			i = end
			continue
		case text[i] == ';':
			flush(i)
		case strings.IndexByte(" \t\r\n", text[i]) < 0:
			empty = false
		}
		i++
	}
	flush(len(text))
	return out
}
