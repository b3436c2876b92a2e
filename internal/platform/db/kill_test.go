package db_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/db/dbtest"
)

const childEnv = "KEPT_DB_TEST_CHILD"

func TestMain(m *testing.M) {
	if mode := os.Getenv(childEnv); mode != "" {
		fmt.Fprintln(os.Stderr, childWrites(db.Config{URL: os.Getenv(childEnv + "_URL"), Path: os.Getenv(childEnv + "_PATH")}))
		os.Exit(1) // it only ends by being killed
	}
	os.Exit(m.Run())
}

// childWrites commits rows until it is killed and prints the id of each after its commit.
func childWrites(cfg db.Config) error {
	ctx := context.Background()
	d, err := db.Open(ctx, cfg)
	if err != nil {
		return err
	}
	var last int
	if err := d.QueryRow(ctx, `SELECT coalesce(max(id), 0) FROM things`).Scan(&last); err != nil {
		return err
	}
	for id := last + 1; ; id++ {
		err := d.Tx(ctx, func(tx *db.Tx) error {
			_, err := tx.Exec(ctx, `INSERT INTO things (id, name) VALUES ($1, $2)`, id, fmt.Sprint("row ", id))
			return err
		})
		if err != nil {
			return err
		}
		fmt.Println(id)
	}
}

func TestKillKeepsCommittedRows(t *testing.T) {
	t.Parallel()
	dbtest.EachConfig(t, func(t *testing.T, cfg db.Config) {
		d := dbtest.Open(t, cfg, things)
		acknowledged := 0
		for range 5 {
			acknowledged = max(acknowledged, runAndKill(t, cfg, 50))
		}
		var rows, most int
		if err := d.QueryRow(t.Context(), `SELECT count(*), max(id) FROM things`).Scan(&rows, &most); err != nil {
			t.Fatal(err)
		}
		if acknowledged == 0 || most < acknowledged || rows != most {
			t.Errorf("%d was acknowledged, the last row is %d and there are %d rows", acknowledged, most, rows)
		}
		if d.Dialect() == db.SQLite {
			var verdict string
			if err := d.QueryRow(t.Context(), `PRAGMA integrity_check`).Scan(&verdict); err != nil || verdict != "ok" {
				t.Errorf("integrity check: %s, %v", verdict, err)
			}
		}
	})
}

// runAndKill starts a child, kills it when it has acknowledged n rows, and returns the last one that it acknowledged.
func runAndKill(t *testing.T, cfg db.Config, n int) (last int) {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), childEnv+"=writes", childEnv+"_URL="+cfg.URL, childEnv+"_PATH="+cfg.Path)
	var stderr strings.Builder
	child.Stderr = &stderr
	stdout, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	for seen := 1; lines.Scan(); seen++ {
		if _, err := fmt.Sscan(lines.Text(), &last); err != nil {
			t.Errorf("the child printed %q", lines.Text())
		}
		if seen == n {
			child.Process.Kill()
		}
	}
	child.Wait()
	if stderr.Len() > 0 {
		t.Fatalf("the child failed: %s", stderr.String())
	}
	return last
}
