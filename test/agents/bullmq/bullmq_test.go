package bullmq_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kept-dev/kept/test/agents/bullmq"
)

const key = "jv_test_0123456789"

// event is the part of the protocol that this test looks at.
type event struct {
	JobID       string `json:"jobId"`
	JobName     string `json:"jobName"`
	Queue       string `json:"queue"`
	Event       string `json:"event"`
	Timestamp   int64  `json:"timestamp"`
	Env         string `json:"env"`
	TraceID     string `json:"traceId"`
	ParentID    string `json:"parentJobId"`
	ParentQueue string `json:"parentQueue"`
	Data        struct {
		Input, ReturnValue, Progress json.RawMessage
		FailedReason, Stack          string
		Delay                        int64
		Log                          struct{ Message string }
	} `json:"data"`
}

// sink is a server that takes everything and remembers it.
type sink struct {
	*httptest.Server
	mu     sync.Mutex
	events []event
	wrong  []string      // what a request had that it should not have
	news   chan struct{} // signals that something came
}

func newSink(t *testing.T) *sink {
	s := &sink{news: make(chan struct{}, 1)}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Events []event `json:"events"`
	}
	err := json.NewDecoder(r.Body).Decode(&body)
	s.mu.Lock()
	s.wrong = append(s.wrong, oddities(r, err, len(body.Events))...)
	s.events = append(s.events, body.Events...)
	s.mu.Unlock()
	select {
	case s.news <- struct{}{}:
	default:
	}
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"accepted":%d,"rejected":0}`, len(body.Events))
}

// oddities compares a request with the protocol.
func oddities(r *http.Request, err error, events int) (wrong []string) {
	for name, want := range map[string]string{
		"Authorization": "Bearer " + key, "Content-Type": "application/json", "Accept": "application/json",
		"X-Jobviz-Agent-Version": "0.1.1",
	} {
		if got := r.Header.Get(name); got != want {
			wrong = append(wrong, fmt.Sprintf("%s = %q, want %q", name, got, want))
		}
	}
	var meta map[string]any
	if err := json.Unmarshal([]byte(r.Header.Get("X-Jobviz-Agent-Meta")), &meta); err != nil || meta["provider"] != "BullMQProvider" {
		wrong = append(wrong, fmt.Sprintf("X-Jobviz-Agent-Meta = %q", r.Header.Get("X-Jobviz-Agent-Meta")))
	}
	if r.Method != http.MethodPost || r.URL.Path != "/api/v1/events" || err != nil || events == 0 || events > 500 {
		wrong = append(wrong, fmt.Sprintf("%s %s with %d events, %v", r.Method, r.URL.Path, events, err))
	}
	return wrong
}

// of returns what came about a job, of one kind or, with "", of any.
func (s *sink) of(job bullmq.Job, kind string) []event {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []event
	for _, e := range s.events {
		if e.Queue == job.Queue && e.JobID == job.ID && (kind == "" || e.Event == kind) {
			list = append(list, e)
		}
	}
	return list
}

// waitFor waits until all jobs have ended as seen by both replicas' agents.
func (s *sink) waitFor(t *testing.T, jobs []bullmq.Job) {
	t.Helper()
	deadline := time.After(time.Minute)
	for {
		var open []string
		for _, job := range jobs {
			if len(s.of(job, job.State)) < 2 {
				open = append(open, job.ID)
			}
		}
		if len(open) == 0 {
			return
		}
		select {
		case <-s.news:
		case <-deadline:
			t.Fatalf("never reported as ended by both: %v", open)
		}
	}
}

func TestAgentsReportWhatBullMQDid(t *testing.T) {
	t.Parallel()
	s := newSink(t)
	fleet := bullmq.Start(t, s.URL, key)
	fleet.Wait()
	s.waitFor(t, bullmq.Jobs())
	fleet.Stop()
	for _, wrong := range s.wrong {
		t.Error(wrong)
	}
	for _, job := range bullmq.Jobs() {
		t.Run(job.ID, func(t *testing.T) {
			counts(t, s, job)
			contents(t, s, job)
		})
	}
	t.Run("deployment", func(t *testing.T) {
		found := 0
		for _, e := range s.events {
			if e.Event == "deployment" && e.Queue == "__system" && strings.HasPrefix(e.JobID, "deploy-") {
				found++
			}
		}
		if found != 1 {
			t.Errorf("deployments = %d, want 1", found)
		}
	})
}

// counts checks that both replicas reported each transition once.
func counts(t *testing.T, s *sink, job bullmq.Job) {
	other := map[string]string{"completed": "failed", "failed": "completed"}[job.State]
	for kind, want := range map[string]int{
		job.State: 1, other: 0, "active": job.Attempts, "delayed": job.Delays, "stalled": job.Stalls,
	} {
		if got := len(s.of(job, kind)); got != 2*want {
			t.Errorf("%s events = %d, want %d from each of two replicas", kind, got, want)
		}
	}
}

// contents checks that what the job was, was given and gave back is there.
func contents(t *testing.T, s *sink, job bullmq.Job) {
	var all, logs, progress []string
	for _, e := range s.of(job, "") {
		all = append(all, e.JobName, "trace "+e.TraceID, "env "+e.Env, "parent "+e.ParentQueue+"/"+e.ParentID,
			string(e.Data.Input), string(e.Data.ReturnValue), e.Data.FailedReason, e.Data.Stack)
		if m := e.Data.Log.Message; m != "" {
			logs = append(logs, m)
		}
		if p := string(e.Data.Progress); p != "" {
			progress = append(progress, p)
		}
	}
	text := strings.Join(all, "\n")
	for what, want := range map[string]string{
		"name": job.Name, "trace": "trace " + job.TraceID, "env": "env " + job.Env,
		"parent": "parent " + job.ParentQueue + "/" + job.ParentID,
		"input":  job.Input, "result": job.Result, "error": job.Error, "stack": job.Stack,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%s: nothing has %q", what, want)
		}
	}
	if fmt.Sprint(logs) != fmt.Sprint(job.Logs) { // only the replica that ran the job has these
		t.Errorf("log lines = %q, want %q", logs, job.Logs)
	}
	for _, p := range job.Progress {
		if n := strings.Count(strings.Join(progress, "\n"), p); n < 2 {
			t.Errorf("progress %s came %d times, want it from both: %q", p, n, progress)
		}
	}
}
