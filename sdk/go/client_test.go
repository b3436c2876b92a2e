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
	c := newClient(t, Config{Endpoint: s.URL, Timeout: 5 * time.Minute})
	for i := range 1201 {
		c.Send(simple(strconv.Itoa(i)))
	}
	big := strings.Repeat("字", 300_000)
	for i := range 8 {
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
	if n := len(s.events()); n != 1209 {
		t.Errorf("%d events, want 1209", n)
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
