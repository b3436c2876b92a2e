package dashboard

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/prometheus/common/model"
)

// grafanaPanel is a panel in any of its versions.
type grafanaPanel struct {
	ID          json.RawMessage `json:"id"`
	Type        string          `json:"type"`
	Title       string          `json:"title"`
	Description string          `json:"description"`
	Repeat      string          `json:"repeat"`
	Span        float64         `json:"span"` // twelfths, before grids
	Height      json.RawMessage `json:"height"`
	GridPos     struct{ W, H float64 }
	Interval    string            `json:"interval"`
	Targets     []json.RawMessage `json:"targets"`
	Links       []struct {
		Title string `json:"title"`
		URL   string `json:"url"`
	} `json:"links"`
	Transformations []grafanaTransformation `json:"transformations"`
	FieldConfig     struct {
		Defaults  grafanaField      `json:"defaults"`
		Overrides []grafanaOverride `json:"overrides"`
	} `json:"fieldConfig"`
	Options grafanaOptions `json:"options"`

	// Of older panels.
	Format     json.RawMessage   `json:"format"`
	Decimals   *float64          `json:"decimals"`
	Bars       bool              `json:"bars"`
	Stack      bool              `json:"stack"`
	Content    string            `json:"content"`
	Mode       string            `json:"mode"`
	ValueName  string            `json:"valueName"`
	Thresholds json.RawMessage   `json:"thresholds"` // "50,80" of a single stat; a list of a graph
	Colors     []json.RawMessage `json:"colors"`
	ColorValue bool              `json:"colorValue"`
	ColorBack  bool              `json:"colorBackground"`
	YAxes      []struct {
		Format  string          `json:"format"`
		Min     json.RawMessage `json:"min"`
		Max     json.RawMessage `json:"max"`
		LogBase float64         `json:"logBase"`
	} `json:"yaxes"`
	SeriesOverrides []map[string]any  `json:"seriesOverrides"`
	AliasColors     map[string]string `json:"aliasColors"`
	ValueMaps       []grafanaOldMap   `json:"valueMaps"`
	RangeMaps       []grafanaOldMap   `json:"rangeMaps"`
}

type grafanaField struct {
	Unit       string            `json:"unit"`
	Min        *float64          `json:"min"`
	Max        *float64          `json:"max"`
	Decimals   *float64          `json:"decimals"`
	Mappings   []grafanaMapping  `json:"mappings"`
	Links      []json.RawMessage `json:"links"`
	NoValue    string            `json:"noValue"`
	Name       string            `json:"displayName"`
	Thresholds grafanaThresholds `json:"thresholds"`
	Custom     struct {
		DrawStyle string `json:"drawStyle"`
		Stacking  struct {
			Mode string `json:"mode"`
		} `json:"stacking"`
		ThresholdsStyle struct {
			Mode string `json:"mode"`
		} `json:"thresholdsStyle"`
		Scale struct {
			Type string `json:"type"`
		} `json:"scaleDistribution"`
	} `json:"custom"`
}

type grafanaThresholds struct {
	Mode  string `json:"mode"`
	Steps []struct {
		Color string   `json:"color"`
		Value *float64 `json:"value"`
	} `json:"steps"`
}

type grafanaOptions struct {
	Content       string `json:"content"`
	Mode          string `json:"mode"`
	ColorMode     string `json:"colorMode"`
	ReduceOptions struct {
		Calcs  []string `json:"calcs"`
		Values bool     `json:"values"`
	} `json:"reduceOptions"`
	Calculate bool `json:"calculate"` // a heat map that makes its own buckets
}

// kindsOfGrafana are the panels that have a like here; the note says where it is not quite one.
var kindsOfGrafana = map[string]struct{ kind, note string }{
	"timeseries": {KindTimeSeries, ""}, "graph": {KindTimeSeries, ""}, "stat": {KindStat, ""}, "singlestat": {KindStat, ""},
	"gauge": {KindBar, ""}, "bargauge": {KindBar, ""}, "table": {KindTable, ""}, "table-old": {KindTable, ""}, "heatmap": {KindHeatMap, ""}, "text": {KindText, ""},
	"piechart": {KindBar, "A pie chart is drawn as bars."}, "grafana-piechart-panel": {KindBar, "A pie chart is drawn as bars."},
	"barchart": {KindBar, "A bar chart is drawn as one bar for each series."}, "state-timeline": {KindTimeSeries, "A state timeline is drawn as lines."},
	"status-history": {KindTimeSeries, "A status history is drawn as lines."}, "trend": {KindTimeSeries, "A trend is drawn as a time series."},
	"histogram": {KindTable, "A histogram is shown as a table."},
}

// panelFields are what is understood of a panel, or only says how Grafana draws it: strokes, colours, tooltips.
var panelFields = words(`id type title description repeat span height gridPos interval targets links transformations fieldConfig options
	format decimals bars stack content mode valueName thresholds colors colorValue colorBackground yaxes seriesOverrides
	datasource pluginVersion repeatDirection maxPerRow maxDataPoints editable error isNew renderer transparent hideTimeOverride
	aliasColors dashLength dashes paceLength fill fillGradient lines linewidth spaceLength steppedLine points pointradius percentage legend tooltip nullPointMode grid
	xaxis yaxis x-axis y-axis hiddenSeries zerofill gauge sparkline nullText prefix postfix prefixFontSize postfixFontSize valueFontSize mappingType
	mappingTypes rangeMaps valueMaps tableColumn valueMappings colorPostfix colorPrefix cacheTimeout timeRegions repeatIteration repeatPanelId repeatedByRow scopedVars
	showHeader sort styles columns fontSize scroll transform pageSize color cards dataFormat heatmap hideZeroBuckets highlightCards reverseYBuckets
	tooltipDecimals xBucketNumber xBucketSize yBucketBound yBucketNumber yBucketSize collapsed panels libraryPanel x y minSpan leftYAxisLabel rightYAxisLabel
	y_formats snapshotData queryCachingTTL`)

// panel turns one panel into ours. Nothing is dropped without a note; a panel that cannot be shown at all becomes a text
// that says so.
func (im *importer) panel(raw json.RawMessage, height int) (Panel, bool) {
	var g grafanaPanel
	if err := im.lenient(g.Title, json.Unmarshal(raw, &g)); err != nil {
		im.note("", "A panel cannot be read (%s); a text stands in its place.", clip(err.Error(), 200))
		return Panel{ID: im.panelID(nil), Title: "Not understood", Kind: KindText, Text: "This panel could not be read when the dashboard was imported."}, false
	}
	title := cmp.Or(g.Title, "Panel "+strings.Trim(string(g.ID), `"`))
	p := Panel{ID: im.panelID(g.ID), Title: clip(g.Title, maxTitle-1), Description: clip(g.Description, maxNote-1), Repeat: im.known(title, g.Repeat)}
	im.refs, im.tints = map[string]int{}, map[string]string{}
	im.size(g, &p, height)
	like, ok := kindsOfGrafana[g.Type]
	p.Kind = like.kind
	if like.note != "" {
		im.note(title, "%s", like.note)
	}
	if p.Kind == KindText {
		p.Text, p.Format = im.text(title, g)
	} else {
		im.targets(title, g, &p)
	}
	if !ok {
		im.strange(title, g, &p)
	}
	if p.Kind != KindText {
		im.look(title, g, &p)
	}
	im.rest(title, g, &p)
	im.unknown(title, raw, panelFields, "These fields are not understood")
	return p, ok
}

// lenient turns the error about a field of a wrong type into a note: everything else was read.
func (im *importer) lenient(panel string, err error) error {
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) && kind.Field != "" {
		im.note(panel, "The field %s is a %s, which is not understood.", kind.Field, kind.Value)
		return nil
	}
	return err
}

// strange is a panel of a kind that does not exist here.
func (im *importer) strange(title string, g grafanaPanel, p *Panel) {
	if len(p.Targets) > 0 {
		im.note(title, "There is no panel of the kind %q here; its queries are shown as a table.", g.Type)
		p.Kind = KindTable
		return
	}
	im.note(title, "There is no panel of the kind %q here; a text stands in its place.", g.Type)
	p.Kind, p.Format, p.Text = KindText, "plain", fmt.Sprintf("This was a panel of the kind %q, which does not exist here.", g.Type)
}

func (im *importer) panelID(raw json.RawMessage) string {
	id := "p" + strings.Trim(string(raw), `"`)
	if !panelID.MatchString(id) || im.ids[id] || id == "p" {
		for n := len(im.ids) + 1; ; n++ {
			if id = fmt.Sprintf("panel-%d", n); !im.ids[id] {
				break
			}
		}
	}
	im.ids[id] = true
	return id
}

func (im *importer) size(g grafanaPanel, p *Panel, height int) {
	p.Width, p.Height = min(max(int(g.GridPos.W), 0), columns), min(int(g.GridPos.H), 40)
	if p.Width == 0 && g.Span > 0 {
		p.Width = min(max(int(g.Span*2), 1), columns)
	}
	if p.Height <= 0 {
		p.Height = cmp.Or(lineHeight(g.Height), height)
	}
	if p.Height != 0 {
		p.Height = max(p.Height, 2)
	}
}

func (im *importer) text(title string, g grafanaPanel) (text, format string) {
	text = cmp.Or(g.Options.Content, g.Content)
	if len([]rune(text)) > maxText {
		im.note(title, "The text is cut off after %d characters.", maxText)
		text = string([]rune(text)[:maxText])
	}
	switch mode := cmp.Or(g.Options.Mode, g.Mode); mode {
	case "html":
		im.note(title, "The text is HTML, which is shown as it is written and not as a page.")
		return text, "plain"
	case "code":
		return text, "plain"
	}
	return text, ""
}

// grafanaTarget is a query of a panel.
type grafanaTarget struct {
	Expr         string          `json:"expr"`
	Legend       string          `json:"legendFormat"`
	Hide         bool            `json:"hide"`
	Interval     string          `json:"interval"`
	RefID        string          `json:"refId"`
	Exemplar     bool            `json:"exemplar"`
	Instant      bool            `json:"instant"`
	RangeQuery   *bool           `json:"range"`
	Type         string          `json:"type"`
	Expression   string          `json:"expression"`
	RawSQL       string          `json:"rawSql"`
	Target       string          `json:"target"`
	IntervalFact json.RawMessage `json:"intervalFactor"`
}

var targetFields = words(`expr legendFormat hide interval refId exemplar instant range type expression rawSql target intervalFactor datasource
	format step editorMode metric calculatedInterval hideTimeOverride fullMetaSearch includeNullMetadata useBackend disableTextWrap adhocFilters dsType prometheusQueryType
	useMetricNameForExpr errors queryType key requestId utcOffsetSec intervalMs maxDataPoints textEditor target_ref scenarioId`)

func (im *importer) targets(title string, g grafanaPanel, p *Panel) {
	for i, raw := range g.Targets {
		var t grafanaTarget
		if err := im.lenient(title, json.Unmarshal(raw, &t)); err != nil {
			im.note(title, "Query %d cannot be read and is left out.", i+1)
			continue
		}
		name := cmp.Or(t.RefID, targetName(i))
		if strings.TrimSpace(t.Expr) == "" {
			switch {
			case t.Expression != "":
				im.note(title, "Query %s is an expression of Grafana (%s), which is not understood; it is left out.", name, clip(t.Expression, 60))
			case t.RawSQL != "" || t.Target != "":
				im.note(title, "Query %s is not for Prometheus; it is left out.", name)
			default:
				im.note(title, "Query %s is empty or not for Prometheus; it is left out.", name)
			}
			continue
		}
		if len(p.Targets) == maxTargets {
			im.note(title, "Query %s is left out: a panel has %d at most.", name, maxTargets)
			continue
		}
		out := Target{Expr: t.Expr, Legend: clip(strings.TrimSpace(t.Legend), maxNote-1), Hidden: t.Hide, Step: im.step(title, cmp.Or(t.Interval, g.Interval))}
		if out.Legend == "__auto" {
			out.Legend = ""
		}
		im.refs[name] = len(p.Targets)
		p.Targets = append(p.Targets, out)
		im.unknown(title, raw, targetFields, fmt.Sprintf("Of query %s, these fields are not understood", name))
	}
	if len(p.Targets) == 0 && len(g.Targets) > 0 {
		im.note(title, "None of its queries could be taken over.")
	}
}

// step reads "1m", ">1m" and "$interval".
func (im *importer) step(title, s string) string {
	s = strings.TrimSpace(strings.TrimPrefix(s, ">"))
	if s == "" || strings.Contains(s, "$") {
		return s
	}
	if n, err := model.ParseDuration(s); err != nil || n < model.Duration(1e9) {
		im.note(title, "The step %q is not understood.", clip(s, 40))
		return ""
	}
	return s
}

// look takes over unit, bounds, thresholds and the way of drawing.
func (im *importer) look(title string, g grafanaPanel, p *Panel) {
	f := g.FieldConfig.Defaults
	unit := f.Unit
	if unit == "" {
		var format string
		_ = json.Unmarshal(g.Format, &format)
		unit = format
	}
	if unit == "" && len(g.YAxes) > 0 {
		unit = g.YAxes[0].Format
	}
	p.Unit = im.unit(title, unit)
	p.Min, p.Max = f.Min, f.Max
	if len(g.YAxes) > 0 && p.Min == nil && p.Max == nil {
		p.Min, p.Max = number(g.YAxes[0].Min), number(g.YAxes[0].Max)
	}
	if p.Min != nil && p.Max != nil && *p.Min >= *p.Max {
		im.note(title, "The bounds of the axis contradict each other; they are left out.")
		p.Min, p.Max = nil, nil
	}
	if n := cmp.Or(f.Decimals, g.Decimals); n != nil && *n >= 0 && *n <= 10 {
		whole := int(*n)
		p.Decimals = &whole
	}
	if p.Kind == KindTimeSeries {
		p.Stack = g.Stack || f.Custom.Stacking.Mode == "normal" || f.Custom.Stacking.Mode == "percent"
		if f.Custom.Stacking.Mode == "percent" {
			im.note(title, "It is stacked to 100 %%; here it is stacked by value.")
		}
		if g.Bars || f.Custom.DrawStyle == "bars" {
			p.Draw = "bars"
		} else if f.Custom.DrawStyle == "points" {
			p.Draw = "points"
		}
		p.Log = f.Custom.Scale.Type == "log" || len(g.YAxes) > 0 && g.YAxes[0].LogBase > 1
	}
	im.reduce(title, g, p)
	im.thresholds(title, g, p)
	im.mappings(title, g, p)
	renamed := im.transform(title, g, p)
	im.overrides(title, g, p, renamed)
}

func number(raw json.RawMessage) *float64 {
	v, err := strconv.ParseFloat(strings.Trim(string(raw), `"`), 64)
	if err != nil || math.IsInf(v, 0) || math.IsNaN(v) {
		return nil
	}
	return &v
}

var reducersOfGrafana = map[string]string{
	"lastNotNull": "", "last": "", "current": "", "mean": "mean", "avg": "mean", "min": "min", "max": "max", "sum": "sum", "total": "sum", "": "",
}

func (im *importer) reduce(title string, g grafanaPanel, p *Panel) {
	if p.Kind == KindTimeSeries || p.Kind == KindHeatMap {
		return
	}
	calc := g.ValueName
	if len(g.Options.ReduceOptions.Calcs) > 0 {
		calc = g.Options.ReduceOptions.Calcs[0]
	}
	how, ok := reducersOfGrafana[calc]
	if !ok {
		im.note(title, "One number of a series is made by %q, which does not exist here; the last one is shown.", calc)
	}
	p.Reduce = how
}

// rest notes what a panel has that panels here do not.
func (im *importer) rest(title string, g grafanaPanel, p *Panel) {
	for i, l := range g.Links {
		if i == 0 && safeHref(l.URL) && !strings.Contains(l.URL, "${__") {
			p.Link = clip(l.URL, maxNote-1)
			continue
		}
		im.note(title, "The link %q is not taken over.", cmp.Or(l.Title, l.URL))
	}
	if len(g.FieldConfig.Defaults.Links) > 0 {
		im.note(title, "Links of values are not taken over.")
	}
	if p.Kind == KindHeatMap && g.Options.Calculate {
		im.note(title, "The heat map makes its own buckets; here the query must: sum by (le) (increase(…_bucket[$__interval])).")
	}
}
