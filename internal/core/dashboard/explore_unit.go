package dashboard

import (
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// guessUnit is the unit of what an expression makes, as far as the names of its metrics and its functions say; "" when
// they do not. A wrong unit is worse than none, so anything but a plain path from metric to result has none.
func (m *Module) guessUnit(expr string) string {
	e, err := m.d.Query.Parse(expr)
	if err != nil {
		return ""
	}
	return unitOf(e)
}

func unitOf(e parser.Expr) string {
	switch x := e.(type) {
	case *parser.ParenExpr:
		return unitOf(x.Expr)
	case *parser.StepInvariantExpr:
		return unitOf(x.Expr)
	case *parser.SubqueryExpr:
		return unitOf(x.Expr)
	case *parser.MatrixSelector:
		return unitOf(x.VectorSelector)
	case *parser.VectorSelector:
		return unitOfName(nameOf(x))
	case *parser.AggregateExpr:
		switch x.Op {
		case parser.COUNT, parser.COUNT_VALUES, parser.GROUP, parser.STDVAR:
			return ""
		}
		return unitOf(x.Expr)
	case *parser.UnaryExpr:
		return unitOf(x.Expr)
	case *parser.BinaryExpr:
		return unitOfBinary(x)
	case *parser.Call:
		return unitOfCall(x)
	}
	return ""
}

func nameOf(v *parser.VectorSelector) string {
	if v.Name != "" {
		return v.Name
	}
	for _, m := range v.LabelMatchers {
		if m.Name == model.MetricNameLabel && m.Type == labels.MatchEqual {
			return m.Value
		}
	}
	return ""
}

func unitOfName(name string) string {
	name = strings.TrimSuffix(name, "_total")
	for _, s := range []string{"_bucket", "_sum"} {
		name = strings.TrimSuffix(name, s)
	}
	switch {
	case strings.HasSuffix(name, "_bytes"):
		return "bytes"
	case strings.HasSuffix(name, "_seconds") && !strings.HasSuffix(name, "_time_seconds"):
		return "s"
	case strings.HasSuffix(name, "_milliseconds"):
		return "ms"
	case strings.HasSuffix(name, "_ratio"):
		return "ratio"
	case strings.HasSuffix(name, "_percent"):
		return "percent"
	case strings.HasSuffix(name, "_celsius"):
		return "°C"
	case strings.HasSuffix(name, "_hertz"):
		return "Hz"
	case strings.HasSuffix(name, "_volts"):
		return "V"
	case strings.HasSuffix(name, "_watts"):
		return "W"
	}
	return ""
}

// unitOfBinary knows comparisons, sums of the same, and parts of the same.
func unitOfBinary(x *parser.BinaryExpr) string {
	left, right := unitOf(x.LHS), unitOf(x.RHS)
	_, number := x.RHS.(*parser.NumberLiteral)
	switch {
	case x.Op.IsComparisonOperator() && !x.ReturnBool, x.Op == parser.LAND, x.Op == parser.LUNLESS:
		return left
	case (x.Op == parser.ADD || x.Op == parser.SUB || x.Op == parser.LOR) && left == right:
		return left
	case x.Op == parser.DIV && left != "" && left == right:
		return "ratio"
	case x.Op == parser.SUB && right == "ratio": // 1 - free / size
		if one, ok := x.LHS.(*parser.NumberLiteral); ok && one.Val == 1 {
			return "ratio"
		}
	case x.Op == parser.MUL && left == "ratio" && number && x.RHS.(*parser.NumberLiteral).Val == 100:
		return "percent"
	}
	return ""
}

func unitOfCall(x *parser.Call) string {
	if len(x.Args) == 0 {
		return ""
	}
	inner := unitOf(x.Args[len(x.Args)-1])
	if len(x.Args) > 0 && (x.Func.Name == "clamp" || x.Func.Name == "clamp_min" || x.Func.Name == "clamp_max" || x.Func.Name == "round" || x.Func.Name == "label_replace" || x.Func.Name == "label_join" || x.Func.Name == "predict_linear") {
		inner = unitOf(x.Args[0])
	}
	switch x.Func.Name {
	case "histogram_quantile", "histogram_avg", "histogram_quantiles":
		return unitOfBuckets(x)
	case "rate", "irate", "deriv":
		switch inner {
		case "bytes":
			return "bytes/s"
		case "": // events
			return "/s"
		}
		return "" // seconds per second, and the like
	case "count_over_time", "changes", "resets", "absent", "absent_over_time", "present_over_time", "time", "timestamp", "sgn", "hour", "minute", "month", "year", "day_of_month", "day_of_week", "histogram_count", "histogram_fraction", "stdvar_over_time", "ln", "log2", "log10", "exp", "sqrt":
		return ""
	}
	return inner
}

// unitOfBuckets is the unit of what a histogram counts: that of the metric's name, whatever was done to the counts.
func unitOfBuckets(e parser.Node) (unit string) {
	parser.Inspect(e, func(n parser.Node, _ []parser.Node) error {
		if v, ok := n.(*parser.VectorSelector); ok && unit == "" {
			unit = unitOfName(nameOf(v))
		}
		return nil
	})
	return unit
}

// suggest is the query that suits a metric of a type.
func suggest(name, kind string) string {
	selector := name
	if !plainName(name) {
		selector = "{" + quote(name) + "}"
	}
	switch {
	case strings.HasSuffix(name, "_bucket") && kind != "gauge":
		return "histogram_quantile(0.95, sum by (le) (rate(" + selector + "[5m])))"
	case kind == "histogram" && !strings.HasSuffix(name, "_count") && !strings.HasSuffix(name, "_sum"):
		return "histogram_quantile(0.95, sum (rate(" + selector + "[5m])))"
	case kind == "counter" || kind == "" && (strings.HasSuffix(name, "_total") || strings.HasSuffix(name, "_count") || strings.HasSuffix(name, "_sum")):
		return "rate(" + selector + "[5m])"
	}
	return selector
}

func plainName(s string) bool {
	for i, c := range s {
		if !(c == '_' || c == ':' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || i > 0 && c >= '0' && c <= '9') {
			return false
		}
	}
	return s != ""
}

func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(s) + `"`
}
