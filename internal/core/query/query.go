// Package query answers PromQL questions about everything that a workspace has: the series that agents and clients sent,
// and what the apps count from their own data (jobs, recordings, usage). One engine serves all; a query sees one
// workspace, because it is handed one workspace's storage and nothing else.
//
// It also speaks the HTTP API of Prometheus under /prometheus/api/v1, so that Grafana and other clients work unchanged.
package query

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"sync"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/series"
)

// Source makes series from an app's own data. Its metric names begin with "kept_" and its name, so that sources never
// collide: "kept_jobs_…". It answers Select with sorted series whatever it is asked.
type Source interface {
	Series(ws kernel.WorkspaceID) storage.Queryable
}

// Describer knows what metrics mean: their types, help and units.
type Describer interface {
	Metadata(ctx context.Context, ws kernel.WorkspaceID) (map[string][]Metadata, error)
}

// Metadata is what is known of a metric.
type Metadata struct {
	Type string `json:"type"` // counter, gauge, histogram, gaugehistogram, summary, info, stateset, unknown
	Help string `json:"help"`
	Unit string `json:"unit"`
}

// Deps is what the module needs.
type Deps struct {
	DB     *db.DB // for when which metric was last asked for; nil in tests that do not ask
	Store  series.Store
	Clock  kernel.Clock
	Logger *slog.Logger
	// ByToken finds whose API key or person's token it is, for clients of the Prometheus API.
	ByToken func(ctx context.Context, token string) (httpx.Actor, error)
	// Limits says how much a workspace may ask for, by plan; nil: DefaultLimits for all.
	Limits func(ctx context.Context, ws kernel.WorkspaceID) (Limits, error)
}

// Module is the query engine and its HTTP API.
type Module struct {
	d          Deps
	parser     parser.Parser
	sources    []Source
	describers []Describer
	gate       *gate
	cache      *resultCache
	asked      *askedNames
	spare      chan struct{} // has an element for each processor that helps with a part of a long query

	mu      sync.Mutex
	engines map[int]*promql.Engine // by how many samples a query may hold
}

// New makes the module.
func New(d Deps) (*Module, error) {
	if d.Store == nil {
		return nil, errors.New("query: Store is needed")
	}
	if d.Clock == nil {
		d.Clock = kernel.SystemClock
	}
	if d.Logger == nil {
		d.Logger = slog.New(slog.DiscardHandler)
	}
	m := &Module{d: d, parser: parser.NewParser(parser.Options{}), gate: newGate(), engines: map[int]*promql.Engine{}}
	m.spare = make(chan struct{}, runtime.GOMAXPROCS(0)-1)
	m.asked = newAskedNames(d.DB, d.Clock)
	m.cache = newResultCache(d.Store, d.Clock)
	return m, nil
}

// Name implements app.Module.
func (m *Module) Name() string { return "query" }

// Use adds sources. It must be called before the first query.
func (m *Module) Use(s ...Source) { m.sources = append(m.sources, s...) }

// UseDescribers adds those who know what metrics mean. It must be called before the first query.
func (m *Module) UseDescribers(d ...Describer) { m.describers = append(m.describers, d...) }

// Result is what a query found.
type Result struct {
	Value    parser.Value // promql.Vector, Matrix, Scalar or String; it may be kept and must not be changed
	Warnings annotations.Annotations
}

// Span is the range of a range query.
type Span struct {
	From, To time.Time
	Step     time.Duration
}

// Aligned moves the ends of a span outwards to multiples of its step, so that a page that is looked at again and again
// asks for the same moments and is answered from the cache.
func (s Span) Aligned() Span {
	if s.Step <= 0 {
		return s
	}
	step := s.Step.Milliseconds()
	if step == 0 {
		return s
	}
	from, to := s.From.UnixMilli(), s.To.UnixMilli()
	from -= modulo(from, step)
	if over := modulo(to, step); over != 0 {
		to += step - over
	}
	return Span{time.UnixMilli(from).UTC(), time.UnixMilli(to).UTC(), s.Step}
}

func modulo(a, b int64) int64 { return ((a % b) + b) % b }

// Engine evaluates queries, for those who bring their own storage (rules, backtests).
func (m *Module) Engine() *promql.Engine { return m.engineFor(DefaultLimits().MaxSamples) }

// lookback is how old a sample may be to count as the current one.
const lookback = 5 * time.Minute

// defaultSubqueryStep is the step of a subquery that names none, as the default of Prometheus.
const defaultSubqueryStep = time.Minute

// engineFor is the engine for queries of a size. The limit is a property of engines, so there is one for each.
func (m *Module) engineFor(maxSamples int) *promql.Engine {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.engines[maxSamples]
	if e == nil {
		e = promql.NewEngine(promql.EngineOpts{
			Logger: m.d.Logger, MaxSamples: maxSamples, Timeout: maxTimeout, LookbackDelta: lookback, EnableAtModifier: true,
			EnableNegativeOffset: true, Parser: m.parser,
			NoStepSubqueryIntervalFn: func(int64) int64 { return defaultSubqueryStep.Milliseconds() },
		})
		m.engines[maxSamples] = e
	}
	return e
}

// Parse checks an expression. The error says where it is wrong (parser.ParseErrors). The expression that comes with an
// error is nil: what the parser has at that point cannot even be printed.
func (m *Module) Parse(expr string) (parser.Expr, error) {
	e, err := m.parser.ParseExpr(expr)
	if err != nil {
		return nil, err
	}
	return e, nil
}

// ParseSelectors reads selectors such as up{job="a"}; each must match something that is not empty.
func (m *Module) ParseSelectors(texts ...string) ([][]*labels.Matcher, error) {
	sets, err := m.parser.ParseMetricSelectors(texts)
	if err != nil {
		return nil, err
	}
	for _, set := range sets {
		if !selective(set) {
			return nil, errors.New("match[] must contain at least one non-empty matcher")
		}
	}
	return sets, nil
}

func selective(set []*labels.Matcher) bool {
	for _, m := range set {
		if m != nil && !m.Matches("") {
			return true
		}
	}
	return false
}

// Instant evaluates an expression at one moment. Errors are kernel.Errors: Invalid for a bad expression, with the text of
// the parser, and for one that cannot be evaluated; TooLarge where it needs more than the workspace may use; Limited when
// too many wait; Unavailable when it took too long.
func (m *Module) Instant(ctx context.Context, ws kernel.WorkspaceID, expr string, at time.Time) (Result, error) {
	a, err := m.Ask(ctx, ws, Question{Expr: expr, At: at})
	return a.Result, err
}

// Range evaluates an expression at every step of a span: at most 11,000.
func (m *Module) Range(ctx context.Context, ws kernel.WorkspaceID, expr string, s Span) (Result, error) {
	a, err := m.Ask(ctx, ws, Question{Expr: expr, Span: s})
	return a.Result, err
}
