package query_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/klauspost/compress/snappy"
	commonconfig "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/prompb"
	"github.com/prometheus/prometheus/storage/remote"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

// TestRemoteRead reads as another Prometheus does, in both forms of answers.
func TestRemoteRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	all := fixture()
	load(t, w.store, testWS, all, fixtureStart, at(240))
	address, err := url.Parse(w.url + "/read")
	if err != nil {
		t.Fatal(err)
	}
	for _, form := range []prompb.ReadRequest_ResponseType{prompb.ReadRequest_SAMPLES, prompb.ReadRequest_STREAMED_XOR_CHUNKS} {
		client, err := remote.NewReadClient("kept", &remote.ClientConfig{URL: &commonconfig.URL{URL: address}, Timeout: model.Duration(time.Minute), ChunkedReadLimit: 1 << 20,
			AcceptedResponseTypes: []prompb.ReadRequest_ResponseType{form},
			HTTPClientConfig:      commonconfig.HTTPClientConfig{Authorization: &commonconfig.Authorization{Type: "Bearer", Credentials: "reader"}}})
		if err != nil {
			t.Fatal(err)
		}
		q, err := remote.ToQuery(at(10), at(19), []*labels.Matcher{labels.MustNewMatcher(labels.MatchRegexp, "__name__", "demo_cpu_.*|demo_native_.*")}, nil)
		if err != nil {
			t.Fatal(err)
		}
		set, err := client.Read(t.Context(), q, true)
		if err != nil {
			t.Fatal(form, err)
		}
		series, floats, histograms := 0, 0, 0
		for set.Next() {
			series++
			for it := set.At().Iterator(nil); ; {
				kind := it.Next()
				if kind == chunkenc.ValNone {
					break
				} else if kind == chunkenc.ValFloat {
					floats++
				} else {
					histograms++
				}
			}
		}
		if got := fmt.Sprint(series, floats, histograms); set.Err() != nil || got != "12 90 30" {
			t.Errorf("%v: %s series, floats, histograms; %v", form, got, set.Err())
		}
	}
	bomb := append([]byte{0xff, 0xff, 0xff, 0xff, 0x0f}, snappy.Encode(nil, []byte("x"))...)
	for name, body := range map[string][]byte{"a bomb": bomb, "nothing": nil, "no protobuf": snappy.Encode(nil, []byte("hello")), "no snappy": []byte("{}")} {
		r, _ := http.NewRequestWithContext(t.Context(), "POST", w.url+"/read", bytes.NewReader(body))
		r.Header.Set("Authorization", "Bearer reader")
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != 400 {
			t.Errorf("%s: %d %s", name, resp.StatusCode, text)
		}
	}
}
