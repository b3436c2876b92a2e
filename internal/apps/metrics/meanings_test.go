package metrics

import (
	"bytes"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/s2"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"

	"github.com/kept-dev/kept/internal/apps/metrics/intake"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/wire/agentapi"
)

// post sends a body to a way in.
func (w *world) post(t testing.TB, path, contentType string, body []byte) {
	t.Helper()
	r := httptest.NewRequest("POST", path, bytes.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+w.key)
	r.Header.Set("Content-Type", contentType)
	rec := httptest.NewRecorder()
	if w.Mux.ServeHTTP(rec, r); rec.Code >= 300 {
		t.Fatalf("%s: %d %s", path, rec.Code, rec.Body)
	}
}

// described sends series of 2.0, all of one meaning.
func (w *world) described(t testing.TB, kind writev2.Metadata_MetricType, help, unit string, names ...string) {
	t.Helper()
	table := writev2.NewSymbolTable()
	var req writev2.Request
	for _, name := range names {
		req.Timeseries = append(req.Timeseries, writev2.TimeSeries{
			LabelsRefs: table.SymbolizeLabels(labels.FromStrings("__name__", name, "instance", "a"), nil),
			Samples:    []writev2.Sample{{Value: 1, Timestamp: w.Stack.Clock.Now().UnixMilli()}},
			Metadata:   writev2.Metadata{Type: kind, HelpRef: table.Symbolize(help), UnitRef: table.Symbolize(unit)},
		})
	}
	req.Symbols = table.Symbols()
	b, err := req.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	w.post(t, agentapi.PathWrite, "application/x-protobuf;proto=io.prometheus.write.v2.Request", s2.EncodeSnappy(nil, b))
}

// told is what is known of a metric: "type|help|unit".
func (w *world) told(t testing.TB, ws kernel.WorkspaceID, metric string) string {
	t.Helper()
	if err := w.writeNoted(t.Context()); err != nil {
		t.Fatal(err)
	}
	all, err := w.d.Query.Metadata(t.Context(), ws, metric)
	if err != nil {
		t.Fatal(err)
	}
	if len(all[metric]) != 1 {
		return fmt.Sprint(len(all[metric]))
	}
	m := all[metric][0]
	return m.Type + "|" + m.Help + "|" + m.Unit
}

// TestMeaningsOfAllProtocols: what a metric means is known whichever way it came, by the name of its family.
func TestMeaningsOfAllProtocols(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.d.Query.UseDescribers(w.Module)
		_, other, _ := w.Owner(t, "bob@example.com", "Other")
		w.described(t, writev2.Metadata_METRIC_TYPE_COUNTER, "Requests.", "", "http_requests_total")
		w.described(t, writev2.Metadata_METRIC_TYPE_HISTOGRAM, "How long.", "seconds", "took_seconds_bucket", "took_seconds_sum", "took_seconds_count")
		w.described(t, writev2.Metadata_METRIC_TYPE_GAUGE, "A count that is none.", "", "open_count")
		one := prompb.WriteRequest{Metadata: []prompb.MetricMetadata{{Type: prompb.MetricMetadata_SUMMARY, MetricFamilyName: "rpc_seconds", Help: "Calls.", Unit: "seconds"}}}
		b, err := one.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		w.post(t, agentapi.PathWrite, "application/x-protobuf", s2.EncodeSnappy(nil, b))
		md := pmetric.NewMetrics()
		rm := md.ResourceMetrics().AppendEmpty()
		rm.Resource().Attributes().PutStr("service.name", "shop")
		m := rm.ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
		m.SetName("queue.depth")
		m.SetDescription("How many wait.")
		p := m.SetEmptyGauge().DataPoints().AppendEmpty()
		p.SetIntValue(3)
		p.SetTimestamp(pcommon.NewTimestampFromTime(w.Stack.Clock.Now()))
		if b, err = pmetricotlp.NewExportRequestFromMetrics(md).MarshalProto(); err != nil {
			t.Fatal(err)
		}
		w.post(t, "/v1/metrics", "application/x-protobuf", b)
		for metric, want := range map[string]string{
			"http_requests_total": "counter|Requests.|", "took_seconds": "histogram|How long.|seconds", "took_seconds_bucket": "0", "open_count": "gauge|A count that is none.|",
			"rpc_seconds": "summary|Calls.|seconds", "queue_depth": "gauge|How many wait.|",
		} {
			if got := w.told(t, w.ws, metric); got != want {
				t.Errorf("%s is %q, want %q", metric, got, want)
			}
			if got := w.told(t, other, metric); got != "0" {
				t.Errorf("another workspace is told %q of %s", got, metric)
			}
		}
	})
}

// TestMeaningsChangeSlowly: a new text counts after an hour, so that two senders who do not agree cause no writes; what is
// dropped by a rule, is too long, or is of a workspace that is erased, is not kept.
func TestMeaningsChangeSlowly(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.d.Query.UseDescribers(w.Module)
		say := func(help string) { w.described(t, writev2.Metadata_METRIC_TYPE_GAUGE, help, "", "depth") }
		say("One.")
		w.told(t, w.ws, "depth")
		say("Two.")
		if got := w.told(t, w.ws, "depth"); got != "gauge|One.|" {
			t.Errorf("at once: %s", got)
		}
		w.Stack.Clock.Add(time.Hour)
		say("Two.")
		if got := w.told(t, w.ws, "depth"); got != "gauge|Two.|" {
			t.Errorf("an hour later: %s", got)
		}
		w.described(t, writev2.Metadata_METRIC_TYPE_GAUGE, strings.Repeat("é", 400), "", "wordy")
		if got := w.told(t, w.ws, "wordy"); len(got) > 520 || !strings.HasSuffix(got, "é…|") {
			t.Errorf("%d bytes: %s", len(got), got)
		}
		if _, err := w.AddDrop(t.Context(), actorAda(t, w), w.ws, `{__name__="unwanted"}`, ""); err != nil {
			t.Fatal(err)
		}
		w.described(t, writev2.Metadata_METRIC_TYPE_GAUGE, "Nobody wants it.", "", "unwanted")
		if got := w.told(t, w.ws, "unwanted"); got != "0" {
			t.Errorf("of a dropped metric: %s", got)
		}
		for _, c := range w.Collections() {
			if c.Name == "metric_meanings" {
				if n, err := c.Erase(t.Context(), w.ws); err != nil || n != 2 {
					t.Errorf("erased %d, %v", n, err)
				}
			}
		}
		if got := w.told(t, w.ws, "depth"); got != "0" {
			t.Errorf("after the erasure: %s", got)
		}
		say("Three.") // it is news again
		if got := w.told(t, w.ws, "depth"); got != "gauge|Three.|" {
			t.Errorf("said after the erasure: %s", got)
		}
	})
}

// TestMeaningsAreBounded: as many metrics as there may be, and noting one that is known costs no memory. It counts
// allocations, so it is alone.
func TestMeaningsAreBounded(t *testing.T) {
	now := time.Unix(1e9, 0)
	s := newMeanings(func() time.Time { return now })
	for i := range maxMeanings + 100 {
		s.note("ws", fmt.Sprintf("m%d", i), intake.Meaning{Type: "gauge"})
	}
	if n := len(s.take()["ws"]); n != maxMeanings {
		t.Errorf("%d are kept", n)
	}
	s.note("ws", strings.Repeat("m", maxMeaningLen+1), intake.Meaning{Type: "gauge"})
	s.note("ws", "m1", intake.Meaning{Type: "gauge"})
	if n := len(s.take()); n != 0 {
		t.Errorf("%d workspaces have news", n)
	}
	now = now.Add(2 * time.Hour)
	s.take()
	if len(s.known) != 0 {
		t.Error("a workspace that is silent is still remembered")
	}
	if n := testing.AllocsPerRun(100, func() { s.note("ws", "m1", intake.Meaning{Type: "gauge", Help: "Depth."}) }); n > 0 {
		t.Errorf("noting what is known takes %v allocations", n)
	}
}
