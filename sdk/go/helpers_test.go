package kept

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

const testKey = "kept_test_key_0123"

// server is a Kept server as far as the protocol goes: it keeps the requests it got.
type server struct {
	*httptest.Server
	mu       sync.Mutex
	requests []request
	answer   func(n int, r request, w http.ResponseWriter) // n counts from 0; default: 200 and all accepted
}

type request struct {
	header http.Header
	body   []byte
	events []map[string]any
}

func newServer(t testing.TB, answer func(n int, r request, w http.ResponseWriter)) *server {
	t.Helper()
	s := &server{answer: answer}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Server.Close)
	return s
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(r.Body)
	if err != nil || r.Method != http.MethodPost || r.URL.Path != "/api/v1/events" {
		http.Error(w, `{"error":"not the protocol"}`, http.StatusNotFound)
		return
	}
	req := request{header: r.Header.Clone(), body: raw, events: decode(raw)}
	s.mu.Lock()
	n := len(s.requests)
	s.requests = append(s.requests, req)
	s.mu.Unlock()
	if s.answer != nil {
		s.answer(n, req, w)
		return
	}
	accept(w, len(req.events))
}

func accept(w http.ResponseWriter, n int) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]int{"accepted": n, "rejected": 0})
}

// decode reads a body; numbers stay as they were written.
func decode(raw []byte) []map[string]any {
	var b struct {
		Events []map[string]any `json:"events"`
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if d.Decode(&b) != nil {
		return nil
	}
	return b.Events
}

func (s *server) got() []request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]request(nil), s.requests...)
}

func (s *server) events() (out []map[string]any) {
	for _, r := range s.got() {
		out = append(out, r.events...)
	}
	return out
}

// fakeNet serves h over in-memory connections, so that a synctest bubble's clock can move.
func fakeNet(t testing.TB, h http.Handler) *http.Client {
	t.Helper()
	l := &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
	srv := &http.Server{Handler: h}
	stopped := make(chan struct{})
	go func() { defer close(stopped); srv.Serve(l) }()
	tr := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		a, b := net.Pipe()
		select {
		case l.conns <- b:
			return a, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}}
	t.Cleanup(func() {
		tr.CloseIdleConnections()
		srv.Close()
		<-stopped
	})
	return &http.Client{Transport: tr}
}

type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error   { l.once.Do(func() { close(l.done) }); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func newClient(t testing.TB, cfg Config) *Client {
	t.Helper()
	cfg.APIKey = testKey
	if cfg.Logger == nil {
		cfg.Logger = quiet()
	}
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // what a test wants delivered it has closed or flushed itself
		c.Close(ctx)
		<-c.done
	})
	return c
}

func simple(id string) Event {
	return Event{Kind: Active, JobID: id, JobName: "n", Queue: "q"}
}
