package identity

import (
	_ "embed"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/kept-dev/kept/internal/kernel"
)

// The length of a password, in characters. Length is the only rule of form: rules of composition lead to Password1!.
const (
	MinPassword = 10
	MaxPassword = 256
)

// commonWords are the words and rows of keys that the most used passwords are made of, one per line.
//
//go:embed common.txt
var commonText string

var commonWords = func() map[string]bool {
	words := map[string]bool{}
	for _, w := range strings.Fields(commonText) {
		words[w] = true
	}
	return words
}()

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
	case isCommon(lower):
		return kernel.InvalidField(field, "This is one of the first passwords that anybody would try. Choose another.")
	case isPattern(lower):
		return kernel.InvalidField(field, "This repeats or counts, which is guessed quickly. Choose another.")
	case isAddress(lower, of.Key):
		return kernel.InvalidField(field, "This is nearly your address. Choose another.")
	}
	return nil
}

// unleet undoes the usual replacements of letters.
var unleet = strings.NewReplacer("0", "o", "1", "i", "3", "e", "4", "a", "5", "s", "7", "t", "@", "a", "$", "s", "!", "i")

// isCommon finds a common word, alone or twice, with the usual decoration: digits and signs at the ends, and letters
// replaced by what looks like them.
func isCommon(lower string) bool {
	if commonWords[lower] || commonWords[unleet.Replace(lower)] {
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
	for _, s := range []string{core, unleet.Replace(core)} {
		if commonWords[s] {
			return true
		}
		if half := len(s) / 2; len(s)%2 == 0 && s[:half] == s[half:] && commonWords[s[:half]] {
			return true
		}
	}
	return false
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

// isAddress finds an address, or the part before its @, with at most four characters added.
func isAddress(lower, address string) bool {
	local, _, _ := strings.Cut(address, "@")
	for _, s := range []string{address, local} {
		if len(s) >= 4 && strings.Contains(lower, s) && utf8.RuneCountInString(lower)-utf8.RuneCountInString(s) <= 4 {
			return true
		}
	}
	return false
}
