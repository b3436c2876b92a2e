package ui

import (
	"fmt"
	"html"
	"html/template"
	"strconv"
	"strings"
)

// textOf is the plain text of a value as templates would print it.
func textOf(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	return fmt.Sprint(v)
}

// Command is a line for a terminal with a button that copies it.
func Command(text string) template.HTML { return codeBlock(text, "command") }

// Code is a block of text with a button that copies it.
func Code(text string) template.HTML { return codeBlock(text, "") }

func codeBlock(text, class string) template.HTML {
	var b strings.Builder
	b.WriteString(`<div class="code ` + class + `"><pre tabindex="0"><code>`)
	b.WriteString(html.EscapeString(visible(text)))
	b.WriteString(`</code></pre>`)
	b.WriteString(copyButton("Copy", text))
	b.WriteString(`</div>`)
	return template.HTML(b.String())
}

// copyButton copies the given text. It is hidden until scripts run, because
// it could do nothing before.
func copyButton(label, text string) string {
	icon, _ := Icon("copy")
	return `<button type="button" class="copy" data-kept-copy="` + html.EscapeString(visible(text)) + `" hidden>` +
		string(icon) + `<span>` + html.EscapeString(label) + `</span></button>`
}

// visible replaces what HTML cannot carry or would hide (NUL, other control
// characters, bytes that are not UTF-8, marks that reorder text) by a visible
// escape.
func visible(s string) string {
	clean := true
	for _, r := range s {
		if hidden(r) {
			clean = false
			break
		}
	}
	if clean {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if hidden(r) {
			b.WriteString(`\u` + fmt.Sprintf("%04x", r))
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

func hidden(r rune) bool {
	switch {
	case r == '\n' || r == '\t':
		return false
	case r < 0x20 || r >= 0x7f && r < 0xa0, r == '\ufffd', r == '\u2028', r == '\u2029':
		return true
	case r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069, r == 0x200e, r == 0x200f:
		return true
	}
	return false
}

// maxStackLines bounds what Stack draws; what is left out is said.
const maxStackLines = 400

// Stack shows a stack trace with its first line set off. Frames of libraries
// are dimmed so that one's own stand out.
func Stack(text string) template.HTML {
	text = strings.TrimRight(text, "\n")
	if text == "" {
		return ""
	}
	lines := strings.Split(text, "\n")
	left := max(0, len(lines)-maxStackLines)
	lines = lines[:len(lines)-left]
	var b strings.Builder
	b.WriteString(`<div class="code stack"><pre tabindex="0"><code>`)
	for i, line := range lines {
		class := frameClass(i, line)
		b.WriteString(`<span class="` + class + `">` + html.EscapeString(visible(clip(line, 2000))) + "</span>\n")
	}
	if left > 0 {
		b.WriteString(`<span class="f-lib">… ` + strconv.Itoa(left) + " more lines</span>\n")
	}
	b.WriteString(`</code></pre>` + copyButton("Copy", clip(text, 64<<10)) + `</div>`)
	return template.HTML(b.String())
}

var libraryMarks = []string{"node_modules/", "(node:", "at node:", "(internal/", "/usr/lib/", "/usr/local/go/src/",
	"/pkg/mod/", "/vendor/", "site-packages/", "runtime/debug", "java.base/"}

func frameClass(i int, line string) string {
	if i == 0 {
		return "f-head"
	}
	for _, mark := range libraryMarks {
		if strings.Contains(line, mark) {
			return "f-lib"
		}
	}
	return "f-own"
}

// clip shortens s to at most n bytes without splitting a character.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xc0 == 0x80 {
		n--
	}
	return s[:n] + "…"
}

// asciiJSON makes JSON fit for an HTTP header.
func asciiJSON(b []byte) string {
	var out strings.Builder
	for _, r := range string(b) {
		switch {
		case r < 0x80:
			out.WriteRune(r)
		case r > 0xffff:
			r -= 0x10000
			fmt.Fprintf(&out, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		default:
			fmt.Fprintf(&out, `\u%04x`, r)
		}
	}
	return out.String()
}
