// Package bustest states what every bus.Bus must do.
package bustest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/platform/bus"
)

// Run puts a bus through the suite. open returns two ends that share topics (one bus may be both) and lives until
// its test ends.
func Run(t *testing.T, open func(t *testing.T) (here, there bus.Bus)) {
	for _, c := range []struct {
		name string
		test func(t *testing.T, here, there bus.Bus)
	}{
		{"arrives in order", inOrder},
		{"every subscriber gets its topic", topics},
		{"any bytes", anyBytes},
		{"a slow subscriber keeps the newest and is told", slow},
		{"equal neighbours count once", coalesce},
		{"limits", limits},
		{"close and cancel", closing},
		{"many publishers", many},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			here, there := open(t)
			c.test(t, here, there)
		})
	}
}

// Subscribe subscribes until the test ends.
func Subscribe(t *testing.T, b bus.Bus, topic string) *bus.Subscription {
	t.Helper()
	s, err := b.Subscribe(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Publish publishes or fails the test.
func Publish(t *testing.T, b bus.Bus, topic, payload string) {
	t.Helper()
	if err := b.Publish(t.Context(), topic, []byte(payload)); err != nil {
		t.Fatal(err)
	}
}

// Next is the next message within a generous time.
func Next(t *testing.T, s *bus.Subscription) bus.Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	m, err := s.Next(ctx)
	if err != nil {
		t.Fatalf("Next: %v", err)
	}
	return m
}

func want(t *testing.T, s *bus.Subscription, payloads ...string) {
	t.Helper()
	for _, payload := range payloads {
		if m := Next(t, s); m.Missed || string(m.Payload) != payload {
			t.Fatalf("got %q (missed %v), want %q", m.Payload, m.Missed, payload)
		}
	}
}

func inOrder(t *testing.T, here, there bus.Bus) {
	Publish(t, here, "a", "before anyone listened")
	settle(t, here, there)
	s := Subscribe(t, there, "a")
	for i := range 50 {
		Publish(t, here, "a", fmt.Sprint(i))
	}
	for i := range 50 {
		want(t, s, fmt.Sprint(i))
	}
}

// settle waits until everything that here has published has reached there.
func settle(t *testing.T, here, there bus.Bus) {
	t.Helper()
	s := Subscribe(t, there, "settle")
	defer s.Close()
	Publish(t, here, "settle", "")
	want(t, s, "")
}

func topics(t *testing.T, here, there bus.Bus) {
	a1, a2, b := Subscribe(t, here, "a"), Subscribe(t, there, "a"), Subscribe(t, there, "a/b")
	Publish(t, here, "a", "1")
	Publish(t, there, "a/b", "2")
	Publish(t, here, "a", "3")
	want(t, a1, "1", "3")
	want(t, a2, "1", "3")
	want(t, b, "2")
}

func anyBytes(t *testing.T, here, there bus.Bus) {
	topic := "quote ' \" \\ \n é"
	s := Subscribe(t, there, topic)
	for _, payload := range []string{"", "\x00\xff\n'\"", strings.Repeat("é", 10)} {
		Publish(t, here, topic, payload)
		want(t, s, payload)
	}
	mine := []byte("mine")
	if err := here.Publish(t.Context(), topic, mine); err != nil {
		t.Fatal(err)
	}
	copy(mine, "gone") // the publisher may use its buffer again
	want(t, s, "mine")
}

func slow(t *testing.T, here, there bus.Bus) {
	s := Subscribe(t, there, "a")
	const n = 3 * bus.Buffer
	for i := range n {
		Publish(t, here, "a", fmt.Sprint(i))
	}
	settle(t, here, there)
	if m := Next(t, s); !m.Missed || m.Payload != nil {
		t.Fatalf("first message after an overflow: %q, missed %v", m.Payload, m.Missed)
	}
	for i := n - bus.Buffer; i < n; i++ {
		want(t, s, fmt.Sprint(i))
	}
	Publish(t, here, "a", "after")
	want(t, s, "after") // told once
}

func coalesce(t *testing.T, here, there bus.Bus) {
	s := Subscribe(t, there, "a")
	for _, payload := range []string{"x", "x", "x", "y", "x"} {
		Publish(t, here, "a", payload)
	}
	settle(t, here, there)
	Publish(t, here, "a", "end")
	want(t, s, "x", "y", "x", "end")
}

func limits(t *testing.T, here, there bus.Bus) {
	topic, payload := strings.Repeat("t", bus.MaxTopic), bytes.Repeat([]byte{0xff}, bus.MaxPayload)
	s := Subscribe(t, there, topic)
	if err := here.Publish(t.Context(), topic, payload); err != nil {
		t.Fatalf("the longest message: %v", err)
	}
	want(t, s, string(payload))
	for _, err := range []error{
		here.Publish(t.Context(), topic, append(payload, 0)),
		here.Publish(t.Context(), topic+"t", nil),
		here.Publish(t.Context(), "", nil),
	} {
		if !errors.Is(err, bus.ErrTooLong) {
			t.Errorf("got %v, want ErrTooLong", err)
		}
	}
	if _, err := here.Subscribe(t.Context(), topic+"t"); !errors.Is(err, bus.ErrTooLong) {
		t.Errorf("Subscribe: %v, want ErrTooLong", err)
	}
}

func closing(t *testing.T, here, there bus.Bus) {
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	open := Subscribe(t, there, "a")
	if _, err := open.Next(cancelled); !errors.Is(err, context.Canceled) {
		t.Errorf("Next with an ended context: %v", err)
	}
	if _, err := there.Subscribe(cancelled, "a"); !errors.Is(err, context.Canceled) {
		t.Errorf("Subscribe with an ended context: %v", err)
	}
	closed := Subscribe(t, there, "a")
	closed.Close()
	closed.Close()
	ctx, end := context.WithCancel(t.Context())
	ended, err := there.Subscribe(ctx, "a")
	if err != nil {
		t.Fatal(err)
	}
	waits := make(chan error)
	go func() {
		_, err := ended.Next(t.Context())
		waits <- err
	}()
	end()
	if err := <-waits; !errors.Is(err, bus.ErrClosed) {
		t.Errorf("a waiting Next when its subscription's context ends: %v", err)
	}
	Publish(t, here, "a", "x")
	want(t, open, "x")
	if _, err := closed.Next(t.Context()); !errors.Is(err, bus.ErrClosed) {
		t.Errorf("Next after Close: %v", err)
	}
}

func many(t *testing.T, here, there bus.Bus) {
	s := Subscribe(t, there, "a")
	const publishers, each = 4, 10 // together fewer than the buffer holds
	var wg sync.WaitGroup
	for p := range publishers {
		wg.Go(func() {
			for i := range each {
				if err := here.Publish(t.Context(), "a", fmt.Appendf(nil, "%d-%02d", p, i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	var got []string
	for range publishers * each {
		got = append(got, string(Next(t, s).Payload))
	}
	for p := range publishers {
		own := slices.DeleteFunc(slices.Clone(got), func(m string) bool { return m[0] != byte('0'+p) })
		if len(own) != each || !slices.IsSorted(own) {
			t.Errorf("publisher %d: %v", p, own)
		}
	}
}
