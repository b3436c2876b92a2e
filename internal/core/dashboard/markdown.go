package dashboard

import (
	"html"
	"html/template"
	"regexp"
	"strings"
)

// textHTML is the text of a text panel as HTML.
func (m *Module) textHTML(p Panel, e env) template.HTML {
	text := e.text(p.Text, nil)
	if p.Format == "plain" {
		return template.HTML(`<div class="panel-text plain">` + html.EscapeString(text) + `</div>`)
	}
	return template.HTML(`<div class="panel-text">`) + Markdown(text) + template.HTML(`</div>`)
}

var (
	mdHeading = regexp.MustCompile(`^(#{1,6})\s+(.*?)\s*#*$`)
	mdItem    = regexp.MustCompile(`^\s*[-*+]\s+(.*)$`)
	mdNumber  = regexp.MustCompile(`^\s*[0-9]{1,9}[.)]\s+(.*)$`)
	mdRule    = regexp.MustCompile(`^\s*(?:-\s*){3,}$|^\s*(?:\*\s*){3,}$`)
	mdInline  = regexp.MustCompile("`([^`\n]+)`|\\*\\*([^*\n]+)\\*\\*|\\*([^*\n]+)\\*|\\[([^\\]\n]+)\\]\\(([^)\\s]+)\\)")
)

// Markdown turns a safe part of Markdown into HTML: headings, paragraphs, lists, rules, code, bold, italic and links to the
// web or to pages of ours. Everything else, HTML above all, is shown as the text that it is.
func Markdown(text string) template.HTML {
	w := mdWriter{}
	inCode := false
	for _, line := range strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n") {
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			if inCode = !inCode; inCode {
				w.open("pre")
			} else {
				w.close()
			}
			continue
		}
		if inCode {
			w.out.WriteString(html.EscapeString(line) + "\n")
			continue
		}
		w.line(line)
	}
	w.close()
	return template.HTML(w.out.String())
}

// mdWriter writes blocks; at most one is open.
type mdWriter struct {
	out   strings.Builder
	block string
}

func (w *mdWriter) open(block string) {
	if w.block == block {
		return
	}
	w.close()
	w.block = block
	if block == "pre" {
		w.out.WriteString(`<pre tabindex="0">`)
		return
	}
	w.out.WriteString("<" + block + ">")
}

func (w *mdWriter) close() {
	if w.block != "" {
		w.out.WriteString("</" + w.block + ">\n")
	}
	w.block = ""
}

func (w *mdWriter) line(line string) {
	switch {
	case strings.TrimSpace(line) == "":
		w.close()
	case mdHeading.MatchString(line):
		w.close()
		// Under the h1 of the page and the h2 of the row every heading of a panel is at least an h3.
		w.out.WriteString("<h4>" + mdText(mdHeading.FindStringSubmatch(line)[2]) + "</h4>\n")
	case mdRule.MatchString(line):
		w.close()
		w.out.WriteString("<hr>\n")
	case mdItem.MatchString(line):
		w.open("ul")
		w.out.WriteString("<li>" + mdText(mdItem.FindStringSubmatch(line)[1]) + "</li>")
	case mdNumber.MatchString(line):
		w.open("ol")
		w.out.WriteString("<li>" + mdText(mdNumber.FindStringSubmatch(line)[1]) + "</li>")
	default:
		if w.block == "p" {
			w.out.WriteString("<br>")
		}
		w.open("p")
		w.out.WriteString(mdText(line))
	}
}

// mdText is one line with what stands within it.
func mdText(s string) string {
	var out strings.Builder
	last := 0
	for _, m := range mdInline.FindAllStringSubmatchIndex(s, -1) {
		out.WriteString(html.EscapeString(s[last:m[0]]))
		group := func(n int) string { return s[m[2*n]:m[2*n+1]] }
		switch {
		case m[2] >= 0:
			out.WriteString("<code>" + html.EscapeString(group(1)) + "</code>")
		case m[4] >= 0:
			out.WriteString("<strong>" + html.EscapeString(group(2)) + "</strong>")
		case m[6] >= 0:
			out.WriteString("<em>" + html.EscapeString(group(3)) + "</em>")
		case safeHref(group(5)):
			out.WriteString(`<a href="` + html.EscapeString(group(5)) + `" rel="noopener noreferrer">` + html.EscapeString(group(4)) + "</a>")
		default:
			out.WriteString(html.EscapeString(s[m[0]:m[1]]))
		}
		last = m[1]
	}
	out.WriteString(html.EscapeString(s[last:]))
	return out.String()
}
