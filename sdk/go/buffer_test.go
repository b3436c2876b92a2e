package kept

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestSlowServerNeverBlocksSendAndTheBufferIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		s := &server{answer: func(n int, r request, w http.ResponseWriter) {
			if n == 0 {
				<-release
			}
		}}
		var lost int
		c := newClient(t, Config{Endpoint: "http://kept", HTTPClient: fakeNet(t, s), BatchSize: 10, BufferSize: 1000, Timeout: time.Hour, OnError: func(err error, n int) {
			if !errors.Is(err, ErrBufferFull) {
				t.Errorf("%v", err)
			}
			lost += n
		}})
		start := time.Now()
		for i := range 10 {
			c.Send(simple(strconv.Itoa(i)))
		}
		synctest.Wait() // ten are in flight and stay there
		for i := 10; i < 1510; i++ {
			c.Send(simple(strconv.Itoa(i)))
		}
		if d := time.Since(start); d != 0 {
			t.Errorf("Send waited %v", d)
		}
		if st := c.Stats(); st.Buffered != 1010 || st.Dropped != 500 {
			t.Errorf("stats %+v", st)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := c.Flush(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Flush gave %v", err)
		}
		close(release)
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
		ev := s.events()
		if len(ev) != 1010 || ev[9]["jobId"] != "9" || ev[10]["jobId"] != "510" || ev[1009]["jobId"] != "1509" {
			t.Errorf("%d events; the oldest must be the ones that were dropped", len(ev))
		}
		if lost != 500 {
			t.Errorf("OnError was told of %d", lost)
		}
	})
}

func TestBufferIsBoundedInBytes(t *testing.T) {
	t.Parallel()
	b := newBuffer(10_000, 1000, 100)
	for range 100 {
		b.push(make([]byte, 90))
	}
	if n, lost := b.counts(); n != 11 || lost != 89 || b.bytes != 990 {
		t.Errorf("%d buffered, %d lost, %d bytes", n, lost, b.bytes)
	}
	b.push(make([]byte, 5000)) // larger than the whole buffer: alone, rather than never
	if n, _ := b.counts(); n != 1 {
		t.Errorf("%d buffered", n)
	}
}

func TestFlushWaitsForWhatWasInFlight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBuffer(5, 1000, 100)
		for range 3 {
			b.push([]byte("x"))
		}
		b.take(2, 1000)
		done := make(chan error, 1)
		go func() { done <- b.wait(t.Context()) }()
		synctest.Wait()
		for range 50 { // drops the third event and many newer ones
			b.push([]byte("y"))
		}
		synctest.Wait()
		select {
		case <-done:
			t.Fatal("the flush ended while its events were in flight")
		default:
		}
		b.settle()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestCloseIsBoundedByItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &server{answer: func(n int, r request, w http.ResponseWriter) { w.WriteHeader(http.StatusServiceUnavailable) }}
		var lost int
		c := newClient(t, Config{Endpoint: "http://kept", HTTPClient: fakeNet(t, s), OnError: func(_ error, n int) { lost += n }})
		for i := range 600 {
			c.Send(simple(strconv.Itoa(i)))
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		start := time.Now()
		err := c.Close(ctx)
		if d := time.Since(start); d < 5*time.Second || d > 5200*time.Millisecond {
			t.Errorf("Close took %v", d)
		}
		if !errors.Is(err, ErrClosed) || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "600") {
			t.Errorf("%v", err)
		}
		if st := c.Stats(); lost != 600 || st.Dropped != 600 || st.Buffered != 0 {
			t.Errorf("lost %d, stats %+v", lost, st)
		}
		c.Send(simple("late"))
		if c.Stats().Dropped != 601 || c.Close(t.Context()) != nil {
			t.Error("a closed client must drop and count, and closing twice is safe")
		}
	})
}

func TestCloseEndsABackoff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &server{answer: func(n int, r request, w http.ResponseWriter) {
			if n < 8 {
				w.WriteHeader(http.StatusBadGateway)
			}
		}}
		c := newClient(t, Config{Endpoint: "http://kept", HTTPClient: fakeNet(t, s)})
		c.Send(simple("a"))
		for len(s.got()) < 8 { // by now the waits are long
			time.Sleep(time.Second)
		}
		start := time.Now()
		if err := c.Close(t.Context()); err != nil || c.Stats().Sent != 1 || time.Since(start) > time.Second {
			t.Errorf("%v after %v, %+v", err, time.Since(start), c.Stats())
		}
	})
}
