package identity

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/kept-dev/kept/internal/core/identity/breached"
	"github.com/kept-dev/kept/internal/kernel"
)

// The length of a password, in characters. Length is the only rule of form: rules of composition lead to Password1!.
const (
	MinPassword = 10
	MaxPassword = 256
)

// product is the name of what the password is for. It is the first thing to try.
const product = "kept"

// checkPassword says what is wrong with a new password, as an Invalid error for the named field.
func checkPassword(field, password string, of Address) error {
	p := norm.NFKC.String(password)
	switch n := utf8.RuneCountInString(p); {
	case p == "":
		return kernel.InvalidField(field, "Choose a password.")
	case n < MinPassword:
		return kernel.InvalidField(field, "Use at least 10 characters. A few words with spaces are easy to remember.")
	case n > MaxPassword:
		return kernel.InvalidField(field, "Use at most 256 characters.")
	}
	lower := strings.ToLower(p)
	switch {
	case isKnown(lower):
		return kernel.InvalidField(field, "This is one of the first passwords that anybody would try: it leaked elsewhere, or is a single common word. Choose another.")
	case isPattern(lower):
		return kernel.InvalidField(field, "This repeats or counts, which is guessed quickly. Choose another.")
	case hasAddress(lower, of.Key):
		return kernel.InvalidField(field, "Your address is in it, which is tried first. Choose another.")
	case strings.Contains(lower, product):
		return kernel.InvalidField(field, "The name of this service is in it, which is tried first. Choose another.")
	}
	return nil
}

// unleet undoes the usual replacements of letters.
var unleet = strings.NewReplacer("0", "o", "1", "i", "3", "e", "4", "a", "5", "s", "7", "t", "@", "a", "$", "s", "!", "i")

// isKnown finds a password that leaked, or a common word, alone or twice, with the usual decoration: digits and signs at
// the ends, and letters replaced by what looks like them.
func isKnown(lower string) bool {
	known := breached.Known()
	if known.Has(lower) || known.Has(unleet.Replace(lower)) {
		return true
	}
	core := strings.TrimFunc(lower, func(r rune) bool { return !unicode.IsLetter(r) && r != '@' && r != '$' })
	core = strings.TrimRight(core, "@$")
	if core == "" {
		return len(lower) < 16 // digits and signs only: a date, a telephone number
	}
	if len(lower)-len(core) >= 12 {
		return false // so much decoration is a password of its own
	}
	for _, s := range append(withDigits(lower, core), core, unleet.Replace(core)) {
		if known.Has(s) {
			return true
		}
		if half := len(s) / 2; len(s)%2 == 0 && s[:half] == s[half:] && known.Has(s[:half]) {
			return true
		}
	}
	return false
}

// withDigits is the core with the digits right behind it, each number of them: some known passwords end in digits, as
// trustno1 does, and with a year added they are in no list.
func withDigits(lower, core string) (out []string) {
	_, rest, _ := strings.Cut(lower, core)
	for i, r := range rest {
		if !unicode.IsDigit(r) {
			break
		}
		out = append(out, core+rest[:i+1])
	}
	return out
}

// isPattern finds what repeats a unit of at most four characters, and what counts up or down.
func isPattern(s string) bool {
	r := []rune(s)
	for unit := 1; unit <= 4; unit++ {
		same := true
		for i := unit; i < len(r) && same; i++ {
			same = r[i] == r[i-unit]
		}
		if same {
			return true
		}
	}
	step := r[1] - r[0]
	if step != 1 && step != -1 {
		return false
	}
	for i := 2; i < len(r); i++ {
		if r[i]-r[i-1] != step {
			return false
		}
	}
	return true
}

// hasAddress finds an address, or the part before its @ where that is long enough to say something.
func hasAddress(lower, address string) bool {
	local, _, _ := strings.Cut(address, "@")
	return address != "" && strings.Contains(lower, address) || len(local) >= 4 && strings.Contains(lower, local)
}
