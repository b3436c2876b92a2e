package query

import (
	"bufio"
	"encoding/json"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
)

// truncated is a vector or matrix of at most limit elements; 0 is no limit.
func truncated(v parser.Value, limit int) (parser.Value, bool) {
	switch v := v.(type) {
	case promql.Matrix:
		if limit > 0 && len(v) > limit {
			return v[:limit], true
		}
	case promql.Vector:
		if limit > 0 && len(v) > limit {
			return v[:limit], true
		}
	}
	return v, false
}

// maxWarned is how many warnings, and how many notes, an answer has.
const maxWarned = 10

// out writes JSON the way Prometheus does, byte for byte: numbers of samples are strings, times are seconds, labels stand
// in their order. Errors of writing are the writer's to remember.
type out struct {
	*bufio.Writer
	buf []byte
}

func writeAnswer(w *bufio.Writer, a apiAnswer) {
	o := &out{Writer: w}
	o.raw(`{"status":"success","data":`)
	o.data(a.data)
	warnings, infos := a.warnings.AsStrings(a.query, maxWarned, maxWarned)
	if len(warnings) > 0 {
		o.raw(`,"warnings":`)
		o.std(warnings)
	}
	if len(infos) > 0 {
		o.raw(`,"infos":`)
		o.std(infos)
	}
	o.raw(`}`)
}

func (o *out) raw(s string) { _, _ = o.WriteString(s) }

// std writes what the standard library writes as Prometheus would.
func (o *out) std(v any) {
	b, err := json.Marshal(v)
	if err != nil {
		b = []byte("null") // plain values always encode
	}
	_, _ = o.Write(b)
}

func (o *out) data(v any) {
	switch v := v.(type) {
	case *queryData:
		o.query(v)
	case []labels.Labels:
		list(o, v, o.labels)
	case []exemplar.QueryResult:
		list(o, v, o.exemplars)
	default:
		o.std(v)
	}
}

func (o *out) query(d *queryData) {
	o.raw(`{"resultType":"` + string(d.value.Value.Type()) + `","result":`)
	switch v := d.value.Value.(type) {
	case promql.Vector:
		list(o, v, o.sample)
	case promql.Matrix:
		list(o, v, o.series)
	default:
		o.std(v)
	}
	if d.stats != nil {
		o.raw(`,"stats":`)
		o.std(d.stats)
	}
	o.raw(`}`)
}

func list[T any](o *out, all []T, one func(T)) {
	o.raw(`[`)
	for i, v := range all {
		if i > 0 {
			o.raw(`,`)
		}
		one(v)
	}
	o.raw(`]`)
}

func (o *out) labels(l labels.Labels) {
	o.raw(`{`)
	first := true
	l.Range(func(l labels.Label) {
		if !first {
			o.raw(`,`)
		}
		first = false
		o.text(l.Name)
		o.raw(`:`)
		o.text(l.Value)
	})
	o.raw(`}`)
}

func (o *out) sample(s promql.Sample) {
	o.raw(`{"metric":`)
	o.labels(s.Metric)
	if s.H == nil {
		o.raw(`,"value":`)
		o.float(promql.FPoint{T: s.T, F: s.F})
	} else {
		o.raw(`,"histogram":`)
		o.histogram(promql.HPoint{T: s.T, H: s.H})
	}
	o.raw(`}`)
}

func (o *out) series(s promql.Series) {
	o.raw(`{"metric":`)
	o.labels(s.Metric)
	if len(s.Floats) > 0 {
		o.raw(`,"values":`)
		list(o, s.Floats, o.float)
	}
	if len(s.Histograms) > 0 {
		o.raw(`,"histograms":`)
		list(o, s.Histograms, o.histogram)
	}
	o.raw(`}`)
}

func (o *out) float(p promql.FPoint) {
	b := append(o.buf[:0], '[')
	b = appendTime(b, p.T)
	b = append(b, ',')
	b = appendFloat(b, p.F)
	o.buf = append(b, ']')
	_, _ = o.Write(o.buf)
}

// appendTime writes milliseconds as seconds.
func appendTime(b []byte, t int64) []byte {
	if t < 0 {
		b = append(b, '-')
		t = -t
	}
	b = strconv.AppendInt(b, t/1000, 10)
	if part := t % 1000; part != 0 {
		b = append(b, '.', byte('0'+part/100), byte('0'+part/10%10), byte('0'+part%10))
	}
	return b
}

// appendFloat writes a number as JavaScript would, as a string, so that it may be infinite or none.
func appendFloat(b []byte, f float64) []byte {
	format := byte('f')
	if abs := math.Abs(f); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	b = append(b, '"')
	b = strconv.AppendFloat(b, f, format, -1, 64)
	return append(b, '"')
}

func (o *out) histogram(p promql.HPoint) {
	b := append(o.buf[:0], '[')
	b = appendTime(b, p.T)
	b = append(b, `,{"count":`...)
	b = appendFloat(b, p.H.Count)
	b = append(b, `,"sum":`...)
	b = appendFloat(b, p.H.Sum)
	found := false
	for it := p.H.AllBucketIterator(); it.Next(); {
		bucket := it.At()
		if bucket.Count == 0 {
			continue
		}
		if found {
			b = append(b, ',')
		} else {
			b = append(b, `,"buckets":[`...)
		}
		found = true
		b = appendBucket(b, bucket)
	}
	if found {
		b = append(b, ']')
	}
	o.buf = append(b, "}]"...)
	_, _ = o.Write(o.buf)
}

// appendBucket writes which of its bounds it includes, the bounds and the count.
func appendBucket(b []byte, bucket histogram.Bucket[float64]) []byte {
	bounds := byte('2')
	switch {
	case bucket.LowerInclusive && bucket.UpperInclusive:
		bounds = '3'
	case bucket.LowerInclusive:
		bounds = '1'
	case bucket.UpperInclusive:
		bounds = '0'
	}
	b = append(b, '[', bounds, ',')
	b = appendFloat(b, bucket.Lower)
	b = append(b, ',')
	b = appendFloat(b, bucket.Upper)
	b = append(b, ',')
	b = appendFloat(b, bucket.Count)
	return append(b, ']')
}

func (o *out) exemplars(q exemplar.QueryResult) {
	o.raw(`{"seriesLabels":`)
	o.labels(q.SeriesLabels)
	o.raw(`,"exemplars":`)
	list(o, q.Exemplars, o.exemplar)
	o.raw(`}`)
}

func (o *out) exemplar(e exemplar.Exemplar) {
	o.raw(`{"labels":`)
	o.labels(e.Labels)
	b := append(o.buf[:0], `,"value":`...)
	b = appendFloat(b, e.Value)
	b = append(b, `,"timestamp":`...)
	b = appendTime(b, e.Ts)
	o.buf = append(b, '}')
	_, _ = o.Write(o.buf)
}

const hexDigits = "0123456789abcdef"

// text writes a string of a label.
func (o *out) text(s string) {
	b := append(o.buf[:0], '"')
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			b = appendASCII(b, c)
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 {
			b = append(b, `\ufffd`...)
		} else {
			b = append(b, s[i:i+n]...)
		}
		i += n
	}
	o.buf = append(b, '"')
	_, _ = o.Write(o.buf)
}

func appendASCII(b []byte, c byte) []byte {
	switch {
	case c == '"' || c == '\\':
		return append(b, '\\', c)
	case c == '\n':
		return append(b, '\\', 'n')
	case c == '\r':
		return append(b, '\\', 'r')
	case c == '\t':
		return append(b, '\\', 't')
	case c < 0x20:
		return append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&0xF])
	}
	return append(b, c)
}
