package jobs

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/bus"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/seal"
	"github.com/kept-dev/kept/internal/ui"
	"github.com/kept-dev/kept/wire/jobviz"
)

const (
	testWS  = kernel.WorkspaceID("01arz3ndektsv4rrffq69g5fav")
	testKey = "kept_test_key_1234567890"
)

// server is the app behind the real edge.
type server struct {
	*Module
	url string
	db  *db.DB
}

func serve(t testing.TB, d *db.DB) *server {
	t.Helper()
	ctx := context.Background()
	instance, _, err := seal.LoadInstanceKey(filepath.Join(t.TempDir(), "instance.key"), "")
	if err != nil {
		t.Fatal(err)
	}
	keys := seal.New(d, instance)
	shell, err := ui.New(ui.Config{})
	if err != nil {
		t.Fatal(err)
	}
	memory := bus.NewMemory()
	actor := httpx.Actor{KeyID: "k", WorkspaceID: testWS, Scopes: []string{"ingest", "read"}}
	m, err := New(Deps{DB: d, Keys: keys, Bus: memory, UI: shell, Clock: kernel.SystemClock, Logger: slog.New(slog.DiscardHandler),
		BaseURL: func() string { return "http://kept.test" },
		MaxAge:  func(context.Context, kernel.WorkspaceID) (time.Duration, error) { return 0, nil },
		KeyByToken: func(_ context.Context, token string) (httpx.Actor, error) {
			if token == testKey {
				return actor, nil
			}
			if token == "kept_read_only_key" {
				return httpx.Actor{KeyID: "r", WorkspaceID: testWS, Scopes: []string{"read"}}, nil
			}
			return httpx.Actor{}, kernel.Errorf(kernel.Unauthenticated, "This API key is wrong or was revoked.")
		}})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Migrate(ctx, db.Module{Name: "seal", Migrations: keys.Migrations()}, db.Module{Name: "jobs", Migrations: m.Migrations()}, db.Module{Name: "job_index", Migrations: m.IndexMigrations()}); err != nil {
		t.Fatal(err)
	}
	mux, err := httpx.NewMux(httpx.Config{Auth: keyAuth{m.d.KeyByToken}, Logger: slog.New(slog.DiscardHandler)})
	if err == nil {
		err = mux.Add(m.apiRoutes()...)
	}
	if err == nil {
		err = m.Start(ctx)
	}
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(mux)
	t.Cleanup(func() {
		web.Close()
		m.Stop(context.Background())
		memory.Close()
	})
	return &server{Module: m, url: web.URL, db: d}
}

type keyAuth struct {
	byToken func(context.Context, string) (httpx.Actor, error)
}

func (a keyAuth) Login(*http.Request) (httpx.Actor, error) { return httpx.Actor{}, nil }
func (a keyAuth) Bearer(r *http.Request) (httpx.Actor, error) {
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	if token == "" {
		return httpx.Actor{}, nil
	}
	return a.byToken(r.Context(), token)
}
func (a keyAuth) Membership(_ context.Context, actor httpx.Actor, _ kernel.WorkspaceID) (httpx.Actor, error) {
	return actor, kernel.Errorf(kernel.NotFound, "no")
}

// answer is what a client got.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (a answer) String() string { return fmt.Sprintf("%d %s", a.status, a.body) }

func (s *server) do(t testing.TB, method, path string, body []byte, headers ...string) answer {
	t.Helper()
	r, err := http.NewRequest(method, s.url+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+testKey)
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i+1] == "" {
			r.Header.Del(headers[i])
			continue
		}
		r.Header.Set(headers[i], headers[i+1])
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, b}
}

// post sends events and waits until they are visible.
func (s *server) post(t testing.TB, body string) jobviz.Response {
	t.Helper()
	a := s.do(t, "POST", "/api/v1/events", []byte(body))
	var out jobviz.Response
	if err := json.Unmarshal(a.body, &out); err != nil || a.status != 200 {
		t.Fatalf("%v", a)
	}
	if err := s.index.CatchUp(t.Context(), testWS); err != nil {
		t.Fatal(err)
	}
	return out
}

func (s *server) list(t testing.TB, query string) JobListJSON {
	t.Helper()
	a := s.do(t, "GET", "/api/v1/jobs?"+query, nil)
	var out JobListJSON
	if err := json.Unmarshal(a.body, &out); err != nil || a.status != 200 {
		t.Fatalf("%v", a)
	}
	return out
}

func (s *server) job(t testing.TB, path string) JobDetailJSON {
	t.Helper()
	a := s.do(t, "GET", "/api/v1/jobs/"+path, nil)
	var out JobDetailJSON
	if err := json.Unmarshal(a.body, &out); err != nil || a.status != 200 {
		t.Fatalf("%v", a)
	}
	return out
}

// state writes what lists and details say of all jobs, to compare.
func (s *server) state(t testing.TB) string {
	t.Helper()
	var lines []string
	for _, j := range s.list(t, "limit=500").Jobs {
		b, _ := json.Marshal(j)
		lines = append(lines, string(b))
	}
	return strings.Join(lines, "\n")
}
