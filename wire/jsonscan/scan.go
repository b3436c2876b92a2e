// Package jsonscan walks JSON text in place: it validates (RFC 8259), finds where values begin and end, and copies
// nothing. It exists because ingest reads tens of megabytes a second of events of which it looks into a few members and
// stores the rest as it came, and because a payload's numbers must never pass through a float64.
package jsonscan

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"unicode/utf8"
)

// Error says where JSON text is broken. Offset counts bytes from the beginning of the text.
type Error struct {
	Offset int
	Reason string
}

func (e *Error) Error() string { return fmt.Sprintf("broken JSON at byte %d: %s", e.Offset, e.Reason) }

// ErrDepth is the Reason of a value that is nested deeper than the limit.
const ErrDepth = "nested too deep"

func fail(at int, reason string) error { return &Error{Offset: at, Reason: reason} }

// Space skips white space from i.
func Space(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\r' || b[i] == '\t') {
		i++
	}
	return i
}

// String returns the index behind the string that begins with the quote at i, and whether it holds escapes. The text
// between the quotes is b[i+1 : end-1].
func String(b []byte, i int) (end int, escaped bool, err error) {
	if i >= len(b) || b[i] != '"' {
		return i, false, fail(i, "expected a string")
	}
	for j := i + 1; ; {
		j = plain(b, j)
		if j >= len(b) {
			return j, escaped, fail(i, "string without an end")
		}
		switch c := b[j]; {
		case c == '"':
			return j + 1, escaped, nil
		case c == '\\':
			escaped = true
			n, err := escape(b, j)
			if err != nil {
				return j, true, err
			}
			j += n
		case c < 0x20:
			return j, escaped, fail(j, "control character in a string (write it as \\u00XX)")
		default:
			j++
		}
	}
}

// plain skips bytes that are neither a quote, a backslash nor a control character, eight at a time (the "has a zero
// byte" trick of Bit Twiddling Hacks); it may stop early, on a byte that String then looks at by itself.
func plain(b []byte, j int) int {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	for j+8 <= len(b) {
		v := binary.LittleEndian.Uint64(b[j:])
		quote, slash := v^(ones*'"'), v^(ones*'\\')
		hit := ((quote-ones)&^quote | (slash-ones)&^slash | (v-ones*0x20)&^v) & highs
		if hit != 0 {
			return j + bits.TrailingZeros64(hit)/8
		}
		j += 8
	}
	for j < len(b) && b[j] != '"' && b[j] != '\\' && b[j] >= 0x20 {
		j++
	}
	return j
}

// escape returns the length of the escape sequence at j.
func escape(b []byte, j int) (int, error) {
	if j+1 >= len(b) {
		return 0, fail(j, "string without an end")
	}
	switch b[j+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2, nil
	case 'u':
		if j+6 > len(b) {
			return 0, fail(j, "string without an end")
		}
		for _, c := range b[j+2 : j+6] {
			if _, ok := hex(c); !ok {
				return 0, fail(j, "\\u wants four hexadecimal digits")
			}
		}
		return 6, nil
	}
	return 0, fail(j, "unknown escape sequence")
}

func hex(c byte) (rune, bool) {
	switch {
	case c >= '0' && c <= '9':
		return rune(c - '0'), true
	case c >= 'a' && c <= 'f':
		return rune(c-'a') + 10, true
	case c >= 'A' && c <= 'F':
		return rune(c-'A') + 10, true
	}
	return 0, false
}

// Unescape appends the text of a string's inside (without the quotes, already validated by String) to dst. Lone
// surrogates become U+FFFD, as in encoding/json.
func Unescape(dst, inside []byte) []byte {
	for i := 0; i < len(inside); {
		if inside[i] != '\\' {
			j := i + 1
			for j < len(inside) && inside[j] != '\\' {
				j++
			}
			dst = append(dst, inside[i:j]...)
			i = j
			continue
		}
		switch c := inside[i+1]; c {
		case 'u':
			r, n := unicode(inside[i:])
			dst = utf8.AppendRune(dst, r)
			i += n
			continue
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		default:
			dst = append(dst, c)
		}
		i += 2
	}
	return dst
}

// unicode reads \uXXXX, or a surrogate pair of two, at the beginning of b.
func unicode(b []byte) (rune, int) {
	r := hex4(b[2:])
	if r < 0xD800 || r > 0xDFFF {
		return r, 6
	}
	if r < 0xDC00 && len(b) >= 12 && b[6] == '\\' && b[7] == 'u' {
		if low := hex4(b[8:]); low >= 0xDC00 && low <= 0xDFFF {
			return (r-0xD800)<<10 + (low - 0xDC00) + 0x10000, 12
		}
	}
	return utf8.RuneError, 6
}

func hex4(b []byte) rune {
	var r rune
	for _, c := range b[:4] {
		d, _ := hex(c)
		r = r<<4 | d
	}
	return r
}

// Number returns the index behind the number at i.
func Number(b []byte, i int) (int, error) {
	j := i
	if j < len(b) && b[j] == '-' {
		j++
	}
	switch {
	case j < len(b) && b[j] == '0':
		j++
	case j < len(b) && b[j] >= '1' && b[j] <= '9':
		j = digits(b, j)
	default:
		return i, fail(i, "expected a value")
	}
	if j < len(b) && b[j] == '.' {
		k := digits(b, j+1)
		if k == j+1 {
			return i, fail(i, "a number wants digits behind its point")
		}
		j = k
	}
	if j < len(b) && (b[j] == 'e' || b[j] == 'E') {
		k := j + 1
		if k < len(b) && (b[k] == '+' || b[k] == '-') {
			k++
		}
		end := digits(b, k)
		if end == k {
			return i, fail(i, "a number wants digits in its exponent")
		}
		j = end
	}
	return j, nil
}

func digits(b []byte, j int) int {
	for j < len(b) && b[j] >= '0' && b[j] <= '9' {
		j++
	}
	return j
}

// Value returns the index behind the value at i (which is not white space). Depth is how many levels of objects and
// arrays it may open.
func Value(b []byte, i, depth int) (int, error) {
	if i >= len(b) {
		return i, fail(i, "expected a value, found the end")
	}
	switch b[i] {
	case '"':
		end, _, err := String(b, i)
		return end, err
	case '{':
		return object(b, i, depth)
	case '[':
		return array(b, i, depth)
	case 't':
		return literal(b, i, "true")
	case 'f':
		return literal(b, i, "false")
	case 'n':
		return literal(b, i, "null")
	}
	return Number(b, i)
}

func literal(b []byte, i int, word string) (int, error) {
	if len(b)-i < len(word) || string(b[i:i+len(word)]) != word {
		return i, fail(i, "expected a value")
	}
	return i + len(word), nil
}

func object(b []byte, i, depth int) (int, error) {
	if depth <= 0 {
		return i, fail(i, ErrDepth)
	}
	return Object(b, i, func(_ []byte, _ bool, at int) (int, error) { return Value(b, at, depth-1) })
}

func array(b []byte, i, depth int) (int, error) {
	if depth <= 0 {
		return i, fail(i, ErrDepth)
	}
	return Array(b, i, func(at int) (int, error) { return Value(b, at, depth-1) })
}

// Object walks the members of the object at i. For each it calls member with the key's inside, whether that has
// escapes, and where the value begins; member returns the index behind the value. Object returns the one behind "}".
func Object(b []byte, i int, member func(key []byte, escaped bool, at int) (int, error)) (int, error) {
	if i >= len(b) || b[i] != '{' {
		return i, fail(i, "expected an object")
	}
	j := Space(b, i+1)
	if j < len(b) && b[j] == '}' {
		return j + 1, nil
	}
	for {
		end, escaped, err := String(b, j)
		if err != nil {
			return j, err
		}
		key := b[j+1 : end-1]
		if j = Space(b, end); j >= len(b) || b[j] != ':' {
			return j, fail(j, "expected : behind a key")
		}
		if j, err = member(key, escaped, Space(b, j+1)); err != nil {
			return j, err
		}
		if j = Space(b, j); j >= len(b) {
			return j, fail(i, "object without an end")
		}
		switch b[j] {
		case '}':
			return j + 1, nil
		case ',':
			j = Space(b, j+1)
		default:
			return j, fail(j, "expected , or } in an object")
		}
	}
}

// Array walks the elements of the array at i; element gets where one begins and returns the index behind it.
func Array(b []byte, i int, element func(at int) (int, error)) (int, error) {
	if i >= len(b) || b[i] != '[' {
		return i, fail(i, "expected an array")
	}
	j := Space(b, i+1)
	if j < len(b) && b[j] == ']' {
		return j + 1, nil
	}
	for {
		var err error
		if j, err = element(j); err != nil {
			return j, err
		}
		if j = Space(b, j); j >= len(b) {
			return j, fail(i, "array without an end")
		}
		switch b[j] {
		case ']':
			return j + 1, nil
		case ',':
			j = Space(b, j+1)
		default:
			return j, fail(j, "expected , or ] in an array")
		}
	}
}
