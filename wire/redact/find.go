package redact

import "bytes"

// Lengths below which a text cannot hold a secret of a known form.
const (
	minSecret = 7
	minCard   = 14
	maxCard   = 19
	minWord   = 2
)

// span is a half-open range of bytes to take out.
type span struct{ from, to int }

// Classes of bytes. Words are what letters, digits, - and _ make.
const (
	digit = 1 << iota
	wordy
	at
	colon
	blank
	dot
	quote // or the backslash before one
	equals

	follows = blank | dot | colon | equals | quote // what a word that announces a secret is followed by
)

var class = func() (t [256]byte) {
	for c := range t {
		switch {
		case c >= '0' && c <= '9':
			t[c] = digit | wordy
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c == '-':
			t[c] = wordy
		}
	}
	t['@'], t[':'], t['.'], t['='] = at, colon, dot, equals
	t[' '], t['\t'] = blank, blank
	t['"'], t['\''], t['\\'] = quote, quote, quote
	return t
}()

// find lists what to take out of a text, in order and without overlaps.
func (r *Rules) find(s []byte) []span {
	var out []span
	if !r.NoPatterns {
		out = r.builtin(s)
	}
	if r.Emails && bytes.IndexByte(s, '@') > 0 {
		out = emails(out, s)
	}
	for _, p := range r.Patterns {
		for _, m := range p.FindAllIndex(s, -1) {
			if m[0] < m[1] {
				out = append(out, span{m[0], m[1]})
			}
		}
	}
	return tidy(out)
}

// builtin reads a text once, word by word, and looks closer where a word is long or announces something.
func (r *Rules) builtin(s []byte) (out []span) {
	var seen byte
	digits := 0
	for i := 0; i < len(s); {
		from := i
		for i < len(s) && class[s[i]]&wordy != 0 {
			digits += int(class[s[i]] & digit)
			i++
		}
		if i-from >= minToken {
			out = tokens(out, s, from, i)
		}
		if i-from >= minWord && i < len(s) && class[s[i]]&follows != 0 {
			out = r.announced(out, s, from, i)
		}
		if n := len(out); n > 0 {
			i = max(i, out[n-1].to) // nobody looks twice at what is taken out
		}
		for i < len(s) && class[s[i]]&wordy == 0 {
			seen |= class[s[i]]
			i++
		}
	}
	if digits >= minCard {
		out = cards(out, s)
	}
	if seen&at != 0 && seen&colon != 0 {
		out = userinfo(out, s)
	}
	return out
}

// announced finds what the word s[from:to] announces: it is a key, a scheme, or the first part of something.
func (r *Rules) announced(out []span, s []byte, from, to int) []span {
	word := s[from:to]
	switch class[s[to]] {
	case blank:
		switch {
		case len(word) == 6 && foldEqual(word, "bearer"):
			return bearer(out, s, to)
		case len(word) == 5 && foldEqual(word, "basic"):
			return basic(out, s, to)
		case len(word) >= 10 && bytes.HasSuffix(word, []byte("-----BEGIN")):
			return privateKey(out, s, to-10)
		}
	case dot:
		return dotted(out, s, from, to)
	default:
		if r.announces(word) {
			return value(out, s, to, len(word) >= 13 && foldEqual(word[len(word)-13:], "authorization"))
		}
	}
	return out
}

// announces tells whether a word is, or ends with, a secret key: "password", "DB_PASSWORD", "x-api-key", "dbPassword".
func (r *Rules) announces(word []byte) bool {
	if last := word[len(word)-1]; !r.last[last|0x20] && last != 'd' && last != 'D' {
		return false
	}
	for i := range word {
		begins := i == 0 || word[i-1] == '_' || word[i-1] == '-' || isUpper(word[i]) && !isUpper(word[i-1])
		if begins && r.isSecretWord(word[i:]) {
			return true
		}
	}
	return false
}

// isSecretWord is IsSecretKey for a word in a text, where - may stand for _ and a password has more names.
func (r *Rules) isSecretWord(word []byte) bool {
	if r.IsSecretKey(word) {
		return true
	}
	if foldEqual(word, "pwd") || foldEqual(word, "passwd") {
		return r.keys["password"]
	}
	if bytes.IndexByte(word, '-') < 0 || len(word) > maxKey {
		return false
	}
	return r.IsSecretKey(bytes.ReplaceAll(word, []byte("-"), []byte("_")))
}

func isUpper(c byte) bool { return c >= 'A' && c <= 'Z' }

// foldEqual compares with a word in lower-case letters.
func foldEqual(s []byte, word string) bool {
	if len(s) != len(word) {
		return false
	}
	for i := range s {
		if s[i]|0x20 != word[i] {
			return false
		}
	}
	return true
}

// tidy sorts spans and joins those that overlap. There are few.
func tidy(spans []span) []span {
	for i := 1; i < len(spans); i++ {
		for j := i; j > 0 && spans[j].from < spans[j-1].from; j-- {
			spans[j], spans[j-1] = spans[j-1], spans[j]
		}
	}
	out := spans[:0]
	for _, s := range spans {
		if n := len(out); n > 0 && s.from < out[n-1].to {
			out[n-1].to = max(out[n-1].to, s.to)
			continue
		}
		out = append(out, s)
	}
	return out
}
