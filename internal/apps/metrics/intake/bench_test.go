package intake

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/klauspost/compress/s2"
	remoteapi "github.com/prometheus/client_golang/exp/api/remote"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/prompb"
	"github.com/prometheus/prometheus/storage/remote"
)

const (
	benchSeries  = 10_000
	benchRequest = 2_000 // series in a request, as Prometheus sends them
)

// BenchmarkWrite compares our way in with the handler of Prometheus, both in front of a store of ours. The figure is
// samples a second.
func BenchmarkWrite(b *testing.B) {
	for _, version := range []int{1, 2} {
		for _, who := range []string{"ours", "stock"} {
			b.Run(fmt.Sprintf("version=%d/%s", version, who), func(b *testing.B) {
				w := newWorld(b, nil)
				var h http.Handler = w
				if who == "stock" {
					h = remote.NewWriteHandler(slog.New(slog.DiscardHandler), nil, w.store.For(ws),
						remoteapi.MessageTypes{remoteapi.WriteV1MessageType, remoteapi.WriteV2MessageType}, false, true)
				}
				all := benchLabels()
				b.ReportAllocs()
				samples := 0
				for n := 0; b.Loop(); n++ {
					b.StopTimer()
					from := n * benchRequest % benchSeries
					body, content := benchBody(b, version, all[from:from+benchRequest], n/(benchSeries/benchRequest)*15)
					r := httptest.NewRequest("POST", writePath, bytes.NewReader(body))
					r.Header.Set("Authorization", "Bearer "+key)
					r.Header.Set("Content-Type", content)
					r.Header.Set("Content-Encoding", "snappy")
					rec := httptest.NewRecorder()
					w.now = w.now.Add(3e9)
					b.StartTimer()
					h.ServeHTTP(rec, r)
					if rec.Code != http.StatusNoContent {
						b.Fatalf("answered %d: %s", rec.Code, rec.Body)
					}
					samples += benchRequest
				}
				b.ReportMetric(float64(samples)/b.Elapsed().Seconds(), "samples/s")
			})
		}
	}
}

func benchLabels() (out []labels.Labels) {
	for i := range benchSeries {
		out = append(out, labels.FromStrings("__name__", fmt.Sprintf("node_metric_%d_total", i%500), "instance", fmt.Sprintf("host-%d.example.com:9100", i/500),
			"job", "node", "device", fmt.Sprintf("sd%d", i%7), "mode", "idle"))
	}
	return out
}

func benchBody(b *testing.B, version int, all []labels.Labels, second int) (body []byte, content string) {
	var err error
	if version == 2 {
		r := newRequest2()
		for i, l := range all {
			r.add(l, float64(second+i), second)
		}
		body, err = r.done().Marshal()
		content = type2
	} else {
		req := &prompb.WriteRequest{}
		for i, l := range all {
			req.Timeseries = append(req.Timeseries, one1(l, float64(second+i), second))
		}
		body, err = req.Marshal()
		content = "application/x-protobuf"
	}
	if err != nil {
		b.Fatal(err)
	}
	return s2.EncodeSnappy(nil, body), content
}
