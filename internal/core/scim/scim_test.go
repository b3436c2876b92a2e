package scim_test

import (
	"encoding/json"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/kept-dev/kept/internal/core/access"
	"github.com/kept-dev/kept/internal/core/access/accesstest"
	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/kernel"
)

const (
	ann = "ann@example.org" // owns the workspace
	bob = "bob@example.org" // is in its directory
)

// directory is a client with a key for provisioning.
type directory struct {
	t   *testing.T
	s   *accesstest.Stack
	ws  kernel.WorkspaceID
	key string
}

func newDirectory(t *testing.T, s *accesstest.Stack, ws kernel.WorkspaceID, owner kernel.AccountID) directory {
	t.Helper()
	_, key, err := s.Access.CreateKey(t.Context(), audit.Actor{Kind: "account", ID: owner}, ws, access.NewKey{Name: "Directory", Scopes: []string{access.ScopeSCIM}})
	if err != nil {
		t.Fatal(err)
	}
	return directory{t, s, ws, key}
}

// each makes Ann's workspace and a directory for it on every engine.
func each(t *testing.T, f func(t *testing.T, s *accesstest.Stack, d directory)) {
	t.Helper()
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		owner, ws, _ := s.Owner(t, ann, "Acme")
		f(t, s, newDirectory(t, s, ws, owner))
	})
}

// answer is an answer, as JSON.
type answer map[string]any

// send sends a request.
func (d directory) send(method, path, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "/scim/v2"+path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+d.key)
	r.Header.Set("Content-Type", "application/scim+json; charset=utf-8")
	w := httptest.NewRecorder()
	d.s.Mux.ServeHTTP(w, r)
	return w
}

// do sends a request and expects a status.
func (d directory) do(status int, method, path, body string) answer {
	d.t.Helper()
	w := d.send(method, path, body)
	if w.Code != status {
		d.t.Fatalf("%s %s: %d, want %d\n%s\n%s", method, path, w.Code, status, body, w.Body)
	}
	if w.Code == 204 {
		return nil
	}
	if got := w.Header().Get("Content-Type"); got != "application/scim+json" {
		d.t.Errorf("%s %s: Content-Type %q", method, path, got)
	}
	var a answer
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
		d.t.Fatalf("%v in %s", err, w.Body)
	}
	return a
}

// recorded is a request body as a directory sends it, with the ids of this run put in.
func recorded(t *testing.T, name string, ids ...string) string {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	return strings.NewReplacer(ids...).Replace(string(b))
}

// at follows a path of keys into an answer: "emails.0.value".
func (a answer) at(path string) any {
	var v any = map[string]any(a)
	for step := range strings.SplitSeq(path, ".") {
		switch in := v.(type) {
		case map[string]any:
			v = in[step]
		case []any:
			i := int(step[0] - '0')
			if i >= len(in) {
				return nil
			}
			v = in[i]
		default:
			return nil
		}
	}
	return v
}

func (a answer) is(t *testing.T, pairs ...any) {
	t.Helper()
	for i := 0; i+1 < len(pairs); i += 2 {
		if got := a.at(pairs[i].(string)); got != pairs[i+1] {
			t.Errorf("%s is %v, want %v in %v", pairs[i], got, pairs[i+1], a)
		}
	}
}

func (d directory) find(filter string) answer {
	d.t.Helper()
	return d.do(200, "GET", "/Users?filter="+url.QueryEscape(filter), "")
}

// person makes an account that is a member of nothing.
func person(t *testing.T, s *accesstest.Stack, email string) kernel.AccountID {
	t.Helper()
	a, _, err := s.Identity.EnsureAccount(t.Context(), email, accesstest.Password)
	if err != nil {
		t.Fatal(err)
	}
	return a.ID
}

// accept accepts the only invitation of an account.
func accept(t *testing.T, s *accesstest.Stack, account kernel.AccountID) {
	t.Helper()
	all, err := s.Workspaces.InvitationsFor(t.Context(), account)
	if err != nil || len(all) != 1 {
		t.Fatalf("invitations %v, %v", all, err)
	}
	if _, err := s.Workspaces.Accept(t.Context(), account, all[0].ID); err != nil {
		t.Fatal(err)
	}
}

// role is the role of a member; empty: none.
func (d directory) role(account kernel.AccountID) string {
	d.t.Helper()
	p, err := d.s.Workspaces.Person(d.t.Context(), d.ws, account)
	if err != nil && kernel.CodeOf(err) != kernel.NotFound {
		d.t.Fatal(err)
	}
	return p.Role
}

// invited is the role that an address is invited with; empty: it is not.
func (d directory) invited(email string) string {
	d.t.Helper()
	in, err := d.s.Workspaces.InvitationTo(d.t.Context(), d.ws, email)
	if err != nil && kernel.CodeOf(err) != kernel.NotFound {
		d.t.Fatal(err)
	}
	return in.Role
}

func (d directory) giveRole(group, role string) {
	d.t.Helper()
	if err := d.s.SCIM.SetGroupRole(d.t.Context(), audit.System, d.ws, kernel.ID(group), role); err != nil {
		d.t.Fatal(err)
	}
}

// TestSCIMOkta speaks as Okta does, from the test of the connection to the end of an employment.
func TestSCIMOkta(t *testing.T) {
	each(t, func(t *testing.T, s *accesstest.Stack, d directory) {
		account := person(t, s, bob)
		d.do(200, "GET", "/Users?startIndex=1&count=2", "").is(t, "totalResults", 0.0, "schemas.0", "urn:ietf:params:scim:api:messages:2.0:ListResponse")
		d.find(`userName eq "bob@example.org"`).is(t, "totalResults", 0.0)
		made := d.do(201, "POST", "/Users", recorded(t, "okta/create"))
		id := made.at("id").(string)
		made.is(t, "userName", bob, "name.givenName", "Bob", "active", true, "externalId", "00ujl29u0le5T6Aj10h7", "emails.0.value", bob,
			"meta.resourceType", "User", "meta.location", accesstest.BaseURL+"/scim/v2/Users/"+id, "password", nil)
		d.do(409, "POST", "/Users", recorded(t, "okta/create")).is(t, "scimType", "uniqueness", "status", "409")
		d.find(`userName eq "BOB@example.org"`).is(t, "totalResults", 1.0, "Resources.0.id", id)
		if d.invited(bob) != "viewer" || d.role(account) != "" {
			t.Fatalf("invited as %q, member as %q", d.invited(bob), d.role(account))
		}
		accept(t, s, account)
		if d.role(account) != "viewer" {
			t.Fatalf("member as %q", d.role(account))
		}
		d.do(200, "PUT", "/Users/"+id, recorded(t, "okta/put")).is(t, "name.givenName", "Robert", "displayName", nil)

		group := d.do(201, "POST", "/Groups", recorded(t, "okta/group"))
		gid := group.at("id").(string)
		d.giveRole(gid, "member")
		d.do(200, "PATCH", "/Groups/"+gid, recorded(t, "okta/group_add", "USER", id)).is(t, "members.0.value", id)
		if d.role(account) != "member" {
			t.Errorf("in the group: %q", d.role(account))
		}
		d.do(200, "GET", "/Users/"+id, "").is(t, "groups.0.value", gid, "groups.0.display", "Engineering")
		d.do(200, "PATCH", "/Groups/"+gid, recorded(t, "okta/group_rename", "GROUP", gid)).is(t, "displayName", "Engineers", "members.0.value", id)
		d.do(200, "PATCH", "/Groups/"+gid, recorded(t, "okta/group_remove", "USER", id)).is(t, "members.0.value", nil)
		if d.role(account) != "viewer" {
			t.Errorf("out of the group: %q", d.role(account))
		}
		d.do(200, "PATCH", "/Groups/"+gid, recorded(t, "okta/group_replace", "USER", id)).is(t, "members.0.value", id)

		d.do(200, "PATCH", "/Users/"+id, recorded(t, "okta/deactivate")).is(t, "active", false)
		if d.role(account) != "" {
			t.Error("still a member")
		}
		d.do(200, "PATCH", "/Users/"+id, recorded(t, "okta/activate")).is(t, "active", true)
		if d.role(account) != "" || d.invited(bob) != "member" {
			t.Errorf("switched on again: member as %q, invited as %q", d.role(account), d.invited(bob))
		}
		d.do(204, "DELETE", "/Groups/"+gid, "")
		d.do(204, "DELETE", "/Users/"+id, "")
		d.do(404, "GET", "/Users/"+id, "").is(t, "status", "404", "schemas.0", "urn:ietf:params:scim:api:messages:2.0:Error")
		if d.invited(bob) != "" {
			t.Error("still invited")
		}
	})
}

// TestSCIMEntra speaks as Entra ID does: operations in capitals, booleans as text, paths with conditions, objects without
// a path.
func TestSCIMEntra(t *testing.T) {
	each(t, func(t *testing.T, s *accesstest.Stack, d directory) {
		account := person(t, s, bob)
		d.find(`userName eq "c7ba4e0e-5c1c-4b7a-8f6a-1f2f0a4a9f0b"`).is(t, "totalResults", 0.0, "Resources.0", nil)
		id := d.do(201, "POST", "/Users", recorded(t, "entra/create")).at("id").(string)
		accept(t, s, account)
		d.find(`externalId eq "0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef"`).is(t, "totalResults", 1.0)
		d.find(`emails[type eq "work"].value eq "bob@example.org"`).is(t, "Resources.0.id", id)
		d.do(200, "PATCH", "/Users/"+id, recorded(t, "entra/update")).is(t, "emails.0.value", "bob.builder@example.org", "name.familyName", "Builder-Smith")
		d.do(200, "PATCH", "/Users/"+id, recorded(t, "entra/update_object")).is(t, "displayName", "Bob B.", "name.givenName", "Bobby", "externalId", "x-1")

		gid := d.do(201, "POST", "/Groups", recorded(t, "entra/group")).at("id").(string)
		d.do(200, "GET", "/Groups?excludedAttributes=members&filter="+url.QueryEscape(`displayName eq "engineering"`), "").is(t, "totalResults", 1.0, "Resources.0.members", nil)
		d.giveRole(gid, "admin")
		d.do(200, "PATCH", "/Groups/"+gid, recorded(t, "entra/group_add", "USER", id))
		if d.role(account) != "admin" {
			t.Errorf("in the group: %q", d.role(account))
		}
		d.do(200, "PATCH", "/Groups/"+gid, recorded(t, "entra/group_rename")).is(t, "displayName", "Engineers")
		d.do(200, "PATCH", "/Groups/"+gid, recorded(t, "entra/group_remove", "USER", id))
		if d.role(account) != "viewer" {
			t.Errorf("out of the group: %q", d.role(account))
		}
		d.do(200, "PATCH", "/Users/"+id, recorded(t, "entra/disable")).is(t, "active", false)
		if d.role(account) != "" {
			t.Error("still a member, though the directory knows another address by now")
		}
		d.do(200, "PATCH", "/Users/"+id, recorded(t, "entra/enable")).is(t, "active", true)
		if d.invited("bob.builder@example.org") != "viewer" || d.invited(bob) != "" {
			t.Error("the address of today is not invited, or that of yesterday is")
		}
	})
}

func TestSCIMDiscovery(t *testing.T) {
	each(t, func(t *testing.T, _ *accesstest.Stack, d directory) {
		d.do(200, "GET", "/ServiceProviderConfig", "").is(t, "patch.supported", true, "bulk.supported", false, "etag.supported", false, "filter.supported", true)
		d.do(200, "GET", "/ResourceTypes", "").is(t, "totalResults", 2.0, "Resources.1.endpoint", "/Groups")
		d.do(200, "GET", "/ResourceTypes/User", "").is(t, "schema", "urn:ietf:params:scim:schemas:core:2.0:User")
		d.do(200, "GET", "/Schemas", "").is(t, "totalResults", 2.0)
		d.do(200, "GET", "/Schemas/urn:ietf:params:scim:schemas:core:2.0:Group", "").is(t, "name", "Group")
		d.do(404, "GET", "/Schemas/nope", "")
	})
}

// TestSCIMRefusals: every error has SCIM's shape, and says what is wrong.
func TestSCIMRefusals(t *testing.T) {
	each(t, func(t *testing.T, s *accesstest.Stack, d directory) {
		id := d.do(201, "POST", "/Users", recorded(t, "okta/create")).at("id").(string)
		for _, tc := range []struct{ method, path, body, kind string }{
			{"POST", "/Users", `{`, "invalidSyntax"},
			{"POST", "/Users", `{}`, "invalidValue"},
			{"POST", "/Users", `{"userName":"no-address"}`, "invalidValue"},
			{"POST", "/Users", `{"userName":"x@example.org","active":"maybe"}`, "invalidValue"},
			{"POST", "/Users", `{"userName":"` + strings.Repeat("x", 300) + `@example.org"}`, "invalidValue"},
			{"GET", "/Users?filter=userName+eq", "", "invalidFilter"},
			{"GET", "/Users?count=many", "", "invalidValue"},
			{"PATCH", "/Users/" + id, `{"Operations":[]}`, "invalidSyntax"},
			{"PATCH", "/Users/" + id, `{"Operations":[{"op":"move","path":"active"}]}`, "invalidSyntax"},
			{"PATCH", "/Users/" + id, `{"Operations":[{"op":"remove"}]}`, "noTarget"},
			{"PATCH", "/Users/" + id, `{"Operations":[{"op":"remove","path":"userName"}]}`, "mutability"},
			{"PATCH", "/Users/" + id, `{"Operations":[{"op":"replace","path":"emails[type eq","value":"x"}]}`, "invalidPath"},
			{"PATCH", "/Users/" + id, `{"Operations":[{"op":"replace","path":"active","value":"perhaps"}]}`, "invalidValue"},
			{"POST", "/Groups", `{"displayName":" "}`, "invalidValue"},
			{"POST", "/Groups", `{"displayName":"G","members":[{"value":"nobody"}]}`, "invalidValue"},
			{"POST", "/Groups", `{"displayName":"G","members":[{"value":"01arz3ndektsv4rrffq69g5fav"}]}`, "invalidValue"},
		} {
			d.do(400, tc.method, tc.path, tc.body).is(t, "scimType", tc.kind, "status", "400", "schemas.0", "urn:ietf:params:scim:api:messages:2.0:Error")
		}
		if n := s.Rows(t, "scim_groups"); n != 0 {
			t.Errorf("%d groups were made", n)
		}
		d.key = "kept_" + strings.Repeat("x", 43)
		d.do(401, "GET", "/Users", "").is(t, "status", "401")
		_, ws, key := s.Owner(t, "carl@example.org", "Other")
		d.key = key // has other scopes
		d.do(403, "GET", "/Users", "").is(t, "status", "403")
		carl, _ := s.Identity.ByEmail(t.Context(), "carl@example.org")
		other := newDirectory(t, s, ws, carl.ID)
		for _, method := range []string{"GET", "DELETE"} {
			other.do(404, method, "/Users/"+id, "")
		}
		other.do(404, "PATCH", "/Users/"+id, recorded(t, "okta/deactivate"))
		other.do(400, "POST", "/Groups", `{"displayName":"G","members":[{"value":"`+id+`"}]}`)
		other.do(200, "GET", "/Users", "").is(t, "totalResults", 0.0)
	})
}

func TestSCIMPages(t *testing.T) {
	each(t, func(t *testing.T, _ *accesstest.Stack, d directory) {
		for _, name := range []string{"a", "b", "c", "d"} {
			d.do(201, "POST", "/Users", `{"userName":"`+name+`@example.org"}`)
		}
		d.do(200, "GET", "/Users?startIndex=2&count=2", "").is(t, "totalResults", 4.0, "startIndex", 2.0, "itemsPerPage", 2.0, "Resources.0.userName", "b@example.org",
			"Resources.1.userName", "c@example.org", "Resources.2", nil)
		d.do(200, "GET", "/Users?count=0", "").is(t, "totalResults", 4.0, "itemsPerPage", 0.0, "Resources.0", nil)
		d.do(200, "GET", "/Users?startIndex=9", "").is(t, "totalResults", 4.0, "itemsPerPage", 0.0)
		d.do(200, "GET", "/Users?attributes=userName", "").is(t, "Resources.0.userName", "a@example.org", "Resources.0.emails", nil, "Resources.0.meta", nil)
	})
}
