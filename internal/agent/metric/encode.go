package metric

import (
	"bufio"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/kept-dev/kept/wire/remotewrite"
)

// Encoder turns points into requests, in memory that it uses again.
type Encoder struct {
	w    remotewrite.Writer
	refs []uint32
}

// perRequest is how many series one request has at most. Servers take more, but each request is in memory as a whole,
// on both sides.
const perRequest = 2000

// Encode calls emit with requests that have all points, stamped with one time in milliseconds. What emit is given is
// valid until it returns.
func (e *Encoder) Encode(points []Point, time int64, emit func(w *remotewrite.Writer) error) error {
	for part := range slices.Chunk(points, perRequest) {
		e.w.Reset()
		for _, p := range part {
			e.point(p, time)
		}
		if err := emit(&e.w); err != nil {
			return err
		}
	}
	return nil
}

func (e *Encoder) point(p Point, time int64) {
	e.refs = e.refs[:0]
	for _, text := range p.Series.Labels {
		e.refs = append(e.refs, e.w.Symbol(text))
	}
	d := p.Series.Desc
	m := remotewrite.Metadata{Type: d.Type, Help: e.w.Symbol(d.Help), Unit: e.w.Symbol(d.Unit)}
	var x *remotewrite.Exemplar
	if p.Exemplar != nil {
		x = &remotewrite.Exemplar{Value: p.Exemplar.Value, Time: p.Exemplar.Time}
		if x.Time == 0 {
			x.Time = time
		}
		for _, text := range p.Exemplar.Labels {
			x.Labels = append(x.Labels, e.w.Symbol(text))
		}
	}
	e.w.Series(e.refs, remotewrite.Sample{Value: p.Value, Time: time}, x, m)
}

// WriteText writes points in the text exposition format, sorted, for people and for comparison.
func WriteText(out io.Writer, points []Point) error {
	lines := make([]string, 0, len(points))
	descs := map[string]*Desc{}
	for _, p := range points {
		descs[p.Series.Desc.Name] = p.Series.Desc
		lines = append(lines, p.Series.Desc.Name+"\x00"+Text(p))
	}
	slices.Sort(lines)
	b := bufio.NewWriter(out)
	last := ""
	for _, line := range lines {
		name, text, _ := strings.Cut(line, "\x00")
		if d := descs[name]; name != last {
			last = name
			b.WriteString("# HELP " + name + " " + helpEscaper.Replace(d.Help) + "\n")
			b.WriteString("# TYPE " + name + " " + d.Type.String() + "\n")
		}
		b.WriteString(text + "\n")
	}
	return b.Flush()
}

var (
	helpEscaper  = strings.NewReplacer("\\", `\\`, "\n", `\n`)
	valueEscaper = strings.NewReplacer("\\", `\\`, "\n", `\n`, `"`, `\"`)
)

// Text is a point as a line of the text exposition format.
func Text(p Point) string {
	var b strings.Builder
	b.WriteString(p.Series.Desc.Name)
	sep := byte('{')
	for i := 0; i < len(p.Series.Labels); i += 2 {
		if p.Series.Labels[i] == "__name__" {
			continue
		}
		b.WriteByte(sep)
		b.WriteString(p.Series.Labels[i] + `="` + valueEscaper.Replace(p.Series.Labels[i+1]) + `"`)
		sep = ','
	}
	if sep == ',' {
		b.WriteByte('}')
	}
	b.WriteByte(' ')
	b.WriteString(number(p.Value))
	return b.String()
}

func number(v float64) string {
	switch {
	case math.IsInf(v, 1):
		return "+Inf"
	case math.IsInf(v, -1):
		return "-Inf"
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}
