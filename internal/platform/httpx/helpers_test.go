package httpx

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx/respond"
)

const (
	workspaceA = "01arz3ndektsv4rrffq69g5fav"
	workspaceB = "01arz3ndektsv4rrffq69g5fbb"
)

var start = time.UnixMilli(1_772_000_000_000)

// fakeAuth knows three people by cookie and two keys by bearer token.
type fakeAuth struct{}

func (fakeAuth) Login(r *http.Request) (Actor, error) {
	switch name := SessionToken(r); name {
	case "owner", "member", "stranger":
		return Actor{AccountID: kernel.AccountID(name)}, nil
	case "proved":
		return Actor{AccountID: "owner", ProvedAt: start.Add(-time.Second)}, nil
	}
	return Actor{}, nil
}

func (fakeAuth) Bearer(r *http.Request) (Actor, error) {
	switch r.Header.Get("Authorization") {
	case "":
		return Actor{}, nil
	case "Bearer reader":
		return Actor{KeyID: "reader", WorkspaceID: workspaceA, Scopes: []string{"read"}}, nil
	case "Bearer member", "Bearer stranger":
		name := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		return Actor{AccountID: kernel.AccountID(name), TokenID: "token", Scopes: []string{"read"}}, nil
	case "Bearer sender":
		return Actor{KeyID: "sender", WorkspaceID: workspaceA, Scopes: []string{"ingest"}}, nil
	}
	return Actor{}, kernel.Errorf(kernel.Unauthenticated, "The key is not valid.")
}

func (fakeAuth) Membership(_ context.Context, a Actor, ws kernel.WorkspaceID) (Actor, error) {
	if ws != workspaceA || a.AccountID == "stranger" {
		return Actor{}, kernel.Errorf(kernel.NotFound, "There is nothing at this address.")
	}
	a.WorkspaceID, a.Role = ws, string(a.AccountID)
	if a.Role == "member" {
		a.Apps = []string{"jobs"}
	}
	return a, nil
}

// memoryLog keeps entries; waiting for one is waiting for the request to be over.
type memoryLog struct{ entries chan Entry }

func (l *memoryLog) Write(e Entry) { l.entries <- e }

type fixture struct {
	*Mux
	log     *memoryLog
	output  *lockedBuffer
	audited []Outcome
	now     time.Time
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// setup makes a Mux with every power on and the given routes.
func setup(t testing.TB, change func(*Config), routes ...Route) *fixture {
	t.Helper()
	f := &fixture{
		log: &memoryLog{make(chan Entry, 1000)}, output: &lockedBuffer{}, now: start,
	}
	cfg := Config{
		Auth: fakeAuth{}, Allows: func(role string, p Permission) bool { return role == "owner" || p == MayView }, AccessLog: f.log, Logger: slog.New(slog.NewTextHandler(f.output, nil)),
		Clock: func() time.Time { return f.now },
		ErrorPage: func(w http.ResponseWriter, _ *http.Request, status int, e *kernel.Error, id string) {
			_ = respond.HTML(w, status, func(out io.Writer) error {
				_, err := io.WriteString(out, "<h1>"+e.Safe+"</h1>"+id)
				return err
			})
		},
		Audit: func(_ *http.Request, _ Route, o Outcome) { f.audited = append(f.audited, o) },
	}
	if change != nil {
		change(&cfg)
	}
	var err error
	if f.Mux, err = NewMux(cfg); err != nil {
		t.Fatal(err)
	}
	if err := f.Add(routes...); err != nil {
		t.Fatal(err)
	}
	return f
}

// do sends a request; each header is "Name: value".
func (f *fixture) do(method, target, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	f.ServeHTTP(w, r)
	return w
}

func ok(w http.ResponseWriter, _ *http.Request) error { return respond.Text(w, http.StatusOK, "ok") }

// echo answers with the size of the body, as a handler does that reads all of it.
func echo(w http.ResponseWriter, r *http.Request) error {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	return respond.JSON(w, http.StatusOK, map[string]int{"bytes": len(b)})
}

var (
	page   = Route{Method: "GET", Path: "/page", Handler: ok, Access: Public, Rate: RatePage}
	form   = Route{Method: "POST", Path: "/form", Handler: ok, Access: Public, Rate: RateWrite, Audit: "form.send"}
	ingest = Route{
		Method: "POST", Path: "/api/v1/events", Handler: echo, Access: Handled, Rate: RateIngest, NoAudit: "counted",
		MaxBody: 16 << 20, AnyPrefix: true, API: &Operation{Summary: "Report.", Responses: map[int]any{200: nil}},
	}
	readAPI = Route{
		Method: "GET", Path: "/api/v1/things", Handler: ok, Access: APIKey, Needs: MayView, Scope: "read", Rate: RatePage,
		API: &Operation{Summary: "Things.", Responses: map[int]any{200: nil}},
	}
)

const (
	asOwner    = "Cookie: kept_session=owner"
	asMember   = "Cookie: kept_session=member"
	asStranger = "Cookie: kept_session=stranger"
	asProved   = "Cookie: kept_session=proved"
)

func wantStatus(t *testing.T, w *httptest.ResponseRecorder, status int) {
	t.Helper()
	if w.Code != status {
		t.Fatalf("status %d, want %d; body %s", w.Code, status, w.Body)
	}
}
