package dashboard

import (
	"context"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"

	"github.com/kept-dev/kept/internal/core/access/accesstest"
	"github.com/kept-dev/kept/internal/core/query"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/db/dbtest"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/seal"
	"github.com/kept-dev/kept/internal/platform/series"
	"github.com/kept-dev/kept/internal/ui"
	"github.com/kept-dev/kept/internal/ui/uitest"
)

const exploreWS = kernel.WorkspaceID("01arz3ndektsv4rrffq69g5fav")

// exploreNow is what the clock of these tests says, while nothing happens.
var exploreNow = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// described is metadata of the two metrics below.
type described struct{}

func (described) Metadata(context.Context, kernel.WorkspaceID) (map[string][]query.Metadata, error) {
	return map[string][]query.Metadata{
		"node_network_receive_bytes_total": {{Type: "counter", Help: "Bytes that a device has received."}},
		"node_memory_MemAvailable_bytes":   {{Type: "gauge", Help: "Memory that programs could take."}},
	}, nil
}

// exploreServer serves the explore pages over a store with an hour of two metrics, or with none.
func exploreServer(t *testing.T, empty bool) string {
	t.Helper()
	store, err := series.OpenTSDB(series.Config{Dir: t.TempDir(), Clock: func() time.Time { return exploreNow }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	if !empty {
		fillExplore(t, store.For(exploreWS))
	}
	q, err := query.New(query.Deps{Store: store, Clock: func() time.Time { return exploreNow }})
	if err != nil {
		t.Fatal(err)
	}
	q.UseDescribers(described{})
	u, err := ui.New(ui.Config{Apps: []ui.App{{Key: appKey, Label: "Metrics"}}, Frame: func(*http.Request) ui.Frame {
		return ui.Frame{Viewer: &ui.Viewer{Email: "ada@example.com"}, Nav: ui.ExpandNav((&Module{}).Nav(), string(exploreWS))}
	}})
	if err != nil {
		t.Fatal(err)
	}
	control, err := db.Open(t.Context(), dbtest.SQLite(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = control.Close() })
	key, err := seal.NewInstanceKey()
	if err != nil {
		t.Fatal(err)
	}
	m, err := New(Deps{DB: control, UI: u, Keys: seal.New(control, key), Query: q, Clock: func() time.Time { return exploreNow }})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle(ui.AssetPrefix, u.Assets())
	for _, route := range m.exploreRoutes() {
		mux.HandleFunc(route.Method+" "+route.Path, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Security-Policy", ui.ContentSecurityPolicy)
			r = r.WithContext(httpx.WithActor(r.Context(), httpx.Actor{WorkspaceID: exploreWS, AccountID: "acc_1", Role: "owner"}))
			if err := route.Handler(w, r); err != nil {
				http.Error(w, kernel.AsError(err).Safe, http.StatusTeapot)
			}
		})
	}
	srv := httptest.NewServer(mux)
	t.Cleanup(func() { srv.CloseClientConnections(); srv.Close() })
	return srv.URL + "/w/" + string(exploreWS) + "/explore"
}

func fillExplore(t *testing.T, store series.Storage) {
	t.Helper()
	app := store.Appender(t.Context())
	for s := -3600; s <= 0; s += 15 {
		at := exploreNow.Add(time.Duration(s) * time.Second).UnixMilli()
		for i, host := range []string{"web-1", "web-2", "db-1"} {
			for name, v := range map[string]float64{
				"node_network_receive_bytes_total": float64(i+1)*2e5*float64(s+4000) + 1e7*math.Sin(float64(s)/300),
				"node_memory_MemAvailable_bytes":   float64(i+1)*2e9 + 3e8*math.Sin(float64(s)/500),
				"up":                               1,
			} {
				if _, err := app.Append(0, labels.FromStrings("__name__", name, "instance", host, "job", "node"), at, v); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	for s := -3600; s <= 0; s += 15 {
		for i, le := range []string{"0.1", "0.5", "2.5", "+Inf"} {
			ls := labels.FromStrings("__name__", "req_seconds_bucket", "le", le)
			if _, err := app.Append(0, ls, exploreNow.Add(time.Duration(s)*time.Second).UnixMilli(), float64((i+1)*(s+4000))); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := app.Commit(); err != nil {
		t.Fatal(err)
	}
}

func exploreGet(t *testing.T, url string) string {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(res.StatusCode, "\n", html.UnescapeString(string(body)))
}

// The page answers without scripts: what was found, what is wrong and where, and what to do where there is nothing.
func TestExplorePage(t *testing.T) {
	t.Parallel()
	base, none := exploreServer(t, false), exploreServer(t, true)
	ask := func(base string, pairs ...string) string {
		q := url.Values{}
		for i := 0; i < len(pairs); i += 2 {
			q.Add(pairs[i], pairs[i+1])
		}
		return exploreGet(t, base+"?"+q.Encode())
	}
	for name, tc := range map[string]struct {
		got  string
		want []string
	}{
		"nothing asked":    {ask(base), []string{"200\n", "Begin with one of these", "Memory that is free"}},
		"nothing there":    {ask(none), []string{"No metrics yet", "/hosts/connect"}},
		"not in this time": {ask(base, "from", "now-2d", "to", "now-1d"), []string{"No metrics in this time", "now-1w"}},
		"two queries": {ask(base, "expr", `rate(node_network_receive_bytes_total[5m])`, "expr", "node_memory_MemAvailable_bytes"),
			[]string{"A: web-1", "B: db-1", "bytes/s", "3 series", "alerts/rules/new?expr=rate", "dashboards/new?expr=rate"}},
		"table":    {ask(base, "expr", "up", "view", "table"), []string{"<td>db-1</td>", "Query A"}},
		"wrong":    {ask(base, "expr", "up +", "expr", "up"), []string{"Unexpected end of input.", `"from":4`, "B: web-1"}},
		"remark":   {ask(base, "expr", "rate(node_memory_MemAvailable_bytes[5m])"), []string{"metric might not be a counter"}},
		"step":     {ask(base, "expr", "up", "step", "5m"), []string{"39 points", "one for each 5m"}},
		"heat map": {ask(base, "expr", "sum by (le) (rate(req_seconds_bucket[5m]))", "draw", "heat"), []string{`"view":"heat"`, `"label":"0.1"`, `"label":"2.5"`}},
		"bad step": {ask(base, "expr", "up", "step", "x"), []string{"The step cannot be read"}},
		"too fine": {ask(base, "expr", "up", "step", "1s", "from", "now-2d"), []string{"more than 4,000 points"}},
	} {
		for _, want := range tc.want {
			if !strings.Contains(tc.got, want) {
				t.Errorf("%s: %q is missing", name, want)
			}
		}
	}
	if page := ask(none); strings.Contains(page, "explore-chart") {
		t.Error("a chart of nothing")
	}
}

// The list of metrics knows their meaning, their number and what to ask; a metric its labels.
func TestExploreMetrics(t *testing.T) {
	t.Parallel()
	base := exploreServer(t, false)
	list := exploreGet(t, base+"/metrics?q=device+RECEIVED")
	for _, want := range []string{"node_network_receive_bytes_total", "counter", "Bytes that a device has received.", `<td class="num">3</td>`, "1 of 1 metrics", "expr=rate%28node_network"} {
		if !strings.Contains(list, want) {
			t.Errorf("the list lacks %q", want)
		}
	}
	if strings.Contains(list, "MemAvailable") {
		t.Error("the search found too much")
	}
	if hist := exploreGet(t, base+"/metrics?type=histogram"); !strings.Contains(hist, "req_seconds_bucket") || strings.Contains(hist, "MemAvailable") {
		t.Error("the type of a metric is not known by its name")
	}
	one := exploreGet(t, base+"/metrics/node_network_receive_bytes_total")
	for _, want := range []string{"instance", "web-2", "sum by (instance)", "3 series"} {
		if !strings.Contains(one, want) && !strings.Contains(one, url.QueryEscape(want)) {
			t.Errorf("the metric lacks %q", want)
		}
	}
	if gone := exploreGet(t, base+"/metrics/nothing"); !strings.Contains(gone, "No series in this time") {
		t.Error("an unknown metric is not said to be one")
	}
}

// What completion asks is answered in the shape of Prometheus.
func TestExploreCompletion(t *testing.T) {
	t.Parallel()
	base := exploreServer(t, false) + "/api"
	at := "?start=2026-11-22T11:00:00.000Z&end=2026-11-22T12:00:00.000Z"
	for path, want := range map[string]string{
		"/label/__name__/values" + at:                             `["node_memory_MemAvailable_bytes","node_network_receive_bytes_total","req_seconds_bucket","up"]`,
		"/labels" + at + "&match[]=up":                            `["__name__","instance","job"]`,
		"/label/instance/values" + at + `&match[]=up{job="node"}`: `["db-1","web-1","web-2"]`,
		"/series" + at + `&match[]=up{instance="db-1"}`:           `[{"__name__":"up","instance":"db-1","job":"node"}]`,
		"/metadata?metric=up":                                     `{}`,
	} {
		_, body, _ := strings.Cut(exploreGet(t, base+path), "\n")
		var answer struct {
			Status string
			Data   json.RawMessage
		}
		if err := json.Unmarshal([]byte(body), &answer); err != nil || answer.Status != "success" || string(answer.Data) != want {
			t.Errorf("%s: %s (%v), want %s", path, body, err, want)
		}
	}
	if got := exploreGet(t, base+"/series"); strings.HasPrefix(got, "200") {
		t.Error("all series of the workspace were listed")
	}
}

func TestGuessUnit(t *testing.T) {
	t.Parallel()
	q, err := query.New(query.Deps{Store: noStore{}})
	if err != nil {
		t.Fatal(err)
	}
	m := &Module{d: Deps{Query: q}}
	for expr, want := range map[string]string{
		"node_memory_MemFree_bytes": "bytes", "rate(node_network_receive_bytes_total[5m])": "bytes/s", "sum(rate(http_requests_total[1m]))": "/s",
		"rate(node_cpu_seconds_total[5m])": "", "histogram_quantile(0.9, sum by (le) (rate(req_seconds_bucket[5m])))": "s", "a_bytes / b_bytes": "ratio",
		"1 - a_bytes / b_bytes": "ratio", "100 * up": "", "count(a_bytes)": "", "a_bytes > 5": "bytes", "max_over_time(temp_celsius[1h])": "°C",
		"a_bytes - b_seconds": "", "up": "", "(": "",
	} {
		if got := m.guessUnit(expr); got != want {
			t.Errorf("%s: %q, want %q", expr, got, want)
		}
	}
}

type noStore struct{ series.Store }

// In a browser: the editor asks the server, errors stand at their place, and a selection in the chart opens its time.
func TestExploreInChromium(t *testing.T) {
	t.Parallel()
	browser, base := uitest.Start(t), exploreServer(t, false)
	page := browser.Open(t, base+"?from=2026-11-22T11:00:00Z&to=2026-11-22T12:00:00Z&expr="+url.QueryEscape("rate(node_network_receive_bytes_total[5m])")+"&expr=up")
	page.Wait(t, `document.querySelector("#explore-chart canvas") && document.querySelector("#e-B").shadowRoot?.querySelector(".cm-content")`)
	page.Look(t, "explore")
	page.Run(t, `const e = document.querySelector("#e-B"); e.value = ""; e.focus()`)
	page.Press(t, "node_netw")
	page.Wait(t, `document.querySelector("#e-B").shadowRoot.querySelector(".cm-tooltip-autocomplete li")?.textContent.startsWith("node_network_receive_bytes_total")`)
	page.Press(t, kb.Escape)
	page.Run(t, `document.querySelector("#e-B").value = "sum(up"`)
	page.Run(t, `document.querySelector("#e-B").shadowRoot.querySelector(".cm-content").dispatchEvent(new KeyboardEvent("keydown", {key: "Enter", keyCode: 13, bubbles: true, cancelable: true}))`)
	page.Wait(t, `new URLSearchParams(location.search).getAll("expr")[1] === "sum(up" && document.querySelector("#e-B").dataset.error`)
	if got := uitest.Eval[string](t, page, `document.querySelector("#e-A").shadowRoot.querySelector(".cm-content").textContent`); got != "rate(node_network_receive_bytes_total[5m])" {
		t.Errorf("the other editor has %q", got)
	}
	page.Go(t, base+"?view=table&expr=up&expr="+url.QueryEscape("sum(up"))
	page.Wait(t, `document.querySelector("#e-B").shadowRoot?.querySelector(".cm-lintRange-error")`)
	page.Look(t, "explore-table")
	page.Go(t, base)
	page.Look(t, "explore-begin")
	page.Go(t, base+"/metrics")
	page.Look(t, "explore-metrics")
	page.Go(t, base+"/metrics/node_network_receive_bytes_total")
	page.Look(t, "explore-metric")
}

// TestNativeHistograms: over time they are quantiles, as a heat map their buckets, made coarser until they fit.
func TestNativeHistograms(t *testing.T) {
	t.Parallel()
	h := &histogram.FloatHistogram{Schema: 3, Count: 300, Sum: 400, ZeroThreshold: 0.001, PositiveSpans: []histogram.Span{{Offset: 0, Length: 100}}, PositiveBuckets: make([]float64, 100)}
	for i := range h.PositiveBuckets {
		h.PositiveBuckets[i] = 3
	}
	matrix := promql.Matrix{
		{Metric: labels.FromStrings("instance", "a"), Histograms: []promql.HPoint{{T: 1000, H: h}, {T: 2000, H: h}}},
		{Metric: labels.FromStrings("instance", "b"), Histograms: []promql.HPoint{{T: 1000, H: h}}},
	}
	res := query.Result{Value: matrix}
	var names []string
	for _, l := range named(Target{}, env{}, res, "x", false) {
		names = append(names, fmt.Sprint(l.label, " ", len(l.points)))
	}
	if got := strings.Join(names, ", "); got != "a p50 2, a p90 2, a p99 2, b p50 1, b p90 1, b p99 1" {
		t.Error(got)
	}
	median := named(Target{}, env{}, res, "x", false)[0].points[0].F
	if median < 60 || median > 85 { // the 50th of 100 buckets of schema 3 ends at 2^(50/8)
		t.Errorf("the median is %v", median)
	}
	rows := named(Target{}, env{}, res, "x", true)
	first, second := 0.0, 0.0
	for _, l := range rows {
		for _, p := range l.points {
			if p.T == 1000 {
				first += p.F
			} else {
				second += p.F
			}
		}
	}
	if len(rows) > maxBuckets || len(rows) < 10 || first != 600 || second != 300 {
		t.Errorf("%d rows with %v and %v", len(rows), first, second)
	}
}

type tracer struct{}

func (tracer) TraceHref(ws kernel.WorkspaceID, trace string) string {
	return "/w/" + string(ws) + "/jobs?trace=" + trace
}

// TestExemplars: they are drawn where the axis has their unit, else at the foot, with the trace that they lead to.
func TestExemplars(t *testing.T) {
	s := accesstest.New(t, sqliteConfig(t))
	w := newWorld(t, s)
	w.m.UseTracers(tracer{})
	app := w.store.For(w.ws).Appender(t.Context())
	ls := labels.FromStrings("__name__", "shop_seconds_bucket", "le", "+Inf", "path", "/pay")
	for i := range 20 {
		at := w.Clock.Now().Add(time.Duration(i-20) * 30 * time.Second)
		ref, err := app.Append(0, ls, at.UnixMilli(), float64(i))
		if err != nil {
			t.Fatal(err)
		}
		if i == 10 {
			if _, err := app.AppendExemplar(ref, ls, exemplar.Exemplar{Labels: labels.FromStrings("trace_id", "4bf92f"), Value: 0.25, Ts: at.UnixMilli(), HasTs: true}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := app.Commit(); err != nil {
		t.Fatal(err)
	}
	b := w.Browser(t, "192.0.2.1").SignIn(owner)
	page := b.Get(exploreHref(w.ws)+"?"+url.Values{"expr": {"histogram_quantile(0.9, sum by (le) (rate(shop_seconds_bucket[5m])))"}}.Encode()).Is(200, "250 ms, trace 4bf92f, path /pay", "/jobs?trace=4bf92f")
	if strings.Contains(page.Body, "&#34;foot&#34;") {
		t.Error("the value of the axis is not used")
	}
	b.Get(exploreHref(w.ws)+"?"+url.Values{"expr": {"rate(shop_seconds_bucket[5m])"}}.Encode()).Is(200, "4bf92f", `"foot":true`)
}

// TestAllQueriesGoAlong: links, and what is added to a dashboard, have every query with its unit and the way it is drawn.
func TestAllQueriesGoAlong(t *testing.T) {
	s := accesstest.New(t, sqliteConfig(t))
	w := newWorld(t, s)
	b := w.Browser(t, "192.0.2.1").SignIn(owner)
	page := b.Get(exploreHref(w.ws)+"?"+url.Values{"expr": {"up", "disk_used_ratio"}, "draw": {"area"}, "stack": {"1"}}.Encode()).Is(200, "Make an alert of this query")
	link := html.UnescapeString(between(t, page.Body, `href="`+w.base+`/new?`, `"`))
	b.Get(w.base+"/new?"+link).Is(200, "One panel with all 2 queries", `value="disk_used_ratio"`)
	fixed := html.UnescapeString(between(t, page.Body, `href="`+exploreHref(w.ws)+`?`, `" title="The same page`))
	if q, err := url.ParseQuery(fixed[strings.LastIndex(fixed, "?")+1:]); err != nil || len(q["expr"]) != 2 {
		t.Error(fixed)
	}
	a := b.Post(w.base+"/new", "title", "Both", "expr", "up", "expr", "disk_used_ratio", "kind", "timeseries", "draw", "area", "stack", "1")
	place, _, _ := strings.Cut(a.Header.Get("Location"), "?")
	b.Get(place+"/export").Is(200, `"expr": "up"`, `"expr": "disk_used_ratio"`, `"unit": "ratio"`, `"draw": "area"`, `"stack": true`)
}
