package intake

import (
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
)

// Rule drops the series that all its matchers match.
type Rule struct {
	Matchers []*labels.Matcher
}

func (r Rule) drops(ls labels.Labels) bool {
	for _, m := range r.Matchers {
		if !m.Matches(ls.Get(m.Name)) {
			return false
		}
	}
	return len(r.Matchers) > 0
}

// Rules are what a workspace wants dropped. Nil drops nothing.
type Rules struct {
	byName map[string][]Rule // those for one metric, which need not be asked about others
	others []Rule
}

// NewRules makes rules ready for use.
func NewRules(rules []Rule) *Rules {
	out := &Rules{byName: map[string][]Rule{}}
	for _, r := range rules {
		name := ""
		for _, m := range r.Matchers {
			if m.Name == model.MetricNameLabel && m.Type == labels.MatchEqual {
				name = m.Value
			}
		}
		if name != "" {
			out.byName[name] = append(out.byName[name], r)
		} else {
			out.others = append(out.others, r)
		}
	}
	return out
}

// Drop tells whether a series is to be dropped.
func (r *Rules) Drop(ls labels.Labels) bool {
	if r == nil {
		return false
	}
	if len(r.byName) > 0 {
		for _, rule := range r.byName[ls.Get(model.MetricNameLabel)] {
			if rule.drops(ls) {
				return true
			}
		}
	}
	for _, rule := range r.others {
		if rule.drops(ls) {
			return true
		}
	}
	return false
}
