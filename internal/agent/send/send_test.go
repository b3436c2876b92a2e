package send_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang/snappy"
	"github.com/klauspost/compress/s2"
	"github.com/prometheus/prometheus/prompb"

	"github.com/kept-dev/kept/internal/agent/send"
	"github.com/kept-dev/kept/internal/agent/spool"
	"github.com/kept-dev/kept/wire/remotewrite"
)

// direct calls a handler without a network, and remembers when it was called and with what.
type direct struct {
	mu       sync.Mutex
	handler  http.HandlerFunc
	times    []time.Duration
	requests []*http.Request
	bodies   [][]byte
	start    time.Time
}

func (d *direct) RoundTrip(r *http.Request) (*http.Response, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	d.times, d.requests, d.bodies = append(d.times, time.Since(d.start)), append(d.requests, r), append(d.bodies, body)
	w := httptest.NewRecorder()
	d.handler(w, r)
	return w.Result(), nil
}

// payload is a request with two samples.
func payload() []byte {
	var w remotewrite.Writer
	w.Reset()
	for _, name := range []string{"a", "b"} {
		w.Series([]uint32{w.Symbol("__name__"), w.Symbol(name)}, remotewrite.Sample{Value: 1, Time: 1_700_000_000_000}, nil, remotewrite.Metadata{Type: remotewrite.Gauge})
	}
	return s2.EncodeSnappy(nil, w.Append(nil))
}

// play sends some records to a handler for an hour of virtual time, and returns what was asked and logged.
func play(t *testing.T, records int, handler http.HandlerFunc) (d *direct, log string, left int) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		logger := slog.New(slog.NewTextHandler(&b, nil))
		s, err := spool.Open(t.TempDir(), spool.Options{MaxBytes: 1 << 20, Log: logger})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		for i := range records {
			s.Append(spool.Record{Time: int64(i + 1), Samples: 2, Payload: payload()})
		}
		d = &direct{handler: handler, start: time.Now()}
		sender := send.Sender{URL: "http://kept.example/write", Key: "very-secret", UserAgent: "kept-agent/test", Client: &http.Client{
			Transport:     d,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}, Spool: s, Log: logger}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { sender.Run(ctx); close(done) }()
		time.Sleep(time.Hour)
		cancel()
		<-done
		for {
			if _, err := s.Next(); err != nil {
				break
			}
			left++
			s.Done()
		}
		log = b.String()
	})
	if strings.Contains(log, "very-secret") {
		t.Error("the key is in the log")
	}
	return d, log, left
}

func stored(w http.ResponseWriter) {
	w.Header().Set(remotewrite.SamplesWritten, "2")
	w.WriteHeader(http.StatusNoContent)
}

func TestStored(t *testing.T) {
	t.Parallel()
	d, log, left := play(t, 3, func(w http.ResponseWriter, _ *http.Request) { stored(w) })
	if len(d.times) != 3 || left != 0 || log != "" {
		t.Errorf("%d requests, %d left, log: %s", len(d.times), left, log)
	}
	h := d.requests[0].Header
	for name, want := range map[string]string{
		"Content-Type": "application/x-protobuf;proto=io.prometheus.write.v2.Request", "Content-Encoding": "snappy",
		"X-Prometheus-Remote-Write-Version": "2.0.0", "User-Agent": "kept-agent/test", "Authorization": "Bearer very-secret",
	} {
		if h.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, h.Get(name), want)
		}
	}
}

// TestTriedAgain waits longer each time, by at least as much as the time before, and no longer than a minute.
func TestTriedAgain(t *testing.T) {
	t.Parallel()
	for _, code := range []int{500, 502, 503, 504, 429} {
		d, log, left := play(t, 1, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) })
		if left != 1 || len(d.times) < 60 || len(d.times) > 90 {
			t.Errorf("%d: %d left after %d tries in an hour", code, left, len(d.times))
		}
		if strings.Count(log, "samples wait on disk") != 1 {
			t.Errorf("%d: the log says it more or less than once:\n%s", code, log)
		}
		before := time.Duration(0)
		for i := 1; i < len(d.times); i++ {
			wait := d.times[i] - d.times[i-1]
			if i < 6 && wait < before || wait > time.Minute || wait < time.Second {
				t.Errorf("%d: try %d after %v, the one before after %v", code, i, wait, before)
			}
			before = wait
		}
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"600", "date"} {
		d, _, _ := play(t, 1, func(w http.ResponseWriter, _ *http.Request) {
			v := value
			if v == "date" {
				v = time.Now().Add(10 * time.Minute).UTC().Format(http.TimeFormat)
			}
			w.Header().Set("Retry-After", v)
			w.WriteHeader(http.StatusTooManyRequests)
		})
		if len(d.times) < 6 || len(d.times) > 7 {
			t.Errorf("%s: %d tries in an hour of ten minutes' waits: %v", value, len(d.times), d.times)
		}
	}
}

// TestRefusedForGood drops what the server will never take, and says how much that was.
func TestRefusedForGood(t *testing.T) {
	t.Parallel()
	for code, written := range map[int]string{400: "1", 404: "", 413: "", 422: "0"} {
		d, log, left := play(t, 2, func(w http.ResponseWriter, _ *http.Request) {
			if written != "" {
				w.Header().Set(remotewrite.SamplesWritten, written)
			}
			w.WriteHeader(code)
			io.WriteString(w, "out of\nbounds"+strings.Repeat("x", 100_000))
		})
		want := fmt.Sprintf("the server stored %s of 2 samples", max(written, "0"))
		if left != 0 || len(d.times) != 2 || !strings.Contains(log, want) || !strings.Contains(log, "out of bounds") || len(log) > 2000 {
			t.Errorf("%d: %d requests, %d left, want %q in %d bytes of log: %.300s", code, len(d.times), left, want, len(log), log)
		}
	}
}

// TestKeyRefused keeps the samples: it is the key that is wrong.
func TestKeyRefused(t *testing.T) {
	t.Parallel()
	for _, code := range []int{401, 403} {
		d, log, left := play(t, 2, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) })
		if left != 2 || len(d.times) > 13 || !strings.Contains(log, "refuses this agent's key") {
			t.Errorf("%d: %d requests, %d left, log: %s", code, len(d.times), left, log)
		}
	}
}

func TestRedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	d, log, left := play(t, 1, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "http://elsewhere.example/")
		w.WriteHeader(http.StatusPermanentRedirect)
	})
	if left != 1 || d.requests[0].URL.Host != "kept.example" || len(d.times) > 13 || !strings.Contains(log, "elsewhere.example") {
		t.Errorf("%d requests, %d left, log: %s", len(d.times), left, log)
	}
}

// TestVersion1 falls back for a server that does not know version 2, and stays there.
func TestVersion1(t *testing.T) {
	t.Parallel()
	d, _, left := play(t, 3, func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.Header.Get("Content-Type"), "v2") {
			w.WriteHeader(http.StatusUnsupportedMediaType)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	if left != 0 || len(d.times) != 4 {
		t.Fatalf("%d requests, %d left", len(d.times), left)
	}
	raw, err := snappy.Decode(nil, d.bodies[3])
	if err != nil {
		t.Fatal(err)
	}
	var got prompb.WriteRequest
	if err := got.Unmarshal(raw); err != nil || len(got.Timeseries) != 2 || got.Timeseries[1].Labels[0].Value != "b" {
		t.Errorf("version 1: %v, %v", got, err)
	}
	if v := d.requests[3].Header.Get("X-Prometheus-Remote-Write-Version"); v != "0.1.0" {
		t.Errorf("version %q", v)
	}
}

// TestSilentServer notices one that says yes to anything.
func TestSilentServer(t *testing.T) {
	t.Parallel()
	_, log, left := play(t, 3, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	if left != 0 || strings.Count(log, "does not say that it stored anything") != 1 {
		t.Errorf("%d left, log: %s", left, log)
	}
}
