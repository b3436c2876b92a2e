// Package bench measures Kept as its users meet it: a whole server on a temporary directory, real HTTP clients over
// loopback, durable answers. Figures depend on the machine; what means something elsewhere are the ratios, whose two
// sides come from one run.
package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kept-dev/kept/internal/app"
	"github.com/kept-dev/kept/internal/core/access"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/config"
	"github.com/kept-dev/kept/internal/platform/httpx"
)

// Options say how to measure job ingest.
type Options struct {
	Database string        // PostgreSQL to use; empty is SQLite
	Clients  int           // at a time
	Batch    int           // events per request
	Duration time.Duration // of each phase
	Jobs     int           // how many jobs there are when lists and searches are timed
	Tell     func(format string, args ...any)
}

// Result is what was measured.
type Result struct {
	Acknowledged    float64 `json:"acknowledged_per_second"`
	Visible         float64 `json:"visible_per_second"`
	DecodeOnly      float64 `json:"decode_only_per_second"`
	Ratio           float64 `json:"ratio_to_decode_only"`
	AnswerP50       float64 `json:"answer_p50_ms"`
	AnswerP99       float64 `json:"answer_p99_ms"`
	HalfLoadP50     float64 `json:"half_load_answer_p50_ms"`
	HalfLoadP99     float64 `json:"half_load_answer_p99_ms"`
	HalfLoadVisible float64 `json:"half_load_visible_p99_ms"`
	BytesPerEvent   float64 `json:"bytes_per_event"`
	BytesSent       float64 `json:"bytes_per_event_sent"`
	Events          int64   `json:"events"`
	Jobs            int64   `json:"jobs"`
	ListP95         float64 `json:"list_p95_ms"`
	SearchP95       float64 `json:"search_p95_ms"`
	JobP95          float64 `json:"job_p95_ms"`
	QueuesP95       float64 `json:"queues_p95_ms"`
	PeakRSS         int64   `json:"peak_rss_bytes"`
	CPUs            int     `json:"cpus"`
	Database        string  `json:"database"`
	Questions       []Timed `json:"questions"`
}

// Timed is one question and its 95th percentile, milliseconds.
type Timed struct {
	Question string  `json:"question"`
	P95      float64 `json:"p95_ms"`
}

// rounds is how often the two servers take turns, so that a machine whose speed drifts does not favour one of them.
const rounds = 5

// Jobs measures job ingest and the questions asked of jobs.
func Jobs(ctx context.Context, o Options) (res Result, err error) {
	res.CPUs, res.Database = runtime.NumCPU(), "sqlite"
	if o.Database != "" {
		res.Database = "postgres"
	}
	err = withServer(ctx, o, nil, func(store *server) error {
		err := withServer(ctx, Options{Clients: o.Clients}, []app.Option{app.WithDecodeOnly()}, func(discard *server) error {
			return res.flatOut(ctx, o, store, discard)
		})
		if err != nil {
			return err
		}
		return store.measure(ctx, o, &res)
	})
	res.PeakRSS = peakRSS()
	return res, err
}

// flatOut lets the clients send as fast as they can, in turns to the server that stores and to the one that does not.
// What a round stored is visible and compacted before the next begins.
func (res *Result) flatOut(ctx context.Context, o Options, store, discard *server) error {
	var stored, discarded, visible, ratio []float64
	answers := &load{}
	for round := range rounds + 1 {
		o.Tell("flat out, round %d of %d …", round, rounds)
		d, err := discard.flatOut(ctx, o, o.Duration/rounds)
		if err != nil {
			return err
		}
		start := time.Now()
		s, err := store.flatOut(ctx, o, o.Duration/rounds)
		if err == nil {
			err = store.waitVisible(ctx)
		}
		seen := time.Since(start)
		if err == nil {
			err = store.settle(ctx) // or the other server would share the processors with its background work
		}
		if err != nil {
			return err
		}
		if round == 0 {
			continue // to warm up
		}
		stored, discarded = append(stored, s.perSecond()), append(discarded, d.perSecond())
		visible = append(visible, float64(s.events)/seen.Seconds())
		ratio = append(ratio, s.perSecond()/d.perSecond())
		answers.answers = append(answers.answers, s.answers...)
	}
	res.Acknowledged, res.DecodeOnly, res.Visible, res.Ratio = median(stored), median(discarded), median(visible), median(ratio)
	res.AnswerP50, res.AnswerP99 = answers.quantile(0.5), answers.quantile(0.99)
	return nil
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

// server is a Kept to measure.
type server struct {
	*app.App
	ws    kernel.WorkspaceID
	key   string
	http  *http.Client
	jobID atomic.Int64
	sent  atomic.Int64 // events
}

func withServer(ctx context.Context, o Options, options []app.Option, f func(*server) error) (err error) {
	dir, err := os.MkdirTemp("", "kept-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	cfg := config.Default()
	cfg.Data, cfg.Addr, cfg.Database = filepath.Join(dir, "data"), "127.0.0.1:0", config.Secret(o.Database)
	unlimited := map[httpx.RateClass]httpx.Limit{}
	for class := range httpx.DefaultRates() {
		unlimited[class] = httpx.Limit{}
	}
	options = append(options, app.WithRates(unlimited), app.WithLogger(slog.New(slog.DiscardHandler)))
	a, err := app.New(ctx, cfg, options...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.Stop(context.WithoutCancel(ctx))) }()
	if err := a.Start(ctx); err != nil {
		return err
	}
	made, err := a.Setup(ctx, access.Setup{Email: "bench@example.com", Password: "nobody signs in to measure", Workspace: "Bench " + time.Now().Format(time.RFC3339Nano)})
	if err != nil {
		return err
	}
	s := &server{App: a, ws: made.WorkspaceID, key: made.APIKey,
		http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: o.Clients, MaxIdleConns: o.Clients}}}
	defer s.http.CloseIdleConnections()
	return f(s)
}

func (s *server) measure(ctx context.Context, o Options, res *Result) error {
	o.Tell("store, at half of that …")
	half, err := s.paced(ctx, o, res.Acknowledged/2)
	if err != nil {
		return err
	}
	res.HalfLoadP50, res.HalfLoadP99, res.HalfLoadVisible = half.quantile(0.5), half.quantile(0.99), quantile(half.visible, 0.99)
	if missing := int64(o.Jobs) - s.jobID.Load(); missing > 0 {
		o.Tell("fill up to %d jobs …", o.Jobs)
		if err := s.fill(ctx, o, missing); err != nil {
			return err
		}
	}
	if err := s.waitVisible(ctx); err != nil {
		return err
	}
	o.Tell("wait until the log is compacted …")
	if err := s.settle(ctx); err != nil {
		return err
	}
	res.Events, res.Jobs = s.sent.Load(), s.jobID.Load()
	bytes, err := s.JobsBytes(ctx)
	if err != nil {
		return err
	}
	res.BytesPerEvent = float64(bytes) / float64(res.Events)
	res.BytesSent = float64(len(newBatch(o.Batch).body)) / float64(o.Batch)
	o.Tell("ask questions of %d jobs …", res.Jobs)
	return s.questions(ctx, res)
}

// load is what clients saw.
type load struct {
	events  int64
	took    time.Duration
	answers []time.Duration
	visible []time.Duration
}

func (l *load) perSecond() float64         { return float64(l.events) / l.took.Seconds() }
func (l *load) quantile(p float64) float64 { return quantile(l.answers, p) }
func quantile(d []time.Duration, p float64) float64 {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return float64(d[min(len(d)-1, int(p*float64(len(d))))].Microseconds()) / 1000
}

// clients runs o.Clients loops; each sends a batch whenever next says so.
func (s *server) clients(ctx context.Context, o Options, next func() bool) (*load, error) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	var failed error
	total := &load{}
	start := time.Now()
	for range o.Clients {
		wg.Go(func() {
			b := newBatch(o.Batch)
			var answers []time.Duration
			var err error
			for err == nil && ctx.Err() == nil && next() {
				b.number(s.jobID.Add(int64(b.jobs)), time.Now())
				at := time.Now()
				err = s.post(ctx, b)
				answers = append(answers, time.Since(at))
			}
			mu.Lock()
			defer mu.Unlock()
			failed = errors.Join(failed, err)
			total.answers = append(total.answers, answers...)
		})
	}
	wg.Wait()
	total.took = time.Since(start)
	total.events = int64(len(total.answers) * o.Batch)
	s.sent.Add(total.events)
	return total, errors.Join(failed, ctx.Err())
}

func (s *server) flatOut(ctx context.Context, o Options, d time.Duration) (*load, error) {
	end := time.Now().Add(d)
	return s.clients(ctx, o, func() bool { return time.Now().Before(end) })
}

func (s *server) fill(ctx context.Context, o Options, jobs int64) error {
	until := s.jobID.Load() + jobs
	_, err := s.clients(ctx, o, func() bool { return s.jobID.Load() < until })
	return err
}

// paced sends at a rate of events per second, and sees now and then how long an event takes until it is visible.
func (s *server) paced(ctx context.Context, o Options, perSecond float64) (*load, error) {
	each := time.Duration(float64(time.Second) * float64(o.Batch) / perSecond)
	start := time.Now()
	end := start.Add(o.Duration)
	var turn atomic.Int64
	stop, cancel := context.WithCancel(ctx)
	seen := make(chan []time.Duration)
	go func() { seen <- s.watchVisible(stop) }()
	l, err := s.clients(ctx, o, func() bool {
		at := start.Add(time.Duration(turn.Add(1)) * each)
		time.Sleep(time.Until(at))
		return time.Now().Before(end)
	})
	cancel()
	l.visible = <-seen
	return l, err
}

// watchVisible measures again and again how long the index is behind the log's end.
func (s *server) watchVisible(ctx context.Context) (out []time.Duration) {
	for ctx.Err() == nil {
		at := time.Now()
		end, err := s.Jobs().Log().NextOffset(ctx, s.ws)
		for err == nil && ctx.Err() == nil {
			var folded int64
			if folded, err = s.Jobs().Index().Folded(ctx, s.ws); folded >= end {
				out = append(out, time.Since(at))
				break
			}
			time.Sleep(time.Millisecond)
		}
		time.Sleep(20 * time.Millisecond)
	}
	return out
}

func (s *server) waitVisible(ctx context.Context) error {
	for {
		end, err := s.Jobs().Log().NextOffset(ctx, s.ws)
		if err != nil {
			return err
		}
		folded, err := s.Jobs().Index().Folded(ctx, s.ws)
		if err != nil || folded >= end {
			return err
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// settle waits until background work has nothing left to do.
func (s *server) settle(ctx context.Context) error {
	for deadline := time.Now().Add(10 * time.Minute); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		idle, err := s.Jobs().Index().Settled(ctx, s.ws)
		if err != nil || idle {
			return err
		}
	}
	return errors.New("the background work does not come to an end")
}

func (s *server) post(ctx context.Context, b *batch) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL()+"/api/v1/events", bytes.NewReader(b.body))
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+s.key)
	r.Header.Set("Content-Type", "application/json")
	resp, err := s.http.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && (resp.StatusCode != http.StatusOK || !bytes.HasPrefix(text, fmt.Appendf(nil, `{"accepted":%d,`, b.events))) {
		err = fmt.Errorf("the server answered %d %.200s", resp.StatusCode, text)
	}
	return err
}

// questions times what people ask, over HTTP.
func (s *server) questions(ctx context.Context, res *Result) error {
	newest := s.jobID.Load()
	for _, q := range []struct {
		name string
		path func(i int) string
		into *float64
	}{
		{"list", func(int) string { return "/api/v1/jobs" }, &res.ListP95},
		{"list, failed", func(int) string { return "/api/v1/jobs?status=failed" }, &res.ListP95},
		{"list, one name", func(i int) string { return fmt.Sprintf("/api/v1/jobs?name=task-%d", 10+i%20) }, &res.ListP95},
		{"list, no match", func(int) string { return "/api/v1/jobs?queue=nowhere&status=stalled" }, &res.ListP95},
		{"list, slow failures of one queue", func(int) string { return "/api/v1/jobs?queue=queue-3&status=failed&min_duration=900ms" }, &res.ListP95},
		{"search, an id", func(i int) string { return fmt.Sprintf("/api/v1/jobs?q=%d", firstID+newest*int64(i+1)/120) }, &res.SearchP95},
		{"search, in a payload", func(i int) string { return fmt.Sprintf("/api/v1/jobs?q=customer%d", firstID+newest*int64(i+1)/120) }, &res.SearchP95},
		{"search, a common word", func(int) string { return "/api/v1/jobs?q=invoice-reminder" }, &res.SearchP95},
		{"search, nothing", func(i int) string { return fmt.Sprintf("/api/v1/jobs?q=absent%d", i) }, &res.SearchP95},
		{"a job", func(i int) string {
			n := newest * int64(i+1) / 120
			return fmt.Sprintf("/api/v1/jobs/queue-%d/%d", n%queues, firstID+n)
		}, &res.JobP95},
		{"queues, 24 h", func(int) string { return "/api/v1/queues" }, &res.QueuesP95},
	} {
		var took []time.Duration
		for i := range 100 {
			at := time.Now()
			if err := s.get(ctx, q.path(i)); err != nil {
				return fmt.Errorf("%s: %w", q.name, err)
			}
			took = append(took, time.Since(at))
		}
		p95 := quantile(took, 0.95)
		res.Questions = append(res.Questions, Timed{q.name, p95})
		*q.into = max(*q.into, p95)
	}
	return nil
}

func (s *server) get(ctx context.Context, path string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL()+path, nil)
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+s.key)
	resp, err := s.http.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && (resp.StatusCode != http.StatusOK || !json.Valid(text)) {
		err = fmt.Errorf("%s: %d %.200s", path, resp.StatusCode, text)
	}
	return err
}

// peakRSS is the most memory that this process, clients included, had resident; 0 where the system does not tell.
func peakRSS() int64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		var kb int64
		if n, _ := fmt.Sscanf(line, "VmHWM: %d kB", &kb); n == 1 {
			return kb << 10
		}
	}
	return 0
}
