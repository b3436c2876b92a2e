package scim

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/kept-dev/kept/internal/kernel"
)

func TestSCIMFilter(t *testing.T) {
	t.Parallel()
	u := User{ID: "01arz3ndektsv4rrffq69g5fav", UserName: "Bob@Example.org", Email: "bob@example.org", GivenName: "Bob", DisplayName: `Say "hi"`, ExternalID: "X-1", Active: true}
	for filter, want := range map[string]bool{
		`userName eq "bob@example.org"`: true, `USERNAME EQ "BOB@EXAMPLE.ORG"`: true, `userName ne "bob@example.org"`: false,
		`urn:ietf:params:scim:schemas:core:2.0:User:userName sw "bob"`: true,
		`externalId eq "x-1"`: false, `externalId eq "X-1"`: true, `userName co "example"`: true, `userName ew ".org"`: true, `userName sw "ann"`: false,
		`active eq true`: true, `active eq "True"`: true, `active eq false`: false, `active ne true`: false,
		`title pr`: false, `displayName pr`: true, `familyName pr or name.givenName eq "bob"`: true, `displayName eq "Say \"hi\""`: true,
		`emails eq "bob@example.org"`: true, `emails.value co "@"`: true, `emails[type eq "work" and value sw "bob"]`: true, `emails[type eq "home"]`: false,
		`emails[type eq "work"].value eq "BOB@example.org"`: true, `emails[type eq "home"].value pr`: false,
		`not (userName eq "x")`: true, `not(active eq true)`: false,
		`userName eq "x" or userName sw "bob" and active eq true`: true, `(userName eq "x" or userName sw "bob") and active eq false`: false,
		`nickName eq null`: true, `userName eq null`: false, `meta.resourceType eq "user"`: true, `userName gt "a" and userName lt "c"`: true, `userName ge "bob@example.org" and userName le "bob@example.org"`: true,
		`userName eq 5`: false,
	} {
		x, err := parseFilter(filter)
		if err != nil {
			t.Errorf("%s: %v", filter, err)
			continue
		}
		if got := x.match(userAttrs(u)); got != want {
			t.Errorf("%s is %v", filter, got)
		}
	}
	for _, filter := range []string{"", "userName", "userName eq", `userName eq x`, `userName eq "x`, `userName is "x"`, `(userName eq "x"`, `userName eq "x")`, `not userName eq "x"`,
		`userName eq "x" and`, `emails[type eq "work"`, `emails[type eq "work"].`, `emails[type eq "work"] .value pr`, `[type eq "x"]`, `1x eq "y"`, strings.Repeat("(", 40) + `a pr` + strings.Repeat(")", 40), strings.Repeat("a", maxFilter+1), "a\xff pr"} {
		if x, err := parseFilter(filter); err == nil {
			t.Errorf("%q is read as %#v", filter, x)
		} else if e := kernel.AsError(err); e.Code != kernel.Invalid || e.Fields[scimType] != "invalidFilter" {
			t.Errorf("%q: %v", filter, err)
		}
	}
}

func FuzzSCIMFilter(f *testing.F) {
	for _, s := range []string{`userName eq "x"`, `not (a pr) and emails[type eq "work"].value co "@"`, `a[b[c pr]]`, `(((`} {
		f.Add(s)
	}
	u := User{UserName: "bob@example.org", Email: "bob@example.org"}
	f.Fuzz(func(t *testing.T, s string) {
		x, err := parseFilter(s)
		if err != nil {
			if kernel.CodeOf(err) != kernel.Invalid {
				t.Errorf("%q: %v", s, err)
			}
			return
		}
		if x.match(userAttrs(u)) && (notExpr{x}).match(userAttrs(u)) {
			t.Errorf("%q is true and false", s)
		}
	})
}

// FuzzSCIMPatch: whatever is sent, a user stays one that can be stored, or the request is refused.
func FuzzSCIMPatch(f *testing.F) {
	for _, s := range []string{
		`{"Operations":[{"op":"Replace","path":"emails[type eq \"work\"].value","value":"a@example.org"}]}`,
		`{"Operations":[{"op":"add","value":{"name.givenName":"x","active":"False","members":[{"value":"01arz3ndektsv4rrffq69g5fav"}]}}]}`,
		`{"Operations":[{"op":"remove","path":"members[value eq \"01arz3ndektsv4rrffq69g5fav\"]"},{"op":"remove","path":"members"}]}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var in patchRequest
		if json.Unmarshal(body, &in) != nil {
			return
		}
		u := User{ID: "01arz3ndektsv4rrffq69g5fav", WorkspaceID: "w", UserName: "bob@example.org", Email: "bob@example.org", AccountID: "a"}
		err := in.each(u.apply)
		if err == nil {
			err = u.clean()
		}
		if err != nil && kernel.CodeOf(err) != kernel.Invalid {
			t.Errorf("%s: %v", body, err)
		}
		if err == nil && (u.UserName == "" || u.emailKey() == "" || len(u.DisplayName) > maxText) {
			t.Errorf("%s makes %+v", body, u)
		}
		if u.ID != "01arz3ndektsv4rrffq69g5fav" || u.WorkspaceID != "w" || u.AccountID != "a" || u.managed {
			t.Errorf("%s changes what is ours: %+v", body, u)
		}
		c := change{group: Group{ID: "g", Role: "viewer", WorkspaceID: "w"}, members: map[kernel.ID]bool{}}
		if err := in.each(c.apply); err != nil && kernel.CodeOf(err) != kernel.Invalid {
			t.Errorf("%s: %v", body, err)
		}
		if c.group.ID != "g" || c.group.Role != "viewer" || c.group.WorkspaceID != "w" {
			t.Errorf("%s changes what is ours: %+v", body, c.group)
		}
	})
}
