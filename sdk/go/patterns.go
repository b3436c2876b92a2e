package kept

import (
	"regexp"
	"strings"
)

// pattern is one kind of secret inside a text. The hint is a cheap test that
// spares most texts the regular expression; it must not miss a match.
type pattern struct {
	hint func(string) bool
	re   *regexp.Regexp
	with string
}

// tokenLike tells a token from a word ("bearer certificates", "authorization: denied"): it has a digit or is long.
const tokenLike = `(?:[a-z0-9._~+/=-]*[0-9][a-z0-9._~+/=-]{4,}|[a-z0-9._~+/=-]{4,}[0-9][a-z0-9._~+/=-]*|[a-z0-9._~+/=-]{20,})`

// The built-in patterns. Read-only after start.
var patterns = []pattern{
	{ // a private key, also one whose end was cut off
		has("PRIVATE KEY"),
		regexp.MustCompile(`(?s)-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|$)`),
		redacted,
	},
	{ // the value of an Authorization header
		hasFold("authorization"),
		regexp.MustCompile(`(?i)\b(authorization[\\"']*\s*[:=]\s*[\\"']*)(?:basic\s+[a-z0-9+/=]+|(?:[a-z0-9-]+\s+)?` + tokenLike + `)`),
		"${1}" + redacted,
	},
	{
		hasFold("bearer"),
		regexp.MustCompile(`(?i)\b(bearer\s+)` + tokenLike),
		"${1}" + redacted,
	},
	{ // a JSON Web Token or JWE: base64 of {" begins with eyJ
		has("eyJ"),
		regexp.MustCompile(`eyJ[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*){1,4}`),
		redacted,
	},
	{ // user and password of a URL
		all(has("://"), has("@")),
		regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*://)[^\s/?#"'<>]+@`),
		"${1}" + redacted + "@",
	},
	{ // keys of well-known services, recognisable by their first letters
		hasAny("_live_", "_test_", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "xox", "AKIA", "ASIA", "AIza", "sk-", "SG."),
		regexp.MustCompile(`\b(?:(?:sk|rk|pk|whsec)_(?:live|test)_[A-Za-z0-9]{8,}|gh[pousr]_[A-Za-z0-9]{16,}|github_pat_[A-Za-z0-9_]{16,}|glpat-[A-Za-z0-9_-]{16,}|xox[a-z]-[A-Za-z0-9-]{10,}|A[KS]IA[0-9A-Z]{16}|AIza[0-9A-Za-z_-]{30,}|sk-[A-Za-z0-9_-]{20,}|SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,})`),
		redacted,
	},
	{ // password=... in connection strings and query strings, and "password":"..." in quoted JSON
		all(hasAny("=", `":`, `\":`), hasFold("pass", "pwd", "secret", "token", "key")),
		regexp.MustCompile(`(?i)((?:^|[^a-z0-9])(?:password|passwd|pwd|secret|client_secret|token|api_?key|access_?token|refresh_?token)(?:=|\\?"\s*:\s*\\?"))("[^"]*"|'[^']*'|[^\s&;"'\\<>]+)`),
		"${1}" + redacted,
	},
}

// scrub replaces what the built-in patterns find.
func scrub(s string) string {
	if len(s) < 8 { // shorter than any secret the patterns know
		return s
	}
	for _, p := range patterns {
		if p.hint(s) {
			s = p.re.ReplaceAllString(s, p.with)
		}
	}
	return scrubCards(s)
}

func has(sub string) func(string) bool {
	return func(s string) bool { return strings.Contains(s, sub) }
}

func hasAny(subs ...string) func(string) bool {
	return func(s string) bool {
		for _, sub := range subs {
			if strings.Contains(s, sub) {
				return true
			}
		}
		return false
	}
}

func all(a, b func(string) bool) func(string) bool {
	return func(s string) bool { return a(s) && b(s) }
}

// hasFold is hasAny without regard to ASCII case; the subs are lower case and begin with a letter.
func hasFold(subs ...string) func(string) bool {
	return func(s string) bool {
		for i := range len(s) {
			for _, sub := range subs {
				if s[i]|0x20 == sub[0] && len(s)-i >= len(sub) && strings.EqualFold(s[i:i+len(sub)], sub) {
					return true
				}
			}
		}
		return false
	}
}

// scrubCards replaces payment card numbers: 14 to 19 digits of a known issuer
// with a valid check digit, bare or in groups parted by one space or dash.
// Numbers in JSON number syntax are never touched, for ids must survive exactly.
func scrubCards(s string) string {
	var out strings.Builder
	done := 0
	for i := 0; i < len(s); {
		if !digit(s[i]) || i > 0 && wordByte(s[i-1]) {
			i++
			continue
		}
		groups, end := digitGroups(s, i)
		for len(groups) > 0 {
			n := cardAt(s, groups)
			if n == 0 {
				groups = groups[1:]
				continue
			}
			out.WriteString(s[done:groups[0].from])
			out.WriteString(redacted)
			done = groups[n-1].to
			groups = groups[n:]
		}
		i = end
	}
	if done == 0 {
		return s
	}
	out.WriteString(s[done:])
	return out.String()
}

type span struct{ from, to int }

// digitGroups reads digits in groups parted by single spaces or dashes from i on.
func digitGroups(s string, i int) (groups []span, end int) {
	for {
		from := i
		for i < len(s) && digit(s[i]) {
			i++
		}
		if i == len(s) || !wordByte(s[i]) {
			groups = append(groups, span{from, i})
		} // else the digits run into a word, as in "12ab", and are no group
		if i+1 < len(s) && (s[i] == ' ' || s[i] == '-') && digit(s[i+1]) {
			i++
			continue
		}
		return groups, max(i, from+1)
	}
}

// cardAt returns how many of the first groups form a card number, or 0.
func cardAt(s string, groups []span) int {
	var digits []byte
	for n, g := range groups {
		if len(digits)+g.to-g.from > 19 {
			return 0
		}
		digits = append(digits, s[g.from:g.to]...)
		if len(digits) >= 14 && issuer(digits) && luhn(digits) {
			return n + 1
		}
	}
	return 0
}

// issuer reports whether the length fits the issuer that the first digits name.
func issuer(d []byte) bool {
	four := int(d[0]-'0')*1000 + int(d[1]-'0')*100 + int(d[2]-'0')*10 + int(d[3]-'0')
	two := four / 100
	switch n := len(d); {
	case d[0] == '4': // Visa
		return n == 16 || n == 19
	case two >= 51 && two <= 55, four >= 2221 && four <= 2720: // Mastercard
		return n == 16
	case two == 34, two == 37: // American Express
		return n == 15
	case two == 36, two == 38, two == 39, four >= 3000 && four <= 3059: // Diners Club
		return n == 14 || n == 16
	case four >= 3528 && four <= 3589, two == 62, two == 64, two == 65, four == 6011: // JCB, UnionPay, Discover
		return n >= 16
	}
	return false
}

func luhn(d []byte) bool {
	sum := 0
	for i := range d {
		v := int(d[len(d)-1-i] - '0')
		if i%2 == 1 {
			if v *= 2; v > 9 {
				v -= 9
			}
		}
		sum += v
	}
	return sum%10 == 0
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

func wordByte(c byte) bool {
	return digit(c) || c|0x20 >= 'a' && c|0x20 <= 'z'
}
