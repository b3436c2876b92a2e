// Package redact takes secrets out of JSON text before it is stored or sent: by key, by what strings look like, and as
// a whole where a project keeps no payloads. It rewrites the text in place and leaves everything else as it came, so
// that numbers keep every digit.
package redact

import (
	"bytes"
	"regexp"
	"slices"
)

// What stands where something was taken out.
const (
	Placeholder = "[REDACTED]" // a secret
	TooDeep     = "[TOO_DEEP]" // what is nested deeper than Rules.Depth
)

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

// maxDepth is the default of Rules.Depth. What lies deeper is dropped, because what cannot be looked at cannot be
// cleared.
const maxDepth = 128

// skipDepth bounds the recursion over what is dropped.
const skipDepth = 1 << 16

// Rules say what to take out. A Rules is safe for concurrent use once its fields are set.
type Rules struct {
	Policy     Policy           // empty is Full
	Emails     bool             // take out e-mail addresses too
	NoPatterns bool             // do not look for the built-in patterns in texts
	Patterns   []*regexp.Regexp // further patterns to take out of texts
	Depth      int              // levels of objects and arrays that are looked into; 0 is 128

	keys  map[string]bool
	byLen [maxKey + 1]bool // lengths that occur in keys: most keys are told apart by this alone
	last  [256]bool        // last letters of keys, for those in texts
}

// New makes rules for a policy, the default keys and more keys of the project's own.
func New(policy Policy, more ...string) *Rules {
	return NewOnly(policy, slices.Concat(DefaultKeys, more)...)
}

// NewOnly makes rules for a policy and the given keys, without the default ones.
func NewOnly(policy Policy, keys ...string) *Rules {
	r := &Rules{Policy: policy, keys: map[string]bool{}}
	for _, key := range keys {
		if low := lower(make([]byte, 0, maxKey), []byte(key)); len(low) > 0 {
			r.keys[string(low)] = true
			r.byLen[len(low)] = true
			r.last[low[len(low)-1]] = true
		}
	}
	return r
}

// lower appends a key in lower case; nothing if it is too long.
func lower(dst, key []byte) []byte {
	if len(key) > maxKey {
		return nil
	}
	for _, c := range key {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c >= 0x80 {
			return bytes.ToLower(key)
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

// JSON appends the valid JSON text raw to dst without its secrets and tells how many were taken out. The policy does not
// matter to it: see Payload and EventData.
func (r *Rules) JSON(dst, raw []byte) (out []byte, taken int) {
	return r.rewrite(dst, raw, false, false)
}

// Payload is JSON for a value that is subject to the policy.
func (r *Rules) Payload(dst, raw []byte) (out []byte, taken int) {
	if r.Policy == None {
		return append(dst, notKept...), 1
	}
	return r.rewrite(dst, raw, r.Policy == KeysOnly, false)
}

// isPayloadKey tells whether a member of an event's data holds customers' content.
func isPayloadKey(key []byte) bool {
	switch string(key) {
	case "input", "returnValue", "progress", "meta":
		return true
	}
	return false
}

// EventData is JSON for the data of a job event: its payload members are subject to the policy.
func (r *Rules) EventData(dst, raw []byte) (out []byte, taken int) {
	return r.rewrite(dst, raw, false, r.Policy == KeysOnly || r.Policy == None)
}

// Text takes secrets out of plain text: an error message, a stack trace. It returns text itself when there are none.
func (r *Rules) Text(text []byte) []byte {
	spans := r.find(text)
	if len(spans) == 0 {
		return text
	}
	return without(make([]byte, 0, len(text)), text, spans)
}

// without appends a text with a placeholder for each span.
func without(dst, text []byte, spans []span) []byte {
	copied := 0
	for _, s := range spans {
		dst = append(append(dst, text[copied:s.from]...), Placeholder...)
		copied = s.to
	}
	return append(dst, text[copied:]...)
}
