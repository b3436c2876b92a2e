package kept

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// retryTimes runs a client against a handler in fake time and returns when the requests came.
func retryTimes(t *testing.T, cfg Config, answer func(n int, r request, w http.ResponseWriter), run func(*testing.T, *Client, *server)) (times []time.Duration) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var mu sync.Mutex
		s := &server{}
		s.answer = func(n int, r request, w http.ResponseWriter) {
			mu.Lock()
			times = append(times, time.Since(start))
			mu.Unlock()
			answer(n, r, w)
		}
		cfg.Endpoint, cfg.HTTPClient = "http://kept", fakeNet(t, s)
		run(t, newClient(t, cfg), s)
	})
	return times
}

func TestTooManyRequestsHonoursRetryAfter(t *testing.T) {
	t.Parallel()
	after := []string{"7", "3600", "nonsense", "Fri, 31 Dec 1999 23:00:00 GMT"} // a bubble begins in 2000
	times := retryTimes(t, Config{BatchSize: 1}, func(n int, r request, w http.ResponseWriter) {
		if n < len(after) {
			w.Header().Set("Retry-After", after[n])
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		accept(w, len(r.events))
	}, func(t *testing.T, c *Client, s *server) {
		c.Send(simple("a"))
		if err := c.Flush(t.Context()); err != nil {
			t.Error(err)
		}
		if st := c.Stats(); st.Sent != 1 || st.Retries != 4 || st.Dropped != 0 {
			t.Errorf("stats %+v", st)
		}
	})
	if len(times) != 5 {
		t.Fatalf("%d requests", len(times))
	}
	if d := times[1] - times[0]; d != 7*time.Second {
		t.Errorf("waited %v, want 7s", d)
	}
	if d := times[2] - times[1]; d != time.Minute {
		t.Errorf("waited %v, want the cap of 1m", d)
	}
	for i := 3; i < 5; i++ { // useless values: the usual backoff
		if d, full := times[i]-times[i-1], firstBackoff<<(i-1); d < full/2 || d > full {
			t.Errorf("waited %v, want %v to %v", d, full/2, full)
		}
	}
}

func TestRetryAfterDate(t *testing.T) {
	t.Parallel()
	times := retryTimes(t, Config{BatchSize: 1}, func(n int, r request, w http.ResponseWriter) {
		if n == 0 {
			w.Header().Set("Retry-After", time.Now().Add(20*time.Second).UTC().Format(http.TimeFormat))
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}, func(t *testing.T, c *Client, s *server) {
		c.Send(simple("a"))
		c.Flush(t.Context())
	})
	if d := times[1] - times[0]; d < 19*time.Second || d > 20*time.Second {
		t.Errorf("waited %v, want 20s", d)
	}
}

func TestServerErrorIsRetriedAndAPoisonedBatchGivenUp(t *testing.T) {
	t.Parallel()
	var lost int
	times := retryTimes(t, Config{BatchSize: 1, OnError: func(err error, n int) { lost += n }}, func(n int, r request, w http.ResponseWriter) {
		if n < 2 || n >= 3 && r.events[0]["jobId"] == "poison" {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}, func(t *testing.T, c *Client, s *server) {
		c.Send(simple("a"))
		c.Flush(t.Context())
		c.Send(simple("poison"))
		c.Flush(t.Context())
		c.Send(simple("b"))
		c.Flush(t.Context())
		if st := c.Stats(); st.Sent != 2 || st.Dropped != 1 || !strings.Contains(st.LastError, "500") {
			t.Errorf("stats %+v", st)
		}
	})
	if len(times) != 3+maxFaults+1 || lost != 1 {
		t.Errorf("%d requests, %d lost", len(times), lost)
	}
	for i := 1; i <= 2; i++ {
		if d, full := times[i]-times[i-1], firstBackoff<<(i-1); d < full/2 || d > full {
			t.Errorf("wait %d was %v, want %v to %v", i, d, full/2, full)
		}
	}
}

func TestOutageLosesNothingWithinTheBuffer(t *testing.T) {
	t.Parallel()
	times := retryTimes(t, Config{BatchSize: 1}, func(n int, r request, w http.ResponseWriter) {
		if n < 20 {
			w.WriteHeader(http.StatusBadGateway)
		}
	}, func(t *testing.T, c *Client, s *server) {
		for i := range 700 {
			c.Send(simple(strconv.Itoa(i)))
		}
		c.Flush(t.Context())
		if st := c.Stats(); st.Sent != 700 || st.Dropped != 0 {
			t.Errorf("stats %+v", st)
		}
	})
	if total := times[len(times)-1]; total < 4*time.Minute {
		t.Errorf("the outage of %v is too short to show anything", total)
	}
}

func TestNetworkErrorIsRetried(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &server{}
		next := fakeNet(t, s).Transport
		var n atomic.Int32
		client := &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			if n.Add(1) <= 3 {
				return nil, errors.New("connection refused")
			}
			return next.RoundTrip(r)
		})}
		c := newClient(t, Config{Endpoint: "http://kept", HTTPClient: client})
		c.Send(simple("a"))
		c.Flush(t.Context())
		if st := c.Stats(); st.Sent != 1 || st.Retries != 3 {
			t.Errorf("stats %+v", st)
		}
	})
}

func TestRequestTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &server{}
		next := fakeNet(t, s).Transport
		var n atomic.Int32
		client := &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			if n.Add(1) == 1 {
				<-r.Context().Done()
				return nil, r.Context().Err()
			}
			return next.RoundTrip(r)
		})}
		c := newClient(t, Config{Endpoint: "http://kept", HTTPClient: client})
		c.Send(simple("a"))
		start := time.Now()
		c.Flush(t.Context())
		if d := time.Since(start); c.Stats().Sent != 1 || d < 10*time.Second || d > 12*time.Second {
			t.Errorf("delivered after %v", d)
		}
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
