package httpx

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/kept-dev/kept/internal/kernel"
)

// roleOwner is the one role that the edge knows; all finer rights are the services' business.
const roleOwner = "owner"

// nobody is the Authenticator of a server without accounts.
type nobody struct{}

func (nobody) Login(*http.Request) (Actor, error) { return Actor{}, nil }
func (nobody) Key(*http.Request) (Actor, error)   { return Actor{}, nil }
func (nobody) Membership(context.Context, Actor, kernel.WorkspaceID) (Actor, error) {
	return Actor{}, kernel.Errorf(kernel.NotFound, "There is nothing at this address.")
}

// authorize finds out who asks and whether the route is theirs. done means that the answer (a redirect) is written.
func (e *entry) authorize(x *exchange, w http.ResponseWriter, r *http.Request) (done bool, err error) {
	switch e.Access {
	case Handled, Localhost:
		return false, nil
	case APIKey:
		return false, e.authKey(x, r)
	}
	if e.Access == Public && e.Rate == RateNone {
		return false, nil // static files: who asks makes no difference
	}
	if x.actor, err = e.mux.cfg.Auth.Login(r); err != nil {
		return false, err
	}
	if e.Access == Public {
		return false, nil
	}
	if x.actor.Anonymous() {
		return e.askToSignIn(w, r)
	}
	if e.Access == SignedIn {
		return false, nil
	}
	return false, e.authMember(x, r)
}

// authMember fills in the workspace. Somebody who is not a member learns nothing from the answer: not even whether the
// workspace exists.
func (e *entry) authMember(x *exchange, r *http.Request) error {
	ws := r.PathValue("ws")
	if !kernel.ValidID(ws) {
		return kernel.Errorf(kernel.NotFound, "There is nothing at this address.")
	}
	actor, err := e.mux.cfg.Auth.Membership(r.Context(), x.actor, kernel.WorkspaceID(ws))
	if err != nil {
		return err
	}
	x.actor = actor
	if e.Access == Owner && actor.Role != roleOwner {
		return kernel.Errorf(kernel.Forbidden, "Only an owner of this workspace may do that.")
	}
	return nil
}

// authKey lets a key with the route's scope pass. Wrong keys are limited by address like wrong passwords; right ones
// each have the class's limit to themselves, however many of them share an address.
func (e *entry) authKey(x *exchange, r *http.Request) error {
	actor, err := e.mux.cfg.Auth.Key(r)
	if err == nil && actor.KeyID == "" {
		err = kernel.Errorf(kernel.Unauthenticated, "Send an API key as Authorization: Bearer <key>.")
	}
	if err != nil {
		if kernel.CodeOf(err) == kernel.Unauthenticated {
			if limited := e.mux.cfg.Limiter.TakeAddr(RateAuth, x.client); limited != nil {
				return limited
			}
		}
		return err
	}
	x.actor = actor
	if err := e.mux.cfg.Limiter.TakeKey(e.Rate, actor.KeyID); err != nil {
		return err
	}
	if !slices.Contains(actor.Scopes, e.Scope) {
		return kernel.Errorf(kernel.Forbidden, "This key does not have the scope %q.", e.Scope)
	}
	return nil
}

// askToSignIn sends a browser to the sign-in page and back here afterwards; a program gets 401.
func (e *entry) askToSignIn(w http.ResponseWriter, r *http.Request) (done bool, err error) {
	if wantsJSON(r) {
		return false, kernel.Errorf(kernel.Unauthenticated, "Sign in first.")
	}
	target := "/sign-in?next=" + url.QueryEscape(returnPath(r))
	w.Header().Set("Cache-Control", "no-store")
	if r.Header.Get("HX-Request") == "true" { // a fragment must not be swapped for the sign-in page
		w.Header().Set("HX-Redirect", target)
		w.WriteHeader(http.StatusUnauthorized)
		return true, nil
	}
	http.Redirect(w, r, target, http.StatusSeeOther)
	return true, nil
}

// returnPath is where to go after signing in: this page, or for a form (which cannot be sent again) the page it was on.
func returnPath(r *http.Request) string {
	if r.Method == http.MethodGet && r.Header.Get("HX-Request") != "true" {
		return SafeNext(r.URL.RequestURI())
	}
	from, err := url.Parse(r.Referer())
	if err != nil || from.Host != r.Host {
		return "/"
	}
	return SafeNext(from.RequestURI())
}

// SafeNext is next when it is a path on this server, else "/". A value that a browser would read as another host is
// not a path: "//host", "/\host", or one with control characters in it.
func SafeNext(next string) string {
	if !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.ContainsAny(next, "\\\t\r\n\x00") {
		return "/"
	}
	if u, err := url.Parse(next); err != nil || u.Host != "" || u.Scheme != "" {
		return "/"
	}
	return next
}
