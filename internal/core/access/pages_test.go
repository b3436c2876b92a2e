package access_test

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/kept-dev/kept/internal/core/access/accesstest"
	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/platform/db/dbtest"
	"github.com/kept-dev/kept/internal/ui/uitest"
)

// TestPagesInABrowser is a newcomer's way through all pages of the core, in a real browser.
func TestPagesInABrowser(t *testing.T) {
	t.Parallel()
	s := accesstest.New(t, dbtest.SQLite(t))
	server := httptest.NewServer(s.Mux)
	t.Cleanup(server.Close)
	p := uitest.Start(t).Open(t, server.URL+"/")
	p.LookAndReach(t, "sign-in")
	submit := func(selector string) {
		t.Helper()
		p.Click(t, selector+" .form-end button")
	}
	wait := func(title string) {
		t.Helper()
		p.Wait(t, `document.querySelector("h1")?.textContent.includes(`+"`"+title+"`"+`)`)
	}
	p.Fill(t, "#f-email", "zoe@example.org")
	p.Fill(t, "#f-password", "wrong password")
	submit("form")
	p.Wait(t, `document.querySelector(".form-error")`)
	p.LookAndReach(t, "sign-in-refused")

	p.Go(t, server.URL+"/sign-up")
	p.LookAndReach(t, "sign-up")
	p.Fill(t, "#f-email", "zoe@example.org")
	submit("form")
	wait("Check your mail")
	p.LookAndReach(t, "check-your-mail")
	link := s.MailedLink(t, "zoe@example.org")
	p.Go(t, server.URL+"/mailbox")
	p.LookAndReach(t, "mailbox")
	p.Click(t, "main table a")
	wait("Finish signing up")
	p.LookAndReach(t, "mailbox-mail")

	p.Go(t, server.URL+link)
	p.Fill(t, "#f-name", "Zoë")
	p.Fill(t, "#f-password", "password1234")
	submit("form")
	p.Wait(t, `document.querySelector(".field-error")`)
	p.LookAndReach(t, "sign-up-finish")
	p.Fill(t, "#f-password", accesstest.Password)
	submit("form")
	wait("A place for your work")
	p.LookAndReach(t, "workspace-new")
	p.Fill(t, "#f-name", "Zoë's shop")
	submit("form")
	wait("Workspace")
	p.LookAndReach(t, "settings")

	settings := strings.TrimSuffix(p.URL(t), "/")
	p.Go(t, settings+"/api-keys")
	p.LookAndReach(t, "api-keys-empty")
	p.Click(t, ".empty .btn")
	wait("New API key")
	p.LookAndReach(t, "api-key-new")
	p.Fill(t, "#f-name", "orders worker, production")
	submit("main form")
	wait("The key is ready")
	p.LookAndReach(t, "api-key-created")
	p.Click(t, "main .btn[href]")
	wait("API keys")
	p.LookAndReach(t, "api-keys")
	p.Click(t, "main table .btn")
	wait("Rotate")
	p.LookAndReach(t, "api-key-rotate")
	submit("main form")
	wait("The new key is ready")
	p.Click(t, "main .btn[href]")
	wait("API keys")
	p.Wait(t, `document.querySelector("main table").textContent.includes("replaced")`)
	p.LookAndReach(t, "api-keys-rotated")
	p.Go(t, server.URL+"/account/tokens")
	p.LookAndReach(t, "tokens-empty")
	p.Click(t, ".empty .btn")
	wait("New token")
	p.Fill(t, "#f-name", "report script")
	p.LookAndReach(t, "token-new")
	submit("main form")
	wait("The token is ready")
	p.Click(t, "main .btn[href]")
	wait("Tokens")
	p.LookAndReach(t, "tokens")
	p.Go(t, settings+"/api-keys")
	p.LookAndReach(t, "api-keys-and-tokens")
	p.Click(t, `main table .btn[href$="/revoke"]`)
	wait("Revoke")
	p.LookAndReach(t, "api-key-revoke")
	submit("main form")
	wait("API keys")
	p.Wait(t, `document.querySelector("main table").textContent.includes("revoked")`)

	p.Go(t, settings+"/audit")
	p.LookAndReach(t, "audit")
	p.Fill(t, "#audit-list-action", "nothing.of.this")
	p.Wait(t, `document.querySelector(".empty")`)
	p.LookAndReach(t, "audit-empty")
	p.Go(t, server.URL+"/account")
	p.LookAndReach(t, "account")

	zoe, err := s.Identity.ByEmail(t.Context(), "zoe@example.org")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Workspaces.Create(t.Context(), audit.Actor{Kind: "account", ID: zoe.ID}, "A second workspace with a longer name"); err != nil {
		t.Fatal(err)
	}
	p.Go(t, server.URL+"/")
	wait("Your workspaces")
	p.LookAndReach(t, "workspaces")

	p.Go(t, server.URL+"/reset-password")
	p.LookAndReach(t, "reset")
	p.Fill(t, "#f-email", "zoe@example.org")
	submit("form")
	wait("Check your mail")
	p.Go(t, server.URL+s.MailedLink(t, "zoe@example.org"))
	p.LookAndReach(t, "reset-new")
	once, err := s.Identity.CreateOneTimeLink(t.Context(), zoe.ID, "", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	p.Go(t, server.URL+strings.TrimPrefix(once, accesstest.BaseURL))
	p.LookAndReach(t, "link")
	submit("form")
	wait("Your workspaces")
	p.Go(t, server.URL+strings.TrimPrefix(once, accesstest.BaseURL))
	wait("This link works no more")
	p.LookAndReach(t, "link-dead")
}

// TestPagesWithoutScripts signs in, makes a key and signs out in a browser that runs no scripts.
func TestPagesWithoutScripts(t *testing.T) {
	t.Parallel()
	s := accesstest.New(t, dbtest.SQLite(t))
	_, ws, _ := s.Owner(t, owner, "W")
	server := httptest.NewServer(s.Mux)
	t.Cleanup(server.Close)
	p := uitest.Start(t).Open(t, server.URL+"/mailbox")
	p.Scripts(t, false)
	p.Go(t, server.URL+"/sign-in")
	p.Fill(t, "#f-email", owner)
	p.Fill(t, "#f-password", accesstest.Password)
	p.Click(t, ".form-end button")
	visible := func(selector string) { // Page.Wait polls within the page, which has no timers now
		t.Helper()
		p.Do(t, chromedp.WaitVisible(chromedp.CSS(selector)))
	}
	visible(`main form[action$="/settings"]`)
	p.Go(t, server.URL+accesstest.Settings(ws)+"/api-keys/new")
	p.Fill(t, "#f-name", "worker")
	p.Click(t, "main .form-end button")
	visible("main .code code")
	if key := keyForm.FindString(p.Text(t, "main")); key == "" {
		t.Error("no key to be seen")
	}
}
