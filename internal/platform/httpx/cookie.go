package httpx

import (
	"net/http"
	"time"
)

// SessionCookie is the name of the one cookie that Kept sets.
const SessionCookie = "kept_session"

// SetSession gives the browser the token of a login for the given time.
func SetSession(w http.ResponseWriter, r *http.Request, token string, lifetime time.Duration) {
	http.SetCookie(w, sessionCookie(r, token, int(lifetime/time.Second)))
}

// ClearSession makes the browser forget its login.
func ClearSession(w http.ResponseWriter, r *http.Request) {
	http.SetCookie(w, sessionCookie(r, "", -1))
}

func sessionCookie(r *http.Request, value string, maxAge int) *http.Cookie {
	c := SessionCookieShape(IsSecure(r))
	c.Value, c.MaxAge = value, maxAge
	return &c
}

// SessionCookieShape is the session cookie without a value, as it is set for a client that speaks TLS or one that does
// not. It is the only cookie there is (COL-15).
func SessionCookieShape(secure bool) http.Cookie {
	return http.Cookie{Name: SessionCookie, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: secure}
}

// SessionToken is the token that the browser sent, or empty.
func SessionToken(r *http.Request) string {
	c, err := r.Cookie(SessionCookie)
	if err != nil {
		return ""
	}
	return c.Value
}

// IsSecure tells whether the client speaks TLS, with us or with a proxy that is trusted.
func IsSecure(r *http.Request) bool {
	if x := exchangeOf(r.Context()); x != nil {
		return x.secure
	}
	return r.TLS != nil
}
