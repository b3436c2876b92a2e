package db_test

import (
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/db/dbtest"
)

var things = db.Module{Name: "things", Migrations: []db.Migration{{
	Name: "things",
	SQL:  `CREATE TABLE things (id INTEGER NOT NULL PRIMARY KEY, name TEXT_C NOT NULL, UNIQUE (name)) END_TABLE;`,
}}}

func migrate(t *testing.T, d *db.DB, modules ...db.Module) {
	t.Helper()
	if err := d.Migrate(t.Context(), modules...); err != nil {
		t.Fatal(err)
	}
}

func insert(t *testing.T, tx *db.Tx, id int, name string) error {
	_, err := tx.Exec(t.Context(), `INSERT INTO things (id, name) VALUES ($1, $2)`, id, name)
	return err
}

func count(t *testing.T, d *db.DB) (n int) {
	t.Helper()
	if err := d.QueryRow(t.Context(), `SELECT count(*) FROM things`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestTxCommitsOrRollsBackAsAWhole(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		migrate(t, d, things)
		var effects []string
		boom := errors.New("boom")
		err := d.Tx(t.Context(), func(tx *db.Tx) error {
			tx.AfterCommit(func() { effects = append(effects, "rolled back") })
			if err := insert(t, tx, 1, "one"); err != nil {
				return err
			}
			return boom
		})
		if !errors.Is(err, boom) || count(t, d) != 0 || effects != nil {
			t.Errorf("after an error: %v, %d rows, effects %v", err, count(t, d), effects)
		}
		err = d.Tx(t.Context(), func(tx *db.Tx) error {
			tx.AfterCommit(func() {
				if count(t, d) != 1 {
					t.Error("AfterCommit ran before the row could be seen")
				}
				effects = append(effects, "first")
			})
			tx.AfterCommit(func() { effects = append(effects, "second") })
			if err := insert(t, tx, 1, "one"); err != nil {
				return err
			}
			if len(effects) != 0 || count(t, d) != 0 {
				t.Errorf("before the commit: effects %v, %d rows visible", effects, count(t, d))
			}
			return nil
		})
		if err != nil || !reflect.DeepEqual(effects, []string{"first", "second"}) {
			t.Errorf("after a commit: %v, effects %v", err, effects)
		}
	})
}

func TestTxRollsBackOnPanicAndFreesTheWriter(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		migrate(t, d, things)
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic was swallowed")
				}
			}()
			d.Tx(t.Context(), func(tx *db.Tx) error {
				if err := insert(t, tx, 1, "one"); err != nil {
					t.Error(err)
				}
				panic("boom")
			})
		}()
		err := d.Tx(t.Context(), func(tx *db.Tx) error { return insert(t, tx, 2, "two") })
		if err != nil || count(t, d) != 1 {
			t.Errorf("after a panic: %v, %d rows, want 1", err, count(t, d))
		}
	})
}

func TestTxHasOneNow(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.FixedZone("CET", 3600))
	var mu sync.Mutex
	clock := func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		now = now.Add(time.Second)
		return now
	}
	dbtest.EachClock(t, clock, func(t *testing.T, d *db.DB) {
		err := d.Tx(t.Context(), func(tx *db.Tx) error {
			first := tx.Now()
			clock()
			if !tx.Now().Equal(first) || tx.Now().Location() != time.UTC {
				t.Errorf("Now was %v and is %v; want one time, in UTC", first, tx.Now())
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
}

// TestTxRetriesAfterADeadlock locks two rows in opposite order, which PostgreSQL resolves by failing one transaction.
func TestTxRetriesAfterADeadlock(t *testing.T) {
	t.Parallel()
	d := dbtest.Open(t, dbtest.Postgres(t), things)
	err := d.Tx(t.Context(), func(tx *db.Tx) error {
		return errors.Join(insert(t, tx, 1, "one"), insert(t, tx, 2, "two"))
	})
	if err != nil {
		t.Fatal(err)
	}
	var both, done sync.WaitGroup
	both.Add(2)
	var mu sync.Mutex
	tries, effects := 0, 0
	touch := func(first, second int) {
		var once sync.Once
		err := d.Tx(t.Context(), func(tx *db.Tx) error {
			mu.Lock()
			tries++
			mu.Unlock()
			tx.AfterCommit(func() {
				mu.Lock()
				effects++
				mu.Unlock()
			})
			if _, err := tx.Exec(t.Context(), `UPDATE things SET name = name || '!' WHERE id = $1`, first); err != nil {
				return err
			}
			once.Do(func() { both.Done(); both.Wait() })
			_, err := tx.Exec(t.Context(), `UPDATE things SET name = name || '!' WHERE id = $1`, second)
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	done.Go(func() { touch(1, 2) })
	done.Go(func() { touch(2, 1) })
	done.Wait()
	var name string
	if err := d.QueryRow(t.Context(), `SELECT name FROM things WHERE id = 1`).Scan(&name); err != nil || name != "one!!" {
		t.Errorf("name = %q, %v; want both updates, once each", name, err)
	}
	if tries < 3 || effects != 2 { // more when the second try meets the other transaction again
		t.Errorf("%d tries and %d effects, want at least 3 and exactly 2", tries, effects)
	}
}

func TestIsUniqueViolation(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		migrate(t, d, things)
		try := func(id int, name string) error {
			return d.Tx(t.Context(), func(tx *db.Tx) error { return insert(t, tx, id, name) })
		}
		if err := try(1, "one"); err != nil {
			t.Fatal(err)
		}
		if err := try(1, "other"); !db.IsUniqueViolation(err) {
			t.Errorf("same primary key: %v", err)
		}
		if err := try(2, "one"); !db.IsUniqueViolation(err) {
			t.Errorf("same unique value: %v", err)
		}
		err := d.Tx(t.Context(), func(tx *db.Tx) error {
			_, err := tx.Exec(t.Context(), `INSERT INTO things (id, name) VALUES (3, NULL)`)
			return err
		})
		if err == nil || db.IsUniqueViolation(err) {
			t.Errorf("NULL in a NOT NULL column: %v", err)
		}
	})
}

func TestReaderRefusesWrites(t *testing.T) {
	t.Parallel()
	d := dbtest.Open(t, dbtest.SQLite(t), things)
	rows, err := d.Query(t.Context(), `INSERT INTO things (id, name) VALUES (1, 'one') RETURNING id`)
	if err == nil {
		rows.Next()
		err = rows.Err()
		rows.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "readonly") || count(t, d) != 0 {
		t.Errorf("a write on the reader pool: %v, %d rows", err, count(t, d))
	}
}

func TestReadersDoNotWaitForTheWriter(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		migrate(t, d, things)
		err := d.Tx(t.Context(), func(tx *db.Tx) error {
			if err := insert(t, tx, 1, "one"); err != nil {
				return err
			}
			if n := count(t, d); n != 0 { // answers at once, with the state before
				t.Errorf("%d uncommitted rows visible", n)
			}
			return nil
		})
		if err != nil || count(t, d) != 1 {
			t.Errorf("%v, %d rows", err, count(t, d))
		}
	})
}

func TestFilesArePrivate(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("Windows files have no mode bits")
	}
	cfg := dbtest.SQLite(t)
	d := dbtest.Open(t, cfg, things)
	if err := d.Tx(t.Context(), func(tx *db.Tx) error { return insert(t, tx, 1, "one") }); err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{"", "-wal", "-shm"} {
		info, err := os.Stat(cfg.Path + suffix)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("control.db%s: %v, %v; want mode 0600", suffix, info, err)
		}
	}
}

func TestOddPaths(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"per%20cent", "what?.db", "a#b", "sp ace", "plus+"} {
		dir := t.TempDir()
		d := dbtest.Open(t, db.Config{Path: filepath.Join(dir, name)}, things)
		if err := d.Tx(t.Context(), func(tx *db.Tx) error { return insert(t, tx, 1, "one") }); err != nil {
			t.Fatal(err)
		}
		d.Close()
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Size() == 0 {
			t.Errorf("%s: the database went to another file: %v", name, err)
		}
	}
}

func TestPragmas(t *testing.T) {
	t.Parallel()
	cfg := dbtest.SQLite(t)
	cfg.Durable = true
	d := dbtest.Open(t, cfg)
	pragma := func(row *sql.Row) (value string) {
		t.Helper()
		if err := row.Scan(&value); err != nil {
			t.Fatal(err)
		}
		return value
	}
	for name, want := range map[string]string{
		"foreign_keys": "1", "journal_mode": "wal", "synchronous": "2", "secure_delete": "1", "auto_vacuum": "2", "busy_timeout": "5000",
	} {
		if got := pragma(d.Writer().QueryRowContext(t.Context(), "PRAGMA "+name)); got != want {
			t.Errorf("writer: %s is %s, want %s", name, got, want)
		}
	}
	for range 3 { // three readers at once, so none is a connection used before
		rows, err := d.Query(t.Context(), `SELECT 1`)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		for name, want := range map[string]string{"query_only": "1", "journal_mode": "wal", "busy_timeout": "5000"} {
			if got := pragma(d.QueryRow(t.Context(), "PRAGMA "+name)); got != want {
				t.Errorf("reader: %s is %s, want %s", name, got, want)
			}
		}
	}
}

func TestColumns(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		migrate(t, d, things, db.Module{Name: "more", Migrations: []db.Migration{{
			Name: "more",
			SQL: `CREATE TABLE more (b FLAG NOT NULL, a BYTES, r REAL8, upper_name TEXT GENERATED ALWAYS AS ('x') STORED) END_TABLE;
				CREATE INDEX more_a ON more (a);`,
		}}})
		got, err := d.Columns(t.Context())
		want := map[string][]string{
			"schema_versions": {"applied_at", "module", "name", "version"},
			"things":          {"id", "name"},
			"more":            {"a", "b", "r", "upper_name"},
		}
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %v, %v; want %v", got, err, want)
		}
	})
}

func TestOpenFails(t *testing.T) {
	t.Parallel()
	for _, cfg := range []db.Config{
		{URL: "mysql://localhost/kept"},
		{URL: "postgres://u:s3cret@127.0.0.1:1/kept"},
		{Path: filepath.Join(t.TempDir(), "no", "such", "folder.db")},
	} {
		d, err := db.Open(t.Context(), cfg)
		if err == nil {
			d.Close()
			t.Errorf("%+v opened", cfg)
		} else if strings.Contains(err.Error(), "s3cret") {
			t.Errorf("the error shows the password: %v", err)
		}
	}
}

func TestCloseTwice(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		if err := errors.Join(d.Close(), d.Close()); err != nil {
			t.Error(err)
		}
		if d.Ping(t.Context()) == nil {
			t.Error("a closed database answers")
		}
	})
}
