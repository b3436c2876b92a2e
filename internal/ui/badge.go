package ui

import (
	"html"
	"html/template"
	"strings"
)

// statusTones gives the words that states are called by a tone and an icon.
var statusTones = map[string]struct {
	tone Tone
	icon string
}{
	"completed": {ToneGood, "check"}, "succeeded": {ToneGood, "check"}, "ok": {ToneGood, "check"},
	"kept": {ToneGood, "check"}, "verified": {ToneGood, "check"}, "healthy": {ToneGood, "check"},
	"resolved": {ToneGood, "check"}, "sent": {ToneGood, "check"}, "paid": {ToneGood, "check"}, "enabled": {ToneGood, "check"},
	"failed": {ToneBad, "x"}, "failing": {ToneBad, "alert"}, "error": {ToneBad, "x"}, "broken": {ToneBad, "x"}, "discarded": {ToneBad, "x"},
	"firing": {ToneBad, "bell"}, "down": {ToneBad, "x"}, "revoked": {ToneBad, "x"}, "crashed": {ToneBad, "x"},
	"stalled": {ToneWarn, "alert"}, "late": {ToneWarn, "clock"}, "stuck": {ToneWarn, "alert"},
	"retrying": {ToneWarn, "refresh"}, "retryable": {ToneWarn, "refresh"}, "pending": {ToneWarn, "clock"},
	"warning": {ToneWarn, "alert"}, "expired": {ToneWarn, "clock"}, "degraded": {ToneWarn, "alert"},
	"active": {ToneActive, "play"}, "running": {ToneActive, "play"}, "started": {ToneActive, "play"},
	"processing": {ToneActive, "play"}, "recording": {ToneActive, "play"},
	"waiting": {ToneNeutral, "clock"}, "available": {ToneNeutral, "clock"}, "added": {ToneNeutral, "plus"},
	"delayed": {ToneNeutral, "clock"}, "scheduled": {ToneNeutral, "clock"}, "queued": {ToneNeutral, "clock"},
	"waiting-children": {ToneNeutral, "flow"}, "paused": {ToneNeutral, "pause"}, "cancelled": {ToneNeutral, "minus"},
	"removed": {ToneNeutral, "minus"}, "disabled": {ToneNeutral, "minus"}, "not applicable": {ToneNeutral, "minus"},
}

// Badge shows a status word with its tone and icon; a word it does not know
// is neutral. The value may be any string type.
func Badge(status any) template.HTML {
	word := textOf(status)
	look, ok := statusTones[strings.ToLower(word)]
	if !ok {
		return Pill(ToneNeutral, word)
	}
	return pill(look.tone, look.icon, word)
}

// StatusTone returns the tone that Badge would use.
func StatusTone(status string) Tone {
	if look, ok := statusTones[strings.ToLower(status)]; ok {
		return look.tone
	}
	return ToneNeutral
}

// Pill is a short label with a tone and no icon.
func Pill(tone Tone, text any) template.HTML { return pill(tone, "", textOf(text)) }

func pill(tone Tone, icon, text string) template.HTML {
	var svg template.HTML
	if icon != "" {
		svg, _ = Icon(icon)
	}
	return template.HTML(`<span class="badge badge-` + html.EscapeString(string(tone)) + `">` + string(svg) + html.EscapeString(text) + `</span>`)
}
