package query_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/core/query"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/db/dbtest"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/series"
)

const (
	testWS  = kernel.WorkspaceID("01arz3ndektsv4rrffq69g5fav")
	otherWS = kernel.WorkspaceID("01arz3ndektsv4rrffq69g5faw")
)

// world is a module over a real store, and its HTTP API.
type world struct {
	*query.Module
	store series.Store
	url   string
	now   time.Time
}

func newWorld(t testing.TB, change ...func(*query.Deps)) *world {
	t.Helper()
	return newWorldIn(t, t.TempDir(), change...)
}

// newWorldIn makes a world of what is in a folder.
func newWorldIn(t testing.TB, dir string, change ...func(*query.Deps)) *world {
	t.Helper()
	w := &world{now: time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)}
	clock := func() time.Time { return w.now }
	store, err := series.OpenTSDB(series.Config{Dir: dir, Clock: clock, OutOfOrder: 25 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	w.store = series.Watch(store)
	d := query.Deps{DB: dbtest.Open(t, dbtest.SQLite(t)), Store: w.store, Clock: clock, Logger: slog.New(slog.DiscardHandler)}
	for _, f := range change {
		f(&d)
	}
	if w.Module, err = query.New(d); err != nil {
		t.Fatal(err)
	}
	if err := d.DB.Migrate(t.Context(), db.Module{Name: "query", Migrations: w.Migrations()}); err != nil {
		t.Fatal(err)
	}
	plenty := httpx.NewLimiter(map[httpx.RateClass]httpx.Limit{httpx.RatePage: {PerSecond: 1e6, Burst: 1e6}}, clock)
	mux, err := httpx.NewMux(httpx.Config{Auth: auth{}, Logger: slog.New(slog.DiscardHandler), Clock: clock, Limiter: plenty})
	if err == nil {
		err = mux.Add(w.Routes()...)
	}
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(mux)
	t.Cleanup(web.Close)
	w.url = web.URL + "/prometheus/api/v1"
	return w
}

// auth knows three keys.
type auth struct{}

func (auth) Login(*http.Request) (httpx.Actor, error) { return httpx.Actor{}, nil }

func (auth) Bearer(r *http.Request) (httpx.Actor, error) {
	switch strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ") {
	case "":
		return httpx.Actor{}, nil
	case "reader":
		return httpx.Actor{KeyID: "r", WorkspaceID: testWS, Scopes: []string{"read"}}, nil
	case "other":
		return httpx.Actor{KeyID: "o", WorkspaceID: otherWS, Scopes: []string{"read"}}, nil
	case "ingest":
		return httpx.Actor{KeyID: "i", WorkspaceID: testWS, Scopes: []string{"ingest"}}, nil
	}
	return httpx.Actor{}, kernel.Errorf(kernel.Unauthenticated, "This API key is wrong or was revoked.")
}

func (auth) Membership(_ context.Context, a httpx.Actor, _ kernel.WorkspaceID) (httpx.Actor, error) {
	return a, kernel.Errorf(kernel.NotFound, "no")
}

// answer is what a client got.
type answer struct {
	status int
	body   string
	header http.Header
}

// ask sends a question with GET, or with POST when the path begins with "POST ".
func ask(t testing.TB, base, key, path string, params url.Values) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", base+path+"?"+params.Encode(), nil)
	if post, ok := strings.CutPrefix(path, "POST "); ok {
		r, err = http.NewRequestWithContext(t.Context(), "POST", base+post, strings.NewReader(params.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp.StatusCode, string(body), resp.Header}
}

func (w *world) ask(t testing.TB, path string, pairs ...string) answer {
	t.Helper()
	return ask(t, w.url, "reader", path, values(pairs...))
}

func values(pairs ...string) url.Values {
	v := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		v.Add(pairs[i], pairs[i+1])
	}
	return v
}
