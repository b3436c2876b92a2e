package bus

import (
	"context"
	"sync"
)

// hub hands messages to the subscriptions of this process.
type hub struct {
	mu     sync.RWMutex
	topics map[string]map[*Subscription]struct{}
	closed bool
}

func newHub() *hub { return &hub{topics: map[string]map[*Subscription]struct{}{}} }

func (h *hub) subscribe(ctx context.Context, topic string) (*Subscription, error) {
	if err := check(topic, nil); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s := &Subscription{topic: topic, hub: h, ready: make(chan struct{}, 1), done: make(chan struct{})}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, ErrClosed
	}
	if h.topics[topic] == nil {
		h.topics[topic] = map[*Subscription]struct{}{}
	}
	h.topics[topic][s] = struct{}{}
	s.stop = context.AfterFunc(ctx, s.Close)
	return s, nil
}

func (h *hub) remove(s *Subscription) {
	h.mu.Lock()
	defer h.mu.Unlock()
	subs := h.topics[s.topic]
	if _, ok := subs[s]; !ok {
		return
	}
	delete(subs, s)
	if len(subs) == 0 {
		delete(h.topics, s.topic)
	}
	s.stop()
	close(s.done)
}

func (h *hub) deliver(topic string, payload []byte) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	for s := range h.topics[topic] {
		s.offer(payload)
	}
}

// missAll tells every subscription that messages were lost.
func (h *hub) missAll() {
	h.mu.RLock()
	defer h.mu.RUnlock()
	for _, subs := range h.topics {
		for s := range subs {
			s.miss()
		}
	}
}

func (h *hub) isClosed() bool {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.closed
}

func (h *hub) close() {
	h.mu.Lock()
	h.closed = true
	var open []*Subscription
	for _, subs := range h.topics {
		for s := range subs {
			open = append(open, s)
		}
	}
	h.mu.Unlock()
	for _, s := range open {
		s.Close()
	}
}
