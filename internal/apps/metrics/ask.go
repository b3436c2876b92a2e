package metrics

import (
	"context"
	"math"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"

	"github.com/kept-dev/kept/internal/core/query"
	"github.com/kept-dev/kept/internal/kernel"
)

// reading is one value that a question found, with the labels that tell it apart.
type reading struct {
	labels labels.Labels
	value  float64
}

// asks are questions that are asked together. Each has a name; one that cannot be answered leaves nothing and a problem.
type asks struct {
	m        *Module
	ws       kernel.WorkspaceID
	mu       sync.Mutex
	problems []error
	wait     sync.WaitGroup
	slots    chan struct{}
}

// asksAtOnce is how many questions of one page are answered at a time.
const asksAtOnce = 4

func (m *Module) asks(ws kernel.WorkspaceID) *asks {
	return &asks{m: m, ws: ws, slots: make(chan struct{}, asksAtOnce)}
}

// now asks for the value at a moment.
func (a *asks) now(ctx context.Context, at time.Time, expr string, take func([]reading)) {
	a.do(func() error {
		res, err := a.m.d.Query.Instant(ctx, a.ws, expr, at)
		if err != nil {
			return err
		}
		vector, _ := res.Value.(promql.Vector)
		out := make([]reading, 0, len(vector))
		for _, s := range vector {
			if !math.IsNaN(s.F) {
				out = append(out, reading{s.Metric, s.F})
			}
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		take(out)
		return nil
	})
}

// over asks for values over a span.
func (a *asks) over(ctx context.Context, s query.Span, expr string, take func(promql.Matrix)) {
	a.do(func() error {
		res, err := a.m.d.Query.Range(ctx, a.ws, expr, s)
		if err != nil {
			return err
		}
		matrix, _ := res.Value.(promql.Matrix)
		a.mu.Lock()
		defer a.mu.Unlock()
		take(matrix)
		return nil
	})
}

func (a *asks) do(f func() error) {
	a.wait.Go(func() {
		a.slots <- struct{}{}
		defer func() { <-a.slots }()
		if err := f(); err != nil {
			a.mu.Lock()
			defer a.mu.Unlock()
			a.problems = append(a.problems, err)
		}
	})
}

// done waits for the answers and says what went wrong first.
func (a *asks) done() error {
	a.wait.Wait()
	if len(a.problems) > 0 {
		return a.problems[0]
	}
	return nil
}

// of is a matcher for one host's series.
func of(instance string) string { return "instance=" + strconv.Quote(instance) }

// and joins matchers of a selector; empty ones are left out.
func and(matchers ...string) string {
	out := ""
	for _, m := range matchers {
		if m == "" {
			continue
		}
		if out != "" {
			out += ","
		}
		out += m
	}
	return "{" + out + "}"
}

// values lays the points of a series out on the moments of a span; gaps are NaN.
func values(s promql.Series, span query.Span) []float64 {
	out := make([]float64, moments(span))
	for i := range out {
		out[i] = math.NaN()
	}
	from, step := span.From.UnixMilli(), span.Step.Milliseconds()
	for _, p := range s.Floats {
		if i := (p.T - from) / step; i >= 0 && int(i) < len(out) {
			out[i] = p.F
		}
	}
	return out
}

func moments(s query.Span) int { return int(s.To.Sub(s.From)/s.Step) + 1 }

func times(s query.Span) []time.Time {
	out := make([]time.Time, moments(s))
	for i := range out {
		out[i] = s.From.Add(time.Duration(i) * s.Step)
	}
	return out
}
