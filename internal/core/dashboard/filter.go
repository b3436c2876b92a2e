package dashboard

import (
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/kept-dev/kept/internal/kernel"
)

// enforce adds matchers to every selector of a query, wherever in the query it stands: within functions, subqueries,
// aggregations and both sides of an operator. They are added and never replaced, so whatever the query says itself can only
// narrow what is seen.
func (m *Module) enforce(expr string, filters []*labels.Matcher) (string, error) {
	if len(filters) == 0 {
		return expr, nil
	}
	parsed, err := m.d.Query.Parse(expr)
	if err != nil {
		return "", kernel.Errorf(kernel.Invalid, "%v", err)
	}
	parser.Inspect(parsed, func(node parser.Node, _ []parser.Node) error {
		if vs, ok := node.(*parser.VectorSelector); ok {
			vs.LabelMatchers = append(vs.LabelMatchers, filters...)
		}
		return nil
	})
	return parsed.String(), nil
}
