package query

import (
	"strconv"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// describeExpr is an expression as values for JSON, as Prometheus describes it to those who draw its tree.
func describeExpr(e parser.Expr) any {
	switch n := e.(type) {
	case nil:
		return nil
	case *parser.AggregateExpr:
		return map[string]any{"type": "aggregation", "op": n.Op.String(), "expr": describeExpr(n.Expr), "param": describeExpr(n.Param),
			"grouping": orEmpty(n.Grouping), "without": n.Without}
	case *parser.BinaryExpr:
		return map[string]any{"type": "binaryExpr", "op": n.Op.String(), "lhs": describeExpr(n.LHS), "rhs": describeExpr(n.RHS),
			"matching": describeMatching(n.VectorMatching), "bool": n.ReturnBool}
	case *parser.Call:
		args := []any{}
		for _, a := range n.Args {
			args = append(args, describeExpr(a))
		}
		return map[string]any{"type": "call", "args": args, "func": map[string]any{
			"name": n.Func.Name, "argTypes": n.Func.ArgTypes, "variadic": n.Func.Variadic, "returnType": n.Func.ReturnType}}
	case *parser.MatrixSelector:
		out := describeSelector(n.VectorSelector.(*parser.VectorSelector))
		out["type"], out["range"], out["rangeExpr"] = "matrixSelector", n.Range.Milliseconds(), describeDuration(n.RangeExpr)
		return out
	case *parser.SubqueryExpr:
		return map[string]any{"type": "subquery", "expr": describeExpr(n.Expr), "range": n.Range.Milliseconds(),
			"rangeExpr": describeDuration(n.RangeExpr), "offset": n.OriginalOffset.Milliseconds(),
			"offsetExpr": describeDuration(n.OriginalOffsetExpr), "step": n.Step.Milliseconds(), "stepExpr": describeDuration(n.StepExpr),
			"timestamp": n.Timestamp, "startOrEnd": startOrEnd(n.StartOrEnd)}
	case *parser.DurationExpr:
		return describeDuration(n)
	case *parser.NumberLiteral:
		return map[string]any{"type": "numberLiteral", "val": strconv.FormatFloat(n.Val, 'f', -1, 64)}
	case *parser.ParenExpr:
		return map[string]any{"type": "parenExpr", "expr": describeExpr(n.Expr)}
	case *parser.StringLiteral:
		return map[string]any{"type": "stringLiteral", "val": n.Val}
	case *parser.UnaryExpr:
		return map[string]any{"type": "unaryExpr", "op": n.Op.String(), "expr": describeExpr(n.Expr)}
	case *parser.VectorSelector:
		out := describeSelector(n)
		out["type"] = "vectorSelector"
		return out
	}
	return map[string]any{"type": "unknown"}
}

func describeMatching(m *parser.VectorMatching) any {
	if m == nil {
		return nil
	}
	return map[string]any{"card": m.Card.String(), "labels": orEmpty(m.MatchingLabels), "on": m.On, "include": orEmpty(m.Include),
		"fillValues": map[string]*float64{"lhs": m.FillValues.LHS, "rhs": m.FillValues.RHS}}
}

// describeSelector is what vector and matrix selectors have in common.
func describeSelector(n *parser.VectorSelector) map[string]any {
	return map[string]any{"name": n.Name, "offset": n.OriginalOffset.Milliseconds(), "offsetExpr": describeDuration(n.OriginalOffsetExpr),
		"matchers": describeMatchers(n.LabelMatchers), "timestamp": n.Timestamp, "startOrEnd": startOrEnd(n.StartOrEnd),
		"anchored": n.Anchored, "smoothed": n.Smoothed}
}

func describeMatchers(in []*labels.Matcher) []map[string]any {
	out := []map[string]any{}
	for _, m := range in {
		out = append(out, map[string]any{"name": m.Name, "value": m.Value, "type": m.Type.String()})
	}
	return out
}

// describeDuration describes a duration that is computed. Typed nils are nil.
func describeDuration(e parser.Expr) any {
	switch n := e.(type) {
	case *parser.DurationExpr:
		if n == nil {
			return nil
		}
		return map[string]any{"type": "durationExpr", "op": n.Op.String(), "lhs": describeDuration(n.LHS), "rhs": describeDuration(n.RHS),
			"wrapped": n.Wrapped}
	case *parser.NumberLiteral:
		if n == nil {
			return nil
		}
		return map[string]any{"type": "numberLiteral", "val": strconv.FormatFloat(n.Val, 'f', -1, 64), "duration": n.Duration}
	}
	return describeExpr(e)
}

func startOrEnd(i parser.ItemType) any {
	if i == 0 {
		return nil
	}
	return i.String()
}
