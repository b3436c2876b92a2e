package dashboard

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"

	"github.com/kept-dev/kept/internal/core/access/accesstest"
	"github.com/kept-dev/kept/internal/core/query"
	"github.com/kept-dev/kept/internal/kernel"
)

const site = "https://shop.example"

// shapes makes PromQL of many shapes, some of which try to look beyond a filter.
type shapes struct{ r *rand.Rand }

func (s shapes) one(list ...string) string { return list[s.r.IntN(len(list))] }

func (s shapes) selector() string {
	return s.one("up", "requests_total", "disk_used_ratio", `{__name__="up"}`, `{__name__=~"up|disk.*"}`, `{__name__=~".+",job="node"}`, `requests_total{customer="globex"}`,
		`requests_total{customer=~".*"}`, `up{customer!="acme"}`, `up{customer!~"acme"}`, `up{customer=""}`, `disk_used_ratio{instance="db-1"}`, `up{customer="acme",customer="globex"}`, "nothing_of_this",
		`{"up"}`, `{"requests_total", code="500"}`, "latency_bucket") + s.one("", "", "", " offset 5m", " @ end()", " offset -1m")
}

func (s shapes) matrix() string {
	sel := s.one("up", "requests_total", `{__name__="requests_total"}`, `requests_total{customer="globex"}`, `{__name__=~"up|requests_total",customer!="acme"}`, "latency_bucket")
	return sel + s.one("[5m]", "[1m]", "[20m]", "[5m] offset 2m", "[5m] @ start()")
}

func (s shapes) expr(depth int) string {
	if depth == 0 {
		return s.one(s.selector(), s.selector(), "rate("+s.matrix()+")", "increase("+s.matrix()+")", "max_over_time("+s.matrix()+")", "absent_over_time("+s.matrix()+")", "vector(1)", "time()", "2")
	}
	e, f := s.expr(depth-1), s.expr(depth-1)
	return s.one(
		"sum by (customer) ("+e+")", "sum without (instance) ("+e+")", "count("+e+")", "topk(50, "+e+")", "bottomk by (job) (50, "+e+")", "quantile(0.5, "+e+")", `count_values("v", `+e+")",
		"("+e+") + on (instance) group_left ("+f+")", "("+e+") or ("+f+")", "("+e+") and ("+f+")", "("+e+") unless ("+f+")", "("+e+") / ignoring (code) ("+f+")", "("+e+") > bool ("+f+")", "-("+e+")",
		"absent("+e+")", "scalar("+e+")", "sort("+e+")", "clamp_max("+e+", 3)", "max_over_time(("+e+")[10m:1m])", "sum_over_time(("+e+")[5m:30s] offset 1m)", "group("+e+")",
		`label_replace(`+e+`, "customer", "acme", "instance", "(.*)")`, `label_replace(`+e+`, "x", "$1", "customer", "(.*)")`, `label_join(`+e+`, "y", "-", "customer", "instance")`,
		"histogram_quantile(0.9, sum by (le) (rate(latency_bucket[5m])))", "absent(sum("+e+"))", "stddev by (customer) ("+e+")",
	)
}

// lines are the series of an answer in order. With loose, the label of the filter does not count: absent() makes labels of
// the matchers that it finds, so there the filter may show and nothing else.
func lines1(res query.Result, loose bool) []string {
	var out []string
	add := func(ls labels.Labels, v any) {
		if loose {
			ls = labels.NewBuilder(ls).Del("customer").Labels()
		}
		out = append(out, fmt.Sprint(ls, v))
	}
	switch v := res.Value.(type) {
	case promql.Vector:
		for _, s := range v {
			add(s.Metric, s.F)
		}
	case promql.Matrix:
		for _, s := range v {
			add(s.Metric, s.Floats)
		}
	default:
		out = append(out, fmt.Sprint(v))
	}
	slices.Sort(out)
	return out
}

// TestFiltersAreNeverEscaped compares a thousand random queries with filters over everything with the same queries without
// filters over a store that has nothing but what the filters allow: the answers must be the same.
func TestFiltersAreNeverEscaped(t *testing.T) {
	s := accesstest.New(t, sqliteConfig(t))
	w := newWorld(t, s)
	only := kernel.NewID(s.Clock.Now()) // a workspace that holds just acme's series
	copyOnly(t, w, only, "acme")
	filters, err := matchers([]Filter{{Label: "customer", Value: "acme"}})
	if err != nil {
		t.Fatal(err)
	}
	seed := uint64(20261122)
	gen := shapes{rand.New(rand.NewPCG(seed, 1))}
	now, answered, nonEmpty := s.Clock.Now(), 0, 0
	for i := range 1000 {
		expr := gen.expr(i % 4)
		if _, err := w.query.Parse(expr); err != nil {
			continue
		}
		guarded, err := w.m.enforce(expr, filters)
		if err != nil {
			t.Fatalf("%s: %v", expr, err)
		}
		span := query.Span{From: now.Add(-10 * time.Minute), To: now, Step: 5 * time.Minute}
		got, gotErr := w.query.Range(t.Context(), w.ws, guarded, span)
		want, wantErr := w.query.Range(t.Context(), only, expr, span)
		if (gotErr == nil) != (wantErr == nil) {
			t.Fatalf("%s\n%s\nerrors: %v, %v", expr, guarded, gotErr, wantErr)
		}
		if gotErr != nil {
			continue
		}
		loose := strings.Contains(expr, "absent")
		a, b := lines1(got, loose), lines1(want, loose)
		if !slices.Equal(a, b) {
			t.Fatalf("%s\n%s\nwith the filter: %q\nof acme alone:   %q", expr, guarded, a, b)
		}
		answered++
		if len(a) > 0 {
			nonEmpty++
		}
	}
	if answered < 500 || nonEmpty < 250 {
		t.Fatalf("only %d answers, %d of them with series: the test proves little", answered, nonEmpty)
	}
}

// copyOnly fills a workspace with the series of one customer.
func copyOnly(t *testing.T, w *world, to kernel.WorkspaceID, customer string) {
	t.Helper()
	q, err := w.store.For(w.ws).Querier(0, 1<<62)
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	app := w.store.For(to).Appender(t.Context())
	set := q.Select(t.Context(), true, nil, labels.MustNewMatcher(labels.MatchEqual, "customer", customer))
	for set.Next() {
		it := set.At().Iterator(nil)
		for it.Next() != 0 {
			at, v := it.At()
			if _, err := app.Append(0, set.At().Labels(), at, v); err != nil {
				t.Fatal(err)
			}
		}
	}
	if set.Err() != nil || app.Commit() != nil {
		t.Fatal("the copy failed")
	}
}

// embedWorld has a dashboard that a site may embed.
func embedWorld(t *testing.T, s *accesstest.Stack) (w *world, id string) {
	t.Helper()
	w = newWorld(t, s)
	d := example()
	d.Variables = append(d.Variables, Variable{Name: "free", Kind: VarText}, Variable{Name: "all", Kind: VarQuery, Query: "label_values(customer)", Multi: true, All: true, Default: []string{allValue}},
		Variable{Name: "who", Kind: VarQuery, Query: "label_values(customer)"}, Variable{Name: "host", Kind: VarQuery, Query: "label_values(up, instance)"},
		Variable{Name: "line", Kind: VarQuery, Query: "query_result(up)", Regex: `instance="([^"]+)"`})
	d.Rows = append(d.Rows, Row{Panels: []Panel{
		{ID: "free", Title: "$all", Kind: KindTable, Targets: []Target{{Expr: `up{instance=~"$free"}`}}},
		{ID: "names", Title: "$all", Kind: KindTable, Targets: []Target{{Expr: `up{customer=~"$all"}`, Legend: "{{instance}}"}}},
		{ID: "first", Title: "$who $host $line", Kind: KindTable, Targets: []Target{{Expr: "up"}}},
		{ID: "broken", Title: "B", Kind: KindTable, Targets: []Target{{Expr: `up * on (job) up`}}},
	}})
	id = w.make(t, d)
	w.Browser(t, "192.0.2.1").SignIn(owner).Post(w.base+"/embedding", "origins", site+"\nhttps://other.example").To(w.base + "/embedding?done=saved")
	return w, id
}

func (w *world) token(t *testing.T, in map[string]any) string {
	t.Helper()
	rec, out := w.api(t, "POST", "/api/v1/embed/tokens", in)
	if rec.Code != http.StatusCreated {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	return out["token"].(string)
}

// fetch asks for a panel the way a page elsewhere does.
func (w *world) fetch(t *testing.T, token, origin, query string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest("GET", pathEmbedPanel+"?"+query, nil)
	r.RemoteAddr = "198.51.100.4:5000"
	r.Header.Set("Authorization", "Bearer "+token)
	if origin != "" {
		r.Header.Set("Origin", origin)
	}
	rec := httptest.NewRecorder()
	w.Mux.ServeHTTP(rec, r)
	return rec
}

// TestEmbeddedPanels: a page sees its panel with the filters of its token, whatever it asks for.
func TestEmbeddedPanels(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		w, id := embedWorld(t, s)
		acme := []Filter{{Label: "customer", Value: "acme"}}
		token := w.token(t, map[string]any{"dashboard": id, "filters": acme})
		rec := w.fetch(t, token, site, "panel=requests&width=400")
		if rec.Code != 200 || rec.Header().Get("Access-Control-Allow-Origin") != site || !strings.Contains(rec.Body.String(), "web-1") {
			t.Fatal(rec.Code, rec.Header(), rec.Body)
		}
		for _, ask := range []string{
			"panel=requests", "panel=requests&filter=customer=globex", "panel=requests&var-instance=db-1", "panel=requests&var-instance=$__all",
			"panel=free&var-free=" + url.QueryEscape(`.*"} or up{instance=~".*`), "panel=free&var-free=.*", "panel=disk&var-instance=db-1", "panel=table",
			"panel=names", "panel=names&var-all=globex", "panel=names&var-all=" + url.QueryEscape("$__all"), "panel=broken", "panel=requests&from=now-1h&to=now&var-code=" + url.QueryEscape(`500"} or up{code="`),
		} {
			rec := w.fetch(t, token, site, ask)
			body := rec.Body.String()
			for _, other := range []string{"db-1", "db-2", "globex\","} {
				if strings.Contains(body, other) && !strings.Contains(ask, "globex") || strings.Contains(body, `"db-`) {
					t.Errorf("%s shows %s: %s", ask, other, body)
				}
			}
			if rec.Code != 200 {
				t.Errorf("%s: %d %s", ask, rec.Code, body)
			}
		}
		if body := w.fetch(t, token, site, "panel=names").Body.String(); !strings.Contains(body, `"title":"All"`) || !strings.Contains(body, "web-2") {
			t.Error(body)
		}
		if body := w.fetch(t, token, site, "panel=broken").Body.String(); !strings.Contains(body, "cannot be drawn") || strings.Contains(body, "many-to-many") {
			t.Error("the text of an error shows what the query is: ", body)
		}
		if rec := w.fetch(t, token, site, "panel=requests&filter=instance=web-1"); !strings.Contains(rec.Body.String(), "web-1") || strings.Contains(rec.Body.String(), "web-2") {
			t.Error("an added filter does not narrow:", rec.Body)
		}

		// The choices of variables come from what the token allows, too: the first ones of each customer.
		globex := w.token(t, map[string]any{"dashboard": id, "filters": []Filter{{Label: "customer", Value: "globex"}}})
		for token, want := range map[string]string{token: "acme web-1 web-1", globex: "globex db-1 db-1"} {
			if body := w.fetch(t, token, site, "panel=first").Body.String(); !strings.Contains(body, `"title":"`+want+`"`) {
				t.Errorf("no %q in %s", want, body)
			}
		}

		one := w.token(t, map[string]any{"dashboard": id, "panels": []string{"disk"}, "filters": acme, "origins": []string{site}})
		if rec := w.fetch(t, one, site, ""); rec.Code != 200 || !strings.Contains(rec.Body.String(), "Disk used") {
			t.Error(rec.Code, rec.Body)
		}
		if rec := w.fetch(t, one, site, "panel=requests"); rec.Code != 404 {
			t.Error("a token for one panel shows another:", rec.Code)
		}
		if rec := w.fetch(t, one, "https://other.example", ""); rec.Code != 403 {
			t.Error("a token for one site works on another:", rec.Code)
		}
	})
}

// TestEmbedTokensAreRefused: expired, from another site, altered in any way, signed with another key or by nobody, and after
// a new key.
func TestEmbedTokensAreRefused(t *testing.T) {
	s := accesstest.New(t, sqliteConfig(t))
	w, id := embedWorld(t, s)
	token := w.token(t, map[string]any{"dashboard": id, "filters": []Filter{{Label: "customer", Value: "acme"}}, "ttl_seconds": 300})
	refused := func(what, token, origin string, want int) {
		t.Helper()
		rec := w.fetch(t, token, origin, "panel=requests")
		if rec.Code != want || strings.Contains(rec.Body.String(), "web-1") {
			t.Errorf("%s: %d, want %d: %s", what, rec.Code, want, rec.Body)
		}
	}
	if rec := w.fetch(t, token, site, "panel=requests"); rec.Code != 200 {
		t.Fatal(rec.Code, rec.Body)
	}
	refused("no origin", token, "", 403)
	refused("another site", token, "https://evil.example", 403)
	if rec := w.fetch(t, token, "https://evil.example", "panel=requests"); rec.Header().Get("Access-Control-Allow-Origin") != "" {
		t.Error("another site may read the answer")
	}
	refused("a site that looks alike", token, site+".evil.example", 403)
	refused("no token", "", site, 401)

	parts := strings.Split(token, ".")
	body, _ := base64.RawURLEncoding.DecodeString(parts[1])
	var c claims
	if err := json.Unmarshal(body, &c); err != nil {
		t.Fatal(err)
	}
	forge := func(change func(*claims)) string {
		x := c
		change(&x)
		raw, _ := json.Marshal(x)
		return parts[0] + "." + base64.RawURLEncoding.EncodeToString(raw) + "." + parts[2]
	}
	refused("without filters", forge(func(c *claims) { c.Filters = nil }), site, 401)
	refused("with another filter", forge(func(c *claims) { c.Filters = []Filter{{Label: "customer", Value: "globex"}} }), site, 401)
	refused("longer", forge(func(c *claims) { c.Expires += 3600 }), site, 401)
	refused("for another dashboard", forge(func(c *claims) { c.Dashboard = "app.x" }), site, 401)
	refused("signed with a key of one's own", sign(c, []byte("0123456789abcdef0123456789abcdef")), site, 401)
	refused("signed with an empty key", sign(c, nil), site, 401)
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`))
	refused("alg none", none+"."+parts[1]+".", site, 401)
	for i := range len(token) {
		flipped := []byte(token)
		if flipped[i] == '.' {
			continue
		}
		flipped[i] = map[bool]byte{true: 'B', false: 'A'}[flipped[i] == 'A']
		if string(flipped) != token {
			if rec := w.fetch(t, string(flipped), site, "panel=requests"); rec.Code != 401 {
				t.Fatalf("byte %d altered: %d", i, rec.Code)
			}
		}
	}
	_, foreign, _ := s.Owner(t, stranger, "E")
	w.Browser(t, "192.0.2.5").SignIn(stranger).Post(homeHref(foreign)+"/embedding", "origins", site).Is(303)
	e, err := w.m.embedding(t.Context(), foreign)
	if err != nil {
		t.Fatal(err)
	}
	refused("signed by another workspace", sign(c, e.key), site, 401)

	s.Clock.Add(5 * time.Minute)
	refused("expired", token, site, 401)
	fresh := w.token(t, map[string]any{"dashboard": id, "filters": []Filter{}})
	if rec := w.fetch(t, fresh, site, "panel=requests"); rec.Code != 200 {
		t.Fatal(rec.Code, rec.Body)
	}
	w.Browser(t, "192.0.2.1").SignIn(owner).Post(w.base + "/embedding/rotate").To(w.base + "/embedding?done=rotated")
	refused("after a new key", fresh, site, 401)
	again := w.token(t, map[string]any{"dashboard": id, "filters": []Filter{}})
	w.Browser(t, "192.0.2.1").SignIn(owner).Post(w.base+"/embedding", "origins", "").To(w.base + "/embedding?done=saved")
	refused("after the site was taken off", again, site, 403)
}

// TestTokensMustBeAskedForRightly: what a request for a token must say, and what it must not.
func TestTokensMustBeAskedForRightly(t *testing.T) {
	s := accesstest.New(t, sqliteConfig(t))
	w, id := embedWorld(t, s)
	for _, x := range []struct {
		in   map[string]any
		want int
	}{
		{map[string]any{"dashboard": id}, 422}, // filters must be said
		{map[string]any{"dashboard": "nope", "filters": []Filter{}}, 422},
		{map[string]any{"dashboard": id, "panels": []string{"nope"}, "filters": []Filter{}}, 422},
		{map[string]any{"dashboard": id, "filters": []Filter{}, "ttl_seconds": 60}, 422},
		{map[string]any{"dashboard": id, "filters": []Filter{}, "ttl_seconds": 7200}, 422},
		{map[string]any{"dashboard": id, "filters": []Filter{}, "origins": []string{"https://evil.example"}}, 422},
		{map[string]any{"dashboard": id, "filters": []Filter{{Label: "customer", Op: "!=", Value: "x"}}}, 422}, // lets through what has no such label
		{map[string]any{"dashboard": id, "filters": []Filter{{Label: "customer", Op: "=~", Value: ".*"}}}, 422},
		{map[string]any{"dashboard": id, "filters": []Filter{{Label: "customer", Op: "=~", Value: "("}}}, 422},
		{map[string]any{"dashboard": id, "filters": []Filter{{Label: "customer", Value: ""}}}, 422},
		{map[string]any{"dashboard": id, "filter": []Filter{}}, 400}, // a misspelt field
		{map[string]any{"dashboard": id, "filters": []Filter{{Label: "customer", Op: "=~", Value: "acme|globex"}}}, 201},
	} {
		if rec, _ := w.api(t, "POST", "/api/v1/embed/tokens", x.in); rec.Code != x.want {
			t.Errorf("%v: %d, want %d: %s", x.in, rec.Code, x.want, rec.Body)
		}
	}
}
