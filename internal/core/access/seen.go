package access

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/kept-dev/kept/internal/kernel"
)

// When something was used last is kept coarse: it is noted in memory at most once in seenStep per thing, and written
// once in flushEvery for all of them. A crash loses a minute of it.
const (
	seenStep   = 30 * time.Second
	flushEvery = time.Minute
	seenMax    = 10000 // things between two writes; more are not noted
)

// seen is the uses since the last write.
type seen struct {
	mu sync.Mutex
	at map[kernel.ID]time.Time
}

// touch notes a use. touched is the thing's own memory of when that was done last, so that most uses cost a comparison.
func (s *seen) touch(id kernel.ID, now time.Time, touched *atomic.Int64) {
	last := touched.Load()
	if now.Unix()-last < int64(seenStep/time.Second) || !touched.CompareAndSwap(last, now.Unix()) {
		return
	}
	s.note(id, now)
}

// note notes a use, however lately there was one.
func (s *seen) note(id kernel.ID, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.at == nil {
		s.at = map[kernel.ID]time.Time{}
	}
	if _, known := s.at[id]; known || len(s.at) < seenMax {
		s.at[id] = now
	}
}

func (s *seen) take() map[kernel.ID]time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.at
	s.at = nil
	return out
}
