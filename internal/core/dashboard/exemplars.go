package dashboard

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/ui"
)

// Tracer knows where what belongs to a trace can be looked at.
type Tracer interface {
	TraceHref(ws kernel.WorkspaceID, trace string) string
}

// UseTracers adds those who know of traces. It must be called before Start.
func (m *Module) UseTracers(t ...Tracer) { m.tracers = append(m.tracers, t...) }

// maxDots is how many exemplars of a query are drawn: the greatest of each part of the time.
const maxDots = 40

// traceLabels are the names under which exemplars carry a trace.
var traceLabels = []string{"trace_id", "traceID", "traceId", "trace"}

// dots are the exemplars of a query as a chart draws them.
func (m *Module) dots(ctx context.Context, ws kernel.WorkspaceID, expr, unit string, span ui.TimeRange) []ui.Dot {
	found, err := m.d.Query.Exemplars(ctx, ws, expr, span.From, span.To)
	if err != nil {
		m.d.Logger.Warn("no exemplars", "err", err) // a chart without them is of use
		return nil
	}
	greatest := make([]ui.Dot, maxDots)
	for _, series := range found {
		own := unitOfName(strings.TrimSuffix(series.SeriesLabels.Get(model.MetricNameLabel), "_bucket"))
		for _, e := range series.Exemplars {
			part := int(float64(maxDots) * float64(time.UnixMilli(e.Ts).Sub(span.From)) / float64(max(span.Span(), 1)))
			if part < 0 || part >= maxDots || !greatest[part].At.IsZero() && greatest[part].Value >= e.Value {
				continue
			}
			greatest[part] = m.dot(ws, series.SeriesLabels, e, own)
			greatest[part].Foot = own == "" || own != unit // its value is no value of this axis
		}
	}
	return slices.DeleteFunc(greatest, func(d ui.Dot) bool { return d.At.IsZero() })
}

func (m *Module) dot(ws kernel.WorkspaceID, series labels.Labels, e exemplar.Exemplar, unit string) ui.Dot {
	d := ui.Dot{At: time.UnixMilli(e.Ts).UTC(), Value: e.Value}
	var trace string
	for _, name := range traceLabels {
		trace = cmp.Or(trace, e.Labels.Get(name))
	}
	d.Label = ui.Value(e.Value, unit)
	if trace != "" {
		d.Label += ", trace " + trace
		if len(m.tracers) > 0 {
			d.Href = m.tracers[0].TraceHref(ws, trace)
		}
	}
	for _, name := range []string{"instance", "path", "queue", "job"} {
		if v := series.Get(name); v != "" {
			d.Label += fmt.Sprintf(", %s %s", name, clip(v, 60))
		}
	}
	if math.IsNaN(e.Value) || math.IsInf(e.Value, 0) {
		return ui.Dot{}
	}
	return d
}
