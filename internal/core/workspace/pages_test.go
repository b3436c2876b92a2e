package workspace_test

import (
	"net/http/httptest"
	"testing"

	"github.com/kept-dev/kept/internal/core/access/accesstest"
	"github.com/kept-dev/kept/internal/core/workspace"
	"github.com/kept-dev/kept/internal/platform/db/dbtest"
	"github.com/kept-dev/kept/internal/ui/uitest"
)

// TestTeamInABrowser is a team's first day, in a real browser: invite, open an account, accept, change, hand over, leave.
func TestTeamInABrowser(t *testing.T) {
	t.Parallel()
	s := accesstest.New(t, dbtest.SQLite(t))
	_, ws, _ := s.Owner(t, owner, "Acme Shipping")
	bob := account(t, s, "bob@example.org")
	s.Join(t, ws, bob.ID, workspace.RoleAdmin)
	s.Join(t, ws, account(t, s, "dora.longname@accounting.example.org").ID, workspace.RoleBilling)
	server := httptest.NewServer(s.Mux)
	t.Cleanup(server.Close)
	p := uitest.Start(t).Open(t, server.URL+"/sign-in?next="+accesstest.Settings(ws)+"/members")
	wait := func(text string) {
		t.Helper()
		p.Wait(t, `document.body.textContent.includes(`+"`"+text+"`"+`)`)
	}
	signIn := func(email string) {
		t.Helper()
		p.Fill(t, "#f-email", email)
		p.Fill(t, "#f-password", accesstest.Password)
		p.Click(t, "form .form-end button")
	}
	signIn(owner)
	wait("Invite somebody")
	p.Fill(t, "#invite #f-email", "not an address")
	p.Click(t, "#invite .form-end button")
	p.Wait(t, `document.querySelector("#invite .field-error")`)
	p.LookAndReach(t, "members-refused")
	p.Fill(t, "#invite #f-email", carol)
	p.Click(t, "#invite .form-end button")
	wait("The invitation is on its way.")
	p.LookAndReach(t, "members")
	p.Fill(t, "#members-q", "dora") // the list follows while one types
	p.Wait(t, `!document.querySelector("#members").textContent.includes("bob@example.org")`)
	p.Fill(t, "#members-q", "nobody")
	wait("No member matches")
	p.LookAndReach(t, "members-empty")

	p.Go(t, server.URL+accesstest.Settings(ws)+"/members/"+string(bob.ID))
	p.LookAndReach(t, "member")
	p.Click(t, `#f-role input[value="viewer"], input[name="role"][value="viewer"]`)
	p.Click(t, "main form .form-end button")
	wait("The member is changed.")
	p.Go(t, server.URL+accesstest.Settings(ws)+"/members/"+string(bob.ID)+"/remove")
	p.LookAndReach(t, "member-remove")
	p.Go(t, server.URL+accesstest.Settings(ws)+"/transfer")
	p.LookAndReach(t, "transfer")
	p.Fill(t, "#f-to", "bob@example.org")
	p.Click(t, "main form .form-end button")
	wait("The offer is on its way.")
	p.LookAndReach(t, "transfer-offered")
	p.Go(t, server.URL+accesstest.Settings(ws))
	p.LookAndReach(t, "settings")
	p.Go(t, server.URL+accesstest.Settings(ws)+"/leave")
	p.LookAndReach(t, "leave")
	p.Click(t, "main form .form-end button")
	wait("at least one owner")
	p.LookAndReach(t, "leave-refused")

	link := s.MailedLink(t, carol)
	p.Go(t, server.URL+link)
	wait("You are signed in as ann@example.org")
	p.LookAndReach(t, "invitation-other")
	p.Click(t, `form[action="/sign-out"] .form-end button`)
	wait("Sign in")
	p.Go(t, server.URL+link)
	wait("There is no account with this address yet")
	p.LookAndReach(t, "invitation")
	account(t, s, carol)
	p.Go(t, server.URL+link)
	p.Click(t, `main a[href^="/sign-in"]`)
	p.Wait(t, `document.querySelector("#f-password")`)
	signIn(carol)
	wait("invites you to")
	p.LookAndReach(t, "workspaces-invited")
	p.Click(t, `form[action="/invitations/accept"] button`)
	wait("Your role")
	p.LookAndReach(t, "settings-member")
	p.Go(t, server.URL+accesstest.Settings(ws)+"/members")
	p.LookAndReach(t, "members-member")
	p.Go(t, server.URL+link)
	p.LookAndReach(t, "invitation-dead")

	b := s.Browser(t, "192.0.2.2").SignIn("bob@example.org")
	b.Get("/account/transfers/" + string(ws)).Is(200)
	p.Go(t, server.URL+accesstest.Settings(ws)+"/leave")
	p.Click(t, "main form .form-end button")
	wait("A place for your work")
	p.Go(t, server.URL+"/account")
	p.Click(t, `details.menu-end summary`)
	p.Click(t, `form[action="/sign-out"] button`)
	p.Wait(t, `document.querySelector("#f-password")`)
	signIn("bob@example.org")
	wait("offers you the ownership")
	p.LookAndReach(t, "workspaces-offered")
	p.Click(t, `a[href^="/account/transfers/"]`)
	wait("Become the owner")
	p.LookAndReach(t, "transfer-answer")
	p.Click(t, "main form .form-end button")
	wait("You are the owner of this workspace now.")
	p.LookAndReach(t, "settings-owner")
}
