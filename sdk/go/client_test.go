package kept

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestProtocol(t *testing.T) {
	t.Parallel()
	s := newServer(t, nil)
	c := newClient(t, Config{Endpoint: s.URL + "/", Env: "production"})
	at := time.UnixMilli(1772000000120)
	c.Send(Event{
		Kind: Active, JobID: "1", JobName: "send-email", Queue: "emails", Time: at,
		ParentID: "9", ParentQueue: "orders", TraceID: "t1",
		Data: Data{Input: map[string]any{"to": "a@b.c", "big": json.Number("9007199254740993")}, AttemptsMade: 2},
	})
	c.Send(Event{Kind: Delayed, JobID: "2", JobName: "x", Queue: "q", Time: at, Env: "staging", Data: Data{Delay: at.Add(time.Minute)}})
	c.Send(Event{Kind: Failed, JobID: "3", Time: at, Data: Data{FailedReason: "boom", Retrying: true, Stack: "s"}})
	c.Send(Event{Kind: Progress, JobID: "3", JobName: "x", Queue: "q", Time: at, Data: Data{Progress: 42.5}})
	c.Send(Event{Kind: Progress, JobID: "3", JobName: "x", Queue: "q", Time: at, Data: Data{Log: &LogLine{"step", map[string]any{"n": 1}}}})
	c.Send(Event{Kind: Completed, JobID: "3", JobName: "x", Queue: "q", Time: at, Data: Data{ReturnValue: []int{1}, Extra: map[string]any{"b": 2, "a": 1, "returnValue": "never"}}})
	if err := c.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := `{"events":[` + strings.Join([]string{
		`{"jobId":"1","jobName":"send-email","queue":"emails","event":"active","timestamp":1772000000120,"env":"production","parentJobId":"9","parentQueue":"orders","traceId":"t1","data":{"input":{"big":9007199254740993,"to":"a@b.c"},"attemptsMade":2}}`,
		`{"jobId":"2","jobName":"x","queue":"q","event":"delayed","timestamp":1772000000120,"env":"staging","data":{"delay":1772000060120}}`,
		`{"jobId":"3","jobName":"unknown","queue":"unknown","event":"failed","timestamp":1772000000120,"env":"production","data":{"failedReason":"[retrying] boom","stack":"s"}}`,
		`{"jobId":"3","jobName":"x","queue":"q","event":"progress","timestamp":1772000000120,"env":"production","data":{"progress":42.5}}`,
		`{"jobId":"3","jobName":"x","queue":"q","event":"progress","timestamp":1772000000120,"env":"production","data":{"log":{"message":"step","meta":{"n":1}}}}`,
		`{"jobId":"3","jobName":"x","queue":"q","event":"completed","timestamp":1772000000120,"env":"production","data":{"returnValue":[1],"a":1,"b":2}}`,
	}, ",") + `]}`
	reqs := s.got()
	if len(reqs) != 1 {
		t.Fatalf("%d requests, want 1", len(reqs))
	}
	if got := string(reqs[0].body); got != want {
		t.Errorf("body\n got %s\nwant %s", got, want)
	}
	h := reqs[0].header
	for k, v := range map[string]string{
		"Authorization": "Bearer " + testKey, "Content-Type": "application/json", "Accept": "application/json",
		"X-Jobviz-Agent-Version": "kept-go/" + Version, "Content-Encoding": "",
	} {
		if h.Get(k) != v {
			t.Errorf("%s = %q, want %q", k, h.Get(k), v)
		}
	}
	var meta map[string]any
	if err := json.Unmarshal([]byte(h.Get("X-Jobviz-Agent-Meta")), &meta); err != nil || meta["env"] != "production" || meta["redactKeys"] != true {
		t.Errorf("meta %v, %v", meta, err)
	}
	if st := c.Stats(); st.Sent != 6 || st.Requests != 1 || st.Dropped != 0 || st.Buffered != 0 {
		t.Errorf("stats %+v", st)
	}
}

func TestDeployment(t *testing.T) {
	t.Parallel()
	s := newServer(t, nil)
	c := newClient(t, Config{Endpoint: s.URL})
	c.Deployment("1.4.2", "abc", "")
	c.Close(t.Context())
	e := s.events()[0]
	data := e["data"].(map[string]any)
	if e["event"] != "deployment" || e["queue"] != "__system" || !strings.HasPrefix(e["jobId"].(string), "deploy-") || data["version"] != "1.4.2" || data["commitHash"] != "abc" {
		t.Errorf("%v", e)
	}
}

func TestConfig(t *testing.T) {
	ok := Config{Endpoint: "https://x.example", APIKey: testKey}
	for name, change := range map[string]func(*Config){
		"no endpoint":   func(c *Config) { c.Endpoint = "" },
		"no key":        func(c *Config) { c.APIKey = "" },
		"short key":     func(c *Config) { c.APIKey = "123456789" },
		"key with line": func(c *Config) { c.APIKey = "0123456789\nX: y" },
		"not http":      func(c *Config) { c.Endpoint = "ftp://x.example" },
		"no host":       func(c *Config) { c.Endpoint = "kept.example.com" },
		"policy":        func(c *Config) { c.Payload = "some" },
		"size":          func(c *Config) { c.BufferSize = -1 },
	} {
		cfg := ok
		change(&cfg)
		if c, err := New(cfg); err == nil {
			c.Close(t.Context())
			t.Errorf("%s: no error", name)
		} else if strings.HasPrefix(name, "no ") != errors.Is(err, ErrNotConfigured) && name != "no host" {
			t.Errorf("%s: %v", name, err)
		} else if strings.Contains(err.Error(), "0123456789") {
			t.Errorf("%s: the error shows the key", name)
		}
	}
	t.Setenv("KEPT_ENDPOINT", "http://127.0.0.1:1")
	t.Setenv("KEPT_API_KEY", testKey)
	t.Setenv("KEPT_ENV", "staging")
	c, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	if c.cfg.Env != "staging" {
		t.Errorf("env %q", c.cfg.Env)
	}
	c.Close(t.Context())
}

func TestNilClient(t *testing.T) {
	t.Parallel()
	var c *Client
	c.Send(Event{})
	c.Deployment("1", "", "")
	c.Enqueued(t.Context(), Job{})
	err := Run(t.Context(), c, Job{}, func(ctx context.Context, j *Running) (any, error) {
		j.Log("x", nil)
		j.Progress(1)
		return nil, errors.New("mine")
	})
	if err == nil || err.Error() != "mine" || c.Flush(t.Context()) != nil || c.Close(t.Context()) != nil || c.Stats() != (Stats{}) {
		t.Error("a nil client must do nothing, quietly")
	}
}

func TestBatchingBySizeAndTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &server{}
		c := newClient(t, Config{Endpoint: "http://kept", HTTPClient: fakeNet(t, s)})
		c.Send(simple("a"))
		time.Sleep(999 * time.Millisecond)
		c.Send(simple("b"))
		synctest.Wait()
		if n := len(s.got()); n != 0 {
			t.Fatalf("%d requests before a second was over", n)
		}
		time.Sleep(2 * time.Millisecond)
		synctest.Wait()
		if n := len(s.got()); n != 1 || len(s.events()) != 2 {
			t.Fatalf("%d requests, %d events after a second; want 1, 2", n, len(s.events()))
		}
		for i := range 100 {
			c.Send(simple(strconv.Itoa(i)))
		}
		synctest.Wait() // no time passes
		if n := len(s.events()); n != 102 {
			t.Fatalf("%d events at once after a full batch, want 102", n)
		}
	})
}

func TestRequestsHoldAtMost500EventsAndTheBodyCap(t *testing.T) {
	t.Parallel()
	var busy, most atomic.Int32
	release := make(chan struct{})
	s := newServer(t, func(n int, r request, w http.ResponseWriter) {
		most.Store(max(most.Load(), busy.Add(1)))
		if n == 0 {
			<-release
		}
		busy.Add(-1)
		accept(w, len(r.events))
	})
	c := newClient(t, Config{Endpoint: s.URL})
	for i := range 1201 {
		c.Send(simple(strconv.Itoa(i)))
	}
	big := strings.Repeat("字", 300_000)
	for i := range 20 {
		e := simple("big" + strconv.Itoa(i))
		e.Data.Input = big
		c.Send(e)
	}
	close(release)
	if err := c.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i, r := range s.got() {
		if len(r.events) > 500 || len(r.body) > 5<<20 {
			t.Errorf("request %d has %d events in %d bytes", i, len(r.events), len(r.body))
		}
	}
	if n := len(s.events()); n != 1221 {
		t.Errorf("%d events, want 1221", n)
	}
	if most.Load() != 1 {
		t.Errorf("%d requests at once, want 1", most.Load())
	}
}

func TestOrderIsKept(t *testing.T) {
	t.Parallel()
	s := newServer(t, nil)
	c := newClient(t, Config{Endpoint: s.URL, BatchSize: 7})
	for i := range 1000 {
		c.Send(simple(strconv.Itoa(i)))
	}
	c.Close(t.Context())
	for i, e := range s.events() {
		if e["jobId"] != strconv.Itoa(i) {
			t.Fatalf("event %d is job %v", i, e["jobId"])
		}
	}
}

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

func TestClientErrorIsPermanent(t *testing.T) {
	t.Parallel()
	for _, status := range []int{400, 401, 403, 404, 422, 301, 307} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			t.Parallel()
			s := newServer(t, func(n int, r request, w http.ResponseWriter) {
				w.Header().Set("Location", "https://elsewhere.example/api/v1/events")
				w.WriteHeader(status)
				fmt.Fprint(w, `{"error":"API key unknown"}`)
			})
			var lost int
			var last error
			c := newClient(t, Config{Endpoint: s.URL, OnError: func(err error, n int) { last, lost = err, lost+n }})
			c.Send(simple("a"))
			c.Send(simple("b"))
			if err := c.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			var api *APIError
			if lost != 2 || !errors.As(last, &api) || api.Status != status || c.Stats().Dropped != 2 || len(s.got()) != 1 {
				t.Errorf("lost %d, %v, %+v", lost, last, c.Stats())
			}
			if wantLoc := status < 400; wantLoc != strings.Contains(api.Message, "elsewhere") || !wantLoc && api.Message != "API key unknown" {
				t.Errorf("message %q", api.Message)
			}
		})
	}
}

func TestTooLargeBatchIsSplit(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(n int, r request, w http.ResponseWriter) {
		if len(r.events) > 3 || len(r.events) == 1 && r.events[0]["jobId"] == "13" {
			w.WriteHeader(http.StatusRequestEntityTooLarge)
			return
		}
		if len(r.events) > 1 && strings.Contains(string(r.body), `"13"`) {
			w.WriteHeader(http.StatusRequestEntityTooLarge)
		}
	})
	var lost int
	c := newClient(t, Config{Endpoint: s.URL, OnError: func(_ error, n int) { lost += n }})
	for i := range 20 {
		c.Send(simple(strconv.Itoa(i)))
	}
	c.Close(t.Context())
	if st := c.Stats(); st.Sent != 19 || st.Dropped != 1 || lost != 1 {
		t.Errorf("stats %+v, lost %d", st, lost)
	}
}

func TestPartialAcceptance(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(n int, r request, w http.ResponseWriter) {
		fmt.Fprint(w, `{"accepted":1,"rejected":2,"errors":[{"index":0,"errors":["timestamp: missing"]},{"index":2,"errors":["a","b"]}]}`)
	})
	var lost int
	var last error
	c := newClient(t, Config{Endpoint: s.URL, OnError: func(err error, n int) { last, lost = err, lost+n }})
	for range 3 {
		c.Send(simple("a"))
	}
	c.Close(t.Context())
	var refused *RejectedError
	if !errors.As(last, &refused) || lost != 2 || fmt.Sprint(refused.Reasons) != "[event 0: timestamp: missing event 2: a, b]" {
		t.Errorf("%v, %d", last, lost)
	}
	if st := c.Stats(); st.Sent != 3 || st.Rejected != 2 || st.Dropped != 0 {
		t.Errorf("stats %+v", st)
	}
}

func TestOddSuccessBodies(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"", "ok", "<html>", "null", "[]", `{"accepted":"many"}`, `{"rejected":-4}`} {
		s := newServer(t, func(n int, r request, w http.ResponseWriter) { fmt.Fprint(w, body) })
		c := newClient(t, Config{Endpoint: s.URL})
		c.Send(simple("a"))
		c.Close(t.Context())
		if st := c.Stats(); st.Sent != 1 || st.Rejected != 0 || st.Dropped != 0 {
			t.Errorf("%q: stats %+v", body, st)
		}
	}
}

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
	b := newBuffer(5, 1000, 100)
	for range 3 {
		b.push([]byte("x"))
	}
	b.take(2, 1000)
	done := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { done <- b.wait(ctx) }()
	for { // until the waiter stands in line
		b.mu.Lock()
		n := len(b.waiters)
		b.mu.Unlock()
		if n == 1 {
			break
		}
	}
	for range 50 { // drops the third event and many newer ones
		b.push([]byte("y"))
	}
	select {
	case <-done:
		t.Fatal("the flush ended while its events were in flight")
	default:
	}
	b.settle()
	if err := <-done; err != nil {
		t.Error(err)
	}
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

func TestOnErrorMayPanic(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(n int, r request, w http.ResponseWriter) {
		if n == 0 {
			w.WriteHeader(http.StatusBadRequest)
		}
	})
	c := newClient(t, Config{Endpoint: s.URL, OnError: func(error, int) { panic("mine") }})
	c.Send(simple("a"))
	c.Flush(t.Context())
	c.Send(simple("b"))
	c.Flush(t.Context())
	if st := c.Stats(); st.Sent != 1 || st.Dropped != 1 {
		t.Errorf("stats %+v", st)
	}
}

func TestManyGoroutines(t *testing.T) {
	t.Parallel()
	s := newServer(t, nil)
	c := newClient(t, Config{Endpoint: s.URL})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 500 {
				c.Send(simple("a"))
				c.Stats()
			}
			c.Flush(t.Context())
		})
	}
	wg.Wait()
	if n := len(s.events()); n != 4000 {
		t.Errorf("%d events, want 4000", n)
	}
}

func BenchmarkSend(b *testing.B) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {}))
	defer s.Close()
	c := newClient(b, Config{Endpoint: s.URL})
	e := simple("1")
	e.Data.Input = map[string]any{"to": "a@example.com", "order": 12345678901234567, "items": []string{"one", "two"}, "token": "x"}
	b.ReportAllocs()
	for b.Loop() {
		c.Send(e)
	}
}
