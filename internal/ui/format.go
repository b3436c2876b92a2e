package ui

import (
	"fmt"
	"html/template"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// timeElement writes a time element. The text is UTC; the time island turns
// it into the viewer's zone and puts the exact value in the title. A zero or
// nil time is a dash.
func timeElement(v any, style, layout string) (template.HTML, error) {
	t, err := asTime(v)
	if err != nil {
		return "", err
	}
	if t.IsZero() {
		return `<span class="none">–</span>`, nil
	}
	t = t.UTC()
	exact := t.Format("2006-01-02 15:04:05.000000 UTC")
	return template.HTML(fmt.Sprintf(`<time datetime="%s" data-kept-time="%s" title="%s">%s</time>`,
		t.Format("2006-01-02T15:04:05.000000Z"), style, exact, t.Format(layout))), nil
}

// TimeFull is a moment to the second with its date.
func TimeFull(v any) (template.HTML, error) {
	return timeElement(v, "full", "2006-01-02 15:04:05 UTC")
}

// TimeShort is a moment to the minute, for lists.
func TimeShort(v any) (template.HTML, error) {
	return timeElement(v, "short", "2006-01-02 15:04 UTC")
}

// TimeAgo is the distance to now where scripts run, else the moment.
func TimeAgo(v any) (template.HTML, error) {
	return timeElement(v, "ago", "2006-01-02 15:04 UTC")
}

// TimeClock is the time of day to the millisecond, for steps within one page.
func TimeClock(v any) (template.HTML, error) {
	return timeElement(v, "clock", "15:04:05.000 UTC")
}

// TimeDate is the day only.
func TimeDate(v any) (template.HTML, error) { return timeElement(v, "date", "2006-01-02") }

// asTime takes a time.Time, a *time.Time, or an integer of microseconds since
// 1970 as stored; nil and 0 are "no time".
func asTime(v any) (time.Time, error) {
	switch x := v.(type) {
	case nil:
		return time.Time{}, nil
	case time.Time:
		return x, nil
	case *time.Time:
		if x == nil {
			return time.Time{}, nil
		}
		return *x, nil
	case int64:
		if x == 0 {
			return time.Time{}, nil
		}
		return time.UnixMicro(x), nil
	}
	return time.Time{}, fmt.Errorf("%T is not a time", v)
}

// Duration writes a time.Duration (or microseconds as int64, or a pointer to
// either; nil is a dash) with two or three significant digits: "350 ms",
// "1.24 s", "2 min 05 s", "3 h 20 min", "4 d 2 h".
func Duration(v any) (string, error) {
	d, ok, err := asDuration(v)
	if err != nil || !ok {
		return "–", err
	}
	if d < 0 {
		s, err := Duration(-max(d, -math.MaxInt64))
		return "−" + s, err
	}
	switch {
	case d == 0:
		return "0 ms", nil
	case d < time.Microsecond:
		return fmt.Sprintf("%d ns", d), nil
	case d < 999500*time.Nanosecond:
		return fmt.Sprintf("%d µs", (d+500)/time.Microsecond), nil
	case d < 9995*time.Microsecond:
		return trimZeros(fmt.Sprintf("%.2f", d.Seconds()*1000)) + " ms", nil
	case d < 999500*time.Microsecond:
		return fmt.Sprintf("%.0f ms", d.Seconds()*1000), nil
	case d < 9995*time.Millisecond:
		return fmt.Sprintf("%.2f s", d.Seconds()), nil
	case d < 59950*time.Millisecond:
		return fmt.Sprintf("%.1f s", d.Seconds()), nil
	}
	d = d.Round(time.Second)
	switch {
	case d < time.Hour:
		return fmt.Sprintf("%d min %02d s", d/time.Minute, d%time.Minute/time.Second), nil
	case d < 24*time.Hour:
		return fmt.Sprintf("%d h %02d min", d/time.Hour, d%time.Hour/time.Minute), nil
	}
	return fmt.Sprintf("%d d %d h", d/(24*time.Hour), d%(24*time.Hour)/time.Hour), nil
}

func asDuration(v any) (time.Duration, bool, error) {
	switch x := v.(type) {
	case nil:
		return 0, false, nil
	case time.Duration:
		return x, true, nil
	case *time.Duration:
		if x == nil {
			return 0, false, nil
		}
		return *x, true, nil
	case int64:
		return time.Duration(x) * time.Microsecond, true, nil
	case *int64:
		if x == nil {
			return 0, false, nil
		}
		return time.Duration(*x) * time.Microsecond, true, nil
	}
	return 0, false, fmt.Errorf("%T is not a duration", v)
}

func trimZeros(s string) string { return strings.TrimSuffix(strings.TrimRight(s, "0"), ".") }

// Count writes a whole number with commas between groups of three:
// "1,234,567".
func Count(v any) (string, error) {
	digits, neg, err := integer(v)
	if err != nil {
		return "", err
	}
	digits = group(digits)
	if neg {
		digits = "−" + digits
	}
	return digits, nil
}

func integer(v any) (digits string, negative bool, err error) {
	x := reflect.ValueOf(v)
	switch {
	case x.IsValid() && x.CanInt():
		s := strconv.FormatInt(x.Int(), 10)
		return strings.TrimPrefix(s, "-"), x.Int() < 0, nil
	case x.IsValid() && x.CanUint():
		return strconv.FormatUint(x.Uint(), 10), false, nil
	}
	return "", false, fmt.Errorf("%T is not a whole number", v)
}

// group puts commas into a row of digits.
func group(digits string) string {
	var b strings.Builder
	for i, c := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(c)
	}
	return b.String()
}

// Bytes writes a size with binary units: "812 B", "1.5 KiB", "20 MiB".
func Bytes(v any) (string, error) {
	digits, neg, err := integer(v)
	if err != nil {
		return "", err
	}
	n, _ := strconv.ParseFloat(digits, 64)
	units := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}
	i := 0
	for n >= 1023.5 && i < len(units)-1 {
		n /= 1024
		i++
	}
	text := fmt.Sprintf("%.0f", n)
	if i > 0 && n < 9.95 {
		text = fmt.Sprintf("%.1f", n)
	}
	if neg {
		text = "−" + text
	}
	return text + " " + units[i], nil
}

// Percent writes a ratio (0.042 is "4.2 %"). A value that is not nothing is
// never shown as "0 %", nor one that is not everything as "100 %".
func Percent(v any) (string, error) {
	x := reflect.ValueOf(v)
	if !x.IsValid() || !x.CanFloat() {
		return "", fmt.Errorf("%T is not a ratio", v)
	}
	p := x.Float() * 100
	switch {
	case math.IsNaN(p) || math.IsInf(p, 0):
		return "–", nil
	case p == 0 || p == 100:
		return fmt.Sprintf("%.0f %%", p), nil
	case p > 0 && p < 0.1:
		return "< 0.1 %", nil
	case p > 99.9 && p < 100:
		return "> 99.9 %", nil
	case math.Abs(p) < 9.95 || p > 99.4 && p < 100:
		return fmt.Sprintf("%.1f %%", p), nil
	}
	return fmt.Sprintf("%.0f %%", p), nil
}

// Plural writes a count with its noun: "1 job", "2 jobs".
func Plural(n any, one, many string) (string, error) {
	s, err := Count(n)
	if s == "1" {
		return "1 " + one, err
	}
	return s + " " + many, err
}
