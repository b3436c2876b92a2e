package alert

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/core/query"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/bus"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/db/dbtest"
	"github.com/kept-dev/kept/internal/platform/series"
)

const (
	childEnv  = "KEPT_ALERT_CHILD" // the folder that the child works in
	childName = "KEPT_ALERT_NAME"  // tells several children in one folder apart
)

// childInterval is how often the child evaluates.
const childInterval = time.Second

// TestMain is the child of TestKill when that asks for it.
func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		if err := child(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// child is a server that watches one value: 9 while there is no file "low", else 1. It lives until it is killed.
func child(dir string) error {
	ctx := context.Background()
	cfg := db.Config{Path: filepath.Join(dir, "control.db")}
	if url, err := os.ReadFile(filepath.Join(dir, "url")); err == nil {
		cfg = db.Config{URL: string(url)}
	}
	d, err := db.Open(ctx, cfg)
	if err != nil {
		return err
	}
	ws, err := os.ReadFile(filepath.Join(dir, "workspace"))
	if err != nil {
		return err
	}
	store, err := series.OpenTSDB(series.Config{Dir: filepath.Join(dir, "series"+os.Getenv(childName))})
	if err != nil {
		return err
	}
	q, err := query.New(query.Deps{Store: store, Clock: kernel.SystemClock, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	target, err := os.ReadFile(filepath.Join(dir, "hook"))
	if err != nil {
		return err
	}
	keys, err := openKeys(d)
	if err != nil {
		return err
	}
	m, err := New(Deps{DB: d, Keys: keys, Bus: bus.NewMemory(), Store: store, Query: q, Channels: hook{string(target)}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	m.lookEvery, m.leaseFor = childInterval/4, 4*childInterval
	w := &world{ws: kernel.WorkspaceID(ws), store: store}
	put := func() error {
		value := 9.0
		if _, err := os.Stat(filepath.Join(dir, "low")); err == nil {
			value = 1
		}
		return w.append(time.Now(), value, "__name__", "load", "instance", "a")
	}
	if err := m.Start(ctx); err != nil {
		return err
	}
	for tick := time.NewTicker(childInterval / 4); ; <-tick.C {
		if err := put(); err != nil {
			return err
		}
		if e := m.engineOf(w.ws); e == nil {
			fmt.Println("idle", time.Now().UnixNano())
		} else {
			for _, g := range e.mgr.RuleGroups() {
				if r := g.AlertingRules(); len(r) > 0 && r[0].Restored() {
					fmt.Println("evaluated", g.GetLastEvalTimestamp().UnixNano())
				}
			}
		}
	}
}

func openStore(t *testing.T, dir string) *series.TSDB {
	t.Helper()
	s, err := series.OpenTSDB(series.Config{Dir: filepath.Join(dir, "series")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// killable is a child that runs.
type killable struct {
	t     *testing.T
	cmd   *exec.Cmd
	lines chan string
}

func startChild(t *testing.T, dir string) *killable { return startNamed(t, dir, "") }

func startNamed(t *testing.T, dir, name string) *killable {
	t.Helper()
	k := &killable{t: t, cmd: exec.Command(os.Args[0]), lines: make(chan string, 10000)}
	k.cmd.Env = append(os.Environ(), childEnv+"="+dir, childName+"="+name)
	k.cmd.Stderr = t.Output()
	out, err := k.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := k.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(k.lines)
		var text strings.Builder
		buf := make([]byte, 4096)
		for {
			n, err := out.Read(buf)
			text.Write(buf[:n])
			for {
				line, rest, ok := strings.Cut(text.String(), "\n")
				if !ok {
					break
				}
				k.lines <- line
				text.Reset()
				text.WriteString(rest)
			}
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(k.kill)
	return k
}

// kill ends the child as a power cut would.
func (k *killable) kill() {
	if k.cmd.ProcessState == nil {
		_ = k.cmd.Process.Kill()
		_ = k.cmd.Wait()
	}
}

func (k *killable) signal(s syscall.Signal) {
	k.t.Helper()
	if err := k.cmd.Process.Signal(s); err != nil {
		k.t.Fatal(err)
	}
}

// forget drops the lines that came until now.
func (k *killable) forget() {
	for {
		select {
		case <-k.lines:
		default:
			return
		}
	}
}

// next waits for a line that begins with a word and gives the time on it.
func (k *killable) next(word string) time.Time {
	k.t.Helper()
	timeout := time.After(time.Minute)
	for {
		select {
		case line, ok := <-k.lines:
			if !ok {
				k.t.Fatal("the child ended")
			}
			var ns int64
			if _, err := fmt.Sscanf(line, word+" %d", &ns); err == nil {
				return time.Unix(0, ns)
			}
		case <-timeout:
			k.t.Fatalf("no %q within a minute", word)
		}
	}
}

// evaluations waits for so many different rounds.
func (k *killable) evaluations(n int) {
	k.t.Helper()
	seen := map[time.Time]bool{}
	for len(seen) < n {
		seen[k.next("evaluated")] = true
	}
}

// prepare makes a database with one rule for children to watch, and tells them where to post.
func prepare(t *testing.T, dir string, cfg db.Config, hookURL string) {
	t.Helper()
	d, err := db.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Migrate(t.Context(), schema()...); err != nil {
		t.Fatal(err)
	}
	ws := newWorkspace(t, d)
	q, err := query.New(query.Deps{Store: openStore(t, filepath.Join(dir, "unused")), Clock: kernel.SystemClock, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	m, err := New(Deps{DB: d, Keys: testKeys(t, d), Query: q, Channels: hook{}})
	if err != nil {
		t.Fatal(err)
	}
	rule := high
	rule.Group, rule.Enabled = "tests", true
	if _, err := m.SaveRule(t.Context(), ws, rule, 0, 0); err != nil {
		t.Fatal(err)
	}
	if err := d.Tx(t.Context(), func(tx *db.Tx) error { return m.setInterval(t.Context(), tx, ws, "tests", childInterval) }); err != nil {
		t.Fatal(err)
	}
	routing := defaultRouting()
	routing.Default.Interval = modelDuration(2 * time.Second) // shorter than people may choose
	if err := d.Tx(t.Context(), func(tx *db.Tx) error {
		_, err := tx.Exec(t.Context(), `UPDATE alert_workspaces SET routing = $2 WHERE workspace_id = $1`, string(ws), encode(routing))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"workspace": string(ws), "hook": hookURL, "url": cfg.URL} {
		if text == "" {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestKill kills a server while an alert fires, with kill -9, before and after its message was delivered to a real HTTP
// receiver. Nothing is lost, and nothing is told twice.
func TestKill(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := newReceiver(t)
	prepare(t, dir, db.Config{Path: filepath.Join(dir, "control.db")}, r.URL)

	// Killed before anybody took the message: it comes after the restart.
	r.setFail(true)
	k := startChild(t, dir)
	r.wait(t)
	k.kill()
	r.setFail(false)
	k = startChild(t, dir)
	r.wait(t)
	got := r.all()
	if len(got) != 1 || len(got[0].Firing) != 1 {
		t.Fatalf("after the first kill: %+v", got)
	}

	// Killed after it was delivered: it does not come again, however often the rule is evaluated.
	k.evaluations(2)
	k.kill()
	k = startChild(t, dir)
	k.evaluations(4)
	if got = r.all(); len(got) != 1 {
		t.Fatalf("told again after the second kill: %+v", got)
	}

	// Killed, over when it comes back: that is told once.
	k.kill()
	if err := os.WriteFile(filepath.Join(dir, "low"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	k = startChild(t, dir)
	r.wait(t)
	k.evaluations(3)
	if got = r.all(); len(got) != 2 || len(got[1].Resolved) != 1 || len(got[1].Firing) != 0 {
		t.Fatalf("after the third kill: %+v", got)
	}
}

// TestTakeOver runs two servers on one PostgreSQL. When the one that evaluates is killed, or stands still for longer than its
// lease, the other one takes over: what was not told yet is told, once, and what was told is not told again. The one that
// stood still finds out before it says anything.
func TestTakeOver(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := newReceiver(t)
	prepare(t, dir, dbtest.Postgres(t), r.URL)

	r.setFail(true)
	a := startNamed(t, dir, "a")
	r.wait(t) // it tried, and nobody took the message
	b := startNamed(t, dir, "b")
	b.next("idle") // the lease is the other's
	a.kill()
	r.setFail(false)
	r.until(t, 1)
	b.evaluations(2)
	if got := r.all(); len(got) != 1 || len(got[0].Firing) != 1 {
		t.Fatalf("after the first one was killed: %+v", got)
	}

	c := startNamed(t, dir, "c")
	c.next("idle")
	b.signal(syscall.SIGSTOP)
	c.evaluations(3)
	if got := r.all(); len(got) != 1 {
		t.Fatalf("told again by the one that took over: %+v", got)
	}
	if err := os.WriteFile(filepath.Join(dir, "low"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	b.forget()
	b.signal(syscall.SIGCONT)
	b.next("idle")
	r.until(t, 2)
	c.evaluations(4)
	if got := r.all(); len(got) != 2 || len(got[1].Resolved) != 1 || len(got[1].Firing) != 0 {
		t.Fatalf("after the second one stood still: %+v", got)
	}
}

// TestSampleToMessage measures the way from a sample to the message with a real HTTP receiver, in a server that runs.
func TestSampleToMessage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := newReceiver(t)
	d := dbtest.Open(t, db.Config{Path: filepath.Join(dir, "control.db")}, schema()...)
	ws := newWorkspace(t, d)
	store := openStore(t, dir)
	q, err := query.New(query.Deps{Store: store, Clock: kernel.SystemClock, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	m, err := New(Deps{DB: d, Keys: testKeys(t, d), Bus: bus.NewMemory(), Store: store, Query: q, Channels: hook{r.URL}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	rule := high
	rule.Group, rule.Enabled = "tests", true
	if _, err := m.SaveRule(t.Context(), ws, rule, 0, 0); err != nil {
		t.Fatal(err)
	}
	if err := d.Tx(t.Context(), func(tx *db.Tx) error { return m.setInterval(t.Context(), tx, ws, "tests", childInterval) }); err != nil {
		t.Fatal(err)
	}
	if err := m.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Stop(context.Background()) })
	w := &world{t: t, ws: ws, store: store}
	w.put(1, "__name__", "load", "instance", "a")
	deadline := time.Now().Add(time.Minute)
	for e := m.engineOf(ws); e == nil || e.mgr.RuleGroups()[0].GetLastEvaluation().IsZero(); e = m.engineOf(ws) {
		if time.Now().After(deadline) {
			t.Fatal("the rule is not evaluated")
		}
		<-time.After(10 * time.Millisecond)
	}
	sample := time.Now()
	w.put(9, "__name__", "load", "instance", "a")
	r.wait(t)
	took := r.all()[0].At.Sub(sample)
	// Not held to a limit here, where the machine is busy with other tests. In virtual time TestLife and TestFallback are.
	t.Logf("from the sample to the message: %v, at an interval of %v", took, childInterval)
}
