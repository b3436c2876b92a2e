package httpx

import (
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/kept-dev/kept/internal/kernel"
)

// AccessLog takes note of requests. Write must not block, and must not keep anything that Entry does not have.
type AccessLog interface{ Write(Entry) }

// Entry is one request in the access log: no body, no header but the user agent, and no secret that was in the URL.
type Entry struct {
	At          time.Time
	RequestID   string
	Method      string
	Path        string // path and query, secrets redacted
	Route       string // the pattern that matched; empty: none did
	Class       RateClass
	Status      int // 499: the client left before the answer
	Bytes       int64
	Duration    time.Duration
	IP          netip.Addr
	UserAgent   string
	AccountID   kernel.AccountID
	KeyID       kernel.ID
	TokenID     kernel.ID // a person's token; AccountID is set then
	WorkspaceID kernel.WorkspaceID
}

const (
	maxLoggedPath  = 512
	maxLoggedAgent = 256
	redacted       = "[redacted]"
)

func (x *exchange) logEntry(r *http.Request, took time.Duration, prefixes []string) Entry {
	e := Entry{
		At: x.start, RequestID: x.id, Method: r.Method, Class: x.route.Rate, Status: x.status, Bytes: x.bytes,
		Duration: took, IP: x.client, UserAgent: clip(r.UserAgent(), maxLoggedAgent),
		AccountID: x.actor.AccountID, KeyID: x.actor.KeyID, TokenID: x.actor.TokenID, WorkspaceID: x.actor.WorkspaceID,
	}
	if x.route.Path != "" {
		e.Route = x.route.Path
	}
	e.Path = loggedTarget(x.target, x.route.Route, prefixes)
	return e
}

// loggedTarget is a request's target as it may be stored. It is made storable first, because what that takes out may
// stand in the middle of a secret, and cut last.
func loggedTarget(target string, route Route, prefixes []string) string {
	target = redactTarget(storable(target), route.Path, route.Secrets)
	for _, prefix := range prefixes {
		target = redactPrefixed(target, prefix)
	}
	return clip(target, maxLoggedPath)
}

// minSecret is how much must follow a prefix for the whole to be a secret, so that a queue may be called kept_mails.
const minSecret = 16

// redactPrefixed replaces every word that begins with prefix: keys end up in URLs that no route expects them in.
func redactPrefixed(target, prefix string) string {
	start := strings.Index(target, prefix)
	if start < 0 {
		return target
	}
	end := start + len(prefix)
	for end < len(target) && isKeyByte(target[end]) {
		end++
	}
	word := redacted
	if end-start < len(prefix)+minSecret {
		word = target[start:end]
	}
	return target[:start] + word + redactPrefixed(target[end:], prefix)
}

func isKeyByte(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '-' || c == '_'
}

// clip cuts s at a limit and takes out what could not be stored as text.
func clip(s string, limit int) string {
	if len(s) > limit {
		s = s[:limit]
	}
	return storable(s)
}

// storable takes out what no database keeps as text.
func storable(s string) string {
	return strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", ""), "")
}

// secretQuery names the query parameters that may hold a secret. A name that merely ends in one of these counts too
// (api_key, access_token).
var secretQuery = []string{"token", "code", "key", "link", "secret", "password", "passwd", "signature", "sig"}

func redactTarget(target, pattern string, secrets []string) string {
	path, query, hasQuery := strings.Cut(target, "?")
	if len(secrets) > 0 {
		path = redactPath(path, pattern, secrets)
	}
	if !hasQuery {
		return path
	}
	return path + "?" + redactQuery(query)
}

// redactPath replaces the segments of path that are secret wildcards of the pattern. Segments are matched from the
// right when the path was served under a prefix, which only patterns without wildcards are, so positions agree.
func redactPath(path, pattern string, secrets []string) string {
	if strings.Contains(path, "//") {
		path = collapseSlashes(path)
	}
	got, want := strings.Split(path, "/"), strings.Split(pattern, "/")
	for i, segment := range want {
		name := strings.Trim(segment, "{}")
		rest := strings.HasSuffix(name, "...")
		if segment == name || i >= len(got) || !slices.Contains(secrets, strings.TrimSuffix(name, "...")) {
			continue
		}
		got[i] = redacted
		if rest {
			got = got[:i+1]
		}
	}
	return strings.Join(got, "/")
}

// redactQuery works on the raw text, so that a query that does not parse is still redacted.
func redactQuery(query string) string {
	parts := strings.FieldsFunc(query, func(c rune) bool { return c == '&' || c == ';' })
	for i, part := range parts {
		name, _, hasValue := strings.Cut(part, "=")
		if hasValue && isSecretName(name) {
			parts[i] = name + "=" + redacted
		}
	}
	return strings.Join(parts, "&")
}

func isSecretName(name string) bool {
	if decoded, err := url.QueryUnescape(name); err == nil {
		name = decoded
	}
	name = strings.ToLower(name)
	for _, s := range secretQuery {
		if strings.HasSuffix(name, s) {
			return true
		}
	}
	return name == "next" // where to go after signing in: an address of ours that may have any of these in it
}
