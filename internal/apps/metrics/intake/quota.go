package intake

import (
	"sync"
	"time"

	"github.com/kept-dev/kept/internal/kernel"
)

// burst is for how many seconds a workspace may save up what it did not send: an agent that comes back sends much at once.
const burst = 60

// quotas count the samples of workspaces. What a request carries is known only when it has been read, so a request is let
// in as long as its workspace is not in debt, and its samples are taken off afterwards.
type quotas struct {
	clock kernel.Clock
	mu    sync.Mutex
	left  map[kernel.WorkspaceID]*quota
}

type quota struct {
	samples float64
	rate    float64
	at      time.Time
}

func newQuotas(clock kernel.Clock) *quotas {
	return &quotas{clock: clock, left: map[kernel.WorkspaceID]*quota{}}
}

// admit lets a request in, or says when to come again.
func (q *quotas) admit(ws kernel.WorkspaceID, rate float64) error {
	now := q.clock()
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.left[ws]
	if l == nil {
		l = &quota{samples: rate * burst, at: now}
		q.left[ws] = l
	}
	l.rate = rate
	l.samples = min(rate*burst, l.samples+rate*max(0, now.Sub(l.at).Seconds()))
	l.at = now
	if l.samples > 0 {
		return nil
	}
	wait := time.Duration(-l.samples / rate * float64(time.Second))
	return &kernel.Error{Code: kernel.Limited, Safe: "This workspace sends more samples than it may. Wait and send them again.", RetryAfter: max(time.Second, wait)}
}

// take notes what a request carried.
func (q *quotas) take(ws kernel.WorkspaceID, samples int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if l := q.left[ws]; l != nil {
		l.samples -= float64(samples)
	}
}
