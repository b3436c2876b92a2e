package access_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/core/access"
	"github.com/kept-dev/kept/internal/core/access/accesstest"
	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/core/workspace"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/db/dbtest"
	"github.com/kept-dev/kept/internal/platform/httpx"
)

var tokenForm = regexp.MustCompile(`keptp_[0-9A-Za-z]{43}`)

// api is a server with routes as apps have them, behind the stack's authenticator: one to read, one to change, one for
// who manages. Each answers with who asked.
func api(t *testing.T, s *accesstest.Stack) *httpx.Mux {
	t.Helper()
	mux, err := httpx.NewMux(httpx.Config{Auth: s.Access, Clock: s.Clock.Now, Allows: workspace.Allows})
	if err != nil {
		t.Fatal(err)
	}
	who := func(w http.ResponseWriter, r *http.Request) error {
		a := httpx.ActorOf(r.Context())
		w.Header().Set("Content-Type", "application/json")
		return json.NewEncoder(w).Encode(map[string]any{"workspace": a.WorkspaceID, "role": a.Role, "account": a.AccountID, "token": a.TokenID})
	}
	op := &httpx.Operation{Summary: "x", Responses: map[int]any{200: nil}}
	add := func(method, path, scope string, needs httpx.Permission) {
		r := httpx.Route{Method: method, Path: path, Handler: who, Access: httpx.APIKey, Scope: scope, Needs: needs, Rate: httpx.RatePage, API: op}
		if method == "POST" {
			r.Audit = "thing.change"
		}
		if err := mux.Add(r); err != nil {
			t.Fatal(err)
		}
	}
	add("GET", "/api/v1/things", access.ScopeRead, httpx.MayView)
	add("POST", "/api/v1/things", access.ScopeWrite, httpx.MayChange)
	add("GET", "/api/v1/managed", access.ScopeRead, httpx.MayManage)
	add("GET", "/api/v1/provisioning", access.ScopeSCIM, httpx.MayManage)
	return mux
}

// call asks the API with a bearer token; ws, if any, goes into the header.
func call(t *testing.T, h http.Handler, method, path, token string, ws kernel.WorkspaceID) (status int, body map[string]any) {
	t.Helper()
	r := httptest.NewRequest(method, path, nil)
	r.RemoteAddr = "192.0.2.200:4000"
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Accept", "application/json")
	if ws != "" {
		r.Header.Set(httpx.WorkspaceHeader, string(ws))
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	_ = json.Unmarshal(w.Body.Bytes(), &body)
	return w.Code, body
}

// want fails unless the API answers with a status.
func want(t *testing.T, h http.Handler, status int, method, path, token string, ws kernel.WorkspaceID) {
	t.Helper()
	if got, body := call(t, h, method, path, token, ws); got != status {
		t.Errorf("%s %s: %d, want %d: %v", method, path, got, status, body)
	}
}

func token(t *testing.T, s *accesstest.Stack, account kernel.AccountID, ws kernel.WorkspaceID, scopes ...string) (access.Token, string) {
	t.Helper()
	tok, text, err := s.Access.CreateToken(t.Context(), httpx.Actor{AccountID: account, Email: "x@example.org"},
		access.NewToken{Name: "script", WorkspaceID: ws, Scopes: scopes, Lives: 30 * 24 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	return tok, text
}

func setRole(t *testing.T, s *accesstest.Stack, ws kernel.WorkspaceID, account kernel.AccountID, role string) {
	t.Helper()
	err := s.DB.Tx(t.Context(), func(tx *db.Tx) error {
		_, err := tx.Exec(t.Context(), `UPDATE memberships SET role = $3 WHERE workspace_id = $1 AND account_id = $2`, ws, account, role)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Clock.Add(5 * time.Second) // another process did it: no longer than a memory lasts
}

// TestPersonalTokenIsShownOnce: like a key, and in the audit log of the workspace that it is for.
func TestPersonalTokenIsShownOnce(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		_, ws, _ := s.Owner(t, owner, "W")
		b := s.Browser(t, "192.0.2.1").SignIn(owner)
		b.Get("/account/tokens").Is(200, "No tokens yet")
		b.Get("/account/tokens/new").Is(200, "W", "in 90 days")
		a := b.Post("/account/tokens", "name", "laptop", "workspace", string(ws), "scope-read", "on", "expires", "90").Is(200, "cannot be shown again", "laptop", "curl -sS")
		text := tokenForm.FindString(a.Body)
		if text == "" || a.Header.Get("Cache-Control") != "no-store" {
			t.Fatalf("no token, or the page may be stored: %q", a.Header)
		}
		b.Get("/account/tokens").Is(200, "laptop", text[:13], "read").Lacks(text)
		s.FindNowhere(t, text)
		found := false
		for _, e := range auditOf(t, s, ws) {
			found = found || e.Action == "token.create" && strings.Contains(e.Detail, "laptop")
			if strings.Contains(e.Detail+e.Target, text) {
				t.Error("the audit log has the token")
			}
		}
		if !found {
			t.Error("not audited")
		}
		want(t, api(t, s), 200, "GET", "/api/v1/things", text, "")
	})
}

func TestTokenFormsKeepValues(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		_, ws, _ := s.Owner(t, owner, "W")
		_, foreign, _ := s.Owner(t, stranger, "E")
		b := s.Browser(t, "192.0.2.1").SignIn(owner)
		good := []string{"name", "laptop", "workspace", string(ws), "scope-read", "on", "expires", "90"}
		for name, c := range map[string]struct{ field, value, says string }{
			"no name":           {"name", "", "Give the token a name"},
			"for ever":          {"expires", "0", "within a year"},
			"two years":         {"expires", "730", "within a year"},
			"no number":         {"expires", "soon", "within a year"},
			"foreign workspace": {"workspace", string(foreign), "Choose one of your workspaces"},
			"no workspace":      {"workspace", "", "Choose one of your workspaces"},
		} {
			form := append([]string{}, good...)
			for i := 0; i < len(form); i += 2 {
				if form[i] == c.field {
					form[i+1] = c.value
				}
			}
			a := b.Post("/account/tokens", form...)
			if a.Status != 422 {
				t.Errorf("%s: %d", name, a.Status)
				continue
			}
			a.Is(422, c.says)
		}
		b.Post("/account/tokens", "name", "laptop", "workspace", string(ws), "expires", "90").Is(422, `value="laptop"`, "at least one thing")
		if n := s.Rows(t, "personal_tokens"); n != 0 {
			t.Errorf("%d tokens were made", n)
		}
	})
}

// TestPersonalTokenFollowsTheRole: a token can do what its scopes say, in its workspace, and never more than the person
// can do there now. Who leaves takes the token along, for good.
func TestPersonalTokenFollowsTheRole(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		_, ws, _ := s.Owner(t, owner, "W")
		eve, own, _ := s.Owner(t, stranger, "E")
		s.Join(t, ws, eve, "admin")
		mux := api(t, s)
		_, text := token(t, s, eve, ws, "read", "write")
		status, body := call(t, mux, "GET", "/api/v1/things", text, "")
		if status != 200 || body["workspace"] != string(ws) || body["role"] != "admin" {
			t.Fatalf("%d %v", status, body)
		}
		want(t, mux, 200, "POST", "/api/v1/things", text, "")
		want(t, mux, 200, "GET", "/api/v1/managed", text, "")
		want(t, mux, 403, "GET", "/api/v1/provisioning", text, "") // a scope that no person has
		if status, body := call(t, mux, "GET", "/api/v1/things", text, own); status != 200 || body["workspace"] != string(ws) {
			t.Errorf("the header leads a personal token elsewhere: %d %v", status, body)
		}
		_, reader := token(t, s, eve, ws, "read")
		want(t, mux, 403, "POST", "/api/v1/things", reader, "")

		setRole(t, s, ws, eve, "member")
		want(t, mux, 403, "GET", "/api/v1/managed", text, "")
		want(t, mux, 200, "POST", "/api/v1/things", text, "")
		setRole(t, s, ws, eve, "viewer")
		want(t, mux, 403, "POST", "/api/v1/things", text, "")
		want(t, mux, 200, "GET", "/api/v1/things", text, "")
		setRole(t, s, ws, eve, "billing")
		want(t, mux, 403, "GET", "/api/v1/things", text, "")

		err := s.DB.Tx(t.Context(), func(tx *db.Tx) error {
			_, err := tx.Exec(t.Context(), `DELETE FROM memberships WHERE workspace_id = $1 AND account_id = $2`, ws, eve)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		s.Clock.Add(5 * time.Second)
		want(t, mux, 401, "GET", "/api/v1/things", text, "")
		s.Join(t, ws, eve, "owner")
		s.Clock.Add(5 * time.Second)
		want(t, mux, 401, "GET", "/api/v1/things", text, "")
		if n := s.Rows(t, "personal_tokens"); n != 0 {
			t.Errorf("%d tokens of somebody who left", n)
		}
	})
}

// TestPersonalTokenExpires: also one that is remembered; and it is swept a month later.
func TestPersonalTokenExpires(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		account, ws, _ := s.Owner(t, owner, "W")
		tok, text := token(t, s, account, ws, "read")
		s.Clock.Add(30*24*time.Hour - time.Second)
		if !works(t, s, text) {
			t.Error("ended too early")
		}
		s.Clock.Add(time.Second)
		if works(t, s, text) {
			t.Error("works after its end")
		}
		s.Browser(t, "192.0.2.1").SignIn(owner).Get("/account/tokens").Is(200, "expired").Lacks(string(tok.ID))
		sweep := func() int64 {
			t.Helper()
			for _, c := range s.Access.Collections() {
				if c.Name == "personal_tokens" {
					limit, err := c.MaxAge(t.Context(), "")
					if err != nil {
						t.Fatal(err)
					}
					n, err := c.Sweep(t.Context(), "", s.Clock.Now().Add(-limit))
					if err != nil {
						t.Fatal(err)
					}
					return n
				}
			}
			t.Fatal("not declared")
			return 0
		}
		if n := sweep(); n != 0 {
			t.Errorf("swept %d at once", n)
		}
		s.Clock.Add(31 * 24 * time.Hour)
		if n := sweep(); n != 1 || s.Rows(t, "personal_tokens") != 0 {
			t.Errorf("swept %d", n)
		}
	})
}

// TestPersonalTokenIsRevoked by the person, or by who manages the workspace; by nobody else.
func TestPersonalTokenIsRevoked(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		_, ws, _ := s.Owner(t, owner, "W")
		eve, own, _ := s.Owner(t, stranger, "E")
		s.Join(t, ws, eve, "member")
		first, one := token(t, s, eve, ws, "read")
		second, two := token(t, s, eve, ws, "read")
		_, three := token(t, s, eve, own, "read")
		other := s.Beside(t)
		for _, text := range []string{one, two, three} {
			if !works(t, s, text) || !works(t, other, text) {
				t.Fatal("a new token does not work")
			}
		}
		ann, b := s.Browser(t, "192.0.2.1").SignIn(owner), s.Browser(t, "192.0.2.2").SignIn(stranger)
		ann.Get("/account/tokens/" + string(first.ID) + "/revoke").Is(404)
		ann.Post("/account/tokens/" + string(first.ID) + "/revoke").Is(404)
		b.Post("/account/tokens/" + string(first.ID) + "/revoke").To("/account/tokens?done=revoked")
		if works(t, s, one) || !works(t, s, two) {
			t.Error("the token that was revoked works on, or another does not")
		}
		keys := accesstest.Settings(ws) + "/api-keys"
		ann.Get(keys).Is(200, "Personal tokens", "script", second.Prefix)
		b.Post(keys + "/tokens/" + string(second.ID) + "/revoke").Is(403) // a member does not manage
		b.Post(accesstest.Settings(own) + "/api-keys/tokens/" + string(second.ID) + "/revoke").Is(404)
		ann.Get(keys+"/tokens/"+string(second.ID)+"/revoke").Is(200, "Revoke script of")
		ann.Post(keys + "/tokens/" + string(second.ID) + "/revoke").To(keys + "?done=token")
		if works(t, s, two) || !works(t, s, three) {
			t.Error("the token that was revoked works on, or another does not")
		}
		s.Clock.Add(5 * time.Second)
		if works(t, other, one) || works(t, other, two) || !works(t, other, three) {
			t.Error("the other process does not know")
		}
	})
}

// TestTokensDoNotLeadAroundTheSecondFactor: where a workspace demands one, a password alone makes no token for it, and an
// app that was signed in with a password alone stays out; also of a person who has a passkey.
func TestTokensDoNotLeadAroundTheSecondFactor(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		account, ws, key := s.Owner(t, owner, "W")
		_, text := token(t, s, account, ws, "read")
		app := phone(t, s, owner)
		mux := api(t, s)
		exec := func(text string, args ...any) {
			t.Helper()
			if err := s.DB.Tx(t.Context(), func(tx *db.Tx) error { _, err := tx.Exec(t.Context(), text, args...); return err }); err != nil {
				t.Fatal(err)
			}
			s.Clock.Add(5 * time.Second)
		}
		exec(`UPDATE workspaces SET demand_factor = 1 WHERE id = $1`, ws)
		b := s.Browser(t, "192.0.2.1").SignIn(owner)
		create := func() accesstest.Answer {
			return b.Post("/account/tokens", "name", "x", "workspace", string(ws), "scope-read", "on", "expires", "30")
		}
		for _, has := range []string{"nothing", "passkey"} {
			if has == "passkey" {
				exec(`INSERT INTO passkeys (id, account_id, credential_id, public_key, name, aaguid, transports, flags, sign_count, created_at, last_used_at)
					VALUES ('01arz3ndektsv4rrffq69g5fav', $1, $2, $2, 'p', $2, '', 0, 0, 1, 1)`, account, []byte{1})
			}
			want(t, mux, 403, "GET", "/api/v1/things", app.Access, ws)
			create().Is(403, "second factor")
		}
		want(t, mux, 200, "GET", "/api/v1/things", text, "") // made by somebody who was let in
		want(t, mux, 200, "GET", "/api/v1/things", key, "")  // a key is the workspace's
	})
}

// TestRevocationReachesAnotherProcess: whatever ends, ends in every process within five seconds.
func TestRevocationReachesAnotherProcess(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		account, ws, key := s.Owner(t, owner, "W")
		k := newest(t, s, ws)
		_, text := token(t, s, account, ws, "read")
		app := phone(t, s, owner)
		rotated, old, err := s.Access.CreateKey(t.Context(), audit.System, ws, access.NewKey{Name: "x", Scopes: []string{"read"}})
		if err != nil {
			t.Fatal(err)
		}
		other := s.Beside(t)
		all := []string{key, old, text, app.Access}
		for i, secret := range all {
			if !works(t, other, secret) {
				t.Fatalf("%d does not work in the other process", i)
			}
		}
		if err := s.Access.RevokeKey(t.Context(), audit.System, ws, k.ID); err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.Access.RotateKey(t.Context(), audit.System, ws, rotated.ID, 0); err != nil {
			t.Fatal(err)
		}
		tokens, err := s.Access.Tokens(t.Context(), account)
		if err != nil || s.Access.RevokeToken(t.Context(), httpx.Actor{AccountID: account}, tokens[0].ID) != nil {
			t.Fatal(err)
		}
		s.Browser(t, "192.0.2.1").SignIn(owner).Post("/account/logins/end-others")
		for i, secret := range all {
			if works(t, s, secret) {
				t.Errorf("%d still works here", i)
			}
		}
		s.Clock.Add(5 * time.Second)
		for i, secret := range all {
			if works(t, other, secret) {
				t.Errorf("%d still works elsewhere after 5 s", i)
			}
		}
	})
}

// FuzzBearer sends whatever as Authorization. Nobody gets in, and nothing breaks.
func FuzzBearer(f *testing.F) {
	s := accesstest.New(f, dbtest.SQLite(f))
	for _, seed := range []string{"", "Bearer", "Bearer kept_", "Bearer keptp_" + strings.Repeat("0", 43), "bearer kepta_" + strings.Repeat("z", 43),
		"Bearer keptr_" + strings.Repeat("A", 43), "Basic a2VwdDp4", "Bearer kept_" + strings.Repeat("\x00", 43), "Bearer " + strings.Repeat("x", 1<<12),
		"Bearer kept_" + strings.Repeat("ö", 21) + "x", "\x00", "Bearer\tkept_" + strings.Repeat("1", 43)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		r := httptest.NewRequestWithContext(context.Background(), "GET", "/api/v1/jobs", nil)
		r.Header.Set("Authorization", header)
		a, err := s.Access.Bearer(r)
		if !a.Anonymous() || header != "" && kernel.CodeOf(err) != kernel.Unauthenticated {
			t.Errorf("%+v, %v", a, err)
		}
	})
}
