package ui

import (
	"math"
	"strconv"
	"time"
)

// units are those that stand with every number.
var units = map[string]func(float64) string{
	"bytes":   func(v float64) string { return scaled(v, 1024, " B", iec) },
	"bytes/s": func(v float64) string { return scaled(v, 1024, " B/s", iec) },
	"bits":    func(v float64) string { return scaled(v, 1000, " bit", si) },
	"bits/s":  func(v float64) string { return scaled(v, 1000, " bit/s", si) },
	"s":       func(v float64) string { return span(v) },
	"ms":      func(v float64) string { return span(v / 1e3) },
	"us":      func(v float64) string { return span(v / 1e6) },
	"ns":      func(v float64) string { return span(v / 1e9) },
	"ratio":   func(v float64) string { return Number(v*100) + " %" },
	"percent": func(v float64) string { return Number(v) + " %" },
	"%":       func(v float64) string { return Number(v) + " %" },
	"/s":      func(v float64) string { return scaled(v, 1000, " /s", si) },
	"/min":    func(v float64) string { return scaled(v, 1000, " /min", si) },
	"short":   func(v float64) string { return scaled(v, 1000, "", si) },
	"Hz":      func(v float64) string { return scaled(v, 1000, " Hz", si) },
	"W":       func(v float64) string { return scaled(v, 1000, " W", si) },
	"V":       func(v float64) string { return Number(v) + " V" },
	"°C":      func(v float64) string { return Number(v) + " °C" },
	"":        Number,
}

var (
	iec = []string{"", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"}
	si  = []string{"", "k", "M", "G", "T", "P", "E"}
)

// Units are the units that Value knows, in the order of a menu.
var Units = []Option{
	{Value: "", Label: "Plain number"}, {Value: "short", Label: "Short (k, M, G)"}, {Value: "bytes", Label: "Bytes (KiB, MiB)"}, {Value: "bytes/s", Label: "Bytes per second"},
	{Value: "bits", Label: "Bits (kbit, Mbit)"}, {Value: "bits/s", Label: "Bits per second"}, {Value: "s", Label: "Seconds"}, {Value: "ms", Label: "Milliseconds"},
	{Value: "us", Label: "Microseconds"}, {Value: "ns", Label: "Nanoseconds"}, {Value: "ratio", Label: "Percent of 0 to 1"}, {Value: "percent", Label: "Percent of 0 to 100"},
	{Value: "/s", Label: "Per second"}, {Value: "/min", Label: "Per minute"}, {Value: "Hz", Label: "Hertz"}, {Value: "W", Label: "Watts"}, {Value: "V", Label: "Volts"}, {Value: "°C", Label: "Degrees Celsius"},
}

func knownUnit(name string) bool { return units[name] != nil }

// Value writes a number in a unit: one of Units, or any other text, which is
// left to the heading. NaN is a dash, infinity is "+Inf".
func Value(v float64, unit string) string {
	switch {
	case math.IsNaN(v):
		return "–"
	case math.IsInf(v, 1):
		return "+Inf"
	case math.IsInf(v, -1):
		return "−Inf"
	}
	if write := units[unit]; write != nil {
		return write(v)
	}
	return Number(v)
}

// scaled writes three significant digits with the prefix that fits.
func scaled(v, base float64, suffix string, prefixes []string) string {
	i := 0
	for math.Abs(v) >= 999.5 && i < len(prefixes)-1 {
		v /= base
		i++
	}
	if suffix == "" {
		if prefixes[i] == "" {
			return Number(v)
		}
		return Number(v) + " " + prefixes[i]
	}
	return Number(v) + " " + prefixes[i] + suffix[1:]
}

func span(s float64) string {
	if math.Abs(s) > math.MaxInt64/1e9 {
		return Number(s) + " s"
	}
	if s < 0 {
		return "−" + span(-s)
	}
	if s == 0 {
		return "0 s"
	}
	text, _ := Duration(time.Duration(s * 1e9))
	return text
}

// Number writes a measured value with at most three significant digits, or
// all of them before the point.
func Number(v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return "–"
	}
	a := math.Abs(v)
	text := strconv.FormatFloat(a, 'g', 3, 64)
	switch {
	case a >= 99.95 && a < 1e15:
		text = group(strconv.FormatFloat(math.Round(a), 'f', 0, 64))
	case a >= 9.995 && a < 100:
		text = trimZeros(strconv.FormatFloat(a, 'f', 1, 64))
	case a >= 0.0095 && a < 10 || a == 0:
		text = trimZeros(strconv.FormatFloat(a, 'f', 2, 64))
	}
	if v < 0 && text != "0" {
		return "−" + text
	}
	return text
}
