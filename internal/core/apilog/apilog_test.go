package apilog_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/core/access"
	"github.com/kept-dev/kept/internal/core/access/accesstest"
	"github.com/kept-dev/kept/internal/core/apilog"
	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/core/workspace"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/db/dbtest"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/httpx/accesslog"
	"github.com/kept-dev/kept/internal/ui"
	"github.com/kept-dev/kept/internal/ui/uitest"
)

const owner, stranger = "ann@example.org", "eve@example.org"

// world is the core with a request log, the page over it, and an API to be used.
type world struct {
	*accesstest.Stack
	log *accesslog.Log
}

func newWorld(t *testing.T, s *accesstest.Stack) world {
	t.Helper()
	if err := s.DB.Migrate(t.Context(), db.Module{Name: "accesslog", Migrations: accesslog.Migrations()}); err != nil {
		t.Fatal(err)
	}
	w := world{s, accesslog.New(s.DB, slog.New(slog.DiscardHandler))}
	if err := w.log.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.log.Stop(context.Background()) })
	w.Stack.Mux = w.mux(t)
	return w
}

// mux is the stack's routes behind an edge that keeps the log, with the page, and with an API: one route to read, and one
// to report, whose handler finds out by itself who asks.
func (w world) mux(t *testing.T) *httpx.Mux {
	t.Helper()
	u, err := ui.New(ui.Config{Apps: []ui.App{{Key: "settings", Label: "Settings"}}, Frame: func(*http.Request) ui.Frame { return ui.Frame{} }})
	if err != nil {
		t.Fatal(err)
	}
	m, err := apilog.New(apilog.Deps{Log: w.log, Access: w.Access, Workspaces: w.Workspaces, UI: u, Days: 90, Clock: w.Clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	mux, err := httpx.NewMux(httpx.Config{Auth: w.Access, Allows: workspace.Allows, AccessLog: w.log, Clock: w.Clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	op := &httpx.Operation{Summary: "x", Responses: map[int]any{200: nil}}
	ok := func(out http.ResponseWriter, _ *http.Request) error { out.WriteHeader(http.StatusOK); return nil }
	report := func(out http.ResponseWriter, r *http.Request) error {
		actor, err := w.Access.Bearer(r)
		if err != nil {
			return err
		}
		httpx.Identify(r.Context(), actor)
		return ok(out, r)
	}
	routes := append(append(w.Stack.Mux.Table(), m.Routes()...),
		httpx.Route{Method: "GET", Path: "/api/v1/jobs/{id}", Handler: ok, Access: httpx.APIKey, Scope: access.ScopeRead, Needs: httpx.MayView, Rate: httpx.RatePage, API: op},
		httpx.Route{Method: "POST", Path: "/api/v1/events", Handler: report, Access: httpx.Handled, Rate: httpx.RateIngest, NoAudit: "x", API: op})
	if err := mux.Add(routes...); err != nil {
		t.Fatal(err)
	}
	return mux
}

// call uses the API.
func (w world) call(t *testing.T, method, path, token string) {
	t.Helper()
	w.Clock.Add(time.Second)
	r := httptest.NewRequest(method, path, nil)
	r.RemoteAddr = "192.0.2.50:4000"
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("User-Agent", "worker/1.0")
	w.Mux.ServeHTTP(httptest.NewRecorder(), r)
}

func (w world) flush(t *testing.T) {
	t.Helper()
	if err := w.log.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func (w world) token(t *testing.T, account kernel.AccountID, ws kernel.WorkspaceID) string {
	t.Helper()
	_, text, err := w.Access.CreateToken(t.Context(), httpx.Actor{AccountID: account, Email: owner},
		access.NewToken{Name: "report script", WorkspaceID: ws, Scopes: []string{access.ScopeRead}, Lives: 24 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestAPILogShowsOneWorkspaceOnly: keys and tokens by name, reading and reporting, what was refused; nothing of another
// workspace, nothing of people's pages, no secret; and only for who may audit.
func TestAPILogShowsOneWorkspaceOnly(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		ann, ws, key := s.Owner(t, owner, "W")
		eve, foreign, foreignKey := s.Owner(t, stranger, "E")
		w := newWorld(t, s)
		b := w.Browser(t, "192.0.2.1").SignIn(owner)
		path := accesstest.Settings(ws) + "/api-log"
		b.Get(path).Is(200, "Nobody has used the API yet")
		token := w.token(t, ann, ws)
		w.call(t, "GET", "/api/v1/jobs/one?token="+token, key)
		w.call(t, "GET", "/api/v1/jobs/two", token)
		w.call(t, "POST", "/api/v1/events", key)
		w.call(t, "GET", "/api/v1/jobs/foreign", foreignKey)
		_, ingest, err := w.Access.CreateKey(t.Context(), audit.System, ws, access.NewKey{Name: "ingest only", Scopes: []string{"ingest"}})
		if err != nil {
			t.Fatal(err)
		}
		w.call(t, "GET", "/api/v1/jobs/refused", ingest)
		w.flush(t)

		a := b.Get(path).Is(200, "kept setup", "report script", owner, "ingest only", "/api/v1/jobs/one", "/api/v1/jobs/two", "/api/v1/events", "/api/v1/jobs/refused", "403", "192.0.2.50", "worker/1.0").
			Lacks("/api/v1/jobs/foreign", key, token, ingest, "GET "+path)
		if n := strings.Count(a.Body, "<tr>"); n != 5 { // head and four
			t.Errorf("%d rows", n)
		}
		b.Get(path+"?status=4").Is(200, "/api/v1/jobs/refused").Lacks("/api/v1/jobs/two<")
		b.Get(path+"?method=POST").Is(200, "POST /api/v1/events").Lacks("GET /api/v1")
		b.Get(path+"?path=jobs/t").Is(200, "GET /api/v1/jobs/two").Lacks("GET /api/v1/jobs/one")
		b.Get(path+"?ip=198.51.100.1").Is(200, "No request matches", "Clear filters")
		keys, err := w.Access.Keys(t.Context(), foreign)
		if err != nil {
			t.Fatal(err)
		}
		b.Get(path+"?caller="+string(keys[0].ID)).Is(200, "No request matches")
		for _, bad := range []string{"?status=x", "?status=9999", "?caller=x", "?method=BREW", "?from=yesterday", "?cursor=made-up"} {
			b.Get(path + bad).Is(400)
		}

		download := b.Get(path+".json").Is(200).Lacks("foreign", key, token)
		var doc struct {
			Format   string
			Requests []accesslog.Record
		}
		if err := json.Unmarshal([]byte(download.Body), &doc); err != nil || doc.Format != "kept api log v1" || len(doc.Requests) != 4 {
			t.Errorf("%v\n%s", err, download.Body)
		}
		for _, r := range doc.Requests {
			if r.WorkspaceID != string(ws) || r.KeyID == "" && r.TokenID == "" {
				t.Errorf("%+v", r)
			}
		}

		e := w.Browser(t, "192.0.2.2").SignIn(stranger)
		for _, p := range []string{path, path + ".json"} {
			e.Get(p).Is(404)
		}
		w.Join(t, ws, eve, workspace.RoleMember)
		s.Clock.Add(5 * time.Second)
		for _, p := range []string{path, path + ".json"} {
			e.Get(p).Is(403).Lacks("kept setup")
		}
	})
}

// TestAPILogPages: fifty at a time, the newest first.
func TestAPILogPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t, accesstest.New(t, dbtest.SQLite(t)))
	_, ws, key := w.Owner(t, owner, "W")
	for i := range 60 {
		w.call(t, "GET", fmt.Sprintf("/api/v1/jobs/n%03d", i), key)
	}
	w.flush(t)
	b := w.Browser(t, "192.0.2.1").SignIn(owner)
	a := b.Get(accesstest.Settings(ws)+"/api-log").Is(200, "/n059", "/n010", "Next page").Lacks("/n009")
	_, rest, _ := strings.Cut(a.Body, "cursor=")
	cursor, _, _ := strings.Cut(rest, `"`)
	b.Get(accesstest.Settings(ws)+"/api-log?cursor="+cursor).Is(200, "/n009", "/n000", "First page").Lacks("/n010")
}

// TestAPILogInABrowser: axe, narrow and wide, and the filters without a reload.
func TestAPILogInABrowser(t *testing.T) {
	t.Parallel()
	w := newWorld(t, accesstest.New(t, dbtest.SQLite(t)))
	ann, ws, key := w.Owner(t, owner, "W")
	token := w.token(t, ann, ws)
	w.call(t, "GET", "/api/v1/jobs/one", key)
	w.call(t, "POST", "/api/v1/events", key)
	w.call(t, "GET", "/api/v1/jobs/two", token)
	w.call(t, "GET", "/api/v1/nothing-here", token)
	w.flush(t)
	server := httptest.NewServer(w.Mux)
	t.Cleanup(server.Close)
	p := uitest.Start(t).Open(t, server.URL+"/sign-in")
	p.Fill(t, "#f-email", owner)
	p.Fill(t, "#f-password", accesstest.Password)
	p.Click(t, ".form-end button")
	p.Wait(t, `!location.pathname.startsWith("/sign-in")`)
	p.Go(t, server.URL+accesstest.Settings(ws)+"/api-log")
	p.Look(t, "api-log")
	p.Fill(t, "#api-log-path", "nothing of this")
	p.Wait(t, `document.querySelector(".empty")`)
	p.Axe(t)
}
