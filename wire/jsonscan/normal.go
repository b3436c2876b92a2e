package jsonscan

import (
	"bytes"
	"unicode/utf8"
)

// NeedsPlain tells whether Plain would change a text.
func NeedsPlain(raw []byte) bool {
	return bytes.Contains(raw, []byte(`\u`)) || bytes.Contains(raw, []byte(`\/`))
}

// Plain appends valid JSON text to dst with escape sequences replaced by the characters they stand for, where JSON
// allows those: some encoders (PHP's) escape slashes and all that is not ASCII, which hides words from a search and
// takes twice the room. White space, numbers and other escapes stay as they are.
func Plain(dst, raw []byte) []byte {
	for i := 0; i < len(raw); {
		if raw[i] != '\\' || i+1 == len(raw) {
			j := i + 1
			for j < len(raw) && raw[j] != '\\' {
				j++
			}
			dst = append(dst, raw[i:j]...)
			i = j
			continue
		}
		switch raw[i+1] {
		case '/':
			dst = append(dst, '/')
			i += 2
		case 'u':
			if len(raw) < i+6 {
				return append(dst, raw[i:]...)
			}
			r, n := unicode(raw[i:])
			if r < 0x20 || r == '"' || r == '\\' || r == 0x7F || r == utf8.RuneError {
				dst = append(dst, raw[i:i+n]...)
			} else {
				dst = utf8.AppendRune(dst, r)
			}
			i += n
		default:
			dst = append(dst, raw[i:i+2]...)
			i += 2
		}
	}
	return dst
}
