package dashboard

import (
	"cmp"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// grafanaOverride is what Grafana says of single fields: series, or columns of a table.
type grafanaOverride struct {
	Matcher struct {
		ID      string          `json:"id"`
		Options json.RawMessage `json:"options"`
	} `json:"matcher"`
	Properties []grafanaProperty `json:"properties"`
}

type grafanaProperty struct {
	ID    string          `json:"id"`
	Value json.RawMessage `json:"value"`
}

// strokes are properties that only say how Grafana draws: one note for the whole dashboard is about them.
var strokes = words(`custom.fillOpacity custom.lineWidth custom.pointSize custom.showPoints custom.lineInterpolation custom.gradientMode custom.spanNulls
	custom.barAlignment custom.barWidthFactor custom.barMaxWidth custom.axisLabel custom.axisColorMode custom.axisSoftMin custom.axisSoftMax custom.axisGridShow custom.axisCenteredZero custom.axisWidth
	custom.width custom.minWidth custom.align custom.displayMode custom.cellOptions custom.filterable custom.inspect custom.insertNulls custom.showValues custom.axisBorderShow
	fill fillGradient fillBelowTo linewidth zindex pointradius steppedLine nullPointMode spaceLength dashLength`)

// overrides takes over what is said of single series. What is not understood is said by the names of the settings.
func (im *importer) overrides(title string, g grafanaPanel, p *Panel, renamed map[string]string) {
	lost := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(g.AliasColors)) {
		if c := im.color(g.AliasColors[name]); c != "" {
			p.Overrides = append(p.Overrides, Override{Name: clip(name, maxTitle-1), Look: Look{Color: c}})
		}
	}
	for _, o := range g.FieldConfig.Overrides {
		if im.ofZero(o, p) {
			continue
		}
		var l Look
		var missed []string
		for _, q := range o.Properties {
			if !im.property(title, q, p, &l) && !strokes[q.ID] {
				missed = append(missed, q.ID)
			}
		}
		if l.isZero() || !im.apply(o, l, p, renamed) {
			for _, q := range o.Properties {
				if !l.isZero() && !strokes[q.ID] {
					missed = append(missed, q.ID+" (of series chosen "+o.Matcher.ID+")")
				}
			}
		}
		for _, name := range missed {
			lost[name] = true
		}
	}
	for _, o := range g.SeriesOverrides {
		im.oldOverride(g, o, p, lost)
	}
	if n := len(p.Overrides); n > maxOverrides {
		im.note(title, "It has settings for %d single series; the last %d are left out.", n, n-maxOverrides)
		p.Overrides = p.Overrides[:maxOverrides]
	}
	if len(lost) > 0 {
		im.note(title, "Settings for single series are not taken over: %s.", strings.Join(slices.Sorted(maps.Keys(lost)), ", "))
	}
}

func (l Look) isZero() bool { return string(encode(l)) == "{}" }

func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("dashboard: plain data: " + err.Error())
	}
	return b
}

// ofZero understands that series of nothing but zero, or without values, are not in the legend: here they are left out.
func (im *importer) ofZero(o grafanaOverride, p *Panel) bool {
	if o.Matcher.ID != "byValue" || len(o.Properties) != 1 || o.Properties[0].ID != "custom.hideFrom" {
		return false
	}
	var how struct {
		Reducer string  `json:"reducer"`
		Op      string  `json:"op"`
		Value   float64 `json:"value"`
	}
	_ = json.Unmarshal(o.Matcher.Options, &how)
	if how.Op != "gte" || how.Value != 0 || how.Reducer != "allIsZero" && how.Reducer != "allIsNull" {
		return false
	}
	p.OmitZero = p.OmitZero || how.Reducer == "allIsZero"
	return true
}

// apply puts a look where the matcher says; false where it says it in a way that is not understood.
func (im *importer) apply(o grafanaOverride, l Look, p *Panel, renamed map[string]string) bool {
	var text string
	_ = json.Unmarshal(o.Matcher.Options, &text)
	switch o.Matcher.ID {
	case "byName":
		return im.applyName(cmp.Or(renamed[text], text), l, p)
	case "byFrameRefID":
		i, ok := im.refs[text]
		if ok {
			p.Targets[i].Look = l.over(p.Targets[i].Look)
		}
		return ok
	case "byRegexp":
		re, ok := grafanaRegex(text)
		if ok && re != "" && len(re) <= maxNote {
			p.Overrides = append(p.Overrides, Override{Match: re, Look: l})
		}
		return ok
	case "byNames":
		var names struct {
			Mode  string   `json:"mode"`
			Names []string `json:"names"`
		}
		if json.Unmarshal(o.Matcher.Options, &names) != nil || len(names.Names) == 0 {
			return false
		}
		quoted := make([]string, len(names.Names))
		for i, n := range names.Names {
			quoted[i] = regexp.QuoteMeta(n)
		}
		re := "^(" + strings.Join(quoted, "|") + ")$"
		if len(re) <= maxNote {
			p.Overrides = append(p.Overrides, Override{Match: re, Not: names.Mode == "exclude", Look: l})
		}
		return len(re) <= maxNote
	}
	return false
}

// valueOf is a column of values in a table.
var valueOf = regexp.MustCompile(`^Value #(.+)$`)

func (im *importer) applyName(name string, l Look, p *Panel) bool {
	if p.Kind == KindTable {
		if m := valueOf.FindStringSubmatch(name); m != nil {
			i, ok := im.refs[m[1]]
			if ok {
				p.Targets[i].Look = l.over(p.Targets[i].Look)
			}
			return ok
		}
		if name == "Time" { // there is no such column
			return true
		}
	}
	if name == "" || len([]rune(name)) > maxTitle {
		return false
	}
	p.Overrides = append(p.Overrides, Override{Name: name, Look: l})
	return true
}

// property puts one setting into a look; false where there is no such thing here.
func (im *importer) property(title string, q grafanaProperty, p *Panel, l *Look) bool {
	var text string
	_ = json.Unmarshal(q.Value, &text)
	value := number(q.Value)
	switch q.ID {
	case "unit":
		if l.Unit = im.unit(title, text); l.Unit == "" && p.Unit != "" {
			l.Unit = "short"
		}
	case "displayName":
		l.Label = clip(grafanaLabel(text), maxTitle-1)
	case "decimals":
		if value != nil && *value >= 0 && *value <= 10 {
			n := int(*value)
			l.Decimals = &n
		}
	case "min":
		l.Min = value
	case "max":
		l.Max = value
	case "color":
		return im.colorProperty(q.Value, l)
	case "noValue":
		l.Mappings = im.addMapping(l.Mappings, Mapping{None: true}, grafanaResult{Text: text})
	case "mappings":
		var list []grafanaMapping
		if json.Unmarshal(q.Value, &list) != nil {
			return false
		}
		l.Mappings = im.mapped(title, list)
	case "thresholds":
		var t grafanaThresholds
		if json.Unmarshal(q.Value, &t) != nil {
			return false
		}
		l.Thresholds = im.steps(title, t, *p)
	default:
		return im.customProperty(q.ID, text, q.Value, l)
	}
	return true
}

func (im *importer) customProperty(id, text string, raw json.RawMessage, l *Look) bool {
	var o struct {
		Mode  string          `json:"mode"`
		Group json.RawMessage `json:"group"`
		Fill  string          `json:"fill"`
		Viz   bool            `json:"viz"`
	}
	_ = json.Unmarshal(raw, &o)
	switch {
	case id == "custom.axisPlacement" && (text == "right" || text == "left"):
		l.Axis = text
	case id == "custom.axisPlacement" && text == "auto", id == "custom.transform" && text == "":
	case id == "custom.transform" && text == "negative-Y":
		l.Below = true
	case id == "custom.drawStyle" && (text == "line" || text == "bars" || text == "points"):
		l.Draw = strings.Replace(text, "line", "lines", 1)
	case id == "custom.lineStyle":
		l.Dash = o.Fill == "dash" || o.Fill == "dot"
	case id == "custom.stacking" && o.Mode != "percent":
		// A group of its own is a series that stands beside the stack.
		stacked := o.Mode == "normal" && (len(o.Group) == 0 || string(o.Group) == `"A"`)
		l.Stack = &stacked
	case id == "custom.hideFrom" && o.Viz, id == "custom.hidden" && string(raw) == "true":
		l.Hide = true
	case id == "custom.hidden" && string(raw) == "false":
	default:
		return false
	}
	return true
}

func (im *importer) colorProperty(raw json.RawMessage, l *Look) bool {
	var c struct {
		Mode  string `json:"mode"`
		Fixed string `json:"fixedColor"`
	}
	if json.Unmarshal(raw, &c) != nil {
		return false
	}
	if c.Mode == "fixed" || c.Mode == "shades" || c.Mode == "" {
		l.Color = im.color(c.Fixed)
	}
	return true
}

// grafanaLabel turns a display name into a legend.
func grafanaLabel(s string) string {
	s = regexp.MustCompile(`\$\{__field\.labels\.([A-Za-z_][A-Za-z0-9_]*)\}`).ReplaceAllString(s, "{{$1}}")
	if strings.Contains(s, "${__") { // the name as it is, and the like
		return ""
	}
	return s
}

// oldOverride is what a graph of the old kind says of the series with an alias.
func (im *importer) oldOverride(g grafanaPanel, o map[string]any, p *Panel, lost map[string]bool) {
	alias, _ := o["alias"].(string)
	var l Look
	for name, v := range o {
		on, _ := v.(bool)
		text, _ := v.(string)
		n, _ := v.(float64)
		switch {
		case name == "alias", name == "$$hashKey", strokes[name], name == "points" && !on, name == "lines" && on && p.Draw == "", name == "bars" && !on, name == "legend" && on, name == "yaxis" && n == 1:
		case name == "color":
			l.Color = im.color(text)
		case name == "yaxis" && n == 2:
			im.rightAxis(g, p, &l)
		case name == "transform" && text == "negative-Y":
			l.Below = true
		case name == "lines" && on:
			l.Draw = "lines"
		case name == "lines":
			l.Draw = cmp.Or(l.Draw, "points")
		case name == "bars":
			l.Draw = "bars"
		case name == "points":
			if lines, said := o["lines"].(bool); said && !lines {
				l.Draw = "points"
			}
		case name == "dashes":
			l.Dash = on
		case name == "stack":
			stacked := on || text != ""
			l.Stack = &stacked
		default:
			lost[name] = true
		}
	}
	if l.isZero() || alias == "" {
		return
	}
	if strings.HasPrefix(alias, "/") {
		re, ok := grafanaRegex(alias)
		if !ok || re == "" || len(re) > maxNote {
			lost["alias "+clip(alias, 60)] = true
			return
		}
		p.Overrides = append(p.Overrides, Override{Match: re, Look: l})
		return
	}
	p.Overrides = append(p.Overrides, Override{Name: clip(alias, maxTitle-1), Look: l})
}

// rightAxis is the second axis of a graph of the old kind.
func (im *importer) rightAxis(g grafanaPanel, p *Panel, l *Look) {
	l.Axis = "right"
	if len(g.YAxes) < 2 {
		return
	}
	right := g.YAxes[1]
	if l.Unit = im.unit(g.Title, right.Format); l.Unit == "" && p.Unit != "" {
		l.Unit = "short"
	}
	if l.Min, l.Max = number(right.Min), number(right.Max); l.Min != nil && l.Max != nil && *l.Min >= *l.Max {
		l.Min, l.Max = nil, nil
	}
}

// grafanaTransformation changes what a panel got before it is shown.
type grafanaTransformation struct {
	ID       string `json:"id"`
	Disabled bool   `json:"disabled"`
	Options  struct {
		Exclude map[string]bool            `json:"excludeByName"`
		Rename  map[string]string          `json:"renameByName"`
		Index   map[string]json.RawMessage `json:"indexByName"`
	} `json:"options"`
}

// transform takes over what can be said by looks: which columns a table has, what they are called, and that the rows of
// several queries are merged. It returns the names of columns by their new ones.
func (im *importer) transform(title string, g grafanaPanel, p *Panel) map[string]string {
	renamed := map[string]string{}
	var lost []string
	for _, t := range g.Transformations {
		switch {
		case t.Disabled:
		case p.Kind == KindTable && t.ID == "merge":
		case p.Kind == KindTable && t.ID == "organize":
			im.organize(title, t, p, renamed)
		default:
			lost = append(lost, t.ID)
		}
	}
	if len(lost) > 0 {
		im.note(title, "Transformations are not taken over: %s. Write the same in PromQL.", strings.Join(lost, ", "))
	}
	return renamed
}

func (im *importer) organize(title string, t grafanaTransformation, p *Panel, renamed map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(t.Options.Exclude)) {
		if t.Options.Exclude[name] && !strings.HasPrefix(name, "Time") && name != "__name__" {
			im.applyName(name, Look{Hide: true}, p)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(t.Options.Rename)) {
		if label := t.Options.Rename[name]; label != "" && !strings.HasPrefix(name, "Time") {
			renamed[label] = name
			im.applyName(name, Look{Label: clip(grafanaLabel(label), maxTitle-1)}, p)
		}
	}
	if len(t.Options.Index) > 0 {
		im.note(title, "The columns of labels are in the order of the alphabet here.")
	}
}
