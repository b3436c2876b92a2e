package intake

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/s2"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/series"
)

func ls(pairs ...string) labels.Labels { return labels.FromStrings(pairs...) }

func written(rec *httptest.ResponseRecorder) string {
	h := rec.Header()
	return h.Get("X-Prometheus-Remote-Write-Samples-Written") + " " + h.Get("X-Prometheus-Remote-Write-Histograms-Written") + " " + h.Get("X-Prometheus-Remote-Write-Exemplars-Written")
}

func TestBothVersionsStoreTheSame(t *testing.T) {
	t.Parallel()
	h := &histogram.Histogram{Schema: 1, Count: 3, Sum: 5, ZeroThreshold: 0.001, ZeroCount: 1, PositiveSpans: []histogram.Span{{Offset: 0, Length: 2}}, PositiveBuckets: []int64{1, 0}}
	a, b, c := ls("__name__", "a", "host", "x"), ls("__name__", "resource.cpu usage", "job", "é\n"), ls("__name__", "h")

	w1 := newWorld(t, nil)
	s := one1(a, 1, 0, 15)
	s.Exemplars = []prompb.Exemplar{{Labels: prompb.FromLabels(ls("trace_id", "t"), nil), Value: 1, Timestamp: at(0)}}
	want(t, w1.write1(t, &prompb.WriteRequest{Timeseries: []prompb.TimeSeries{s, one1(b, math.Inf(1), 0), one1(b, math.Float64frombits(value.StaleNaN), 15),
		{Labels: prompb.FromLabels(c, nil), Histograms: []prompb.Histogram{prompb.FromIntHistogram(at(0), h)}}}}), 204)

	w2 := newWorld(t, nil)
	r := newRequest2().add(a, 1, 0, 15).add(b, math.Inf(1), 0).add(b, math.Float64frombits(value.StaleNaN), 15)
	r.Timeseries[0].Exemplars = []writev2.Exemplar{{LabelsRefs: r.table.SymbolizeLabels(ls("trace_id", "t"), nil), Value: 1, Timestamp: at(0)}}
	r.Timeseries = append(r.Timeseries, writev2.TimeSeries{LabelsRefs: r.table.SymbolizeLabels(c, nil), Histograms: []writev2.Histogram{writev2.FromIntHistogram(0, at(0), h)}})
	rec := w2.write2(t, r.done())
	want(t, rec, 204)
	if written(rec) != "4 1 1" {
		t.Errorf("written: %s", written(rec))
	}
	for _, w := range []*world{w1, w2} {
		same(t, w.read(t, ws), `{__name__="a", host="x"} 0 1`, `{__name__="a", host="x"} 15 2`, `{__name__="resource.cpu usage", job="é\n"} 0 +Inf`,
			`{__name__="resource.cpu usage", job="é\n"} 15 NaN`, `{__name__="h"} 0 {count:3, sum:5, [-0.001,0.001]:1, (0.7071067811865475,1]:1, (1,1.414213562373095]:1}`)
		q, err := w.store.For(ws).ExemplarQuerier(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got, err := q.Select(0, math.MaxInt64, []*labels.Matcher{labels.MustNewMatcher(labels.MatchEqual, "__name__", "a")})
		if err != nil || len(got) != 1 || len(got[0].Exemplars) != 1 || got[0].Exemplars[0].Labels.Get("trace_id") != "t" {
			t.Errorf("exemplars: %v %v", got, err)
		}
	}
	same(t, w1.read(t, other)) // and nobody else has anything
}

// TestWhatIsValidIsStored: one bad series or sample must not take the request with it, in either version.
func TestWhatIsValidIsStored(t *testing.T) {
	t.Parallel()
	good, twice := ls("__name__", "good"), labels.New(labels.Label{Name: "__name__", Value: "m"}, labels.Label{Name: "a", Value: "1"}, labels.Label{Name: "a", Value: "2"})
	bad := []labels.Labels{ls("job", "nameless"), twice, ls("__name__", "m", "bad\xff", "x"), ls("__name__", "long", "l", strings.Repeat("x", maxLabelValue+1)), tooManyLabels()}
	all := func() (names []labels.Labels, seconds []int) {
		names, seconds = append(names, bad...), make([]int, len(bad))
		return append(names, good, good, good, ls("__name__", "new")), append(seconds, 0, -3*24*3600, 3600, 0)
	}
	wantStored := []string{`{__name__="good"} 0 5`, `{__name__="new"} 0 5`}

	w := newWorld(t, nil)
	req := &prompb.WriteRequest{}
	names, seconds := all()
	for i := range names {
		req.Timeseries = append(req.Timeseries, one1(names[i], 5, seconds[i]))
	}
	rec := w.write1(t, req)
	want(t, rec, 400)
	same(t, w.read(t, ws), wantStored...)
	if !strings.Contains(rec.Body.String(), "no metric name") || !strings.Contains(rec.Body.String(), "in the future") {
		t.Errorf("the answer does not say what was wrong: %s", rec.Body)
	}

	w = newWorld(t, nil)
	r := newRequest2()
	for i := range names {
		r.add(names[i], 5, seconds[i])
	}
	rec = w.write2(t, r.done())
	want(t, rec, 400)
	same(t, w.read(t, ws), wantStored...)
	if written(rec) != "2 0 0" {
		t.Errorf("written: %s", written(rec))
	}
}

func tooManyLabels() labels.Labels {
	b := labels.NewScratchBuilder(maxLabels + 1)
	b.Add("__name__", "wide")
	for i := range maxLabels {
		b.Add(fmt.Sprintf("l%03d", i), "x")
	}
	b.Sort()
	return b.Labels()
}

// TestSeriesLimit: at the limit a workspace keeps what it has and is told what did not fit; nothing is retried for ever.
func TestSeriesLimit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *series.Config) {
		c.MaxSeries = func(context.Context, kernel.WorkspaceID) (int64, error) { return 2, nil }
	})
	name := func(i int) labels.Labels { return ls("__name__", fmt.Sprintf("m%d", i)) }
	want(t, w.write1(t, &prompb.WriteRequest{Timeseries: []prompb.TimeSeries{one1(name(1), 1, 0), one1(name(2), 1, 0)}}), 204)
	rec := w.write1(t, &prompb.WriteRequest{Timeseries: []prompb.TimeSeries{one1(name(3), 1, 15), one1(name(1), 2, 15)}})
	want(t, rec, 400)
	if !strings.Contains(rec.Body.String(), "as many active series as it may") {
		t.Errorf("answer: %s", rec.Body)
	}
	rec = w.write2(t, newRequest2().add(name(4), 1, 30).add(name(2), 2, 30).done())
	want(t, rec, 400)
	if written(rec) != "1 0 0" {
		t.Errorf("written: %s", written(rec))
	}
	same(t, w.read(t, ws), `{__name__="m1"} 0 1`, `{__name__="m1"} 15 2`, `{__name__="m2"} 0 1`, `{__name__="m2"} 30 2`)
}

func TestWhatIsNotRemoteWrite(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	body, err := (&prompb.WriteRequest{Timeseries: []prompb.TimeSeries{one1(ls("__name__", "m"), 1, 0)}}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	packed := s2.EncodeSnappy(nil, body)
	big := binary.AppendUvarint(nil, 1<<31)
	for _, c := range []struct {
		name    string
		body    []byte
		status  int
		headers []string
	}{
		{"another type, damaged too", []byte("0000"), 415, []string{"Content-Type", "application/json"}},
		{"another message", packed, 415, []string{"Content-Type", "application/x-protobuf;proto=a.b.C"}},
		{"another encoding", packed, 415, []string{"Content-Encoding", "gzip"}},
		{"not snappy", []byte{0xff, 0xff, 0xff}, 400, nil},
		{"snappy of nonsense", s2.EncodeSnappy(nil, []byte("nonsense, but long enough")), 400, nil},
		{"a claim of two gigabytes", big, 413, nil},
		{"no key", packed, 401, []string{"Authorization", ""}},
		{"a wrong key", packed, 401, []string{"Authorization", "Bearer kept_wrong"}},
		{"a key that may only read", packed, 403, []string{"Authorization", "Bearer " + noRead}},
		{"no type at all", packed, 204, nil},
		{"a key as password", packed, 204, []string{"Authorization", basic("anybody", key)}},
		{"behind a prefix", packed, 204, nil},
	} {
		path := writePath
		if c.name == "behind a prefix" {
			path = "/kept" + writePath + "/"
		}
		rec := w.post(path, c.body, c.headers...)
		if rec.Code != c.status {
			t.Errorf("%s: answered %d, want %d: %s", c.name, rec.Code, c.status, rec.Body)
		}
		if rec.Code >= 400 && (rec.Body.Len() == 0 || !strings.HasPrefix(rec.Header().Get("Content-Type"), "text/plain")) {
			t.Errorf("%s: the answer is %q", c.name, rec.Header())
		}
	}
}

func basic(user, password string) string {
	r := httptest.NewRequest("GET", "/", nil)
	r.SetBasicAuth(user, password)
	return r.Header.Get("Authorization")
}

// TestDamageUndoesTheRequest: a message that breaks off is refused whole, whatever came before the break.
func TestDamageUndoesTheRequest(t *testing.T) {
	t.Parallel()
	for version, content := range map[int]string{1: "application/x-protobuf", 2: type2} {
		w := newWorld(t, nil)
		var body []byte
		if version == 1 {
			body, _ = (&prompb.WriteRequest{Timeseries: []prompb.TimeSeries{one1(ls("__name__", "a"), 1, 0), one1(ls("__name__", "b"), 1, 0)}}).Marshal()
		} else {
			body, _ = newRequest2().add(ls("__name__", "a"), 1, 0).add(ls("__name__", "b"), 1, 0).done().Marshal()
		}
		want(t, w.post(writePath, s2.EncodeSnappy(nil, body[:len(body)-3]), "Content-Type", content), 400)
		same(t, w.read(t, ws))
	}
}

func TestTooManySymbols(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	want(t, w.post(writePath, s2.EncodeSnappy(nil, bytes.Repeat([]byte{4<<3 | 2, 0}, maxSymbols+1)), "Content-Type", type2), 413)
}

func TestQuota(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.rate = 0.1 // samples a second: six in a minute
	send := func(second int) *httptest.ResponseRecorder {
		req := &prompb.WriteRequest{}
		for i := range 9 {
			req.Timeseries = append(req.Timeseries, one1(ls("__name__", fmt.Sprintf("m%d", i)), 1, second))
		}
		return w.write1(t, req)
	}
	want(t, send(0), 204) // three over what was saved up
	rec := send(15)
	want(t, rec, http.StatusTooManyRequests)
	if rec.Header().Get("Retry-After") != "30" {
		t.Errorf("Retry-After: %q", rec.Header().Get("Retry-After"))
	}
	w.now = w.now.Add(31 * time.Second)
	want(t, send(30), 204)
	if n := len(w.read(t, ws)); n != 18 {
		t.Errorf("%d samples are stored", n)
	}
}

func TestHostsShowThemselves(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	info := ls("__name__", "node_uname_info", "instance", "web-1", "nodename", "web-1", "release", "6.12")
	want(t, w.write1(t, &prompb.WriteRequest{Timeseries: []prompb.TimeSeries{one1(ls("__name__", "up", "instance", "web-1"), 1, 0), one1(info, 1, 0)}}), 204)
	want(t, w.write2(t, newRequest2().add(info, 1, 15).done()), 204)
	if len(w.hosts) != 2 || w.hosts[0].Get("instance") != "web-1" || w.hosts[1].Get("release") != "6.12" {
		t.Errorf("seen: %v", w.hosts)
	}
}
