// Package redact takes secrets out of JSON text before it is stored or sent: by key, by what strings look like, and as
// a whole where a project keeps no payloads. It rewrites the text in place and leaves everything else as it came, so
// that numbers keep every digit.
package redact

import (
	"strconv"

	"github.com/kept-dev/kept/wire/jsonscan"
)

// Placeholder stands where a value was.
const Placeholder = "[REDACTED]"

const quotedPlaceholder = `"` + Placeholder + `"`

// Policy says how much of a payload is kept.
type Policy string

// The policies of a project.
const (
	Full     Policy = "full" // everything that the other rules leave
	KeysOnly Policy = "keys" // the shape: each value is replaced by the word for its type
	None     Policy = "none" // nothing
)

// DefaultKeys are the keys whose values are never kept, whatever they hold. Keys are compared without regard to case.
// The list is that of the Jobviz agents.
var DefaultKeys = []string{"password", "secret", "token", "apikey", "api_key", "authorization", "creditcard",
	"credit_card", "ssn", "accesstoken", "access_token", "refreshtoken", "refresh_token"}

// maxKey is the length of the longest key that is compared; a longer one is nobody's field name.
const maxKey = 64

// maxDepth ends the recursion; deeper values are dropped, because what cannot be looked at cannot be cleared.
const maxDepth = 128

// Rules say what to take out. A Rules is safe for concurrent use.
type Rules struct {
	Policy Policy // empty is Full
	Emails bool   // take out e-mail addresses too
	keys   map[string]bool
	byLen  [maxKey + 1]bool // lengths that occur in keys: most keys are told apart by this alone
}

// New makes rules for a policy, the default keys and more keys of the project's own.
func New(policy Policy, more ...string) *Rules {
	r := &Rules{Policy: policy, keys: map[string]bool{}}
	for _, list := range [][]string{DefaultKeys, more} {
		for _, key := range list {
			if low := lower(make([]byte, 0, maxKey), []byte(key)); len(low) > 0 {
				r.keys[string(low)] = true
				r.byLen[len(low)] = true
			}
		}
	}
	return r
}

func lower(dst, key []byte) []byte {
	if len(key) > maxKey {
		return nil
	}
	for _, c := range key {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		dst = append(dst, c)
	}
	return dst
}

// IsSecretKey tells whether the values of a key are taken out.
func (r *Rules) IsSecretKey(key []byte) bool {
	if len(key) > maxKey || !r.byLen[len(key)] {
		return false
	}
	var buf [maxKey]byte
	return r.keys[string(lower(buf[:0], key))]
}

// JSON appends the valid JSON text raw to dst without its secrets and tells how many were taken out. The paths of
// payloads (see Payload) are also subject to the policy; an event's data as a whole is not one.
func (r *Rules) JSON(dst, raw []byte) (out []byte, taken int) {
	w := rewriter{rules: r, src: raw, out: dst}
	w.value(0, maxDepth, false)
	w.copyTo(len(raw))
	return w.out, w.taken
}

// Payload is JSON for a value that is subject to the policy.
func (r *Rules) Payload(dst, raw []byte) (out []byte, taken int) {
	if r.Policy == None {
		return append(dst, `"[NOT KEPT]"`...), 1
	}
	w := rewriter{rules: r, src: raw, out: dst}
	w.value(0, maxDepth, r.Policy == KeysOnly)
	w.copyTo(len(raw))
	return w.out, w.taken
}

// payloadKeys are the members of an event's data that hold customers' content.
func isPayloadKey(key []byte) bool {
	switch string(key) {
	case "input", "returnValue", "progress", "meta":
		return true
	}
	return false
}

// EventData is JSON for the data of a job event: its payload members are subject to the policy.
func (r *Rules) EventData(dst, raw []byte) (out []byte, taken int) {
	w := rewriter{rules: r, src: raw, out: dst, event: r.Policy == KeysOnly || r.Policy == None}
	w.value(0, maxDepth, false)
	w.copyTo(len(raw))
	return w.out, w.taken
}

// rewriter copies src to out piece by piece: copied is how far it has come.
type rewriter struct {
	rules  *Rules
	src    []byte
	out    []byte
	copied int
	taken  int
	event  bool // look for payload members
}

func (w *rewriter) copyTo(i int) {
	w.out = append(w.out, w.src[w.copied:i]...)
	w.copied = i
}

// replace puts text where src[from:to] was.
func (w *rewriter) replace(from, to int, text string) {
	w.copyTo(from)
	w.out = append(w.out, text...)
	w.copied = to
	w.taken++
}

// value handles the value at i and returns the index behind it. The text is valid, so errors cannot come; should they,
// the rest is dropped rather than let through.
func (w *rewriter) value(i, depth int, shape bool) int {
	switch {
	case depth == 0:
		end, err := jsonscan.Value(w.src, i, 1<<16)
		if err != nil {
			end = len(w.src)
		}
		w.replace(i, end, quotedPlaceholder)
		return end
	case w.src[i] == '{':
		return w.must(jsonscan.Object(w.src, i, func(key []byte, escaped bool, at int) (int, error) {
			return w.member(key, escaped, at, depth-1, shape), nil
		}))
	case w.src[i] == '[':
		return w.must(jsonscan.Array(w.src, i, func(at int) (int, error) {
			return w.value(at, depth-1, shape), nil
		}))
	}
	end := w.must(jsonscan.Value(w.src, i, 1))
	switch {
	case shape:
		w.replace(i, end, shapeOf(w.src[i:end]))
	case w.src[i] == '"':
		w.text(i, end)
	default:
		if digits := w.src[i:end]; len(digits) >= minCard && isCard(digits) {
			w.replace(i, end, quotedPlaceholder)
		}
	}
	return end
}

func (w *rewriter) must(end int, err error) int {
	if err != nil {
		w.copied = len(w.src)
		return len(w.src)
	}
	return end
}

func (w *rewriter) member(key []byte, escaped bool, at, depth int, shape bool) int {
	if escaped {
		key = jsonscan.Unescape(nil, key)
	}
	secret := w.rules.IsSecretKey(key)
	notKept := w.event && w.rules.Policy == None && isPayloadKey(key)
	if secret || notKept {
		end := w.must(jsonscan.Value(w.src, at, maxDepth))
		if end == len(w.src) {
			return end
		}
		if secret {
			w.replace(at, end, quotedPlaceholder)
		} else {
			w.replace(at, end, `"[NOT KEPT]"`)
		}
		return end
	}
	return w.value(at, depth, shape || w.event && w.rules.Policy == KeysOnly && isPayloadKey(key))
}

// text handles the string src[i:end].
func (w *rewriter) text(i, end int) {
	inside := w.src[i+1 : end-1]
	if len(inside) < minSecret {
		return
	}
	for _, s := range w.rules.find(inside) {
		w.replace(i+1+s.from, i+1+s.to, Placeholder)
	}
}

// shapeOf is the word for a scalar's type, with a string's length.
func shapeOf(raw []byte) string {
	switch raw[0] {
	case '"':
		return `"string(` + strconv.Itoa(len(raw)-2) + `)"`
	case 't', 'f':
		return `"boolean"`
	case 'n':
		return `null`
	}
	return `"number"`
}

// Text takes secrets out of plain text: an error message, a stack trace.
func (r *Rules) Text(text []byte) []byte {
	spans := r.find(text)
	if len(spans) == 0 {
		return text
	}
	out, copied := make([]byte, 0, len(text)), 0
	for _, s := range spans {
		out = append(append(out, text[copied:s.from]...), Placeholder...)
		copied = s.to
	}
	return append(out, text[copied:]...)
}
