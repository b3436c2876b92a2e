package redact

import (
	"bytes"
	"encoding/base64"
)

// value finds the value of a secret key that ends at i, in any of the forms in which programs print them. auth says that
// the key is that of an HTTP header with a scheme.
//
//	password=hunter2   --token="a b"   authorization: Bearer abc123   "password":"x"   \"ssn\": 123   'secret' => 'x'
func value(out []span, s []byte, i int, auth bool) []span {
	quoted := class[s[i]] == quote
	if quoted {
		i = skipQuote(s, i)
	}
	spaced := skipBlanks(s, i)
	if spaced == len(s) {
		return out
	}
	switch {
	case !quoted && s[i] == '=' && (i+1 == len(s) || s[i+1] != '>'):
		return assigned(out, s, i+1)
	case s[spaced] == ':' || quoted && s[spaced] == '=':
		i = skipBlanks(s, spaced+1)
	case s[spaced] == '=':
		i = spaced + 1
	default:
		return out
	}
	if i < len(s) && s[i] == '>' {
		i = skipBlanks(s, i+1)
	}
	if i < len(s) && class[s[i]] == quote {
		return inQuotes(out, s, i, quoted)
	}
	if quoted {
		return number(out, s, i)
	}
	return header(out, s, i, auth)
}

func skipBlanks(s []byte, i int) int {
	for i < len(s) && (class[s[i]] == blank || s[i] == '\n' || s[i] == '\r') {
		i++
	}
	return i
}

// skipQuote steps over a quote, which is escaped in JSON within a JSON string.
func skipQuote(s []byte, i int) int {
	for i < len(s) && s[i] == '\\' {
		i++
	}
	if i < len(s) && (s[i] == '"' || s[i] == '\'') {
		i++
	}
	return i
}

// assigned takes out what stands behind "key=": in quotes, or up to a blank or what parts parameters.
func assigned(out []span, s []byte, from int) []span {
	i := from
	for i < len(s) && (s[i] == '"' || s[i] == '\'') {
		end := bytes.IndexByte(s[i+1:], s[i])
		if end < 0 {
			return append(out, span{from, len(s)})
		}
		i += end + 2
	}
	for i < len(s) && s[i] > ' ' && bytes.IndexByte([]byte("&;\"'\\<>"), s[i]) < 0 {
		i++
	}
	if i > from {
		out = append(out, span{from, i})
	}
	return out
}

// inQuotes takes out the inside of the quotes that begin at i. A key without quotes may be a word of a sentence, as in
// "unexpected token: '}'", so there the inside must be longer.
func inQuotes(out []span, s []byte, i int, keyQuoted bool) []span {
	from := skipQuote(s, i)
	mark, escapes := s[from-1], from-1-i
	if mark == '\\' {
		return out
	}
	for to := from; ; to++ {
		end := bytes.IndexByte(s[to:], mark)
		if end < 0 {
			to = len(s)
		} else {
			to += end
		}
		slashes := 0
		for to-slashes > from && s[to-slashes-1] == '\\' {
			slashes++
		}
		if to < len(s) && slashes > escapes {
			continue // a quote within the value
		}
		if to-slashes > from && (keyQuoted || to-slashes-from >= 4) {
			out = append(out, span{from, to - slashes})
		}
		return out
	}
}

// number takes out a bare value behind a quoted key.
func number(out []span, s []byte, from int) []span {
	i := from
	for i < len(s) && (class[s[i]]&wordy != 0 || s[i] == '.' || s[i] == '+') {
		i++
	}
	if i > from && string(s[from:i]) != "null" {
		out = append(out, span{from, i})
	}
	return out
}

// header takes out a token, as in "token: abc123", and behind "authorization:" also its scheme.
func header(out []span, s []byte, from int, auth bool) []span {
	end := tokenEnd(s, from)
	if next := skipBlanks(s, end); auth && end > from && next > end {
		to := tokenEnd(s, next)
		if isTokenLike(s[next:to]) || to > next && foldEqual(s[from:end], "basic") {
			return append(out, span{from, to})
		}
	}
	if isTokenLike(s[from:end]) {
		out = append(out, span{from, end})
	}
	return out
}

// tokenEnd is the end of the run of bytes that tokens are made of (RFC 6750, 2.1).
func tokenEnd(s []byte, i int) int {
	for i < len(s) && (class[s[i]]&(wordy|dot|equals) != 0 || s[i] == '+' || s[i] == '/' || s[i] == '~') {
		i++
	}
	return i
}

// isTokenLike tells a token from a word ("bearer certificates", "authorization: denied"): it has a digit or is long.
func isTokenLike(s []byte) bool {
	if len(s) >= 16 {
		return true
	}
	if len(s) < 5 {
		return false
	}
	for _, c := range s {
		if class[c]&digit != 0 {
			return true
		}
	}
	return false
}

func bearer(out []span, s []byte, i int) []span {
	from := skipBlanks(s, i)
	if to := tokenEnd(s, from); isTokenLike(s[from:to]) {
		out = append(out, span{from, to})
	}
	return out
}

// basic finds credentials of HTTP's Basic scheme (RFC 7617), which are told from words by what they decode to.
func basic(out []span, s []byte, i int) []span {
	from := skipBlanks(s, i)
	to := tokenEnd(s, from)
	text := bytes.TrimRight(s[from:to], "=")
	plain, err := base64.RawStdEncoding.AppendDecode(nil, text)
	if err == nil && bytes.IndexByte(plain, ':') >= 0 {
		out = append(out, span{from, to})
	}
	return out
}

// dotted finds tokens of several parts that begin in the word s[from:to], behind which is a dot: JSON Web Tokens (RFC
// 7519), which begin with the base64 of {", and SendGrid's keys.
func dotted(out []span, s []byte, from, to int) []span {
	i := bytes.Index(s[from:to], []byte("eyJ"))
	switch {
	case i >= 0 && to-from-i >= 7:
		end := to
		for end < len(s) && class[s[end]]&(wordy|dot) != 0 {
			end++
		}
		return append(out, span{from + i, end})
	case bytes.HasSuffix(s[from:to], []byte("SG")) && (to-from == 2 || s[to-3] == '-'):
		first := wordEnd(s, to+1)
		if first-to-1 < 16 || first == len(s) || s[first] != '.' {
			return out
		}
		if second := wordEnd(s, first+1); second-first-1 >= 16 {
			out = append(out, span{to - 2, second})
		}
	}
	return out
}

func wordEnd(s []byte, i int) int {
	for i < len(s) && class[s[i]]&wordy != 0 {
		i++
	}
	return i
}

// privateKey finds the PEM block (RFC 7468) that begins at i if it holds a private key: up to its end or the text's.
func privateKey(out []span, s []byte, i int) []span {
	const begin, end, dashes = "-----BEGIN ", "-----END ", "-----"
	label, rest, _ := bytes.Cut(s[i+len(begin):], []byte(dashes))
	if !isPrivate(label) {
		return out
	}
	for to := len(s) - len(rest); ; {
		next := bytes.Index(s[to:], []byte(end))
		if next < 0 {
			return append(out, span{i, len(s)})
		}
		to += next + len(end)
		label, _, closed := bytes.Cut(s[to:], []byte(dashes))
		if closed && isPrivate(label) {
			return append(out, span{i, to + len(label) + len(dashes)})
		}
	}
}

// isPrivate tells whether a PEM label is that of a private key.
func isPrivate(label []byte) bool {
	for _, c := range label {
		if !isUpper(c) && c != ' ' && class[c]&digit == 0 {
			return false
		}
	}
	return bytes.HasSuffix(bytes.TrimSuffix(label, []byte(" BLOCK")), []byte("PRIVATE KEY"))
}

// userinfo finds user and password of a URL (RFC 3986, 3.2.1). A user alone may be a token.
func userinfo(out []span, s []byte) []span {
	for from := 0; ; {
		i := bytes.Index(s[from:], []byte("://"))
		if i < 0 {
			return out
		}
		i += from + 3
		from = i
		if i == 3 || class[s[i-4]]&wordy == 0 {
			continue // no scheme
		}
		last := i
		for j := i; j < len(s) && s[j] > ' ' && bytes.IndexByte([]byte(`/?#"'<>`), s[j]) < 0; j++ {
			if s[j] == '@' {
				last = j
			}
		}
		if last > i {
			out = append(out, span{i, last})
		}
	}
}

// emails finds addresses: a word with a dot behind an @.
func emails(out []span, s []byte) []span {
	part := func(c byte) bool { return class[c]&(wordy|dot) != 0 || c == '+' || c >= 0x80 }
	for i := 1; i+3 < len(s); i++ {
		if s[i] != '@' || !part(s[i-1]) {
			continue
		}
		from, to := i, i+1
		for from > 0 && part(s[from-1]) {
			from--
		}
		for to < len(s) && part(s[to]) {
			to++
		}
		if bytes.IndexByte(s[i+1:to], '.') > 0 {
			out = append(out, span{from, to})
		}
		i = to
	}
	return out
}
