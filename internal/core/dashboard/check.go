package dashboard

import (
	"fmt"
	"math"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/prometheus/common/model"

	"github.com/kept-dev/kept/internal/ui"
)

// The limits of a dashboard.
const (
	maxTitle     = 200
	maxText      = 20_000 // of a text panel
	maxNote      = 2_000  // of a description
	maxExpr      = 8_192
	maxTags      = 20
	maxTag       = 50
	maxRows      = 100
	maxPanels    = 400
	maxTargets   = 26
	maxVariables = 50
	maxOptions   = 500
	maxMarks     = 20 // thresholds of a panel; queries for moments
	maxOverrides = 100
	maxMappings  = 100

	columns       = 24
	defaultWidth  = 12
	defaultHeight = 8
)

var (
	kinds     = []string{KindTimeSeries, KindStat, KindBar, KindHeatMap, KindTable, KindText}
	varKinds  = []string{VarQuery, VarList, VarText, VarInterval, VarConstant}
	toneNames = []string{"good", "warn", "bad", "active", "neutral"}
	draws     = []string{"", "lines", "area", "bars", "points"}
	reducers  = []string{"", "last", "mean", "min", "max", "sum"}

	colorNames = append([]string{""}, ui.ColorNames()...)

	panelID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,60}$`)
	varName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,59}$`)
)

// checker collects what is wrong.
type checker struct {
	faults []fault
	vars   map[string]bool
	ids    map[string]bool
	panels int
}

func (c *checker) bad(path, format string, args ...any) {
	c.faults = append(c.faults, fault{path, fmt.Sprintf(format, args...)})
}

func (c *checker) length(path, s string, most int) {
	if n := utf8.RuneCountInString(s); n > most {
		c.bad(path, "it has %d characters; %d at most", n, most)
	}
}

func (c *checker) oneOf(path, s string, of []string) {
	if !slices.Contains(of, s) {
		c.bad(path, "%q is none of %s", clip(s, 40), strings.Join(slices.DeleteFunc(slices.Clone(of), func(s string) bool { return s == "" }), ", "))
	}
}

// check lists what is wrong with a dashboard, in its order.
func (d *Dashboard) check() []fault {
	c := &checker{vars: map[string]bool{}, ids: map[string]bool{}}
	if d.Version != Format {
		c.bad("version", "this server reads version %d", Format)
	}
	if strings.TrimSpace(d.Title) == "" {
		c.bad("title", "give it a title")
	}
	c.length("title", d.Title, maxTitle)
	c.length("description", d.Description, maxNote)
	if len(d.Tags) > maxTags {
		c.bad("tags", "%d tags at most", maxTags)
	}
	for i, t := range d.Tags {
		if strings.TrimSpace(t) == "" || strings.Contains(t, ",") {
			c.bad(fmt.Sprintf("tags[%d]", i), "a tag is a word without commas")
		}
		c.length(fmt.Sprintf("tags[%d]", i), t, maxTag)
	}
	c.period("range", d.Range, time.Minute, maxRange)
	c.period("refresh", d.Refresh, minRefresh, 24*time.Hour)
	c.variables(d.Variables)
	c.markQueries(d.Marks)
	if len(d.Rows) > maxRows {
		c.bad("rows", "%d rows at most", maxRows)
	}
	for i, r := range d.Rows {
		c.row(fmt.Sprintf("rows[%d]", i), r)
	}
	if c.panels > maxPanels {
		c.bad("rows", "it has %d panels; %d at most", c.panels, maxPanels)
	}
	return c.faults
}

// period checks a duration such as "1h" or "30s"; empty is none.
func (c *checker) period(path, s string, least, most time.Duration) {
	if s == "" {
		return
	}
	d, err := model.ParseDuration(s)
	switch {
	case err != nil:
		c.bad(path, "%q is not a duration; write it like 30s, 5m, 6h or 7d", clip(s, 40))
	case time.Duration(d) < least || time.Duration(d) > most:
		c.bad(path, "it must be from %s to %s", model.Duration(least), model.Duration(most))
	}
}

func (c *checker) variables(vars []Variable) {
	if len(vars) > maxVariables {
		c.bad("variables", "%d variables at most", maxVariables)
	}
	for i, v := range vars {
		path := fmt.Sprintf("variables[%d]", i)
		c.variable(path, v)
		if c.vars[v.Name] {
			c.bad(path+".name", "another variable is called %s too", v.Name)
		}
		c.vars[v.Name] = true
	}
}

func (c *checker) markQueries(marks []Mark) {
	if len(marks) > maxMarks {
		c.bad("marks", "%d at most", maxMarks)
	}
	for i, k := range marks {
		path := fmt.Sprintf("marks[%d]", i)
		if strings.TrimSpace(k.Name) == "" || strings.TrimSpace(k.Expr) == "" {
			c.bad(path, "it needs a name and a query")
		}
		c.length(path+".name", k.Name, maxTag)
		c.length(path+".expr", k.Expr, maxExpr)
		c.length(path+".text", k.Text, maxNote)
		c.period(path+".step", k.Step, time.Second, maxRange)
	}
}

func (c *checker) variable(path string, v Variable) {
	if !varName.MatchString(v.Name) || strings.HasPrefix(v.Name, "__") {
		c.bad(path+".name", "a name is made of letters, digits and _")
	}
	c.length(path+".label", v.Label, maxTitle)
	c.oneOf(path+".kind", v.Kind, varKinds)
	c.length(path+".query", v.Query, maxExpr)
	c.length(path+".all_value", v.AllValue, maxNote)
	c.pattern(path+".regex", v.Regex)
	c.pattern(path+".all_value", v.AllValue)
	if len(v.Options) > maxOptions {
		c.bad(path+".options", "%d choices at most", maxOptions)
	}
	for i, o := range v.Options {
		c.length(fmt.Sprintf("%s.options[%d]", path, i), o, maxNote)
		if v.Kind == VarInterval {
			c.period(fmt.Sprintf("%s.options[%d]", path, i), o, time.Second, maxRange)
		}
	}
	for i, o := range v.Default {
		c.length(fmt.Sprintf("%s.default[%d]", path, i), o, maxNote)
	}
	if v.Kind == VarQuery {
		if _, err := parseVarQuery(v.Query); err != nil {
			c.bad(path+".query", "%v", err)
		}
	}
	if (v.Kind == VarList || v.Kind == VarInterval) && len(v.Options) == 0 {
		c.bad(path+".options", "list at least one choice")
	}
}

func (c *checker) pattern(path, s string) {
	c.length(path, s, maxNote)
	if _, err := regexp.Compile(s); err != nil {
		c.bad(path, "it is not a regular expression")
	}
}

func (c *checker) row(path string, r Row) {
	c.length(path+".title", r.Title, maxTitle)
	c.variableNamed(path+".repeat", r.Repeat)
	for i, p := range r.Panels {
		c.panel(fmt.Sprintf("%s.panels[%d]", path, i), p)
	}
}

func (c *checker) variableNamed(path, name string) {
	if name != "" && !c.vars[name] {
		c.bad(path, "there is no variable %s", clip(name, 60))
	}
}

func (c *checker) panel(path string, p Panel) {
	c.panels++
	if !panelID.MatchString(p.ID) {
		c.bad(path+".id", "an id is made of letters, digits, - and _")
	}
	if c.ids[p.ID] {
		c.bad(path+".id", "another panel has the id %s too", clip(p.ID, 60))
	}
	c.ids[p.ID] = true
	c.length(path+".title", p.Title, maxTitle)
	c.length(path+".description", p.Description, maxNote)
	c.oneOf(path+".kind", p.Kind, kinds)
	c.variableNamed(path+".repeat", p.Repeat)
	if p.Width < 0 || p.Width > columns {
		c.bad(path+".width", "it must be from 1 to %d", columns)
	}
	if p.Height != 0 && (p.Height < 2 || p.Height > 40) {
		c.bad(path+".height", "it must be from 2 to 40")
	}
	c.link(path+".link", p.Link)
	c.targets(path, p)
	c.numbers(path, p)
	c.oneOf(path+".draw", p.Draw, draws)
	c.oneOf(path+".reduce", p.Reduce, reducers)
	c.length(path+".text", p.Text, maxText)
	c.oneOf(path+".format", p.Format, []string{"", "markdown", "plain"})
}

// link checks where a title leads: nothing but our own paths and the web, so that no script can hide in it.
func (c *checker) link(path, s string) {
	c.length(path, s, maxNote)
	if s != "" && !safeHref(s) {
		c.bad(path, "it must begin with / or with http:// or https://")
	}
}

// safeHref tells whether an address may stand in a page as a link.
func safeHref(s string) bool {
	if strings.ContainsAny(s, "\\\t\r\n\x00") {
		return false
	}
	if strings.HasPrefix(s, "/") {
		return !strings.HasPrefix(s, "//")
	}
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}

func (c *checker) targets(path string, p Panel) {
	if len(p.Targets) > maxTargets {
		c.bad(path+".targets", "%d queries at most", maxTargets)
	}
	if p.Kind == KindText && len(p.Targets) > 0 {
		c.bad(path+".targets", "a text panel asks nothing")
	}
	for i, t := range p.Targets {
		at := fmt.Sprintf("%s.targets[%d]", path, i)
		if strings.TrimSpace(t.Expr) == "" {
			c.bad(at+".expr", "write a query")
		}
		c.length(at+".expr", t.Expr, maxExpr)
		c.length(at+".legend", t.Legend, maxNote)
		if !strings.Contains(t.Step, "$") {
			c.period(at+".step", t.Step, time.Second, maxRange)
		}
		c.look(at, t.Look)
	}
}

func (c *checker) numbers(path string, p Panel) {
	c.scale(path, p.Unit, p.Decimals, p.Min, p.Max)
	c.thresholds(path+".thresholds", p.Thresholds)
	c.mappings(path+".mappings", p.Mappings)
	if len(p.Overrides) > maxOverrides {
		c.bad(path+".overrides", "%d at most", maxOverrides)
	}
	for i, o := range p.Overrides {
		at := fmt.Sprintf("%s.overrides[%d]", path, i)
		c.length(at+".name", o.Name, maxTitle)
		c.pattern(at+".match", o.Match)
		if (o.Name == "") == (o.Match == "") {
			c.bad(at+".name", "say which series: by name or by match")
		}
		c.look(at, o.Look)
	}
}

// look checks what is said of single series.
func (c *checker) look(path string, l Look) {
	c.scale(path, l.Unit, l.Decimals, l.Min, l.Max)
	c.oneOf(path+".axis", l.Axis, []string{"", "left", "right"})
	c.length(path+".label", l.Label, maxTitle)
	c.oneOf(path+".color", l.Color, colorNames)
	c.oneOf(path+".draw", l.Draw, draws)
	c.thresholds(path+".thresholds", l.Thresholds)
	c.mappings(path+".mappings", l.Mappings)
}

func (c *checker) scale(path string, unit string, decimals *int, lo, hi *float64) {
	c.length(path+".unit", unit, 40)
	if decimals != nil && (*decimals < 0 || *decimals > 10) {
		c.bad(path+".decimals", "it must be from 0 to 10")
	}
	if lo != nil && hi != nil && *lo >= *hi {
		c.bad(path+".max", "it must be above min")
	}
}

func (c *checker) thresholds(path string, list []Threshold) {
	if len(list) > maxMarks {
		c.bad(path, "%d at most", maxMarks)
	}
	last := math.Inf(-1)
	for i, t := range list {
		at := fmt.Sprintf("%s[%d]", path, i)
		c.oneOf(at+".tone", t.Tone, toneNames)
		if t.At == nil {
			if i > 0 {
				c.bad(at+".at", "only the first may lack it")
			}
			continue
		}
		if *t.At <= last {
			c.bad(at+".at", "thresholds must rise")
		}
		last = *t.At
	}
}

func (c *checker) mappings(path string, list []Mapping) {
	if len(list) > maxMappings {
		c.bad(path, "%d at most", maxMappings)
	}
	for i, m := range list {
		at := fmt.Sprintf("%s[%d]", path, i)
		ways := 0
		for _, is := range []bool{m.Value != nil, m.From != nil || m.To != nil, m.Match != "", m.None} {
			if is {
				ways++
			}
		}
		if ways != 1 {
			c.bad(at, "say which values: by value, by from and to, by match, or by none")
		}
		if m.From != nil && m.To != nil && *m.From > *m.To {
			c.bad(at+".to", "it must not be below from")
		}
		c.pattern(at+".match", m.Match)
		c.length(at+".text", m.Text, maxTitle)
		if m.Tone != "" {
			c.oneOf(at+".tone", m.Tone, toneNames)
		}
		if m.Text == "" && m.Tone == "" {
			c.bad(at+".text", "say what stands in its place")
		}
	}
}

// width and height are those of the panel, or the defaults.
func (p Panel) width() int {
	if p.Width == 0 {
		return defaultWidth
	}
	return p.Width
}

func (p Panel) height() int {
	if p.Height == 0 {
		return defaultHeight
	}
	return p.Height
}
