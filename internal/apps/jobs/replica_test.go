package jobs

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/kept-dev/kept/internal/platform/db/dbtest"
)

// TestLaggingReplicas has two connections tell of the same retries, the second one far behind.
func TestLaggingReplicas(t *testing.T) {
	t.Parallel()
	const bullmq, agenda = `{"batchSize":100,"provider":"BullMQProvider"}`, `{"provider":"AgendaProvider"}`
	for name, c := range map[string]struct {
		meta, forwarded string
		attempts        int
	}{
		"every replica tells":       {bullmq, "", 3},
		"each tells of its own":     {agenda, "", 6},
		"who tells cannot be known": {bullmq, "192.0.2.7", 6},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, dbtest.Open(t, dbtest.SQLite(t)))
			for replica := range 2 {
				web := &http.Client{Transport: &http.Transport{}}
				for attempt := range 3 { // a request each
					at := 1772000000000 + 400*attempt + 1100*replica
					body := fmt.Sprintf(`{"events":[{"jobId":"1","queue":"q","event":"waiting","timestamp":%d},{"jobId":"1","queue":"q","event":"active","timestamp":%d}]}`, at, at+1)
					r, err := http.NewRequest("POST", s.url+"/api/v1/events", strings.NewReader(body))
					if err != nil {
						t.Fatal(err)
					}
					r.Header = http.Header{"Authorization": {"Bearer " + testKey}, "X-Jobviz-Agent-Meta": {c.meta}}
					if c.forwarded != "" {
						r.Header.Set("X-Forwarded-For", c.forwarded)
					}
					res, err := web.Do(r)
					if err != nil || res.StatusCode != http.StatusOK || res.Header.Get("Keep-Alive") == "" {
						t.Fatalf("%v, %v", res, err)
					}
					io.Copy(io.Discard, res.Body) // so that the connection is used again
					res.Body.Close()
				}
				web.CloseIdleConnections()
			}
			if err := s.index.CatchUp(t.Context(), testWS); err != nil {
				t.Fatal(err)
			}
			if run := s.job(t, "q/1").Runs[0]; run.Attempts != c.attempts {
				t.Errorf("%d attempts, want %d: %+v", run.Attempts, c.attempts, run.Timeline)
			}
		})
	}
}
