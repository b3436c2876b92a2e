package workspace_test

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/core/access/accesstest"
	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/core/mail"
	"github.com/kept-dev/kept/internal/core/workspace"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/ui"
)

func mustExec(t *testing.T, s *accesstest.Stack, text string, args ...any) {
	t.Helper()
	err := s.DB.Tx(t.Context(), func(tx *db.Tx) error {
		_, err := tx.Exec(t.Context(), text, args...)
		return err
	})
	mustDo(t, err)
}

func actorOf(id kernel.AccountID, email string) audit.Actor {
	return audit.Actor{Kind: "account", ID: id, Label: email}
}

func wantCode(t *testing.T, err error, code kernel.Code) {
	t.Helper()
	if kernel.CodeOf(err) != code {
		t.Errorf("got %v, want %q", err, code)
	}
}

func TestLastOwnerStays(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		id, ws, _ := s.Owner(t, owner, "Acme")
		ann := actorOf(id, owner)
		admin := account(t, s, "admin@example.org")
		s.Join(t, ws, admin.ID, workspace.RoleAdmin)
		wantCode(t, s.Workspaces.Leave(t.Context(), ann, ws), kernel.Conflict)
		wantCode(t, s.Workspaces.Remove(t.Context(), ann, ws, id), kernel.Conflict)
		wantCode(t, s.Workspaces.SetRole(t.Context(), ann, ws, id, workspace.RoleAdmin, nil), kernel.Conflict)
		wantCode(t, s.Workspaces.Remove(t.Context(), audit.Actor{Kind: "key", ID: "k"}, ws, id), kernel.Forbidden)
		err := s.DB.Tx(t.Context(), func(tx *db.Tx) error { return s.Workspaces.EraseAccount(t.Context(), tx, id) })
		wantCode(t, err, kernel.Conflict)
		owners, err := s.Workspaces.OwnersOf(t.Context(), ws)
		if err != nil || len(owners) != 1 || owners[0].Email != owner {
			t.Fatalf("%+v, %v", owners, err)
		}
		b := s.Browser(t, "192.0.2.1").SignIn(owner)
		b.Post(accesstest.Settings(ws)+"/leave").Is(409, "at least one owner")
	})
}

// TestLastOwnerStaysInARace: two owners go at the same moment, each because the other is still there. The first is held
// up within its transaction until the second had time to get as far.
func TestLastOwnerStaysInARace(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		annID, ws, _ := s.Owner(t, owner, "Acme")
		ann, bob := actorOf(annID, owner), account(t, s, "bob@example.org")
		s.Join(t, ws, bob.ID, workspace.RoleOwner)
		first, second := make(chan struct{}), make(chan struct{})
		var calls atomic.Int32
		s.Workspaces.OnLeft(func(context.Context, *db.Tx, kernel.WorkspaceID, kernel.AccountID) error {
			if calls.Add(1) > 1 {
				close(second)
				return nil
			}
			close(first)
			select {
			case <-second:
			case <-time.After(300 * time.Millisecond): // the second waits for us, as it should
			}
			return nil
		})
		errs := make(chan error, 2)
		go func() { errs <- s.Workspaces.Leave(t.Context(), ann, ws) }()
		<-first
		go func() { errs <- s.Workspaces.Remove(t.Context(), bob, ws, bob.ID) }()
		one, two := <-errs, <-errs
		owners, err := s.Workspaces.OwnersOf(t.Context(), ws)
		if err != nil || len(owners) != 1 || owners[0].AccountID != bob.ID {
			t.Fatalf("owners %+v, %v; %v; %v", owners, err, one, two)
		}
		if one == nil {
			one = two
		}
		wantCode(t, one, kernel.Conflict)
	})
}

func TestLeave(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		_, ws, _ := s.Owner(t, owner, "Acme")
		bob := account(t, s, "bob@example.org")
		s.Join(t, ws, bob.ID, workspace.RoleBilling)
		var told []kernel.AccountID
		s.Workspaces.OnLeft(func(_ context.Context, _ *db.Tx, _ kernel.WorkspaceID, a kernel.AccountID) error {
			told = append(told, a)
			return nil
		})
		b := s.Browser(t, "192.0.2.2").SignIn("bob@example.org")
		path := accesstest.Settings(ws)
		b.Get(path).Is(200, "Leave the workspace", "Plan and invoices only")
		b.Get(path+"/leave").Is(200, "Leave Acme?", "You lose access")
		b.Post(path + "/leave").To("/workspaces?done=left")
		b.Get(path).Is(404)
		b.Get("/workspaces?done=left").To("/workspaces/new")
		if !slices.Equal(told, []kernel.AccountID{bob.ID}) {
			t.Errorf("told of %v", told)
		}
		wantLine(t, s, ws, "member.leave", "bob@example.org")
	})
}

// wantLine checks that the newest audit line of an action is somebody's.
func wantLine(t *testing.T, s *accesstest.Stack, ws kernel.WorkspaceID, action, actor string) audit.Entry {
	t.Helper()
	lines, _, err := s.Audit.List(t.Context(), audit.Filter{WorkspaceID: ws, Action: action})
	if err != nil || len(lines) == 0 || lines[0].Actor != actor || lines[0].Result != audit.OK {
		t.Fatalf("%s: %+v, %v", action, lines, err)
	}
	return lines[0]
}

// TestRemovedMemberIsOutAtOnce: the edge remembers members, and must forget the one who is gone.
func TestRemovedMemberIsOutAtOnce(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		id, ws, _ := s.Owner(t, owner, "Acme")
		bob := account(t, s, "bob@example.org")
		s.Join(t, ws, bob.ID, workspace.RoleAdmin)
		path := accesstest.Settings(ws) + "/members"
		b := s.Browser(t, "192.0.2.2").SignIn("bob@example.org")
		other := s.Beside(t).Browser(t, "192.0.2.2")
		other.Token = b.Token
		b.Get(path).Is(200, "Invite somebody")
		other.Get(path).Is(200)

		a := s.Browser(t, "192.0.2.1").SignIn(owner)
		member := path + "/" + string(bob.ID)
		a.Get(member).Is(200, "bob@example.org", "Remove from the workspace")
		a.Post(member, "role", "viewer", "apps", "all").To(path + "?done=member")
		b.Get(path).Is(200).Lacks("Invite somebody")
		b.Post(path+"/invite", "email", "x@example.org", "role", "viewer", "apps", "all").Is(403)
		a.Get(member+"/remove").Is(200, "Remove bob@example.org?")
		a.Post(member + "/remove").To(path + "?done=removed")
		b.Get(path).Is(404)
		s.Clock.Add(5 * time.Second) // as long as another process may remember
		other.Get(path).Is(404)
		line := wantLine(t, s, ws, "member.change", owner)
		if line.Detail != "admin → viewer" || line.Target != "account:"+string(bob.ID) {
			t.Errorf("%+v", line)
		}
		wantLine(t, s, ws, "member.remove", owner)
		wantMails(t, s, "bob@example.org", "no longer a member", "role in “Acme” changed")
		_ = id
	})
}

// wantMails sends what is due and checks that an address got mails with these subjects.
func wantMails(t *testing.T, s *accesstest.Stack, to string, subjects ...string) {
	t.Helper()
	if _, err := s.Mail.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	mails := s.Mailbox.To(to)
	for _, want := range subjects {
		if !slices.ContainsFunc(mails, func(m mail.Received) bool { return strings.Contains(m.Subject, want) }) {
			t.Fatalf("%s got no mail %q in %+v", to, want, mails)
		}
	}
}

// TestRemovedAdminLeavesNoDoor: invitations of somebody who may no longer invite die with his rights.
func TestRemovedAdminLeavesNoDoor(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		id, ws, _ := s.Owner(t, owner, "Acme")
		ann, bob := actorOf(id, owner), account(t, s, "bob@example.org")
		for _, end := range []func() error{
			func() error { return s.Workspaces.Remove(t.Context(), ann, ws, bob.ID) },
			func() error { return s.Workspaces.Leave(t.Context(), bob, ws) },
			func() error {
				return s.Workspaces.SetRole(t.Context(), ann, ws, bob.ID, workspace.RoleMember, nil)
			},
		} {
			s.Join(t, ws, bob.ID, workspace.RoleAdmin)
			in, err := s.Workspaces.Invite(t.Context(), bob, ws, workspace.Invitation{Email: "friend@example.org", Role: workspace.RoleAdmin})
			mustDo(t, err)
			mustDo(t, end())
			_, err = s.Workspaces.Invitation(t.Context(), ws, in.ID)
			wantCode(t, err, kernel.NotFound)
			s.Clock.Add(25 * time.Hour)
		}
	})
}

func TestPerAppAccess(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		id, ws, _ := s.Owner(t, owner, "Acme")
		ann, bob := actorOf(id, owner), account(t, s, "bob@example.org")
		s.Join(t, ws, bob.ID, workspace.RoleAdmin)
		path := accesstest.Settings(ws) + "/members"
		a := s.Browser(t, "192.0.2.1").SignIn(owner)
		member := path + "/" + string(bob.ID)
		a.Post(member, "role", "admin").Is(422, "Choose at least one app")
		a.Post(member, "role", "admin", "app-career", "on").To(path + "?done=member")
		a.Get(path).Is(200, "Career")
		a.Get(member).Is(200, `name="app-career" type="checkbox" value="on" checked`)
		w, err := s.Workspaces.Membership(t.Context(), bob.ID, ws)
		if err != nil || !slices.Equal(w.Apps, []string{"career"}) {
			t.Fatalf("%+v, %v", w, err)
		}
		actor := httpx.Actor{AccountID: bob.ID, WorkspaceID: ws}
		if actor, err = s.Access.Membership(t.Context(), actor, ws); err != nil || actor.HasApp("jobs") || !actor.HasApp("career") {
			t.Fatalf("%+v, %v", actor, err)
		}
		// Nobody gives access that he does not have, not even to himself.
		carol := account(t, s, "carol@example.org")
		s.Join(t, ws, carol.ID, workspace.RoleViewer)
		for _, apps := range [][]string{nil, {"jobs"}, {"career", "jobs"}} {
			wantCode(t, s.Workspaces.SetRole(t.Context(), bob, ws, carol.ID, workspace.RoleViewer, apps), kernel.Forbidden)
			wantCode(t, s.Workspaces.SetRole(t.Context(), bob, ws, bob.ID, workspace.RoleAdmin, apps), kernel.Forbidden)
			_, err := s.Workspaces.Invite(t.Context(), bob, ws, workspace.Invitation{Email: "dan@example.org", Role: workspace.RoleViewer, Apps: apps})
			wantCode(t, err, kernel.Forbidden)
		}
		mustDo(t, s.Workspaces.SetRole(t.Context(), bob, ws, carol.ID, workspace.RoleViewer, []string{"career"}))
		wantCode(t, s.Workspaces.SetRole(t.Context(), ann, ws, carol.ID, workspace.RoleViewer, []string{"chess"}), kernel.Invalid)
		mustDo(t, s.Workspaces.SetRole(t.Context(), ann, ws, bob.ID, workspace.RoleOwner, []string{"career"}))
		if w, err = s.Workspaces.Membership(t.Context(), bob.ID, ws); err != nil || w.Apps != nil {
			t.Errorf("an owner has limits: %+v, %v", w, err)
		}
	})
}

func TestNavigationShowsWhatOpens(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		items := []ui.NavItem{{App: "settings", Label: "Account"}, {App: "settings", Label: "Members", Needs: "view"}, {App: "settings", Label: "Keys", Needs: "manage"},
			{App: "jobs", Label: "Jobs", Needs: "view"}, {App: "career", Label: "Board", Needs: "view"}}
		for _, c := range []struct {
			role string
			apps []string
			want string
		}{
			{"owner", nil, "Account Members Keys Jobs Board"},
			{"member", []string{"career"}, "Account Members Board"},
			{"billing", nil, "Account"},
			{"", nil, "Account"},
		} {
			var got []string
			for _, it := range s.Workspaces.VisibleNav(items, httpx.Actor{Role: c.role, Apps: c.apps}) {
				got = append(got, it.Label)
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("%s %v sees %v, want %s", c.role, c.apps, got, c.want)
			}
		}
		_, ws, _ := s.Owner(t, owner, "Acme")
		bob := account(t, s, "bob@example.org")
		s.Join(t, ws, bob.ID, workspace.RoleBilling)
		b := s.Browser(t, "192.0.2.2").SignIn("bob@example.org")
		b.Get("/w/" + string(ws)).To(accesstest.Settings(ws))
		b.Get(accesstest.Settings(ws)).Is(200, ">Workspace<").Lacks("/settings/members", "/settings/audit", "/settings/api-keys", `action="`+accesstest.Settings(ws)+`"`)
		s.Browser(t, "192.0.2.1").SignIn(owner).Get(accesstest.Settings(ws)).Is(200, "/settings/members", "/settings/audit", "/settings/api-keys")
	})
}

func TestSwitcherListsMine(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		_, first, _ := s.Owner(t, owner, "Alpha")
		bobID, second, _ := s.Owner(t, "bob@example.org", "Beta")
		s.Owner(t, "carol@example.org", "Gamma")
		s.Join(t, first, bobID, workspace.RoleViewer)
		b := s.Browser(t, "192.0.2.2").SignIn("bob@example.org")
		b.Get("/").To("/workspaces")
		b.Get("/workspaces").Is(200, "Alpha", "viewer", "Beta", "owner").Lacks("Gamma")
		b.Get(accesstest.Settings(second)).Is(200, "Switch workspace", `href="/w/`+string(first)+`"`).Lacks("Gamma")
		s.Browser(t, "192.0.2.1").SignIn(owner).Get(accesstest.Settings(first)).Is(200).Lacks("Beta")
	})
}

// factors is a stand-in for package proof.
type factors struct{ app, passkey map[kernel.AccountID]bool }

func (f factors) Enrolled(_ context.Context, a kernel.AccountID) (bool, error) { return f.app[a], nil }
func (f factors) HasPasskey(_ context.Context, a kernel.AccountID) (bool, error) {
	return f.passkey[a], nil
}

func TestWorkspaceDemandsSecondFactor(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		annID, ws, _ := s.Owner(t, owner, "Acme")
		bob := account(t, s, "bob@example.org")
		s.Join(t, ws, bob.ID, workspace.RoleAdmin)
		f := factors{app: map[kernel.AccountID]bool{}, passkey: map[kernel.AccountID]bool{}}
		s.Workspaces.UseSecondFactor(f)
		a, b := s.Browser(t, "192.0.2.1").SignIn(owner), s.Browser(t, "192.0.2.2").SignIn("bob@example.org")
		path := accesstest.Settings(ws)
		b.Get(path).Is(200)
		b.Post(path+"/security", "demand", "on").Is(403) // an admin does not decide it
		a.Post(path+"/security", "demand", "on").Is(422, "You would lock yourself out")
		f.app[annID] = true
		a.Post(path+"/security", "demand", "on").To(path + "?done=demanded")
		a.Get(path+"?done=demanded").Is(200, "only members with a second factor get in", "checked")
		b.Get(path).Is(403, "Set up a passkey or an authenticator app")
		b.Get("/account").Is(200) // where that is done
		f.passkey[bob.ID] = true
		b.Get(path).Is(403, "Sign in with your passkey")
		w, err := s.Workspaces.Membership(t.Context(), bob.ID, ws)
		mustDo(t, err)
		mustDo(t, s.Workspaces.Admit(t.Context(), httpx.Actor{AccountID: bob.ID, Strong: true}, w))
		mustDo(t, s.Workspaces.Admit(t.Context(), httpx.Actor{AccountID: bob.ID, TokenID: "t"}, w))
		f.app[bob.ID] = true
		b.Get(path).Is(200)
		a.Get(path+"/members").Is(200, "Second factor", "yes").Lacks("/leave")
		a.Post(path + "/security").To(path + "?done=undemand")
		delete(f.app, bob.ID)
		delete(f.passkey, bob.ID)
		b.Get(path).Is(200, "Members need no second factor")
		a.Get(path+"/members").Is(200, "no")
		wantLine(t, s, ws, "workspace.demand_factor", owner)
	})
}

// TestMassAssignment: fields that a form does not have change nothing.
func TestMassAssignment(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		annID, ws, _ := s.Owner(t, owner, "Acme")
		bobID, other, _ := s.Owner(t, "bob@example.org", "Other")
		s.Join(t, ws, bobID, workspace.RoleAdmin)
		extra := []string{"role", "owner", "owner", "1", "workspace_id", string(other), "ws", string(other), "account_id", string(annID), "demand_factor", "1",
			"demand", "on", "id", string(other), "source", "scim", "created_at", "1", "verified_at", "1"}
		b := s.Browser(t, "192.0.2.2").SignIn("bob@example.org")
		path := accesstest.Settings(ws)
		b.Post(path, append([]string{"name", "Renamed"}, extra...)...).To(path + "?done=name")
		b.Post("/workspaces", append([]string{"name", "Third"}, extra...)...)
		b.Post(path+"/members/"+string(bobID), append([]string{"apps", "all"}, extra...)...).Is(403)
		b.Post(path+"/members/"+string(annID), append([]string{"apps", "all"}, extra...)...).Is(403)
		b.Post(path+"/members/invite", append([]string{"email", "x@example.org", "apps", "all"}, extra...)...).Is(422, "Nobody is invited as an owner")
		b.Post(path+"/members/invite", append([]string{"email", "carol@example.org", "role", "viewer", "apps", "all"}, extra[2:]...)...).To(path + "/members?done=invited")
		carol := account(t, s, "carol@example.org")
		mine, err := s.Workspaces.InvitationsFor(t.Context(), carol.ID)
		if err != nil || len(mine) != 1 || mine[0].Source != "" || mine[0].WorkspaceID != ws {
			t.Fatalf("%+v, %v", mine, err)
		}
		c := s.Browser(t, "192.0.2.3").SignIn("carol@example.org")
		c.Post("/invitations/accept", append([]string{"id", string(mine[0].ID)}, extra...)...).To("/w/" + string(ws))
		for email, want := range map[string]string{owner: "owner", "bob@example.org": "admin", "carol@example.org": "viewer"} {
			p, err := s.Workspaces.PersonByEmail(t.Context(), ws, email)
			if err != nil || p.Role != want || p.Source != "" {
				t.Errorf("%s: %+v, %v", email, p, err)
			}
		}
		w, err := s.Workspaces.Membership(t.Context(), bobID, other)
		if err != nil || w.Name != "Other" || w.DemandFactor {
			t.Errorf("the other workspace: %+v, %v", w, err)
		}
		if w, err = s.Workspaces.Membership(t.Context(), annID, ws); err != nil || w.Name != "Renamed" || w.DemandFactor {
			t.Errorf("%+v, %v", w, err)
		}
	})
}

// TestIDsOfOthersAreNotFound: an owner of one workspace with the ids of another's things.
func TestIDsOfOthersAreNotFound(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		annID, ws, _ := s.Owner(t, owner, "Acme")
		malID, theirs, _ := s.Owner(t, "mallory@example.org", "Hers")
		bob := account(t, s, "bob@example.org")
		s.Join(t, ws, bob.ID, workspace.RoleAdmin)
		in, err := s.Workspaces.Invite(t.Context(), actorOf(annID, owner), ws, workspace.Invitation{Email: "carol@example.org", Role: "viewer"})
		mustDo(t, err)
		mustDo(t, s.Workspaces.OfferOwnership(t.Context(), actorOf(annID, owner), ws, bob.ID))
		m := s.Browser(t, "192.0.2.6").SignIn("mallory@example.org")
		path := accesstest.Settings(theirs)
		for _, p := range []string{"/members/" + string(bob.ID), "/members/" + string(bob.ID) + "/remove", "/members/nonsense"} {
			m.Get(path + p).Is(404)
			m.Post(path+p, "role", "viewer", "apps", "all").Is(404)
		}
		for _, p := range []string{"/resend", "/revoke"} {
			m.Post(path + "/invitations/" + string(in.ID) + p).Is(404)
			m.Post(path + "/invitations/x" + p).Is(404)
		}
		m.Post("/invitations/accept", "id", string(in.ID)).Is(404)
		m.Post("/invitations/decline", "id", string(in.ID)).Is(404)
		m.Get("/account/transfers/" + string(ws)).Is(404)
		m.Post("/account/transfers/" + string(ws)).Is(404)
		m.Post("/account/transfers/" + string(ws) + "/decline").Is(404)
		m.Post(path+"/transfer", "to", "bob@example.org").Is(422, "not the address of a member")
		if n := s.Rows(t, "invitations") + s.Rows(t, "ownership_transfers"); n != 2 {
			t.Errorf("%d rows left", n)
		}
		_ = malID
	})
}

func TestMembersAreFoundAndPaged(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		_, ws, _ := s.Owner(t, owner, "Acme")
		for _, name := range []string{"bob", "carol", "da_n", "eve"} {
			s.Join(t, ws, account(t, s, name+"@example.org").ID, workspace.RoleViewer)
		}
		var got []string
		f := workspace.PeopleFilter{Limit: 2}
		for {
			people, next, err := s.Workspaces.FindPeople(t.Context(), ws, f)
			mustDo(t, err)
			for _, p := range people {
				got = append(got, strings.TrimSuffix(p.Email, "@example.org"))
			}
			if f.Cursor = next; next == "" {
				break
			}
		}
		if strings.Join(got, " ") != "ann bob carol da_n eve" {
			t.Errorf("got %v", got)
		}
		for search, want := range map[string]int{"BOB": 1, "_": 1, "%": 0, "example.org": 5, "nobody": 0} {
			people, _, err := s.Workspaces.FindPeople(t.Context(), ws, workspace.PeopleFilter{Search: search})
			if err != nil || len(people) != want {
				t.Errorf("%q finds %d, want %d, %v", search, len(people), want, err)
			}
		}
		b := s.Browser(t, "192.0.2.1").SignIn(owner)
		path := accesstest.Settings(ws) + "/members"
		b.Get(path+"?role=viewer").Is(200, "bob@example.org").Lacks("<span>ann@example.org</span>")
		b.Get(path+"?q=nobody").Is(200, "No member matches")
		b.Get(path + "?cursor=nonsense").Is(400)
	})
}
