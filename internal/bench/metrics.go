package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/snappy"
	remoteapi "github.com/prometheus/client_golang/exp/api/remote"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
	"github.com/prometheus/prometheus/storage/remote"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/util/compression"
)

// MetricOptions say how to measure metrics.
type MetricOptions struct {
	Peer       string        // program of a stock Prometheus; empty: its handler and database of our version
	Clients    int           // at a time
	Hosts      int           // that send
	Series     int           // of each host, which are a request
	Duration   time.Duration // of sending, to each
	Old        bool          // remote write 1.0 in place of 2.0
	Workspaces int           // that are opened and closed
	Tell       func(format string, args ...any)
}

// MetricResult is what was measured.
type MetricResult struct {
	Samples   float64 `json:"samples_per_second"`
	AnswerP50 float64 `json:"answer_p50_ms"`
	AnswerP99 float64 `json:"answer_p99_ms"`
	Peer      string  `json:"peer"`
	PeerRate  float64 `json:"peer_samples_per_second"`
	PeerP50   float64 `json:"peer_answer_p50_ms"`
	PeerP99   float64 `json:"peer_answer_p99_ms"`
	Ratio     float64 `json:"ratio_to_peer"`
	StoreRate float64 `json:"store_samples_per_second"`
	PerSample float64 `json:"bytes_per_sample"`
	Tenants
	CPUs int `json:"cpus"`
}

// Metrics measures the intake of metrics over HTTP, beside a stock Prometheus if there is one, and the store below it.
func Metrics(ctx context.Context, o MetricOptions) (res MetricResult, err error) {
	res.CPUs = runtime.NumCPU()
	err = withServer(ctx, Options{Clients: o.Clients}, nil, func(s *server) error {
		ours := target{url: s.URL() + "/prometheus/api/v1/write", key: s.key, http: s.http}
		return withPeer(ctx, o, func(peer *target) error { return res.intake(ctx, o, &ours, peer) })
	})
	if err != nil {
		return res, err
	}
	o.Tell("write a day to the store …")
	if res.StoreRate, res.PerSample, err = storeDay(ctx); err != nil {
		return res, err
	}
	o.Tell("open and close %d workspaces …", o.Workspaces)
	res.Tenants, err = tenants(ctx, o.Workspaces)
	return res, err
}

// intake sends the same to both, in turns.
func (res *MetricResult) intake(ctx context.Context, o MetricOptions, ours, peer *target) error {
	var rates, peers, ratios []float64
	mine, other := &load{}, &load{}
	for round := range rounds + 1 {
		o.Tell("send metrics, round %d of %d …", round, rounds)
		l, err := ours.send(ctx, o)
		if err != nil {
			return err
		}
		p, err := peer.send(ctx, o)
		if err != nil {
			return fmt.Errorf("the peer: %w", err)
		}
		if round == 0 {
			continue // to warm up, and to make the series
		}
		rates, peers = append(rates, l.perSecond()), append(peers, p.perSecond())
		ratios = append(ratios, l.perSecond()/p.perSecond())
		mine.answers, other.answers = append(mine.answers, l.answers...), append(other.answers, p.answers...)
	}
	res.Samples, res.AnswerP50, res.AnswerP99 = median(rates), mine.quantile(0.5), mine.quantile(0.99)
	res.Peer, res.PeerRate, res.PeerP50, res.PeerP99, res.Ratio = peer.name, median(peers), other.quantile(0.5), other.quantile(0.99), median(ratios)
	return nil
}

// target is where metrics are sent.
type target struct {
	name, url, key string
	http           *http.Client
	step           [2]atomic.Int64 // of time that hosts have reached
	from           time.Time
}

// interval is how far the samples of a series are apart.
const interval = 15 * time.Second

// send lets the clients send as fast as they can; each speaks for some of the hosts, so a series' samples come in order.
func (t *target) send(ctx context.Context, o MetricOptions) (*load, error) {
	if t.from.IsZero() {
		// Neither takes samples from the future, and in a round no more than some hours of samples are sent.
		t.from = time.Now().Truncate(time.Hour).Add(-20 * time.Hour)
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	var failed error
	total, start := &load{}, time.Now()
	end := start.Add(o.Duration / rounds)
	first := t.step[0].Load()
	for c := range o.Clients {
		wg.Go(func() {
			var answers []time.Duration
			var err error
			b := newWrite(o.Old)
			for step := first; err == nil && ctx.Err() == nil && time.Now().Before(end); step++ {
				for host := c; host < o.Hosts && err == nil; host += o.Clients {
					body := b.encode(host, o.Series, step, t.from.Add(time.Duration(step)*interval))
					at := time.Now()
					err = t.post(ctx, body, o.Old)
					answers = append(answers, time.Since(at))
				}
				for now := t.step[1].Load(); now <= step && !t.step[1].CompareAndSwap(now, step+1); now = t.step[1].Load() {
				}
			}
			mu.Lock()
			defer mu.Unlock()
			failed = errors.Join(failed, err)
			total.answers = append(total.answers, answers...)
		})
	}
	wg.Wait()
	t.step[0].Store(t.step[1].Load())
	total.took, total.events = time.Since(start), int64(len(total.answers)*o.Series)
	return total, errors.Join(failed, ctx.Err())
}

func (t *target) post(ctx context.Context, body []byte, old bool) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, t.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Encoding", "snappy")
	r.Header.Set("Content-Type", "application/x-protobuf;proto=io.prometheus.write.v2.Request")
	r.Header.Set("X-Prometheus-Remote-Write-Version", "2.0.0")
	if old {
		r.Header.Set("Content-Type", "application/x-protobuf")
		r.Header.Set("X-Prometheus-Remote-Write-Version", "0.1.0")
	}
	if t.key != "" {
		r.Header.Set("Authorization", "Bearer "+t.key)
	}
	res, err := t.http.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, 1<<10))
	if err == nil && res.StatusCode/100 != 2 {
		err = fmt.Errorf("answered %s: %s", res.Status, text)
	}
	return err
}

// write makes requests as an agent would: everything that one host has at one moment.
type write struct {
	old   bool
	hosts map[int]*hostWrite
	raw   []byte
	out   []byte
}

type hostWrite struct {
	labels []labels.Labels
	v1     prompb.WriteRequest
	v2     writev2.Request
}

func newWrite(old bool) *write { return &write{old: old, hosts: map[int]*hostWrite{}} }

func (w *write) encode(host, series int, step int64, at time.Time) []byte {
	h := w.hosts[host]
	if h == nil {
		h = &hostWrite{}
		symbols := writev2.NewSymbolTable()
		for i := range series {
			ls := labels.FromStrings("__name__", fmt.Sprintf("node_metric_%d_total", i%60), "instance", fmt.Sprintf("host-%d:9100", host), "job", "node", "device", fmt.Sprint("d", i/60))
			h.labels = append(h.labels, ls)
			h.v1.Timeseries = append(h.v1.Timeseries, prompb.TimeSeries{Labels: prompb.FromLabels(ls, nil), Samples: make([]prompb.Sample, 1)})
			h.v2.Timeseries = append(h.v2.Timeseries, writev2.TimeSeries{LabelsRefs: symbols.SymbolizeLabels(ls, nil), Samples: make([]writev2.Sample, 1)})
		}
		h.v2.Symbols = symbols.Symbols()
		w.hosts[host] = h
	}
	for i := range series {
		v := nodeValue(i, step)
		h.v1.Timeseries[i].Samples[0] = prompb.Sample{Value: v, Timestamp: at.UnixMilli()}
		h.v2.Timeseries[i].Samples[0] = writev2.Sample{Value: v, Timestamp: at.UnixMilli()}
	}
	var n int
	if w.old {
		w.raw = grow(w.raw, h.v1.Size())
		n, _ = h.v1.MarshalToSizedBuffer(w.raw) // the buffer has the size that it asked for
	} else {
		w.raw = grow(w.raw, h.v2.Size())
		n, _ = h.v2.MarshalToSizedBuffer(w.raw)
	}
	w.out = snappy.Encode(w.out[:cap(w.out)], w.raw[:n])
	return w.out
}

func grow(b []byte, n int) []byte {
	if cap(b) < n {
		return make([]byte, n)
	}
	return b[:n]
}

// nodeValue is like what node_exporter tells: many counters that grow unevenly, some constants, some gauges, some floats.
func nodeValue(i int, step int64) float64 {
	noise := rand.New(rand.NewPCG(uint64(i), uint64(step))).Int64N(1000)
	switch i % 10 {
	case 0, 1, 2, 3:
		return float64(step*10_000 + int64(i)*1_000_000 + noise)
	case 4, 5:
		return float64(i)
	case 6:
		return float64(int64(i)*4_000_000 + noise*4096)
	case 7, 8:
		return float64(noise) / 100
	default:
		return float64(i * 100)
	}
}

// withPeer starts what the server is compared with: a stock Prometheus that takes remote write or, without one, the handler
// and the database of the same version, with the settings that Prometheus gives them, behind nothing but net/http.
func withPeer(ctx context.Context, o MetricOptions, f func(*target) error) (err error) {
	if o.Peer == "" {
		return withStock(o, f)
	}
	return withProgram(ctx, o, f)
}

func withStock(o MetricOptions, f func(*target) error) (err error) {
	dir, err := os.MkdirTemp("", "kept-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	options := tsdb.DefaultOptions()
	options.WALCompression, options.MaxBlockDuration = compression.Snappy, (36 * time.Hour).Milliseconds()
	options.OutOfOrderTimeWindow = (25 * time.Hour).Milliseconds()
	options.EnableExemplarStorage, options.MaxExemplars = true, 100_000
	registry := prometheus.NewRegistry()
	db, err := tsdb.Open(dir, promslog.NewNopLogger(), registry, options, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	kinds := remoteapi.MessageTypes{remoteapi.WriteV1MessageType, remoteapi.WriteV2MessageType}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: remote.NewWriteHandler(promslog.NewNopLogger(), registry, db, kinds, false, false), ReadHeaderTimeout: time.Minute}
	go server.Serve(l)
	defer server.Close()
	client := o.client()
	defer client.CloseIdleConnections()
	return f(&target{name: "Prometheus's handler and database", url: "http://" + l.Addr().String(), http: client})
}

func (o MetricOptions) client() *http.Client {
	return &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: o.Clients, MaxIdleConns: o.Clients}}
}

func withProgram(ctx context.Context, o MetricOptions, f func(*target) error) (err error) {
	dir, err := os.MkdirTemp("", "kept-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	config := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(config, []byte("storage:\n  tsdb:\n    out_of_order_time_window: 25h\n"), 0o600); err != nil {
		return err
	}
	version, err := exec.CommandContext(ctx, o.Peer, "--version").CombinedOutput()
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, o.Peer, "--config.file="+config, "--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--web.enable-remote-write-receiver", "--web.listen-address="+addr, "--log.level=error")
	if err := cmd.Start(); err != nil {
		return err
	}
	defer func() { cmd.Process.Kill(); cmd.Wait() }()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		res, err := http.Get("http://" + addr + "/-/ready")
		if err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				break
			}
		}
		if time.Now().After(deadline) {
			return errors.New("the peer does not become ready")
		}
	}
	name, _, _ := bytes.Cut(version, []byte("("))
	client := o.client()
	defer client.CloseIdleConnections()
	return f(&target{name: string(bytes.TrimSpace(name)), url: "http://" + addr + "/api/v1/write", http: client})
}

// rss is how much memory this process has, in bytes; 0 where it cannot be told.
func rss() int64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := bytes.Fields(text)
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(string(fields[1]), 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}
