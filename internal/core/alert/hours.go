package alert

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/alertmanager/timeinterval"

	"github.com/kept-dev/kept/internal/kernel"
)

// interval is the hours as Alertmanager's time intervals. A span over midnight is two of them, so the second half belongs
// to the day after.
func (h Hours) interval() ([]timeinterval.TimeInterval, error) {
	zone, err := time.LoadLocation(h.Zone)
	if err != nil || h.Zone == "" {
		return nil, kernel.InvalidField("zone", "Name a time zone such as Europe/Berlin or UTC.")
	}
	from, err := minutes(h.From)
	if err != nil {
		return nil, kernel.InvalidField("from", "Write a time such as 09:00.")
	}
	to, err := minutes(h.To)
	if err != nil || to == from {
		return nil, kernel.InvalidField("to", "Write another time, such as 18:00 or 24:00.")
	}
	for _, d := range h.Days {
		if d < 0 || d > 6 {
			return nil, kernel.InvalidField("days", "Choose days of the week.")
		}
	}
	one := func(days []int, from, to int) timeinterval.TimeInterval {
		out := timeinterval.TimeInterval{Times: []timeinterval.TimeRange{{StartMinute: from, EndMinute: to}}, Location: &timeinterval.Location{Location: zone}}
		for _, d := range days {
			out.Weekdays = append(out.Weekdays, timeinterval.WeekdayRange{InclusiveRange: timeinterval.InclusiveRange{Begin: d, End: d}})
		}
		return out
	}
	if from < to {
		return []timeinterval.TimeInterval{one(h.Days, from, to)}, nil
	}
	var after []int
	for _, d := range h.Days {
		after = append(after, (d+1)%7)
	}
	slices.Sort(after)
	out := []timeinterval.TimeInterval{one(h.Days, from, 1440)}
	if to > 0 {
		out = append(out, one(after, 0, to))
	}
	return out, nil
}

// minutes reads a time of day; 24:00 is its end.
func minutes(s string) (int, error) {
	if s == "24:00" {
		return 1440, nil
	}
	hour, minute, ok := strings.Cut(s, ":")
	h, errH := strconv.Atoi(hour)
	m, errM := strconv.Atoi(minute)
	if !ok || errH != nil || errM != nil || h < 0 || h > 23 || m < 0 || m > 59 {
		return 0, kernel.Errorf(kernel.Invalid, "no time of day")
	}
	return h*60 + m, nil
}
