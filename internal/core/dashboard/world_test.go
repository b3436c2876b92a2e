package dashboard

import (
	"encoding/json"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/kept-dev/kept/internal/core/access/accesstest"
	"github.com/kept-dev/kept/internal/core/query"
	"github.com/kept-dev/kept/internal/core/workspace"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/db/dbtest"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/seal"
	"github.com/kept-dev/kept/internal/platform/series"
	"github.com/kept-dev/kept/internal/ui"
)

const owner, stranger = "ann@example.org", "eve@example.org"

// world is the core with dashboards over a store that holds an hour of metrics of two customers.
type world struct {
	*accesstest.Stack
	m     *Module
	store series.Store
	query *query.Module
	ws    kernel.WorkspaceID
	key   string // of the workspace, for everything
	base  string // address of the dashboards
}

func newWorld(t testing.TB, s *accesstest.Stack, change ...func(*Deps)) *world {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	w := &world{Stack: s}
	key, err := seal.NewInstanceKey()
	must(err)
	keys := seal.New(s.DB, key)
	must(s.DB.Migrate(t.Context(), db.Module{Name: "seal", Migrations: keys.Migrations()}))
	must(s.DB.Migrate(t.Context(), db.Module{Name: "dashboard", Migrations: Migrations()}))
	w.store, err = series.OpenTSDB(series.Config{Dir: t.TempDir(), Clock: s.Clock.Now})
	must(err)
	t.Cleanup(func() { _ = w.store.Close() })
	w.query, err = query.New(query.Deps{Store: w.store, Clock: s.Clock.Now})
	must(err)
	var u *ui.UI
	u, err = ui.New(ui.Config{Apps: []ui.App{{Key: appKey, Label: "Metrics", Icon: "chart"}}, Frame: func(r *http.Request) ui.Frame {
		a := s.Access.Around(r)
		return ui.Frame{Viewer: &ui.Viewer{Email: a.Email, Workspace: a.Workspace, SignOut: "/sign-out"}, Nav: ui.ExpandNav(w.m.Nav(), string(a.WorkspaceID))}
	}})
	must(err)
	d := Deps{DB: s.DB, UI: u, Keys: keys, Query: w.query, Clock: s.Clock.Now, BaseURL: func() string { return accesstest.BaseURL }}
	for _, f := range change {
		f(&d)
	}
	w.m, err = New(d)
	must(err)
	must(u.Check())
	mux, err := httpx.NewMux(httpx.Config{Auth: s.Access, Allows: workspace.Allows, Clock: s.Clock.Now, Limiter: httpx.NewLimiter(map[httpx.RateClass]httpx.Limit{
		httpx.RatePage: {PerSecond: 1e6, Burst: 1e6}, httpx.RateWrite: {PerSecond: 1e6, Burst: 1e6}, httpx.RateAuth: {PerSecond: 1e6, Burst: 1e6}}, s.Clock.Now)})
	must(err)
	must(mux.Add(s.Mux.Table()...))
	must(mux.Add(w.m.Routes()...))
	s.Mux = mux
	_, w.ws, w.key = s.Owner(t, owner, "Shop")
	w.base = homeHref(w.ws)
	w.fill(t)
	return w
}

// fill stores an hour up to now: hosts of two customers, a histogram, and a gauge that goes beyond its limit.
func (w *world) fill(t testing.TB) {
	t.Helper()
	app := w.store.For(w.ws).Appender(t.Context())
	add := func(at time.Time, v float64, pairs ...string) {
		if _, err := app.Append(0, labels.FromStrings(pairs...), at.UnixMilli(), v); err != nil {
			t.Fatal(err)
		}
	}
	now := w.Clock.Now()
	for s := -3600; s <= 0; s += 15 {
		at := now.Add(time.Duration(s) * time.Second)
		n := float64(s + 3600)
		for i, host := range []string{"web-1", "web-2", "db-1", "db-2"} {
			customer := []string{"acme", "acme", "globex", "globex"}[i]
			add(at, 1, "__name__", "up", "instance", host, "job", "node", "customer", customer)
			add(at, n*float64(i+1), "__name__", "requests_total", "instance", host, "job", "node", "customer", customer, "code", "200")
			add(at, n*float64(i+1)/10, "__name__", "requests_total", "instance", host, "job", "node", "customer", customer, "code", "500")
			add(at, 0.3+0.2*float64(i)+0.05*math.Sin(n/300), "__name__", "disk_used_ratio", "instance", host, "customer", customer)
			for j, le := range []string{"0.1", "1", "+Inf"} {
				add(at, n*float64(j+1), "__name__", "latency_bucket", "instance", host, "customer", customer, "le", le)
			}
		}
	}
	if err := app.Commit(); err != nil {
		t.Fatal(err)
	}
}

// example is a dashboard with a panel of each kind.
func example() *Dashboard {
	f := func(v float64) *float64 { return &v }
	return &Dashboard{Version: Format, Title: "Shop", Description: "What the shop does.", Tags: []string{"shop", "web"}, Range: "1h",
		Variables: []Variable{{Name: "instance", Kind: VarQuery, Query: "label_values(up, instance)", Multi: true, All: true},
			{Name: "code", Kind: VarList, Options: []string{"200", "500"}}},
		Rows: []Row{
			{Title: "Traffic", Panels: []Panel{
				{ID: "requests", Title: "Requests", Kind: KindTimeSeries, Unit: "/s", Targets: []Target{{Expr: `sum by (instance) (rate(requests_total{instance=~"$instance",code="$code"}[$__rate_interval]))`, Legend: "{{instance}}"}}},
				{ID: "disk", Title: "Disk used", Kind: KindBar, Unit: "ratio", Max: f(1), Thresholds: []Threshold{{Tone: "good"}, {At: f(0.6), Tone: "warn"}, {At: f(0.8), Tone: "bad"}},
					Targets: []Target{{Expr: `disk_used_ratio{instance=~"$instance"}`, Legend: "{{instance}}"}}},
				{ID: "hosts", Title: "Hosts", Kind: KindStat, Width: 6, Targets: []Target{{Expr: `count(up{instance=~"$instance"})`}}},
				{ID: "table", Title: "Table", Kind: KindTable, Width: 12, Targets: []Target{{Expr: `up`}}},
				{ID: "about", Title: "About", Kind: KindText, Width: 6, Text: "# Shop\n\nAsk **Ann**, or see [the manual](https://example.com).\n\n- `one`\n- <script>alert(1)</script>"},
			}},
			{Title: "Latency", Collapsed: true, Panels: []Panel{
				{ID: "heat", Title: "Latency", Kind: KindHeatMap, Width: 24, Targets: []Target{{Expr: `sum by (le) (increase(latency_bucket[5m]))`}}},
			}},
		}}
}

// api sends a request with the workspace's key.
func (w *world) api(t testing.TB, method, path string, body any, header ...string) (*httptest.ResponseRecorder, map[string]any) {
	t.Helper()
	text := ""
	switch b := body.(type) {
	case nil:
	case string:
		text = b
	default:
		raw, err := json.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		text = string(raw)
	}
	r := httptest.NewRequest(method, path, strings.NewReader(text))
	r.RemoteAddr = "192.0.2.7:4000"
	r.Header.Set("Authorization", "Bearer "+w.key)
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	rec := httptest.NewRecorder()
	w.Mux.ServeHTTP(rec, r)
	out := map[string]any{}
	_ = json.Unmarshal(rec.Body.Bytes(), &out)
	return rec, out
}

// make stores a dashboard and returns its id.
func (w *world) make(t testing.TB, d *Dashboard) string {
	t.Helper()
	rec, out := w.api(t, "POST", apiList, d)
	if rec.Code != http.StatusCreated {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	return out["id"].(string)
}

func sqliteConfig(t testing.TB) db.Config { return dbtest.SQLite(t) }
