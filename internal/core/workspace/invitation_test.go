package workspace_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/core/access/accesstest"
	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/core/workspace"
	"github.com/kept-dev/kept/internal/kernel"
)

const carol = "carol@example.org"

// invited is a workspace with an invitation to carol, made on the page.
func invited(t *testing.T, s *accesstest.Stack) (ws kernel.WorkspaceID, a *accesstest.Browser, link string) {
	t.Helper()
	_, ws, _ = s.Owner(t, owner, "Acme")
	a = s.Browser(t, "192.0.2.1").SignIn(owner)
	members := accesstest.Settings(ws) + "/members"
	a.Get(members).Is(200, "Nobody is invited", "Invite somebody")
	a.Post(members+"/invite", "email", "Carol@example.org", "role", "viewer", "app-jobs", "on").To(members + "?done=invited")
	a.Get(members+"?done=invited").Is(200, "The invitation is on its way.", "Carol@example.org", "Send again")
	return ws, a, s.MailedLink(t, "Carol@example.org")
}

var hiddenValue = regexp.MustCompile(`name="(id|token)" value="([^"]+)"`)

// press posts the form of a page that leads to a place, with its hidden fields.
func press(t *testing.T, b *accesstest.Browser, page accesstest.Answer, action string) accesstest.Answer {
	t.Helper()
	_, form, found := strings.Cut(page.Body, `action="`+action+`"`)
	form, _, _ = strings.Cut(form, "</form>")
	if !found {
		t.Fatalf("no form to %s in\n%s", action, page.Body)
	}
	var pairs []string
	for _, f := range hiddenValue.FindAllStringSubmatch(form, -1) {
		pairs = append(pairs, f[1], f[2])
	}
	return b.Post(action, pairs...)
}

// TestInvitationLife is the way of somebody new: link, account, acceptance.
func TestInvitationLife(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		ws, a, link := invited(t, s)
		c := s.Browser(t, "192.0.2.3")
		page := c.Get(link).Is(200, "Join Acme", "ann@example.org invites Carol@example.org to become a viewer", "There is no account with this address yet")
		c.Get(link).Is(200, "Join Acme") // looking uses nothing up
		finish := press(t, c, page, "/invitations/sign-up")
		if finish.Status != 303 || !strings.HasPrefix(finish.Header.Get("Location"), "/sign-up/finish?token=") {
			t.Fatalf("%d to %q", finish.Status, finish.Header.Get("Location"))
		}
		place := finish.Header.Get("Location")
		c.Get(place).Is(200, "Carol@example.org")
		c.Post("/sign-up/finish", "token", accesstest.TokenOf(t, place), "name", "Carol", "password", "a horse of course", "born", "1990-01-01").To("/workspaces")
		page = c.Get("/workspaces").Is(200, "ann@example.org invites you to", "Acme", "You are a member of no workspace yet")
		c.Get("/").To("/workspaces")
		press(t, c, page, "/invitations/accept").To("/w/" + string(ws))
		c.Get(accesstest.Settings(ws)).Is(200, "Acme", "viewer")
		c.Get(link).Is(404, "This invitation works no more")
		press(t, c, page, "/invitations/accept").Is(404, "This invitation works no more")
		a.Get(accesstest.Settings(ws)+"/members").Is(200, "Carol@example.org", "Nobody is invited")
		p, err := s.Workspaces.PersonByEmail(t.Context(), ws, carol)
		if err != nil || p.Role != "viewer" || strings.Join(p.Apps, " ") != "jobs" {
			t.Errorf("%+v, %v", p, err)
		}
		wantMails(t, s, owner, "Carol@example.org joined “Acme”")
		wantLine(t, s, ws, "invitation.create", owner)
		wantLine(t, s, ws, "invitation.accept", "Carol@example.org")
	})
}

func TestInvitationExpires(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		ws, _, link := invited(t, s)
		c := account(t, s, carol)
		mine, err := s.Workspaces.InvitationsFor(t.Context(), c.ID)
		if err != nil || len(mine) != 1 {
			t.Fatalf("%+v, %v", mine, err)
		}
		s.Clock.Add(workspace.InvitationTTL - time.Second)
		s.Browser(t, "192.0.2.3").Get(link).Is(200)
		s.Clock.Add(time.Second)
		b := s.Browser(t, "192.0.2.3")
		b.Get(link).Is(404)
		_, err = s.Workspaces.Accept(t.Context(), c.ID, mine[0].ID)
		wantCode(t, err, kernel.NotFound)
		if mine, err = s.Workspaces.InvitationsFor(t.Context(), c.ID); err != nil || len(mine) != 0 {
			t.Errorf("%+v, %v", mine, err)
		}
		a := s.Browser(t, "192.0.2.1").SignIn(owner)
		members := accesstest.Settings(ws) + "/members"
		a.Get(members).Is(200, "expired")
		// One that is too old does not stand in the way of a new one.
		a.Post(members+"/invite", "email", carol, "role", "member", "apps", "all").To(members + "?done=invited")
		b.Get(s.MailedLink(t, carol)).Is(200, "Sign in as carol@example.org")
		if n := s.Rows(t, "invitations"); n != 1 {
			t.Errorf("%d invitations", n)
		}
	})
}

func TestInvitationIsRevokedAndResent(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		ws, a, first := invited(t, s)
		members := accesstest.Settings(ws) + "/members"
		all, err := s.Workspaces.Invitations(t.Context(), ws)
		mustDo(t, err)
		href := accesstest.Settings(ws) + "/invitations/" + string(all[0].ID)
		c := s.Browser(t, "192.0.2.3")
		s.Clock.Add(time.Hour)
		a.Post(href + "/resend").To(members + "?done=resent")
		second := s.MailedLink(t, "Carol@example.org")
		c.Get(first).Is(404)
		c.Get(second).Is(200)
		s.Clock.Add(workspace.InvitationTTL - time.Minute) // counted from the second mail
		c.Get(second).Is(200)
		a = s.Browser(t, "192.0.2.1").SignIn(owner)
		a.Post(href + "/revoke").To(members + "?done=revoked")
		c.Get(second).Is(404)
		a.Post(href + "/revoke").Is(404)
		a.Post(href + "/resend").Is(404)
		wantLine(t, s, ws, "invitation.resend", owner)
		wantLine(t, s, ws, "invitation.revoke", owner)
		a.Get(members).Is(200, "Nobody is invited")
	})
}

func TestInvitationIsDeclined(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		ws, a, link := invited(t, s)
		c := s.Browser(t, "192.0.2.3")
		press(t, c, c.Get(link), "/invitations/decline").Is(200, "Declined")
		c.Get(link).Is(404)
		a.Post(accesstest.Settings(ws)+"/members/invite", "email", carol, "role", "viewer", "apps", "all")
		account(t, s, carol)
		c.SignIn(carol)
		press(t, c, c.Get("/workspaces"), "/invitations/decline").To("/workspaces?done=declined")
		if n := s.Rows(t, "invitations"); n != 0 {
			t.Errorf("%d invitations", n)
		}
		wantLine(t, s, ws, "invitation.decline", carol)
	})
}

// TestInvitationNeedsItsAddress: the link alone makes nobody a member.
func TestInvitationNeedsItsAddress(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		ws, _, link := invited(t, s)
		mallory := account(t, s, "mallory@example.org")
		m := s.Browser(t, "192.0.2.6").SignIn("mallory@example.org")
		m.Get(link).Is(200, "You are signed in as mallory@example.org", "for Carol@example.org only", `action="/sign-out"`).Lacks("/invitations/accept")
		all, err := s.Workspaces.Invitations(t.Context(), ws)
		mustDo(t, err)
		m.Post("/invitations/accept", "id", string(all[0].ID), "token", accesstest.TokenOf(t, link), "email", carol).Is(404)
		_, err = s.Workspaces.Accept(t.Context(), mallory.ID, all[0].ID)
		wantCode(t, err, kernel.NotFound)
		s.Browser(t, "192.0.2.7").Post("/invitations/accept", "id", string(all[0].ID)).To("/sign-in?next=%2F")
		c := account(t, s, carol)
		mustExec(t, s, `UPDATE accounts SET verified_at = 0 WHERE id = $1`, c.ID)
		_, err = s.Workspaces.Accept(t.Context(), c.ID, all[0].ID)
		wantCode(t, err, kernel.NotFound)
		mustExec(t, s, `UPDATE accounts SET verified_at = 1 WHERE id = $1`, c.ID)
		_, err = s.Workspaces.Accept(t.Context(), c.ID, all[0].ID)
		mustDo(t, err)
		if _, err = s.Workspaces.Membership(t.Context(), mallory.ID, ws); kernel.CodeOf(err) != kernel.NotFound {
			t.Error("mallory is a member")
		}
	})
}

// TestInvitationWithAnAccount: somebody who has one signs in and finds it.
func TestInvitationWithAnAccount(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		ws, _, link := invited(t, s)
		account(t, s, carol)
		c := s.Browser(t, "192.0.2.3")
		c.Get(link).Is(200, "Sign in as Carol@example.org", `href="/sign-in?next=/workspaces"`).Lacks("Open an account")
		c.Post("/sign-in", "email", carol, "password", accesstest.Password, "next", "/workspaces").To("/workspaces")
		page := c.Get(link).Is(200, "Accept", "Decline")
		press(t, c, page, "/invitations/accept").To("/w/" + string(ws))
	})
}

// TestInviteDoesNotTellWhoHasAnAccount: the inviter sees and causes the same either way.
func TestInviteDoesNotTellWhoHasAnAccount(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		_, ws, _ := s.Owner(t, owner, "Acme")
		account(t, s, "known00@example.org")
		a := s.Browser(t, "192.0.2.1").SignIn(owner)
		members := accesstest.Settings(ws) + "/members"
		seen := map[string]string{}
		tables := []string{"mail_outbox", "invitations", "identity_attempts", "identity_tokens", "audit_events"}
		for _, who := range []string{"known00", "unknown"} {
			before := map[string]int{}
			for _, table := range tables {
				before[table] = s.Rows(t, table)
			}
			answer := a.Post(members+"/invite", "email", who+"@example.org", "role", "viewer", "apps", "all")
			page := a.Get(answer.Header.Get("Location"))
			again := a.Post(members+"/invite", "email", who+"@example.org", "role", "viewer", "apps", "all")
			text := fmt.Sprint(answer.Status, answer.Header.Get("Location"), page.Status, page.Body, again.Status, again.Body)
			for _, table := range tables {
				text += fmt.Sprint(table, s.Rows(t, table)-before[table])
			}
			all, err := s.Workspaces.Invitations(t.Context(), ws)
			mustDo(t, err)
			mustDo(t, s.Workspaces.Revoke(t.Context(), actorOf(accountID(t, s, owner), owner), ws, all[0].ID))
			seen[who] = strings.NewReplacer(who, "WHO", string(all[0].ID), "ID").Replace(text)
		}
		if seen["known00"] != seen["unknown"] {
			t.Errorf("known:\n%s\nunknown:\n%s", seen["known00"], seen["unknown"])
		}
	})
}

func accountID(t *testing.T, s *accesstest.Stack, email string) kernel.AccountID {
	t.Helper()
	a, err := s.Identity.ByEmail(t.Context(), email)
	mustDo(t, err)
	return a.ID
}

func TestInvitationsAreBounded(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		_, ws, _ := s.Owner(t, owner, "Acme")
		bobID, other, _ := s.Owner(t, "bob@example.org", "Other")
		ann, bob := actorOf(accountID(t, s, owner), owner), actorOf(bobID, "bob@example.org")
		invite := func(by audit.Actor, ws kernel.WorkspaceID, email string) (workspace.Invitation, error) {
			return s.Workspaces.Invite(t.Context(), by, ws, workspace.Invitation{Email: email, Role: "viewer"})
		}
		in, err := invite(ann, ws, carol)
		mustDo(t, err)
		_, err = invite(ann, ws, "CAROL@example.org")
		wantCode(t, err, kernel.Conflict)
		_, err = invite(ann, ws, owner)
		wantCode(t, err, kernel.Conflict)
		_, err = s.Workspaces.Resend(t.Context(), ann, ws, in.ID)
		mustDo(t, err)
		mustDo(t, s.Workspaces.Revoke(t.Context(), ann, ws, in.ID)) // which does not set the count back
		if in, err = invite(bob, other, carol); err != nil {
			t.Fatal(err)
		}
		_, err = s.Workspaces.Resend(t.Context(), bob, other, in.ID)
		wantCode(t, err, kernel.Limited)
		_, err = invite(ann, ws, carol)
		wantCode(t, err, kernel.Limited)
		b := s.Browser(t, "192.0.2.2").SignIn("bob@example.org")
		b.Post(accesstest.Settings(other)+"/invitations/"+string(in.ID)+"/resend").Is(429, "Try again tomorrow", "Invite somebody")
		if n := s.Rows(t, "mail_outbox"); n != 3 {
			t.Errorf("%d mails", n)
		}
		s.Clock.Add(24 * time.Hour)
		if _, err = invite(ann, ws, carol); err != nil {
			t.Error(err)
		}
		for i := range 49 {
			_, err := invite(ann, ws, fmt.Sprintf("p%d@example.org", i))
			mustDo(t, err)
		}
		_, err = invite(ann, ws, "onemore@example.org")
		wantCode(t, err, kernel.Conflict)
		for _, bad := range []string{"", "nobody", "a@b", "x@example.org\r\nBcc: y@example.org", "x@example.org,y@example.org"} {
			_, err = invite(ann, ws, bad)
			wantCode(t, err, kernel.Invalid)
		}
	})
}

// TestAdminLeavesOwnersInvitationsAlone: one to a role above his own he can neither send again, change nor revoke.
func TestAdminLeavesOwnersInvitationsAlone(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		_, ws, _ := s.Owner(t, owner, "Acme")
		bob := account(t, s, "bob@example.org")
		s.Join(t, ws, bob.ID, workspace.RoleAdmin)
		in, err := s.Workspaces.Invite(t.Context(), actorOf(accountID(t, s, owner), owner), ws, workspace.Invitation{Email: carol, Role: "billing"})
		mustDo(t, err)
		wantCode(t, s.Workspaces.Revoke(t.Context(), bob, ws, in.ID), kernel.Forbidden)
		wantCode(t, s.Workspaces.ChangeInvitation(t.Context(), bob, ws, in.ID, "viewer", nil), kernel.Forbidden)
		_, err = s.Workspaces.Resend(t.Context(), bob, ws, in.ID)
		wantCode(t, err, kernel.Forbidden)
		b := s.Browser(t, "192.0.2.2").SignIn("bob@example.org")
		b.Get(accesstest.Settings(ws)+"/members").Is(200, carol).Lacks("Send again")
		b.Post(accesstest.Settings(ws)+"/invitations/"+string(in.ID)+"/revoke").Is(403, "Only an owner can change or remove")
	})
}

// TestDirectoryInvitations is what provisioning builds on.
func TestDirectoryInvitations(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		_, ws, _ := s.Owner(t, owner, "Acme")
		key := audit.Actor{Kind: "key", ID: kernel.NewID(s.Clock.Now()), Label: "directory"}
		for _, role := range []string{"owner", "billing"} {
			_, err := s.Workspaces.Invite(t.Context(), key, ws, workspace.Invitation{Email: carol, Role: role, Source: workspace.SourceSCIM})
			if err == nil {
				t.Errorf("a directory made somebody %s", role)
			}
		}
		in, err := s.Workspaces.Invite(t.Context(), key, ws, workspace.Invitation{Email: carol, Role: "viewer", Source: workspace.SourceSCIM})
		mustDo(t, err)
		mustDo(t, s.Workspaces.ChangeInvitation(t.Context(), key, ws, in.ID, "member", []string{"jobs"}))
		found, err := s.Workspaces.InvitationTo(t.Context(), ws, "CAROL@example.org")
		if err != nil || found.ID != in.ID || found.Role != "member" {
			t.Fatalf("%+v, %v", found, err)
		}
		_, _ = s.Workspaces.Invite(t.Context(), actorOf(accountID(t, s, owner), owner), ws, workspace.Invitation{Email: "x@example.org", Role: "viewer"})
		c := account(t, s, carol)
		if joined, err := s.Workspaces.Accept(t.Context(), c.ID, in.ID); err != nil || joined.WorkspaceID != ws {
			t.Fatalf("%v, %v", joined, err)
		}
		p, err := s.Workspaces.Person(t.Context(), ws, c.ID)
		if err != nil || p.Role != "member" || p.Source != workspace.SourceSCIM || strings.Join(p.Apps, "") != "jobs" {
			t.Errorf("%+v, %v", p, err)
		}
		// It ends what it could not give, for whoever leaves the organisation; only owners are beyond it.
		mustDo(t, s.Workspaces.SetRole(t.Context(), actorOf(accountID(t, s, owner), owner), ws, c.ID, "billing", nil))
		wantCode(t, s.Workspaces.SetRole(t.Context(), key, ws, c.ID, "owner", nil), kernel.Forbidden)
		wantCode(t, s.Workspaces.Remove(t.Context(), key, ws, accountID(t, s, owner)), kernel.Forbidden)
		wantCode(t, s.Workspaces.SetRole(t.Context(), key, ws, accountID(t, s, owner), "viewer", nil), kernel.Forbidden)
		mustDo(t, s.Workspaces.Remove(t.Context(), key, ws, c.ID))
		if n := s.Rows(t, "invitations"); n != 1 {
			t.Errorf("%d invitations", n)
		}
	})
}

// TestErasedPersonLeavesNoAddress: neither invitations nor the log name somebody who is gone.
func TestErasedPersonLeavesNoAddress(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		ws, _, _ := invited(t, s)
		bobID, other, _ := s.Owner(t, "bob@example.org", "Other")
		_, err := s.Workspaces.Invite(t.Context(), actorOf(bobID, "bob@example.org"), other, workspace.Invitation{Email: carol, Role: "viewer"})
		mustDo(t, err)
		c := account(t, s, carol)
		mine, err := s.Workspaces.InvitationsFor(t.Context(), c.ID)
		mustDo(t, err)
		_, err = s.Workspaces.Accept(t.Context(), c.ID, mine[0].ID)
		mustDo(t, err)
		if _, err := s.Mail.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		mustDo(t, s.Identity.EraseAccount(t.Context(), c.ID))
		s.FindNowhere(t, carol, "Carol@example.org")
		if s.Rows(t, "invitations") != 0 {
			t.Error("an invitation is left")
		}
		_ = ws
	})
}

// TestOldInvitationsAreSwept: a moved clock, and the rows are gone.
func TestOldInvitationsAreSwept(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		ws, _, _ := invited(t, s)
		bob := account(t, s, "bob@example.org")
		s.Join(t, ws, bob.ID, "admin")
		mustDo(t, s.Workspaces.OfferOwnership(t.Context(), actorOf(accountID(t, s, owner), owner), ws, bob.ID))
		for _, step := range []struct {
			after                  time.Duration
			invitations, transfers int
		}{{0, 1, 1}, {8 * 24 * time.Hour, 1, 0}, {23 * 24 * time.Hour, 0, 0}} {
			s.Clock.Add(step.after)
			for _, c := range s.Workspaces.Collections() {
				if c.Sweep == nil {
					continue
				}
				age, err := c.MaxAge(t.Context(), ws)
				mustDo(t, err)
				_, err = c.Sweep(t.Context(), ws, s.Clock.Now().Add(-age))
				mustDo(t, err)
				if oldest, err := c.Oldest(t.Context(), ws); err != nil || !oldest.IsZero() && s.Clock.Now().Sub(oldest) > age {
					t.Errorf("%s: the oldest is from %s, %v", c.Name, oldest, err)
				}
			}
			if a, b := s.Rows(t, "invitations"), s.Rows(t, "ownership_transfers"); a != step.invitations || b != step.transfers {
				t.Errorf("after %s: %d invitations, %d transfers", step.after, a, b)
			}
		}
	})
}
