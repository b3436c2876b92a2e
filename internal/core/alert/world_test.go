package alert

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	amalert "github.com/prometheus/alertmanager/alert"
	amnotify "github.com/prometheus/alertmanager/notify"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"

	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/core/identity"
	"github.com/kept-dev/kept/internal/core/notify"
	"github.com/kept-dev/kept/internal/core/query"
	"github.com/kept-dev/kept/internal/core/workspace"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/bus"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/db/dbtest"
	"github.com/kept-dev/kept/internal/platform/seal"
	"github.com/kept-dev/kept/internal/platform/series"
)

// message is what a channel was told.
type message struct {
	At       time.Time
	Channel  kernel.ID
	Group    string
	Firing   []string // alertname and instance
	Resolved []string
	Alerts   []*amalert.Alert
}

// fakeChannels takes messages, and fails where a test says so.
type fakeChannels struct {
	mu    sync.Mutex
	list  []notify.Channel
	sent  []message
	fails map[kernel.ID]error
	tried []kernel.ID

	forwarded []forwarding
}

func (f *fakeChannels) Channels(context.Context, kernel.WorkspaceID) ([]notify.Channel, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.list, nil
}

func (f *fakeChannels) Notifier(_ context.Context, _ kernel.WorkspaceID, id kernel.ID) (amnotify.Notifier, error) {
	return fakeNotifier{f, id}, nil
}

type fakeNotifier struct {
	f  *fakeChannels
	id kernel.ID
}

func (n fakeNotifier) Notify(ctx context.Context, alerts ...*amalert.Alert) (bool, error) {
	n.f.mu.Lock()
	defer n.f.mu.Unlock()
	n.f.tried = append(n.f.tried, n.id)
	if err := n.f.fails[n.id]; err != nil {
		return false, err
	}
	m := message{At: time.Now(), Channel: n.id, Alerts: alerts}
	m.Group, _ = amnotify.GroupKey(ctx)
	for _, a := range alerts {
		name := string(a.Labels["alertname"])
		if i := a.Labels["instance"]; i != "" {
			name += "/" + string(i)
		}
		if a.Resolved() {
			m.Resolved = append(m.Resolved, name)
		} else {
			m.Firing = append(m.Firing, name)
		}
	}
	n.f.sent = append(n.f.sent, m)
	return false, nil
}

// Forward takes what goes to Alertmanagers.
func (f *fakeChannels) Forward(_ context.Context, _ kernel.WorkspaceID, alerts []*amalert.Alert, news bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.forwarded = append(f.forwarded, forwarding{time.Now(), alerts, news})
	return nil
}

// forwarding is what Alertmanagers were told.
type forwarding struct {
	At     time.Time
	Alerts []*amalert.Alert
	News   bool
}

// take gives the messages since the last call.
func (f *fakeChannels) take() []message {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := f.sent
	f.sent = nil
	return out
}

// world is a module with a real store of series in a folder, and channels that remember. Its clock is that of the bubble
// that the test runs in.
type world struct {
	t     *testing.T
	dir   string
	ws    kernel.WorkspaceID
	db    *db.DB
	keys  *seal.Keys
	store *series.TSDB
	query *query.Module
	out   *fakeChannels
	m     *Module
}

func clock() time.Time { return time.Now().UTC() }

// schema is what the module's tables refer to, and they themselves.
func schema() []db.Module {
	return []db.Module{
		{Name: "audit", Migrations: audit.Migrations()},
		{Name: "identity", Migrations: identity.Migrations()},
		{Name: "workspace", Migrations: workspace.Migrations()},
		{Name: "seal", Migrations: (&seal.Keys{}).Migrations()},
		{Name: "alert", Migrations: Migrations()},
	}
}

// testKey is the instance key of tests, the same in every process of one.
const testKey = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

func openKeys(d *db.DB) (*seal.Keys, error) {
	key, err := seal.ParseInstanceKey(testKey)
	return seal.New(d, key), err
}

func testKeys(t testing.TB, d *db.DB) *seal.Keys {
	t.Helper()
	keys, err := openKeys(d)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// inBubble runs f in virtual time, which begins at midnight of 1 January 2000.
func inBubble(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, dir: dir, out: &fakeChannels{fails: map[kernel.ID]error{}}}
		w.db = dbtest.Open(t, db.Config{Path: filepath.Join(dir, "control.db"), Clock: clock}, schema()...)
		w.keys = testKeys(t, w.db)
		w.ws = newWorkspace(t, w.db)
		w.open()
		defer w.close()
		f(t, w)
	})
}

func newWorkspace(t testing.TB, d *db.DB) kernel.WorkspaceID {
	t.Helper()
	id := kernel.NewID(time.Now())
	if err := d.Tx(t.Context(), func(tx *db.Tx) error {
		_, err := tx.Exec(t.Context(), `INSERT INTO workspaces (id, name, created_at, updated_at) VALUES ($1, 'shop', $2, $2)`, string(id), kernel.Micros(tx.Now()))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return id
}

// open starts everything that dies with a process.
func (w *world) open() {
	w.t.Helper()
	var err error
	if w.store, err = series.OpenTSDB(series.Config{Dir: filepath.Join(w.dir, "series"), Clock: clock}); err != nil {
		w.t.Fatal(err)
	}
	if w.query, err = query.New(query.Deps{Store: w.store, Clock: clock, Logger: slog.New(slog.DiscardHandler)}); err != nil {
		w.t.Fatal(err)
	}
	w.m, err = New(Deps{DB: w.db, Keys: w.keys, Bus: bus.NewMemory(), Store: w.store, Query: w.query, Channels: w.out, Clock: clock,
		BaseURL: func() string { return "https://kept.example" }, Logger: slog.New(slog.NewTextHandler(w.t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) start() {
	w.t.Helper()
	if err := w.m.Start(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	synctest.Wait()
}

func (w *world) close() {
	if err := w.m.Stop(context.Background()); err != nil {
		w.t.Error(err)
	}
	if err := w.store.Close(); err != nil {
		w.t.Error(err)
	}
}

// restart is a process that ends and one that begins.
func (w *world) restart() {
	w.t.Helper()
	w.close()
	w.open()
	w.start()
}

// put writes one sample of now.
func (w *world) put(value float64, pairs ...string) {
	w.t.Helper()
	w.putAt(time.Now(), value, pairs...)
}

func (w *world) putAt(at time.Time, value float64, pairs ...string) {
	w.t.Helper()
	if err := w.append(at, value, pairs...); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) append(at time.Time, value float64, pairs ...string) error {
	app := w.store.For(w.ws).AppenderV2(context.Background())
	if _, err := app.Append(0, labels.FromStrings(pairs...), 0, at.UnixMilli(), value, nil, nil, storage.AOptions{}); err != nil {
		return err
	}
	return app.Commit()
}

// run lets time go by while a series has a value, written every 15 s.
func (w *world) run(d time.Duration, value float64, pairs ...string) {
	w.t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(15 * time.Second) {
		w.put(value, pairs...)
	}
	synctest.Wait()
}

func (w *world) rule(r Rule) Rule {
	w.t.Helper()
	r.Enabled = true
	if r.Group == "" {
		r.Group = "tests"
	}
	out, err := w.m.SaveRule(w.t.Context(), w.ws, r, 0, 0)
	if err != nil {
		w.t.Fatalf("%v: %v", err, kernel.AsError(err).Fields)
	}
	return out
}

func (w *world) alerts(states ...string) []Alert {
	w.t.Helper()
	out, err := w.m.Alerts(w.t.Context(), w.ws, Filter{States: states})
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

func states(list []Alert) string {
	text := ""
	for _, a := range list {
		text += fmt.Sprintf("%s=%s ", a.Name, a.State)
	}
	return text
}
