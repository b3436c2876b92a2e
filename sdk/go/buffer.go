package kept

import (
	"context"
	"sync"
)

// buffer is the bounded queue between the host program and the sender. Events
// have consecutive numbers, so that a flush can wait for "everything up to n".
type buffer struct {
	maxEvents, maxBytes, full int

	some chan struct{} // capacity 1: an event came into the empty buffer
	enow chan struct{} // capacity 1: do not wait for more company

	mu       sync.Mutex
	events   [][]byte // events[head:] are waiting; their numbers end at last
	head     int
	bytes    int
	last     uint64 // number of the newest event
	inFlight int    // events taken and not settled yet; they come directly before or, after drops, earlier than events[head]
	taken    uint64 // number of the oldest event in flight
	closed   bool
	lost     uint64 // dropped because the buffer was full or closed
	waiters  []waiter
}

type waiter struct {
	upTo uint64
	done chan struct{}
}

func newBuffer(maxEvents, maxBytes, full int) *buffer {
	return &buffer{
		maxEvents: maxEvents, maxBytes: maxBytes, full: full,
		some: make(chan struct{}, 1), enow: make(chan struct{}, 1),
	}
}

// push adds an event and drops the oldest ones if there is no room. It never waits for the sender.
func (b *buffer) push(event []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		b.lost++
		return
	}
	for b.len() > 0 && (b.len() >= b.maxEvents || b.bytes+len(event) > b.maxBytes) {
		b.pop()
		b.lost++
	}
	b.events = append(b.events, event)
	b.bytes += len(event)
	b.last++
	b.wake()
	if b.len() == 1 {
		signal(b.some)
	}
	if b.len() >= b.full {
		signal(b.enow)
	}
}

func (b *buffer) len() int { return len(b.events) - b.head }

// pop removes the oldest event. The array is compacted once half of it is empty.
func (b *buffer) pop() []byte {
	event := b.events[b.head]
	b.events[b.head] = nil
	b.head++
	b.bytes -= len(event)
	if b.head > 64 && b.head > len(b.events)/2 {
		n := copy(b.events, b.events[b.head:])
		clear(b.events[n:])
		b.events, b.head = b.events[:n], 0
	}
	return event
}

// take removes up to n events of at most size bytes in all (but at least one event) to be sent.
func (b *buffer) take(n, size int) [][]byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	var batch [][]byte
	b.taken = b.last - uint64(b.len()) + 1
	for b.len() > 0 && len(batch) < n {
		next := len(b.events[b.head])
		if len(batch) > 0 && size < next {
			break
		}
		size -= next + 1
		batch = append(batch, b.pop())
	}
	b.inFlight = len(batch)
	return batch
}

// settle says that what was taken has been delivered or given up.
func (b *buffer) settle() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.inFlight = 0
	b.wake()
}

// wake ends the waits that are over. The mutex is held.
func (b *buffer) wake() {
	if len(b.waiters) == 0 {
		return
	}
	oldest := b.last - uint64(b.len()) + 1 // number of the oldest event not settled
	if b.inFlight > 0 {
		oldest = b.taken
	}
	rest := b.waiters[:0]
	for _, w := range b.waiters {
		if w.upTo < oldest {
			close(w.done)
		} else {
			rest = append(rest, w)
		}
	}
	b.waiters = rest
}

// wait returns when every event that is in the buffer now has been settled.
func (b *buffer) wait(ctx context.Context) error {
	b.mu.Lock()
	w := waiter{upTo: b.last, done: make(chan struct{})}
	b.waiters = append(b.waiters, w)
	b.wake()
	b.mu.Unlock()
	signal(b.enow)
	select {
	case <-w.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// close makes push refuse events from now on.
func (b *buffer) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
}

// dropAll gives up everything that waits and returns how much that was.
func (b *buffer) dropAll() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := b.len()
	b.events, b.head, b.bytes = nil, 0, 0
	b.wake()
	return n
}

// counts returns what is on its way, and what push has dropped so far.
func (b *buffer) counts() (pending int, lost uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.len() + b.inFlight, b.lost
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
