package ui

import (
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// TimeRange is the time that a page looks at. It lives in the address: from
// and to are "now-6h" and "now", or moments; refresh is "30s" or empty. Draw
// its picker with {{template "ui.range" .}}.
type TimeRange struct {
	From, To time.Time
	Refresh  time.Duration // 0: never
	Target   string        // id of the element that a refresh fetches anew; empty: only charts and panels with a source

	url      *url.URL
	from, to string // as in the address
	Problem  string // what in the address could not be read; then the default holds
}

// presets are the choices of the picker.
var presets = []struct{ from, label string }{
	{"now-5m", "Last 5 minutes"}, {"now-15m", "Last 15 minutes"}, {"now-30m", "Last 30 minutes"}, {"now-1h", "Last hour"}, {"now-3h", "Last 3 hours"}, {"now-6h", "Last 6 hours"},
	{"now-12h", "Last 12 hours"}, {"now-24h", "Last 24 hours"}, {"now-2d", "Last 2 days"}, {"now-7d", "Last 7 days"}, {"now-30d", "Last 30 days"}, {"now-90d", "Last 90 days"},
}

// refreshes are the choices of the interval.
var refreshes = []string{"5s", "10s", "30s", "1m", "5m", "15m"}

// maxRange is the longest time that one page looks at.
const maxRange = 5 * 366 * 24 * time.Hour

// ReadTimeRange reads the parameters from, to and refresh. What cannot be
// read is said in Problem and replaced by the default, so that a page with a
// mistyped address still shows something.
func ReadTimeRange(u *url.URL, now time.Time, def time.Duration) TimeRange {
	q := u.Query()
	r := TimeRange{url: u, from: q.Get("from"), to: q.Get("to")}
	if r.to == "" {
		r.to = "now"
	}
	if r.from == "" {
		r.from = "now-" + shortSpan(def)
	}
	var err1, err2 error
	r.From, err1 = readMoment(r.from, now)
	r.To, err2 = readMoment(r.to, now)
	switch {
	case err1 != nil || err2 != nil:
		r.Problem = "The time in the address cannot be read. Write it like now-6h or 2026-01-31T15:04Z."
	case !r.From.Before(r.To):
		r.Problem = "The time in the address ends before it begins."
	case r.To.Sub(r.From) > maxRange:
		r.Problem = "The time in the address is longer than five years."
	}
	if r.Problem != "" {
		r.from, r.to = "now-"+shortSpan(def), "now"
		r.From, r.To = now.Add(-def), now
	}
	if every, err := readSpan(q.Get("refresh")); err == nil && every > 0 {
		r.Refresh = max(every, 5*time.Second)
	}
	return r
}

// readMoment reads "now", "now-6h", a time, or seconds or milliseconds since
// 1970.
func readMoment(s string, now time.Time) (time.Time, error) {
	if rest, ok := strings.CutPrefix(s, "now"); ok {
		if rest == "" {
			return now, nil
		}
		d, err := readSpan(rest[1:])
		if err != nil || rest[0] != '-' && rest[0] != '+' {
			return time.Time{}, fmt.Errorf("%q is no moment", s)
		}
		if rest[0] == '-' {
			d = -d
		}
		return now.Add(d), nil
	}
	if n, err := strconv.ParseFloat(s, 64); err == nil && n > 0 && n < 1e14 {
		if n > 1e11 {
			n /= 1000
		}
		return time.UnixMilli(int64(math.Round(n * 1000))).UTC(), nil
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05", "2006-01-02T15:04", time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no moment", s)
}

var spanUnits = map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour, 'w': 7 * 24 * time.Hour, 'y': 365 * 24 * time.Hour}

// readSpan reads "30s", "6h", "7d".
func readSpan(s string) (time.Duration, error) {
	if s == "" {
		return 0, fmt.Errorf("no span")
	}
	unit, n := spanUnits[s[len(s)-1]], 0
	n, err := strconv.Atoi(s[:len(s)-1])
	if err != nil || unit == 0 || n < 0 || n > 100_000 || time.Duration(n) > 20*maxRange/unit {
		return 0, fmt.Errorf("%q is no span", s)
	}
	return time.Duration(n) * unit, nil
}

// shortSpan writes a whole number of the largest unit that fits.
func shortSpan(d time.Duration) string {
	for _, unit := range []byte("dhms") {
		if u := spanUnits[unit]; d >= u && d%u == 0 {
			return strconv.FormatInt(int64(d/u), 10) + string(unit)
		}
	}
	return strconv.FormatInt(int64(d/time.Second), 10) + "s"
}

// Span is the length.
func (r TimeRange) Span() time.Duration { return r.To.Sub(r.From) }

// Step is a round distance of moments, so that there are at most points of
// them, and not less than least.
func (r TimeRange) Step(points int, least time.Duration) time.Duration {
	want := max(r.Span()/time.Duration(max(points, 1)), least)
	for _, s := range []time.Duration{1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 10800, 21600, 43200, 86400} {
		if step := s * time.Second; step >= want && step >= least {
			return step
		}
	}
	return want.Round(24*time.Hour) + 24*time.Hour
}

// Relative tells whether the range moves with the clock.
func (r TimeRange) Relative() bool { return strings.HasPrefix(r.to, "now") }

// Seconds is Refresh for the element; a range that does not move is not
// refreshed.
func (r TimeRange) Seconds() float64 {
	if !r.Relative() {
		return 0
	}
	return r.Refresh.Seconds()
}

// Label says what is looked at: the name of a preset, or "" for a span
// between two moments.
func (r TimeRange) Label() string {
	if r.to == "now" {
		for _, p := range presets {
			if p.from == r.from {
				return p.label
			}
		}
		if d, err := readSpan(strings.TrimPrefix(r.from, "now-")); err == nil && d > 0 {
			return "Last " + spanWords(d)
		}
	}
	return ""
}

func spanWords(d time.Duration) string {
	for _, u := range []struct {
		unit      time.Duration
		one, many string
	}{{24 * time.Hour, "day", "days"}, {time.Hour, "hour", "hours"}, {time.Minute, "minute", "minutes"}} {
		if d >= u.unit && d%u.unit == 0 {
			text, _ := Plural(int64(d/u.unit), u.one, u.many)
			return text
		}
	}
	text, _ := Plural(int64(d/time.Second), "second", "seconds")
	return text
}

// RangeChoice is a link of the picker.
type RangeChoice struct {
	Label, Href string
	Current     bool
}

// Choices are the presets as links.
func (r TimeRange) Choices() []RangeChoice {
	out := make([]RangeChoice, len(presets))
	for i, p := range presets {
		out[i] = RangeChoice{Label: p.label, Href: r.href(p.from, "now"), Current: r.from == p.from && r.to == "now"}
	}
	return out
}

// Refreshes are the choices of the interval.
func (r TimeRange) Refreshes() []Option {
	out := make([]Option, len(refreshes))
	for i, s := range refreshes {
		out[i] = Option{Value: s, Label: "every " + s}
	}
	return out
}

// Every is the interval as in the address.
func (r TimeRange) Every() string {
	if r.Refresh == 0 {
		return ""
	}
	return shortSpan(r.Refresh)
}

// Earlier, Later and Wider are the addresses beside this range.
func (r TimeRange) Earlier() string { return r.shifted(-r.Span()/2, -r.Span()/2) }

// Later is half the span onwards.
func (r TimeRange) Later() string { return r.shifted(r.Span()/2, r.Span()/2) }

// Wider has the same middle and is twice as long.
func (r TimeRange) Wider() string { return r.shifted(-r.Span()/2, r.Span()/2) }

func (r TimeRange) shifted(from, to time.Duration) string {
	return r.href(Moment(r.From.Add(from)), Moment(r.To.Add(to)))
}

// Moment writes a moment for the parameters from and to.
func Moment(t time.Time) string { return t.UTC().Truncate(time.Second).Format(time.RFC3339) }

func (r TimeRange) href(from, to string) string {
	q := r.url.Query()
	q.Set("from", from)
	q.Set("to", to)
	return pathQuery(r.url.Path, q)
}

// Action is where the form of the picker leads.
func (r TimeRange) Action() string { return r.url.Path }

// Keep are the other parameters of the page, for the form of the picker.
func (r TimeRange) Keep() []Param {
	var out []Param
	q := r.url.Query()
	for _, name := range sortedKeys(q) {
		if name == "from" || name == "to" || name == "refresh" {
			continue
		}
		for _, v := range q[name] {
			out = append(out, Param{name, v})
		}
	}
	return out
}

func sortedKeys(q url.Values) []string {
	names := make([]string, 0, len(q))
	for name := range q {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Query is from, to and refresh as parameters, for links to other pages.
func (r TimeRange) Query() url.Values {
	q := url.Values{"from": {r.from}, "to": {r.to}}
	if r.Refresh > 0 {
		q.Set("refresh", r.Every())
	}
	return q
}

// FromField and ToField are the moments for fields of a form.
func (r TimeRange) FromField() string { return r.From.UTC().Format("2006-01-02T15:04:05") }

// ToField is To for a field of a form.
func (r TimeRange) ToField() string { return r.To.UTC().Format("2006-01-02T15:04:05") }
