package scim_test

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/kept-dev/kept/internal/core/access/accesstest"
	"github.com/kept-dev/kept/internal/core/workspace"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db/dbtest"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/ui/uitest"
)

var keyText = regexp.MustCompile(`kept_[0-9A-Za-z]{43}`)

func provisioning(ws kernel.WorkspaceID) string { return "/w/" + string(ws) + "/settings/provisioning" }

// TestProvisioningPage: from nothing to a directory whose groups give roles, by clicking.
func TestProvisioningPage(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		_, ws, _ := s.Owner(t, ann, "Acme")
		b := s.Browser(t, "192.0.2.1").SignIn(ann)
		page := provisioning(ws)
		b.Get(page).Is(200, accesstest.BaseURL+"/scim/v2", "The directory has sent nobody yet", "Create a key")
		made := b.Post(page+"/key").Is(200, "cannot be shown again")
		d := directory{t, s, ws, keyText.FindString(made.Body)}
		if made.Header.Get("Cache-Control") != "no-store" || d.key == "" {
			t.Fatalf("the key: %q", made.Body)
		}
		b.Get(page).Is(200, d.key[:12], "Rotate").Lacks(d.key)
		account := person(t, s, bob)
		id := d.do(201, "POST", "/Users", recorded(t, "okta/create")).at("id").(string)
		d.do(201, "POST", "/Users", `{"userName":"eve@example.org","active":false}`)
		gid := d.do(201, "POST", "/Groups", `{"displayName":"<Engineering>","members":[{"value":"`+id+`"}]}`).at("id").(string)
		b.Get(page).Is(200, bob, "invited", "eve@example.org", "off", "<Engineering>")
		accept(t, s, account)
		b.Post(page+"/groups/"+gid, "role", "member").To(page + "?done=role")
		b.Get(page+"?done=role").Is(200, "The role is saved", "member")
		if d.role(account) != "member" {
			t.Errorf("is %q", d.role(account))
		}
		b.Post(page+"/groups/"+gid, "role", "owner").Is(422)
		b.Post(page+"/groups/01arz3ndektsv4rrffq69g5fav", "role", "member").Is(404)

		s.Clock.Add(httpx.DefaultFresh)
		for _, path := range []string{page + "/key", page + "/groups/" + gid} {
			if a := b.Post(path, "role", "admin"); a.Status != 303 || !strings.HasPrefix(a.Header.Get("Location"), "/account/prove") {
				t.Errorf("%s without a fresh proof: %d %s", path, a.Status, a.Header.Get("Location"))
			}
		}
		other := s.Browser(t, "192.0.2.2").SignIn(bob)
		other.Get(page).Is(403)
		other.Post(page + "/key").Is(403)
	})
}

// TestProvisioningInABrowser: readable, without faults that axe finds, wide and narrow, and by keyboard.
func TestProvisioningInABrowser(t *testing.T) {
	s := accesstest.New(t, dbtest.SQLite(t))
	owner, ws, _ := s.Owner(t, ann, "Acme")
	d := newDirectory(t, s, ws, owner)
	b := s.Browser(t, "127.0.0.1").SignIn(ann)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Host = "kept.example"
		if b.Token != "" {
			r.Header.Set("Cookie", httpx.SessionCookie+"="+b.Token)
		}
		s.Mux.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	page := uitest.Start(t).Open(t, srv.URL+provisioning(ws))
	page.Look(t, "provisioning-empty")
	account := person(t, s, bob)
	id := d.do(201, "POST", "/Users", recorded(t, "okta/create")).at("id").(string)
	accept(t, s, account)
	d.do(201, "POST", "/Users", `{"userName":"a.very.long.name.of.somebody@a.long.domain.example.org"}`)
	d.do(201, "POST", "/Users", `{"userName":"eve@example.org","active":false}`)
	gid := d.do(201, "POST", "/Groups", `{"displayName":"Engineering","members":[{"value":"`+id+`"}]}`).at("id").(string)
	d.do(201, "POST", "/Groups", `{"displayName":"Everybody at Acme"}`)
	d.giveRole(gid, workspace.RoleAdmin)
	page.Go(t, srv.URL+provisioning(ws))
	page.Look(t, "provisioning")
	page.FocusOrder(t, 80)
	if unreached := page.Unreached(t); len(unreached) > 0 {
		t.Errorf("not reached by keyboard: %v", unreached)
	}
}
