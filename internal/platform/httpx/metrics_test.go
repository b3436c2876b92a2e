package httpx

import (
	"strings"
	"testing"
	"time"
)

func TestMetrics(t *testing.T) {
	t.Parallel()
	m := NewMetrics()
	f := setup(t, func(c *Config) { c.Metrics = m }, page, ingest)
	f.do("GET", "/page", "")
	f.do("GET", "/page", "")
	f.do("GET", "/nowhere", "")
	var b strings.Builder
	if _, err := m.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`kept_http_requests_total{method="GET",route="/page",class="page",status="2xx"} 2`,
		`kept_http_requests_total{method="",route="(none)",class="page",status="4xx"} 1`,
		`kept_http_request_duration_seconds_bucket{method="GET",route="/page",class="page",le="+Inf"} 2`,
		`kept_http_request_duration_seconds_count{method="GET",route="/page",class="page"} 2`,
	} {
		if !strings.Contains(b.String(), want+"\n") {
			t.Errorf("no line %s in\n%s", want, b.String())
		}
	}
	if strings.Contains(b.String(), "/api/v1/events") {
		t.Error("a route that nobody used is listed")
	}
	rm := m.route(page)
	rm.observe(200, 3*time.Millisecond)
	if rm.buckets[2].Load() != 1 {
		t.Error("3 ms are not in the bucket up to 5 ms")
	}
}
