package workspace_test

import (
	"net/url"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/core/access/accesstest"
	"github.com/kept-dev/kept/internal/core/workspace"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
)

func roleOf(t *testing.T, s *accesstest.Stack, ws kernel.WorkspaceID, email string) string {
	t.Helper()
	p, err := s.Workspaces.PersonByEmail(t.Context(), ws, email)
	mustDo(t, err)
	return p.Role
}

// offered is a workspace whose ownership ann offers to bob, with their browsers.
func offered(t *testing.T, s *accesstest.Stack) (ws kernel.WorkspaceID, a, b *accesstest.Browser) {
	t.Helper()
	_, ws, _ = s.Owner(t, owner, "Acme")
	s.Join(t, ws, account(t, s, "bob@example.org").ID, workspace.RoleMember)
	a, b = s.Browser(t, "192.0.2.1").SignIn(owner), s.Browser(t, "192.0.2.2").SignIn("bob@example.org")
	path := accesstest.Settings(ws) + "/transfer"
	a.Get(path+"?to="+string(accountID(t, s, "bob@example.org"))).Is(200, `value="bob@example.org"`)
	a.Post(path, "to", "nobody@example.org").Is(422, "not the address of a member")
	a.Post(path, "to", owner).Is(422, "an owner already")
	a.Post(path, "to", "bob@example.org").To(path + "?done=offered")
	a.Get(path).Is(200, "Offered to", "bob@example.org", "Withdraw the offer")
	return ws, a, b
}

func TestTransferNeedsBoth(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		ws, a, b := offered(t, s)
		if roleOf(t, s, ws, owner) != "owner" || roleOf(t, s, ws, "bob@example.org") != "member" {
			t.Fatal("an offer changed roles")
		}
		place := "/account/transfers/" + string(ws)
		if link := s.MailedLink(t, "bob@example.org"); link != place {
			t.Errorf("the mail leads to %s", link)
		}
		admin := account(t, s, "admin@example.org")
		s.Join(t, ws, admin.ID, workspace.RoleAdmin)
		for _, other := range []*accesstest.Browser{a, s.Browser(t, "192.0.2.4").SignIn("admin@example.org")} {
			other.Get(place).Is(404)
			other.Post(place).Is(404)
			other.Post(place + "/decline").Is(404)
		}
		wantCode(t, s.Workspaces.AcceptOwnership(t.Context(), httpx.Actor{AccountID: admin.ID}, ws), kernel.NotFound)
		wantCode(t, s.Workspaces.DeclineOwnership(t.Context(), admin, ws), kernel.NotFound)
		a.Post(accesstest.Settings(ws)+"/transfer", "to", "admin@example.org").Is(409, "offered to somebody already")
		b.Get("/workspaces").Is(200, "offers you the ownership of Acme")
		page := b.Get(place).Is(200, "Own Acme?", "ann@example.org wants to hand this workspace over to you")
		press(t, b, page, place).To(accesstest.Settings(ws) + "?done=owner")
		if roleOf(t, s, ws, owner) != "admin" || roleOf(t, s, ws, "bob@example.org") != "owner" {
			t.Error("the roles are not swapped")
		}
		b.Post(place).Is(404) // once
		b.Get(accesstest.Settings(ws)).Is(200, "Transfer the ownership")
		a.Get(accesstest.Settings(ws) + "/transfer").Is(403)
		wantLine(t, s, ws, "ownership.offer", owner)
		wantLine(t, s, ws, "ownership.accept", "bob@example.org")
		wantMails(t, s, owner, "bob@example.org is the owner of “Acme” now")
	})
}

func TestTransferEnds(t *testing.T) {
	ends := map[string]func(t *testing.T, s *accesstest.Stack, ws kernel.WorkspaceID, a, b *accesstest.Browser){
		"withdrawn": func(t *testing.T, s *accesstest.Stack, ws kernel.WorkspaceID, a, b *accesstest.Browser) {
			a.Post(accesstest.Settings(ws) + "/transfer/withdraw").To(accesstest.Settings(ws) + "?done=withdrawn")
			a.Post(accesstest.Settings(ws) + "/transfer/withdraw").Is(409)
		},
		"declined": func(t *testing.T, s *accesstest.Stack, ws kernel.WorkspaceID, a, b *accesstest.Browser) {
			b.Post("/account/transfers/" + string(ws) + "/decline").To("/workspaces?done=refused")
			wantLine(t, s, ws, "ownership.decline", "bob@example.org")
		},
		"member gone": func(t *testing.T, s *accesstest.Stack, ws kernel.WorkspaceID, a, b *accesstest.Browser) {
			b.Post(accesstest.Settings(ws) + "/leave").To("/workspaces?done=left")
		},
		"too old": func(t *testing.T, s *accesstest.Stack, ws kernel.WorkspaceID, a, b *accesstest.Browser) {
			s.Clock.Add(7 * 24 * time.Hour)
			b.SignIn("bob@example.org")
		},
		"owner lowered": func(t *testing.T, s *accesstest.Stack, ws kernel.WorkspaceID, a, b *accesstest.Browser) {
			carol := account(t, s, carol)
			s.Join(t, ws, carol.ID, workspace.RoleOwner)
			mustDo(t, s.Workspaces.SetRole(t.Context(), carol, ws, accountID(t, s, owner), "admin", nil))
		},
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
				ws, a, b := offered(t, s)
				end(t, s, ws, a, b)
				b.Get("/account/transfers/" + string(ws)).Is(404)
				b.Post("/account/transfers/" + string(ws)).Is(404)
				if owners, err := s.Workspaces.OwnersOf(t.Context(), ws); err != nil || len(owners) != 1 || owners[0].Email == "bob@example.org" {
					t.Errorf("%+v, %v", owners, err)
				}
			})
		})
	}
}

// TestCarefulPagesAskForAProof: what gives or takes rights needs a fresh proof, also of owners.
func TestCarefulPagesAskForAProof(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		ws, a, b := offered(t, s)
		s.Clock.Add(11 * time.Minute)
		path := accesstest.Settings(ws)
		member := path + "/members/" + string(accountID(t, s, "bob@example.org"))
		for _, p := range []string{member, member + "/remove", path + "/transfer"} {
			toProof(t, a.Get(p), p)
			toProof(t, a.Post(p, "role", "viewer", "apps", "all"), "/")
		}
		toProof(t, a.Post(path+"/security", "demand", "on"), "/")
		toProof(t, a.Post(path+"/transfer/withdraw"), "/")
		toProof(t, b.Get("/account/transfers/"+string(ws)), "/account/transfers/"+string(ws))
		toProof(t, b.Post("/account/transfers/"+string(ws)), "/")
		if roleOf(t, s, ws, "bob@example.org") != "member" || s.Rows(t, "ownership_transfers") != 1 {
			t.Error("something was changed without a proof")
		}
		a.Get(path).Is(200)
		a.Get(path + "/members").Is(200)
	})
}

func toProof(t *testing.T, a accesstest.Answer, next string) {
	t.Helper()
	a.To("/account/prove?next=" + url.QueryEscape(next))
}
