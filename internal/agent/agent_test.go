package agent_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kept-dev/kept/internal/agent"
)

// world is an agent, a server and the network between them, in a bubble of time.
type world struct {
	*receiver
	net   *pipes
	conf  agent.Config
	stop  context.CancelFunc
	ended chan error
	start time.Time
}

func newWorld(t *testing.T, change func(*agent.Config)) *world {
	t.Helper()
	w := &world{receiver: &receiver{series: map[string][]sample{}}, net: &pipes{}, start: time.Now()}
	w.serve(t, "kept.example:80", w.receiver)
	w.conf = agent.Config{
		Server: "http://kept.example", Key: "secret", StateDir: t.TempDir(), Interval: time.Minute, Instance: "web-1",
		Only: []string{"loadavg", "stat"}, Proc: tree(t), Sys: t.TempDir(), Version: "test", Transport: w.net.transport(),
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
	if change != nil {
		change(&w.conf)
	}
	return w
}

func (w *world) serve(t *testing.T, host string, h http.Handler) {
	server := httptest.NewUnstartedServer(h)
	server.Listener.Close()
	server.Listener = w.net.listen(host)
	go server.Config.Serve(server.Listener)
	t.Cleanup(func() { server.Config.Close() })
}

func (w *world) run(t *testing.T) {
	t.Helper()
	a, err := agent.New(w.conf)
	if err != nil {
		t.Fatal(err)
	}
	var ctx context.Context
	ctx, w.stop = context.WithCancel(t.Context())
	w.ended = make(chan error, 1)
	go func() { w.ended <- a.Run(ctx) }()
}

func (w *world) end(t *testing.T) {
	t.Helper()
	w.stop()
	if err := <-w.ended; err != nil {
		t.Error(err)
	}
	w.conf.Transport.(*http.Transport).CloseIdleConnections()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, f := range w.faults {
		t.Error(f)
	}
}

// TestADayWithoutTheServer lets a day and more go by in which the server is away in many ways, then counts what came:
// each series has each minute once, in order, and then the mark that it ended.
func TestADayWithoutTheServer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.run(t)
		time.Sleep(time.Hour)
		for _, trouble := range []func(http.ResponseWriter) bool{
			status(503), status(500), status(502),
			func(rw http.ResponseWriter) bool { rw.Header().Set("Retry-After", "600"); return status(429)(rw) },
			status(401),
			func(rw http.ResponseWriter) bool { panic(http.ErrAbortHandler) },
			status(301),
		} {
			w.set(trouble)
			time.Sleep(3*time.Hour + 31*time.Minute)
		}
		before := len(w.named(t, "node_load1"))
		if before > 62 {
			t.Fatalf("%d samples came while the server was away", before)
		}
		w.set(nil)
		time.Sleep(6 * time.Minute) // a refused key is tried again after five
		if _, want := w.start, int(time.Since(w.start)/time.Minute); len(w.named(t, "node_load1")) < want {
			t.Errorf("%d of %d minutes came within six minutes", len(w.named(t, "node_load1")), want)
		}
		time.Sleep(30 * time.Second)
		last := time.Now().Truncate(time.Minute)
		w.end(t)
		for _, name := range []string{"node_load1", "node_context_switches_total", "kept_agent_info"} {
			list := w.named(t, name)
			exact(t, name, list, w.start.UnixMilli(), last.Add(time.Minute).UnixMilli(), 60_000)
			if end := list[len(list)-1]; !isStale(end.value) {
				t.Errorf("%s ends with %v, not with the mark", name, end)
			}
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.refused < 20 || w.refused > 3000 {
			t.Errorf("the server that was away was asked %d times in a day", w.refused)
		}
		if w.hellos < 10 {
			t.Errorf("%d hellos", w.hellos)
		}
	})
}

// TestRestarts stops and starts the agent at odd moments, with the server away: nothing is measured twice or lost.
func TestRestarts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(c *agent.Config) { c.KeepOnExit = true })
		w.set(status(503))
		for range 20 {
			w.run(t)
			time.Sleep(3*time.Minute + 7*time.Second)
			w.end(t)
		}
		w.set(nil)
		w.run(t)
		time.Sleep(3*time.Minute + 20*time.Second)
		last := time.Now().Truncate(time.Minute)
		w.end(t)
		exact(t, "node_load1", w.named(t, "node_load1"), w.start.UnixMilli(), last.UnixMilli(), 60_000)
	})
}

// TestTargets scrapes programs: one that answers, one that is slow, and one that goes away.
func TestTargets(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(c *agent.Config) {
			c.Interval, c.Only = 15*time.Second, []string{}
			c.Labels = map[string]string{"env": "test"}
			c.Targets = []agent.Target{
				{Job: "good", URL: "http://localhost:9100/metrics"}, {Job: "slow", URL: "http://slow.example/metrics"},
				{Job: "dead", URL: "http://dead.example/metrics"}, {Job: "late", URL: "http://late.example/metrics", Timeout: 14 * time.Second},
			}
		})
		var text, late atomic.Pointer[string]
		set := func(p *atomic.Pointer[string], s string) { p.Store(&s) }
		set(&text, "# TYPE hits_total counter\nhits_total{job=\"mine\",path=\"/\"} 7\n")
		set(&late, "late_metric 1\n")
		serve := func(host string, delay time.Duration, text *atomic.Pointer[string]) {
			w.serve(t, host, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				select {
				case <-time.After(delay):
				case <-r.Context().Done():
				}
				io.WriteString(rw, *text.Load())
			}))
		}
		serve("localhost:9100", 0, &text)
		serve("slow.example:80", time.Minute, &text)
		serve("late.example:80", 13*time.Second, &late)
		w.run(t)
		time.Sleep(10 * time.Minute)
		w.mu.Lock()
		hits := "__name__=hits_total,env=test,exported_job=mine,instance=web-1:9100,job=good,path=/"
		n := len(w.series[hits])
		w.mu.Unlock()
		if n < 40 {
			t.Errorf("%d samples of %s; there are %v", n, hits, keys(w.series))
		}
		set(&text, "other 1\n") // while the program restarts with another version
		time.Sleep(time.Minute)
		w.end(t)
		w.mu.Lock()
		defer w.mu.Unlock()
		list := w.series[hits]
		if end := list[len(list)-1]; !isStale(end.value) {
			t.Errorf("a series that the target dropped ends with %v", end)
		}
		for _, c := range []struct {
			key  string
			want float64
		}{
			{"__name__=up,env=test,instance=web-1:9100,job=good", 1},
			{"__name__=up,env=test,instance=slow.example,job=slow", 0},
			{"__name__=up,env=test,instance=dead.example,job=dead", 0},
			{"__name__=late_metric,env=test,instance=late.example,job=late", 1},
		} {
			list := w.series[c.key]
			if len(list) < 40 {
				t.Errorf("%s has %d samples", c.key, len(list))
				continue
			}
			end := list[len(list)-1]
			exact(t, c.key, list, list[0].at, end.at, 15_000)
			if list[0].value != c.want || !isStale(end.value) {
				t.Errorf("%s: %v … %v", c.key, list[0], end)
			}
		}
	})
}

func keys[V any](m map[string]V) (out []string) {
	for k := range m {
		out = append(out, k)
	}
	return out
}

// TestClockJumps lets the clock do what it likes: each time is a multiple of the interval and later than the one before,
// unless the clock went back by more than a day, and no measurement waits when it goes on as it should.
func TestClockJumps(t *testing.T) {
	t.Parallel()
	for seed := range uint64(50) {
		random := rand.New(rand.NewPCG(seed, 1))
		c := agent.NewTicker(15*time.Second, 0)
		now := time.Date(2026, 11, 22, 0, 0, 7, 0, time.UTC)
		last := int64(0)
		for range 2000 {
			jump := time.Duration(0)
			if random.IntN(20) == 0 {
				jump = time.Duration(random.Int64N(int64(50*time.Hour))) - 25*time.Hour
			}
			now = now.Add(jump + time.Duration(random.Int64N(int64(20*time.Second))))
			at, ok := c(now.UnixMilli())
			switch {
			case ok && (at%15_000 != 0 || at <= last && last-at < (26*time.Hour).Milliseconds()):
				t.Fatalf("at %v: %d after %d", now, at, last)
			case ok && (at > now.UnixMilli() || now.UnixMilli()-at >= 15_000):
				t.Fatalf("at %v the time given is %d", now, at)
			case !ok && now.UnixMilli() >= last+15_000:
				t.Fatalf("at %v nothing, though the last was %d", now, last)
			}
			if ok {
				last = at
			}
		}
	}
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	good := agent.Config{Server: "https://kept.example", StateDir: t.TempDir()}
	for name, change := range map[string]func(*agent.Config){
		"":              func(*agent.Config) {},
		"no server":     func(c *agent.Config) { c.Server = "" },
		"odd scheme":    func(c *agent.Config) { c.Server = "ftp://kept.example" },
		"half a second": func(c *agent.Config) { c.Interval = 500 * time.Millisecond },
		"one file":      func(c *agent.Config) { c.CertFile = "cert.pem" },
		"bad label":     func(c *agent.Config) { c.Labels = map[string]string{"a-b": "c"} },
		"our label":     func(c *agent.Config) { c.Labels = map[string]string{"instance": "c"} },
		"no collector":  func(c *agent.Config) { c.Except = []string{"cpus"} },
		"no target":     func(c *agent.Config) { c.Targets = []agent.Target{{Job: "x", URL: "localhost:9100"}} },
		"twice": func(c *agent.Config) {
			c.Targets = []agent.Target{{Job: "x", URL: "http://a"}, {Job: "x", URL: "http://a"}}
		},
		"bad expression":   func(c *agent.Config) { c.IgnoreDevices = "(" },
		"no folder":        func(c *agent.Config) { c.StateDir = "" },
		"certificate gone": func(c *agent.Config) { c.CertFile, c.KeyFile = "/no/cert", "/no/key" },
	} {
		conf := good
		change(&conf)
		if _, err := agent.New(conf); (err != nil) != (name != "") {
			t.Errorf("%s: %v", fmt.Sprintf("%q", name), err)
		}
	}
}
