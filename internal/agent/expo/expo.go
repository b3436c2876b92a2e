// Package expo reads the text formats of Prometheus and OpenMetrics, as programs expose their measurements. It is strict
// where a mistake would give wrong series, and has limits on everything, because files and other programs write it.
package expo

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/kept-dev/kept/internal/agent/metric"
	"github.com/kept-dev/kept/wire/remotewrite"
)

// Limits of one exposition.
const (
	MaxBytes    = 16 << 20
	maxLine     = 64 << 10
	maxLabels   = 64
	maxName     = 1 << 10
	maxFamilies = 20_000
)

// Sample is a line. Labels are pairs. Its texts are views of the input.
type Sample struct {
	Desc     *metric.Desc
	Labels   []string
	Value    float64
	Exemplar *metric.Exemplar
	Stamped  bool // the line has a time of its own
}

// Reader reads expositions and remembers what their metrics are. It is for one goroutine.
type Reader struct {
	descs    map[string]*metric.Desc
	families map[string]*family
	labels   []string
	open     bool // OpenMetrics
	ended    bool
}

type family struct {
	typ        remotewrite.Type
	help, unit string
}

// Read calls f for each sample. The labels are valid until f returns. OpenMetrics is told from the older format by its
// media type; it must end with "# EOF".
func (r *Reader) Read(text string, openMetrics bool, f func(Sample) error) error {
	if len(text) > MaxBytes {
		return fmt.Errorf("more than %d bytes", MaxBytes)
	}
	if r.descs == nil || len(r.descs) > maxFamilies {
		r.descs = map[string]*metric.Desc{}
	}
	r.families, r.open, r.ended = map[string]*family{}, openMetrics, false
	number := 0
	for line := range strings.SplitSeq(text, "\n") {
		number++
		if err := r.line(strings.TrimSuffix(line, "\r"), f); err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
	}
	if openMetrics && !r.ended {
		return errors.New("it does not end with # EOF")
	}
	return nil
}

func (r *Reader) line(line string, f func(Sample) error) error {
	if len(line) > maxLine {
		return fmt.Errorf("more than %d bytes", maxLine)
	}
	if !r.open {
		line = strings.Trim(line, " \t")
	}
	switch {
	case line == "":
		return nil
	case r.ended:
		return errors.New("something after # EOF")
	case line[0] == '#':
		return r.comment(line)
	case !utf8.ValidString(line):
		return errors.New("not UTF-8")
	}
	s, err := r.sample(line)
	if err != nil {
		return err
	}
	return f(s)
}

// comment reads what is said of a family. Other comments are for people.
func (r *Reader) comment(line string) error {
	if r.open && line == "# EOF" {
		r.ended = true
		return nil
	}
	kind, rest, _ := strings.Cut(strings.TrimLeft(line[1:], " \t"), " ")
	name, rest, _ := strings.Cut(strings.TrimLeft(rest, " \t"), " ")
	if kind != "HELP" && kind != "TYPE" && kind != "UNIT" {
		return nil
	}
	if !validName(name, true) || !utf8.ValidString(rest) {
		return fmt.Errorf("%s of something without a name", kind)
	}
	fam := r.families[name]
	if fam == nil {
		if len(r.families) >= maxFamilies {
			return fmt.Errorf("more than %d metrics", maxFamilies)
		}
		fam = &family{}
		r.families[name] = fam
	}
	switch kind {
	case "HELP":
		fam.help = unescapeHelp(rest)
	case "UNIT":
		fam.unit = rest
	case "TYPE":
		typ, ok := types[strings.TrimSpace(rest)]
		if !ok {
			return fmt.Errorf("unknown type of %s", name)
		}
		fam.typ = typ
	}
	return nil
}

var types = map[string]remotewrite.Type{
	"counter": remotewrite.Counter, "gauge": remotewrite.Gauge, "histogram": remotewrite.Histogram,
	"gaugehistogram": remotewrite.GaugeHistogram, "summary": remotewrite.Summary, "info": remotewrite.Info,
	"stateset": remotewrite.StateSet, "unknown": remotewrite.Unknown, "untyped": remotewrite.Unknown,
}

// suffixes are what the samples of a family add to its name.
var suffixes = []string{"_bucket", "_count", "_sum", "_total", "_created", "_info", "_gcount", "_gsum"}

// desc returns the description of the series of a name: one value as long as nothing about it changes.
func (r *Reader) desc(name string) *metric.Desc {
	fam := r.families[name]
	if fam == nil {
		for _, suffix := range suffixes {
			base, ok := strings.CutSuffix(name, suffix)
			if ok && r.families[base] != nil && belongs(r.families[base].typ, suffix, r.open) {
				fam = r.families[base]
				break
			}
		}
	}
	if fam == nil {
		fam = &family{}
	}
	d := r.descs[name]
	if d == nil || d.Type != fam.typ || d.Help != fam.help || d.Unit != fam.unit {
		d = &metric.Desc{Name: strings.Clone(name), Help: strings.Clone(fam.help), Type: fam.typ, Unit: strings.Clone(fam.unit)}
		r.descs[d.Name] = d
	}
	return d
}

func belongs(t remotewrite.Type, suffix string, open bool) bool {
	switch suffix {
	case "_bucket":
		return t == remotewrite.Histogram || t == remotewrite.GaugeHistogram
	case "_count", "_sum":
		return t == remotewrite.Histogram || t == remotewrite.Summary
	case "_gcount", "_gsum":
		return t == remotewrite.GaugeHistogram
	case "_info":
		return open && t == remotewrite.Info
	case "_total":
		return t == remotewrite.Counter
	case "_created":
		return open
	}
	return false
}

// sample reads name{labels} value [time] [# {labels} value [time]].
func (r *Reader) sample(line string) (s Sample, err error) {
	name, rest := cutName(line)
	if !validName(name, true) {
		return s, errors.New("a metric's name is missing or wrong")
	}
	r.labels = r.labels[:0]
	rest = strings.TrimLeft(rest, " \t")
	if strings.HasPrefix(rest, "{") {
		if r.labels, rest, err = readLabels(r.labels, rest[1:]); err != nil {
			return s, err
		}
	}
	s.Desc, s.Labels = r.desc(name), r.labels
	rest, exemplar := cutExemplar(rest, r.open)
	fields := strings.Fields(rest)
	if len(fields) < 1 || len(fields) > 2 {
		return s, errors.New("want a value, and perhaps a time")
	}
	if s.Value, err = number(fields[0]); err != nil {
		return s, err
	}
	if len(fields) == 2 {
		s.Stamped = true
		if _, err := number(fields[1]); err != nil {
			return s, err
		}
	}
	if exemplar != "" {
		s.Exemplar, err = readExemplar(exemplar)
	}
	return s, err
}

// cutExemplar splits at " # ", which OpenMetrics has after the value.
func cutExemplar(rest string, open bool) (before, exemplar string) {
	if !open {
		return rest, ""
	}
	before, exemplar, _ = strings.Cut(rest, " # ")
	return before, exemplar
}

func readExemplar(text string) (*metric.Exemplar, error) {
	if !strings.HasPrefix(text, "{") {
		return nil, errors.New("an exemplar without labels")
	}
	labels, rest, err := readLabels(nil, text[1:])
	if err != nil {
		return nil, err
	}
	fields := strings.Fields(rest)
	if len(fields) < 1 || len(fields) > 2 {
		return nil, errors.New("an exemplar without a value")
	}
	for i := range labels {
		labels[i] = strings.Clone(labels[i])
	}
	e := &metric.Exemplar{Labels: metric.SortPairs(labels)}
	if e.Value, err = number(fields[0]); err != nil || len(fields) == 1 {
		return e, err
	}
	seconds, err := number(fields[1])
	if !(seconds > 0 && seconds < 1e12) {
		return nil, errors.New("an exemplar at an impossible time")
	}
	e.Time = int64(seconds * 1000)
	return e, err
}

// number reads a value. Underscores and hexadecimal numbers, which Go knows, are not part of the format.
func number(text string) (float64, error) {
	if strings.ContainsAny(text, "_xXpP") {
		return 0, fmt.Errorf("%.40q is no number", text)
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0, fmt.Errorf("%.40q is no number", text)
	}
	if v != v {
		v = nan // one NaN for all, never the one that marks the end of a series
	}
	return v, nil
}
