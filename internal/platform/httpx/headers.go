package httpx

import "net/textproto"

// contentPolicy is strict on purpose: no inline script or style, nothing from elsewhere, framed by nobody. A page that
// frames recorded markup gives that frame a document and a policy of its own.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; " +
	"connect-src 'self'; frame-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// header is a header that is the same on every answer. The value's slice is shared: it is at capacity, so that adding
// to it copies.
type header struct {
	name  string
	value []string
}

func newHeader(name, value string) header {
	return header{name: textproto.CanonicalMIMEHeaderKey(name), value: []string{value}}
}

var machineHeaders = []header{newHeader("X-Content-Type-Options", "nosniff")}

// pageHeaders are set before the handler, which may replace them. The referrer stays within the site: links to other
// sites must not carry ids of workspaces, or the token of a link that somebody was mailed.
func pageHeaders(secure bool) []header {
	out := []header{
		newHeader("X-Content-Type-Options", "nosniff"),
		newHeader("Content-Security-Policy", contentPolicy),
		newHeader("X-Frame-Options", "DENY"),
		newHeader("Referrer-Policy", "same-origin"),
		newHeader("Cross-Origin-Opener-Policy", "same-origin"),
		newHeader("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
	}
	if secure {
		out = append(out, newHeader("Strict-Transport-Security", "max-age=31536000"))
	}
	return out
}
