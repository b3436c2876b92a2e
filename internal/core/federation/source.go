package federation

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/oauth2"

	"github.com/kept-dev/kept/internal/kernel"
)

// source is a provider at work: where it sends people, and who comes back.
type source interface {
	// start is where a browser goes to begin an attempt.
	start(ctx context.Context, a attempt) (string, error)
	// who is the person that the answer of an attempt belongs to.
	who(ctx context.Context, a attempt, in answer) (Person, grant, error)
	// revoke tells the provider that a token is needed no more, where it wants to know.
	revoke(ctx context.Context, g grant) error
}

// attempt is what was made up for one sign-in, and must come back.
type attempt struct {
	State    string `json:"state"`    // stands in the address that the provider sends people back to
	Nonce    string `json:"nonce"`    // stands in the ID token
	Verifier string `json:"verifier"` // whose hash the provider was given (PKCE)
}

func newAttempt() attempt {
	return attempt{State: randomText(), Nonce: randomText(), Verifier: oauth2.GenerateVerifier()}
}

// granted is the token of an answer, and how long it lives by our clock.
func granted(t *oauth2.Token, now kernel.Clock) grant {
	g := grant{Access: t.AccessToken}
	if t.ExpiresIn > 0 {
		g.Expires = now().Add(time.Duration(min(t.ExpiresIn, maxExpiresIn)) * time.Second)
	}
	return g
}

// maxExpiresIn bounds what a provider may say, in seconds; nothing is kept so long.
const maxExpiresIn = 366 * 24 * 3600

// randomText is 256 random bits in characters that an address can have.
func randomText() string {
	raw := make([]byte, 32)
	rand.Read(raw)
	return base64.RawURLEncoding.EncodeToString(raw)
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// answer is what the provider sent the browser back with.
type answer struct {
	Code   string
	Issuer string // RFC 9207; empty: it did not say
	Error  string
}

// maxCode bounds what is taken for a code; providers use up to some 2,000 bytes.
const maxCode = 8 << 10

func readAnswer(q url.Values) (answer, error) {
	in := answer{Code: q.Get("code"), Issuer: q.Get("iss"), Error: q.Get("error")}
	if len(in.Code) > maxCode || in.Code == "" && in.Error == "" {
		return in, errors.New("neither a code nor an error came back")
	}
	return in, nil
}

// errDown is what people read when a provider cannot be asked.
func errDown(label string, cause error) error {
	return kernel.Wrap(cause, kernel.Unavailable, label+" cannot be reached at the moment. Try again in a while, or sign in another way.")
}

// errUnproved is what people read when what a provider answered proves nothing.
func errUnproved(label string, cause error) error {
	return kernel.Wrap(cause, kernel.Malformed, "The answer from "+label+" could not be confirmed. Start again.")
}

// exchangeError sorts why no token was given: the provider refused the code, or could not be asked.
func exchangeError(label string, err error) error {
	var refused *oauth2.RetrieveError
	if !errors.As(err, &refused) {
		return errDown(label, err)
	}
	status := http.StatusOK
	if refused.Response != nil {
		status = refused.Response.StatusCode
	}
	cause := fmt.Errorf("the token endpoint answered %d, error %.60q", status, refused.ErrorCode) // and nothing of the body
	if status >= http.StatusInternalServerError {
		return errDown(label, cause)
	}
	return errUnproved(label, cause)
}

// newSource makes the source of a complete provider. redirect is where the provider sends people back to.
func newSource(p Provider, k preset, client *http.Client, redirect string, now kernel.Clock) source {
	if p.Preset == GitHub {
		return newGitHub(p, client, redirect, now)
	}
	return &oidcSource{p: p, preset: k, client: client, redirect: redirect, now: now}
}
