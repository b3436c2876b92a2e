package queue

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/db/dbtest"
)

const childEnv = "KEPT_QUEUE_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		cfg := db.Config{URL: os.Getenv(childEnv + "_URL"), Path: os.Getenv(childEnv + "_PATH")}
		fmt.Fprintln(os.Stderr, runChild(cfg, os.Getenv(childEnv+"_FILE")))
		os.Exit(1) // it only ends by being killed
	}
	os.Exit(m.Run())
}

// work is what both the children and the last, surviving queue do:
//   - "once" writes a row and inserts a "next" in the transaction that also ends the job;
//   - "next" writes a row in the same way;
//   - "append" writes a line to a file, which no transaction can take back.
type work struct {
	q                  *Queue
	once, next, append Kind[args]
}

var effects = db.Module{Name: "effects", Migrations: []db.Migration{{
	Name: "effects",
	SQL:  `CREATE TABLE effects (kind TEXT_C NOT NULL, n INTEGER NOT NULL) END_TABLE;`, // no key: a second one must show
}}}

func newWork(d *db.DB, file string, began func()) *work {
	w := &work{q: New(Config{DB: d, Logger: slog.New(slog.DiscardHandler), Lease: 600 * time.Millisecond, Poll: 50 * time.Millisecond})}
	w.next = Register(w.q, "next", func(ctx context.Context, a args) error {
		began()
		return d.Tx(ctx, func(tx *db.Tx) error { return effect(ctx, tx, "next", a.N) })
	}, Options{})
	w.once = Register(w.q, "once", func(ctx context.Context, a args) error {
		began()
		return d.Tx(ctx, func(tx *db.Tx) error {
			if err := effect(ctx, tx, "once", a.N); err != nil {
				return err
			}
			_, err := w.next.Insert(ctx, tx, a)
			return err
		})
	}, Options{})
	w.append = Register(w.q, "append", func(_ context.Context, a args) error {
		began()
		f, err := os.OpenFile(file, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(f, a.N)
		return errors.Join(err, f.Close())
	}, Options{})
	return w
}

func effect(ctx context.Context, tx *db.Tx, kind string, n int) error {
	if _, err := tx.Exec(ctx, `INSERT INTO effects (kind, n) VALUES ($1, $2)`, kind, n); err != nil {
		return err
	}
	return Complete(ctx, tx)
}

// runChild works and prints a line whenever a job begins.
func runChild(cfg db.Config, file string) error {
	ctx := context.Background()
	d, err := db.Open(ctx, cfg)
	if err != nil {
		return err
	}
	w := newWork(d, file, func() { fmt.Println("began") })
	if err := w.q.Start(ctx); err != nil {
		return err
	}
	select {}
}

// TestKill kills working processes again and again while jobs come in. Every job must have run, and what jobs commit
// together with their end must be there exactly once.
func TestKill(t *testing.T) {
	t.Parallel()
	dbtest.EachConfig(t, func(t *testing.T, cfg db.Config) {
		const kills, perKill = 15, 20 // of "once" and "append" each; every "once" makes a "next"
		d := dbtest.Open(t, cfg, effects)
		file := filepath.Join(t.TempDir(), "appended")
		w := newWork(d, file, func() {})
		if err := d.Migrate(t.Context(), db.Module{Name: "queue", Migrations: w.q.Migrations()}); err != nil {
			t.Fatal(err)
		}
		inserted := 0
		for range kills {
			insertBatch(t, d, w, inserted, perKill)
			inserted += perKill
			workAndDie(t, cfg, file, 1+rand.IntN(2*perKill), func() {
				insertBatch(t, d, w, inserted, perKill) // while the child works
				inserted += perKill
			})
		}
		if left := live(t, d); left == 0 {
			t.Error("the children left nothing to do: they were killed too late to show anything")
		}
		finishAll(t, d, w)
		checkEffects(t, d, "once", inserted)
		checkEffects(t, d, "next", inserted)
		checkAppended(t, file, inserted)
	})
}

func insertBatch(t *testing.T, d *db.DB, w *work, from, n int) {
	t.Helper()
	err := d.Tx(t.Context(), func(tx *db.Tx) error {
		for i := from; i < from+n; i++ {
			_, err := w.once.Insert(t.Context(), tx, args{i})
			_, err2 := w.append.Insert(t.Context(), tx, args{i})
			if err := errors.Join(err, err2); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// workAndDie runs a child until it has begun the given number of jobs.
func workAndDie(t *testing.T, cfg db.Config, file string, jobs int, meanwhile func()) {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), childEnv+"=1", childEnv+"_URL="+cfg.URL, childEnv+"_PATH="+cfg.Path, childEnv+"_FILE="+file)
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
		if seen == 1 {
			meanwhile()
		}
		if seen == jobs {
			child.Process.Kill()
		}
	}
	child.Wait()
	if stderr.Len() > 0 {
		t.Fatalf("the child failed: %s", stderr.String())
	}
}

func live(t *testing.T, d *db.DB) (n int) {
	t.Helper()
	if err := d.QueryRow(t.Context(), `SELECT count(*) FROM queue_jobs WHERE state = 'live'`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// finishAll works off what is left, without being killed.
func finishAll(t *testing.T, d *db.DB, w *work) {
	t.Helper()
	ended := make(chan struct{}, 1)
	w.q.finished = func(id kernel.ID) {
		select {
		case ended <- struct{}{}:
		default:
		}
	}
	if err := w.q.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for live(t, d) > 0 {
		select {
		case <-ended:
		case <-time.After(30 * time.Second):
			t.Fatalf("%d jobs are left and none runs", live(t, d))
		}
	}
	if err := w.q.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	var bad int
	if err := d.QueryRow(t.Context(), `SELECT count(*) FROM queue_jobs WHERE state <> 'done'`).Scan(&bad); err != nil || bad != 0 {
		t.Errorf("%d jobs did not end well, %v", bad, err)
	}
}

func checkEffects(t *testing.T, d *db.DB, kind string, want int) {
	t.Helper()
	var rows, distinct int
	err := d.QueryRow(t.Context(), `SELECT count(*), count(DISTINCT n) FROM effects WHERE kind = $1`, kind).Scan(&rows, &distinct)
	if err != nil || rows != want || distinct != want {
		t.Errorf("%s: %d effects of %d jobs, want one for each of %d (%v)", kind, rows, distinct, want, err)
	}
}

func checkAppended(t *testing.T, file string, want int) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for line := range strings.Lines(string(text)) {
		seen[strings.TrimSpace(line)]++
	}
	for i := range want {
		if seen[fmt.Sprint(i)] == 0 {
			t.Errorf("append %d never ran", i)
		}
	}
}
