package db

import (
	"context"
	"fmt"
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

// Types that the engines spell differently may be written in Migration.SQL as these words.
var typeWords = map[Dialect]*strings.Replacer{
	SQLite:   strings.NewReplacer("BYTES", "BLOB", "FLAG", "INTEGER", "REAL8", "REAL", "TEXT_C", "TEXT", "END_TABLE", "STRICT"),
	Postgres: strings.NewReplacer("BYTES", "BYTEA", "INTEGER", "BIGINT", "FLAG", "BIGINT", "REAL8", "DOUBLE PRECISION", "TEXT_C", `TEXT COLLATE "C"`, "END_TABLE", ""),
}

// Migrate brings the schema of the modules up to date, each step in its own transaction together with the record that
// it ran. A database that is newer than this binary is refused, because an older binary would misread it.
func (d *DB) Migrate(ctx context.Context, modules ...Module) error {
	err := d.Tx(ctx, func(tx *Tx) error {
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
			// Two instances may start at once: the lock makes the second wait and then find the step done.
			if tx.dialect == Postgres {
				if _, err := tx.Exec(ctx, `LOCK TABLE schema_versions IN EXCLUSIVE MODE`); err != nil {
					return err
				}
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

func (t *Tx) schemaText(text string) string { return typeWords[t.dialect].Replace(text) }

// splitStatements cuts a migration at semicolons that end a line; our schemas have no triggers or functions.
func splitStatements(text string) []string {
	var out []string
	for _, s := range strings.Split(text+"\n", ";\n") {
		if s = strings.TrimSpace(s); s != "" {
			out = append(out, strings.TrimSuffix(s, ";"))
		}
	}
	return out
}
