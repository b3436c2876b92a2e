package access_test

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/core/access"
	"github.com/kept-dev/kept/internal/core/access/accesstest"
	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db/dbtest"
	"github.com/kept-dev/kept/internal/platform/httpx"
)

const owner, stranger = "ann@example.org", "eve@example.org"

var keyForm = regexp.MustCompile(`kept_[0-9A-Za-z]{43}`)

func bearer(key string) *http.Request {
	r := httptest.NewRequest("GET", "/api/v1/jobs", nil)
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	return r
}

func TestKeyIsShownOnce(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		_, ws, _ := s.Owner(t, owner, "W")
		b := s.Browser(t, "192.0.2.1").SignIn(owner)
		path := accesstest.Settings(ws) + "/api-keys"
		a := b.Post(path, "name", "orders worker", "scope-ingest", "on").Is(200, "cannot be shown again", "orders worker", "curl -sS", accesstest.BaseURL+"/api/v1/events")
		key := keyForm.FindString(a.Body)
		if key == "" || a.Header.Get("Cache-Control") != "no-store" {
			t.Fatalf("no key, or the page may be stored: %q", a.Header)
		}
		b.Get(path).Is(200, "orders worker", key[:12], "ingest", "ann@example.org").Lacks(key)
		s.FindNowhere(t, key)
		actor, err := s.Access.Bearer(bearer(key))
		if err != nil || actor.WorkspaceID != ws || len(actor.Scopes) != 1 || actor.Scopes[0] != "ingest" || actor.KeyID == "" {
			t.Errorf("%+v, %v", actor, err)
		}
		for _, e := range auditOf(t, s, ws) {
			if strings.Contains(e.Detail+e.Target, key) {
				t.Error("the audit log has the key")
			}
		}
	})
}

func TestKeyAsPassword(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		_, ws, _ := s.Owner(t, owner, "W")
		a := s.Browser(t, "192.0.2.1").SignIn(owner).Post(accesstest.Settings(ws)+"/api-keys", "name", "Grafana", "scope-read", "on")
		key := keyForm.FindString(a.Body)
		for from, want := range map[string]kernel.WorkspaceID{"": ws, "same-origin": ws, "none": ws, "cross-site": "", "same-site": ""} {
			r := bearer("")
			r.SetBasicAuth("whoever", key)
			r.Header.Set("Sec-Fetch-Site", from)
			if actor, err := s.Access.Bearer(r); actor.WorkspaceID != want || (err == nil) != (want != "") {
				t.Errorf("as a password from %q: %+v, %v", from, actor, err)
			}
		}
	})
}

func auditOf(t *testing.T, s *accesstest.Stack, ws kernel.WorkspaceID) []audit.Entry {
	t.Helper()
	entries, _, err := s.Audit.List(t.Context(), audit.Filter{WorkspaceID: ws})
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

func TestKeyFormat(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 2000 {
		key := access.NewKeyText()
		if !keyForm.MatchString(key) || len(key) != 48 || seen[key] {
			t.Fatalf("%q", key)
		}
		seen[key] = true
	}
}

func TestKeyFormsKeepValues(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		_, ws, _ := s.Owner(t, owner, "W")
		b := s.Browser(t, "192.0.2.1").SignIn(owner)
		path := accesstest.Settings(ws) + "/api-keys"
		before := s.Rows(t, "api_keys")
		b.Post(path, "name", "", "scope-read", "on").Is(422, "Give the key a name")
		b.Post(path, "name", "orders worker").Is(422, `value="orders worker"`, "at least one thing")
		b.Post(path, "name", strings.Repeat("x", 61), "scope-read", "on").Is(422, "at most 60")
		if n := s.Rows(t, "api_keys"); n != before {
			t.Errorf("%d keys were made", n-before)
		}
	})
}

func TestRevokedKeyStopsAtOnce(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		_, ws, key := s.Owner(t, owner, "W")
		other := s.Beside(t) // another process
		for _, x := range []*accesstest.Stack{s, other} {
			if _, err := x.Access.Bearer(bearer(key)); err != nil {
				t.Fatal(err)
			}
		}
		keys, err := s.Access.Keys(t.Context(), ws)
		if err != nil || len(keys) != 1 {
			t.Fatalf("%d, %v", len(keys), err)
		}
		b := s.Browser(t, "192.0.2.1").SignIn(owner)
		path := accesstest.Settings(ws) + "/api-keys"
		b.Get(path+"/"+string(keys[0].ID)+"/revoke").Is(200, "Revoke kept setup?", keys[0].Prefix)
		b.Post(path + "/" + string(keys[0].ID) + "/revoke").To(path + "?done=revoked")
		if _, err := s.Access.Bearer(bearer(key)); kernel.CodeOf(err) != kernel.Unauthenticated {
			t.Errorf("here: %v", err)
		}
		s.Clock.Add(5 * time.Second)
		if _, err := other.Access.Bearer(bearer(key)); kernel.CodeOf(err) != kernel.Unauthenticated {
			t.Errorf("elsewhere after 5 s: %v", err)
		}
		b.Get(path).Is(200, "revoked").Lacks(path + "/" + string(keys[0].ID) + "/revoke")
		b.Post(path + "/" + string(keys[0].ID) + "/revoke").To(path + "?done=revoked") // twice is no error
	})
}

func TestEndedLoginStopsElsewhereToo(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		s.Owner(t, owner, "W")
		other := s.Beside(t)
		b := s.Browser(t, "192.0.2.1").SignIn(owner)
		there := other.Browser(t, "192.0.2.1")
		there.Token = b.Token
		there.Get("/account").Is(200)
		b.Post("/sign-out").To("/sign-in")
		s.Clock.Add(5 * time.Second)
		there.Get("/account").To("/sign-in?next=%2Faccount")
	})
}

func TestWrongKeysAreUnauthenticated(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		_, _, key := s.Owner(t, owner, "W")
		for name, header := range map[string]string{
			"other key":   "Bearer " + access.NewKeyText(),
			"cut off":     "Bearer " + key[:40],
			"other case":  "Bearer " + strings.ToLower(key),
			"empty":       "Bearer ",
			"basic":       "Basic a2VwdDp4",
			"no scheme":   key,
			"NUL":         "Bearer kept_" + strings.Repeat("\x00", 43),
			"very long":   "Bearer " + strings.Repeat("x", 100000),
			"with a tail": "Bearer " + key + "x",
		} {
			r := bearer("")
			r.Header.Set("Authorization", header)
			if a, err := s.Access.Bearer(r); kernel.CodeOf(err) != kernel.Unauthenticated || !a.Anonymous() {
				t.Errorf("%s: %+v, %v", name, a, err)
			}
		}
		if a, err := s.Access.Bearer(bearer("")); err != nil || !a.Anonymous() {
			t.Errorf("no header: %+v, %v", a, err)
		}
		r := bearer("")
		r.Header.Set("Authorization", "bearer  "+key)
		if _, err := s.Access.Bearer(r); err != nil {
			t.Errorf("small letters and two spaces: %v", err)
		}
	})
}

// TestForeignWorkspace: who is not a member gets the same 404 as for a workspace that does not exist.
func TestForeignWorkspace(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		_, ws, _ := s.Owner(t, owner, "Secret project")
		_, own, _ := s.Owner(t, stranger, "E")
		keys, err := s.Access.Keys(t.Context(), ws)
		if err != nil {
			t.Fatal(err)
		}
		b := s.Browser(t, "198.51.100.66").SignIn(stranger)
		for _, path := range []string{"", "/settings", "/settings/api-keys", "/settings/audit", "/settings/audit.json", "/settings/api-keys/" + string(keys[0].ID) + "/revoke"} {
			foreign := b.Get("/w/" + string(ws) + path).Is(404).Lacks("Secret project")
			missing := b.Get("/w/01hzzzzzzzzzzzzzzzzzzzzzzz" + path).Is(404)
			if strip(foreign.Body) != strip(missing.Body) {
				t.Errorf("%s tells that the workspace exists", path)
			}
		}
		b.Post("/w/"+string(ws)+"/settings", "name", "Mine").Is(404)
		b.Post("/w/"+string(ws)+"/settings/api-keys", "name", "x", "scope-read", "on").Is(404)
		b.Post("/w/" + string(ws) + "/settings/api-keys/" + string(keys[0].ID) + "/revoke").Is(404)
		// The workspace is one's own and the key is not.
		b.Post("/w/" + string(own) + "/settings/api-keys/" + string(keys[0].ID) + "/revoke").Is(404)
		if k, err := s.Access.FindKey(t.Context(), ws, keys[0].ID); err != nil || k.Revoked() {
			t.Errorf("%+v, %v", k, err)
		}
	})
}

var requestID = regexp.MustCompile(`[0-9a-f]{24}`)

func strip(body string) string { return requestID.ReplaceAllString(body, "ID") }

// TestRolesAtTheSettings: a member sees the workspace and nothing of its keys, an admin manages them.
func TestRolesAtTheSettings(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		_, ws, _ := s.Owner(t, owner, "W")
		account, _, _ := s.Owner(t, stranger, "E")
		s.Join(t, ws, account, "member")
		b := s.Browser(t, "192.0.2.2").SignIn(stranger)
		path := accesstest.Settings(ws)
		b.Get(path).Is(200, "An owner or admin can change it")
		b.Get(path+"/members").Is(200, owner, stranger)
		b.Get(path + "/api-keys").Is(403)
		b.Get(path + "/audit").Is(403)
		b.Post(path, "name", "Mine").Is(403)
		b.Post(path+"/api-keys", "name", "x", "scope-read", "on").Is(403)
		setRole(t, s, ws, account, "admin")
		b.Get(path+"/api-keys").Is(200, "kept setup", "Rotate", "Revoke")
		b.Post(path+"/api-keys", "name", "x", "scope-read", "on").Is(200, "The key is ready")
	})
}

// TestLastUsedIsCoarse: many requests make one write, and it never goes back.
func TestLastUsedIsCoarse(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		_, ws, key := s.Owner(t, owner, "W")
		used := func() time.Time {
			t.Helper()
			keys, err := s.Access.Keys(t.Context(), ws)
			if err != nil {
				t.Fatal(err)
			}
			return keys[0].LastUsedAt
		}
		for range 100 {
			if _, err := s.Access.Bearer(bearer(key)); err != nil {
				t.Fatal(err)
			}
		}
		if !used().IsZero() {
			t.Error("a request wrote to the database")
		}
		if err := s.Access.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if !used().Equal(s.Clock.Now()) {
			t.Errorf("last used %s", used())
		}
		s.Clock.Add(10 * time.Second)
		if _, err := s.Access.Bearer(bearer(key)); err != nil {
			t.Fatal(err)
		}
		if n := s.Access.Pending(); n != 0 {
			t.Errorf("%d uses noted within the step", n)
		}
		s.Clock.Add(30 * time.Second)
		if _, err := s.Access.Bearer(bearer(key)); err != nil {
			t.Fatal(err)
		}
		if err := s.Access.Stop(t.Context()); err != nil { // never started
			t.Fatal(err)
		}
		if !used().Equal(s.Clock.Now()) {
			t.Errorf("Stop did not note the last use: %s", used())
		}
	})
}

func TestStartAndStopAreSafeInAnyOrder(t *testing.T) {
	t.Parallel()
	s := accesstest.New(t, dbtest.SQLite(t))
	for range 2 {
		for range 2 {
			if err := s.Access.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 {
			if err := s.Access.Stop(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestSetup(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		in := access.Setup{Email: owner, Password: accesstest.Password, Workspace: "Acme"}
		first, err := s.Access.Setup(t.Context(), in)
		if err != nil || !first.Created {
			t.Fatalf("%+v, %v", first, err)
		}
		actor, err := s.Access.Bearer(bearer(first.APIKey))
		if err != nil || actor.WorkspaceID != first.WorkspaceID || strings.Join(actor.Scopes, " ") != "ingest read write" {
			t.Errorf("%+v, %v", actor, err)
		}
		again, err := s.Access.Setup(t.Context(), in)
		if err != nil || again.Created || again.AccountID != first.AccountID || again.WorkspaceID != first.WorkspaceID || again.APIKey == first.APIKey {
			t.Errorf("the second time: %+v, %v", again, err)
		}
		if _, err := s.Access.Bearer(bearer(first.APIKey)); err != nil {
			t.Errorf("the first key: %v", err)
		}
		in.Workspace = "Other"
		if other, err := s.Access.Setup(t.Context(), in); err != nil || other.WorkspaceID == first.WorkspaceID {
			t.Errorf("another workspace: %+v, %v", other, err)
		}
		for name, bad := range map[string]access.Setup{
			"other password": {Email: owner, Password: "not the same one", Workspace: "Acme"},
			"weak password":  {Email: "new@example.org", Password: "1234567890", Workspace: "Acme"},
			"bad address":    {Email: "new", Password: accesstest.Password, Workspace: "Acme"},
		} {
			before := s.Rows(t, "accounts") + s.Rows(t, "workspaces") + s.Rows(t, "api_keys")
			if _, err := s.Access.Setup(t.Context(), bad); err == nil || kernel.CodeOf(err) == kernel.Internal {
				t.Errorf("%s: %v", name, err)
			}
			if s.Rows(t, "accounts")+s.Rows(t, "workspaces")+s.Rows(t, "api_keys") != before {
				t.Errorf("%s: something was made", name)
			}
		}
		s.Browser(t, "192.0.2.1").SignIn(owner).Get("/").To("/workspaces")
	})
}

func TestErasedWorkspaceTakesItsKeysAlong(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		_, ws, key := s.Owner(t, owner, "W")
		_, kept, _ := s.Owner(t, stranger, "E")
		b := s.Browser(t, "192.0.2.1").SignIn(owner)
		b.Get(accesstest.Settings(ws)).Is(200)
		if _, err := s.Access.Bearer(bearer(key)); err != nil {
			t.Fatal(err)
		}
		for _, c := range s.Workspaces.Collections() {
			if c.Erase != nil {
				if n, err := c.Erase(t.Context(), ws); err != nil || n != 1 {
					t.Fatalf("%d, %v", n, err)
				}
			}
		}
		if _, err := s.Access.Bearer(bearer(key)); kernel.CodeOf(err) != kernel.Unauthenticated {
			t.Errorf("the key still works: %v", err)
		}
		b.Get(accesstest.Settings(ws)).Is(404)
		for _, c := range append(s.Workspaces.Collections(), s.Access.Collections()...) {
			if n, err := c.Count(t.Context(), ws); err != nil || n != 0 {
				t.Errorf("%s: %d left, %v", c.Name, n, err)
			}
			if c.Name != "api_keys" && c.Name != "workspaces" && c.Name != "memberships" {
				continue
			}
			if n, err := c.Count(t.Context(), kept); err != nil || n != 1 {
				t.Errorf("%s: %d of the other workspace, %v", c.Name, n, err)
			}
			found := 0
			if err := c.Export(t.Context(), kept, func(any) error { found++; return nil }); err != nil || found != 1 {
				t.Errorf("%s: export of %d, %v", c.Name, found, err)
			}
		}
	})
}

func TestAuditPage(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		_, ws, _ := s.Owner(t, owner, "W")
		b := s.Browser(t, "192.0.2.7").SignIn(owner)
		path := accesstest.Settings(ws)
		for range 60 {
			b.Post(path, "name", "Renamed").To(path + "?done=name")
		}
		a := b.Get(path+"/audit").Is(200, "workspace.rename", owner, "192.0.2.7", "Next page")
		next := regexp.MustCompile(`href="([^"]*cursor=[^"]*)"`).FindStringSubmatch(a.Body)
		if next == nil {
			t.Fatal("no next page")
		}
		b.Get(strings.ReplaceAll(next[1], "&amp;", "&")).Is(200, "workspace.create", "First page")
		b.Get(path+"/audit?action=api_key.&actor=ANN").Is(200, "api_key.create").Lacks("<code>workspace.rename")
		b.Get(path+"/audit?action=nothing").Is(200, "No line matches", "Clear filter")
		b.Get(path + "/audit?cursor=made-up").Is(400)
		b.Get(path + "/audit?from=yesterday").Is(400)
		b.Get(path+"/audit.json?action=workspace.create").Is(200, `"format":"kept audit v1"`, `"action":"workspace.create"`).Lacks("workspace.rename")
	})
}

func TestMembershipNeedsTheRoute(t *testing.T) {
	t.Parallel()
	s := accesstest.New(t, dbtest.SQLite(t))
	for _, r := range s.Mux.Table() {
		offered := strings.HasPrefix(r.Path, "/account/transfers/") // to somebody who need not be a member of what he looks at yet
		if strings.Contains(r.Path, "{ws}") && r.Access != httpx.Member && !offered {
			t.Errorf("%s %s is %s", r.Method, r.Path, r.Access)
		}
	}
}

// BenchmarkKey is a request whose key is remembered.
func BenchmarkKey(b *testing.B) {
	s := accesstest.New(b, dbtest.SQLite(b))
	_, _, key := s.Owner(b, owner, "W")
	r := bearer(key)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Access.Bearer(r); err != nil {
			b.Fatal(err)
		}
	}
}
