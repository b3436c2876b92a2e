package jobs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/platform/db/dbtest"
)

func TestAPIFilterErrors(t *testing.T) {
	t.Parallel()
	s := serve(t, dbtest.Open(t, dbtest.SQLite(t)))
	for query, want := range map[string]string{
		"status=lost": "no status", "from=yesterday": "Write a time", "limit=0": "limit", "limit=x": "limit",
		"min_duration=fast": "duration", "cursor=nonsense": "cursor", "q=%3F": "two letters",
	} {
		a := s.do(t, "GET", "/api/v1/jobs?"+query, nil)
		if a.status != 400 && a.status != 422 || !bytes.Contains(a.body, []byte(want)) || a.header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %v %s", query, a, a.header.Get("Content-Type"))
		}
	}
	if a := s.do(t, "GET", "/api/v1/jobs/q/nobody", nil); a.status != 404 {
		t.Errorf("a job that is not: %v", a)
	}
}

func TestQueuesAPI(t *testing.T) {
	t.Parallel()
	s := serve(t, dbtest.Open(t, dbtest.SQLite(t)))
	now := time.Now().UnixMilli()
	s.post(t, fmt.Sprintf(`{"events":[{"jobId":"1","queue":"a b/c","event":"active","timestamp":%d},{"jobId":"1","queue":"a b/c","event":"completed","timestamp":%d},{"jobId":"x/y","queue":"a b/c","event":"waiting","timestamp":%d}]}`, now-500, now-400, now-300))
	a := s.do(t, "GET", "/api/v1/queues?from=1h", nil)
	var out QueueListJSON
	if err := json.Unmarshal(a.body, &out); err != nil || len(out.Queues) != 1 || out.Queues[0].Runs != 2 || out.Queues[0].Waiting != 1 || out.Queues[0].OldestWaitingAt == nil {
		t.Fatalf("%v", a)
	}
	if j := s.job(t, "a%20b%2Fc/x/y"); j.Queue != "a b/c" || j.ID != "x/y" {
		t.Errorf("%+v", j)
	}
}
