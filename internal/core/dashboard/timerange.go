package dashboard

import (
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
)

// The limits of what is shown.
const (
	defaultRange = time.Hour
	maxRange     = 3 * 366 * 24 * time.Hour
	minRefresh   = 5 * time.Second
	minStep      = time.Second
)

// span is the time that a page shows, as the address says it and as moments.
type span struct {
	From, To time.Time
	RawFrom  string // "now-1h", "2026-01-31T15:04"
	RawTo    string // "now"
	Relative bool   // it moves on with the clock
}

// Length is how long it is.
func (s span) Length() time.Duration { return s.To.Sub(s.From) }

// relativeTime is "now", "now-90m", "now-1d/d" without the rounding.
var relativeTime = regexp.MustCompile(`^now(?:-([0-9]+(?:ms|s|m|h|d|w|y)))?$`)

// readSpan reads from and to of an address. Without them it is the default length up to now.
func readSpan(q url.Values, now time.Time, length string) (span, error) {
	s := span{RawFrom: q.Get("from"), RawTo: q.Get("to")}
	if s.RawTo == "" {
		s.RawTo = "now"
	}
	if s.RawFrom == "" {
		if length == "" {
			length = model.Duration(defaultRange).String()
		}
		s.RawFrom = "now-" + length
	}
	var relFrom, relTo bool
	var err error
	if s.From, relFrom, err = readMoment(s.RawFrom, now); err != nil {
		return s, err
	}
	if s.To, relTo, err = readMoment(s.RawTo, now); err != nil {
		return s, err
	}
	s.Relative = relFrom && relTo
	switch length := s.Length(); {
	case length <= 0:
		return s, kernel.Errorf(kernel.Malformed, "The end of the time is not after its beginning.")
	case length > maxRange:
		return s, kernel.Errorf(kernel.Malformed, "At most three years are shown at once.")
	}
	return s, nil
}

// readMoment reads "now-1h", a time as forms send it, or milliseconds since 1970, as other dashboards write them.
func readMoment(text string, now time.Time) (at time.Time, relative bool, err error) {
	if m := relativeTime.FindStringSubmatch(text); m != nil {
		if m[1] == "" {
			return now, true, nil
		}
		d, err := model.ParseDuration(m[1])
		if err != nil {
			return now, true, kernel.Errorf(kernel.Malformed, "A time in the address cannot be read. Write it like now-6h or 2026-01-31T15:04.")
		}
		return now.Add(-time.Duration(d)), true, nil
	}
	if ms, err := strconv.ParseInt(text, 10, 64); err == nil && len(text) >= 9 && len(text) <= 14 {
		if len(text) <= 10 {
			ms *= 1000
		}
		return time.UnixMilli(ms).UTC(), false, nil
	}
	at, err = httpx.ReadTime(text)
	if err != nil {
		return at, false, kernel.Errorf(kernel.Malformed, "A time in the address cannot be read. Write it like now-6h or 2026-01-31T15:04.")
	}
	if year := at.Year(); year < 1970 || year > 9999 {
		return at, false, kernel.Errorf(kernel.Malformed, "A time in the address is too far away.")
	}
	return at, false, nil
}

// presets are the lengths that pages offer.
var presets = []string{"15m", "1h", "6h", "24h", "7d", "30d"}

// steps are distances of points that people find round.
var steps = []time.Duration{
	time.Second, 5 * time.Second, 10 * time.Second, 15 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute,
	10 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour, 48 * time.Hour,
}

// stepFor is the shortest round step that gives at most so many points, and is not below least.
func stepFor(length time.Duration, points int, least time.Duration) time.Duration {
	want := max(length/time.Duration(max(1, points)), least, minStep)
	for _, s := range steps {
		if s >= want {
			return s
		}
	}
	const day = 24 * time.Hour
	return (want + day - 1) / day * day
}

// promDuration writes a duration as PromQL does.
func promDuration(d time.Duration) string {
	if d%time.Millisecond != 0 {
		d = d.Round(time.Millisecond)
	}
	return model.Duration(max(d, time.Millisecond)).String()
}

// plainRange is "now-6h" as "6h".
func plainRange(from string) string { return strings.TrimPrefix(from, "now-") }
