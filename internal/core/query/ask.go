package query

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/util/stats"

	"github.com/kept-dev/kept/internal/kernel"
)

// Question is a query with all that clients may say about it.
type Question struct {
	Expr     string
	At       time.Time     // of an instant query
	Span     Span          // of a range query, when its step is not 0
	Timeout  time.Duration // shorter than the workspace's; 0: the workspace's
	Lookback time.Duration // 0: five minutes
	Stats    bool          // say what it cost; it is evaluated in full then
	PerStep  bool          // by step, too
	Fresh    bool          // evaluate in full, without the cache
}

// Answer is a result and, where asked for, what it cost.
type Answer struct {
	Result
	Stats *stats.Statistics
}

// Ask evaluates a question; see Instant for its errors.
func (m *Module) Ask(ctx context.Context, ws kernel.WorkspaceID, q Question) (Answer, error) {
	expr, err := m.Parse(q.Expr)
	if err != nil {
		return Answer{}, badExpr(err)
	}
	limits, err := m.limits(ctx, ws)
	if err != nil {
		return Answer{}, err
	}
	if err := q.checkSpan(); err != nil {
		return Answer{}, err
	}
	timeout := limits.Timeout
	if q.Timeout > 0 && q.Timeout < timeout {
		timeout = q.Timeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	leave, err := m.gate.enter(ctx, ws, limits.Concurrent)
	if err != nil {
		return Answer{}, refused(err, timeout, limits)
	}
	defer leave()
	a, err := m.answer(ctx, ws, q, expr, limits)
	if err != nil {
		return a, refused(err, timeout, limits)
	}
	return a, nil
}

func (q Question) checkSpan() error {
	s := q.Span
	switch {
	case s == Span{}:
		return nil
	case s.Step < time.Millisecond:
		return badParam("step", "zero or negative query resolution step widths are not accepted. Try a positive integer")
	case s.To.Before(s.From):
		return badParam("end", "end timestamp must not be before start time")
	case s.To.Sub(s.From)/s.Step > MaxPoints:
		return badParam("", "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)")
	}
	return nil
}

// answer evaluates, from the cache as far as that has it.
func (m *Module) answer(ctx context.Context, ws kernel.WorkspaceID, q Question, expr parser.Expr, limits Limits) (Answer, error) {
	eval := func(s Span) (Answer, error) { return m.evaluate(ctx, ws, q, s, limits.MaxSamples) }
	if q.Span == (Span{}) || q.Stats || q.Fresh {
		return eval(q.Span)
	}
	if t := topOf(expr); t != nil && divisible(t.of) && m.cacheable(t.of) && q.Span.Step%time.Millisecond == 0 {
		if a, ok := m.answerTop(ctx, ws, q, t, limits); ok {
			return a, nil
		}
		return eval(q.Span)
	}
	if !divisible(expr) {
		return eval(q.Span)
	}
	inParts := func(s Span) (Answer, error) {
		return m.evaluateInParts(expr, s, eval, func(s Span, parts int) (Answer, error) {
			return m.evaluate(ctx, ws, q, s, limits.MaxSamples/parts)
		})
	}
	if !m.cacheable(expr) {
		return inParts(q.Span)
	}
	return m.cache.answer(ctx, ws, expr, q, inParts)
}

// cacheable tells whether what an expression finds changes only with what is written to the store, which the cache sees.
func (m *Module) cacheable(expr parser.Expr) bool {
	return m.cache.on() && (len(m.sources) == 0 || storeAlone(expr))
}

// answerTop answers with the first of what another expression finds. It is false where the engine has to say which those
// are, or what is wrong.
func (m *Module) answerTop(ctx context.Context, ws kernel.WorkspaceID, q Question, t *top, limits Limits) (Answer, bool) {
	q.Expr = t.of.String()
	a, ok, _ := silent(m.answer(ctx, ws, q, t.of, limits))
	if !ok {
		return a, false
	}
	all := a.Value.(promql.Matrix)
	if slices.ContainsFunc(all, func(s promql.Series) bool { return len(s.Histograms) > 0 }) {
		return a, false
	}
	picked, ok := t.pick(all, q.Span)
	return Answer{Result: Result{Value: picked}}, ok
}

// evaluate asks the engine. What it finds is not given back to the engine's pools, because it may be kept.
func (m *Module) evaluate(ctx context.Context, ws kernel.WorkspaceID, q Question, s Span, maxSamples int) (Answer, error) {
	engine := m.engineFor(maxSamples)
	opts := promql.NewPrometheusQueryOpts(q.PerStep, q.Lookback, nil)
	var query promql.Query
	var err error
	if s == (Span{}) {
		query, err = engine.NewInstantQuery(ctx, m.Storage(ws), opts, q.Expr, q.At)
	} else {
		query, err = engine.NewRangeQuery(ctx, m.Storage(ws), opts, q.Expr, s.From, s.To, s.Step)
	}
	if err != nil {
		return Answer{}, badExpr(err)
	}
	res := query.Exec(ctx)
	a := Answer{Result: Result{Value: res.Value, Warnings: res.Warnings}}
	if q.Stats {
		a.Stats = query.Stats()
	}
	return a, res.Err
}

// badParameter is an error about one parameter of a question, in the words of Prometheus.
type badParameter struct {
	name string // empty: of none in particular
	err  error
}

func (e *badParameter) Error() string {
	if e.name == "" {
		return e.err.Error()
	}
	return fmt.Sprintf("invalid parameter %q: %v", e.name, e.err)
}

func (e *badParameter) Unwrap() error { return e.err }

func badParam(name, text string) error {
	return kernel.Wrap(&badParameter{name, errors.New(text)}, kernel.Invalid, text)
}

// badExpr is the error of an expression: the text of the parser says where and what.
func badExpr(err error) error {
	var timeout promql.ErrQueryTimeout
	var canceled promql.ErrQueryCanceled
	if errors.As(err, &timeout) || errors.As(err, &canceled) {
		return err
	}
	return &kernel.Error{Code: kernel.Invalid, Safe: err.Error(), Fields: map[string]string{"query": err.Error()},
		Cause: &badParameter{"query", err}}
}

// refused turns what the engine says into an error for people. The engine's own error stays its cause: the HTTP API has
// other words for the same.
func refused(err error, timeout time.Duration, limits Limits) error {
	var known *kernel.Error
	var samples promql.ErrTooManySamples
	var timedOut promql.ErrQueryTimeout
	var canceled promql.ErrQueryCanceled
	var broken promql.ErrStorage
	switch {
	case errors.As(err, &known):
		return err
	case errors.As(err, &samples):
		return kernel.Wrap(err, kernel.TooLarge, fmt.Sprintf(
			"This query needs more than %d samples at once. Ask for fewer series, a shorter time or a longer step.", limits.MaxSamples))
	case errors.As(err, &timedOut), errors.Is(err, context.DeadlineExceeded):
		return kernel.Wrap(err, kernel.Unavailable, fmt.Sprintf(
			"This query took longer than %s and was ended. Ask for fewer series, a shorter time or a longer step.", timeout))
	case errors.As(err, &canceled), errors.Is(err, context.Canceled):
		return kernel.Wrap(err, kernel.Unavailable, "The query was cut off before it was answered.")
	case errors.As(err, &broken):
		return kernel.Wrap(err, kernel.Internal, "The series could not be read.")
	}
	return kernel.Wrap(err, kernel.Invalid, err.Error())
}
