package workspace_test

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/kept-dev/kept/internal/core/access/accesstest"
	"github.com/kept-dev/kept/internal/core/workspace"
	"github.com/kept-dev/kept/internal/platform/db/dbtest"
	"github.com/kept-dev/kept/internal/ui/uitest"
)

// look checks a page as it stands: axe in light and dark, at a desk and on a phone, nothing that scrolls sideways, and
// every control within reach of the keyboard. With KEPT_SHOTS it also takes pictures.
func look(t *testing.T, p *uitest.Page, name string) {
	t.Helper()
	for _, v := range []struct {
		width  int64
		dark   bool
		suffix string
	}{{1280, false, "wide"}, {390, true, "phone-dark"}, {390, false, "phone"}} {
		p.Size(t, v.width, 900)
		p.Dark(t, v.dark)
		p.Axe(t)
		p.FitsWidth(t)
		if dir := os.Getenv("KEPT_SHOTS"); dir != "" {
			p.Screenshot(t, filepath.Join(dir, name+"-"+v.suffix+".png"), v.width, v.dark)
		}
	}
	if uitest.Eval[bool](t, p, "document.activeElement === document.body") {
		p.FocusOrder(t, 80)
		if missed := p.Unreached(t); len(missed) > 0 {
			t.Errorf("%s: out of reach of the keyboard: %q", name, missed)
		}
	}
	p.Size(t, 1280, 900)
	p.Dark(t, false)
	if t.Failed() {
		t.Fatalf("on page %s", name)
	}
}

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
	look(t, p, "members-refused")
	p.Fill(t, "#invite #f-email", carol)
	p.Click(t, "#invite .form-end button")
	wait("The invitation is on its way.")
	look(t, p, "members")
	p.Fill(t, "#members-q", "dora") // the list follows while one types
	p.Wait(t, `!document.querySelector("#members").textContent.includes("bob@example.org")`)
	p.Fill(t, "#members-q", "nobody")
	wait("No member matches")
	look(t, p, "members-empty")

	p.Go(t, server.URL+accesstest.Settings(ws)+"/members/"+string(bob.ID))
	look(t, p, "member")
	p.Click(t, `#f-role input[value="viewer"], input[name="role"][value="viewer"]`)
	p.Click(t, "main form .form-end button")
	wait("The member is changed.")
	p.Go(t, server.URL+accesstest.Settings(ws)+"/members/"+string(bob.ID)+"/remove")
	look(t, p, "member-remove")
	p.Go(t, server.URL+accesstest.Settings(ws)+"/transfer")
	look(t, p, "transfer")
	p.Fill(t, "#f-to", "bob@example.org")
	p.Click(t, "main form .form-end button")
	wait("The offer is on its way.")
	look(t, p, "transfer-offered")
	p.Go(t, server.URL+accesstest.Settings(ws))
	look(t, p, "settings")
	p.Go(t, server.URL+accesstest.Settings(ws)+"/leave")
	look(t, p, "leave")
	p.Click(t, "main form .form-end button")
	wait("at least one owner")
	look(t, p, "leave-refused")

	link := s.MailedLink(t, carol)
	p.Go(t, server.URL+link)
	wait("You are signed in as ann@example.org")
	look(t, p, "invitation-other")
	p.Click(t, `form[action="/sign-out"] .form-end button`)
	wait("Sign in")
	p.Go(t, server.URL+link)
	wait("There is no account with this address yet")
	look(t, p, "invitation")
	account(t, s, carol)
	p.Go(t, server.URL+link)
	p.Click(t, `main a[href^="/sign-in"]`)
	p.Wait(t, `document.querySelector("#f-password")`)
	signIn(carol)
	wait("invites you to")
	look(t, p, "workspaces-invited")
	p.Click(t, `form[action="/invitations/accept"] button`)
	wait("Your role")
	look(t, p, "settings-member")
	p.Go(t, server.URL+accesstest.Settings(ws)+"/members")
	look(t, p, "members-member")
	p.Go(t, server.URL+link)
	look(t, p, "invitation-dead")

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
	look(t, p, "workspaces-offered")
	p.Click(t, `a[href^="/account/transfers/"]`)
	wait("Become the owner")
	look(t, p, "transfer-answer")
	p.Click(t, "main form .form-end button")
	wait("You are the owner of this workspace now.")
	look(t, p, "settings-owner")
}
