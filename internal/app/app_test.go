package app_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/app"
	"github.com/kept-dev/kept/internal/core/access"
	"github.com/kept-dev/kept/internal/core/privacy"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/config"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/httpx/accesslog"
	"github.com/kept-dev/kept/internal/platform/httpx/respond"
	"github.com/kept-dev/kept/internal/testkit"
)

// probe is a module that notes what happens to it and has a route that waits.
type probe struct {
	mu      sync.Mutex
	events  []string
	entered chan struct{}
	release chan struct{}
	sick    error
}

func newProbe() *probe { return &probe{entered: make(chan struct{}), release: make(chan struct{})} }

func (p *probe) note(s string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.events = append(p.events, s)
}

func (p *probe) Name() string                { return "probe" }
func (p *probe) Start(context.Context) error { p.note("start"); return nil }
func (p *probe) Stop(context.Context) error  { p.note("stop"); return nil }
func (p *probe) Ready(context.Context) error { return p.sick }

func (p *probe) Routes() []httpx.Route {
	return []httpx.Route{
		{Method: "GET", Path: "/probe/slow", Access: httpx.Public, Rate: httpx.RatePage, Handler: p.slow},
		{Method: "GET", Path: "/probe/live", Access: httpx.Public, Rate: httpx.RateLive, Handler: p.live},
		{Method: "GET", Path: "/probe/magic/{token}", Access: httpx.Public, Rate: httpx.RateAuth, Secrets: []string{"token"}, Handler: p.slow},
	}
}

func (p *probe) slow(w http.ResponseWriter, _ *http.Request) error {
	close(p.entered) // one request only
	<-p.release
	p.note("answer")
	return respond.Text(w, http.StatusOK, "slow but sure")
}

func (p *probe) live(w http.ResponseWriter, r *http.Request) error {
	return httpx.Stream(w, r, func(send func(string, []byte) error) error {
		close(p.entered)
		<-r.Context().Done()
		p.note("stream ended")
		return nil
	})
}

// fetch asks in the background and tells status and body, or the error.
func fetch(url string) <-chan string {
	out := make(chan string, 1)
	go func() {
		res, err := http.Get(url)
		if err != nil {
			out <- err.Error()
			return
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			out <- err.Error()
			return
		}
		out <- fmt.Sprintf("%d %s", res.StatusCode, body)
	}()
	return out
}

// accepts tells whether a server takes connections.
func accepts(url string) bool {
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		return false
	}
	return conn.Close() == nil
}

func TestServesOnBothEngines(t *testing.T) {
	t.Parallel()
	testkit.EachApp(t, func(t *testing.T, a *testkit.App) {
		a.Get("/healthz").Want(200)
		a.Get("/readyz").Want(200).Has("ready")
		a.Get("/metrics").Want(200).Has("kept_build_info{", "go_goroutines ", "kept_access_log_dropped_total 0",
			`kept_queue_jobs{state="dead"} 0`,
			`kept_http_requests_total{class="none",method="GET",route="/healthz",status="2xx"} 1`)
		a.Get("/nowhere").Want(404).Has("There is nothing here", "<!doctype html>")
		a.JSON("GET", "/api/v1/nowhere", "", nil).Want(404).Has(`"code":"not_found"`)
		style := regexp.MustCompile(`/assets/[a-z]+\.[A-Z0-9]+\.css`).FindString(a.Get("/nowhere").Body)
		if got := a.Get(style).Want(200).Header.Get("Cache-Control"); !strings.Contains(got, "immutable") {
			t.Errorf("the style sheet's Cache-Control is %q", got)
		}
	})
}

func TestStartAndStopAreDefined(t *testing.T) {
	t.Parallel()
	p := newProbe()
	a := testkit.Start(t, testkit.With(app.WithModule(p)))
	if err := a.Start(t.Context()); err == nil {
		t.Error("started twice")
	}
	for range 2 {
		if err := a.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := fmt.Sprint(p.events); got != "[start stop]" {
		t.Errorf("the module saw %s", got)
	}
	never := testkit.New(t, testkit.With(app.WithModule(newProbe())))
	if err := never.Stop(t.Context()); err != nil {
		t.Errorf("stopping what was not started: %v", err)
	}
}

func TestDataDirectoryHasOneServer(t *testing.T) {
	t.Parallel()
	first := testkit.Start(t)
	quiet := app.WithLogger(slog.New(slog.DiscardHandler))
	_, err := app.New(t.Context(), first.Config, quiet)
	if err == nil || !strings.Contains(err.Error(), "another kept serve (process ") || !strings.Contains(err.Error(), first.Config.Data) {
		t.Errorf("a second server: %v", err)
	}
	beside, err := app.Open(t.Context(), first.Config, quiet)
	if err != nil {
		t.Fatalf("a command beside the server: %v", err)
	}
	if err := beside.Start(t.Context()); err == nil {
		t.Error("what was opened beside a server became one")
	}
	if err := beside.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	first.Get("/readyz").Want(200)
	if err := first.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	cfg := first.Config
	next, err := app.New(t.Context(), cfg, quiet)
	if err != nil {
		t.Fatalf("after the first has stopped: %v", err)
	}
	if err := next.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestErrorsBeforeStart(t *testing.T) {
	t.Parallel()
	taken := testkit.Start(t)
	for want, change := range map[string]func(*config.Config){
		"(there are: ":        func(c *config.Config) { c.Apps = []string{"mail"} },
		"choose another with": func(c *config.Config) { c.Addr = strings.TrimPrefix(taken.URL(), "http://") },
		"--log-level":         func(c *config.Config) { c.LogLevel = "loud" },
		"data directory":      func(c *config.Config) { c.Data = "/dev/null/kept" },
		"32 bytes in base64":  func(c *config.Config) { c.InstanceKey = "short" },
		"failed to connect":   func(c *config.Config) { c.Database = "postgres://127.0.0.1:1/x?connect_timeout=2" },
	} {
		cfg := config.Default()
		cfg.Data, cfg.Addr = t.TempDir(), "127.0.0.1:0"
		change(&cfg)
		if _, err := app.New(t.Context(), cfg, app.WithLogger(slog.New(slog.DiscardHandler))); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestReadinessNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	p := newProbe()
	a := testkit.Start(t, testkit.With(app.WithModule(p)))
	a.Get("/readyz").Want(200)
	p.sick = context.DeadlineExceeded
	a.Get("/readyz").Want(503).Has("not ready: probe").Lacks("deadline")
	if err := a.JobsDB().Close(); err != nil {
		t.Fatal(err)
	}
	if got := a.Get("/readyz").Want(503).Has("jobs database, probe").Header.Get("Retry-After"); got != "1" {
		t.Errorf("Retry-After: %q", got)
	}
	a.Get("/healthz").Want(200)
}

func TestStopAnswersWhatWasBegun(t *testing.T) {
	t.Parallel()
	p := newProbe()
	a := testkit.Start(t, testkit.With(app.WithModule(p)))
	answer := fetch(a.URL() + "/probe/slow")
	<-p.entered
	stopped := make(chan error)
	go func() { stopped <- a.Stop(context.Background()) }()
	for accepts(a.URL()) { // until the server has begun to drain
	}
	close(p.release)
	if got := <-answer; got != "200 slow but sure" {
		t.Errorf("the answer is %s", got)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if got := fmt.Sprint(p.events); got != "[start answer stop]" {
		t.Errorf("in the order %s: modules must outlive the requests", got)
	}
}

func TestStopEndsStreams(t *testing.T) {
	t.Parallel()
	p := newProbe()
	a := testkit.Start(t, testkit.With(app.WithModule(p)))
	answer := fetch(a.URL() + "/probe/live")
	<-p.entered
	if err := a.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if got := <-answer; got != "200 : open\n\n" {
		t.Errorf("the answer is %q", got)
	}
}

func TestStopCutsOffWhatTakesTooLong(t *testing.T) {
	t.Parallel()
	p := newProbe()
	defer close(p.release)
	a := testkit.Start(t, testkit.With(app.WithModule(p)), testkit.Config(func(c *config.Config) { c.ShutdownGrace = 10 * time.Millisecond }))
	answer := fetch(a.URL() + "/probe/slow")
	<-p.entered
	if err := a.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if got := <-answer; strings.HasPrefix(got, "200") {
		t.Errorf("the request was answered: %s", got)
	}
}

func TestRequestsAreLoggedWithoutSecrets(t *testing.T) {
	t.Parallel()
	testkit.Each(t, func(t *testing.T, engine testkit.Option) {
		p := newProbe()
		close(p.release)
		a := testkit.Start(t, engine, testkit.With(app.WithModule(p)))
		a.Get("/probe/magic/TOPSECRET?token=TOPSECRET&page=2").Want(200)
		a.Get("/nowhere/kept_TOPSECRETTOPSECRET").Want(404)
		if err := a.AccessLog().Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		var paths []string
		err := a.AccessLog().Export(t.Context(), "", func(v any) error {
			paths = append(paths, v.(accesslog.Record).Path)
			return nil
		})
		if err != nil || fmt.Sprint(paths) != "[/probe/magic/[redacted]?token=[redacted]&page=2 /nowhere/[redacted]]" {
			t.Errorf("logged %v, %v", paths, err)
		}
	})
}

// The data map must say what is stored, on both engines.
func TestDataMapMatchesTheSchema(t *testing.T) {
	t.Parallel()
	testkit.EachApp(t, func(t *testing.T, a *testkit.App) {
		m := privacy.NewMap(a.Collections())
		schema, err := privacy.CompareSchema(t.Context(), m, a.Databases())
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range append(m.Validate(a.Databases()), schema.Findings...) {
			t.Error(f)
		}
		for _, c := range m.Collections() {
			for _, ws := range []kernel.WorkspaceID{"", "01hv6e0000ws00000000000000"} {
				if err := answers(t, c, ws); err != nil {
					t.Errorf("%s of %q: %v", c.Name, ws, err)
				}
			}
		}
	})
}

// answers asks a collection everything that it can be asked about a workspace that has nothing.
func answers(t *testing.T, c privacy.Collection, ws kernel.WorkspaceID) (err error) {
	t.Helper()
	note := func(what string, one error) {
		if one != nil && kernel.CodeOf(one) != kernel.NotFound && !errors.Is(one, sql.ErrNoRows) {
			err = errors.Join(err, fmt.Errorf("%s: %w", what, one))
		}
	}
	if c.Count != nil {
		_, err := c.Count(t.Context(), ws)
		note("count", err)
	}
	if c.Oldest != nil {
		_, err := c.Oldest(t.Context(), ws)
		note("oldest", err)
	}
	if c.Sweep != nil {
		_, err := c.Sweep(t.Context(), ws, time.Unix(1, 0))
		note("sweep", err)
	}
	if ws == "" {
		return err
	}
	if c.Export != nil {
		note("export", c.Export(t.Context(), ws, func(any) error { return nil }))
	}
	if c.Erase != nil {
		_, err := c.Erase(t.Context(), ws)
		note("erase", err)
	}
	return err
}

func TestNoPromiseIsBroken(t *testing.T) {
	t.Parallel()
	testkit.Each(t, func(t *testing.T, engine testkit.Option) {
		a := testkit.Start(t, engine, testkit.RealPasswords())
		a.SignedUp(t).Get("/account").Want(200)
		report, err := app.Promises(t.Context(), a.Config, app.WithLogger(slog.New(slog.DiscardHandler)))
		if err != nil {
			t.Fatal(err)
		}
		if !report.OK() || report.Totals[privacy.Kept] == 0 {
			var b strings.Builder
			_ = report.WriteText(&b)
			t.Error(b.String())
		}
	})
}

func TestSetupBesideAServer(t *testing.T) {
	t.Parallel()
	testkit.EachApp(t, func(t *testing.T, a *testkit.App) {
		quiet := app.WithLogger(slog.New(slog.DiscardHandler))
		in := access.Setup{Email: "ada@example.com", Password: testkit.Password, Workspace: "Engines"}
		out, err := app.Setup(t.Context(), a.Config, in, quiet)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := app.Setup(t.Context(), a.Config, in, quiet); err != nil {
			t.Errorf("once more: %v", err)
		}
		home := "/w/" + out.WorkspaceID.String() + "/settings"
		a.Get(home).Want(303)
		a.SignIn(in.Email, in.Password)
		a.Get(home).Want(200).Has("Engines", "ada@example.com")
		in.Password = "another password 1"
		if _, err := app.Setup(t.Context(), a.Config, in, quiet); kernel.CodeOf(err) != kernel.Conflict {
			t.Errorf("another password: %v", err)
		}
	})
}

func TestRefusalsAreAudited(t *testing.T) {
	t.Parallel()
	testkit.EachApp(t, func(t *testing.T, a *testkit.App) {
		owner, other := a.SignedUp(t), a.SignedUp(t)
		err := a.Control().Tx(t.Context(), func(tx *db.Tx) error {
			_, err := tx.Exec(t.Context(), `INSERT INTO memberships (workspace_id, account_id, role, created_at) VALUES ($1, $2, 'viewer', 1)`,
				owner.WorkspaceID, other.AccountID)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		keys := "/w/" + owner.WorkspaceID.String() + "/settings/api-keys"
		a.PostForm(keys, nil).Want(303) // a stranger is asked to sign in
		other.PostForm(keys, nil).Want(403)
		var n int
		err = a.Control().QueryRow(t.Context(), `SELECT count(*) FROM audit_events WHERE action = 'api_key.create' AND result = 'denied'`).Scan(&n)
		if err != nil || n != 1 {
			t.Errorf("%d refusals in the audit log, %v", n, err)
		}
	})
}

func TestSignUpNeedsMail(t *testing.T) {
	t.Parallel()
	form := url.Values{"email": {"ada@example.com"}}
	a := testkit.Start(t, testkit.With(app.WithMailbox()))
	a.PostForm("/sign-up", form).Want(200)
	a.Get("/mailbox").Want(200)
	without := testkit.Start(t)
	without.Get("/mailbox").Want(404)
	if without.PostForm("/sign-up", form).Status < 400 || without.Mailbox() != nil {
		t.Error("one can sign up although no mail goes out")
	}
}

func TestAccessLogIsSweptByItsLimit(t *testing.T) {
	t.Parallel()
	testkit.EachApp(t, func(t *testing.T, a *testkit.App) {
		a.Get("/nowhere").Want(404)
		a.Clock.Advance(91 * 24 * time.Hour)
		a.Get("/nowhere").Want(404)
		if err := a.AccessLog().Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, c := range a.Collections() {
			if c.Name != "access_log" {
				continue
			}
			age, err := c.MaxAge(t.Context(), "")
			if err != nil || age != 90*24*time.Hour {
				t.Fatalf("the limit is %v, %v", age, err)
			}
			limit := a.Clock.Now().Add(-age)
			if _, err := c.Sweep(t.Context(), "", limit); err != nil { // unless the hourly sweep was faster
				t.Error(err)
			}
			if oldest, err := c.Oldest(t.Context(), ""); err != nil || oldest.Before(limit) {
				t.Errorf("the oldest row is of %v, %v", oldest, err)
			}
			return
		}
		t.Error("the access log is not declared")
	})
}

func TestOpenAPIDescribesTheRouteTable(t *testing.T) {
	t.Parallel()
	a := testkit.Start(t)
	var doc struct {
		OpenAPI string
		Paths   map[string]map[string]json.RawMessage
	}
	a.JSON("GET", "/api/v1/openapi.json", "", nil).Want(200).Decode(&doc)
	if doc.OpenAPI != "3.1.0" {
		t.Errorf("version %q", doc.OpenAPI)
	}
	described := 0
	for _, operations := range doc.Paths {
		described += len(operations)
	}
	rest := regexp.MustCompile(`\.\.\.\}|\{\$\}`)
	for _, r := range a.Mux().Table() {
		path := rest.ReplaceAllStringFunc(r.Path, func(s string) string { return strings.TrimLeft(strings.Trim(s, "."), "{$") })
		_, ok := doc.Paths[path][strings.ToLower(r.Method)]
		isAPI := strings.HasPrefix(r.Path, "/api/") || r.API != nil
		if isAPI != ok {
			t.Errorf("%s %s: belongs to the API %v, described %v", r.Method, r.Path, isAPI, ok)
		}
		if ok {
			described--
		}
	}
	if described != 0 {
		t.Errorf("%d operations are described that no route has", described)
	}
}

func TestURLs(t *testing.T) {
	t.Parallel()
	a := testkit.New(t, testkit.Config(func(c *config.Config) { c.BaseURL = "https://kept.example/" }))
	if !regexp.MustCompile(`^http://127\.0\.0\.1:[1-9][0-9]*$`).MatchString(a.URL()) || a.BaseURL() != "https://kept.example" {
		t.Errorf("URL %s, base %s", a.URL(), a.BaseURL())
	}
	all := testkit.New(t, testkit.Config(func(c *config.Config) { c.Addr = ":0" }))
	if !strings.HasPrefix(all.URL(), "http://localhost:") || all.BaseURL() != all.URL() {
		t.Errorf("on all addresses: %s", all.URL())
	}
}
