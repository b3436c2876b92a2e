package scim

import (
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf8"
)

// A filter of RFC 7644, section 3.4.2.2: comparisons, "and", "or", "not", parentheses, and conditions on the parts of a
// value that has several: emails[type eq "work" and value co "@"].

// attrs is what a resource offers to a filter: the values of an attribute by its lower-case path ("name.givenname"). A
// value is a string, a bool, or a part of a value that has several, which is attrs again.
type attrs map[string][]any

// expr is a parsed filter.
type expr interface{ match(a attrs) bool }

type (
	andExpr struct{ a, b expr }
	orExpr  struct{ a, b expr }
	notExpr struct{ x expr }
	// partExpr is path[filter].
	partExpr struct {
		path string
		x    expr
	}
	// compareExpr is path op value; op is in lower case.
	compareExpr struct {
		path, op string
		value    any // string, bool, float64 or nil
	}
)

func (x andExpr) match(a attrs) bool { return x.a.match(a) && x.b.match(a) }
func (x orExpr) match(a attrs) bool  { return x.a.match(a) || x.b.match(a) }
func (x notExpr) match(a attrs) bool { return !x.x.match(a) }

func (x partExpr) match(a attrs) bool {
	return slices.ContainsFunc(a[x.path], func(v any) bool {
		part, ok := v.(attrs)
		return ok && x.x.match(part)
	})
}

func (x compareExpr) match(a attrs) bool {
	values := a[x.path]
	switch x.op {
	case "pr":
		return slices.ContainsFunc(values, func(v any) bool { return v != "" })
	case "ne":
		return !slices.ContainsFunc(values, func(v any) bool { return x.compare("eq", v) })
	}
	if x.value == nil && x.op == "eq" {
		return !slices.ContainsFunc(values, func(v any) bool { return v != "" })
	}
	return slices.ContainsFunc(values, func(v any) bool { return x.compare(x.op, v) })
}

// exact are the attributes whose upper and lower case matter.
var exact = map[string]bool{"id": true, "externalid": true, "members.value": true, "meta.created": true, "meta.lastmodified": true}

func (x compareExpr) compare(op string, v any) bool {
	if part, ok := v.(attrs); ok { // emails eq "x" is emails.value eq "x"
		return len(part["value"]) > 0 && x.compare(op, part["value"][0])
	}
	if b, ok := v.(bool); ok {
		want, isBool := x.value.(bool)
		if text, isText := x.value.(string); isText { // Entra sends it as text
			want, isBool = strings.EqualFold(text, "true"), strings.EqualFold(text, "true") || strings.EqualFold(text, "false")
		}
		return isBool && op == "eq" && b == want
	}
	have, isText := v.(string)
	want, ok := x.value.(string)
	if !isText || !ok {
		return false
	}
	if !exact[x.path] {
		have, want = key(have), key(want)
	}
	switch op {
	case "eq":
		return have == want
	case "co":
		return strings.Contains(have, want)
	case "sw":
		return strings.HasPrefix(have, want)
	case "ew":
		return strings.HasSuffix(have, want)
	case "gt":
		return have > want
	case "ge":
		return have >= want
	case "lt":
		return have < want
	case "le":
		return have <= want
	}
	return false
}

// Limits of a filter.
const (
	maxFilter = 2048 // bytes
	maxDepth  = 16   // of parentheses and brackets
)

var operators = []string{"eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le", "pr"}

// parseFilter reads a filter. An error is SCIM's invalidFilter.
func parseFilter(s string) (expr, error) {
	if len(s) > maxFilter || !utf8.ValidString(s) {
		return nil, invalid("invalidFilter", "The filter is longer than %d bytes, or is not text.", maxFilter)
	}
	p := &parser{rest: s}
	x, err := p.or(0)
	if err == nil && p.peek() != "" {
		err = p.unexpected()
	}
	return x, err
}

// parser reads tokens from the front of rest.
type parser struct{ rest string }

func (p *parser) unexpected() error {
	if t := p.peek(); t != "" {
		if len(t) > 40 {
			t = strings.ToValidUTF8(t[:40], "") + "…"
		}
		return invalid("invalidFilter", "The filter cannot be read at %q.", t)
	}
	return invalid("invalidFilter", "The filter ends too early.")
}

// peek is the next token: a bracket, a quoted text with its quotes, or a word. Empty is the end.
func (p *parser) peek() string {
	p.rest = strings.TrimLeft(p.rest, " \t")
	if p.rest == "" {
		return ""
	}
	switch c := p.rest[0]; c {
	case '(', ')', '[', ']':
		return p.rest[:1]
	case '"':
		for i := 1; i < len(p.rest); i++ {
			switch p.rest[i] {
			case '\\':
				i++
			case '"':
				return p.rest[:i+1]
			}
		}
		return p.rest // not closed: no JSON
	}
	if end := strings.IndexAny(p.rest, " \t()[]\""); end >= 0 {
		return p.rest[:end]
	}
	return p.rest
}

func (p *parser) next() string {
	t := p.peek()
	p.rest = p.rest[len(t):]
	return t
}

// take takes the next token if it is word, whatever its case.
func (p *parser) take(word string) bool {
	if !strings.EqualFold(p.peek(), word) {
		return false
	}
	p.next()
	return true
}

func (p *parser) or(depth int) (expr, error) {
	x, err := p.and(depth)
	for err == nil && p.take("or") {
		var y expr
		y, err = p.and(depth)
		x = orExpr{x, y}
	}
	return x, err
}

func (p *parser) and(depth int) (expr, error) {
	x, err := p.term(depth)
	for err == nil && p.take("and") {
		var y expr
		y, err = p.term(depth)
		x = andExpr{x, y}
	}
	return x, err
}

func (p *parser) term(depth int) (expr, error) {
	if depth > maxDepth {
		return nil, invalid("invalidFilter", "The filter is nested too deeply.")
	}
	if p.take("not") {
		if p.peek() != "(" {
			return nil, p.unexpected()
		}
		x, err := p.term(depth + 1)
		return notExpr{x}, err
	}
	if p.take("(") {
		x, err := p.or(depth + 1)
		if err == nil && !p.take(")") {
			err = p.unexpected()
		}
		return x, err
	}
	path, ok := attributePath(p.peek())
	if !ok {
		return nil, p.unexpected()
	}
	p.next()
	if p.take("[") {
		x, err := p.or(depth + 1)
		if err == nil && !p.take("]") {
			err = p.unexpected()
		}
		if err == nil && strings.HasPrefix(p.rest, ".") {
			return p.part(path, x)
		}
		return partExpr{path, x}, err
	}
	return p.comparison(path)
}

// part reads what follows emails[type eq "work"]: a condition on one attribute of such a part.
func (p *parser) part(path string, where expr) (expr, error) {
	p.rest = p.rest[1:]
	sub, ok := attributePath(p.peek())
	if !ok {
		return nil, p.unexpected()
	}
	p.next()
	x, err := p.comparison(sub)
	return partExpr{path, andExpr{where, x}}, err
}

func (p *parser) comparison(path string) (expr, error) {
	op := strings.ToLower(p.peek())
	if !slices.Contains(operators, op) {
		return nil, p.unexpected()
	}
	p.next()
	x := compareExpr{path: path, op: op}
	if op == "pr" {
		return x, nil
	}
	token := p.peek()
	if lower := strings.ToLower(token); lower == "true" || lower == "false" || lower == "null" {
		token = lower
	}
	if err := json.Unmarshal([]byte(token), &x.value); err != nil {
		return nil, p.unexpected()
	}
	p.next()
	return x, nil
}

// schemaPrefixes may stand in front of an attribute.
var schemaPrefixes = []string{schemaUser + ":", schemaGroup + ":"}

// attributePath is a path in lower case, without the name of its schema.
func attributePath(s string) (path string, ok bool) {
	for _, prefix := range schemaPrefixes {
		if len(s) > len(prefix) && strings.EqualFold(s[:len(prefix)], prefix) {
			s = s[len(prefix):]
		}
	}
	if s == "" || strings.ContainsAny(s, "()[]\"") {
		return "", false
	}
	for i, c := range []byte(s) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '$'
		if !letter && (i == 0 || !(c >= '0' && c <= '9' || c == '.' || c == '_' || c == '-' || c == ':')) {
			return "", false
		}
	}
	return strings.ToLower(s), true
}

// only tells whether the filter is nothing but attribute eq "text", which an index can answer.
func only(x expr) (path, value string, ok bool) {
	c, ok := x.(compareExpr)
	if !ok || c.op != "eq" {
		return "", "", false
	}
	value, ok = c.value.(string)
	return c.path, value, ok
}
