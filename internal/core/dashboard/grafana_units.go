package dashboard

import (
	"fmt"
	"strconv"
	"strings"
)

// unitsOfGrafana are its names for what we can write with a prefix.
var unitsOfGrafana = map[string]string{
	"": "", "none": "", "string": "", "short": "short", "sishort": "short", "locale": "", "percent": "percent", "percentunit": "ratio",
	"bytes": "bytes", "decbytes": "bytes", "bits": "bits", "decbits": "bits", "Bps": "bytes/s", "binBps": "bytes/s", "bps": "bits/s", "binbps": "bits/s",
	"s": "s", "dtdurations": "s", "clocks": "s", "ms": "ms", "dtdurationms": "ms", "clockms": "ms", "µs": "us", "us": "us", "ns": "ns",
	"ops": "/s", "reqps": "/s", "rps": "/s", "wps": "/s", "iops": "/s", "eps": "/s", "cps": "/s", "mps": "/s", "pps": "/s", "recps": "/s", "rowsps": "/s", "hps": "/s",
	"opm": "/min", "rpm": "/min", "wpm": "/min", "cpm": "/min", "reqpm": "/min", "hertz": "Hz", "rothz": "Hz", "watt": "W", "volt": "V", "celsius": "°C",
}

// namesOfUnits are units that we only write as a text.
var namesOfUnits = map[string]string{
	"rotrpm": "turns/min", "amp": "A", "joule": "J", "humidity": "% humidity", "farenheit": "°F", "fahrenheit": "°F", "kelvin": "K", "kwatt": "kW", "mvolt": "mV", "dB": "dB", "dBm": "dBm",
	"m": "min", "h": "h", "d": "d", "kbytes": "KiB", "mbytes": "MiB", "gbytes": "GiB", "deckbytes": "kB", "decmbytes": "MB", "decgbytes": "GB",
	"KBs": "kB/s", "MBs": "MB/s", "GBs": "GB/s", "KiBs": "KiB/s", "MiBs": "MiB/s", "Kbits": "kbit/s", "Mbits": "Mbit/s", "Gbits": "Gbit/s",
	"dateTimeAsIso": "time", "dateTimeFromNow": "time", "dateTimeAsUS": "time", "currencyUSD": "$", "currencyEUR": "€", "currencyGBP": "£", "degree": "°", "bool": "0/1", "bool_yes_no": "0/1", "bool_on_off": "0/1",
}

func (im *importer) unit(title, unit string) string {
	if u, ok := unitsOfGrafana[unit]; ok {
		return u
	}
	if u, ok := namesOfUnits[unit]; ok {
		im.note(title, "The unit %q stands beside the title as %q; numbers are not scaled.", unit, u)
		return u
	}
	text := unit
	for _, prefix := range []string{"suffix:", "prefix:", "si:", "count:", "currency:"} {
		text = strings.TrimPrefix(text, prefix)
	}
	text = clip(strings.TrimSpace(text), 39)
	im.note(title, "The unit %q is not known; it stands beside the title as it is.", unit)
	return text
}

// toneOfColor is the meaning of a colour: green is good, red is bad.
func toneOfColor(c string) string {
	c = strings.ToLower(strings.TrimSpace(c))
	for _, known := range []struct{ name, tone string }{
		{"green", "good"}, {"red", "bad"}, {"orange", "warn"}, {"yellow", "warn"}, {"blue", "active"}, {"purple", "active"},
	} {
		if c == known.name || strings.HasSuffix(c, "-"+known.name) {
			return known.tone
		}
	}
	r, g, b, ok := rgb(c)
	if !ok {
		return "neutral"
	}
	return toneOfHue(r, g, b)
}

// rgb reads #rrggbb and rgb(…).
func rgb(c string) (r, g, b float64, ok bool) {
	if hex, found := strings.CutPrefix(c, "#"); found && (len(hex) == 6 || len(hex) == 8) {
		n, err := strconv.ParseUint(hex[:6], 16, 32)
		return float64(n >> 16), float64(n >> 8 & 255), float64(n & 255), err == nil
	}
	c = strings.TrimPrefix(strings.TrimPrefix(c, "rgba("), "rgb(")
	n, _ := fmt.Sscanf(strings.ReplaceAll(c, " ", ""), "%f,%f,%f", &r, &g, &b)
	return r, g, b, n == 3
}

func toneOfHue(r, g, b float64) string {
	hi, lo := max(r, g, b), min(r, g, b)
	if hi-lo < 30 {
		return "neutral"
	}
	switch {
	case hi == b && b > r && b > g:
		return "active"
	case hi == g && g > r*1.15:
		return "good"
	case g > r*0.45:
		return "warn"
	}
	return "bad"
}
