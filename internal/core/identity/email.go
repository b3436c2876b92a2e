package identity

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/kept-dev/kept/internal/kernel"
)

// Address is an e-mail address as it was typed, and the key by which two spellings of it are found to be one.
type Address struct {
	Typed string
	Key   string
}

const maxAddress = 254 // RFC 5321: what fits between < and > of a path, without them

// ParseAddress reads one plain address, without a name. It is strict in what would be dangerous (line breaks, hidden
// characters, two addresses) and easy on the rest: only a mail that arrives proves an address.
func ParseAddress(s string) (Address, error) {
	s = norm.NFC.String(strings.TrimSpace(s))
	bad := func(note string) (Address, error) { return Address{}, kernel.InvalidField("email", note) }
	switch {
	case s == "":
		return bad("Enter your e-mail address.")
	case len(s) > maxAddress || !utf8.ValidString(s):
		return bad("This address is too long.")
	case strings.ContainsFunc(s, forbiddenInAddress):
		return bad("An address has no spaces, quotes, commas or brackets.")
	}
	at := strings.LastIndexByte(s, '@')
	if at < 1 || at > 64 || strings.Contains(s[:at], "@") {
		return bad("An address looks like name@example.org.")
	}
	if !validDomain(s[at+1:]) {
		return bad("The part behind the @ is not the name of a mail domain.")
	}
	if l := s[:at]; l[0] == '.' || l[at-1] == '.' || strings.Contains(l, "..") {
		return bad("The part before the @ has a dot too many.")
	}
	// Upper and lower case: no mail server in use tells them apart before the @, and people mix them up.
	return Address{Typed: s, Key: strings.ToLower(s)}, nil
}

func forbiddenInAddress(r rune) bool {
	return r <= ' ' || r == 0x7f || strings.ContainsRune(`"(),:;<>[\]`, r) || r == utf8.RuneError ||
		unicode.IsControl(r) || unicode.IsSpace(r) || unicode.Is(unicode.Cf, r)
}

func validDomain(d string) bool {
	labels := strings.Split(d, ".")
	if len(d) > 253 || len(labels) < 2 && d != "localhost" {
		return false
	}
	for _, l := range labels {
		if l == "" || len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' || strings.ContainsFunc(l, notInLabel) {
			return false
		}
	}
	return true
}

func notInLabel(r rune) bool {
	return r != '-' && !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r)
}
