package expo

import (
	"errors"
	"fmt"
	"math"
	"strings"
)

var nan = math.NaN()

// cutName splits after the metric's name.
func cutName(line string) (name, rest string) {
	i := strings.IndexAny(line, "{ \t")
	if i < 0 {
		return line, ""
	}
	return line[:i], line[i:]
}

// validName tells whether a text is a name; only those of metrics may have colons.
func validName(name string, colons bool) bool {
	if name == "" || len(name) > maxName {
		return false
	}
	for i := range len(name) {
		c := name[i]
		switch {
		case c == '_', 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z':
		case c == ':' && colons, '0' <= c && c <= '9' && i > 0:
		default:
			return false
		}
	}
	return true
}

// readLabels reads name="value",… up to the closing brace and returns what is behind it.
func readLabels(labels []string, text string) (pairs []string, rest string, err error) {
	start := len(labels)
	for {
		text = strings.TrimLeft(text, " \t")
		if after, ok := strings.CutPrefix(text, "}"); ok {
			return labels, after, nil
		}
		name, after, ok := strings.Cut(text, "=")
		name = strings.TrimRight(name, " \t")
		if !ok || !validName(name, false) {
			return nil, "", errors.New("a label's name is missing or wrong")
		}
		for i := start; i < len(labels); i += 2 {
			if labels[i] == name {
				return nil, "", fmt.Errorf("label %.40q twice", name)
			}
		}
		if name == "__name__" || len(labels)-start >= 2*maxLabels {
			return nil, "", fmt.Errorf("label %.40q is one that cannot be, or one too many", name)
		}
		value, after, err := readQuoted(strings.TrimLeft(after, " \t"))
		if err != nil {
			return nil, "", err
		}
		labels = append(labels, name, value)
		text = strings.TrimLeft(after, " \t")
		if after, ok := strings.CutPrefix(text, ","); ok {
			text = after
		} else if !strings.HasPrefix(text, "}") {
			return nil, "", errors.New("want a comma or a closing brace after a label")
		}
	}
}

// readQuoted reads a text in quotes. Without escapes, which is usual, it is a view of the input.
func readQuoted(text string) (value, rest string, err error) {
	if !strings.HasPrefix(text, `"`) {
		return "", "", errors.New("a label's value needs quotes")
	}
	text = text[1:]
	i := strings.IndexAny(text, `"\`)
	if i >= 0 && text[i] == '"' {
		return text[:i], text[i+1:], nil
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			return b.String(), text[i+1:], nil
		case c != '\\':
			b.WriteByte(c)
		case i+1 < len(text):
			i++
			b.WriteString(unescape(text[i]))
		}
	}
	return "", "", errors.New("a label's value does not end")
}

func unescape(c byte) string {
	switch c {
	case 'n':
		return "\n"
	case '\\', '"':
		return string(rune(c))
	}
	return `\` + string([]byte{c})
}

func unescapeHelp(text string) string {
	if !strings.Contains(text, `\`) {
		return text
	}
	return helpEscapes.Replace(text)
}

var helpEscapes = strings.NewReplacer(`\\`, `\`, `\n`, "\n", `\"`, `"`)
