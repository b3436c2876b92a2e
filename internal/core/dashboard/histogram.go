package dashboard

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strconv"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser/posrange"
)

// quantiles are what a native histogram is drawn as over time.
var quantiles = []struct {
	q    float64
	name string
}{{.5, "p50"}, {.9, "p90"}, {.99, "p99"}}

// quantileLines are the quantiles of native histograms over time.
func quantileLines(metric labels.Labels, points []promql.HPoint) (out []line) {
	for _, want := range quantiles {
		l := line{labels: metric, suffix: want.name}
		for _, p := range points {
			if v, _ := promql.HistogramQuantile(want.q, p.H, "", posrange.PositionRange{}); !math.IsNaN(v) {
				l.points = append(l.points, promql.FPoint{T: p.T, F: v})
			}
		}
		out = append(out, l)
	}
	return out
}

// maxBuckets is how many rows a heat map of native histograms has at most; they are made coarser until they fit.
const maxBuckets = 40

// bucketLines are the buckets of native histograms, all series added up: a row for each, the lowest first.
func bucketLines(m promql.Matrix) []line {
	at := map[int64]*histogram.FloatHistogram{}
	for _, s := range m {
		for _, p := range s.Histograms {
			sum := at[p.T]
			if sum == nil {
				at[p.T] = p.H.Copy()
				continue
			}
			if next, _, _, err := sum.Add(p.H); err == nil { // those of another kind cannot be added
				at[p.T] = next
			}
		}
	}
	rows := bucketRows(at)
	for schema := int32(3); len(rows) > maxBuckets && schema >= -4; schema-- {
		for t, h := range at {
			if !histogram.IsCustomBucketsSchema(h.Schema) && h.Schema > schema {
				if next, err := h.CopyToSchema(schema); err == nil {
					at[t] = next
				}
			}
		}
		rows = bucketRows(at)
	}
	out := make([]line, 0, len(rows))
	for _, bound := range slices.Sorted(maps.Keys(rows)) {
		l := line{label: strconv.FormatFloat(bound, 'g', 3, 64), points: rows[bound]}
		slices.SortFunc(l.points, func(a, b promql.FPoint) int { return cmp.Compare(a.T, b.T) })
		out = append(out, l)
	}
	return out
}

// bucketRows are the counts by upper bound and time.
func bucketRows(at map[int64]*histogram.FloatHistogram) map[float64][]promql.FPoint {
	rows := map[float64][]promql.FPoint{}
	for t, h := range at {
		for it := h.AllBucketIterator(); it.Next(); {
			if b := it.At(); b.Count > 0 {
				rows[b.Upper] = append(rows[b.Upper], promql.FPoint{T: t, F: b.Count})
			}
		}
	}
	return rows
}

// allNative tells whether an answer is native histograms and nothing else.
func allNative(m promql.Matrix) bool {
	return len(m) > 0 && !slices.ContainsFunc(m, func(s promql.Series) bool { return len(s.Histograms) == 0 })
}
