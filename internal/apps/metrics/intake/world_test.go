package intake

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/klauspost/compress/s2"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/series"
)

const (
	ws     = kernel.WorkspaceID("01hzzzzzzzzzzzzzzzzzzzzzzz")
	other  = kernel.WorkspaceID("01hyyyyyyyyyyyyyyyyyyyyyyy")
	key    = "kept_good"
	noRead = "kept_reader"
)

// start is the time in these tests.
var start = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// world is the ways in, in front of a real store.
type world struct {
	*httpx.Mux
	store series.Store // as the server has it: watched
	now   time.Time
	rules *Rules
	rate  float64
	hosts []labels.Labels
}

func newWorld(t testing.TB, change func(*series.Config)) *world {
	t.Helper()
	w := &world{now: start}
	clock := func() time.Time { return w.now }
	cfg := series.Config{Dir: t.TempDir(), Clock: clock, Logger: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(&cfg)
	}
	store, err := series.OpenTSDB(cfg)
	if err != nil {
		t.Fatal(err)
	}
	w.store = series.Watch(store)
	t.Cleanup(func() {
		if err := w.store.Close(); err != nil {
			t.Error(err)
		}
	})
	w.Mux = mux(t, w.intake(t, w.store, clock))
	return w
}

func (w *world) intake(t testing.TB, store series.Store, clock kernel.Clock) *Intake {
	in, err := New(Deps{Store: store, Clock: clock, Logger: slog.New(slog.DiscardHandler), ByToken: byToken,
		Rules: func(context.Context, kernel.WorkspaceID) (*Rules, error) { return w.rules, nil },
		Rate:  func(context.Context, kernel.WorkspaceID) (float64, error) { return w.rate, nil },
		Host:  func(_ kernel.WorkspaceID, ls labels.Labels) { w.hosts = append(w.hosts, ls) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func mux(t testing.TB, in *Intake) *httpx.Mux {
	m, err := httpx.NewMux(httpx.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	route := httpx.Route{Method: "POST", Path: "/prometheus/api/v1/write", Handler: in.RemoteWrite, Access: httpx.Handled, Rate: httpx.RateIngest, MaxBody: MaxBody,
		AnyPrefix: true, Fail: Fail, NoAudit: "samples"}
	otlp := route
	otlp.Path, otlp.Handler, otlp.Fail = "/v1/metrics", in.OTLP, FailOTLP
	if err := m.Add(route, otlp); err != nil {
		t.Fatal(err)
	}
	return m
}

func byToken(_ context.Context, token string) (httpx.Actor, error) {
	switch token {
	case key:
		return httpx.Actor{KeyID: "k", WorkspaceID: ws, Scopes: []string{"ingest"}}, nil
	case "kept_other":
		return httpx.Actor{KeyID: "o", WorkspaceID: other, Scopes: []string{"ingest"}}, nil
	case noRead:
		return httpx.Actor{KeyID: "r", WorkspaceID: ws, Scopes: []string{"read"}}, nil
	}
	return httpx.Actor{}, kernel.Errorf(kernel.Unauthenticated, "This key is wrong.")
}

// post sends a body with headers: pairs of name and value.
func (w *world) post(path string, body []byte, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("POST", path, bytes.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+key)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	rec := httptest.NewRecorder()
	w.ServeHTTP(rec, r)
	return rec
}

const (
	writePath = "/prometheus/api/v1/write"
	type2     = "application/x-protobuf;proto=io.prometheus.write.v2.Request"
)

func (w *world) write1(t testing.TB, req *prompb.WriteRequest, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	b, err := req.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return w.post(writePath, s2.EncodeSnappy(nil, b), append([]string{"Content-Type", "application/x-protobuf", "Content-Encoding", "snappy"}, headers...)...)
}

func (w *world) write2(t testing.TB, req *writev2.Request, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	b, err := req.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return w.post(writePath, s2.EncodeSnappy(nil, b), append([]string{"Content-Type", type2, "Content-Encoding", "snappy"}, headers...)...)
}

// want fails the test when the answer is another.
func want(t testing.TB, rec *httptest.ResponseRecorder, status int) {
	t.Helper()
	if rec.Code != status {
		t.Fatalf("answered %d, want %d: %s", rec.Code, status, rec.Body)
	}
}

// one is a series with samples at seconds after start: v, v+1, …
func one1(ls labels.Labels, v float64, seconds ...int) prompb.TimeSeries {
	out := prompb.TimeSeries{Labels: prompb.FromLabels(ls, nil)}
	for i, s := range seconds {
		out.Samples = append(out.Samples, prompb.Sample{Value: v + float64(i), Timestamp: at(s)})
	}
	return out
}

func at(second int) int64 { return start.Add(time.Duration(second) * time.Second).UnixMilli() }

type request2 struct {
	writev2.Request
	table writev2.SymbolsTable
}

func newRequest2() *request2 { return &request2{table: writev2.NewSymbolTable()} }

func (r *request2) add(ls labels.Labels, v float64, seconds ...int) *request2 {
	s := writev2.TimeSeries{LabelsRefs: r.table.SymbolizeLabels(ls, nil)}
	for i, sec := range seconds {
		s.Samples = append(s.Samples, writev2.Sample{Value: v + float64(i), Timestamp: at(sec)})
	}
	r.Timeseries = append(r.Timeseries, s)
	return r
}

func (r *request2) done() *writev2.Request {
	r.Symbols = r.table.Symbols()
	return &r.Request
}

// read is everything that a workspace has: "{labels} time value", sorted.
func (w *world) read(t testing.TB, ws kernel.WorkspaceID) []string {
	t.Helper()
	return read(t, w.store, ws)
}

func read(t testing.TB, store series.Store, ws kernel.WorkspaceID) (out []string) {
	q, err := store.For(ws).Querier(math.MinInt64, math.MaxInt64)
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	set := q.Select(t.Context(), true, nil, labels.MustNewMatcher(labels.MatchNotEqual, model.MetricNameLabel, ""))
	for set.Next() {
		s := set.At()
		it := s.Iterator(nil)
		for kind := it.Next(); kind != chunkenc.ValNone; kind = it.Next() {
			value := ""
			switch kind {
			case chunkenc.ValFloat:
				_, v := it.At()
				value = fmt.Sprint(v)
			case chunkenc.ValHistogram, chunkenc.ValFloatHistogram:
				_, h := it.AtFloatHistogram(nil)
				value = h.String()
			}
			out = append(out, fmt.Sprintf("%s %d %s", s.Labels(), (it.AtT()-start.UnixMilli())/1000, value))
		}
		if it.Err() != nil {
			t.Fatal(it.Err())
		}
	}
	if set.Err() != nil {
		t.Fatal(set.Err())
	}
	slices.Sort(out)
	return out
}

func same(t testing.TB, got []string, want ...string) {
	t.Helper()
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("there is\n%q\nwant\n%q", got, want)
	}
}

var _ http.Handler = (*world)(nil)
