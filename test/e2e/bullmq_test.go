// OWNER'S DECISION (read this, helper, then delete this comment): no Streams and no per-connection state in ingest or
// fold. I reverted fold/event.go, fold/fold.go, ingest.go and removed fold/streams.go: state outside of the log breaks the
// rule that the state is a pure function of the set of events, and connections mean nothing behind a proxy. Two replicas
// that lag behind each other by more than the jitter while a job is retried within milliseconds are ambiguous; that is
// documented in docs/protocols/jobviz.md. Make the test fit: exact attempts with ONE agent; with two replicas check every
// job for one run, end state, stack, logs, payloads, parent and child, and attempts only of jobs whose retries are spaced
// (>= 1 s backoff) or that have one attempt. Finish by 07:55 so that the full make test in a fresh clone can run.
package e2e_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/apps/jobs"
	"github.com/kept-dev/kept/internal/testkit"
	"github.com/kept-dev/kept/test/agents/bullmq"
)

// patience is how long anything may take on a busy machine.
const patience = time.Minute

// TestBullMQ has two replicas of a real program report to a real Kept, and asks Kept what happened.
func TestBullMQ(t *testing.T) {
	t.Parallel()
	testkit.EachApp(t, func(t *testing.T, a *testkit.App) {
		p := a.SignedUp(t)
		changed := changes(t, a, p)
		fleet := bullmq.Start(t, a.URL(), p.APIKey)
		fleet.Wait()
		until(t, changed, func() []string { return wrong(p) })
		fleet.Stop() // what the slower replica still had changes nothing
		if err := a.Jobs().Index().CatchUp(t.Context(), p.WorkspaceID); err != nil {
			t.Fatal(err)
		}
		for _, problem := range wrong(p) {
			t.Error("after the agents have stopped: " + problem)
		}
		releases, err := a.Jobs().Deployments(t.Context(), p.WorkspaceID, 0, time.Now().Add(time.Hour).UnixMicro())
		if err != nil || len(releases) != 1 || releases[0].Version != "1.4.2" || releases[0].CommitHash != "0b1c2d3" {
			t.Errorf("deployments %+v, %v", releases, err)
		}
		queuesAgree(t, p)
	})
}

// changes follows the live updates of a person's pages: a value for each word that there is something new.
func changes(t *testing.T, a *testkit.App, p *testkit.Person) <-chan struct{} {
	t.Helper()
	r := p.Request(http.MethodGet, p.Path("/jobs/live"), nil, "Accept: text/event-stream")
	for _, c := range p.Cookies() {
		r.AddCookie(c)
	}
	res, err := http.DefaultClient.Do(r) // ends with the test's context
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("live updates: %v, %v", res, err)
	}
	out := make(chan struct{}, 1)
	go func() {
		defer res.Body.Close()
		for lines := bufio.NewScanner(res.Body); lines.Scan(); {
			if !strings.HasPrefix(lines.Text(), "data:") {
				continue
			}
			select {
			case out <- struct{}{}:
			default:
			}
		}
	}()
	return out
}

// until looks again after each change until nothing is wrong any more.
func until(t *testing.T, changed <-chan struct{}, look func() []string) {
	t.Helper()
	deadline := time.After(patience)
	for {
		problems := look()
		if len(problems) == 0 {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("still wrong after %v:\n%s", patience, strings.Join(problems, "\n"))
		}
	}
}

// wrong compares what the API says of all jobs with what BullMQ did.
func wrong(p *testkit.Person) (problems []string) {
	var list jobs.JobListJSON
	p.JSON("GET", "/api/v1/jobs?limit=500", p.APIKey, nil).Want(200).Decode(&list)
	want := bullmq.Jobs()
	if len(list.Jobs) != len(want) {
		problems = append(problems, fmt.Sprintf("%d runs are listed, want %d", len(list.Jobs), len(want)))
	}
	for _, job := range want {
		i := slices.IndexFunc(list.Jobs, func(j jobs.JobJSON) bool { return j.Queue == job.Queue && j.ID == job.ID })
		if i < 0 {
			problems = append(problems, job.ID+" is not listed")
			continue
		}
		var detail jobs.JobDetailJSON
		p.JSON("GET", "/api/v1/jobs/"+url.PathEscape(job.Queue)+"/"+url.PathEscape(job.ID), p.APIKey, nil).Want(200).Decode(&detail)
		c := check{job: job, detail: detail, run: detail.Runs[0]}
		c.listed(list.Jobs[i])
		c.facts()
		c.contents()
		c.timeline()
		problems = append(problems, c.problems...)
	}
	return problems
}

// check compares one job.
type check struct {
	job      bullmq.Job
	detail   jobs.JobDetailJSON
	run      jobs.RunJSON
	problems []string
}

func (c *check) equal(what string, got, want any) {
	if got != want {
		c.problems = append(c.problems, fmt.Sprintf("%s: %s is %v, want %v\n%s", c.job.ID, what, got, want, c.story()))
	}
}

func (c *check) has(what, text, part string) {
	if !strings.Contains(text, part) {
		c.problems = append(c.problems, fmt.Sprintf("%s: %s is %q, want %q in it", c.job.ID, what, text, part))
	}
}

// story is what was received, in the order of the agents' clocks.
func (c *check) story() string {
	var b strings.Builder
	for i, run := range c.detail.Runs {
		fmt.Fprintf(&b, "  run %d, %s:", len(c.detail.Runs)-i, run.Status)
		for _, s := range run.Timeline {
			fmt.Fprintf(&b, " %s@%s×%d", s.Event, s.At.Format("05.000"), s.Copies)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// listed checks that the list and the job's own page agree.
func (c *check) listed(row jobs.JobJSON) {
	one, _ := json.Marshal(row)
	two, _ := json.Marshal(c.run.JobJSON)
	c.equal("the row", string(one), string(two))
}

func (c *check) facts() {
	c.equal("the number of runs", c.detail.Total, 1)
	c.equal("status", c.run.Status, c.job.State)
	c.equal("name", c.run.Name, c.job.Name)
	c.equal("env", c.run.Env, c.job.Env)
	c.equal("trace", c.run.TraceID, c.job.TraceID)
	c.equal("attempts", c.run.Attempts, c.job.Attempts)
	c.equal("stalls", c.run.Stalls, c.job.Stalls)
	parent := jobs.ParentRef{}
	if c.run.Parent != nil {
		parent = *c.run.Parent
	}
	c.equal("parent", parent, jobs.ParentRef{Queue: c.job.ParentQueue, ID: c.job.ParentID})
	c.equal("begun", c.run.StartedAt != nil, true)
	c.equal("finished", c.run.FinishedAt != nil, true)
}

// contents checks what the job was given, gave back and said.
func (c *check) contents() {
	c.has("input", string(c.run.Input), c.job.Input)
	if c.job.Result != "null" { // which says nothing
		c.has("result", string(c.run.Result), c.job.Result)
	}
	failure := jobs.FailureJSON{}
	if c.run.Failure != nil {
		failure = *c.run.Failure
	}
	c.equal("failed", c.run.Failure != nil, c.job.State == "failed")
	c.has("error", c.run.Error, c.job.Error)
	c.has("reason", failure.Reason, c.job.Error)
	c.has("stack", failure.Stack, c.job.Stack)
}

// timeline checks that each step is there once although both replicas told of it (of two in the same millisecond one is
// kept); log lines come from the one that ran the job.
func (c *check) timeline() {
	steps, more := map[string]int{}, 0
	var logs, progress []string
	for _, s := range c.run.Timeline {
		var data struct{ Progress json.RawMessage }
		_ = json.Unmarshal(s.Data, &data) // a step without any
		switch {
		case s.Log != nil:
			logs = append(logs, s.Log.Message)
			continue
		case data.Progress != nil:
			progress = append(progress, string(data.Progress))
		}
		if steps[s.Event]++; s.Copies > 2 {
			more++
		}
	}
	c.equal("log lines", fmt.Sprint(logs), fmt.Sprint(c.job.Logs))
	c.equal("progress", fmt.Sprint(progress), fmt.Sprint(c.job.Progress))
	c.equal("steps told of by more than there are", more, 0)
	for event, want := range map[string]int{"active": c.job.Attempts, "delayed": c.job.Delays, "stalled": c.job.Stalls, c.job.State: 1} {
		c.equal(event+" steps", steps[event], want)
	}
}

// queuesAgree checks the counts of the overview.
func queuesAgree(t *testing.T, p *testkit.Person) {
	t.Helper()
	want := map[string]map[string]int{}
	for _, job := range bullmq.Jobs() {
		if want[job.Queue] == nil {
			want[job.Queue] = map[string]int{}
		}
		want[job.Queue][job.State]++
	}
	var got jobs.QueueListJSON
	p.JSON("GET", "/api/v1/queues", p.APIKey, nil).Want(200).Decode(&got)
	for _, q := range got.Queues {
		if fmt.Sprint(q.ByStatus) != fmt.Sprint(want[q.Queue]) || q.Waiting != 0 || q.Active != 0 {
			t.Errorf("queue %s has %v, %d waiting, %d active; want %v", q.Queue, q.ByStatus, q.Waiting, q.Active, want[q.Queue])
		}
		delete(want, q.Queue)
	}
	if len(want) > 0 {
		t.Errorf("queues that are missing: %v", want)
	}
}
