package kept

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"unicode/utf8"
)

// Redaction says what is replaced by "[REDACTED]" before an event enters the
// buffer. The zero value applies the built-in keys and patterns.
type Redaction struct {
	Off        bool             // redact nothing
	Keys       []string         // further keys whose values are replaced; compared whole, ignoring case
	Except     []string         // built-in keys that are let through
	Only       []string         // if not empty, these keys instead of the built-in ones
	NoPatterns bool             // do not look into texts with the built-in patterns
	Patterns   []*regexp.Regexp // further patterns to replace inside texts
}

// BuiltinKeys returns the keys whose values are redacted by default.
func BuiltinKeys() []string {
	return []string{
		"password", "secret", "token", "apikey", "api_key", "authorization", "creditcard", "credit_card", "ssn",
		"accesstoken", "access_token", "refreshtoken", "refresh_token",
	}
}

const (
	redacted     = "[REDACTED]"
	tooDeep      = "[TOO_DEEP]"
	maxJSONDepth = 20 // what lies deeper is cut off, for nobody looked at it
)

type redactor struct {
	off      bool
	keys     map[string]bool // lower case
	builtin  bool
	patterns []*regexp.Regexp
}

func newRedactor(r Redaction) *redactor {
	out := &redactor{off: r.Off, builtin: !r.NoPatterns, patterns: r.Patterns, keys: map[string]bool{}}
	base := BuiltinKeys()
	if len(r.Only) > 0 {
		base = r.Only
	}
	for _, k := range base {
		out.keys[strings.ToLower(k)] = true
	}
	for _, k := range r.Except {
		delete(out.keys, strings.ToLower(k))
	}
	for _, k := range r.Keys {
		out.keys[strings.ToLower(k)] = true
	}
	return out
}

// text redacts inside a text.
func (r *redactor) text(s string) string {
	if r.off {
		return s
	}
	if r.builtin {
		s = scrub(s)
	}
	for _, p := range r.patterns {
		s = p.ReplaceAllString(s, redacted)
	}
	return s
}

// json redacts a valid JSON text. With keysOnly every scalar becomes the name
// of its type. Numbers are copied byte by byte. Text that is not valid JSON
// gives an unusable-value notice: what cannot be read cannot be redacted.
func (r *redactor) json(src []byte, keysOnly bool) []byte {
	if !json.Valid(src) {
		return []byte(noticeUnusable)
	}
	if r.off && !keysOnly {
		return bytes.ToValidUTF8(src, []byte("\uFFFD"))
	}
	w := rewriter{r: r, src: src, keysOnly: keysOnly, dst: make([]byte, 0, len(src)+16)}
	w.value(1)
	return w.dst
}

// rewriter copies one valid JSON text from src to dst and redacts on the way.
type rewriter struct {
	r        *redactor
	src      []byte
	i        int
	dst      []byte
	keysOnly bool
}

// value copies the value at the cursor. A container at depth 1 is the outermost one.
func (w *rewriter) value(depth int) {
	w.space()
	switch c := w.src[w.i]; c {
	case '{', '[':
		if depth > maxJSONDepth {
			w.skip()
			w.dst = append(w.dst, `"`+tooDeep+`"`...)
			return
		}
		w.container(c == '{', depth)
	case '"':
		w.text()
	default:
		w.scalar(w.literal())
	}
}

func (w *rewriter) container(object bool, depth int) {
	w.copyByte()
	for n := 0; ; n++ {
		w.space()
		switch w.src[w.i] {
		case '}', ']':
			w.copyByte()
			return
		case ',':
			w.copyByte()
			w.space()
		}
		if object {
			if w.key() {
				w.skip()
				w.dst = append(w.dst, `"`+redacted+`"`...)
				continue
			}
		}
		w.value(depth + 1)
	}
}

// key copies a member's name and the colon, and reports whether the value must be redacted.
func (w *rewriter) key() (secret bool) {
	raw := w.str()
	name := unquote(raw)
	secret = !w.r.off && w.r.keys[strings.ToLower(name)]
	w.quoted(raw, name)
	w.space()
	w.copyByte() // colon
	w.space()
	return secret
}

func (w *rewriter) text() {
	raw := w.str()
	if w.keysOnly {
		w.dst = append(w.dst, `"string"`...)
		return
	}
	w.quoted(raw, unquote(raw))
}

// quoted writes a string: as it was written if no rule changes it.
func (w *rewriter) quoted(raw []byte, s string) {
	clean := strings.ToValidUTF8(w.r.text(s), "\uFFFD")
	if clean == s && utf8.Valid(raw) {
		w.dst = append(w.dst, raw...)
		return
	}
	out, err := marshal(clean)
	if err != nil {
		out = []byte(`"` + redacted + `"`)
	}
	w.dst = append(w.dst, out...)
}

func (w *rewriter) scalar(raw []byte) {
	if !w.keysOnly || raw[0] == 'n' {
		w.dst = append(w.dst, raw...)
		return
	}
	name := "number"
	if raw[0] == 't' || raw[0] == 'f' {
		name = "boolean"
	}
	w.dst = append(w.dst, `"`+name+`"`...)
}

func (w *rewriter) copyByte() {
	w.dst = append(w.dst, w.src[w.i])
	w.i++
}

func (w *rewriter) space() {
	for w.i < len(w.src) && isSpace(w.src[w.i]) {
		w.i++
	}
}

// str returns the string at the cursor with its quotes and steps over it.
func (w *rewriter) str() []byte {
	start := w.i
	for w.i++; w.src[w.i] != '"'; w.i++ {
		if w.src[w.i] == '\\' {
			w.i++
		}
	}
	w.i++
	return w.src[start:w.i]
}

// literal returns the number, true, false or null at the cursor and steps over it.
func (w *rewriter) literal() []byte {
	start := w.i
	for w.i < len(w.src) && !isSpace(w.src[w.i]) && !strings.ContainsRune(",]}", rune(w.src[w.i])) {
		w.i++
	}
	return w.src[start:w.i]
}

// skip steps over the value at the cursor without recursion, however deep it is.
func (w *rewriter) skip() {
	for open := 0; ; {
		w.space()
		switch w.src[w.i] {
		case '{', '[':
			open++
			w.i++
		case '}', ']':
			open--
			w.i++
		case ',', ':':
			w.i++
		case '"':
			w.str()
		default:
			w.literal()
		}
		if open == 0 {
			return
		}
	}
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// unquote decodes a JSON string; invalid UTF-8 and lone surrogates become U+FFFD.
func unquote(raw []byte) string {
	if plain := raw[1 : len(raw)-1]; bytes.IndexByte(plain, '\\') < 0 && utf8.Valid(plain) {
		return string(plain)
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return redacted // not reachable for valid JSON; if it is, nothing slips through
	}
	return s
}
