package db

import "strings"

// Rebind turns PostgreSQL's numbered placeholders ($1) into SQLite's (?1). SQLite reads $1 as a name, and some drivers
// bind names by first appearance, which would swap arguments silently. Literals, quoted names, comments and names
// that contain a dollar sign are left as they are.
//
// The result is not remembered: a statement of 500 bytes takes about a microsecond, and texts that are put together
// from a filter would fill a cache without end.
func Rebind(d Dialect, text string) string {
	if d != SQLite || !strings.Contains(text, "$") {
		return text
	}
	var out strings.Builder
	out.Grow(len(text))
	done := 0 // text[:done] has been written
	for i := 0; i < len(text); {
		if end := opaqueEnd(text, i); end > i {
			i = end
			continue
		}
		if text[i] == '$' && i+1 < len(text) && text[i+1] >= '1' && text[i+1] <= '9' && (i == 0 || !isNameByte(text[i-1])) {
			out.WriteString(text[done:i])
			out.WriteByte('?')
			done = i + 1
		}
		i++
	}
	out.WriteString(text[done:])
	return out.String()
}

// opaqueEnd is the index behind the literal, quoted name or comment that begins at i, or i when none does. One that is
// not closed reaches to the end of the text.
func opaqueEnd(text string, i int) int {
	switch c := text[i]; {
	case c == '\'' || c == '"' || c == '`':
		return quotedEnd(text, i)
	case c == '-' && strings.HasPrefix(text[i:], "--"):
		return i + lineLength(text[i:])
	case c == '/' && strings.HasPrefix(text[i:], "/*"):
		if n := strings.Index(text[i+2:], "*/"); n >= 0 {
			return i + 2 + n + 2
		}
		return len(text)
	}
	return i
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

// isNameByte tells whether b may stand inside of a name, so that a dollar sign behind it belongs to the name.
func isNameByte(b byte) bool {
	return b == '_' || b == '$' || b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= 0x80
}

// lineLength is the length of the first line of s without its end.
func lineLength(s string) int {
	if n := strings.IndexByte(s, '\n'); n >= 0 {
		return n
	}
	return len(s)
}
