// Package agent is kept-agent: it reads what a Linux host says of itself in /proc and /sys, under the metric names of
// node_exporter, and sends it to a Kept server by remote write 2.0. It links nothing of Prometheus and nothing of the server.
//
// What is measured is stamped with exact multiples of the interval, written to a buffer on disk, and sent from there,
// oldest first. So a server that is away for a day costs nothing but disk.
package agent

import (
	"context"
	"errors"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/s2"

	"github.com/kept-dev/kept/internal/agent/host"
	"github.com/kept-dev/kept/internal/agent/metric"
	"github.com/kept-dev/kept/internal/agent/send"
	"github.com/kept-dev/kept/internal/agent/spool"
	"github.com/kept-dev/kept/wire/agentapi"
	"github.com/kept-dev/kept/wire/remotewrite"
)

// Agent is one agent. Run may be called once.
type Agent struct {
	conf     Config
	host     *host.Host
	sources  []*source
	client   *http.Client
	identity held                          // nil inside where a key says who this is
	skew     atomic.Pointer[time.Duration] // how far our clock is ahead of the server's; nil until it is known

	mu      sync.Mutex // for what follows: sources come at once
	spool   *spool.Spool
	encoder metric.Encoder
	raw     []byte
	packed  []byte
}

// source is something that is measured: the host, a target, a probe.
type source struct {
	name    string
	every   time.Duration
	set     *metric.Set
	collect func(ctx context.Context, s *metric.Set)
	inline  bool // quick enough to wait for
	busy    atomic.Bool
	last    int64 // when it was measured last, in milliseconds
}

// New returns an agent that is ready to run.
func New(conf Config) (*Agent, error) {
	conf.fill()
	if err := conf.Check(); err != nil {
		return nil, err
	}
	if conf.StateDir == "" {
		return nil, errors.New("the agent needs a folder for its buffer")
	}
	a := &Agent{conf: conf}
	if err := a.connect(); err != nil {
		return nil, err
	}
	a.host = host.New(a.hostOptions())
	a.sources = a.plan()
	return a, nil
}

// connect makes the client for the server. The agent's own certificate is for when there is neither a key nor another
// certificate.
func (a *Agent) connect() error {
	if a.conf.Key == "" && a.conf.CertFile == "" {
		id, err := loadIdentity(a.conf.StateDir)
		if err != nil {
			return err
		}
		a.identity.Store(id)
	}
	client, err := a.conf.client(&a.identity)
	a.client = client
	return err
}

func (a *Agent) hostOptions() host.Options {
	c := a.conf
	return host.Options{
		Proc: c.Proc, Sys: c.Sys, Root: c.Root, Only: c.Only, Except: c.Except, IgnoreDevices: c.IgnoreDevices,
		TextfileDir: c.TextfileDir, TopProcesses: c.TopProcesses, Log: c.Log,
	}
}

// slowEvery is how often what costs more is measured.
func (a *Agent) slowEvery() time.Duration {
	const minute = time.Minute
	return max(minute.Truncate(a.conf.Interval), a.conf.Interval)
}

// plan lists what is to be measured.
func (a *Agent) plan() []*source {
	set := func(pairs ...string) *metric.Set {
		for name, value := range a.conf.Labels {
			pairs = append(pairs, name, value)
		}
		return metric.NewSet(a.conf.MaxSeries, pairs...)
	}
	node := []string{"job", "node", "instance", a.conf.Instance}
	list := []*source{
		{name: "host", every: a.conf.Interval, set: set(node...), inline: true, collect: func(_ context.Context, s *metric.Set) {
			a.host.Collect(s)
			a.own(s)
		}},
		{name: "processes and units", every: a.slowEvery(), set: set(node...), inline: true, collect: func(_ context.Context, s *metric.Set) {
			a.host.CollectSlow(s)
		}},
	}
	for _, t := range a.conf.Targets {
		one := &scraper{target: t, client: a.scrapeClient(t)}
		list = append(list, &source{name: t.Job, every: t.Every, collect: one.collect,
			set: set("job", t.Job, "instance", a.instanceOf(t.URL))})
	}
	for _, p := range a.conf.Probes {
		list = append(list, &source{name: p.Name, every: p.Every, collect: p.Run,
			set: set("job", "probe", "instance", a.conf.Instance)})
	}
	return list
}

var (
	descInfo = &metric.Desc{Name: agentapi.MetricInfo, Type: remotewrite.Gauge, Help: "The agent of this host."}
	descSkew = &metric.Desc{Name: agentapi.MetricClockSkew, Type: remotewrite.Gauge, Help: "How far the host's clock is ahead of the server's."}
)

// own adds what the agent knows of itself.
func (a *Agent) own(s *metric.Set) {
	s.Add(descInfo, 1, "version", a.conf.Version)
	if skew := a.skew.Load(); skew != nil {
		s.Add(descSkew, skew.Seconds())
	}
}

// Run measures and sends until ctx ends. It then marks all series as ended, and gives the server a few seconds to take
// what is left; the rest waits on disk.
func (a *Agent) Run(ctx context.Context) error {
	address, err := a.conf.writeURL()
	if err != nil {
		return err
	}
	a.spool, err = spool.Open(filepath.Join(a.conf.StateDir, "buffer"), spool.Options{
		MaxBytes: a.conf.BufferBytes, MaxAge: a.conf.BufferAge, Log: a.conf.Log,
	})
	if err != nil {
		return err
	}
	defer a.host.Close()
	sender := &send.Sender{
		URL: address, Key: a.conf.Key, UserAgent: "kept-agent/" + a.conf.Version, Client: a.client, Spool: a.spool, Log: a.conf.Log,
	}
	sending, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var group sync.WaitGroup
	group.Go(func() { sender.Run(sending) })
	if a.conf.Write == "" {
		group.Go(func() { a.greet(ctx) })
	}
	a.measure(ctx)
	a.drain(sender)
	stop()
	group.Wait()
	return a.spool.Close()
}

// patience is how long a stopping agent waits for the server.
const patience = 5 * time.Second

// drain waits until all is sent, unless the server is away.
func (a *Agent) drain(sender *send.Sender) {
	for end := time.Now().Add(patience); time.Now().Before(end) && !sender.Away(); time.Sleep(20 * time.Millisecond) {
		if _, any := a.spool.Oldest(); !any {
			return
		}
	}
}

// measure takes all measurements until ctx ends.
func (a *Agent) measure(ctx context.Context) {
	var running sync.WaitGroup
	c := newTicker(a.conf.Interval, a.spool.Last(), a.conf.Log)
	for {
		at, ok := c.wait(ctx)
		if !ok {
			break
		}
		for _, s := range a.sources {
			if !s.busy.CompareAndSwap(false, true) {
				continue // it is still at the turn before
			}
			if at%s.every.Milliseconds() != 0 && s.last != 0 {
				s.busy.Store(false) // not its turn
				continue
			}
			if s.inline {
				a.take(ctx, s, at)
				continue
			}
			running.Go(func() { a.take(ctx, s, at) })
		}
	}
	running.Wait()
	if !a.conf.KeepOnExit {
		a.end()
	}
}

// take measures one source once.
func (a *Agent) take(ctx context.Context, s *source, at int64) {
	defer s.busy.Store(false)
	s.set.Begin()
	s.collect(ctx, s.set)
	s.last = at
	if n := s.set.Over(); n > 0 {
		a.conf.Log.Warn("too many series: some are left out", "source", s.name, "left out", n, "limit", a.conf.MaxSeries)
	}
	a.keep(s.set.End(), at)
}

// end marks every series as ended, at the next multiple of the interval: nothing else has that time.
func (a *Agent) end() {
	last := a.spool.Last()
	if last == 0 {
		return
	}
	for _, s := range a.sources {
		s.set.Begin()
		if points := s.set.End(); len(points) > 0 {
			a.keep(points, last+a.conf.Interval.Milliseconds())
		}
	}
}

// keep puts points into the buffer.
func (a *Agent) keep(points []metric.Point, at int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	_ = a.encoder.Encode(points, at, func(w *remotewrite.Writer) error {
		a.raw = w.Append(a.raw[:0])
		if need := s2.MaxEncodedLen(len(a.raw)); cap(a.packed) < need {
			a.packed = make([]byte, need)
		}
		a.packed = s2.EncodeSnappyBetter(a.packed[:cap(a.packed)], a.raw)
		a.spool.Append(spool.Record{Time: at, Samples: w.Len(), Payload: a.packed})
		return nil // appending does not fail
	})
}
