package query_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"

	"github.com/kept-dev/kept/internal/core/privacy"
	"github.com/kept-dev/kept/internal/core/query"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/db/dbtest"
	"github.com/kept-dev/kept/internal/platform/series"
)

func TestErrorsSayWhatToDo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(d *query.Deps) {
		d.Limits = func(context.Context, kernel.WorkspaceID) (query.Limits, error) {
			return query.Limits{MaxSamples: 300, Timeout: time.Minute}, nil
		}
	})
	load(t, w.store, testWS, fixture(), fixtureStart, at(240))
	hour := query.Span{From: time.UnixMilli(fixtureStart), To: time.UnixMilli(at(240)), Step: 15 * time.Second}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		ctx  context.Context
		q    query.Question
		code kernel.Code
		says string
	}{
		"where it is wrong":  {t.Context(), query.Question{Expr: "sum(rate(x[5m])"}, kernel.Invalid, "1:16: parse error: unclosed left parenthesis"},
		"too many samples":   {t.Context(), query.Question{Expr: "demo_memory_usage_bytes", Span: hour}, kernel.TooLarge, "more than 300 samples"},
		"too long":           {t.Context(), query.Question{Expr: "demo_num_cpus", At: hour.To, Timeout: 1}, kernel.Unavailable, "took longer than 1ns"},
		"the client left":    {gone, query.Question{Expr: "demo_num_cpus", At: hour.To}, kernel.Unavailable, "cut off"},
		"too many points":    {t.Context(), query.Question{Expr: "x", Span: query.Span{From: hour.From, To: hour.To, Step: 100 * time.Millisecond}}, kernel.Invalid, "11,000 points"},
		"ends before start":  {t.Context(), query.Question{Expr: "x", Span: query.Span{From: hour.To, To: hour.From, Step: time.Second}}, kernel.Invalid, "must not be before"},
		"without a step":     {t.Context(), query.Question{Expr: "x", Span: query.Span{From: hour.From, To: hour.To}}, kernel.Invalid, "step"},
		"matches several":    {t.Context(), query.Question{Expr: "demo_num_cpus + on(job) demo_num_cpus", At: hour.To}, kernel.Invalid, "many-to-many matching not allowed"},
		"half an expression": {t.Context(), query.Question{Expr: "sum by (a) ("}, kernel.Invalid, "parse error"},
	} {
		_, err := w.Ask(c.ctx, testWS, c.q)
		if e := kernel.AsError(err); err == nil || e.Code != c.code || !strings.Contains(e.Safe, c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if a := w.ask(t, "/query_range", "query", "demo_memory_usage_bytes", "start", seconds(fixtureStart), "end", seconds(at(240)), "step", "15"); a.status != 422 ||
		!strings.Contains(a.body, `"errorType":"execution","error":"query processing would load too many samples into memory in query execution"`) {
		t.Errorf("%+v", a)
	}
}

// planner has everybody on one plan.
type planner string

func (p planner) PlanOf(context.Context, kernel.WorkspaceID) (privacy.Plan, error) {
	return privacy.Plan{Name: string(p)}, nil
}

func TestPlansLimit(t *testing.T) {
	t.Parallel()
	for plan, want := range map[planner]query.Limits{privacy.PlanFree: {MaxSamples: 10_000_000, Timeout: 30 * time.Second, Concurrent: 2},
		privacy.PlanSelfHosted: query.DefaultLimits(), privacy.PlanScale: query.DefaultLimits()} {
		if got, err := query.ByPlan(plan)(t.Context(), testWS); err != nil || got != want {
			t.Errorf("%s: %+v, %v", plan, got, err)
		}
	}
}

func TestAccess(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	load(t, w.store, testWS, fixture(), fixtureStart, at(4))
	for key, want := range map[string]string{"": "401 bad_data", "wrong": "401 bad_data", "ingest": "403 bad_data", "reader": "200 ", "other": "200 "} {
		a := ask(t, w.url, key, "/query", values("query", "demo_num_cpus", "time", seconds(at(3))))
		var e struct{ Status, ErrorType, Error string }
		if err := json.Unmarshal([]byte(a.body), &e); err != nil {
			t.Fatal(err, a.body)
		}
		if got := fmt.Sprint(a.status, " ", e.ErrorType); got != want || a.header.Get("Content-Type") != "application/json" || (want[0] == '4') != (e.Status == "error" && e.Error != "") {
			t.Errorf("%q: %s, want %s: %s", key, got, want, a.body)
		}
		if sees := strings.Contains(a.body, "demo:10000"); sees != (key == "reader") {
			t.Errorf("%q sees the series: %v", key, sees)
		}
	}
	if a := w.ask(t, "POST /series", "match[]", strings.Repeat("x", 2<<20)); a.status != 413 || !strings.Contains(a.body, `"status":"error"`) {
		t.Errorf("%d %.300s", a.status, a.body)
	}
}

func TestBuildInfoIsOfTheLibrary(t *testing.T) {
	t.Parallel()
	mod, err := os.ReadFile("../../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	major, rest, _ := strings.Cut(query.PromVersion, ".")
	minor, patch, _ := strings.Cut(rest, ".")
	if want := fmt.Sprintf("github.com/prometheus/prometheus v0.%s%02s.%s\n", major, minor, patch); !strings.Contains(string(mod), want) {
		t.Errorf("clients are told %s, and go.mod has no %q", query.PromVersion, want)
	}
	if a := newWorld(t).ask(t, "/status/buildinfo"); a.status != 200 || !strings.Contains(a.body, `"version":"`+query.PromVersion+`"`) {
		t.Errorf("%+v", a)
	}
}

// kinds is a source of one series, which it keeps in a store of its own.
type kinds struct{ store series.Store }

func (k kinds) Series(ws kernel.WorkspaceID) storage.Queryable { return k.store.For(ws) }

func (kinds) Metadata(context.Context, kernel.WorkspaceID) (map[string][]query.Metadata, error) {
	return map[string][]query.Metadata{"kept_test_total": {{Type: "counter", Help: "Tests."}, {Type: "counter", Help: "More."}}}, nil
}

// TestSourcesJoinTheStore asks for what a source has, alone and together with what the store has.
func TestSourcesJoinTheStore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	source := kinds{newWorld(t).store}
	load(t, source.store, testWS, []fixtureSeries{{labels.FromStrings("__name__", "kept_test_total", "ws", string(testWS)), []sample{{t: at(10), f: 1}, {t: at(11), f: 2}}}}, 0, at(12))
	w.Use(source)
	w.UseDescribers(source)
	load(t, w.store, testWS, fixture(), fixtureStart, at(12))
	now := time.UnixMilli(at(11))
	for expr, want := range map[string]int{"kept_test_total": 1, `{__name__=~"kept_.*"}`: 1, `{__name__=~"kept_test_total|demo_num_cpus"}`: 4,
		`{__name__!~"up|demo_.*", ws=~".+"}`: 1, `{__name__!="up", ws=~".+"}`: 1, "demo_num_cpus": 3, `{ws!=""}`: 1} {
		res, err := w.Instant(t.Context(), testWS, expr, now)
		if v, ok := res.Value.(promql.Vector); err != nil || !ok || len(v) != want {
			t.Errorf("%s: %v, %v", expr, res.Value, err)
		}
	}
	found, err := w.Series(t.Context(), testWS, must(w.ParseSelectors("kept_test_total", "demo_num_cpus")), now.Add(-time.Hour), now, 0)
	if err != nil || len(found) != 4 || found[3].Get("ws") != string(testWS) {
		t.Errorf("%v, %v", found, err)
	}
	if a := w.ask(t, "/metadata", "limit_per_metric", "1"); a.body != `{"status":"success","data":{"kept_test_total":[{"type":"counter","help":"Tests.","unit":""}]}}` {
		t.Error(a.body)
	}
	if a := w.ask(t, "/metadata", "metric", "absent"); a.body != `{"status":"success","data":{}}` {
		t.Error(a.body)
	}
	cached, evaluated := w.Cached()
	for range 2 {
		if _, err := w.Range(t.Context(), testWS, "kept_test_total", query.Span{From: now.Add(-time.Minute), To: now, Step: 15 * time.Second}); err != nil {
			t.Fatal(err)
		}
	}
	if c, e := w.Cached(); c != cached || e != evaluated {
		t.Error("what a source makes was cached: it changes without a write to the store")
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// TestLastQueried counts what is asked for by whatever way, and not what is only listed.
func TestLastQueried(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	load(t, w.store, testWS, fixture(), fixtureStart, at(4))
	w.now = time.UnixMilli(at(3)).UTC()
	w.ask(t, "/query", "query", "sum(demo_num_cpus) / demo_never_sent")
	w.ask(t, "/query", "query", `{__name__=~"demo_o.+"}`)
	w.ask(t, "/query", "query", `count by (__name__) ({__name__=~".+"})`)
	w.ask(t, "/query", "query", `{__name__!=""}`)
	w.ask(t, "/query", "query", `{__name__!~"demo_batch_last_success_timestamp_seconds|demo_memory_usage_bytes", job="demo"}`)
	w.ask(t, "/query", "query", `{__name__=~"demo_(odd|intermittent_metric)|demo_none", __name__!="demo_intermittent_metric"}`)
	w.ask(t, "/series", "match[]", "demo_disk_usage_bytes")
	w.ask(t, "/label/__name__/values")
	q, err := w.Engine().NewInstantQuery(t.Context(), w.Storage(testWS), nil, "demo_requests_total", w.now) // as rules do
	if err != nil {
		t.Fatal(err)
	}
	q.Exec(t.Context())
	first := w.now
	check := func(when string, want map[string]time.Time) {
		t.Helper()
		got, err := w.LastQueried(t.Context(), testWS)
		if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %v, %v, want %v", when, got, err, want)
		}
	}
	want := map[string]time.Time{"demo_num_cpus": first, "demo_never_sent": first, "demo_odd": first, "demo_none": first, "demo_requests_total": first}
	check("in memory", want)
	if err := w.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	check("written", want)
	w.now = first.Add(30 * time.Minute)
	w.ask(t, "/query", "query", "demo_num_cpus")
	check("soon after", want)
	w.now = first.Add(2 * time.Hour)
	w.ask(t, "/query", "query", "demo_num_cpus")
	want["demo_num_cpus"] = w.now
	check("later", want)
	if err := w.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	check("stopped", want)
	if got, err := w.LastQueried(t.Context(), otherWS); err != nil || len(got) != 0 {
		t.Errorf("another workspace: %v, %v", got, err)
	}
}

// TestCollection exports, sweeps and erases what is kept of what was asked for, on both databases.
func TestCollection(t *testing.T) {
	t.Parallel()
	dbtest.EachConfig(t, func(t *testing.T, cfg db.Config) {
		w := newWorld(t, func(d *query.Deps) { d.DB = dbtest.Open(t, cfg) })
		load(t, w.store, testWS, fixture(), fixtureStart, at(4))
		for _, q := range []string{"demo_num_cpus", "demo_odd"} {
			w.ask(t, "/query", "query", q)
			if err := w.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			w.now = w.now.Add(48 * time.Hour)
		}
		c := w.Collections()[0]
		var rows []string
		if err := c.Export(t.Context(), testWS, func(v any) error { rows = append(rows, fmt.Sprint(v)); return nil }); err != nil || len(rows) != 2 {
			t.Fatal(rows, err)
		}
		oldest, err := c.Oldest(t.Context(), testWS)
		if err != nil || !oldest.Equal(w.now.Add(-96*time.Hour)) {
			t.Error(oldest, err)
		}
		if n, err := c.Sweep(t.Context(), testWS, w.now.Add(-50*time.Hour)); n != 1 || err != nil {
			t.Error(n, err)
		}
		if n, err := c.Erase(t.Context(), testWS); n != 1 || err != nil {
			t.Error(n, err)
		}
		if n, err := c.Count(t.Context(), ""); n != 0 || err != nil {
			t.Error(n, err)
		}
	})
}

// FuzzParse gives the parser whatever comes, by the ways that print what it understood.
func FuzzParse(f *testing.F) {
	w := newWorld(f)
	for i, q := range questions() {
		if strings.HasSuffix(q.Path, "_query") || q.Params.Get("step") != "" && i%20 == 0 {
			f.Add(q.Params.Get("query"))
		}
	}
	f.Add("sum(a[5m:1m] @ start() offset -(1m) by")
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 10_000 {
			return
		}
		for _, path := range []string{"POST /format_query", "POST /parse_query"} {
			if a := ask(t, w.url, "reader", path, url.Values{"query": {text}}); a.status != 200 && a.status != 400 || !json.Valid([]byte(a.body)) {
				t.Fatalf("%q: %d %s", text, a.status, a.body)
			}
		}
	})
}
