package dashboard

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/common/model"

	"github.com/kept-dev/kept/internal/kernel"
)

// grafana is a dashboard of Grafana's classic JSON model. Fields that have had several shapes over the years are read raw.
type grafana struct {
	Title         string            `json:"title"`
	Description   string            `json:"description"`
	Tags          []string          `json:"tags"`
	Refresh       json.RawMessage   `json:"refresh"`
	SchemaVersion int               `json:"schemaVersion"`
	Panels        []json.RawMessage `json:"panels"`
	Rows          []grafanaRow      `json:"rows"`
	Time          struct {
		From string `json:"from"`
		To   string `json:"to"`
	} `json:"time"`
	Templating struct {
		List []json.RawMessage `json:"list"`
	} `json:"templating"`
	Annotations struct {
		List []json.RawMessage `json:"list"`
	} `json:"annotations"`
	Links []struct {
		Title string `json:"title"`
	} `json:"links"`
}

// grafanaRow is a row of the model before version 16.
type grafanaRow struct {
	Title    string            `json:"title"`
	Collapse bool              `json:"collapse"`
	Repeat   string            `json:"repeat"`
	Height   json.RawMessage   `json:"height"`
	Panels   []json.RawMessage `json:"panels"`
}

// importer turns one into ours.
type importer struct {
	Report
	d     *Dashboard
	ids   map[string]bool
	refs  map[string]int    // of the panel at hand: places of queries by their names
	tints map[string]string // of the panel at hand: which of our colours stands for which
}

func importGrafana(text []byte) (*Dashboard, Report, error) {
	var outer struct {
		Dashboard json.RawMessage `json:"dashboard"` // as the HTTP API of Grafana answers
		Elements  json.RawMessage `json:"elements"`  // of the newer schema v2
		Spec      json.RawMessage `json:"spec"`
	}
	if err := json.Unmarshal(text, &outer); err != nil {
		return nil, Report{}, decodeError(text, err)
	}
	if outer.Elements != nil || outer.Spec != nil {
		return nil, Report{From: "grafana"}, kernel.Errorf(kernel.Invalid, "This is a dashboard of Grafana's newer schema v2. Export it as \"classic\" JSON and import that.")
	}
	if outer.Dashboard != nil {
		text = outer.Dashboard
	}
	var g grafana
	err := json.Unmarshal(text, &g)
	im := &importer{Report: Report{From: "grafana"}, d: &Dashboard{Version: Format}, ids: map[string]bool{}}
	if err := im.lenient("", err); err != nil {
		return nil, Report{From: "grafana"}, decodeError(text, err)
	}
	im.head(g, text)
	for _, raw := range g.Templating.List {
		im.variable(raw)
	}
	for _, raw := range g.Annotations.List {
		im.annotation(raw)
	}
	im.layout(g)
	im.tidy()
	im.Panels = im.d.panelCount()
	im.queries(im.d)
	if faults := im.d.check(); len(faults) > 0 {
		return nil, im.Report, faultsError(im.d.Encode(), faults)
	}
	return im.d, im.Report, nil
}

// dashboardFields are what is understood of a dashboard, or says nothing about what it shows.
var dashboardFields = words(`title description tags refresh schemaVersion panels rows time templating annotations links
	__inputs __requires __elements id uid gnetId version editable iteration graphTooltip timezone style timepicker fiscalYearStartMonth liveNow
	weekStart hideControls sharedCrosshair originalTitle revision preload folderId overwrite inputs meta`)

func words(s string) map[string]bool {
	out := map[string]bool{}
	for _, w := range strings.Fields(s) {
		out[w] = true
	}
	return out
}

func (im *importer) head(g grafana, text []byte) {
	d := im.d
	d.Title, d.Description = clip(cmp.Or(strings.TrimSpace(g.Title), "Imported dashboard"), maxTitle-1), clip(g.Description, maxNote-1)
	for _, t := range g.Tags {
		if t = strings.TrimSpace(strings.ReplaceAll(t, ",", " ")); t != "" && len(d.Tags) < maxTags {
			d.Tags = append(d.Tags, clip(t, maxTag-1))
		}
	}
	if from, ok := strings.CutPrefix(g.Time.From, "now-"); ok {
		from, _, _ = strings.Cut(from, "/")
		if _, err := model.ParseDuration(from); err == nil {
			d.Range = from
		}
	}
	var refresh string
	if json.Unmarshal(g.Refresh, &refresh) == nil && refresh != "" {
		if n, err := model.ParseDuration(refresh); err == nil && n >= model.Duration(minRefresh) {
			d.Refresh = refresh
		}
	}
	for _, l := range g.Links {
		im.note("", "The link %q is not taken over.", l.Title)
	}
	im.note("", "Widths, fills, points, alignment, legends and tooltips are the way that they are here.")
	im.unknown("", text, dashboardFields, "Of the dashboard, these fields are not understood")
}

// unknown notes the fields of an object that are in no list.
func (im *importer) unknown(panel string, raw []byte, known map[string]bool, say string) {
	var all map[string]json.RawMessage
	if json.Unmarshal(raw, &all) != nil {
		return
	}
	var names []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if !known[name] && !isNothing(all[name]) {
			names = append(names, name)
		}
	}
	if len(names) > 0 {
		im.note(panel, "%s: %s.", say, strings.Join(names, ", "))
	}
}

// isNothing tells whether a value says nothing: null, false, 0, "", [] or {}.
func isNothing(raw json.RawMessage) bool {
	switch strings.Join(strings.Fields(string(raw)), "") {
	case "", "null", "false", "0", `""`, "[]", "{}":
		return true
	}
	return false
}

// layout puts panels into rows.
func (im *importer) layout(g grafana) {
	for _, r := range g.Rows {
		row := Row{Title: clip(r.Title, maxTitle-1), Collapsed: r.Collapse, Repeat: im.known("", r.Repeat), Panels: []Panel{}}
		for _, raw := range r.Panels {
			p, _ := im.panel(raw, lineHeight(r.Height))
			row.Panels = append(row.Panels, p)
		}
		im.d.Rows = append(im.d.Rows, row)
	}
	current := Row{Panels: []Panel{}}
	for _, raw := range sortedByPlace(g.Panels) {
		var head struct {
			Type      string            `json:"type"`
			Title     string            `json:"title"`
			Collapsed bool              `json:"collapsed"`
			Repeat    string            `json:"repeat"`
			Panels    []json.RawMessage `json:"panels"`
		}
		if json.Unmarshal(raw, &head) != nil || head.Type != "row" {
			p, _ := im.panel(raw, 0)
			current.Panels = append(current.Panels, p)
			continue
		}
		im.addRow(current)
		current = Row{Title: clip(head.Title, maxTitle-1), Collapsed: head.Collapsed, Repeat: im.known(head.Title, head.Repeat), Panels: []Panel{}}
		for _, inner := range sortedByPlace(head.Panels) {
			p, _ := im.panel(inner, 0)
			current.Panels = append(current.Panels, p)
		}
	}
	im.addRow(current)
	if im.d.Rows == nil {
		im.d.Rows = []Row{}
	}
}

func (im *importer) addRow(r Row) {
	if len(r.Panels) > 0 || r.Title != "" {
		im.d.Rows = append(im.d.Rows, r)
	}
}

// known is the name of a variable to repeat by, if there is one of that name.
func (im *importer) known(panel, name string) string {
	name = strings.TrimPrefix(name, "$")
	if name == "" || slices.ContainsFunc(im.d.Variables, func(v Variable) bool { return v.Name == name }) {
		return name
	}
	im.note(panel, "It is repeated by %q, which is no variable that was taken over; it is shown once.", name)
	return ""
}

// sortedByPlace orders panels as one reads: by line, then by column.
func sortedByPlace(panels []json.RawMessage) []json.RawMessage {
	type place struct {
		GridPos struct{ X, Y float64 } `json:"gridPos"`
	}
	out := slices.Clone(panels)
	at := func(raw json.RawMessage) (p place) { _ = json.Unmarshal(raw, &p); return p }
	slices.SortStableFunc(out, func(a, b json.RawMessage) int {
		pa, pb := at(a), at(b)
		return cmp.Or(cmp.Compare(pa.GridPos.Y, pb.GridPos.Y), cmp.Compare(pa.GridPos.X, pb.GridPos.X))
	})
	return out
}

// lineHeight is the height of an old row ("250px" or 250) in our lines.
func lineHeight(raw json.RawMessage) int {
	n, err := strconv.Atoi(strings.TrimSuffix(strings.Trim(string(raw), `"`), "px"))
	if err != nil || n <= 0 {
		return 0
	}
	return min(max(n/30, 3), 40)
}

// tidy keeps to our limits; what goes over is said.
func (im *importer) tidy() {
	if n := len(im.d.Rows); n > maxRows {
		im.note("", "It has %d rows; the last %d are left out.", n, n-maxRows)
		im.d.Rows = im.d.Rows[:maxRows]
	}
	total := 0
	for i := range im.d.Rows {
		r := &im.d.Rows[i]
		if left := maxPanels - total; len(r.Panels) > left {
			for _, p := range r.Panels[left:] {
				im.note(p.Title, "It is left out: a dashboard has %d panels at most.", maxPanels)
			}
			r.Panels = r.Panels[:left]
		}
		total += len(r.Panels)
	}
	if n := len(im.d.Variables); n > maxVariables {
		im.note("", "It has %d variables; the last %d are left out.", n, n-maxVariables)
		im.d.Variables = im.d.Variables[:maxVariables]
	}
}

// grafanaVariable is an entry of templating.
type grafanaVariable struct {
	Name       string          `json:"name"`
	Label      string          `json:"label"`
	Type       string          `json:"type"`
	Query      json.RawMessage `json:"query"` // text, or {"query": …}
	Definition string          `json:"definition"`
	Regex      string          `json:"regex"`
	Multi      bool            `json:"multi"`
	IncludeAll bool            `json:"includeAll"`
	AllValue   string          `json:"allValue"`
	Hide       json.RawMessage `json:"hide"`
	Options    []struct {
		Value json.RawMessage `json:"value"`
	} `json:"options"`
	Current struct {
		Value json.RawMessage `json:"value"`
	} `json:"current"`
}

var variableFields = words(`name label type query definition regex multi includeAll allValue hide options current
	datasource refresh sort skipUrlSync tagsQuery tagValuesQuery useTags tags error description auto auto_count auto_min allFormat multiFormat
	regexApplyTo allowCustomValue refresh_on_load allowCustom queryValue`)

func (im *importer) variable(raw json.RawMessage) {
	var g grafanaVariable
	if err := im.lenient("", json.Unmarshal(raw, &g)); err != nil {
		im.note("", "A variable cannot be read and is left out.")
		return
	}
	v := Variable{Name: g.Name, Label: clip(g.Label, maxTitle-1), Multi: g.Multi, All: g.IncludeAll, AllValue: g.AllValue, Hidden: strings.Trim(string(g.Hide), `"`) == "2"}
	query := g.queryText()
	switch g.Type {
	case "datasource":
		im.note("", "The variable %q chooses a data source; here there is one for the whole workspace, so it is not needed.", g.Name)
		return
	case "query":
		v.Kind, v.Query = VarQuery, cmp.Or(query, g.Definition)
		if _, err := parseVarQuery(v.Query); err != nil {
			im.note("", "The variable %q asks %q, which is not understood; it is a text field here.", g.Name, clip(v.Query, 100))
			v.Kind, v.Query = VarText, ""
		}
	case "custom":
		v.Kind, v.Options = VarList, im.customOptions(g.Name, query)
	case "interval":
		v.Kind, v.Options = VarInterval, im.intervals(g.Name, query)
	case "textbox":
		v.Kind, v.Default = VarText, oneOrNone(query)
	case "constant":
		v.Kind, v.Default, v.Hidden = VarConstant, []string{query}, true
	default:
		im.note("", "The variable %q is of the kind %q, which does not exist here; it is left out.", g.Name, g.Type)
		return
	}
	im.variableRest(g, &v)
	im.unknown("", raw, variableFields, fmt.Sprintf("Of the variable %q, these fields are not understood", g.Name))
}

func (im *importer) variableRest(g grafanaVariable, v *Variable) {
	if g.Regex != "" {
		re, ok := grafanaRegex(g.Regex)
		if !ok {
			im.note("", "The regular expression of the variable %q is not understood (%s).", g.Name, clip(g.Regex, 100))
			re = ""
		}
		v.Regex = re
	}
	if _, ok := grafanaRegex(v.AllValue); !ok {
		im.note("", "What All stands for in the variable %q is not understood (%s).", g.Name, clip(v.AllValue, 100))
		v.AllValue = ""
	}
	// What somebody had chosen from data elsewhere means nothing here; what the author wrote down does.
	current := texts(g.Current.Value)
	switch {
	case slices.Contains(current, allValue) && v.All:
		v.Default = []string{allValue}
	case v.Kind == VarList:
		v.Default = slices.DeleteFunc(current, func(s string) bool { return !slices.Contains(v.Options, s) })
	case v.Kind == VarInterval:
		v.Default = slices.DeleteFunc(current, func(s string) bool { return !slices.Contains(v.Options, s) })
	case v.Kind == VarText && len(current) == 1 && g.Type == "textbox":
		v.Default = current
	}
	if !varName.MatchString(v.Name) || strings.HasPrefix(v.Name, "__") || slices.ContainsFunc(im.d.Variables, func(o Variable) bool { return o.Name == v.Name }) {
		im.note("", "The variable %q has a name that cannot be used here; it is left out.", v.Name)
		return
	}
	if (v.Kind == VarList || v.Kind == VarInterval) && len(v.Options) == 0 {
		im.note("", "The variable %q has no choices; it is a text field here.", v.Name)
		v.Kind = VarText
	}
	im.d.Variables = append(im.d.Variables, *v)
}

// queryText is the query of a variable in any of its shapes.
func (g grafanaVariable) queryText() string {
	var s string
	if json.Unmarshal(g.Query, &s) == nil {
		return s
	}
	var object struct {
		Query string `json:"query"`
	}
	_ = json.Unmarshal(g.Query, &object)
	return object.Query
}

// customOptions reads "a,b" and "label : a, other : b".
func (im *importer) customOptions(name, query string) (out []string) {
	for _, o := range strings.Split(strings.ReplaceAll(query, `\,`, "\x00"), ",") {
		o = strings.TrimSpace(strings.ReplaceAll(o, "\x00", ","))
		if label, value, ok := strings.Cut(o, " : "); ok {
			im.note("", "The choices of the variable %q have labels of their own (%s); the values are shown.", name, clip(strings.TrimSpace(label), 60))
			o = strings.TrimSpace(value)
		}
		if o != "" && len(out) < maxOptions {
			out = append(out, o)
		}
	}
	return out
}

func (im *importer) intervals(name, query string) (out []string) {
	for _, o := range strings.Split(query, ",") {
		o = strings.TrimSpace(o)
		if _, err := model.ParseDuration(o); err != nil {
			if o != "" && o != "auto" {
				im.note("", "The choice %q of the variable %q is no duration; it is left out.", clip(o, 60), name)
			}
			continue
		}
		out = append(out, o)
	}
	return out
}

func oneOrNone(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}

// texts reads "a", 1 or ["a", "b"].
func texts(raw json.RawMessage) []string {
	var list []any
	if json.Unmarshal(raw, &list) != nil {
		var one any
		if json.Unmarshal(raw, &one) != nil || one == nil {
			return nil
		}
		list = []any{one}
	}
	var out []string
	for _, v := range list {
		switch x := v.(type) {
		case string:
			out = append(out, x)
		case float64:
			out = append(out, strconv.FormatFloat(x, 'f', -1, 64))
		}
	}
	return out
}

// annotation turns a query for annotations into marks.
func (im *importer) annotation(raw json.RawMessage) {
	var g struct {
		BuiltIn  json.RawMessage `json:"builtIn"`
		Name     string          `json:"name"`
		Expr     string          `json:"expr"`
		Title    string          `json:"titleFormat"`
		Text     string          `json:"textFormat"`
		Step     string          `json:"step"`
		UseValue json.RawMessage `json:"useValueForTime"`
		Target   struct {
			Expr string `json:"expr"`
		} `json:"target"`
	}
	if err := im.lenient("", json.Unmarshal(raw, &g)); err != nil {
		im.note("", "An annotation cannot be read and is left out.")
		return
	}
	if strings.Trim(string(g.BuiltIn), `"`) == "1" {
		return // Grafana's own notes; ours are always there
	}
	expr := cmp.Or(g.Expr, g.Target.Expr)
	if expr == "" || len(im.d.Marks) == maxMarks {
		im.note("", "The annotation %q is not taken over: it is no Prometheus query.", g.Name)
		return
	}
	k := Mark{Name: clip(cmp.Or(g.Name, "Marks"), maxTag-1), Expr: expr, Text: clip(cmp.Or(g.Title, g.Text), maxNote-1)}
	useValue := strings.Trim(string(g.UseValue), `"`)
	k.ByValue = useValue == "true" || useValue == "on"
	if _, err := model.ParseDuration(g.Step); err == nil {
		k.Step = g.Step
	}
	im.d.Marks = append(im.d.Marks, k)
}
