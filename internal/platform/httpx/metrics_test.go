package httpx

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

func TestMetrics(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	f := setup(t, func(c *Config) {
		var err error
		if c.Metrics, err = NewMetrics(registry); err != nil {
			t.Fatal(err)
		}
	}, page, ingest)
	f.do("GET", "/page", "")
	f.do("GET", "/page", "")
	f.do("GET", "/nowhere", "")
	w := httptest.NewRecorder()
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	for _, want := range []string{
		`kept_http_requests_total{class="page",method="GET",route="/page",status="2xx"} 2`,
		`kept_http_requests_total{class="page",method="",route="(none)",status="4xx"} 1`,
		`kept_http_request_duration_seconds_count{class="page",method="GET",route="/page"} 2`,
	} {
		if !strings.Contains(w.Body.String(), want+"\n") {
			t.Errorf("no line %s in\n%s", want, w.Body)
		}
	}
	if strings.Contains(w.Body.String(), "/api/v1/events") {
		t.Error("a route that nobody used is listed")
	}
	if _, err := NewMetrics(registry); err == nil {
		t.Error("registered twice without an error")
	}
}
