package dashboard

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/ui"
)

// lookField are the fields of a look in the form; the rest of a name says whose look it is.
var lookField = words(`unit axis label color draw dash below stack hide decimals min max thresholds mappings`)

var (
	axisOptions  = []ui.Option{{Value: "", Label: "by its unit"}, {Value: "left", Label: "left"}, {Value: "right", Label: "right"}}
	stackOptions = []ui.Option{{Value: "", Label: "as the panel says"}, {Value: "yes", Label: "yes"}, {Value: "no", Label: "no"}}
)

func drawOptions(first string) []ui.Option {
	return []ui.Option{{Value: "", Label: first}, {Value: "area", Label: "areas"}, {Value: "bars", Label: "columns"}, {Value: "points", Label: "points"}}
}

func colorOptions() []ui.Option {
	out := []ui.Option{{Value: "", Label: "by its name"}}
	for _, name := range ui.ColorNames() {
		out = append(out, ui.Option{Value: name, Label: name})
	}
	return out
}

// lookFields are the fields of a look: those that are often wanted, and the others.
func lookFields(prefix string, l Look) (few, more []ui.Field) {
	units := append([]ui.Option{{Value: "", Label: "as the panel says"}}, ui.Units[1:]...)
	decimals, stack := "", ""
	if l.Decimals != nil {
		decimals = fmt.Sprint(*l.Decimals)
	}
	if l.Stack != nil {
		stack = map[bool]string{true: "yes", false: "no"}[*l.Stack]
	}
	draws := append(drawOptions("as the panel says"), ui.Option{Value: "lines", Label: "lines"})
	few = []ui.Field{
		{Name: prefix + "unit", Label: "Unit", Kind: "select", Required: true, Value: l.Unit, Options: offering(units, l.Unit)},
		{Name: prefix + "axis", Label: "Axis", Kind: "select", Required: true, Value: l.Axis, Options: axisOptions},
	}
	more = []ui.Field{
		{Name: prefix + "label", Label: "Name shown", Value: l.Label, Placeholder: "{{instance}} free", MaxLength: maxTitle},
		{Name: prefix + "color", Label: "Colour", Kind: "select", Required: true, Value: l.Color, Options: colorOptions()},
		{Name: prefix + "draw", Label: "Draw as", Kind: "select", Required: true, Value: l.Draw, Options: draws},
		{Name: prefix + "stack", Label: "Stacked", Kind: "select", Required: true, Value: stack, Options: stackOptions},
		{Name: prefix + "min", Label: "Least value of its axis", Value: numberText(l.Min), InputMode: "decimal"},
		{Name: prefix + "max", Label: "Greatest value of its axis", Value: numberText(l.Max), InputMode: "decimal"},
		{Name: prefix + "decimals", Label: "Decimals at most", Value: decimals, InputMode: "numeric"},
		{Name: prefix + "dash", Label: "Broken line", Kind: "checkbox", Checked: l.Dash},
		{Name: prefix + "below", Label: "Drawn downwards from zero", Kind: "checkbox", Checked: l.Below},
		{Name: prefix + "hide", Label: "Not shown", Kind: "checkbox", Checked: l.Hide},
		{Name: prefix + "thresholds", Label: "Limits", Kind: "textarea", Mono: true, Rows: 2, Value: thresholdText(l.Thresholds), Hint: "In place of the panel's."},
		{Name: prefix + "mappings", Label: "Texts in place of values", Kind: "textarea", Mono: true, Rows: 2, Value: mappingText(l.Mappings), Hint: "In place of the panel's."},
	}
	return few, more
}

// someSaid tells whether one of some fields says anything.
func someSaid(fields []ui.Field) bool {
	return slices.ContainsFunc(fields, func(f ui.Field) bool { return f.Value != "" || f.Checked })
}

// singleFields are the fields for single series: one group for each, and some that are empty.
func singleFields(list []Override, room int) (out []queryFields) {
	for i := range max(room, len(list)) {
		var o Override
		if i < len(list) {
			o = list[i]
		}
		prefix := fmt.Sprintf("single-%d-", i)
		few, more := lookFields(prefix, o.Look)
		series := ui.Field{Name: prefix + "series", Label: "Series", Mono: true, Value: seriesText(o), Placeholder: "web-1, or /^web/", Hint: "Its name in the legend, or /a regular expression/. Of a table: a column. Empty: this goes.", MaxLength: maxNote}
		not := ui.Field{Name: prefix + "not", Label: "All others instead", Kind: "checkbox", Checked: o.Not}
		out = append(out, queryFields{Name: fmt.Sprint(i + 1), Fields: append([]ui.Field{series}, few...), More: append(more, not), Open: someSaid(more) || o.Not})
	}
	return out
}

func seriesText(o Override) string {
	if o.Match != "" {
		return "/" + o.Match + "/"
	}
	return o.Name
}

// lookReader reads looks from a form and gathers what is wrong.
type lookReader struct {
	form   url.Values
	faults []error
}

func (r *lookReader) fault(field, text string) {
	r.faults = append(r.faults, kernel.InvalidField(field, text))
}

func (r *lookReader) look(prefix string) Look {
	get := func(name string) string { return strings.TrimSpace(r.form.Get(prefix + name)) }
	l := Look{Unit: get("unit"), Axis: get("axis"), Label: get("label"), Color: get("color"), Draw: get("draw"), Dash: get("dash") != "", Below: get("below") != "", Hide: get("hide") != ""}
	if stack := get("stack"); stack != "" {
		stacked := stack == "yes"
		l.Stack = &stacked
	}
	l.Min, l.Max, l.Decimals = r.number(prefix+"min"), r.number(prefix+"max"), r.whole(prefix+"decimals")
	l.Thresholds, l.Mappings = r.thresholds(prefix+"thresholds"), r.mappings(prefix+"mappings")
	return l
}

// singles reads what is said of single series; one without a series is left out.
func (r *lookReader) singles() (out []Override, room int) {
	for room < maxOverrides && r.form.Has(fmt.Sprintf("single-%d-series", room)) {
		prefix := fmt.Sprintf("single-%d-", room)
		room++
		series := strings.TrimSpace(r.form.Get(prefix + "series"))
		if series == "" {
			continue
		}
		o := Override{Name: series, Not: r.form.Get(prefix+"not") != "", Look: r.look(prefix)}
		if inner, ok := strings.CutPrefix(series, "/"); ok && len(inner) > 1 && strings.HasSuffix(inner, "/") {
			o.Name, o.Match = "", strings.TrimSuffix(inner, "/")
		}
		out = append(out, o)
	}
	return out, room
}

func (r *lookReader) number(field string) *float64 {
	s := strings.TrimSpace(r.form.Get(field))
	if s == "" {
		return nil
	}
	v, err := strconv.ParseFloat(strings.Replace(s, ",", ".", 1), 64)
	if err != nil || v-v != 0 { // neither NaN nor infinite
		r.fault(field, "Write a number.")
		return nil
	}
	return &v
}

func (r *lookReader) whole(field string) *int {
	v := r.number(field)
	if v == nil {
		return nil
	}
	n := int(*v)
	if float64(n) != *v {
		r.fault(field, "Write a whole number.")
	}
	return &n
}

// thresholdText writes thresholds as the form does: a value and a tone on each line.
func thresholdText(list []Threshold) string {
	var lines []string
	for _, t := range list {
		lines = append(lines, strings.TrimSpace(numberText(t.At)+" "+t.Tone))
	}
	return strings.Join(lines, "\n")
}

func (r *lookReader) thresholds(field string) (out []Threshold) {
	for _, line := range splitLines(r.form.Get(field)) {
		words := strings.Fields(line)
		t := Threshold{Tone: words[len(words)-1]}
		if len(words) > 2 {
			r.fault(field, "Write a value and a tone on each line: 80 warn.")
			return nil
		}
		if len(words) == 2 {
			v, err := strconv.ParseFloat(words[0], 64)
			if err != nil {
				r.fault(field, fmt.Sprintf("%q is no number.", clip(words[0], 40)))
				return nil
			}
			t.At = &v
		}
		out = append(out, t)
	}
	return out
}

// mappingText writes mappings as the form does: "0 = Down | bad".
func mappingText(list []Mapping) string {
	var lines []string
	for _, m := range list {
		what := "none"
		switch {
		case m.Value != nil:
			what = numberText(m.Value)
		case m.Match != "":
			what = "/" + m.Match + "/"
		case !m.None:
			what = numberText(m.From) + ".." + numberText(m.To)
		}
		line := what + " = " + m.Text
		if m.Tone != "" {
			line += " | " + m.Tone
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

func (r *lookReader) mappings(field string) (out []Mapping) {
	for _, line := range splitLines(r.form.Get(field)) {
		m, ok := readMapping(line)
		if !ok {
			r.fault(field, fmt.Sprintf("%q is not understood. Write it like 0 = Down | bad.", clip(line, 60)))
			return nil
		}
		out = append(out, m)
	}
	return out
}

func readMapping(line string) (m Mapping, ok bool) {
	what, rest, ok := strings.Cut(line, " = ")
	if what = strings.TrimSpace(what); !ok {
		return m, false
	}
	m.Text = strings.TrimSpace(rest)
	if i := strings.LastIndex(rest, "|"); i >= 0 && slices.Contains(toneNames, strings.TrimSpace(rest[i+1:])) {
		m.Text, m.Tone = strings.TrimSpace(rest[:i]), strings.TrimSpace(rest[i+1:])
	}
	if inner, is := strings.CutPrefix(what, "/"); is && strings.HasSuffix(inner, "/") {
		m.Match = strings.TrimSuffix(inner, "/")
		return m, m.Match != ""
	}
	if what == "none" {
		m.None = true
		return m, true
	}
	if lo, hi, is := strings.Cut(what, ".."); is {
		var okLo, okHi bool
		m.From, okLo = bound(lo)
		m.To, okHi = bound(hi)
		return m, okLo && okHi && (m.From != nil || m.To != nil)
	}
	m.Value, ok = bound(what)
	return m, ok && m.Value != nil
}

// bound is a number, or none where nothing is written.
func bound(s string) (*float64, bool) {
	if s = strings.TrimSpace(s); s == "" {
		return nil, true
	}
	v, err := strconv.ParseFloat(s, 64)
	return &v, err == nil && v-v == 0
}
