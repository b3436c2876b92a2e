package db

import (
	"strings"
	"sync"
)

// rebound remembers translated texts: statements are constants, so there are few.
var rebound sync.Map

// Rebind turns PostgreSQL's numbered placeholders ($1) into SQLite's (?1). SQLite reads $1 as a name, and some drivers
// bind names by first appearance, which would swap arguments silently. Literals, quoted names and comments are left
// as they are.
func Rebind(d Dialect, text string) string {
	if d != SQLite || !strings.Contains(text, "$") {
		return text
	}
	if out, ok := rebound.Load(text); ok {
		return out.(string)
	}
	out := rebind(text)
	rebound.Store(text, out)
	return out
}

func rebind(text string) string {
	var out strings.Builder
	out.Grow(len(text))
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case c == '\'' || c == '"':
			end := quotedEnd(text, i)
			out.WriteString(text[i:end])
			i = end
		case strings.HasPrefix(text[i:], "--"):
			end := i + strings.IndexByte(text[i:]+"\n", '\n')
			out.WriteString(text[i:end])
			i = end
		case strings.HasPrefix(text[i:], "/*"):
			end := len(text)
			if n := strings.Index(text[i+2:], "*/"); n >= 0 {
				end = i + 2 + n + 2
			}
			out.WriteString(text[i:end])
			i = end
		case c == '$' && i+1 < len(text) && text[i+1] >= '1' && text[i+1] <= '9':
			out.WriteByte('?')
			i++
		default:
			out.WriteByte(c)
			i++
		}
	}
	return out.String()
}

// quotedEnd is the index behind the quoted text that begins at i. A doubled quote does not end it.
func quotedEnd(text string, i int) int {
	quote := text[i]
	for j := i + 1; j < len(text); j++ {
		if text[j] != quote {
			continue
		}
		if j+1 < len(text) && text[j+1] == quote {
			j++
			continue
		}
		return j + 1
	}
	return len(text)
}
