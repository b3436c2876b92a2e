package access_test

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/core/access"
	"github.com/kept-dev/kept/internal/core/access/accesstest"
	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/kernel"
)

// works tells whether a bearer token lets anybody in.
func works(t *testing.T, s *accesstest.Stack, token string) bool {
	t.Helper()
	a, err := s.Access.Bearer(bearer(token))
	if err != nil && kernel.CodeOf(err) != kernel.Unauthenticated {
		t.Fatal(err)
	}
	return err == nil && !a.Anonymous()
}

// newest is the key of a workspace that was made last. Two of one moment have no order, so the clock moves on first.
func newest(t *testing.T, s *accesstest.Stack, ws kernel.WorkspaceID) access.Key {
	t.Helper()
	keys, err := s.Access.Keys(t.Context(), ws)
	if err != nil || len(keys) == 0 {
		t.Fatalf("%d keys, %v", len(keys), err)
	}
	s.Clock.Add(time.Second)
	return keys[0]
}

// TestIngestIsTheDefault: the form for a new key offers ingest and nothing else, for ever.
func TestIngestIsTheDefault(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		_, ws, _ := s.Owner(t, owner, "W")
		b := s.Browser(t, "192.0.2.1").SignIn(owner)
		s.Clock.Add(time.Second)
		path := accesstest.Settings(ws) + "/api-keys"
		body := b.Get(path + "/new").Is(200).Body
		for scope, want := range map[string]bool{"ingest": true, "read": false, "write": false} {
			_, field, found := strings.Cut(body, `name="scope-`+scope+`"`)
			field, _, _ = strings.Cut(field, ">")
			if !found || strings.Contains(field, " checked") != want {
				t.Errorf("%s: <input …%s>", scope, field)
			}
		}
		if strings.Contains(body, "scope-scim") {
			t.Error("the form offers provisioning")
		}
		// What the form does not offer is not taken either.
		b.Post(path, "name", "x", "scope-ingest", "on", "scope-scim", "on", "scopes", "read").Is(200)
		if k := newest(t, s, ws); !slices.Equal(k.Scopes, []string{"ingest"}) || !k.ExpiresAt.IsZero() {
			t.Errorf("%+v", k)
		}
		for _, scopes := range [][]string{{"ingest", "scim"}, {"account"}, {"owner"}, {}} {
			_, _, err := s.Access.CreateKey(t.Context(), audit.System, ws, access.NewKey{Name: "x", Scopes: scopes})
			if code := kernel.CodeOf(err); code != kernel.Malformed && code != kernel.Invalid {
				t.Errorf("%v: %v", scopes, err)
			}
		}
	})
}

// TestKeyExpires: a key with an end stops at it, also where it is remembered, and does not count as living any more.
func TestKeyExpires(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		_, ws, _ := s.Owner(t, owner, "W")
		b := s.Browser(t, "192.0.2.1").SignIn(owner)
		path := accesstest.Settings(ws) + "/api-keys"
		s.Clock.Add(time.Second)
		key := keyForm.FindString(b.Post(path, "name", "short", "scope-read", "on", "expires", "30").Is(200).Body)
		k := newest(t, s, ws)
		if !k.ExpiresAt.Equal(k.CreatedAt.Add(30 * 24 * time.Hour)) {
			t.Errorf("ends %s", k.ExpiresAt)
		}
		s.Clock.Add(30*24*time.Hour - 2*time.Second)
		if !works(t, s, key) {
			t.Error("ended too early")
		}
		s.Clock.Add(time.Second) // it is still remembered
		if works(t, s, key) {
			t.Error("works after its end")
		}
		b = s.Browser(t, "192.0.2.1").SignIn(owner)
		b.Get(path).Is(200, "expired").Lacks(string(k.ID) + "/rotate")
		b.Post(path+"/"+string(k.ID)+"/rotate", "overlap", "24").Is(409, "works no more")
		b.Post(path, "name", "x", "scope-read", "on", "expires", "99999999").Is(422, "Choose one of the times")
		b.Post(path, "name", "x", "scope-read", "on", "expires", "-1").Is(422, "Choose one of the times")
	})
}

// TestRotationOverlaps: both keys work for as long as was asked, then the new one alone; and a key is rotated once.
func TestRotationOverlaps(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		_, ws, old := s.Owner(t, owner, "W")
		first := newest(t, s, ws)
		b := s.Browser(t, "192.0.2.1").SignIn(owner)
		path := accesstest.Settings(ws) + "/api-keys/"
		if !works(t, s, old) { // remembered from here on
			t.Fatal("the key does not work")
		}
		b.Get(path+string(first.ID)+"/rotate").Is(200, "Rotate kept setup?", first.Prefix)
		a := b.Post(path+string(first.ID)+"/rotate", "overlap", "1").Is(200, "The new key is ready", first.Prefix+"…) works until")
		fresh := keyForm.FindString(a.Body)
		if a.Header.Get("Cache-Control") != "no-store" || !works(t, s, fresh) || !works(t, s, old) || fresh == old {
			t.Fatal("both keys must work")
		}
		k := newest(t, s, ws)
		if k.Replaces != first.ID || !slices.Equal(k.Scopes, first.Scopes) || k.Name != first.Name || !k.ExpiresAt.IsZero() {
			t.Errorf("the new key is %+v", k)
		}
		b.Post(path+string(first.ID)+"/rotate", "overlap", "1").Is(409, "rotated already")
		b.Post(path+string(k.ID)+"/rotate", "overlap", "5000").Is(422)
		b.Post(path + string(k.ID) + "/rotate").Is(422)
		s.Clock.Add(time.Hour - 2*time.Second)
		if !works(t, s, old) {
			t.Error("the old key ended before the overlap was over")
		}
		s.Clock.Add(time.Second)
		if works(t, s, old) || !works(t, s, fresh) {
			t.Error("after the overlap the new key works alone")
		}
		b = s.Browser(t, "192.0.2.1").SignIn(owner)
		b.Post(path+string(k.ID)+"/rotate", "overlap", "0").Is(200, "refused from now on")
		if works(t, s, fresh) {
			t.Error("a key that was rotated without overlap still works")
		}
		s.FindNowhere(t, old, fresh)
		actions := ""
		for _, e := range auditOf(t, s, ws) {
			actions += e.Action + " "
		}
		if strings.Count(actions, "api_key.rotate") != 2 {
			t.Errorf("audited: %s", actions)
		}
	})
}

// TestRotatedKeyLivesAsLong: the new key has the old one's lifetime, from today.
func TestRotatedKeyLivesAsLong(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		_, ws, _ := s.Owner(t, owner, "W")
		k, _, err := s.Access.CreateKey(t.Context(), audit.System, ws, access.NewKey{Name: "x", Scopes: []string{"scim"}, Lives: 90 * 24 * time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		s.Clock.Add(89 * 24 * time.Hour)
		n, _, err := s.Access.RotateKey(t.Context(), audit.System, ws, k.ID, 7*24*time.Hour)
		if err != nil || !n.ExpiresAt.Equal(s.Clock.Now().Add(90*24*time.Hour)) {
			t.Errorf("%+v, %v", n, err)
		}
		if k, err = s.Access.FindKey(t.Context(), ws, k.ID); err != nil || !k.ExpiresAt.Equal(k.CreatedAt.Add(90*24*time.Hour)) {
			t.Errorf("rotation made the old key live longer: %+v, %v", k, err)
		}
	})
}

// TestConcurrentRotationsHaveOneWinner: a key has one successor, however many ask at once.
func TestConcurrentRotationsHaveOneWinner(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		_, ws, _ := s.Owner(t, owner, "W")
		k := newest(t, s, ws)
		var wg sync.WaitGroup
		errs := make([]error, 4)
		for i := range errs {
			wg.Go(func() { _, _, errs[i] = s.Access.RotateKey(t.Context(), audit.System, ws, k.ID, time.Hour) })
		}
		wg.Wait()
		won := 0
		for _, err := range errs {
			if err == nil {
				won++
			} else if kernel.CodeOf(err) != kernel.Conflict {
				t.Error(err)
			}
		}
		if n := s.Rows(t, "api_keys"); won != 1 || n != 2 {
			t.Errorf("%d rotations won, %d keys", won, n)
		}
	})
}

// TestKeyCreationNeedsAProof: half an hour after signing in, a person proves again who he is before a key is made.
func TestKeyCreationNeedsAProof(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		_, ws, _ := s.Owner(t, owner, "W")
		b := s.Browser(t, "192.0.2.1").SignIn(owner)
		path := accesstest.Settings(ws) + "/api-keys"
		k := newest(t, s, ws)
		before := s.Rows(t, "api_keys") + s.Rows(t, "personal_tokens")
		s.Clock.Add(30 * time.Minute)
		for _, page := range []string{path + "/new", path + "/" + string(k.ID) + "/rotate", "/account/tokens/new"} {
			a := b.Get(page)
			if !strings.HasPrefix(a.Header.Get("Location"), "/account/prove?next=") {
				t.Errorf("GET %s: %d", page, a.Status)
			}
		}
		for _, page := range []string{path, path + "/" + string(k.ID) + "/rotate", "/account/tokens"} {
			a := b.Post(page, "name", "x", "scope-read", "on", "expires", "30", "workspace", string(ws), "overlap", "24")
			if !strings.HasPrefix(a.Header.Get("Location"), "/account/prove?next=") {
				t.Errorf("POST %s: %d", page, a.Status)
			}
		}
		if n := s.Rows(t, "api_keys") + s.Rows(t, "personal_tokens"); n != before {
			t.Errorf("%d were made", n-before)
		}
		b.Post(path + "/" + string(k.ID) + "/revoke").To(path + "?done=revoked") // ending one must be quick
	})
}
