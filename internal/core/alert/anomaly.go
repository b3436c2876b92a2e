package alert

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/prometheus/prometheus/promql/parser"

	"github.com/kept-dev/kept/internal/kernel"
)

// An anomaly is compiled to plain PromQL, so that it runs in any Prometheus, can be graphed and backtested as it is, and
// leaves with the other rules. The baseline of an expression is a set of samples: the expression at this time of the week
// and half an hour before and after it, in each of the last N weeks. All selectors of the expression are shifted with
// offset, so any PromQL will do. Of the samples it takes the median M and the median distance from it, MAD; both ignore
// outliers, so that last week's incident does not become this week's normal, as it would with a mean and σ. 1.4826 MAD
// estimates σ. The result is how many deviations off the expression is now:
//
//	(x - M) / (1.4826 MAD + ignore / deviations)
//
// The second summand makes sure that a difference up to ignore never counts, however calm the baseline was. The price is
// nine evaluations of the expression for each week; a recording rule makes a costly expression cheap first.

// sampleShifts are the moments around the same time of the week that the baseline looks at.
var sampleShifts = []time.Duration{-30 * time.Minute, 0, 30 * time.Minute}

const (
	week       = 7 * 24 * time.Hour
	maxWeeks   = 8
	sampleName = "kept_sample" // the label that tells the samples of a baseline apart
)

func (m *Module) compileAnomaly(r Rule, expr parser.Expr) (string, error) {
	weeks, off := cmp.Or(r.Weeks, 4), cmp.Or(r.Deviations, 5)
	switch {
	case weeks < 1 || weeks > maxWeeks:
		return "", kernel.InvalidField("weeks", "Choose 1 to 8 weeks.")
	case off < 1 || off > 1000:
		return "", kernel.InvalidField("deviations", "Choose 1 to 1000 deviations.")
	case r.Ignore < 0:
		return "", kernel.InvalidField("ignore", "A difference is not below zero.")
	}
	median, mad, err := m.normal(expr.String(), weeks)
	if err != nil {
		return "", err
	}
	score := fmt.Sprintf("(%s - %s) / (1.4826 * %s + %s)", operand(expr), median, mad, number(r.Ignore/off))
	switch r.Direction {
	case "above":
		return score + " > " + number(off), nil
	case "below":
		return score + " < -" + number(off), nil
	case "either", "":
		return "abs(" + score + ") > " + number(off), nil
	}
	return "", kernel.InvalidField("direction", "Choose above, below or either.")
}

// normal is what an expression usually is, and how far it usually is from that.
func (m *Module) normal(expr string, weeks int) (median, mad string, err error) {
	baseline, err := m.baseline(expr, weeks)
	if err != nil {
		return "", "", err
	}
	median = "quantile without (" + sampleName + ") (0.5, " + baseline + ")"
	mad = "quantile without (" + sampleName + ") (0.5, abs(" + baseline + " - ignoring (" + sampleName + ") group_left () " + median + "))"
	return median, mad, nil
}

// usual is the range that an anomaly rule takes for normal: what lies outside fires.
func (m *Module) usual(r Rule) (low, high string, err error) {
	expr, err := m.parser.ParseExpr(r.Expr)
	if err != nil {
		return "", "", err
	}
	median, mad, err := m.normal(expr.String(), cmp.Or(r.Weeks, 4))
	if err != nil {
		return "", "", err
	}
	width := fmt.Sprintf("(%s * 1.4826 * %s + %s)", number(cmp.Or(r.Deviations, 5)), mad, number(r.Ignore))
	return median + " - " + width, median + " + " + width, nil
}

// baseline is the union of the expression at the moments of past weeks.
func (m *Module) baseline(expr string, weeks int) (string, error) {
	var parts []string
	for w := 1; w <= weeks; w++ {
		for i, shift := range sampleShifts {
			e, err := m.parser.ParseExpr(expr)
			if err != nil {
				return "", err
			}
			if err := shiftBack(e, time.Duration(w)*week+shift); err != nil {
				return "", err
			}
			parts = append(parts, fmt.Sprintf("label_replace(%s, %q, \"%d.%d\", \"\", \"\")", e.String(), sampleName, w, i))
		}
	}
	return "(" + strings.Join(parts, " or ") + ")", nil
}

// shiftBack makes an expression look d further into the past.
func shiftBack(e parser.Expr, d time.Duration) error {
	found := false
	err := parser.Walk(shifter{d: d, found: &found}, e, nil)
	if err == nil && !found {
		err = kernel.InvalidField("expr", "An anomaly needs a series with a past: the expression names none.")
	}
	return err
}

type shifter struct {
	d     time.Duration
	found *bool
}

// Visit implements parser.Visitor.
func (s shifter) Visit(node parser.Node, _ []parser.Node) (parser.Visitor, error) {
	pinned := func(at *int64, startOrEnd parser.ItemType, dynamic bool) error {
		if at != nil || startOrEnd != 0 || dynamic {
			return kernel.InvalidField("expr", "An anomaly compares with past weeks, so the expression cannot be pinned to a time with @.")
		}
		*s.found = true
		return nil
	}
	switch n := node.(type) {
	case *parser.VectorSelector:
		if err := pinned(n.Timestamp, n.StartOrEnd, n.OriginalOffsetExpr != nil); err != nil {
			return nil, err
		}
		n.OriginalOffset += s.d
	case *parser.SubqueryExpr: // its offset shifts what is within
		if err := pinned(n.Timestamp, n.StartOrEnd, n.OriginalOffsetExpr != nil); err != nil {
			return nil, err
		}
		n.OriginalOffset += s.d
		return nil, nil
	}
	return s, nil
}
