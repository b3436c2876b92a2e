package access

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"strings"

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
	it, err := m.logins.load(sha256.Sum256([]byte(token)), now, func() (identity.Login, error) {
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

// Membership fills in the workspace of a signed-in person; not a member is NotFound.
func (m *Module) Membership(ctx context.Context, a httpx.Actor, ws kernel.WorkspaceID) (httpx.Actor, error) {
	it, err := m.members.load(membership{a.AccountID, ws}, m.d.Clock(), func() (workspace.Workspace, error) {
		return m.d.Workspaces.Membership(ctx, a.AccountID, ws)
	})
	if err != nil {
		return a, err
	}
	a.WorkspaceID, a.Workspace, a.Role = ws, it.value.Name, it.value.Role
	return a, nil
}

// Bearer is who the bearer token belongs to. No token is the zero Actor; a wrong one is Unauthenticated.
func (m *Module) Bearer(r *http.Request) (httpx.Actor, error) {
	header := r.Header.Get("Authorization")
	if header == "" {
		return httpx.Actor{}, nil
	}
	scheme, token, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return httpx.Actor{}, errWrongKey()
	}
	return m.ByToken(r.Context(), strings.TrimSpace(token))
}

func errWrongKey() error {
	return kernel.Errorf(kernel.Unauthenticated, "This API key is wrong or was revoked. Send a key as Authorization: Bearer <key>.")
}

// ByToken is who a key belongs to, for protocols that send it in another place; a wrong one is Unauthenticated.
func (m *Module) ByToken(ctx context.Context, token string) (httpx.Actor, error) {
	if !looksLikeKey(token) {
		return httpx.Actor{}, errWrongKey()
	}
	now := m.d.Clock()
	hash := sha256.Sum256([]byte(token))
	it := m.keys.get(hash, now)
	if it == nil {
		var err error
		if it, err = m.keys.load(hash, now, func() (Key, error) { return m.keyByHash(ctx, hash) }); err != nil {
			return httpx.Actor{}, err
		}
	}
	k := &it.value
	m.seenKeys.touch(k.ID, now, &it.touched)
	return httpx.Actor{KeyID: k.ID, WorkspaceID: k.WorkspaceID, Workspace: k.workspace, Scopes: k.Scopes}, nil
}
