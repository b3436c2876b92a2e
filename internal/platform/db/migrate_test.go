package db_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/db/dbtest"
)

func steps(n int, broken bool) db.Module {
	all := []db.Migration{
		{Name: "one", SQL: `CREATE TABLE one (id INTEGER NOT NULL PRIMARY KEY) END_TABLE;`},
		{Name: "two", SQL: "CREATE TABLE two (id INTEGER NOT NULL PRIMARY KEY) END_TABLE;\nINSERT INTO one (id) VALUES (2);"},
		{Name: "three", SQLite: `INSERT INTO one (id) VALUES (30)`, Postgres: `INSERT INTO one (id) VALUES (31)`},
	}
	if broken {
		all[1].SQL += "\nINSERT INTO nowhere (id) VALUES (1);"
	}
	return db.Module{Name: "steps", Migrations: all[:n]}
}

func versions(t *testing.T, d *db.DB) (version, rows int) {
	t.Helper()
	err := d.QueryRow(t.Context(), `SELECT (SELECT coalesce(max(version), 0) FROM schema_versions WHERE module = 'steps'),
		(SELECT count(*) FROM one)`).Scan(&version, &rows)
	if err != nil {
		t.Fatal(err)
	}
	return version, rows
}

func TestMigrateResumesAfterABrokenStep(t *testing.T) {
	t.Parallel()
	dbtest.EachConfig(t, func(t *testing.T, cfg db.Config) {
		d := dbtest.Open(t, cfg)
		err := d.Migrate(t.Context(), steps(3, true))
		if err == nil || !strings.Contains(err.Error(), "migrate steps: step 2 (two)") {
			t.Fatalf("a broken step: %v", err)
		}
		if version, rows := versions(t, d); version != 1 || rows != 0 {
			t.Errorf("after a broken step 2: version %d with %d rows; want step 1 and nothing of step 2", version, rows)
		}
		d.Close()
		again := dbtest.Open(t, cfg)
		migrate(t, again, steps(3, false))
		migrate(t, again, steps(3, false)) // changes nothing
		if version, rows := versions(t, again); version != 3 || rows != 2 {
			t.Errorf("after the repair: version %d with %d rows, want 3 and 2", version, rows)
		}
		var engine int
		want := map[db.Dialect]int{db.SQLite: 30, db.Postgres: 31}[again.Dialect()]
		if err := again.QueryRow(t.Context(), `SELECT max(id) FROM one`).Scan(&engine); err != nil || engine != want {
			t.Errorf("engine's own step wrote %d, %v; want %d", engine, err, want)
		}
	})
}

func TestMigrateRefusesANewerDatabase(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		migrate(t, d, steps(3, false))
		if err := d.Migrate(t.Context(), steps(2, false)); err == nil || !strings.Contains(err.Error(), "run a newer kept") {
			t.Errorf("an older binary: %v", err)
		}
	})
}

// TestTwoInstancesMigrateAtOnce starts several on one empty database, where even creating schema_versions is a race.
func TestTwoInstancesMigrateAtOnce(t *testing.T) {
	t.Parallel()
	dbtest.EachConfig(t, func(t *testing.T, cfg db.Config) {
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				d, err := db.Open(t.Context(), cfg)
				if err == nil {
					defer d.Close()
					err = d.Migrate(t.Context(), steps(3, false), things)
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if version, rows := versions(t, dbtest.Open(t, cfg)); version != 3 || rows != 2 {
			t.Errorf("version %d with %d rows, want 3 and 2", version, rows)
		}
	})
}

func TestTypeWordsAreWholeWords(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		migrate(t, d, db.Module{Name: "words", Migrations: []db.Migration{{Name: "words", SQL: `CREATE TABLE words (
			x TEXT_C NOT NULL DEFAULT 'MEGABYTES REAL8TIME', n INTEGER NOT NULL) END_TABLE;
			INSERT INTO words (n) VALUES (9000000000000000000);`}}})
		var x string
		var n int64
		if err := d.QueryRow(t.Context(), `SELECT x, n FROM words`).Scan(&x, &n); err != nil || x != "MEGABYTES REAL8TIME" || n != 9e18 {
			t.Errorf("got %q, %d, %v", x, n, err)
		}
	})
}
