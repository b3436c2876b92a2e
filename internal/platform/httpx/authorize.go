package httpx

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/kept-dev/kept/internal/kernel"
)

// WorkspaceHeader says which workspace a request with a person's token is about, when the token does not.
const WorkspaceHeader = "Kept-Workspace"

// nobody is the Authenticator of a server without accounts.
type nobody struct{}

func (nobody) Login(*http.Request) (Actor, error)  { return Actor{}, nil }
func (nobody) Bearer(*http.Request) (Actor, error) { return Actor{}, nil }
func (nobody) Membership(context.Context, Actor, kernel.WorkspaceID) (Actor, error) {
	return Actor{}, kernel.Errorf(kernel.NotFound, "There is nothing at this address.")
}

// authorize finds out who asks and whether the route is theirs. done means that the answer (a redirect) is written.
func (e *entry) authorize(x *exchange, w http.ResponseWriter, r *http.Request) (done bool, err error) {
	switch e.Access {
	case Handled, Localhost:
		return false, nil
	case APIKey, Person:
		return false, e.authBearer(x, r)
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
	if e.Access == Member {
		if err := e.authMember(x, r.Context(), r.PathValue("ws")); err != nil {
			return false, err
		}
	}
	if e.StepUp && !e.proved(x.actor) {
		return e.askForProof(w, r)
	}
	return false, nil
}

// authMember fills in the workspace and asks what the role may do. Somebody who is not a member learns nothing from the
// answer: not even whether the workspace exists.
func (e *entry) authMember(x *exchange, ctx context.Context, ws string) error {
	if !kernel.ValidID(ws) {
		return kernel.Errorf(kernel.NotFound, "There is nothing at this address.")
	}
	actor, err := e.mux.cfg.Auth.Membership(ctx, x.actor, kernel.WorkspaceID(ws))
	if err != nil {
		return err
	}
	x.actor = actor
	if e.App != "" && !actor.HasApp(e.App) {
		return kernel.Errorf(kernel.Forbidden, "Your access to this workspace does not include this app. An owner or admin can change that.")
	}
	if !e.mux.cfg.Allows(actor.Role, e.Needs) {
		return kernel.Errorf(kernel.Forbidden, "Your role in this workspace (%s) does not allow that. Ask an owner or admin.", actor.Role)
	}
	return nil
}

// proved tells whether the person has shown lately who he is.
func (e *entry) proved(a Actor) bool {
	return !a.ProvedAt.IsZero() && e.mux.cfg.Clock().Sub(a.ProvedAt) < e.mux.cfg.Fresh
}

// askForProof sends a browser to where a person proves who he is, and back here afterwards; a program is told.
func (e *entry) askForProof(w http.ResponseWriter, r *http.Request) (done bool, err error) {
	if wantsJSON(r) {
		return false, kernel.Errorf(kernel.ProofNeeded, "Confirm that it is you first, at %s.", e.mux.cfg.ProvePath)
	}
	return sendThrough(w, r, e.mux.cfg.ProvePath)
}

// authBearer lets a key or a person's token with the route's scope pass. Wrong ones are limited by address like wrong
// passwords; right ones each have the class's limit to themselves, however many of them share an address.
func (e *entry) authBearer(x *exchange, r *http.Request) error {
	actor, err := e.mux.cfg.Auth.Bearer(r)
	switch {
	case err != nil:
	case actor.TokenID == "" && (actor.KeyID == "" || e.Access == Person):
		err = e.errNoBearer()
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
	if err := e.mux.cfg.Limiter.TakeKey(e.Rate, actor.KeyID+actor.TokenID); err != nil {
		return err
	}
	if !slices.Contains(actor.Scopes, e.Scope) {
		return kernel.Errorf(kernel.Forbidden, "This key or token does not have the scope %q.", e.Scope)
	}
	if actor.TokenID == "" || e.Access == Person {
		return nil
	}
	return e.authTokenMember(x, r)
}

func (e *entry) errNoBearer() error {
	if e.Access == Person {
		return kernel.Errorf(kernel.Unauthenticated, "Send a personal access token as Authorization: Bearer <token>.")
	}
	return kernel.Errorf(kernel.Unauthenticated, "Send an API key as Authorization: Bearer <key>.")
}

// authTokenMember holds a person's token to what the person may do today in the workspace that it is for.
func (e *entry) authTokenMember(x *exchange, r *http.Request) error {
	ws := string(x.actor.WorkspaceID)
	if chosen := r.Header.Get(WorkspaceHeader); ws == "" && chosen != "" {
		ws = chosen
	} else if ws == "" {
		return kernel.Errorf(kernel.Malformed, "Say which workspace you mean: send its id in the header %s.", WorkspaceHeader)
	}
	return e.authMember(x, r.Context(), ws)
}

// askToSignIn sends a browser to the sign-in page and back here afterwards; a program gets 401.
func (e *entry) askToSignIn(w http.ResponseWriter, r *http.Request) (done bool, err error) {
	if wantsJSON(r) {
		return false, kernel.Errorf(kernel.Unauthenticated, "Sign in first.")
	}
	return sendThrough(w, r, "/sign-in")
}

// sendThrough sends a browser to a page that sends it back here afterwards.
func sendThrough(w http.ResponseWriter, r *http.Request, page string) (done bool, err error) {
	target := page + "?next=" + url.QueryEscape(returnPath(r))
	w.Header().Set("Cache-Control", "no-store")
	if r.Header.Get("HX-Request") == "true" { // a fragment must not be swapped for a whole page
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
