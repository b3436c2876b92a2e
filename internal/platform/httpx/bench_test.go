package httpx

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type dropLog struct{}

func (dropLog) Write(Entry) {}

type nullWriter struct{ h http.Header }

func (w *nullWriter) Header() http.Header         { return w.h }
func (w *nullWriter) Write(b []byte) (int, error) { return len(b), nil }
func (w *nullWriter) WriteHeader(int)             {}

// BenchmarkMuxIngest is what the edge adds to one ingest request; the handler does nothing.
func BenchmarkMuxIngest(b *testing.B) {
	route := ingest
	route.Handler = func(w http.ResponseWriter, _ *http.Request) error {
		w.WriteHeader(http.StatusOK)
		return nil
	}
	f := setup(b, func(c *Config) {
		c.AccessLog, c.Clock, c.Audit = dropLog{}, time.Now, nil
		c.Metrics, _ = NewMetrics(prometheus.NewRegistry()) // a new registry takes everything
		c.SecretPrefixes = []string{"kept_"}
		c.Limiter = NewLimiter(map[RateClass]Limit{RateIngest: {PerSecond: 1e12, Burst: 1e12}}, nil)
	}, route, page, form, readAPI)
	body := strings.NewReader("{}")
	r := httptest.NewRequest("POST", "/api/v1/events", body)
	w := &nullWriter{h: http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		clear(w.h)
		f.ServeHTTP(w, r)
	}
}
