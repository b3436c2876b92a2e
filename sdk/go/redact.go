package kept

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	"github.com/kept-dev/kept/wire/redact"
)

// Redaction says what is replaced by "[REDACTED]" before an event enters the
// buffer. The zero value applies the built-in keys and patterns, which are
// those of the server.
type Redaction struct {
	Off        bool             // redact nothing
	Keys       []string         // further keys whose values are replaced; compared whole, ignoring case
	Except     []string         // built-in keys that are let through
	Only       []string         // if not empty, these keys instead of the built-in ones
	NoPatterns bool             // do not look into texts with the built-in patterns
	Patterns   []*regexp.Regexp // further patterns to replace inside texts
}

// BuiltinKeys returns the keys whose values are redacted by default.
func BuiltinKeys() []string { return slices.Clone(redact.DefaultKeys) }

// maxJSONDepth is how many levels of a payload are kept; what lies deeper is cut off.
const maxJSONDepth = 20

// redactor applies a Redaction, under either policy for payloads.
type redactor struct {
	off        bool
	full, keys *redact.Rules
}

func newRedactor(r Redaction) *redactor {
	return &redactor{off: r.Off, full: r.rules(redact.Full), keys: r.rules(redact.KeysOnly)}
}

func (r Redaction) rules(policy redact.Policy) *redact.Rules {
	var keys []string
	if !r.Off {
		keys = r.keys()
	}
	rules := redact.NewOnly(policy, keys...)
	rules.Depth = maxJSONDepth
	rules.NoPatterns = r.NoPatterns || r.Off
	if !r.Off {
		rules.Patterns = slices.Clone(r.Patterns)
	}
	return rules
}

func (r Redaction) keys() []string {
	base := r.Only
	if len(base) == 0 {
		base = BuiltinKeys()
	}
	excepted := func(key string) bool {
		return slices.ContainsFunc(r.Except, func(e string) bool { return strings.EqualFold(e, key) })
	}
	return append(slices.DeleteFunc(slices.Clone(base), excepted), r.Keys...)
}

// text redacts inside a text.
func (r *redactor) text(s string) string {
	if r.off {
		return s
	}
	return string(r.full.Text([]byte(s)))
}

// json redacts a JSON text. With keysOnly every scalar becomes the name of its
// type. Text that is not valid JSON gives an unusable-value notice: what cannot
// be read cannot be redacted.
func (r *redactor) json(src []byte, keysOnly bool) []byte {
	if !json.Valid(src) {
		return []byte(noticeUnusable)
	}
	src = bytes.ToValidUTF8(src, []byte("\uFFFD"))
	switch {
	case keysOnly:
		src, _ = r.keys.Payload(nil, src)
	case !r.off:
		src, _ = r.full.Payload(nil, src)
	}
	return src
}
