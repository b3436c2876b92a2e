package redact

import "bytes"

// Lengths below which a text cannot hold a secret of a known form.
const (
	minSecret = 7
	minCard   = 13
	maxCard   = 19
)

// span is a half-open range of bytes to take out.
type span struct{ from, to int }

// Classes of bytes. A text is first read once for its classes, and only the patterns that could be in it are tried.
const (
	digit = 1 << iota
	wordy // letters and digits and - _ of tokens
	at
	colon
	dash
	dot
	blank
)

var class = func() (t [256]byte) {
	for c := range t {
		switch {
		case c >= '0' && c <= '9':
			t[c] = digit | wordy
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_':
			t[c] = wordy
		}
	}
	t['-'] = dash | wordy
	t['@'], t[':'], t['.'], t[' '] = at, colon, dot, blank
	return t
}()

// find lists what to take out of a text, in order and without overlaps.
func (r *Rules) find(s []byte) []span {
	var seen byte
	digits := 0
	for _, c := range s {
		k := class[c]
		seen |= k
		digits += int(k & digit)
	}
	var out []span
	if digits >= minCard {
		out = cards(out, s)
	}
	if len(s) >= 24 {
		if seen&dot != 0 {
			out = prefixed(out, s, "eyJ", 24) // JSON Web Token, RFC 7519: base64url of {"
		}
		if seen&blank != 0 {
			out = afterWord(out, s, "bearer ")
			out = afterWord(out, s, "basic ")
		}
		if seen&dash != 0 {
			out = privateKeys(out, s)
		}
		for _, prefix := range keyPrefixes {
			out = prefixed(out, s, prefix, 20)
		}
	}
	if seen&at != 0 {
		if seen&colon != 0 {
			out = userinfo(out, s)
		}
		if r.Emails {
			out = emails(out, s)
		}
	}
	return tidy(out)
}

// keyPrefixes begin the API keys of services that are often found in payloads, and our own.
var keyPrefixes = []string{"sk_live_", "rk_live_", "ghp_", "gho_", "github_pat_", "glpat-", "xoxb-", "xoxp-", "AKIA", "kept_"}

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

// cards finds payment card numbers: 13 to 19 digits, perhaps in groups set apart by blanks or dashes, whose check digit
// is right (ISO/IEC 7812-1, annex B).
func cards(out []span, s []byte) []span {
	for i := 0; i < len(s); i++ {
		if class[s[i]]&digit == 0 || i > 0 && class[s[i-1]]&wordy != 0 {
			continue
		}
		j, n := i, 0
		for j < len(s) && (class[s[j]]&digit != 0 || (s[j] == ' ' || s[j] == '-') && j+1 < len(s) && class[s[j+1]]&digit != 0) {
			n += int(class[s[j]] & digit)
			j++
		}
		if n >= minCard && n <= maxCard && (j == len(s) || class[s[j]]&wordy == 0) && isCard(s[i:j]) {
			out = append(out, span{i, j})
		}
		i = j
	}
	return out
}

// isCard checks the length, the first digit that card schemes use (2 to 6) and the Luhn check digit.
func isCard(s []byte) bool {
	if s[0] < '2' || s[0] > '6' {
		return false
	}
	sum, n := 0, 0
	for i := len(s) - 1; i >= 0; i-- {
		c := s[i]
		if c == ' ' || c == '-' {
			continue
		}
		if c < '0' || c > '9' {
			return false
		}
		d := int(c - '0')
		if n%2 == 1 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
		n++
	}
	return n >= minCard && n <= maxCard && sum%10 == 0
}

// prefixed finds tokens that begin with a known prefix at the beginning of a word and are at least least bytes long.
func prefixed(out []span, s []byte, prefix string, least int) []span {
	for from := 0; ; {
		i := bytes.Index(s[from:], []byte(prefix))
		if i < 0 {
			return out
		}
		i += from
		j := i
		for j < len(s) && (class[s[j]]&wordy != 0 || s[j] == '.') {
			j++
		}
		if j-i >= least && (i == 0 || class[s[i-1]]&wordy == 0) {
			out = append(out, span{i, j})
		}
		from = max(j, i+len(prefix))
	}
}

// afterWord finds what follows an authentication scheme's name.
func afterWord(out []span, s []byte, word string) []span {
	for i := 0; i+len(word)+8 <= len(s); i++ {
		if s[i]|0x20 != word[0] || !equalFold(s[i:i+len(word)], word) {
			continue
		}
		from := i + len(word)
		j := from
		for j < len(s) && (class[s[j]]&wordy != 0 || s[j] == '.' || s[j] == '=' || s[j] == '+' || s[j] == '/' || s[j] == '~') {
			j++
		}
		if j-from >= 8 {
			out = append(out, span{from, j})
		}
		i = j
	}
	return out
}

func equalFold(s []byte, word string) bool {
	for i := range s {
		if s[i]|0x20 != word[i]|0x20 {
			return false
		}
	}
	return true
}

// privateKeys finds PEM blocks (RFC 7468) that hold a private key, up to their end or the text's.
func privateKeys(out []span, s []byte) []span {
	const end = "PRIVATE KEY-----"
	i := bytes.Index(s, []byte("-----BEGIN "))
	if i < 0 {
		return out
	}
	begin := bytes.Index(s[i:], []byte(end))
	if begin < 0 {
		return out
	}
	to := len(s)
	if j := bytes.Index(s[i+begin+len(end):], []byte(end)); j >= 0 {
		to = i + begin + len(end) + j + len(end)
	}
	return append(out, span{i, to})
}

// userinfo finds the password of a URL (RFC 3986, 3.2.1).
func userinfo(out []span, s []byte) []span {
	for from := 0; ; {
		i := bytes.Index(s[from:], []byte("://"))
		if i < 0 {
			return out
		}
		i += from + 3
		from = i
		password := 0
		for j := i; j < len(s) && s[j] > ' ' && s[j] != '/' && s[j] != '?' && s[j] != '#' && s[j] != '"'; j++ {
			if s[j] == ':' && password == 0 {
				password = j + 1
			}
			if s[j] == '@' && password > 0 {
				if j > password {
					out = append(out, span{password, j})
				}
				break
			}
		}
	}
}

// emails finds addresses: a word with a dot behind an @.
func emails(out []span, s []byte) []span {
	part := func(c byte) bool { return class[c]&wordy != 0 || c == '.' || c == '+' || c >= 0x80 }
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
