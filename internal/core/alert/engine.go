package alert

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/rules"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
)

// What Prometheus's own server uses.
const (
	outageTolerance = time.Hour
	forGracePeriod  = 10 * time.Minute
	resendDelay     = time.Minute
)

// engine evaluates one workspace: Prometheus's rule manager, the book of its alerts, Alertmanager's pipeline, and
// the way to Alertmanagers of its own.
type engine struct {
	m      *Module
	ws     kernel.WorkspaceID
	rev    int64 // of what runs; only the supervisor reads and writes it
	source *source
	mgr    *rules.Manager
	book   *book
	pipe   *pipeline
	away   *forwarder
	cancel context.CancelFunc

	mu  sync.Mutex
	ids map[rules.Rule]kernel.ID

	until  atomic.Int64 // until when the lease is held, microseconds
	toldAt atomic.Int64 // when the status was last stored for other instances
}

// source gives the manager its groups from memory; the manager asks for them by the name of the workspace, which so also
// spreads the moments of evaluation.
type source struct {
	parser parser.Parser
	groups atomic.Pointer[rulefmt.RuleGroups]
}

// Load implements rules.GroupLoader.
func (s *source) Load(string, bool, model.ValidationScheme) (*rulefmt.RuleGroups, []error) {
	return s.groups.Load(), nil
}

// Parse implements rules.GroupLoader.
func (s *source) Parse(query string) (parser.Expr, error) { return s.parser.ParseExpr(query) }

// held tells whether the lease is still ours. A process that stood still for longer than that (a machine that slept, a
// debugger) finds here that another one evaluates, before it does or tells anything.
func (e *engine) held() bool { return kernel.Micros(e.m.d.Clock()) < e.until.Load() }

var errNotHeld = errors.New("alert: another server evaluates this workspace")

func (m *Module) startEngine(ctx context.Context, ws kernel.WorkspaceID, rev, until int64) (*engine, error) {
	e := &engine{m: m, ws: ws, source: &source{parser: m.parser}, ids: map[rules.Rule]kernel.ID{}}
	e.until.Store(until)
	var err error
	if e.book, err = m.openBook(ctx, ws); err != nil {
		return nil, err
	}
	if e.pipe, err = m.openPipeline(ctx, ws, e.held, e.book.firing()); err != nil {
		return nil, err
	}
	external, err := url.Parse(m.d.BaseURL())
	if err != nil {
		external = &url.URL{}
	}
	var run context.Context
	run, e.cancel = context.WithCancel(context.Background())
	evaluate := rules.EngineQueryFunc(m.d.Query.Engine(), m.d.Query.Storage(ws))
	e.mgr = rules.NewManager(&rules.ManagerOptions{
		ExternalURL: external, Context: run, QueryFunc: evaluate, NotifyFunc: collect,
		AppendableV2: m.d.Store.For(ws), Queryable: m.d.Store.For(ws), Logger: slog.New(slog.DiscardHandler), Metrics: m.metrics,
		OutageTolerance: outageTolerance, ForGracePeriod: forGracePeriod, ResendDelay: resendDelay, GroupLoader: e.source, Parser: m.parser,
	})
	e.away = m.startForwarder(ws)
	if err := e.reload(ctx, rev); err != nil {
		e.cancel()
		e.pipe.close()
		e.away.close()
		return nil, err
	}
	go e.mgr.Run()
	return e, nil
}

// reload brings rules and routing up to date. What did not change goes on undisturbed.
func (e *engine) reload(ctx context.Context, rev int64) error {
	groups, ids, err := e.m.compiled(ctx, e.ws, true)
	if err != nil {
		return err
	}
	for i := range groups.Groups {
		if groups.Groups[i].Limit == 0 {
			groups.Groups[i].Limit = maxRuleAlerts
		}
	}
	e.source.groups.Store(groups)
	if err := e.mgr.Update(DefaultInterval, []string{string(e.ws)}, labels.EmptyLabels(), e.m.d.BaseURL(), e.evaluate); err != nil {
		return err
	}
	known, watched := map[rules.Rule]kernel.ID{}, map[kernel.ID]bool{}
	for _, g := range e.mgr.RuleGroups() {
		for i, r := range g.Rules() {
			if i < len(ids[g.Name()]) {
				known[r] = ids[g.Name()][i]
				watched[known[r]] = true
			}
		}
	}
	e.mu.Lock()
	e.ids = known
	e.mu.Unlock()
	e.rev = rev
	routing, err := e.m.ReadRouting(ctx, e.ws)
	if err != nil {
		return err
	}
	e.pipe.configure(routing)
	gone, err := e.book.drop(ctx, watched, time.Now().UTC())
	e.away.over(gone)
	e.deliver(ctx, gone)
	return err
}

func (e *engine) ruleID(r rules.Rule) kernel.ID {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.ids[r]
}

// quiet tells whether nothing is left to do for an engine without rules.
func (e *engine) quiet() bool { return len(e.book.firing()) == 0 && e.pipe.idle() }

func (e *engine) close() {
	e.mgr.Stop()
	e.cancel()
	e.pipe.close()
	e.away.close()
}

// collected are the alerts that the manager wants sent after one evaluation.
type collected struct {
	mu     sync.Mutex
	alerts []*rules.Alert
}

type collectedKey struct{}

// collect keeps what the manager would send: it goes out once the book has it, so that nobody is told of an alert that a
// restart has forgotten, and the message can say what stands behind it.
func collect(ctx context.Context, _ string, alerts ...*rules.Alert) {
	c, ok := ctx.Value(collectedKey{}).(*collected)
	if !ok {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.alerts = append(c.alerts, alerts...)
}

// evaluate is one round of one group.
func (e *engine) evaluate(ctx context.Context, g *rules.Group, at time.Time) {
	select {
	case e.m.slots <- struct{}{}:
		defer func() { <-e.m.slots }()
	case <-ctx.Done():
		return
	}
	if !e.held() {
		return
	}
	sent := &collected{}
	rules.DefaultEvalIterationFunc(context.WithValue(ctx, collectedKey{}, sent), g, at)
	if ctx.Err() != nil {
		return
	}
	var seen []found
	for _, r := range g.Rules() {
		a, ok := r.(*rules.AlertingRule)
		if !ok {
			continue
		}
		if id := e.ruleID(r); id != "" {
			seen = append(seen, found{id, a.Restored(), a.ActiveAlerts()})
		}
	}
	changes, err := e.book.write(ctx, seen, at)
	if err != nil {
		e.m.d.Logger.Error("alert: the book of alerts cannot be written", "workspace", e.ws, "error", err)
	}
	e.pipe.put(e.book, sent.alerts)
	e.away.put(e.book, sent.alerts, changes)
	e.deliver(ctx, changes)
	e.publishStatus(ctx)
}

// deliver tells those who listen what changed, and closes what is resolved in the pipeline.
func (e *engine) deliver(ctx context.Context, changes []Alert) {
	if len(changes) == 0 {
		return
	}
	for _, a := range changes {
		if a.State == Resolved {
			e.pipe.resolve(a)
		}
	}
	e.m.changed(e.ws)
	for _, a := range changes {
		if a.State == Pending {
			continue
		}
		for _, f := range e.m.listeners {
			f(context.WithoutCancel(ctx), e.ws, a)
		}
	}
}

// statusEvery is how often an instance tells the others what its rules do.
const statusEvery = 10 * time.Second

// publishStatus stores what the rules do, for other instances to show.
func (e *engine) publishStatus(ctx context.Context) {
	if e.m.d.DB.Dialect() == db.SQLite {
		return
	}
	now := time.Now()
	if last := e.toldAt.Load(); now.UnixNano()-last < int64(statusEvery) || !e.toldAt.CompareAndSwap(last, now.UnixNano()) {
		return
	}
	sealed, err := e.m.seal(ctx, e.ws, statusAAD(e.ws), e.status())
	if err == nil {
		err = e.m.d.DB.Tx(ctx, func(tx *db.Tx) error {
			_, err := tx.Exec(ctx, `UPDATE alert_workspaces SET status = $2 WHERE workspace_id = $1`, string(e.ws), sealed)
			return err
		})
	}
	if err != nil && ctx.Err() == nil {
		e.m.d.Logger.Warn("alert: other instances are not told what the rules do", "workspace", e.ws, "error", err)
	}
}
