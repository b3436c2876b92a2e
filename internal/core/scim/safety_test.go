package scim_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/kept-dev/kept/internal/core/access/accesstest"
	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/core/workspace"
)

func patchActive(active string) string {
	return `{"Operations":[{"op":"replace","path":"active","value":` + active + `}]}`
}

// TestSCIMCannotTakeOverAnAccount: a directory that names somebody's address gets an invitation sent, and nothing else:
// no membership, no change of the account, no hint whether there is one.
func TestSCIMCannotTakeOverAnAccount(t *testing.T) {
	each(t, func(t *testing.T, s *accesstest.Stack, d directory) {
		victim, victims, _ := s.Owner(t, "victim@example.net", "Victim's own")
		before, err := s.Identity.Account(t.Context(), victim)
		if err != nil {
			t.Fatal(err)
		}
		known := d.do(201, "POST", "/Users", `{"userName":"victim@example.net","name":{"givenName":"Mallory"},"password":"new-password-1"}`)
		unknown := d.do(201, "POST", "/Users", `{"userName":"nobody@example.net","name":{"givenName":"Mallory"},"password":"new-password-1"}`)
		for _, field := range []string{"active", "name.givenName", "groups", "emails.0.type", "roles", "password"} {
			if known.at(field) != unknown.at(field) {
				t.Errorf("%s tells whether there is an account: %v, %v", field, known.at(field), unknown.at(field))
			}
		}
		id := known.at("id").(string)
		d.do(200, "PATCH", "/Users/"+id, `{"Operations":[{"op":"replace","value":{"displayName":"Mallory","emails":[{"value":"mallory@example.net"}]}}]}`)
		d.do(200, "PATCH", "/Users/"+id, `{"Operations":[{"op":"replace","value":{"emails":[{"value":"victim@example.net"}]}}]}`)
		d.do(200, "PATCH", "/Users/"+id, patchActive("false"))
		d.do(200, "PATCH", "/Users/"+id, patchActive("true"))
		d.do(204, "DELETE", "/Users/"+id, "")
		after, err := s.Identity.Account(t.Context(), victim)
		if err != nil || after != before {
			t.Errorf("the account became %+v, was %+v, %v", after, before, err)
		}
		if d.role(victim) != "" {
			t.Error("the victim is a member")
		}
		if p, err := s.Workspaces.Person(t.Context(), victims, victim); err != nil || p.Role != workspace.RoleOwner {
			t.Errorf("the victim's own workspace: %+v, %v", p, err)
		}
		s.Browser(t, "192.0.2.7").SignIn("victim@example.net")
	})
}

// TestSCIMDeactivationIsImmediate: the next request of a page and of a program is refused, not one seconds later.
func TestSCIMDeactivationIsImmediate(t *testing.T) {
	each(t, func(t *testing.T, s *accesstest.Stack, d directory) {
		account := person(t, s, bob)
		id := d.do(201, "POST", "/Users", recorded(t, "okta/create")).at("id").(string)
		accept(t, s, account)
		b := s.Browser(t, "192.0.2.8")
		b.Post("/sign-in", "email", bob, "password", accesstest.Password)
		b.Get(accesstest.Settings(d.ws)).Is(200)
		if n := s.Rows(t, "memberships"); n != 2 {
			t.Fatalf("%d memberships", n)
		}
		d.do(200, "PATCH", "/Users/"+id, patchActive(`"False"`))
		b.Get(accesstest.Settings(d.ws)).Is(404)
		if n := s.Rows(t, "memberships"); n != 1 {
			t.Errorf("%d memberships", n)
		}

		// Also when he had not accepted yet: the link in his mail is dead.
		d.do(200, "PATCH", "/Users/"+id, patchActive("true"))
		d.do(200, "PATCH", "/Users/"+id, patchActive("false"))
		all, err := s.Workspaces.InvitationsFor(t.Context(), account)
		if err != nil || len(all) != 0 {
			t.Errorf("%v, %v", all, err)
		}

		// And when a directory that thought it had failed says it once more.
		d.do(200, "PATCH", "/Users/"+id, patchActive("false"))
	})
}

// TestSCIMEndsAMembershipAfterTheAddressChanged: who changes his address after joining stays within the directory's reach.
func TestSCIMEndsAMembershipAfterTheAddressChanged(t *testing.T) {
	each(t, func(t *testing.T, s *accesstest.Stack, d directory) {
		account := person(t, s, bob)
		id := d.do(201, "POST", "/Users", recorded(t, "okta/create")).at("id").(string)
		accept(t, s, account)
		if _, err := s.DB.Writer().ExecContext(t.Context(), `UPDATE accounts SET email = 'new@example.org', email_key = 'new@example.org' WHERE email_key = 'bob@example.org'`); err != nil {
			t.Fatal(err)
		}
		d.do(204, "DELETE", "/Users/"+id, "")
		if d.role(account) != "" {
			t.Error("still a member")
		}
	})
}

// TestSCIMNeverMakesOwners, and never changes or removes one.
func TestSCIMNeverMakesOwners(t *testing.T) {
	each(t, func(t *testing.T, s *accesstest.Stack, d directory) {
		gid := d.do(201, "POST", "/Groups", recorded(t, "okta/group")).at("id").(string)
		for _, role := range []string{"owner", "billing", "root"} {
			if err := s.SCIM.SetGroupRole(t.Context(), audit.System, d.ws, "01arz3ndektsv4rrffq69g5fav", role); err == nil {
				t.Errorf("a group can give %s", role)
			}
		}
		d.giveRole(gid, "viewer")
		owner := d.do(201, "POST", "/Users", `{"userName":"ann@example.org","roles":[{"value":"owner"}]}`).at("id").(string)
		d.do(200, "PATCH", "/Groups/"+gid, recorded(t, "okta/group_add", "USER", owner))
		account, err := s.Identity.ByEmail(t.Context(), ann)
		if err != nil || d.role(account.ID) != "owner" {
			t.Fatalf("the owner became %q, %v", d.role(account.ID), err)
		}
		d.do(409, "PATCH", "/Users/"+owner, patchActive("false")).is(t, "scimType", "mutability")
		d.do(409, "DELETE", "/Users/"+owner, "").is(t, "scimType", "mutability")
		d.do(200, "GET", "/Users/"+owner, "").is(t, "active", true)
		d.do(409, "POST", "/Users", `{"userName":"second","active":false,"emails":[{"value":"ann@example.org"}]}`)
		if d.role(account.ID) != "owner" {
			t.Errorf("the owner became %q", d.role(account.ID))
		}
	})
}

// TestGroupsToRoles: the mightiest of the groups' roles, changed when groups or their roles change, and none left over.
func TestGroupsToRoles(t *testing.T) {
	each(t, func(t *testing.T, s *accesstest.Stack, d directory) {
		account := person(t, s, bob)
		id := d.do(201, "POST", "/Users", recorded(t, "okta/create")).at("id").(string)
		group := func(name string) string {
			return d.do(201, "POST", "/Groups", `{"displayName":"`+name+`","members":[{"value":"`+id+`"}]}`).at("id").(string)
		}
		want := func(role string) {
			t.Helper()
			if got := d.role(account) + d.invited(bob); got != role {
				t.Errorf("is %q, want %q", got, role)
			}
		}
		viewers, admins := group("Viewers"), group("Admins")
		want("viewer") // invited, and no group says anything
		d.giveRole(admins, "admin")
		want("admin")
		accept(t, s, account)
		want("admin")
		d.giveRole(viewers, "viewer")
		want("admin")
		d.giveRole(admins, "member")
		want("member")
		d.do(204, "DELETE", "/Groups/"+admins, "")
		want("viewer")
		d.do(200, "PUT", "/Groups/"+viewers, `{"displayName":"Viewers"}`).is(t, "members.0.value", id)
		d.do(200, "PUT", "/Groups/"+viewers, `{"displayName":"Viewers","members":[]}`).is(t, "members.0.value", nil)
		want("viewer")
	})
}

// TestDirectoryTakesOverWhoWasThere: a member from before keeps the role until a group gives another; when that group is
// gone, so is what it gave.
func TestDirectoryTakesOverWhoWasThere(t *testing.T) {
	each(t, func(t *testing.T, s *accesstest.Stack, d directory) {
		account := person(t, s, bob)
		s.Join(t, d.ws, account, workspace.RoleAdmin)
		id := d.do(201, "POST", "/Users", recorded(t, "okta/create")).at("id").(string)
		if d.role(account) != "admin" || d.invited(bob) != "" {
			t.Fatalf("is %q", d.role(account))
		}
		gid := d.do(201, "POST", "/Groups", `{"displayName":"G","members":[{"value":"`+id+`"}]}`).at("id").(string)
		d.giveRole(gid, "member")
		if d.role(account) != "member" {
			t.Errorf("is %q", d.role(account))
		}
		d.giveRole(gid, "admin")
		d.do(200, "PATCH", "/Groups/"+gid, recorded(t, "okta/group_remove", "USER", id))
		if d.role(account) != "viewer" {
			t.Errorf("kept %q from a group that he left", d.role(account))
		}
	})
}

// TestSCIMChangesAtOnce: whatever order concurrent requests come in, the membership ends up as the directory says.
func TestSCIMChangesAtOnce(t *testing.T) {
	each(t, func(t *testing.T, s *accesstest.Stack, d directory) {
		account := person(t, s, bob)
		id := d.do(201, "POST", "/Users", recorded(t, "okta/create")).at("id").(string)
		accept(t, s, account)
		gid := d.do(201, "POST", "/Groups", recorded(t, "okta/group")).at("id").(string)
		d.giveRole(gid, "admin")
		var wg sync.WaitGroup
		for i := range 6 {
			wg.Go(func() {
				body := recorded(t, "okta/group_add", "USER", id)
				if i%2 == 0 {
					body = recorded(t, "okta/group_remove", "USER", id)
				}
				if w := d.send("PATCH", "/Groups/"+gid, body); w.Code != 200 {
					t.Errorf("%d: %s", w.Code, w.Body)
				}
			})
		}
		wg.Wait()
		in := d.do(200, "GET", "/Groups/"+gid, "").at("members.0.value") != nil
		if got := d.role(account); in != (got == "admin") {
			t.Errorf("in the group: %v, but the role is %q", in, got)
		}
	})
}

// TestSCIMIsAudited, without names of people: who has no account could not be forgotten in the log.
func TestSCIMIsAudited(t *testing.T) {
	each(t, func(t *testing.T, s *accesstest.Stack, d directory) {
		id := d.do(201, "POST", "/Users", recorded(t, "okta/create")).at("id").(string)
		gid := d.do(201, "POST", "/Groups", recorded(t, "okta/group")).at("id").(string)
		d.do(200, "PATCH", "/Groups/"+gid, recorded(t, "okta/group_add", "USER", id))
		d.giveRole(gid, "member")
		d.do(200, "PATCH", "/Users/"+id, patchActive("false"))
		d.do(204, "DELETE", "/Groups/"+gid, "")
		d.do(204, "DELETE", "/Users/"+id, "")
		entries, _, err := s.Audit.List(t.Context(), audit.Filter{WorkspaceID: d.ws, Limit: 100})
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for _, e := range entries {
			seen[e.Action] = true
			if text := fmt.Sprintf("%+v", e); e.Action != "workspace.create" && e.ActorKind != "account" && contains(text, "bob@", "Builder") {
				t.Errorf("a name: %s", text)
			}
		}
		for _, action := range []string{"scim_user.create", "scim_user.change", "scim_user.remove", "scim_group.create", "scim_group.change", "scim_group.role", "scim_group.remove", "invitation.create", "invitation.revoke"} {
			if !seen[action] {
				t.Errorf("no %s", action)
			}
		}
	})
}

func contains(text string, parts ...string) bool {
	for _, p := range parts {
		if strings.Contains(text, p) {
			return true
		}
	}
	return false
}

// TestDirectoryEndsEveryRoleButOwner: who leaves an organisation is out, also with a role that a directory cannot give,
// and also while invited by a person.
func TestDirectoryEndsEveryRoleButOwner(t *testing.T) {
	each(t, func(t *testing.T, s *accesstest.Stack, d directory) {
		for _, role := range []string{workspace.RoleAdmin, workspace.RoleMember, workspace.RoleViewer, workspace.RoleBilling} {
			email := role + "@example.org"
			account := person(t, s, email)
			s.Join(t, d.ws, account, role)
			id := d.do(201, "POST", "/Users", `{"userName":"`+email+`"}`).at("id").(string)
			if d.role(account) != role {
				t.Errorf("%s became %q", role, d.role(account))
			}
			d.do(200, "PATCH", "/Users/"+id, patchActive("false"))
			if d.role(account) != "" {
				t.Errorf("%s is a member still", role)
			}
		}
		owner, err := s.Identity.ByEmail(t.Context(), ann)
		if err != nil {
			t.Fatal(err)
		}
		by := audit.Actor{Kind: "account", ID: owner.ID, Label: ann}
		if _, err := s.Workspaces.Invite(t.Context(), by, d.ws, workspace.Invitation{Email: "carl@example.org", Role: workspace.RoleBilling}); err != nil {
			t.Fatal(err)
		}
		id := d.do(201, "POST", "/Users", `{"userName":"carl@example.org"}`).at("id").(string)
		if d.invited("carl@example.org") != "billing" {
			t.Errorf("invited as %q", d.invited("carl@example.org"))
		}
		d.do(200, "PATCH", "/Users/"+id, patchActive("false"))
		if d.invited("carl@example.org") != "" {
			t.Error("the invitation of a person outlives the employment")
		}
	})
}
