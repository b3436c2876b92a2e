package jobs

import (
	"html/template"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kept-dev/kept/internal/apps/jobs/fold"
	"github.com/kept-dev/kept/internal/apps/jobs/index"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/ui"
)

// filters are what the address of the list asks for.
type filters struct {
	index.Filter
	url   *url.URL
	Time  string // a key of windows, "custom", or empty
	Chips []chip
	Bad   map[string]string // parameter to what is wrong with it
}

// chip is a filter that is in force, with the address that is without it.
type chip struct {
	Label string
	Value any // text, or HTML made by package ui
	Href  string
}

// window is a span of time that ends now.
type window struct {
	Key, Label string
	Long       time.Duration
}

var windows = []window{{"1h", "Last hour", time.Hour}, {"24h", "Last 24 hours", 24 * time.Hour}, {"7d", "Last 7 days", 7 * 24 * time.Hour}}

const customTime = "custom"

func findWindow(key string) (window, bool) {
	i := slices.IndexFunc(windows, func(w window) bool { return w.Key == key })
	if i < 0 {
		return window{}, false
	}
	return windows[i], true
}

// readFilters reads the address. What it cannot read it notes in Bad and leaves out.
func readFilters(u *url.URL, now time.Time) *filters {
	f := &filters{url: u, Bad: map[string]string{}}
	q := u.Query()
	f.After = q.Get("cursor")
	f.Text = strings.TrimSpace(q.Get("q"))
	f.chip("Search", f.Text, "q")
	f.readStatuses(q.Get("status"))
	f.Queue, f.Name, f.Env = q.Get("queue"), q.Get("name"), q.Get("env")
	f.chip("Queue", f.Queue, "queue")
	f.chip("Job", f.Name, "name")
	f.chip("Environment", f.Env, "env")
	f.readTimes(q, now)
	f.MinTook = f.readSpan(q.Get("over"), "over", "Took longer than")
	f.MaxTook = f.readSpan(q.Get("under"), "under", "Took less than")
	f.MinWait = f.readSpan(q.Get("waited"), "waited", "Waited longer than")
	f.Trace = q.Get("trace")
	f.chip("Trace", f.Trace, "trace")
	f.readParent(q.Get("parent"))
	return f
}

// chip notes a filter that is in force; an empty value is none.
func (f *filters) chip(label string, value any, params ...any) {
	if value == "" || value == template.HTML("") {
		return
	}
	pairs := []any{"cursor", ""}
	for _, p := range params {
		pairs = append(pairs, p, "")
	}
	href, err := ui.WithQuery(f.url, pairs...)
	if err != nil {
		return
	}
	f.Chips = append(f.Chips, chip{label, value, href})
}

func (f *filters) readStatuses(text string) {
	var names []string
	for name := range strings.SplitSeq(text, ",") {
		if s, ok := fold.ParseStatus(name); ok && !slices.Contains(f.Statuses, s) {
			f.Statuses = append(f.Statuses, s)
			names = append(names, name)
		}
	}
	f.chip("Status", strings.Join(names, " or "), "status")
}

func (f *filters) readTimes(q url.Values, now time.Time) {
	from, to := f.readTime(q.Get("from"), "from"), f.readTime(q.Get("to"), "to")
	if w, ok := findWindow(q.Get("time")); ok {
		f.Time, f.From = w.Key, kernel.Micros(now.Add(-w.Long))
		f.chip("Time", strings.ToLower(w.Label), "time", "from", "to")
		return
	}
	if q.Get("time") == customTime || q.Get("from") != "" || q.Get("to") != "" {
		f.Time = customTime
	}
	f.From, f.To = from, to
	if from != 0 {
		text, _ := ui.TimeFull(from)
		f.chip("From", text, "from")
	}
	if to != 0 {
		text, _ := ui.TimeFull(to)
		f.chip("Until", text, "to")
	}
}

// timeLayouts are how a time may stand in an address: with a zone, or as a form field without scripts sends it (UTC).
var timeLayouts = []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04", time.DateOnly}

func (f *filters) readTime(text, param string) int64 {
	if text == "" {
		return 0
	}
	for _, layout := range timeLayouts {
		if t, err := time.Parse(layout, text); err == nil && t.Year() > 1970 && t.Year() < 3000 {
			return kernel.Micros(t)
		}
	}
	f.Bad[param] = "That is no date and time."
	return 0
}

func (f *filters) readSpan(text, param, label string) int64 {
	if strings.TrimSpace(text) == "" {
		return 0
	}
	us, ok := parseSpan(text)
	if !ok {
		f.Bad[param] = "Write a time with its unit, such as 500ms, 2s or 1m30s."
		return 0
	}
	shown, _ := ui.Duration(us)
	f.chip(label, shown, param)
	return us
}

// parentParam writes a job for the parameter "parent": its queue, escaped, and behind a slash its id.
func parentParam(queue, id string) string { return url.PathEscape(queue) + "/" + id }

func (f *filters) readParent(text string) {
	escaped, id, ok := strings.Cut(text, "/")
	queue, err := url.PathUnescape(escaped)
	if !ok || err != nil || id == "" {
		return
	}
	f.Parent = index.Key(queue, id)
	f.chip("Parent", queue+" "+id, "parent")
}

// status is the one status that is asked for; empty when it is none or several.
func (f *filters) status() string {
	if len(f.Statuses) != 1 {
		return ""
	}
	return f.Statuses[0].String()
}

// clear is the address without any filter.
func (f *filters) clear() string { return (&url.URL{Path: f.url.Path}).String() }

// spanUnits in microseconds, as people write them.
var spanUnits = map[string]float64{"us": 1, "µs": 1, "μs": 1, "ms": 1e3, "s": 1e6, "sec": 1e6, "m": 60e6, "min": 60e6, "h": 3600e6, "d": 86400e6}

// maxSpan is the longest span one can ask for, microseconds: a year.
const maxSpan = 366 * 86400e6

// parseSpan reads what people write for a span of time, such as "500ms", "1.5 s", "2 min 30 s", as microseconds. A number
// without a unit is no span: it would be read as seconds by one and as milliseconds by the next.
func parseSpan(text string) (us int64, ok bool) {
	rest := strings.ReplaceAll(strings.ToLower(strings.ReplaceAll(text, " ", "")), ",", ".")
	total := 0.0
	for rest != "" {
		n := strings.IndexFunc(rest, func(r rune) bool { return (r < '0' || r > '9') && r != '.' })
		if n <= 0 {
			return 0, false
		}
		value, err := strconv.ParseFloat(rest[:n], 64)
		if err != nil {
			return 0, false
		}
		rest = rest[n:]
		end := strings.IndexFunc(rest, func(r rune) bool { return r >= '0' && r <= '9' || r == '.' })
		if end < 0 {
			end = len(rest)
		}
		unit, known := spanUnits[rest[:end]]
		if !known {
			return 0, false
		}
		total += value * unit
		rest = rest[end:]
	}
	if total < 1 || total > maxSpan {
		return 0, false
	}
	return int64(total), true
}
