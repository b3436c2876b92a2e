package e2e_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	reporterCount = 4  // clients that report at the same time
	jobsPerPost   = 20 // that begin in a request; they end in the client's next one
)

// reporters are clients that report jobs to whichever server runs.
type reporters struct {
	t       *testing.T
	key     string
	running sync.WaitGroup
	stop    chan struct{}
	acked   chan struct{} // signals that a request was acknowledged
	posts   []int         // acknowledged requests of each client, once all have finished
	unsure  []map[int]int // of each client, how often a request had to be sent again

	acknowledged, again atomic.Int64
	goal                atomic.Int64               // of acknowledged
	atGoal              atomic.Pointer[os.Process] // what is killed then, if anything

	mu     sync.Mutex
	at     string        // where the newest server listens
	number int           // of servers so far
	newer  chan struct{} // closed when there is another
}

func newReporters(t *testing.T, key string) *reporters {
	f := &reporters{t: t, key: key, stop: make(chan struct{}), acked: make(chan struct{}, 1),
		posts: make([]int, reporterCount), unsure: make([]map[int]int, reporterCount), newer: make(chan struct{})}
	for client := range reporterCount {
		f.unsure[client] = map[int]int{}
		f.running.Go(func() { f.report(client) })
	}
	t.Cleanup(f.running.Wait) // the test's context ends them
	return f
}

// killAt lets the clients report to a server and kills it with an acknowledgement: whoever gets it does so at once, and
// the others have requests under way. If moment comes first, perhaps before the server is ready, it is killed then.
func (f *reporters) killAt(s *server, posts int, moment <-chan time.Time) {
	f.t.Helper()
	f.atGoal.Store(s.cmd.Process)
	f.reportUntil(s, posts, moment)
	f.atGoal.Store(nil)
	s.kill(f.t)
}

// reportUntil lets the clients report to a server until that has acknowledged some requests, or until a moment.
func (f *reporters) reportUntil(s *server, posts int, moment <-chan time.Time) {
	f.t.Helper()
	goal := f.acknowledged.Load() + int64(posts)
	f.goal.Store(goal)
	select {
	case <-s.ready:
		f.announce(s.url(f.t))
	case <-moment:
		return
	case <-time.After(patience):
		f.t.Fatalf("the server is not ready after %v", patience)
	case <-s.ended:
		f.t.Fatal("the server ended by itself")
	}
	for f.acknowledged.Load() < goal {
		select {
		case <-f.acked:
		case <-moment:
			return
		case <-time.After(patience):
			f.t.Fatalf("nothing was acknowledged for %v", patience)
		case <-s.ended:
			if f.acknowledged.Load() < goal {
				f.t.Fatal("the server ended by itself")
			}
		}
	}
}

// finish lets each client get its last acknowledgement.
func (f *reporters) finish() {
	close(f.stop)
	f.running.Wait()
}

func (f *reporters) announce(url string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.at = url
	f.number++
	close(f.newer)
	f.newer = make(chan struct{})
}

// server waits for one that is newer than a number.
func (f *reporters) server(ctx context.Context, than int) (url string, number int) {
	for {
		f.mu.Lock()
		url, number = f.at, f.number
		newer := f.newer
		f.mu.Unlock()
		if number > than {
			return url, number
		}
		select {
		case <-newer:
		case <-ctx.Done():
			return "", 0
		}
	}
}

// report is one client.
func (f *reporters) report(client int) {
	ctx := f.t.Context()
	web := &http.Client{Timeout: patience, Transport: &http.Transport{}}
	defer web.CloseIdleConnections()
	url, number := f.server(ctx, 0)
	at := time.Now().UnixMilli()
	for post := 0; ctx.Err() == nil; post++ {
		select {
		case <-f.stop:
			return
		default:
		}
		at = max(at+10, time.Now().UnixMilli())
		body := batch(client, post, at)
		for {
			err := f.post(ctx, web, url, body)
			if err == nil {
				break
			}
			if ctx.Err() != nil {
				return
			}
			f.again.Add(1)
			f.unsure[client][post]++
			url, number = f.server(ctx, number)
		}
		if f.acknowledged.Add(1) == f.goal.Load() {
			if victim := f.atGoal.Load(); victim != nil {
				_ = victim.Kill() // it may have ended; killAt looks
			}
		}
		f.posts[client] = post + 1
		select {
		case f.acked <- struct{}{}:
		default:
		}
	}
}

// post sends a batch. An error means that the connection broke, so nobody knows what became of it.
func (f *reporters) post(ctx context.Context, web *http.Client, url string, body []byte) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/api/v1/events", bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+f.key)
	r.Header.Set("Content-Type", "application/json")
	res, err := web.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err == nil && (res.StatusCode != http.StatusOK || !bytes.Contains(answer, []byte(`"rejected":0`))) {
		f.t.Errorf("%d %s", res.StatusCode, answer)
	}
	return err
}

// batch has the beginning of some jobs and the end of those of the batch before.
func batch(client, post int, at int64) []byte {
	var events []string
	add := func(post, i int, event string, at int64, data string) {
		events = append(events, fmt.Sprintf(`{"jobId":%q,"jobName":"count","queue":%q,"event":%q,"timestamp":%d,"data":%s}`,
			jobID(client, post, i), queueOf(client), event, at, data))
	}
	for i := range jobsPerPost {
		if post > 0 && ends(i) == "failed" {
			add(post-1, i, "failed", at, `{"failedReason":"no luck","stack":"at count"}`)
		} else if post > 0 {
			add(post-1, i, "completed", at, `{"returnValue":true}`)
		}
		add(post, i, "waiting", at, `{}`)
		add(post, i, "active", at+1, `{"input":`+inputOf(post, i)+`}`)
		add(post, i, "progress", at+2, `{"progress":50}`)
	}
	return []byte(`{"events":[` + strings.Join(events, ",") + `]}`)
}

func jobID(client, post, i int) string { return fmt.Sprintf("%d-%d-%d", client, post, i) }
func queueOf(client int) string        { return fmt.Sprintf("queue-%d", client) }
func inputOf(post, i int) string       { return fmt.Sprintf(`{"n":9007199254740993%d%d}`, post, i) }

func ends(i int) string {
	if i%5 == 0 {
		return "failed"
	}
	return "completed"
}

// expected is what must be known of a job.
type expected struct {
	queue, status, input string
	steps                int
	unsure               bool // a request with events of it was sent more than once
}

// jobs are those of all acknowledged requests, by id.
func (f *reporters) jobs() map[string]expected {
	all := map[string]expected{}
	for client, posts := range f.posts {
		for post := range posts {
			for i := range jobsPerPost {
				e := expected{queue: queueOf(client), status: ends(i), input: inputOf(post, i), steps: 4,
					unsure: f.unsure[client][post]+f.unsure[client][post+1] > 0}
				if post == posts-1 {
					e.status, e.steps = "active", 3
				}
				all[jobID(client, post, i)] = e
			}
		}
	}
	return all
}

func (f *reporters) events() (n int) {
	for _, e := range f.jobs() {
		n += e.steps
	}
	return n
}
