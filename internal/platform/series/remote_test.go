package series_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	remoteapi "github.com/prometheus/client_golang/exp/api/remote"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/storage/remote"
	"github.com/prometheus/prometheus/tsdb"

	"github.com/kept-dev/kept/internal/platform/series"
	"github.com/kept-dev/kept/internal/platform/series/seriestest"
)

// standIn is a cluster: Prometheus's own handlers for remote write and remote read over one database for all, and the few
// questions of the API that the adapter asks. TestRealPrometheus has a real one in its place.
type standIn struct {
	t        *testing.T
	db       *tsdb.DB
	parser   parser.Parser
	requests atomic.Int64
	fail     atomic.Int64 // so many writes are answered 503
	tenants  atomic.Pointer[string]
}

func cluster(t *testing.T, kinds remoteapi.MessageTypes, read bool) (*standIn, *httptest.Server) {
	t.Helper()
	o := tsdb.DefaultOptions()
	o.RetentionDuration, o.StripeSize = 0, 64
	o.OutOfOrderTimeWindow = seriestest.Window.Milliseconds()
	o.EnableExemplarStorage, o.MaxExemplars = true, 100
	db, err := tsdb.Open(t.TempDir(), nil, nil, o, nil)
	if err != nil {
		t.Fatal(err)
	}
	c := &standIn{t: t, db: db, parser: parser.NewParser(parser.Options{})}
	mux := http.NewServeMux()
	write := remote.NewWriteHandler(promslog.NewNopLogger(), prometheus.NewRegistry(), db, kinds, false, false)
	mux.HandleFunc("POST /api/v1/write", func(w http.ResponseWriter, r *http.Request) {
		c.requests.Add(1)
		if c.fail.Add(-1) >= 0 {
			http.Error(w, "not now", http.StatusServiceUnavailable)
			return
		}
		write.ServeHTTP(w, r)
	})
	if read {
		mux.Handle("POST /api/v1/read", remote.NewReadHandler(promslog.NewNopLogger(), prometheus.NewRegistry(), db, func() config.Config { return config.Config{} }, 0, 4, 1<<20))
	}
	mux.HandleFunc("GET /api/v1/query", c.query)
	mux.HandleFunc("GET /api/v1/labels", c.ask(func(q storage.Querier, _ *http.Request, m []*labels.Matcher) (any, error) {
		names, _, err := q.LabelNames(t.Context(), nil, m...)
		return names, err
	}))
	mux.HandleFunc("GET /api/v1/label/{name}/values", c.ask(func(q storage.Querier, r *http.Request, m []*labels.Matcher) (any, error) {
		values, _, err := q.LabelValues(t.Context(), r.PathValue("name"), nil, m...)
		return values, err
	}))
	mux.HandleFunc("GET /api/v1/series", c.ask(func(q storage.Querier, r *http.Request, m []*labels.Matcher) (any, error) {
		limit, _ := strconv.Atoi(r.FormValue("limit"))
		out, set := []map[string]string{}, q.Select(t.Context(), true, nil, m...)
		for set.Next() && len(out) < limit {
			if it := set.At().Iterator(nil); it.Next() != 0 {
				out = append(out, set.At().Labels().Map())
			}
		}
		return out, set.Err()
	}))
	mux.HandleFunc("GET /api/v1/query_exemplars", c.exemplars)
	mux.HandleFunc("POST /api/v1/admin/tsdb/delete_series", func(w http.ResponseWriter, r *http.Request) {
		if err := db.Delete(r.Context(), math.MinInt64, math.MaxInt64, c.matchers(r, "match[]")...); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if tenant := r.Header.Get("X-Scope-OrgID"); tenant != "" {
			c.tenants.Store(&tenant)
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(func() { s.Close(); db.Close() })
	return c, s
}

func (c *standIn) matchers(r *http.Request, name string) []*labels.Matcher {
	text := r.FormValue(name)
	if text == "" {
		return nil
	}
	m, err := c.parser.ParseMetricSelector(text)
	if err != nil {
		c.t.Errorf("%s: %v", text, err)
	}
	return m
}

func millis(r *http.Request, name string, otherwise int64) int64 {
	f, err := strconv.ParseFloat(r.FormValue(name), 64)
	if err != nil {
		return otherwise
	}
	return int64(math.Round(f * 1000))
}

func (c *standIn) answer(w http.ResponseWriter, data any, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	json.NewEncoder(w).Encode(map[string]any{"status": "success", "data": data})
}

func (c *standIn) ask(f func(storage.Querier, *http.Request, []*labels.Matcher) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		q, err := c.db.Querier(millis(r, "start", math.MinInt64), millis(r, "end", math.MaxInt64))
		if err != nil {
			c.answer(w, nil, err)
			return
		}
		defer q.Close()
		data, err := f(q, r, c.matchers(r, "match[]"))
		c.answer(w, data, err)
	}
}

// query is a range of raw samples, in the API's JSON.
func (c *standIn) query(w http.ResponseWriter, r *http.Request) {
	engine := promql.NewEngine(promql.EngineOpts{MaxSamples: 1e6, Timeout: time.Minute, Parser: c.parser})
	q, err := engine.NewInstantQuery(r.Context(), c.db, nil, r.FormValue("query"), time.UnixMilli(millis(r, "time", 0)))
	if err != nil {
		c.answer(w, nil, err)
		return
	}
	defer q.Close()
	m, err := q.Exec(r.Context()).Matrix()
	var result []any
	for _, s := range m {
		var values []any
		for _, p := range s.Floats {
			values = append(values, []any{json.Number(fmt.Sprintf("%d.%03d", p.T/1000, p.T%1000)), strconv.FormatFloat(p.F, 'f', -1, 64)})
		}
		result = append(result, map[string]any{"metric": s.Metric.Map(), "values": values})
	}
	c.answer(w, map[string]any{"resultType": "matrix", "result": result}, err)
}

func (c *standIn) exemplars(w http.ResponseWriter, r *http.Request) {
	q, err := c.db.ExemplarQuerier(r.Context())
	if err != nil {
		c.answer(w, nil, err)
		return
	}
	found, err := q.Select(millis(r, "start", 0), millis(r, "end", 0), c.matchers(r, "query"))
	var out []any
	for _, s := range found {
		var list []any
		for _, e := range s.Exemplars {
			list = append(list, map[string]any{"labels": e.Labels.Map(), "value": fmt.Sprint(e.Value), "timestamp": json.Number(fmt.Sprintf("%d.%03d", e.Ts/1000, e.Ts%1000))})
		}
		out = append(out, map[string]any{"seriesLabels": s.SeriesLabels.Map(), "exemplars": list})
	}
	c.answer(w, out, err)
}

func openRemote(t testing.TB, cfg series.RemoteConfig) *series.Remote {
	t.Helper()
	r, err := series.NewRemote(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

var (
	bothWrites = remoteapi.MessageTypes{remoteapi.WriteV1MessageType, remoteapi.WriteV2MessageType}
	oldWrites  = remoteapi.MessageTypes{remoteapi.WriteV1MessageType}
)

func TestRemote(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		kinds remoteapi.MessageTypes
		read  bool
	}{
		{"remote write 2.0", bothWrites, true},
		{"remote write 1.0", oldWrites, true},
		{"without remote read", bothWrites, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			seriestest.Run(t, seriestest.Tester{Lazy: true, FloatsOnly: !c.read, Start: func(t *testing.T) func() series.Store {
				_, s := cluster(t, c.kinds, c.read)
				return func() series.Store { return openRemote(t, series.RemoteConfig{URL: s.URL}) }
			}})
		})
	}
}

func TestRemoteTriesAgain(t *testing.T) {
	t.Parallel()
	c, s := cluster(t, bothWrites, true)
	r, ws, at := openRemote(t, series.RemoteConfig{URL: s.URL}), seriestest.NewWorkspace(), seriestest.Base()
	c.fail.Store(2)
	add(t, r.For(ws), sample("m", at, 1))
	if n := c.requests.Load(); n != 3 {
		t.Errorf("%d requests, want 3", n)
	}
	if got := c.tenants.Load(); got == nil || *got != string(ws) {
		t.Error("the tenant is not named to the cluster")
	}
	t.Run("but not for ever, and then nothing was acknowledged", func(t *testing.T) {
		r := openRemote(t, series.RemoteConfig{URL: s.URL, RetryFor: time.Nanosecond})
		c.fail.Store(math.MaxInt64)
		err := seriestest.Append(t.Context(), r.For(ws), sample("m", at.Add(time.Second), 1))
		if err == nil || errors.Is(err, storage.ErrOutOfBounds) {
			t.Errorf("a write to a cluster that is out of order: %v", err)
		}
	})
	t.Run("and not when the caller has gone", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := seriestest.Append(ctx, r.For(ws), sample("m", at, 1)); !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
	})
}

// TestRemoteKeepsTheGoodSamples: of a request with a sample that the cluster refuses, all others are stored.
func TestRemoteKeepsTheGoodSamples(t *testing.T) {
	t.Parallel()
	for name, kinds := range map[string]remoteapi.MessageTypes{"2.0": bothWrites, "1.0": oldWrites} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, s := cluster(t, kinds, true)
			r, ws, at := openRemote(t, series.RemoteConfig{URL: s.URL}), seriestest.NewWorkspace(), seriestest.Base()
			add(t, r.For(ws), sample("b", at, 1))
			good := []seriestest.Sample{sample("a", at, 1), sample("b", at, 1), sample("b", at.Add(time.Second), 2), sample("c", at, 3), sample("d", at, 4)}
			err := seriestest.Append(t.Context(), r.For(ws), append(slices.Clone(good), sample("b", at.Add(-2*seriestest.Window), 9))...)
			if !errors.Is(err, storage.ErrOutOfBounds) {
				t.Errorf("the refused sample: %v", err)
			}
			seriestest.Equal(t, seriestest.Read(t, r.For(ws), at.Add(-3*seriestest.Window), at.Add(time.Hour)), seriestest.Lines(good...))
		})
	}
}

// TestRemoteFindsOldReceivers: one that takes 2.0 for an empty 1.0, because it does not look at the content type.
func TestRemoteFindsOldReceivers(t *testing.T) {
	t.Parallel()
	var kinds []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		kinds = append(kinds, r.Header.Get("Content-Type"))
		w.WriteHeader(http.StatusNoContent)
	}))
	defer s.Close()
	r, ws := openRemote(t, series.RemoteConfig{URL: s.URL}), seriestest.NewWorkspace()
	add(t, r.For(ws), sample("m", seriestest.Base(), 1))
	add(t, r.For(ws), sample("m", seriestest.Base(), 1))
	want := []string{"application/x-protobuf;proto=io.prometheus.write.v2.Request", "application/x-protobuf", "application/x-protobuf"}
	if !slices.Equal(kinds, want) {
		t.Errorf("content types %q, want %q", kinds, want)
	}
}

// TestRemotePlaces: Prometheus takes writes below its prefix, Mimir beside it.
func TestRemotePlaces(t *testing.T) {
	t.Parallel()
	for _, place := range []string{"/prometheus/api/v1/write", "/prometheus/api/v1/push", "/api/v1/push"} {
		var auth atomic.Value
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != place {
				http.NotFound(w, r)
				return
			}
			user, password, _ := r.BasicAuth()
			auth.Store(user + " " + password)
			w.Header().Set("X-Prometheus-Remote-Write-Samples-Written", "1")
		}))
		address := strings.Replace(s.URL, "http://", "http://me:secret@", 1) + "/prometheus/"
		add(t, openRemote(t, series.RemoteConfig{URL: address}).For(seriestest.NewWorkspace()), sample("m", seriestest.Base(), 1))
		if got := auth.Load(); got != "me secret" {
			t.Errorf("%s: signed in as %q", place, got)
		}
		s.Close()
	}
	s := httptest.NewServer(http.NotFoundHandler())
	defer s.Close()
	address := strings.Replace(s.URL, "http://", "http://me:secret@", 1)
	err := seriestest.Append(t.Context(), openRemote(t, series.RemoteConfig{URL: address}).For(seriestest.NewWorkspace()), sample("m", seriestest.Base(), 1))
	if err == nil || errors.Is(err, storage.ErrOutOfBounds) || strings.Contains(err.Error(), "secret") {
		t.Errorf("a write to nowhere: %v", err)
	}
	for _, bad := range []string{"", "ftp://x", "prometheus:9090", "http://", "http://me:secret@[::1"} {
		if _, err := series.NewRemote(series.RemoteConfig{URL: bad}); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// TestRemoteErases by what the cluster has for it.
func TestRemoteErases(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		paths map[string]int
		ok    bool
	}{
		{"Prometheus", map[string]int{"/api/v1/admin/tsdb/delete_series": 204, "/api/v1/admin/tsdb/clean_tombstones": 204}, true},
		{"VictoriaMetrics", map[string]int{"/api/v1/admin/tsdb/delete_series": 204}, true},
		{"Mimir", map[string]int{"/compactor/delete_tenant": 200}, true},
		{"Prometheus without its admin API", map[string]int{"/api/v1/admin/tsdb/delete_series": 503}, false},
		{"Thanos", nil, false},
	} {
		var asked []string
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked = append(asked, r.URL.Path)
			status, ok := c.paths[r.URL.Path]
			if !ok {
				status = 404
			}
			w.WriteHeader(status)
		}))
		err := openRemote(t, series.RemoteConfig{URL: s.URL}).Erase(t.Context(), seriestest.NewWorkspace())
		if (err == nil) != c.ok {
			t.Errorf("%s: %v; asked %s", c.name, err, asked)
		}
		for path := range maps.Keys(c.paths) {
			if !slices.Contains(asked, path) {
				t.Errorf("%s: %s was not asked", c.name, path)
			}
		}
		s.Close()
	}
}
