package accesslog

import (
	"net/netip"
	"time"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
)

// row is an entry as it is stored; requests is more than 1 for a sum.
type row struct {
	httpx.Entry
	requests int64
}

// sumKey is what requests of machines must have in common to be summed up.
type sumKey struct {
	method, path, agent string
	class               httpx.RateClass
	status              int
	ip                  netip.Addr
	key, token          kernel.ID
	workspace           kernel.WorkspaceID
}

type sum struct {
	row
	opened time.Time // by the wall clock, like the ticker that closes it
}

type batch struct {
	rows []row
	sums map[sumKey]*sum
}

func newBatch() *batch { return &batch{sums: map[sumKey]*sum{}} }

// add takes one entry. What went wrong is kept request by request, whoever asked.
func (b *batch) add(e httpx.Entry) {
	machine := e.Class == httpx.RateIngest || e.Class == httpx.RateNone
	if !machine || e.Status >= 400 {
		b.rows = append(b.rows, row{Entry: e, requests: 1})
		return
	}
	k := sumKey{e.Method, e.Path, e.UserAgent, e.Class, e.Status, e.IP, e.KeyID, e.TokenID, e.WorkspaceID}
	if s := b.sums[k]; s != nil {
		s.requests++
		s.Bytes += e.Bytes
		s.Duration += e.Duration
		return
	}
	if len(b.sums) >= maxSums {
		b.closeSums(time.Time{})
	}
	b.sums[k] = &sum{row{Entry: e, requests: 1}, time.Now()}
}

// closeSums turns the sums that were opened before a time into rows; the zero time means all of them.
func (b *batch) closeSums(before time.Time) {
	for k, s := range b.sums {
		if before.IsZero() || s.opened.Before(before) {
			b.rows = append(b.rows, s.row)
			delete(b.sums, k)
		}
	}
}
