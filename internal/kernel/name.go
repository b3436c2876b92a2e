package kernel

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// CleanName is a name as a person typed it into a field, with single spaces. A name that is longer than that many
// characters, or has some that cannot be seen or turn the direction of others, is an error of the field.
func CleanName(field, s string, longest int) (string, error) {
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "")), " ")
	if utf8.RuneCountInString(s) > longest {
		return "", InvalidField(field, fmt.Sprintf("Use at most %d characters.", longest))
	}
	if strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) }) {
		return "", InvalidField(field, "Use visible characters only.")
	}
	return s, nil
}
