package jobs

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/core/workspace"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/bus"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/db/dbtest"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/seal"
	"github.com/kept-dev/kept/internal/ui"
)

// world is the app with its pages, a person who looks at them and a clock that stands still unless it is moved.
type world struct {
	*Module
	url string

	mu    sync.Mutex
	at    time.Time
	role  string
	audit []string
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.at
}

func (w *world) setNow(t time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at = t
}

// worldStart is when tests take place: a quarter past noon, so that nothing crosses midnight.
var worldStart = time.Date(2026, 3, 9, 12, 15, 0, 0, time.UTC)

func newWorld(t testing.TB) *world { return newWorldAt(t, worldStart) }

func newWorldAt(t testing.TB, now time.Time) *world {
	t.Helper()
	w := &world{at: now, role: "owner"}
	instance, _, err := seal.LoadInstanceKey(filepath.Join(t.TempDir(), "instance.key"), "")
	if err != nil {
		t.Fatal(err)
	}
	d := dbtest.Open(t, dbtest.SQLite(t))
	keys := seal.New(d, instance)
	var nav []ui.NavItem
	shell, err := ui.New(ui.Config{Apps: []ui.App{{Key: "jobs", Label: "Jobs", Order: 1}, {Key: "settings", Label: "Settings", Order: 9, Menu: true}},
		Frame: func(r *http.Request) ui.Frame {
			return ui.Frame{Nav: ui.ExpandNav(nav, string(testWS)), Viewer: &ui.Viewer{Email: "ada@example.com", Workspace: "Shop", WorkspaceHref: "/w/" + string(testWS)}}
		}})
	if err != nil {
		t.Fatal(err)
	}
	memory := bus.NewMemory()
	w.Module, err = New(Deps{DB: d, Keys: keys, Bus: memory, UI: shell, Clock: w.now, Logger: slog.New(slog.DiscardHandler),
		BaseURL: func() string { return "https://kept.example.com" },
		MaxAge:  func(context.Context, kernel.WorkspaceID) (time.Duration, error) { return 0, nil },
		KeyByToken: func(context.Context, string) (httpx.Actor, error) {
			return httpx.Actor{KeyID: "k", WorkspaceID: testWS, Scopes: []string{"ingest", "read"}}, nil
		},
		Audit: func(_ context.Context, action, target, detail string) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.audit = append(w.audit, action+" "+target+" "+detail)
			return nil
		}})
	if err != nil {
		t.Fatal(err)
	}
	nav = append(w.Nav(), ui.NavItem{App: "settings", Label: "API keys", Href: "/w/{ws}/settings/api-keys"})
	ctx := context.Background()
	if err := d.Migrate(ctx, db.Module{Name: "seal", Migrations: keys.Migrations()}, db.Module{Name: "jobs", Migrations: w.Migrations()}, db.Module{Name: "job_index", Migrations: w.IndexMigrations()}); err != nil {
		t.Fatal(err)
	}
	w.url = w.listen(t, shell)
	if err := w.Start(ctx); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Stop(context.Background()); memory.Close() })
	return w
}

func (w *world) listen(t testing.TB, shell *ui.UI) string {
	t.Helper()
	mux, err := httpx.NewMux(httpx.Config{Auth: person{w}, Allows: workspace.Allows, Logger: slog.New(slog.DiscardHandler), Limiter: httpx.NewLimiter(map[httpx.RateClass]httpx.Limit{}, nil),
		ErrorPage: func(rw http.ResponseWriter, r *http.Request, status int, e *kernel.Error, _ string) {
			if err := shell.Error(rw, r, ui.ErrorView{Status: status, Text: e.Safe}); err != nil {
				t.Error(err)
			}
		}})
	if err != nil {
		t.Fatal(err)
	}
	assets := shell.Assets()
	routes := append(w.Routes(), httpx.Route{Method: "GET", Path: ui.AssetPrefix + "{file...}", Access: httpx.Public, Rate: httpx.RateNone,
		Handler: func(rw http.ResponseWriter, r *http.Request) error { assets.ServeHTTP(rw, r); return nil }})
	if err := mux.Add(routes...); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(mux)
	t.Cleanup(func() { mux.CloseStreams(); server.CloseClientConnections(); server.Close() })
	return server.URL
}

// person is signed in, and a member of the test's workspace alone.
type person struct{ w *world }

func (person) Login(*http.Request) (httpx.Actor, error) {
	return httpx.Actor{AccountID: "01arz3ndektsv4rrffq69g5faa", Email: "ada@example.com"}, nil
}
func (person) Bearer(*http.Request) (httpx.Actor, error) { return httpx.Actor{}, nil }
func (p person) Membership(_ context.Context, a httpx.Actor, ws kernel.WorkspaceID) (httpx.Actor, error) {
	if ws != testWS {
		return a, kernel.Errorf(kernel.NotFound, "There is no such workspace.")
	}
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	a.WorkspaceID, a.Workspace, a.Role = ws, "Shop", p.w.role
	return a, nil
}

// base is the address of the list.
func (w *world) base() string { return w.url + "/w/" + string(testWS) + "/jobs" }

// event is an event as agents send it.
type event map[string]any

// report sends events and waits until they can be seen.
func (w *world) report(t testing.TB, events ...event) {
	t.Helper()
	for len(events) > 0 {
		n := min(len(events), 500)
		body, err := json.Marshal(map[string]any{"events": events[:n]})
		if err != nil {
			t.Fatal(err)
		}
		req, err := http.NewRequest("POST", w.url+"/api/v1/events", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer kept_test_key")
		req.Header.Set("User-Agent", "kept-go/0.1.0")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != 200 {
			t.Fatalf("ingest answered %s", res.Status)
		}
		events = events[n:]
	}
	if err := w.Index().CatchUp(t.Context(), testWS); err != nil {
		t.Fatal(err)
	}
}

// job tells a job's story.
type story struct {
	base   event
	at     time.Time
	events []event
}

func (w *world) job(queue, name, id string, ago time.Duration) *story {
	return &story{base: event{"queue": queue, "jobName": name, "jobId": id, "env": "production"}, at: w.now().Add(-ago)}
}

func (s *story) with(key string, value any) *story { s.base[key] = value; return s }

// then adds an event that happens some time after the one before.
func (s *story) then(after time.Duration, kind string, data any) *story {
	s.at = s.at.Add(after)
	e := event{"event": kind, "timestamp": float64(s.at.UnixMicro()) / 1000}
	for k, v := range s.base {
		e[k] = v
	}
	if data != nil {
		e["data"] = data
	}
	s.events = append(s.events, e)
	return s
}

// get reads a page.
func (w *world) get(t testing.TB, path string, header ...string) (status int, body string) {
	t.Helper()
	req, err := http.NewRequest("GET", w.url+"/w/"+string(testWS)+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	return w.do(t, req)
}

func (w *world) do(t testing.TB, req *http.Request) (status int, body string) {
	t.Helper()
	jar, _ := cookiejar.New(nil)
	res, err := (&http.Client{Jar: jar}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var buf bytes.Buffer
	if _, err := buf.ReadFrom(res.Body); err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, buf.String()
}

const smtpStack = `Error: connect ECONNREFUSED 10.0.4.17:25
    at TCPConnectWrap.afterConnect [as oncomplete] (node:net:1555:16)
    at SmtpTransport.send (/srv/app/src/mail/transport.ts:88:13)
    at sendReceipt (/srv/app/src/jobs/send-receipt.ts:31:5)
    at Worker.processJob (/srv/app/node_modules/bullmq/dist/cjs/classes/worker.js:518:28)
    at process.processTicksAndRejections (node:internal/process/task_queues:95:5)`

// day reports half a day of a shop: several queues, failures, retries, a flow, a stall, a deployment.
func (w *world) day(t testing.TB) {
	t.Helper()
	var events []event
	tell := func(s *story) { events = append(events, s.events...) }
	kinds := [][2]string{{"mail", "send-receipt"}, {"mail", "send-newsletter"}, {"media", "make-thumbnail"}, {"billing", "charge-card"}, {"imports", "import-customers"}, {"reports", "render-report"}}
	for i := range 260 {
		k := kinds[(i*7)%len(kinds)]
		s := w.job(k[0], k[1], fmt.Sprintf("%d", 48_000-i), time.Duration(i*i/9+i*13)*time.Second)
		if i%9 == 4 {
			s.with("env", "staging")
		}
		wait := time.Duration(i*37%900+3) * time.Millisecond
		took := time.Duration((i*131)%1900+40) * time.Millisecond
		s.then(0, "waiting", nil).then(wait, "active", event{"input": event{"order": 9007199254740993 + int64(i), "to": "taro.yamada@example.com"}})
		switch {
		case i%17 == 3:
			s.then(took, "failed", event{"failedReason": "card declined for order ORD-2026-00" + fmt.Sprint(i), "stack": "Error: card declined\n    at charge (/srv/app/src/billing.ts:12:9)"})
		case k[0] == "mail" && i%11 == 5:
			s.then(took, "failed", event{"failedReason": "connect ECONNREFUSED 10.0.4.17:25", "stack": smtpStack})
		default:
			s.then(took, "completed", event{"returnValue": event{"ok": true}})
		}
		tell(s)
	}
	tell(w.failing())
	tell(w.job("media", "transcode-video", "8e7c1f04-77d2-4c1b-9f0e-5f4f1f2a9b10", 95*time.Second).then(0, "waiting", nil).then(4*time.Second, "active", event{"input": event{"file": "売上報告.mp4"}}).
		then(30*time.Second, "progress", event{"progress": 40}))
	tell(w.job("reports", "nightly-report", "repeat:9f1:1772000000", 11*time.Minute).then(0, "waiting", nil).then(2*time.Second, "active", nil).then(29*time.Second, "waiting", nil).then(0, "stalled", nil))
	tell(w.job("mail", "send-newsletter", "nl-2026-03", 6*time.Minute).then(0, "delayed", event{"delay": w.now().Add(20 * time.Minute).UnixMilli()}))
	for i := range 4 {
		tell(w.job("imports", "import-customers", fmt.Sprintf("imp-%d", i), time.Duration(4+i)*time.Minute).then(0, "waiting", nil))
	}
	parent := w.job("orders", "place-order", "ORD-2026-00041", 3*time.Minute).with("traceId", "4bf92f3577b34da6a3ce929d0e0e4736")
	tell(parent.then(0, "waiting", nil).then(12*time.Millisecond, "active", event{"input": event{"order": "ORD-2026-00041"}}).then(80*time.Millisecond, "completed", event{"returnValue": event{"total_cents": 25180}}))
	for i, name := range []string{"reserve-stock", "charge-card", "send-receipt"} {
		tell(w.job([]string{"orders", "billing", "mail"}[i], name, fmt.Sprintf("ORD-2026-00041:%d", i), 3*time.Minute-time.Second).with("traceId", "4bf92f3577b34da6a3ce929d0e0e4736").
			with("parentJobId", "ORD-2026-00041").with("parentQueue", "orders").then(0, "waiting", nil).then(time.Duration(9+i*40)*time.Millisecond, "active", nil).then(time.Duration(60+i*150)*time.Millisecond, "completed", nil))
	}
	events = append(events, event{"jobId": "deploy-0b1c", "jobName": "deployment", "queue": "__system", "event": "deployment", "env": "production",
		"timestamp": float64(w.now().Add(-25 * time.Minute).UnixMilli()), "data": event{"version": "1.4.2", "commitHash": "0b1c9d2", "description": "New mail transport"}})
	w.reportAsItHappens(t, events)
}

// reportAsItHappens sends each event a moment after it happened.
func (w *world) reportAsItHappens(t testing.TB, events []event) {
	t.Helper()
	end := w.now()
	at := func(e event) int64 { return int64(e["timestamp"].(float64)) }
	slices.SortStableFunc(events, func(a, b event) int { return int(at(a) - at(b)) })
	for len(events) > 0 {
		n := 1
		for n < len(events) && at(events[n])-at(events[0]) < 20_000 {
			n++
		}
		w.setNow(time.UnixMilli(at(events[n-1])).Add(time.Second))
		w.report(t, events[:n]...)
		events = events[n:]
	}
	w.setNow(end)
}

// failing is a job that fails three times, with all that can be told of it.
func (w *world) failing() *story {
	fail := func(n int, more string) event {
		return event{"failedReason": more + "connect ECONNREFUSED 10.0.4.17:25", "stack": smtpStack, "attemptsMade": n}
	}
	input := event{"order": json.Number("90071992547409931234"), "customer": event{"id": json.Number("9007199254740993"), "name": "山田 太郎", "vip": true, "referrer": nil},
		"items": []event{{"sku": "MUG-BLUE", "quantity": 2, "price": json.Number("19.90")}, {"sku": "PEN-BRUSH", "title": "筆ペン (brush pen)", "quantity": 1, "price": json.Number("6.40")}}, "token": "tok_very_secret"}
	return w.job("mail", "send-receipt", "01HV7Q2M9Z3K", 9*time.Minute).with("traceId", "a3ce929d0e0e47364bf92f3577b34da6").with("parentJobId", "ORD-2026-00040").with("parentQueue", "orders").
		then(0, "waiting", nil).then(4200*time.Millisecond, "active", event{"input": input}).
		then(300*time.Millisecond, "progress", event{"log": event{"message": "rendering template order-confirmation", "meta": event{"locale": "ja-JP", "template": "order-confirmation"}}}).
		then(900*time.Millisecond, "failed", fail(1, "[retrying] ")).
		then(30*time.Second, "active", event{"input": input}).
		then(400*time.Millisecond, "progress", event{"log": event{"message": "using the fallback relay mx2.example.com"}}).
		then(29*time.Second, "failed", fail(2, "[retrying] ")).
		then(60*time.Second, "active", event{"input": input}).
		then(1240*time.Millisecond, "failed", fail(3, ""))
}
