package dashboard

// Format is the version of the dashboard format that this package reads and writes.
const Format = 1

// Dashboard is a page of panels, as it is stored, exported, kept in files and brought by apps. It is JSON:
//
//	{
//	  "version": 1,
//	  "title": "Hosts",
//	  "tags": ["host"],
//	  "range": "6h",
//	  "variables": [{"name": "instance", "kind": "query", "query": "label_values(node_uname_info, instance)", "multi": true, "all": true}],
//	  "rows": [{"title": "CPU", "panels": [{
//	    "id": "cpu", "title": "CPU", "kind": "timeseries", "width": 12, "height": 8, "unit": "ratio", "max": 1,
//	    "thresholds": [{"tone": "good"}, {"at": 0.9, "tone": "bad"}],
//	    "targets": [{"expr": "1 - avg by (instance) (rate(node_cpu_seconds_total{mode=\"idle\",instance=~\"$instance\"}[$__rate_interval]))", "legend": "{{instance}}"}]
//	  }]}]
//	}
//
// A field that is not listed here is an error, so that a misspelt one is not ignored. docs/dashboards.md is the manual.
type Dashboard struct {
	Version     int        `json:"version"`               // Format
	Title       string     `json:"title"`                 // 1–200 characters
	Description string     `json:"description,omitempty"` // one or two sentences under the title
	Tags        []string   `json:"tags,omitempty"`        // to find it by
	Range       string     `json:"range,omitempty"`       // what is shown when the address names no time: "1h" (default), "24h", "7d"
	Refresh     string     `json:"refresh,omitempty"`     // how often the page looks again: "30s"; empty is never
	Variables   []Variable `json:"variables,omitempty"`
	Marks       []Mark     `json:"marks,omitempty"` // moments that all charts show, found by queries
	Rows        []Row      `json:"rows"`
}

// Mark is a query for moments: each time that a series of it appears with a value other than 0 is marked on all charts,
// until it goes away.
type Mark struct {
	Name    string `json:"name"`               // what they are called: "Deploys"; with it they can be hidden
	Expr    string `json:"expr"`               // PromQL; may use variables
	Text    string `json:"text,omitempty"`     // of one of them: "{{version}} on {{instance}}"; default: the name
	Step    string `json:"step,omitempty"`     // the shortest distance of points
	ByValue bool   `json:"by_value,omitempty"` // the value is the moment, in milliseconds since 1970
}

// Variable is a value that the viewer chooses and that queries, titles and links use as $name or ${name}. It stands in the
// address as var-name=value, once per chosen value.
//
// In a quoted string of a query behind =~ or !~, values are escaped and joined with "|"; behind = and != exactly one value
// may be chosen. Outside of strings only a value that is a name, a number or a duration is accepted. So a value can never
// change what a query asks.
type Variable struct {
	Name  string `json:"name"`            // letters, digits, _
	Label string `json:"label,omitempty"` // for people; default: the name
	// Kind is "query" (choices are found by Query), "list" (choices are Options), "text" (anything), "interval" (Options are
	// durations) or "constant" (Default, which the viewer cannot change).
	Kind string `json:"kind"`
	// Query of a query variable: label_values(label), label_values(selector, label), metrics(regex), label_names() or
	// query_result(expression). It may use the variables above it.
	Query string `json:"query,omitempty"`
	// Regex keeps the choices that match it; its first group, if any, becomes the value.
	Regex    string   `json:"regex,omitempty"`
	Options  []string `json:"options,omitempty"`
	Default  []string `json:"default,omitempty"`   // chosen when the address names none; empty: All where there is All, else the first
	Multi    bool     `json:"multi,omitempty"`     // several may be chosen
	All      bool     `json:"all,omitempty"`       // "All" may be chosen
	AllValue string   `json:"all_value,omitempty"` // the regular expression that All stands for; default: all choices
	Hidden   bool     `json:"hidden,omitempty"`    // not shown above the panels
}

// The kinds of variables.
const (
	VarQuery    = "query"
	VarList     = "list"
	VarText     = "text"
	VarInterval = "interval"
	VarConstant = "constant"
)

// Row is a group of panels under a heading that can be folded.
type Row struct {
	Title     string  `json:"title,omitempty"`
	Collapsed bool    `json:"collapsed,omitempty"` // folded when the page opens; its panels are not asked for until then
	Repeat    string  `json:"repeat,omitempty"`    // name of a variable: the row is drawn once per chosen value
	Panels    []Panel `json:"panels"`
}

// Panel is one drawing, table or text. Panels flow from left to right in the order of the row; a line is 24 columns wide.
type Panel struct {
	ID          string `json:"id"` // unique in the dashboard: letters, digits, - and _; part of addresses
	Title       string `json:"title,omitempty"`
	Description string `json:"description,omitempty"` // what it shows, and what to do when it looks bad
	Link        string `json:"link,omitempty"`        // where the title leads: a path of ours or an http(s) address; may use variables
	Kind        string `json:"kind"`                  // "timeseries", "stat", "bar", "heatmap", "table", "text"
	Width       int    `json:"width,omitempty"`       // columns, 1–24; default 12
	Height      int    `json:"height,omitempty"`      // lines of 30 pixels, 2–40; default 8
	Repeat      string `json:"repeat,omitempty"`      // name of a variable: the panel is drawn once per chosen value

	Targets []Target `json:"targets,omitempty"`

	Unit     string   `json:"unit,omitempty"`     // one of ui.Units: "bytes", "ratio", "s"; any other text stands beside the title
	Decimals *int     `json:"decimals,omitempty"` // at most so many, 0–10; default: three significant digits
	Min      *float64 `json:"min,omitempty"`      // of the axis
	Max      *float64 `json:"max,omitempty"`
	// Thresholds give values a tone: that of the last threshold that is not above the value. "warn" and "bad" mean that
	// something is wrong: the page lists such panels first.
	Thresholds []Threshold `json:"thresholds,omitempty"`
	Bands      bool        `json:"bands,omitempty"`     // thresholds fill their part of a time series, instead of being lines
	Mappings   []Mapping   `json:"mappings,omitempty"`  // texts in place of values; the first that is met counts
	Log        bool        `json:"log,omitempty"`       // the axis of a time series is logarithmic
	OmitZero   bool        `json:"omit_zero,omitempty"` // series that are nothing but zero are left out, where others are not
	Overrides  []Override  `json:"overrides,omitempty"`

	Draw   string `json:"draw,omitempty"`   // of a time series: "lines" (default), "area", "bars", "points"
	Stack  bool   `json:"stack,omitempty"`  // of a time series
	Reduce string `json:"reduce,omitempty"` // of stat, bar and table: "last" (default), "mean", "min", "max", "sum": one number of a series

	Text   string `json:"text,omitempty"`   // of a text panel
	Format string `json:"format,omitempty"` // of a text panel: "markdown" (default; a safe part of it), "plain"
}

// The kinds of panels.
const (
	KindTimeSeries = "timeseries"
	KindStat       = "stat"
	KindBar        = "bar"
	KindHeatMap    = "heatmap"
	KindTable      = "table"
	KindText       = "text"
)

// Target is one query of a panel.
type Target struct {
	Expr   string `json:"expr"`             // PromQL; may use variables, $__interval, $__rate_interval, $__range
	Legend string `json:"legend,omitempty"` // "{{instance}} {{mode}}"; default: the labels that tell the series apart
	Step   string `json:"step,omitempty"`   // the shortest distance of points: "1m"
	Hidden bool   `json:"hidden,omitempty"` // kept, but not asked for
	Look          // of its series, where it is not that of the panel
}

// Look is how some series are shown, where it is not as the panel says. What is empty is as the panel says.
type Look struct {
	Unit       string      `json:"unit,omitempty"`  // another unit than the panel's has an axis of its own
	Axis       string      `json:"axis,omitempty"`  // "left", "right": side of the axis; series of one unit and side share it
	Label      string      `json:"label,omitempty"` // name in the legend, in place of the one that it has: "{{instance}} free"
	Color      string      `json:"color,omitempty"` // one of ui.Colors: "blue"; default: one that the name chooses
	Draw       string      `json:"draw,omitempty"`  // as of a panel
	Dash       bool        `json:"dash,omitempty"`  // a broken line
	Below      bool        `json:"below,omitempty"` // of a time series: drawn downwards from zero, such as what is sent beside what is received
	Stack      *bool       `json:"stack,omitempty"` // part of the panel's stack, or not
	Hide       bool        `json:"hide,omitempty"`  // asked for, but not shown; of a table's label: a column less
	Decimals   *int        `json:"decimals,omitempty"`
	Min        *float64    `json:"min,omitempty"` // of its axis
	Max        *float64    `json:"max,omitempty"`
	Thresholds []Threshold `json:"thresholds,omitempty"` // in place of the panel's
	Mappings   []Mapping   `json:"mappings,omitempty"`   // in place of the panel's
}

// Override is the look of series that are chosen by name; of a table, of columns: by the name of the label, or by the heading
// of the values. Of several that say the same of one series the last counts, and all count before what the query says.
type Override struct {
	Name  string `json:"name,omitempty"`  // of the series in the legend
	Match string `json:"match,omitempty"` // a regular expression that the name meets somewhere
	Not   bool   `json:"not,omitempty"`   // all others instead
	Look
}

// Mapping is a text in place of values. Exactly one of Value, From or To, Match and None says which.
type Mapping struct {
	Value *float64 `json:"value,omitempty"` // this one
	From  *float64 `json:"from,omitempty"`  // from this one on
	To    *float64 `json:"to,omitempty"`    // up to this one
	Match string   `json:"match,omitempty"` // those whose digits meet a regular expression: "^5..$"
	None  bool     `json:"none,omitempty"`  // where there is no value
	Text  string   `json:"text,omitempty"`  // empty: the value stays, with the tone
	Tone  string   `json:"tone,omitempty"`  // as of a threshold
}

// Threshold is where a tone begins.
type Threshold struct {
	At   *float64 `json:"at,omitempty"` // absent: from the lowest value on; only the first may be so
	Tone string   `json:"tone"`         // "good", "warn", "bad", "active", "neutral"
}
