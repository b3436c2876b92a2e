package kept

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// story is what the server was told about one job, one line per event.
func story(events []map[string]any, id string) (lines []string) {
	for _, e := range events {
		if e["jobId"] != id {
			continue
		}
		line := fmt.Sprint(e["event"])
		if d, ok := e["data"].(map[string]any); ok {
			for _, k := range []string{"input", "attemptsMade", "failedReason", "returnValue", "progress", "log"} {
				if v, ok := d[k]; ok {
					line += fmt.Sprintf(" %s=%v", k, v)
				}
			}
		}
		lines = append(lines, line)
	}
	return lines
}

func wantStory(t *testing.T, s *server, id string, want ...string) {
	t.Helper()
	if got := strings.Join(story(s.events(), id), "\n"); got != strings.Join(want, "\n") {
		t.Errorf("job %s:\n got\n%s\nwant\n%s", id, got, strings.Join(want, "\n"))
	}
}

func TestRunCompletes(t *testing.T) {
	t.Parallel()
	s := newServer(t, nil)
	c := newClient(t, Config{Endpoint: s.URL})
	ctx := WithTrace(t.Context(), "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	err := Run(ctx, c, Job{ID: "1", Name: "resize", Queue: "media", Input: map[string]any{"w": 100}, EnqueuedAt: time.UnixMilli(1)}, func(ctx context.Context, j *Running) (any, error) {
		j.Progress(10)
		j.Log("half", map[string]any{"file": "a.png"})
		c.Enqueued(ctx, Job{ID: "2", Name: "publish", Queue: "web"})
		c.Enqueued(ctx, Job{ID: "3", Name: "publish", Queue: "web", RunAt: time.Now().Add(time.Hour)})
		return map[string]any{"bytes": 12}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	c.Close(t.Context())
	wantStory(t, s, "1",
		"waiting input=map[w:100]",
		"active input=map[w:100] attemptsMade=1",
		"progress progress=10",
		"progress log=map[message:half meta:map[file:a.png]]",
		"completed attemptsMade=1 returnValue=map[bytes:12]")
	wantStory(t, s, "2", "waiting")
	wantStory(t, s, "3", "delayed")
	for _, e := range s.events() {
		if e["traceId"] != "4bf92f3577b34da6a3ce929d0e0e4736" {
			t.Errorf("trace of %v", e)
		}
		if child := e["jobId"] != "1"; child != (e["parentJobId"] == "1") || child != (e["parentQueue"] == "media") {
			t.Errorf("parent of %v", e)
		}
	}
	if got := fmt.Sprint(s.events()[0]["timestamp"]); got != "1" {
		t.Errorf("waiting since %s", got)
	}
}

func TestRunFailsWithItsErrorChain(t *testing.T) {
	t.Parallel()
	s := newServer(t, nil)
	c := newClient(t, Config{Endpoint: s.URL})
	cause := WithStack(&http.MaxBytesError{Limit: 7})
	fail := fmt.Errorf("read upload: %w", errors.Join(cause, io.ErrUnexpectedEOF))
	for attempt := 1; attempt <= 2; attempt++ {
		err := Run(t.Context(), c, Job{ID: "1", Attempt: attempt, MaxAttempts: 2}, func(context.Context, *Running) (any, error) { return nil, fail })
		if err != fail {
			t.Errorf("Run returned %v", err)
		}
	}
	c.Close(t.Context())
	reason := "read upload: http: request body too large\nunexpected EOF"
	wantStory(t, s, "1",
		"active attemptsMade=1", "failed attemptsMade=1 failedReason=[retrying] "+reason,
		"active attemptsMade=2", "failed attemptsMade=2 failedReason="+reason)
	stack := s.events()[1]["data"].(map[string]any)["stack"].(string)
	for _, want := range []string{"*fmt.wrapError: read upload", "  *errors.joinError: ", "    *http.MaxBytesError: ", "    *errors.errorString: unexpected EOF"} {
		if !strings.Contains(stack, want) {
			t.Errorf("%q is not in\n%s", want, stack)
		}
	}
}

func TestWithStack(t *testing.T) {
	t.Parallel()
	err := WithStack(io.EOF)
	if again := WithStack(fmt.Errorf("x: %w", err)); strings.Count(ErrorStack(again), "TestWithStack") != 1 {
		t.Error(ErrorStack(again))
	}
	got := ErrorStack(fmt.Errorf("x: %w", err))
	if !strings.HasPrefix(got, "*fmt.wrapError: x: EOF\n  *errors.errorString: EOF\n\ngithub.com/kept-dev/kept/sdk/go.TestWithStack\n\tgithub.com/kept-dev/kept/sdk/go/run_test.go:") {
		t.Error(got)
	}
	if WithStack(nil) != nil || ErrorStack(nil) != "" || !errors.Is(err, io.EOF) {
		t.Error("nil, or the chain")
	}
	if got := ErrorStack(foreign{}); !strings.Contains(got, "frame one\nframe two") {
		t.Error(got)
	}
	var null *http.MaxBytesError
	if got := ErrorStack(null); !strings.Contains(got, "MaxBytesError") {
		t.Error(got)
	}
	if got := ErrorStack(selfish{}); strings.Count(got, "kept.selfish") > maxChain {
		t.Error("a chain without end")
	}
}

type foreign struct{}

func (foreign) Error() string         { return "foreign" }
func (foreign) StackTrace() frameList { return frameList{} }

type frameList struct{}

func (frameList) Format(f fmt.State, _ rune) { io.WriteString(f, "\nframe one\nframe two") }

type selfish struct{}

func (s selfish) Error() string { return "selfish" }
func (s selfish) Unwrap() error { return s }

//go:noinline
func explode(m map[string]int) { m["x"] = 1 }

func TestRunPanics(t *testing.T) {
	t.Parallel()
	s := newServer(t, nil)
	c := newClient(t, Config{Endpoint: s.URL, FlushInterval: time.Hour})
	for id, f := range map[string]func(){"value": func() { panic("no such luck") }, "runtime": func() { explode(nil) }} {
		func() {
			defer func() {
				if v := fmt.Sprint(recover()); v != "no such luck" && !strings.Contains(v, "nil map") {
					t.Errorf("the panic went on as %v", v)
				}
			}()
			Run(t.Context(), c, Job{ID: id}, func(context.Context, *Running) (any, error) { f(); return nil, nil })
			t.Error("Run returned")
		}()
	}
	// Nothing was flushed by hand: Run itself makes sure of the last words.
	wantStory(t, s, "value", "active attemptsMade=1", "failed attemptsMade=1 failedReason=panic: no such luck")
	wantStory(t, s, "runtime", "active attemptsMade=1", "failed attemptsMade=1 failedReason=panic: assignment to entry in nil map")
	for _, e := range s.events() {
		d := e["data"].(map[string]any)
		stack, _ := d["stack"].(string)
		if e["event"] != "failed" {
			continue
		}
		first := "github.com/kept-dev/kept/sdk/go.TestRunPanics.func1\n"
		if e["jobId"] == "runtime" {
			first = "github.com/kept-dev/kept/sdk/go.explode\n\tgithub.com/kept-dev/kept/sdk/go/run_test.go:"
		}
		if !strings.HasPrefix(stack, first) || !strings.Contains(stack, "go.Run\n") {
			t.Errorf("stack of %v:\n%s", e["jobId"], stack)
		}
	}
}

func TestPanicWaitsNoLongerThanAllowed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &server{answer: func(n int, r request, w http.ResponseWriter) { w.WriteHeader(503) }}
		c := newClient(t, Config{Endpoint: "http://kept", HTTPClient: fakeNet(t, s), PanicFlush: 2 * time.Second})
		start := time.Now()
		func() {
			defer func() { recover() }()
			Run(t.Context(), c, Job{}, func(context.Context, *Running) (any, error) { panic(1) })
		}()
		if d := time.Since(start); d != 2*time.Second {
			t.Errorf("waited %v", d)
		}
	})
}

func TestRunSeesGoexit(t *testing.T) {
	t.Parallel()
	s := newServer(t, nil)
	c := newClient(t, Config{Endpoint: s.URL})
	done := make(chan struct{})
	go func() {
		defer close(done)
		Run(t.Context(), c, Job{ID: "1"}, func(context.Context, *Running) (any, error) { runtime.Goexit(); return nil, nil })
	}()
	<-done
	c.Close(t.Context())
	wantStory(t, s, "1", "active attemptsMade=1", "failed attemptsMade=1 failedReason=the job ended its goroutine (runtime.Goexit)")
}

func TestTraceparent(t *testing.T) {
	t.Parallel()
	const id = "4bf92f3577b34da6a3ce929d0e0e4736"
	for in, want := range map[string]string{
		"00-" + id + "-00f067aa0ba902b7-01":                       id,
		" 01-" + id + "-00f067aa0ba902b7-01-more ":                id,
		"00-" + id + "-00f067aa0ba902b7-01-more":                  "",
		"ff-" + id + "-00f067aa0ba902b7-01":                       "",
		"00-" + strings.ToUpper(id) + "-00f067aa0ba902b7-01":      "",
		"00-00000000000000000000000000000000-00f067aa0ba902b7-01": "",
		"00-" + id + "-0000000000000000-01":                       "",
		"":                                                        "",
		"---":                                                     "",
	} {
		if got, ok := ParseTraceparent(in); got != want || ok != (want != "") {
			t.Errorf("%q gave %q", in, got)
		}
	}
	if TraceID(WithTrace(t.Context(), "req-77")) != "req-77" || TraceID(t.Context()) != "" {
		t.Error("ids of any form pass")
	}
}
