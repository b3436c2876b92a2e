//go:build unix

package agent_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/agent"
	"github.com/kept-dev/kept/internal/agent/spool"
)

// realConfig is an agent with the real clock and network. Its interval is the shortest there is.
func realConfig(server, state, proc string) agent.Config {
	return agent.Config{
		Server: server, Key: "secret", StateDir: state, Interval: time.Second, Instance: "web-1", KeepOnExit: true,
		Only: []string{"loadavg"}, Proc: proc, Sys: state, Version: "test", Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
}

// TestAgentProcess is the agent that TestKilled starts and kills. On its own it does nothing.
func TestAgentProcess(t *testing.T) {
	server := os.Getenv("KEPT_TEST_AGENT_SERVER")
	if server == "" {
		return
	}
	a, err := agent.New(realConfig(server, os.Getenv("KEPT_TEST_AGENT_STATE"), os.Getenv("KEPT_TEST_AGENT_PROC")))
	if err != nil {
		t.Fatal(err)
	}
	a.Run(context.Background())
}

// waiting adds the times of all that a killed agent left to be sent, which it finds in a copy.
func waiting(t *testing.T, state string, times map[int64]bool) {
	t.Helper()
	copied := t.TempDir()
	if err := os.CopyFS(copied, os.DirFS(filepath.Join(state, "buffer"))); err != nil {
		t.Fatal(err)
	}
	s, err := spool.Open(copied, spool.Options{MaxBytes: 1 << 30, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for {
		r, err := s.Next()
		if err != nil {
			return
		}
		times[r.Time] = true
		if err := s.Done(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestKilled kills the agent with SIGKILL again and again while the server is away and while it is there. What was
// measured comes once; only a request that was on its way may come again, the same byte for byte.
func TestKilled(t *testing.T) {
	t.Parallel()
	r := &receiver{series: map[string][]sample{}}
	server := httptest.NewServer(r)
	defer server.Close()
	state, proc := t.TempDir(), tree(t)
	measured := map[int64]bool{}         // times that were on disk after a kill
	counted := make(chan struct{}, 1000) // a value for each request
	away := status(503)
	count := func(a func(http.ResponseWriter) bool) func(http.ResponseWriter) bool {
		return func(w http.ResponseWriter) bool {
			select {
			case counted <- struct{}{}:
			default:
			}
			return a(w)
		}
	}
	for round := range 6 {
		if round < 3 {
			r.set(count(away))
		} else {
			r.set(count(func(http.ResponseWriter) bool { return false }))
		}
		cmd := exec.Command(os.Args[0], "-test.run=^TestAgentProcess$")
		cmd.Env = append(os.Environ(), "KEPT_TEST_AGENT_SERVER="+server.URL, "KEPT_TEST_AGENT_STATE="+state, "KEPT_TEST_AGENT_PROC="+proc)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		for range 3 { // hello, and tries to send
			select {
			case <-counted:
			case <-time.After(30 * time.Second):
				t.Fatal("the agent does not reach the server")
			}
		}
		cmd.Process.Kill()
		cmd.Wait()
		waiting(t, state, measured)
	}
	r.set(nil)
	a, err := agent.New(realConfig(server.URL, state, proc))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	before := time.Now().Truncate(time.Second).UnixMilli()
	for {
		list := r.named(t, "node_load1")
		if len(list) > 0 && list[len(list)-1].at > before {
			break
		}
		if time.Now().UnixMilli() > before+60_000 {
			t.Fatal("nothing new came within a minute")
		}
		<-tick.C
	}
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	seen, again := map[int64]float64{}, 0
	last := int64(0)
	for _, s := range r.named(t, "node_load1") {
		if v, ok := seen[s.at]; ok && v == s.value {
			again++
		} else if s.at < last {
			t.Errorf("%d after %d", s.at, last)
		}
		seen[s.at], last = s.value, max(last, s.at)
	}
	if again > 6 {
		t.Errorf("%d samples came twice in 6 kills", again)
	}
	for at := range measured {
		if _, ok := seen[at]; !ok {
			t.Errorf("what was measured at %d is lost", at)
		}
	}
	if len(measured) < 3 {
		t.Errorf("%d times were on disk after six kills", len(measured))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range r.faults {
		if !strings.Contains(f, "unexpected EOF") {
			t.Error(f)
		}
	}
}
