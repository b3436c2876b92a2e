package intake

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/prompb"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
)

const otlpPath = "/v1/metrics"

// export is a request of one host with a gauge, a delta sum and a cumulative histogram.
func export(host string) pmetricotlp.ExportRequest {
	md := pmetric.NewMetrics()
	rm := md.ResourceMetrics().AppendEmpty()
	rm.Resource().Attributes().PutStr("host.name", host)
	rm.Resource().Attributes().PutStr("deployment.environment.name", "prod")
	rm.Resource().Attributes().PutStr("secret.thing", "stays in target_info")
	list := rm.ScopeMetrics().AppendEmpty().Metrics()
	when := func(second int) pcommon.Timestamp {
		return pcommon.NewTimestampFromTime(start.Add(time.Duration(second) * time.Second))
	}
	g := list.AppendEmpty()
	g.SetName("system.memory.usage")
	g.SetUnit("By")
	p := g.SetEmptyGauge().DataPoints().AppendEmpty()
	p.SetIntValue(7)
	p.SetTimestamp(when(0))
	d := list.AppendEmpty()
	d.SetName("requests")
	sum := d.SetEmptySum()
	sum.SetIsMonotonic(true)
	sum.SetAggregationTemporality(pmetric.AggregationTemporalityDelta)
	for i, v := range []int64{3, 4} {
		p := sum.DataPoints().AppendEmpty()
		p.SetIntValue(v)
		p.SetStartTimestamp(when(15 * (i - 1)))
		p.SetTimestamp(when(15 * i))
	}
	h := list.AppendEmpty()
	h.SetName("latency")
	h.SetUnit("s")
	hist := h.SetEmptyHistogram()
	hist.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	hp := hist.DataPoints().AppendEmpty()
	hp.SetTimestamp(when(0))
	hp.ExplicitBounds().FromRaw([]float64{1})
	hp.BucketCounts().FromRaw([]uint64{2, 1})
	hp.SetCount(3)
	hp.SetSum(4)
	return pmetricotlp.NewExportRequestFromMetrics(md)
}

func gz(b []byte) []byte {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	z.Write(b)
	z.Close()
	return out.Bytes()
}

func TestOTLP(t *testing.T) {
	t.Parallel()
	proto, err := export("web-1").MarshalProto()
	if err != nil {
		t.Fatal(err)
	}
	text, err := export("web-1").MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	for name, send := range map[string]struct {
		path    string
		body    []byte
		headers []string
	}{
		"protobuf":            {otlpPath, proto, []string{"Content-Type", "application/x-protobuf"}},
		"JSON":                {otlpPath, text, []string{"Content-Type", "application/json; charset=utf-8"}},
		"gzip, as Prometheus": {"/prometheus/api/v1/otlp/v1/metrics", gz(proto), []string{"Content-Type", "application/x-protobuf", "Content-Encoding", "gzip"}},
	} {
		w := newWorld(t, nil)
		rec := w.post(send.path, send.body, send.headers...)
		want(t, rec, 200)
		if got := rec.Header().Get("Content-Type"); got != strings.Split(send.headers[1], ";")[0] {
			t.Errorf("%s: answered as %s", name, got)
		}
		const l = `, deployment_environment_name="prod", host_name="web-1"`
		var got []string
		for _, line := range w.read(t, ws) {
			if !strings.HasPrefix(line, `{__name__="target_info"`) {
				got = append(got, line)
			} else if !strings.Contains(line, "secret_thing") {
				t.Errorf("%s: %s", name, line)
			}
		}
		same(t, got, `{__name__="system_memory_usage_bytes"`+l+`} 0 7`, `{__name__="requests_total"`+l+`} 0 3`, `{__name__="requests_total"`+l+`} 15 4`,
			`{__name__="latency_seconds_bucket"`+l+`, le="1"} 0 2`, `{__name__="latency_seconds_bucket"`+l+`, le="+Inf"} 0 3`,
			`{__name__="latency_seconds_count"`+l+`} 0 3`, `{__name__="latency_seconds_sum"`+l+`} 0 4`)
	}
}

// TestOTLPAgain: a request that is sent again after a lost answer changes nothing, deltas included.
func TestOTLPAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	proto, _ := export("web-1").MarshalProto()
	want(t, w.post(otlpPath, proto, "Content-Type", "application/x-protobuf"), 200)
	first := w.read(t, ws)
	want(t, w.post(otlpPath, proto, "Content-Type", "application/x-protobuf"), 200)
	same(t, w.read(t, ws), first...)
}

func TestOTLPPartialSuccess(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	req := export("web-1")
	m := req.Metrics().ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).Gauge().DataPoints().AppendEmpty()
	m.SetIntValue(1)
	m.SetTimestamp(pcommon.NewTimestampFromTime(start.Add(-90 * 24 * time.Hour))) // too old once the others have come
	m.Attributes().PutStr("old", "yes")
	text, _ := req.MarshalJSON()
	body, _ := export("web-1").MarshalProto()
	want(t, w.post(otlpPath, body, "Content-Type", "application/x-protobuf"), 200)
	rec := w.post(otlpPath, text, "Content-Type", "application/json")
	want(t, rec, 200)
	var answer struct {
		PartialSuccess struct {
			Rejected json.Number `json:"rejectedDataPoints"`
			Message  string      `json:"errorMessage"`
		} `json:"partialSuccess"`
	}
	if err := json.Unmarshal(rec.Body.Bytes(), &answer); err != nil || answer.PartialSuccess.Rejected.String() == "0" || answer.PartialSuccess.Message == "" {
		t.Errorf("answer: %s %v", rec.Body, err)
	}
}

// TestOTLPFromTheBeginningOfTime: one point with a time of zero, or of a far future, costs no more than any other.
func TestOTLPFromTheBeginningOfTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	req := export("web-1")
	points := req.Metrics().ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).Gauge().DataPoints()
	points.AppendEmpty().SetIntValue(1)
	points.AppendEmpty().SetTimestamp(pcommon.Timestamp(1<<63 - 1))
	body, _ := req.MarshalProto()
	rec := w.post(otlpPath, body, "Content-Type", "application/x-protobuf")
	want(t, rec, 200)
	if !strings.Contains(rec.Body.String(), "in the future") {
		t.Errorf("answer: %q", rec.Body)
	}
	if n := len(w.read(t, ws)); n < 7 || n > 10 {
		t.Errorf("%d samples are stored", n)
	}
}

func TestWhatIsNotOTLP(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	proto, _ := export("web-1").MarshalProto()
	manyMessages := bytes.Repeat([]byte{1<<3 | 2, 0}, maxMessages+1)
	for _, c := range []struct {
		name    string
		body    []byte
		status  int
		headers []string
	}{
		{"another type", proto, 415, []string{"Content-Type", "text/plain"}},
		{"another encoding", proto, 415, []string{"Content-Type", "application/x-protobuf", "Content-Encoding", "br"}},
		{"damaged", proto[:len(proto)-2], 400, []string{"Content-Type", "application/x-protobuf"}},
		{"damaged JSON", []byte("{"), 400, []string{"Content-Type", "application/json"}},
		{"not gzip", proto, 400, []string{"Content-Type", "application/x-protobuf", "Content-Encoding", "gzip"}},
		{"a bomb of zeros", gz(make([]byte, maxDecoded+1)), 413, []string{"Content-Type", "application/x-protobuf", "Content-Encoding", "gzip"}},
		{"a bomb of empty messages", manyMessages, 413, []string{"Content-Type", "application/x-protobuf"}},
		{"a bomb in JSON", []byte(`{"resourceMetrics":[` + strings.Repeat("{},", maxMessages) + "{}]}"), 413, []string{"Content-Type", "application/json"}},
		{"no key", proto, 401, []string{"Content-Type", "application/x-protobuf", "Authorization", ""}},
		{"a key that may only read", proto, 403, []string{"Content-Type", "application/json", "Authorization", "Bearer " + noRead}},
	} {
		if rec := w.post(otlpPath, c.body, c.headers...); rec.Code != c.status || rec.Body.Len() == 0 {
			t.Errorf("%s: answered %d, want %d: %s", c.name, rec.Code, c.status, rec.Body)
		}
	}
	same(t, w.read(t, ws))
}

// TestRulesHoldForAllWays: what a workspace wants dropped is dropped whichever way it comes, and the sender is content.
func TestRulesHoldForAllWays(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.rules = NewRules([]Rule{
		{Matchers: []*labels.Matcher{labels.MustNewMatcher(labels.MatchEqual, "__name__", "cpu"), labels.MustNewMatcher(labels.MatchRegexp, "mode", "steal|nice")}},
		{Matchers: []*labels.Matcher{labels.MustNewMatcher(labels.MatchRegexp, "__name__", "system_.*|latency_.*|target_info|requests_.*")}},
	})
	keep, drop := ls("__name__", "cpu", "mode", "user"), ls("__name__", "cpu", "mode", "steal")
	want(t, w.write1(t, &prompb.WriteRequest{Timeseries: []prompb.TimeSeries{one1(keep, 1, 0), one1(drop, 1, 0)}}), 204)
	rec := w.write2(t, newRequest2().add(keep, 2, 15).add(drop, 2, 15).done())
	want(t, rec, 204)
	if written(rec) != "2 0 0" { // fewer than were sent would be an error to the sender
		t.Errorf("written: %s", written(rec))
	}
	proto, _ := export("web-1").MarshalProto()
	rec = w.post(otlpPath, proto, "Content-Type", "application/x-protobuf")
	want(t, rec, 200)
	answer := pmetricotlp.NewExportResponse()
	if err := answer.UnmarshalProto(rec.Body.Bytes()); err != nil || answer.PartialSuccess().ErrorMessage() != "" || answer.PartialSuccess().RejectedDataPoints() != 0 {
		t.Errorf("answer: %q", rec.Body)
	}
	same(t, w.read(t, ws), `{__name__="cpu", mode="user"} 0 1`, `{__name__="cpu", mode="user"} 15 2`)
}
