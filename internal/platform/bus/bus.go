// Package bus carries live hints between parts of Kept and between its instances: "this workspace's jobs changed",
// "forget this key". Delivery is best-effort and at most once: whoever must not miss a thing reads the database, and
// uses the bus to know when. A subscriber that may have missed something is told so.
//
// Memory serves one process, Postgres all instances on one database. Both pass bustest.Run.
package bus

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
)

// Bus publishes messages to whoever subscribes at that moment. It is safe for concurrent use.
type Bus interface {
	// Publish sends a payload to the present subscribers of topic, here and on other instances, without waiting for
	// them. The order of one publisher's messages is kept. Errors: ErrTooLong, ErrClosed, or that the carrier is down.
	Publish(ctx context.Context, topic string, payload []byte) error
	// Subscribe receives what is published to topic from now on, until ctx ends or the subscription is closed.
	Subscribe(ctx context.Context, topic string) (*Subscription, error)
}

// Limits, in bytes. PostgreSQL carries less than 8000 bytes of text; these leave room for its encoding.
const (
	MaxTopic   = 200
	MaxPayload = 5700
)

// Buffer is how many messages wait for a slow subscriber before the oldest are dropped.
const Buffer = 64

var (
	// ErrTooLong says that a topic is empty or too long, or that a payload is too long: send an id, not the thing.
	ErrTooLong = errors.New("bus: the topic or payload is too long")
	// ErrClosed says that the subscription or the bus has ended.
	ErrClosed = errors.New("bus: closed")
)

// Message is one payload, or word that some were lost.
type Message struct {
	Payload []byte // shared between subscribers: do not change it
	// Missed says that messages before this point may be lost, because the subscriber was slow or the carrier was down
	// for a while: read the state anew. Such a message has no payload.
	Missed bool
}

// Subscription is one subscriber's buffer. Its methods are safe for concurrent use.
type Subscription struct {
	topic string
	hub   *hub
	ready chan struct{} // holds a token when there is something for Next
	done  chan struct{}
	stop  func() bool // lets go of the context that Subscribe was given

	mu      sync.Mutex
	waiting [][]byte
	missed  bool
}

// Next waits for the next message. It returns ctx's error when that ends first, and ErrClosed after Close.
func (s *Subscription) Next(ctx context.Context) (Message, error) {
	for {
		select {
		case <-s.done: // first, so that a closed subscription hands out nothing more
			return Message{}, ErrClosed
		default:
		}
		if m, ok := s.take(); ok {
			return m, nil
		}
		select {
		case <-s.ready:
		case <-s.done:
		case <-ctx.Done():
			return Message{}, ctx.Err()
		}
	}
}

func (s *Subscription) take() (Message, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.missed:
		s.missed = false
		s.signalIfWaiting()
		return Message{Missed: true}, true
	case len(s.waiting) > 0:
		m := Message{Payload: s.waiting[0]}
		s.waiting[0] = nil
		s.waiting = s.waiting[1:]
		s.signalIfWaiting()
		return m, true
	}
	return Message{}, false
}

// signalIfWaiting keeps the token there for another caller of Next. s.mu is held.
func (s *Subscription) signalIfWaiting() {
	if s.missed || len(s.waiting) > 0 {
		select {
		case s.ready <- struct{}{}:
		default:
		}
	}
}

// Close ends the subscription. Closing twice is harmless.
func (s *Subscription) Close() { s.hub.remove(s) }

// offer adds a payload, unless it says the same as the one that waits last: a hint that was not read yet need not be
// said again. When the buffer is full the oldest is dropped.
func (s *Subscription) offer(payload []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.waiting); n > 0 && bytes.Equal(s.waiting[n-1], payload) {
		return
	}
	if len(s.waiting) == Buffer {
		s.waiting = append(s.waiting[:0], s.waiting[1:]...)
		s.missed = true
	}
	s.waiting = append(s.waiting, payload)
	s.signalIfWaiting()
}

// miss says that messages were lost at this point. What still waits is dropped: the reader looks at everything anyway.
func (s *Subscription) miss() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting, s.missed = nil, true
	s.signalIfWaiting()
}

// check refuses what a carrier could not carry, on every carrier alike.
func check(topic string, payload []byte) error {
	if topic == "" || len(topic) > MaxTopic || len(payload) > MaxPayload {
		return fmt.Errorf("%w: topic of %d (1 to %d), payload of %d (at most %d) bytes", ErrTooLong, len(topic), MaxTopic, len(payload), MaxPayload)
	}
	return nil
}
