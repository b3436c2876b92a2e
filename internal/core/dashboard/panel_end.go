package dashboard

import (
	"context"

	"github.com/prometheus/prometheus/promql"

	"github.com/kept-dev/kept/internal/core/query"
)

// The moments of a range are multiples of its step: over a day the last one of a panel with 60 of them may be 24 minutes
// ago. What is said to be so now is therefore asked for once more, at the end of the span.

// now tells whether the panel's figures are those of the end of the span.
func (p Panel) now() bool { return p.Kind == KindStat && (p.Reduce == "" || p.Reduce == "last") }

// ends tells whether the panel asks for a range and says, besides, what is so at its end.
func (p Panel) ends() bool { return !p.instant() && (p.now() || p.judges()) }

// askEnd asks for the values at the end of a span, by the labels of their series, and adds those series to the answer for the
// range that are newer than its last moment.
func (m *Module) askEnd(ctx context.Context, sc scope, expr string, res *query.Result) (map[string]float64, error) {
	end, err := m.d.Query.Instant(ctx, sc.ws, expr, sc.span.To)
	if err != nil {
		return nil, err
	}
	matrix, ok := res.Value.(promql.Matrix)
	if !ok {
		return nil, nil
	}
	known := map[string]bool{}
	for _, s := range matrix {
		known[s.Metric.String()] = true
	}
	out := map[string]float64{}
	switch v := end.Value.(type) {
	case promql.Vector:
		for _, s := range v {
			key := s.Metric.String()
			if s.H != nil {
				continue
			}
			if out[key] = s.F; !known[key] {
				matrix = append(matrix[:len(matrix):len(matrix)], promql.Series{Metric: s.Metric})
			}
		}
	case promql.Scalar:
		out["{}"] = v.V
	}
	res.Value = matrix
	return out, nil
}
