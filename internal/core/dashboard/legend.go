package dashboard

import (
	"regexp"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
)

// legendLabel is {{name}} in a legend.
var legendLabel = regexp.MustCompile(`\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}`)

// legends names the series of one query: by the format, or by the labels that tell them apart.
func legends(format string, e env, sets []labels.Labels, fallback string) []string {
	out := make([]string, len(sets))
	format = e.text(format, nil)
	differ := differing(sets)
	for i, ls := range sets {
		if format != "" {
			out[i] = legendText(format, ls)
		} else {
			out[i] = ownName(ls, differ)
		}
		if strings.TrimSpace(out[i]) == "" {
			out[i] = fallback
		}
		out[i] = clip(out[i], maxTitle)
	}
	return out
}

// legendText puts labels into a legend.
func legendText(format string, ls labels.Labels) string {
	return legendLabel.ReplaceAllStringFunc(format, func(ref string) string {
		return ls.Get(legendLabel.FindStringSubmatch(ref)[1])
	})
}

// differing are the labels whose values are not the same in all series.
func differing(sets []labels.Labels) map[string]bool {
	out := map[string]bool{}
	if len(sets) < 2 {
		return out
	}
	for _, ls := range sets {
		ls.Range(func(l labels.Label) {
			if sets[0].Get(l.Name) != l.Value {
				out[l.Name] = true
			}
		})
	}
	sets[0].Range(func(l labels.Label) {
		for _, ls := range sets[1:] {
			if ls.Get(l.Name) != l.Value {
				out[l.Name] = true
			}
		}
	})
	return out
}

func ownName(ls labels.Labels, differ map[string]bool) string {
	var parts []string
	name := ls.Get(model.MetricNameLabel)
	ls.Range(func(l labels.Label) {
		if l.Name != model.MetricNameLabel && differ[l.Name] {
			parts = append(parts, l.Value)
		}
	})
	if len(parts) == 0 || differ[model.MetricNameLabel] && name != "" {
		parts = append([]string{name}, parts...)
	}
	return strings.TrimSpace(strings.Join(parts, " "))
}
