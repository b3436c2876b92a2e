package access

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/kept-dev/kept/internal/core/identity"
	"github.com/kept-dev/kept/internal/core/workspace"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
)

var _ httpx.Authenticator = (*Module)(nil)

// errNobody keeps dead logins out of the cache of living ones.
var errNobody = errors.New("access: no such login")

// Login is who the session cookie belongs to. No or a dead cookie is the zero Actor.
func (m *Module) Login(r *http.Request) (httpx.Actor, error) {
	token := httpx.SessionToken(r)
	if token == "" || len(token) > 128 {
		return httpx.Actor{}, nil
	}
	now := m.d.Clock()
	it, err := m.logins.load(hashOf(token), now, func() (identity.Login, error) {
		l, ok, err := m.d.Identity.LoginOf(r.Context(), token)
		if err == nil && !ok {
			err = errNobody
		}
		return l, err
	})
	if errors.Is(err, errNobody) || err == nil && !it.value.Alive(now) {
		return httpx.Actor{}, nil
	}
	if err != nil {
		return httpx.Actor{}, err
	}
	l := &it.value
	m.seenLogins.touch(l.ID, now, &it.touched)
	return httpx.Actor{AccountID: l.AccountID, Email: l.Email, LoginID: l.ID, ProvedAt: l.ProvedAt, Strong: l.Strong}, nil
}

// Membership fills in the workspace of a signed-in person; not a member is NotFound, and one
// without the second factor that the workspace demands is Forbidden.
func (m *Module) Membership(ctx context.Context, a httpx.Actor, ws kernel.WorkspaceID) (httpx.Actor, error) {
	it, err := m.members.load(membership{a.AccountID, ws}, m.d.Clock(), func() (workspace.Workspace, error) {
		return m.d.Workspaces.Membership(ctx, a.AccountID, ws)
	})
	if err != nil {
		return a, err
	}
	a.WorkspaceID, a.Workspace, a.Role, a.Apps = ws, it.value.Name, it.value.Role, it.value.Apps
	return a, m.d.Workspaces.Admit(ctx, a, it.value)
}

// Around is who asks, in the workspace whose navigation surrounds the page. Pages of one's own, such as the account, are
// in none: there it is the only workspace that one has, else the one that one comes from.
func (m *Module) Around(r *http.Request) httpx.Actor {
	a := httpx.ActorOf(r.Context())
	if a.AccountID == "" || a.WorkspaceID != "" {
		return a
	}
	all, err := m.d.Workspaces.Of(r.Context(), a.AccountID)
	if err != nil {
		return a
	}
	before := cameFrom(r)
	for _, w := range all {
		if len(all) > 1 && w.ID != before {
			continue
		}
		if inside, err := m.Membership(r.Context(), a, w.ID); err == nil {
			return inside
		}
	}
	return a
}

// cameFrom is the workspace of the page that a link was followed on; the browser tells it to pages of the same site.
func cameFrom(r *http.Request) kernel.WorkspaceID {
	u, err := url.Parse(r.Referer())
	if err != nil || u.Host != r.Host {
		return ""
	}
	rest, _ := strings.CutPrefix(u.Path, "/w/")
	ws, _, _ := strings.Cut(rest, "/")
	return kernel.WorkspaceID(ws)
}

// Bearer is who the bearer token belongs to: a workspace's key, or a person's token. No token is the zero Actor; one that
// is wrong, expired or revoked is Unauthenticated. Clients that know only names and passwords, as data sources of Grafana
// and remote writes do, send it as the password; the name is not looked at. A browser that remembers
// a password sends it to whom another site tells it to; that is not believed. Without a token, a client certificate says who
// asks.
func (m *Module) Bearer(r *http.Request) (httpx.Actor, error) {
	if r.Header.Get("Authorization") == "" {
		if c := CertificateOf(r); c != nil {
			return m.ByCertificate(r.Context(), c)
		}
		return httpx.Actor{}, nil
	}
	token := tokenOf(r)
	switch {
	case looksLike(personalPrefix, token):
		return m.byToken(r.Context(), token, m.personalByHash)
	case looksLike(accessPrefix, token):
		return m.byToken(r.Context(), token, m.mobileByHash)
	}
	return m.ByToken(r.Context(), token)
}

// tokenOf is the token of a request with an Authorization header; empty when it has none.
func tokenOf(r *http.Request) string {
	if _, password, ok := r.BasicAuth(); ok {
		if from := r.Header.Get("Sec-Fetch-Site"); from == "cross-site" || from == "same-site" {
			return ""
		}
		return password
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

func errWrongBearer() error {
	return kernel.Errorf(kernel.Unauthenticated, "This key or token is wrong, has expired or was revoked. Send a working one as Authorization: Bearer <key>.")
}

// ByToken is who a key belongs to, for protocols that send it in another place; one that is wrong, expired or revoked is
// Unauthenticated, and so is a person's token.
func (m *Module) ByToken(ctx context.Context, token string) (httpx.Actor, error) {
	if !looksLike(keyPrefix, token) {
		return httpx.Actor{}, errWrongBearer()
	}
	now := m.d.Clock()
	hash := hashOf(token)
	it := m.keys.get(hash, now)
	if it == nil {
		var err error
		if it, err = m.keys.load(hash, now, func() (Key, error) { return m.keyByHash(ctx, hash) }); err != nil {
			return httpx.Actor{}, err
		}
	}
	if it.value.Expired(now) { // also of one that is remembered: its end is known
		return httpx.Actor{}, errWrongBearer()
	}
	return m.actorOf(it, now), nil
}

// actorOf is whoever has a key.
func (m *Module) actorOf(it *item[Key], now time.Time) httpx.Actor {
	k := &it.value
	m.seenKeys.touch(k.ID, now, &it.touched)
	return httpx.Actor{KeyID: k.ID, WorkspaceID: k.WorkspaceID, Workspace: k.workspace, Scopes: k.Scopes}
}

// bearer is a person's token as it is remembered.
type bearer struct {
	id      kernel.ID // of the personal token, or of the mobile login
	account kernel.AccountID
	email   string
	login   kernel.ID          // of a mobile token
	strong  bool               // how its person signed in
	ws      kernel.WorkspaceID // of a personal token; a mobile one is for all of the person's
	scopes  []string
	until   time.Time
}

// byToken is which person a token belongs to.
func (m *Module) byToken(ctx context.Context, token string, read func(context.Context, [32]byte) (bearer, error)) (httpx.Actor, error) {
	now := m.d.Clock()
	hash := hashOf(token)
	it, err := m.tokens.load(hash, now, func() (bearer, error) { return read(ctx, hash) })
	if err != nil {
		return httpx.Actor{}, err
	}
	b := &it.value
	if !now.Before(b.until) {
		return httpx.Actor{}, errWrongBearer()
	}
	if b.login != "" {
		m.seenLogins.touch(b.login, now, &it.touched)
	} else {
		m.seenTokens.touch(b.id, now, &it.touched)
	}
	return httpx.Actor{AccountID: b.account, Email: b.email, LoginID: b.login, TokenID: b.id, WorkspaceID: b.ws, Scopes: b.scopes,
		Strong: b.strong}, nil
}
