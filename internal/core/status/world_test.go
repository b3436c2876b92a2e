package status

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/core/access/accesstest"
	"github.com/kept-dev/kept/internal/core/alert"
	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/core/identity"
	"github.com/kept-dev/kept/internal/core/mail"
	"github.com/kept-dev/kept/internal/core/notify"
	"github.com/kept-dev/kept/internal/core/workspace"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/db/dbtest"
	"github.com/kept-dev/kept/internal/platform/egress"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/queue"
	"github.com/kept-dev/kept/internal/platform/seal"
	"github.com/kept-dev/kept/internal/ui"
)

const owner = "ann@example.org"

// world is a workspace with a status page, the mail that it sends, and a webhook that listens.
type world struct {
	*accesstest.Stack
	*Module
	ws      kernel.WorkspaceID
	account kernel.AccountID
	keys    *seal.Keys
	queue   *queue.Queue
	mail    *mail.Module
	box     *mail.Mailbox
	hook    *listener
	alerts  fakeAlerts
}

// fakeAlerts are alerts by id.
type fakeAlerts map[kernel.ID]alert.Alert

func (f fakeAlerts) FindAlert(_ context.Context, _ kernel.WorkspaceID, id kernel.ID) (alert.Alert, error) {
	a, ok := f[id]
	if !ok {
		return a, kernel.Errorf(kernel.NotFound, "There is no such alert.")
	}
	return a, nil
}

// posted is a request that the webhook got.
type posted struct {
	path   string
	header http.Header
	body   []byte
}

// listener is where webhooks of the host hooks.example lead to: it answers what a test says and remembers what it got.
type listener struct {
	server *httptest.Server
	out    *notify.Module

	mu     sync.Mutex
	answer int
	got    []posted
}

func newListener(t testing.TB, out *notify.Module) *listener {
	l := &listener{out: out, answer: http.StatusNoContent}
	l.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		l.mu.Lock()
		defer l.mu.Unlock()
		l.got = append(l.got, posted{r.URL.Path, r.Header, body})
		w.WriteHeader(l.answer)
	}))
	t.Cleanup(l.server.Close)
	return l
}

func (l *listener) NewHook(field, address string) (notify.Hook, error) {
	return l.out.NewHook(field, address)
}

// SendHook is the real thing, to where the listener is.
func (l *listener) SendHook(ctx context.Context, h notify.Hook, delivery string, message any) error {
	h.URL = strings.Replace(h.URL, "https://hooks.example", l.server.URL, 1)
	return l.out.SendHook(ctx, h, delivery, message)
}

func (l *listener) answers(status int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answer = status
}

// take gives what was posted since the last call.
func (l *listener) take() []posted {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := l.got
	l.got = nil
	return out
}

func each(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	dbtest.EachConfig(t, func(t *testing.T, cfg db.Config) { f(t, newWorld(t, cfg)) })
}

func newWorld(t testing.TB, cfg db.Config) *world {
	t.Helper()
	w := &world{Stack: accesstest.New(t, cfg), alerts: fakeAlerts{}}
	key, err := seal.NewInstanceKey()
	must(t, err)
	w.keys = seal.New(w.DB, key)
	must(t, w.DB.Migrate(t.Context(), db.Module{Name: "seal", Migrations: w.keys.Migrations()}, db.Module{Name: "status", Migrations: Migrations()},
		db.Module{Name: "queue", Migrations: (&queue.Queue{}).Migrations()}))
	w.account, w.ws, _ = w.Owner(t, owner, "Acme")
	w.box = mail.NewMailbox(w.Clock.Now)
	types := append(append(identity.MailTypes(), workspace.MailTypes()...), MailTypes()...)
	w.mail, err = mail.New(mail.Deps{DB: w.DB, Seal: w.keys.Instance(), Sender: w.box, Types: types, From: "kept@kept.example", BaseURL: accesstest.BaseURL, Clock: w.Clock.Now})
	must(t, err)
	out, err := notify.New(notify.Deps{DB: w.DB, Keys: w.keys, Out: egress.New(egress.Config{AllowPrivate: true}), Clock: w.Clock.Now, Logger: slog.New(slog.DiscardHandler)})
	must(t, err)
	w.hook = newListener(t, out)
	w.boot(t, "")
	return w
}

// boot makes the module and its queue, as a process does that begins.
func (w *world) boot(t testing.TB, server kernel.WorkspaceID) {
	t.Helper()
	w.queue = queue.New(queue.Config{DB: w.DB, Clock: w.Clock.Now, Logger: slog.New(slog.DiscardHandler), Poll: 10 * time.Millisecond})
	u, err := ui.New(ui.Config{Apps: []ui.App{{Key: "alerts", Label: "Alerts", Icon: "bell"}}, Frame: w.frame})
	must(t, err)
	w.Module, err = New(Deps{DB: w.DB, UI: u, Keys: w.keys, Queue: w.queue, Mail: w.mail, Hooks: w.hook, Alerts: w.alerts, Server: server, Owners: w.Workspaces,
		BaseURL: func() string { return accesstest.BaseURL }, Clock: w.Clock.Now,
		Audit: func(ctx context.Context, action, target, detail string) error {
			return w.DB.Tx(ctx, func(tx *db.Tx) error {
				return audit.Record(ctx, tx, audit.Event{WorkspaceID: httpx.ActorOf(ctx).WorkspaceID, Action: action, Target: target, Detail: detail})
			})
		}})
	must(t, err)
	var mux *httpx.Mux
	mux, err = httpx.NewMux(httpx.Config{Auth: w.Access, Allows: workspace.Allows, Limiter: httpx.NewLimiter(nil, w.Clock.Now), Clock: w.Clock.Now})
	must(t, err)
	assets := httpx.Route{Method: "GET", Path: ui.AssetPrefix + "{file...}", Access: httpx.Public, Rate: httpx.RateNone, Handler: func(rw http.ResponseWriter, r *http.Request) error {
		u.Assets().ServeHTTP(rw, r)
		return nil
	}}
	for _, routes := range [][]httpx.Route{{assets}, w.Identity.Routes(), w.Proof.Routes(), w.Module.Routes()} {
		must(t, mux.Add(routes...))
	}
	w.Mux = mux
}

func (w *world) frame(r *http.Request) ui.Frame {
	a := w.Access.Around(r)
	if a.Anonymous() {
		return ui.Frame{}
	}
	banner, _ := w.Banner(r.Context(), a.AccountID)
	return ui.Frame{Nav: ui.ExpandNav(w.Module.Nav(), string(a.WorkspaceID)), Notice: banner, Viewer: &ui.Viewer{Email: a.Email, Workspace: a.Workspace}}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// work lets the queue run until nothing is due any more, and sends the mail.
func (w *world) work(t testing.TB) {
	t.Helper()
	w.start(t)
	for deadline := time.Now().Add(time.Minute); w.due(t) > 0; <-time.After(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the queue does not come to rest")
		}
	}
	if _, err := w.mail.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func (w *world) start(t testing.TB) {
	t.Helper()
	q := w.queue
	if q.Start(context.WithoutCancel(t.Context())) == nil {
		t.Cleanup(func() { must(t, q.Stop(context.Background())) })
	}
}

// due counts the jobs that run or should.
func (w *world) due(t testing.TB) (n int) {
	t.Helper()
	must(t, w.DB.QueryRow(t.Context(), `SELECT count(*) FROM queue_jobs WHERE state = 'live' AND (due_at <= $1 OR lease <> '')`, kernel.Micros(w.Clock.Now())).Scan(&n))
	return n
}

// turnOn makes the page public.
func (w *world) turnOn(t testing.TB, slug string) Page {
	t.Helper()
	p := Page{WorkspaceID: w.ws, Slug: slug, Title: "Acme <status>", About: "How our shop is.", Public: true}
	must(t, w.SavePage(t.Context(), p))
	return p
}

// incident publishes one.
func (w *world) incident(t testing.TB, title string, parts ...kernel.ID) Notice {
	t.Helper()
	n := First(Incident)
	n.Title, n.Impact, n.StartsAt, n.Components = title, "major", w.Clock.Now(), parts
	n, err := w.Publish(t.Context(), w.ws, n, title+": we look into it.")
	must(t, err)
	return n
}

func (w *world) part(t testing.TB, name string) kernel.ID {
	t.Helper()
	id, err := w.AddComponent(t.Context(), w.ws, name)
	must(t, err)
	return id
}

// pathOf is a link of ours without its host.
func pathOf(t testing.TB, link string) string {
	t.Helper()
	u, err := url.Parse(link)
	if err != nil || !strings.HasPrefix(link, accesstest.BaseURL+"/") {
		t.Fatalf("%q does not lead to us", link)
	}
	return u.RequestURI()
}
