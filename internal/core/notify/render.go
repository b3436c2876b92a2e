package notify

import (
	"fmt"
	"html"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// style is how a channel writes text: what must be escaped, what is bold, what is a link. All texts of people pass
// through esc.
type style struct {
	esc  func(string) string
	bold func(escaped string) string
	link func(label, url string) string
	nl   string
	size func(string) int // as the provider counts
}

// plain is text without any marks.
var plain = style{
	esc: same, bold: same, nl: "\n", size: utf8.RuneCountInString,
	link: func(label, url string) string { return label + ": " + url },
}

func same(s string) string { return s }

// htmlStyle is the small HTML that Telegram and Matrix know.
var htmlStyle = style{
	esc: html.EscapeString, bold: func(s string) string { return "<b>" + s + "</b>" }, nl: "\n", size: utf16Len,
	link: func(label, url string) string {
		return `<a href="` + html.EscapeString(url) + `">` + html.EscapeString(label) + `</a>`
	},
}

func utf16Len(s string) int { return len(utf16.Encode([]rune(s))) }

// slackStyle is Slack's own markup.
var slackStyle = style{
	esc: slackEscape.Replace, bold: func(s string) string { return "*" + s + "*" }, nl: "\n", size: utf8.RuneCountInString,
	link: func(label, url string) string {
		return "<" + strings.NewReplacer("|", "%7C", ">", "%3E", "<", "%3C").Replace(url) + "|" + slackEscape.Replace(label) + ">"
	},
}

var slackEscape = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "*", "∗", "_", "_\u200b", "~", "∼", "`", "ˋ")

// markdown is what Discord, Mattermost and Teams have in common. Mentions are broken as well as marks.
var markdown = style{
	esc: markdownEscape, bold: func(s string) string { return "**" + s + "**" }, nl: "\n", size: utf8.RuneCountInString,
	link: func(label, url string) string {
		return "[" + markdownEscape(label) + "](" + strings.NewReplacer("(", "%28", ")", "%29", " ", "%20", "<", "%3C", ">", "%3E").Replace(url) + ")"
	},
}

func markdownEscape(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch r {
		case '\\', '`', '*', '_', '{', '}', '[', ']', '<', '>', '#', '|', '~', '!':
			b.WriteByte('\\')
		case '@':
			b.WriteString("@\u200b")
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// maxItems is how many alerts a message spells out.
const maxItems = 20

// body writes the alerts one after another, as many as fit into limit.
func (msg *message) body(st style, limit int) string {
	var parts []string
	used := 0
	reserve := st.size(more(st, len(msg.Items))) + 2*st.size(st.nl)
	for i, it := range msg.Items {
		text := msg.item(st, it)
		n := st.size(text) + 2*st.size(st.nl)
		if i == maxItems || used+n+reserve > limit {
			if i == 0 {
				return cut(st, st.esc(clip(firstOf(it.Summary, it.Name), max(1, limit/8))), limit)
			}
			parts = append(parts, more(st, len(msg.Items)-i))
			break
		}
		parts, used = append(parts, text), used+n
	}
	return strings.Join(parts, st.nl+st.nl)
}

// cut is the last resort for a text that is too long: without marks that would be left open.
func cut(st style, s string, limit int) string {
	if st.size(s) <= limit {
		return s
	}
	return ""
}

func more(st style, n int) string { return st.esc(fmt.Sprintf("… and %d more", n)) }

func firstOf(texts ...string) string {
	for _, s := range texts {
		if s != "" {
			return s
		}
	}
	return ""
}

// item writes one alert: what and how bad, what it means, where, how much and since when, and where to go.
func (msg *message) item(st style, it item) string {
	state := it.Severity
	switch {
	case it.Resolved:
		state = "resolved"
	case it.Acked != "":
		state += ", acknowledged by " + it.Acked
	}
	lines := []string{st.bold(st.esc(it.Name)) + st.esc(" ("+state+")")}
	for _, text := range []string{it.Summary, it.Description} {
		if text != "" {
			lines = append(lines, st.esc(text))
		}
	}
	for _, fact := range it.Why {
		lines = append(lines, st.esc(fact))
	}
	if labels := it.labels(12); labels != "" {
		lines = append(lines, st.esc(labels))
	}
	when := it.when(msg.At)
	if it.Value != "" {
		when = "Value " + it.Value + " · " + when
	}
	lines = append(lines, st.esc(when))
	if links := it.links(st); links != "" {
		lines = append(lines, links)
	}
	return strings.Join(lines, st.nl)
}

func (it item) labels(most int) string {
	var out []string
	for i, p := range it.Labels {
		if i == most {
			out = append(out, "…")
			break
		}
		out = append(out, p.Name+"="+p.Value)
	}
	return strings.Join(out, " · ")
}

func (it item) links(st style) string {
	var out []string
	add := func(label, url string) {
		if url != "" {
			out = append(out, st.link(label, url))
		}
	}
	add("Open", it.Links.Page)
	if !it.Resolved {
		add("Silence", it.Links.Silence)
		if it.Acked == "" {
			add("Acknowledge", it.Links.Ack)
		}
	}
	if st.link("", "") == plain.link("", "") {
		return strings.Join(out, st.nl)
	}
	return strings.Join(out, " · ")
}

// colour is that of the state, as 0xRRGGBB.
func (msg *message) colour() int {
	switch {
	case msg.Resolved:
		return 0x2e7d32
	case msg.Severity == critical:
		return 0xc62828
	case msg.Severity == info:
		return 0x1f4fd8
	}
	return 0xb26a00
}

func (msg *message) hex() string { return fmt.Sprintf("#%06x", msg.colour()) }
