package dashboard

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/kept-dev/kept/internal/kernel"
)

// choice is what a variable stands for at the moment.
type choice struct {
	Variable
	Values  []string // what was chosen; all choices where All is
	IsAll   bool
	Options []string
	Note    string // why there are no choices
}

// env is everything that a query's text may refer to.
type env struct {
	choices map[string]choice
	builtin map[string]string // "__interval", …
}

// with is the env in which a variable has one value.
func (e env) with(name, value string) env {
	out := env{choices: map[string]choice{}, builtin: e.builtin}
	for k, v := range e.choices {
		out.choices[k] = v
	}
	c := out.choices[name]
	c.Values, c.IsAll = []string{value}, false
	out.choices[name] = c
	return out
}

// reference is $name, ${name}, ${name:format} or [[name]] at the beginning of a text. The format is not needed: the place
// that a variable stands in says how it is written.
var reference = regexp.MustCompile(`^(?:\$([A-Za-z_][A-Za-z0-9_]*)|\$\{([A-Za-z_][A-Za-z0-9_]*)(?:[:.][A-Za-z0-9_:.%-]*)?\}|\[\[([A-Za-z_][A-Za-z0-9_]*)(?::[a-z]+)?\]\])`)

// word is what may stand in a query outside of quotes: a name, a number or a duration.
var word = regexp.MustCompile(`^(?:[A-Za-z_:][A-Za-z0-9_:]*|-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|(?:[0-9]+(?:ms|[smhdwy]))+)$`)

// query puts the values of variables into PromQL. Where a variable stands decides how: a value can never end the string that
// it stands in, nor add anything to the query but itself.
func (e env) query(expr string) (string, error) {
	var out strings.Builder
	s := scanner{text: expr}
	for s.pos < len(expr) {
		ref, name := s.reference()
		if ref == "" || s.inComment {
			out.WriteByte(s.next())
			continue
		}
		value, known, err := e.value(name, s.place())
		switch {
		case err != nil:
			return "", err
		case known:
			out.WriteString(value)
		case s.quote == 0:
			return "", kernel.Errorf(kernel.Invalid, "There is no variable $%s.", clip(name, 60))
		default:
			out.WriteString(ref) // "$host" may be the group of a regular expression
		}
		s.pos += len(ref)
	}
	return out.String(), nil
}

// place is where in a query a variable stands.
type place struct {
	quote byte // of the string; 0: outside of strings
	regex bool // behind =~ or !~
	equal bool // behind = or !=
}

// scanner walks through PromQL, knowing strings and comments.
type scanner struct {
	text      string
	pos       int
	quote     byte
	opened    int // where the string began
	inComment bool
}

// reference is the variable at the position, if there is one.
func (s *scanner) reference() (ref, name string) {
	if c := s.text[s.pos]; c != '$' && c != '[' {
		return "", ""
	}
	m := reference.FindStringSubmatch(s.text[s.pos:])
	if m == nil {
		return "", ""
	}
	return m[0], m[1] + m[2] + m[3]
}

// next goes over one byte.
func (s *scanner) next() byte {
	c := s.text[s.pos]
	switch {
	case s.inComment:
		s.inComment = c != '\n'
	case s.quote == 0 && (c == '"' || c == '\'' || c == '`'):
		s.quote, s.opened = c, s.pos
	case s.quote == 0 && c == '#':
		s.inComment = true
	case s.quote != 0 && c == s.quote && !s.escaped():
		s.quote = 0
	}
	s.pos++
	return c
}

// escaped tells whether an odd number of backslashes stands before the position.
func (s *scanner) escaped() bool {
	if s.quote == '`' {
		return false
	}
	n := 0
	for i := s.pos - 1; i > s.opened && s.text[i] == '\\'; i-- {
		n++
	}
	return n%2 == 1
}

func (s *scanner) place() place {
	if s.quote == 0 {
		return place{}
	}
	before := strings.TrimRight(s.text[:s.opened], " \t\r\n")
	p := place{quote: s.quote, regex: strings.HasSuffix(before, "=~") || strings.HasSuffix(before, "!~")}
	p.equal = !p.regex && strings.HasSuffix(before, "=")
	return p
}

// value is the text of a variable at a place.
func (e env) value(name string, p place) (text string, known bool, err error) {
	if v, ok := e.builtin[name]; ok {
		return v, true, nil
	}
	c, ok := e.choices[name]
	if !ok {
		return "", false, nil
	}
	if p.quote == 0 {
		text, err = c.bare()
		return text, true, err
	}
	if p.equal && (len(c.Values) > 1 || c.IsAll && c.AllValue != "") {
		return "", true, kernel.Errorf(kernel.Invalid, "$%s has several values here: compare it with =~ instead of =.", name)
	}
	switch {
	case p.regex:
		text = c.regex()
	default:
		text = strings.Join(c.Values, "|")
	}
	text, err = quoted(text, p.quote)
	return text, true, err
}

// bare is the value outside of quotes. What the author of the dashboard wrote down as a choice is part of the query; what a
// viewer or the data brings must be a word.
func (c choice) bare() (string, error) {
	for _, v := range c.Values {
		own := (c.Kind == VarList || c.Kind == VarConstant) && (slices.Contains(c.Variable.Options, v) || slices.Contains(c.Default, v))
		if !own && !word.MatchString(v) {
			return "", kernel.Errorf(kernel.Invalid, "The value of $%s cannot stand outside of quotes: it must be a name, a number or a duration.", c.Name)
		}
	}
	if len(c.Values) == 0 {
		return "", kernel.Errorf(kernel.Invalid, "$%s has no value.", c.Name)
	}
	return strings.Join(c.Values, ", "), nil
}

// regex is the value as a regular expression.
func (c choice) regex() string {
	switch {
	case c.IsAll && c.AllValue != "":
		return c.AllValue
	case c.IsAll && len(c.Values) == 0:
		return ".*"
	}
	parts := make([]string, len(c.Values))
	for i, v := range c.Values {
		parts[i] = regexp.QuoteMeta(v)
		if c.isPattern(v) {
			parts[i] = v
		}
	}
	if len(parts) == 1 {
		return parts[0]
	}
	return "(" + strings.Join(parts, "|") + ")"
}

// isPattern tells whether a value is meant as a regular expression: what somebody types into a text field, and what the
// author gave as a single choice.
func (c choice) isPattern(v string) bool {
	switch {
	case c.Kind == VarText:
	case !c.Multi && (c.Kind == VarList || c.Kind == VarConstant) && (slices.Contains(c.Variable.Options, v) || slices.Contains(c.Default, v)):
	default:
		return false
	}
	_, err := regexp.Compile(v)
	return err == nil
}

// quoted writes a text so that it stays within a PromQL string.
func quoted(s string, quote byte) (string, error) {
	if quote == '`' {
		if strings.ContainsRune(s, '`') {
			return "", kernel.Errorf(kernel.Invalid, "A value with a backtick cannot stand between backticks.")
		}
		return s, nil
	}
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '\\', quote:
			out.WriteByte('\\')
			out.WriteByte(c)
		case '\n':
			out.WriteString(`\n`)
		case '\r':
			out.WriteString(`\r`)
		default:
			out.WriteByte(c)
		}
	}
	return out.String(), nil
}

// text puts the values of variables into a title or an address; escape is nil for plain text.
func (e env) text(s string, escape func(string) string) string {
	var out strings.Builder
	for i := 0; i < len(s); {
		m := reference.FindStringSubmatch(s[i:])
		if m == nil {
			out.WriteByte(s[i])
			i++
			continue
		}
		value, ok := e.plain(m[1] + m[2] + m[3])
		if !ok {
			value = m[0]
		} else if escape != nil {
			value = escape(value)
		}
		out.WriteString(value)
		i += len(m[0])
	}
	return out.String()
}

func (e env) plain(name string) (string, bool) {
	if v, ok := e.builtin[name]; ok {
		return v, true
	}
	c, ok := e.choices[name]
	switch {
	case !ok:
		return "", false
	case c.IsAll:
		return "All", true
	case len(c.Values) > 3:
		return fmt.Sprintf("%s and %d more", strings.Join(c.Values[:2], ", "), len(c.Values)-2), true
	}
	return strings.Join(c.Values, ", "), true
}
