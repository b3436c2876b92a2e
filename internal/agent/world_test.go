package agent_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/golang/snappy"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"

	"github.com/kept-dev/kept/wire/agentapi"
	"github.com/kept-dev/kept/wire/remotewrite"
)

// receiver is a server that reads requests with Prometheus's own code, and can be away.
type receiver struct {
	mu      sync.Mutex
	answer  func(w http.ResponseWriter) bool // answers instead and says so; nil for a server in good health
	series  map[string][]sample
	hellos  int
	refused int
	faults  []string
}

type sample struct {
	at    int64
	value float64
}

func (r *receiver) set(answer func(http.ResponseWriter) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = answer
}

func status(code int) func(http.ResponseWriter) bool {
	return func(w http.ResponseWriter) bool { w.WriteHeader(code); return true }
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.answer != nil && r.answer(w) {
		r.refused++
		return
	}
	if q.URL.Path == agentapi.PathHello {
		r.hellos++
		io.WriteString(w, `{"now":946684800000,"agent":"test"}`)
		return
	}
	body, err := io.ReadAll(q.Body)
	if err != nil {
		return // it was killed in the middle
	}
	raw, err := snappy.Decode(nil, body)
	var request writev2.Request
	if err == nil {
		err = request.Unmarshal(raw)
	}
	if err != nil || q.Header.Get("Content-Type") != remotewrite.ContentType || q.Header.Get("Authorization") != "Bearer secret" {
		r.faults = append(r.faults, fmt.Sprintf("bad request: %v %v", err, q.Header))
	}
	for _, ts := range request.Timeseries {
		var pairs []string
		for i := 0; i < len(ts.LabelsRefs); i += 2 {
			pairs = append(pairs, request.Symbols[ts.LabelsRefs[i]]+"="+request.Symbols[ts.LabelsRefs[i+1]])
		}
		if !slices.IsSorted(pairs) {
			r.faults = append(r.faults, fmt.Sprintf("labels not sorted: %q", pairs))
		}
		key := strings.Join(pairs, ",")
		r.series[key] = append(r.series[key], sample{ts.Samples[0].Timestamp, ts.Samples[0].Value})
	}
	w.Header().Set(remotewrite.SamplesWritten, fmt.Sprint(len(request.Timeseries)))
	w.WriteHeader(http.StatusNoContent)
}

// named returns the only series of a name.
func (r *receiver) named(t testing.TB, name string) []sample {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	var found []sample
	for key, list := range r.series {
		if strings.HasPrefix(key, "__name__="+name+",") {
			if found != nil {
				t.Fatalf("more than one series %s", name)
			}
			found = slices.Clone(list)
		}
	}
	return found
}

// pipes is a network in memory, which may be used within a synctest bubble.
type pipes struct {
	mu    sync.Mutex
	hosts map[string]*pipeListener
}

var errDown = errors.New("connection refused")

func (p *pipes) listen(host string) *pipeListener {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
	if p.hosts == nil {
		p.hosts = map[string]*pipeListener{}
	}
	p.hosts[host] = l
	return l
}

func (p *pipes) dial(ctx context.Context, _, address string) (net.Conn, error) {
	p.mu.Lock()
	l := p.hosts[address]
	p.mu.Unlock()
	if l == nil {
		return nil, errDown
	}
	here, there := net.Pipe()
	select {
	case l.conns <- there:
		return here, nil
	case <-l.done:
		return nil, errDown
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *pipes) transport() *http.Transport { return &http.Transport{DialContext: p.dial} }

type pipeListener struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error { l.once.Do(func() { close(l.done) }); return nil }

func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

// tree writes a small /proc.
func tree(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"loadavg": "0.50 0.40 0.30 1/100 4242\n",
		"stat":    "cpu  10 0 10 10 0 0 0 0 0 0\ncpu0 10 0 10 10 0 0 0 0 0 0\nctxt 123\nbtime 946680000\nprocesses 7\nprocs_running 1\nprocs_blocked 0\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// exact checks that a series has each multiple of step from first to last once, in order.
func exact(t testing.TB, what string, list []sample, first, last, step int64) {
	t.Helper()
	if len(list) == 0 {
		t.Errorf("%s: nothing", what)
		return
	}
	at := first
	for _, s := range list {
		if s.at != at {
			t.Errorf("%s: a sample of %d, want one of %d", what, s.at, at)
			return
		}
		at += step
	}
	if got := list[len(list)-1].at; got != last {
		t.Errorf("%s: the last sample is of %d, want %d", what, got, last)
	}
}

func isStale(v float64) bool { return math.Float64bits(v) == 0x7ff0000000000002 }
