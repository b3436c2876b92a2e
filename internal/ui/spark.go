package ui

import (
	"fmt"
	"html"
	"html/template"
	"math"
	"strings"
)

// Spark draws values as a small line without axes. Gaps (NaN) break the line.
// The label says in words what is drawn, for those who cannot see it.
func Spark(values []float64, label string) template.HTML {
	const w, h, pad = 96.0, 24.0, 2.0
	lo, hi := math.Inf(1), math.Inf(-1)
	for _, v := range values {
		if !math.IsNaN(v) {
			lo, hi = min(lo, v), max(hi, v)
		}
	}
	var path strings.Builder
	pen := "M"
	for i, v := range values {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			pen = "M"
			continue
		}
		x := pad + (w-2*pad)*float64(i)/float64(max(1, len(values)-1))
		y := h / 2
		if hi > lo {
			y = h - pad - (h-2*pad)*(v-lo)/(hi-lo)
		}
		fmt.Fprintf(&path, "%s%.1f %.1f", pen, x, y)
		pen = "L"
	}
	return template.HTML(fmt.Sprintf(`<svg class="spark" viewBox="0 0 %g %g" width="%g" height="%g" preserveAspectRatio="none" role="img" aria-label="%s">`+
		`<path d="%s" fill="none" stroke="currentColor" stroke-width="1.5" stroke-linejoin="round" stroke-linecap="round" vector-effect="non-scaling-stroke"/></svg>`,
		w, h, w, h, html.EscapeString(label), path.String()))
}
