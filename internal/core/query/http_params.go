package query

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/common/model"
)

// The ends of time in the API, as Prometheus has them.
var (
	minTime = time.Unix(math.MinInt64/1000+62135596801, 0).UTC()
	maxTime = time.Unix(math.MaxInt64/1000-62135596801, 999999999).UTC()
)

func bad(name string, err error) error {
	if err == nil {
		return nil
	}
	return &badParameter{name, err}
}

// timeParam reads a time that may be left out.
func timeParam(r *http.Request, name string, otherwise time.Time) (time.Time, error) {
	s := r.FormValue(name)
	if s == "" {
		return otherwise, nil
	}
	t, err := parseTime(s)
	if err != nil {
		return t, bad(name, fmt.Errorf("invalid time value for '%s': %w", name, err))
	}
	return t, nil
}

// parseTime reads seconds since 1970, or RFC 3339.
func parseTime(s string) (time.Time, error) {
	if t, err := strconv.ParseFloat(s, 64); err == nil && !math.IsNaN(t) {
		whole, part := math.Modf(t)
		part = math.Round(part*1000) / 1000
		return time.Unix(int64(whole), int64(part*float64(time.Second))).UTC(), nil
	}
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return t, nil
	}
	switch s { // years beyond 9999 are not RFC 3339, but clients send these back
	case minTime.Format(time.RFC3339Nano):
		return minTime, nil
	case maxTime.Format(time.RFC3339Nano):
		return maxTime, nil
	}
	return time.Time{}, fmt.Errorf("cannot parse %q to a valid timestamp", s)
}

// parseDuration reads seconds, or "1h30m".
func parseDuration(s string) (time.Duration, error) {
	if d, err := strconv.ParseFloat(s, 64); err == nil {
		ns := d * float64(time.Second)
		if math.IsNaN(ns) || ns >= float64(math.MaxInt64) || ns < float64(math.MinInt64) {
			return 0, fmt.Errorf("cannot parse %q to a valid duration. It overflows int64", s)
		}
		return time.Duration(ns), nil
	}
	if d, err := model.ParseDuration(s); err == nil {
		return time.Duration(d), nil
	}
	return 0, fmt.Errorf("cannot parse %q to a valid duration", s)
}

func limitParam(r *http.Request) (int, error) {
	s := r.FormValue("limit")
	if s == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(s)
	if err == nil && n < 0 {
		err = errors.New("limit must be non-negative")
	}
	return n, bad("limit", err)
}

// question reads what instant and range queries have in common.
func question(r *http.Request) (q Question, limit int, err error) {
	if limit, err = limitParam(r); err != nil {
		return q, 0, err
	}
	q.Expr = r.FormValue("query")
	if s := r.FormValue("timeout"); s != "" {
		if q.Timeout, err = parseDuration(s); err == nil && q.Timeout <= 0 {
			err = fmt.Errorf("timeout must be positive, got %s", q.Timeout)
		}
		if err != nil {
			return q, 0, bad("timeout", err)
		}
	}
	if s := r.FormValue("lookback_delta"); s != "" {
		if q.Lookback, err = parseDuration(s); err != nil {
			return q, 0, bad("", fmt.Errorf("error parsing lookback delta duration: %w", err))
		}
	}
	q.Stats = r.FormValue("stats") != ""
	q.PerStep = r.FormValue("stats") == "all"
	switch r.Header.Get("Cache-Control") {
	case "no-store", "no-cache":
		q.Fresh = true
	}
	return q, limit, nil
}

// spanParams reads the span of a range query, in the order in which Prometheus complains.
func spanParams(r *http.Request) (s Span, err error) {
	if s.From, err = parseTime(r.FormValue("start")); err != nil {
		return s, bad("start", err)
	}
	if s.To, err = parseTime(r.FormValue("end")); err != nil {
		return s, bad("end", err)
	}
	if s.To.Before(s.From) {
		return s, bad("end", errors.New("end timestamp must not be before start time"))
	}
	if s.Step, err = parseDuration(r.FormValue("step")); err != nil {
		return s, bad("step", err)
	}
	if s.Step <= 0 {
		return s, bad("step", errors.New("zero or negative query resolution step widths are not accepted. Try a positive integer"))
	}
	return s, nil
}

// findingParams reads what lists of names, values and series have in common.
func (m *Module) findingParams(r *http.Request, matchName string) (f finding, err error) {
	if f.limit, err = limitParam(r); err != nil {
		return f, err
	}
	from, err := timeParam(r, "start", minTime)
	if err != nil {
		return f, err
	}
	to, err := timeParam(r, "end", maxTime)
	if err != nil {
		return f, err
	}
	f.mint, f.maxt = from.UnixMilli(), to.UnixMilli()
	if f.selectors, err = m.ParseSelectors(r.Form["match[]"]...); err != nil {
		return f, bad(matchName, err)
	}
	return f, nil
}
