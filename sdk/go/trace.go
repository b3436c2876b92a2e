package kept

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"strings"
)

type traceKey struct{}

// WithTrace returns a context whose jobs carry the trace id. It takes an id of
// any form, or the value of a W3C traceparent header, of which it uses the
// trace id.
func WithTrace(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, traceKey{}, normalTrace(id))
}

// TraceID returns the trace id of the context, or "".
func TraceID(ctx context.Context) string {
	id, _ := ctx.Value(traceKey{}).(string)
	return id
}

// ParseTraceparent returns the trace id of a W3C traceparent header, such as
// "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".
func ParseTraceparent(s string) (traceID string, ok bool) {
	p := strings.Split(strings.TrimSpace(s), "-")
	if len(p) < 4 || len(p[0]) != 2 || len(p[1]) != 32 || len(p[2]) != 16 || len(p[3]) != 2 {
		return "", false
	}
	if p[0] == "ff" || p[0] == "00" && len(p) > 4 {
		return "", false
	}
	for _, part := range p[:4] {
		if strings.Trim(part, "0123456789abcdef") != "" {
			return "", false
		}
	}
	if strings.Trim(p[1], "0") == "" || strings.Trim(p[2], "0") == "" {
		return "", false
	}
	return p[1], true
}

func normalTrace(s string) string {
	if id, ok := ParseTraceparent(s); ok {
		return id
	}
	return s
}

// newID returns 128 random bits in hexadecimal.
func newID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
