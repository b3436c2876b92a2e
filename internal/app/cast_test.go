package app_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/core/access"
	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/core/workspace"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/testkit"
)

// caller is one column of the matrix.
type caller struct {
	name      string
	workspace kernel.WorkspaceID // the one that is asked for
	cookie    string
	bearer    string
}

func (c caller) dress(r *http.Request) {
	if c.cookie != "" {
		r.AddCookie(&http.Cookie{Name: httpx.SessionCookie, Value: c.cookie})
	}
	if c.bearer != "" {
		r.Header.Set("Authorization", "Bearer "+c.bearer)
		r.Header.Set(httpx.WorkspaceHeader, string(c.workspace))
	}
}

// careful are routes that ask for a fresh proof of identity.
var careful = []string{
	"POST /account/password", "POST /account/email", "POST /account/authenticator", "POST /account/authenticator/remove",
	"POST /account/recovery-codes", "POST /account/passkeys", "POST /account/passkeys/{id}/remove", "POST /account/providers/{provider}/link",
	"POST /account/providers/{id}/unlink", "POST /account/providers/adopt", "POST /account/tokens", "POST /account/transfers/{ws}",
	"POST /w/{ws}/settings/api-keys", "POST /w/{ws}/settings/api-keys/{id}/rotate", "GET /w/{ws}/settings/audit.json",
	"GET /w/{ws}/settings/api-log.json", "POST /w/{ws}/settings/members/{account}", "POST /w/{ws}/settings/members/{account}/remove",
	"POST /w/{ws}/settings/provisioning/groups/{id}", "POST /w/{ws}/settings/provisioning/key", "POST /w/{ws}/settings/security",
	"POST /w/{ws}/settings/transfer",
}

// newCast makes everybody who asks: members of one workspace in each role, strangers, keys and tokens.
func newCast(t *testing.T, a *testkit.App) []caller {
	t.Helper()
	owner, stranger := a.SignedUp(t), a.SignedUp(t)
	ws := owner.WorkspaceID
	cast := []caller{
		{name: "anon"},
		{name: "stale", cookie: endedLogin(t, a, memberAs(t, a, ws, workspace.RoleOwner))},
		{name: "stranger", cookie: cookieOf(stranger.Browser)},
	}
	for _, role := range []string{workspace.RoleViewer, workspace.RoleMember, workspace.RoleBilling, workspace.RoleAdmin, workspace.RoleOwner} {
		cast = append(cast, caller{name: role, cookie: cookieOf(memberAs(t, a, ws, role).Browser)})
	}
	member := memberAs(t, a, ws, workspace.RoleMember)
	cast = append(cast,
		caller{name: "unproved", cookie: longAgoProved(t, a, memberAs(t, a, ws, workspace.RoleOwner))},
		caller{name: "ingest", bearer: keyWith(t, a, ws, access.ScopeIngest)},
		caller{name: "read", bearer: keyWith(t, a, ws, access.ScopeRead)},
		caller{name: "scim", bearer: keyWith(t, a, ws, access.ScopeSCIM)},
		caller{name: "expired", bearer: expiredKey(t, a, ws)},
		caller{name: "foreign", bearer: keyWith(t, a, stranger.WorkspaceID, access.ScopeRead)},
		caller{name: "pat", bearer: personalToken(t, a, member, ws)},
		caller{name: "mobile", bearer: mobileToken(t, a, member)},
	)
	for i := range cast {
		cast[i].workspace = ws
	}
	return cast
}

// memberAs makes a person who is a member of the workspace, and has one of his own.
func memberAs(t *testing.T, a *testkit.App, ws kernel.WorkspaceID, role string) *testkit.Person {
	t.Helper()
	p := a.SignedUp(t)
	exec(t, a, `INSERT INTO memberships (workspace_id, account_id, role, created_at) VALUES ($1, $2, $3, $4)`,
		ws, p.AccountID, role, kernel.Micros(a.Clock.Now()))
	return p
}

// endedLogin is the cookie of a login whose time is over.
func endedLogin(t *testing.T, a *testkit.App, p *testkit.Person) string {
	t.Helper()
	exec(t, a, `UPDATE logins SET expires_at = $2 WHERE account_id = $1`, p.AccountID, kernel.Micros(a.Clock.Now().Add(-time.Hour)))
	return cookieOf(p.Browser)
}

// longAgoProved is the cookie of somebody whose proof of identity is not fresh any more.
func longAgoProved(t *testing.T, a *testkit.App, p *testkit.Person) string {
	t.Helper()
	exec(t, a, `UPDATE logins SET proved_at = $2 WHERE account_id = $1`, p.AccountID, kernel.Micros(a.Clock.Now().Add(-time.Hour)))
	return cookieOf(p.Browser)
}

func expiredKey(t *testing.T, a *testkit.App, ws kernel.WorkspaceID) string {
	t.Helper()
	k, token, err := a.Access().CreateKey(t.Context(), audit.System, ws, access.NewKey{Name: "old", Scopes: access.Scopes(), Lives: 24 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	exec(t, a, `UPDATE api_keys SET expires_at = $2 WHERE id = $1`, k.ID, kernel.Micros(a.Clock.Now().Add(-time.Hour)))
	return token
}

func personalToken(t *testing.T, a *testkit.App, p *testkit.Person, ws kernel.WorkspaceID) string {
	t.Helper()
	_, token, err := a.Access().CreateToken(t.Context(), httpx.Actor{AccountID: p.AccountID, Email: p.Email},
		access.NewToken{Name: "script", WorkspaceID: ws, Scopes: []string{access.ScopeRead}, Lives: 24 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func mobileToken(t *testing.T, a *testkit.App, p *testkit.Person) string {
	t.Helper()
	pair, _, err := a.Access().SignInMobile(t.Context(), access.MobileSignIn{Email: p.Email, Password: testkit.Password})
	if err != nil {
		t.Fatal(err)
	}
	return pair.Access
}

func cookieOf(b *testkit.Browser) string {
	for _, c := range b.Cookies() {
		return c.Value
	}
	return ""
}

func keyWith(t *testing.T, a *testkit.App, ws kernel.WorkspaceID, scope string) string {
	t.Helper()
	_, token, err := a.Access().CreateKey(t.Context(), audit.System, ws, access.NewKey{Name: scope, Scopes: []string{scope}})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func exec(t *testing.T, a *testkit.App, text string, args ...any) {
	t.Helper()
	err := a.Control().Tx(t.Context(), func(tx *db.Tx) error {
		n, err := tx.Exec(t.Context(), text, args...)
		if err == nil && n == 0 {
			t.Errorf("%s changed nothing", text)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
