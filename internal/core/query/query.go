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
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/series"
)

// Source makes series from an app's own data. Its metric names begin with its name, so that sources never collide:
// "kept_jobs_…".
type Source interface {
	Series(ws kernel.WorkspaceID) storage.Queryable
}

// Deps is what the module needs.
type Deps struct {
	Store  series.Store
	Clock  kernel.Clock
	Logger *slog.Logger
	// ByToken finds whose API key or person's token it is, for clients of the Prometheus API.
	ByToken func(ctx context.Context, token string) (httpx.Actor, error)
}

// Module is the query engine and its HTTP API.
type Module struct {
	d       Deps
	engine  *promql.Engine
	parser  parser.Parser
	sources []Source
}

// New makes the module.
func New(d Deps) (*Module, error) {
	if d.Store == nil {
		return nil, errors.New("query: Store is needed")
	}
	m := &Module{d: d, parser: parser.NewParser(parser.Options{})}
	m.engine = promql.NewEngine(promql.EngineOpts{
		Logger: d.Logger, MaxSamples: 50_000_000, Timeout: 2 * time.Minute, LookbackDelta: 5 * time.Minute,
		EnableAtModifier: true, EnableNegativeOffset: true, Parser: m.parser,
	})
	return m, nil
}

// Name implements app.Module.
func (m *Module) Name() string { return "query" }

// Use adds a source. It must be called before the first query.
func (m *Module) Use(s ...Source) { m.sources = append(m.sources, s...) }

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

// Storage is all that a workspace has, for those who evaluate by themselves (rules).
func (m *Module) Storage(ws kernel.WorkspaceID) storage.Queryable {
	own := storage.Queryable(m.d.Store.For(ws))
	if len(m.sources) == 0 {
		return own
	}
	return storage.QueryableFunc(func(mint, maxt int64) (storage.Querier, error) {
		q, err := own.Querier(mint, maxt)
		if err != nil {
			return nil, err
		}
		all := []storage.Querier{q}
		for _, s := range m.sources {
			q, err := s.Series(ws).Querier(mint, maxt)
			if err != nil {
				return nil, err
			}
			all = append(all, q)
		}
		return storage.NewMergeQuerier(all, nil, storage.ChainedSeriesMerge), nil
	})
}

// Engine evaluates queries, for those who bring their own storage (rules, backtests).
func (m *Module) Engine() *promql.Engine { return m.engine }

// Parse checks an expression. The error says where it is wrong (parser.ParseErrors).
func (m *Module) Parse(expr string) (parser.Expr, error) { return m.parser.ParseExpr(expr) }

// Instant evaluates an expression at one moment. Errors are kernel.Errors: Invalid for a bad expression, with the text of
// the parser; Limit where a query is too large.
func (m *Module) Instant(ctx context.Context, ws kernel.WorkspaceID, expr string, at time.Time) (Result, error) {
	q, err := m.engine.NewInstantQuery(ctx, m.Storage(ws), nil, expr, at)
	if err != nil {
		return Result{}, kernel.Errorf(kernel.Invalid, "%v", err)
	}
	return m.run(ctx, q)
}

// Range evaluates an expression at every step of a span.
func (m *Module) Range(ctx context.Context, ws kernel.WorkspaceID, expr string, s Span) (Result, error) {
	q, err := m.engine.NewRangeQuery(ctx, m.Storage(ws), nil, expr, s.From, s.To, s.Step)
	if err != nil {
		return Result{}, kernel.Errorf(kernel.Invalid, "%v", err)
	}
	return m.run(ctx, q)
}

func (m *Module) run(ctx context.Context, q promql.Query) (Result, error) {
	defer q.Close()
	res := q.Exec(ctx)
	if res.Err != nil {
		return Result{}, kernel.Errorf(kernel.Invalid, "%v", res.Err)
	}
	return Result{Value: res.Value, Warnings: res.Warnings}, nil
}

// LabelValues lists the values of a label among the series that match any of the selectors (none: all), sorted, in a span.
func (m *Module) LabelValues(ctx context.Context, ws kernel.WorkspaceID, name string, selectors [][]*labels.Matcher, from, to time.Time) ([]string, error) {
	q, err := m.Storage(ws).Querier(from.UnixMilli(), to.UnixMilli())
	if err != nil {
		return nil, err
	}
	defer q.Close()
	if len(selectors) == 0 {
		values, _, err := q.LabelValues(ctx, name, nil)
		return values, err
	}
	seen := map[string]bool{}
	var out []string
	for _, s := range selectors {
		values, _, err := q.LabelValues(ctx, name, nil, s...)
		if err != nil {
			return nil, err
		}
		for _, v := range values {
			if !seen[v] {
				seen[v] = true
				out = append(out, v)
			}
		}
	}
	return out, nil
}
