package pgtest_test

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/kept-dev/kept/internal/testkit/external"
	"github.com/kept-dev/kept/internal/testkit/pgtest"
)

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func TestEachCallIsAnEmptyDatabase(t *testing.T) {
	t.Parallel()
	one, two := connect(t, pgtest.URL(t)), connect(t, pgtest.URL(t))
	if _, err := one.Exec(t.Context(), "CREATE TABLE here (id int)"); err != nil {
		t.Fatal(err)
	}
	var tables int
	count := "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
	if err := two.QueryRow(t.Context(), count).Scan(&tables); err != nil || tables != 0 {
		t.Errorf("tables in the second database = %d, %v; want 0", tables, err)
	}
}

func TestDatabaseIsDroppedUnderAnOpenConnection(t *testing.T) {
	t.Parallel()
	watch := connect(t, pgtest.URL(t))
	var name string
	t.Run("user", func(t *testing.T) {
		// This connection is closed by the outer test, so after the drop.
		conn, err := pgx.Connect(t.Context(), pgtest.URL(t))
		if err != nil {
			t.Fatal(err)
		}
		if err := conn.QueryRow(t.Context(), "SELECT current_database()").Scan(&name); err != nil {
			t.Fatal(err)
		}
	})
	var left int
	err := watch.QueryRow(t.Context(), "SELECT count(*) FROM pg_database WHERE datname = $1", name).Scan(&left)
	if err != nil || name == "" || left != 0 {
		t.Errorf("database %q: %d left, %v; want 0", name, left, err)
	}
}

// TestServerEndsWithItsOwner kills a process that has started a server, or is
// about to, and waits for the server's files to go.
func TestServerEndsWithItsOwner(t *testing.T) {
	t.Parallel()
	for name, ready := range map[string]bool{"serving": true, "starting": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// Not t.TempDir(): the server runs as another user when we are root,
			// and that user could not reach into it.
			dir, err := os.MkdirTemp("", "kept-owner-")
			external.Check(t, err)
			t.Cleanup(func() { external.Check(t, os.RemoveAll(dir)) })
			external.Check(t, os.Chmod(dir, 0o777))
			killOwner(t, dir, ready)
			eventually(t, "the files of the dead owner's server are gone", func() bool {
				left, err := filepath.Glob(filepath.Join(dir, "kept-pg-*"))
				return err == nil && len(left) == 0
			})
		})
	}
}

// killOwner starts a process that starts a server in dir and kills it when the
// server is ready, or as soon as it has begun to write its data.
func killOwner(t *testing.T, dir string, ready bool) {
	t.Helper()
	owner := exec.Command(os.Args[0], "-test.run=^TestOwner$")
	owner.Env = append(os.Environ(), "KEPT_PGTEST_OWNER=1", "TMPDIR="+dir, pgtest.Env+"=")
	out, err := owner.StdoutPipe()
	external.Check(t, err)
	external.Check(t, owner.Start())
	defer func() {
		external.Check(t, owner.Process.Kill())
		_ = owner.Wait()
	}()
	if ready {
		if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
			t.Fatalf("owner said %q, %v", line, err)
		}
	}
	eventually(t, "the server has data", func() bool {
		data, err := filepath.Glob(filepath.Join(dir, "kept-pg-*", "data"))
		return err == nil && len(data) == 1
	})
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	deadline := time.After(time.Minute)
	for tick := time.Tick(10 * time.Millisecond); !is(); {
		select {
		case <-tick:
		case <-deadline:
			t.Fatalf("never so: %s", what)
		}
	}
}

// TestOwner is the process that killOwner kills. It passes at once in an
// ordinary run.
func TestOwner(t *testing.T) {
	if os.Getenv("KEPT_PGTEST_OWNER") == "" {
		t.Parallel()
		return
	}
	_, err := pgtest.Start(t.Context())
	external.Check(t, err)
	_, _ = os.Stdout.WriteString("ready\n")
	select {}
}

func TestMissingServerIsSaidSo(t *testing.T) {
	t.Parallel()
	err := external.Missing("PostgreSQL 15", "apt-get install postgresql")
	if !errors.Is(err, external.ErrMissing) {
		t.Errorf("%v is not ErrMissing", err)
	}
	if want := "PostgreSQL 15 is not installed: apt-get install postgresql"; err.Error() != want {
		t.Errorf("error = %q, want %q", err, want)
	}
}
