package access_test

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/kept-dev/kept/internal/core/access/accesstest"
	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/platform/db/dbtest"
	"github.com/kept-dev/kept/internal/ui/uitest"
)

// shots is where pictures of the pages go; empty takes none.
const shots = "KEPT_SHOTS"

// look checks a page as it stands: axe in light and dark, at a desk and on a phone, nothing that scrolls sideways, and
// every control within reach of the keyboard.
func look(t *testing.T, p *uitest.Page, name string) {
	t.Helper()
	for _, v := range []struct {
		width  int64
		dark   bool
		suffix string
	}{{1280, false, "wide"}, {1280, true, "wide-dark"}, {390, true, "phone-dark"}, {390, false, "phone"}} {
		p.Size(t, v.width, 900)
		p.Dark(t, v.dark)
		p.Axe(t)
		p.FitsWidth(t)
		if dir := os.Getenv(shots); dir != "" {
			p.Screenshot(t, filepath.Join(dir, name+"-"+v.suffix+".png"), v.width, v.dark)
		}
	}
	// FocusOrder begins where the focus is, and ends at what takes Tab more than once: a frame, a field for a time.
	if !p.Has(t, "iframe, [type=datetime-local]") && uitest.Eval[bool](t, p, "document.activeElement === document.body") {
		p.FocusOrder(t, 60)
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

// TestPagesInABrowser is a newcomer's way through all pages of the core, in a real browser.
func TestPagesInABrowser(t *testing.T) {
	t.Parallel()
	s := accesstest.New(t, dbtest.SQLite(t))
	server := httptest.NewServer(s.Mux)
	t.Cleanup(server.Close)
	p := uitest.Start(t).Open(t, server.URL+"/")
	look(t, p, "sign-in")
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
	look(t, p, "sign-in-refused")

	p.Go(t, server.URL+"/sign-up")
	look(t, p, "sign-up")
	p.Fill(t, "#f-email", "zoe@example.org")
	submit("form")
	wait("Check your mail")
	look(t, p, "check-your-mail")
	link := s.MailedLink(t, "zoe@example.org")
	p.Go(t, server.URL+"/mailbox")
	look(t, p, "mailbox")
	p.Click(t, "main table a")
	wait("Finish signing up")
	look(t, p, "mailbox-mail")

	p.Go(t, server.URL+link)
	p.Fill(t, "#f-name", "Zoë")
	p.Fill(t, "#f-password", "password1234")
	submit("form")
	p.Wait(t, `document.querySelector(".field-error")`)
	look(t, p, "sign-up-finish")
	p.Fill(t, "#f-password", accesstest.Password)
	submit("form")
	wait("A place for your work")
	look(t, p, "workspace-new")
	p.Fill(t, "#f-name", "Zoë's shop")
	submit("form")
	wait("Workspace")
	look(t, p, "settings")

	settings := strings.TrimSuffix(p.URL(t), "/")
	p.Go(t, settings+"/api-keys")
	look(t, p, "api-keys-empty")
	p.Click(t, ".empty .btn")
	wait("New API key")
	look(t, p, "api-key-new")
	p.Fill(t, "#f-name", "orders worker, production")
	submit("main form")
	wait("The key is ready")
	look(t, p, "api-key-created")
	p.Click(t, "main .btn[href]")
	wait("API keys")
	look(t, p, "api-keys")
	p.Click(t, "main table .btn")
	wait("Rotate")
	look(t, p, "api-key-rotate")
	submit("main form")
	wait("The new key is ready")
	p.Click(t, "main .btn[href]")
	wait("API keys")
	p.Wait(t, `document.querySelector("main table").textContent.includes("replaced")`)
	look(t, p, "api-keys-rotated")
	p.Go(t, server.URL+"/account/tokens")
	look(t, p, "tokens-empty")
	p.Click(t, ".empty .btn")
	wait("New token")
	p.Fill(t, "#f-name", "report script")
	look(t, p, "token-new")
	submit("main form")
	wait("The token is ready")
	p.Click(t, "main .btn[href]")
	wait("Tokens")
	look(t, p, "tokens")
	p.Go(t, settings+"/api-keys")
	look(t, p, "api-keys-and-tokens")
	p.Click(t, `main table .btn[href$="/revoke"]`)
	wait("Revoke")
	look(t, p, "api-key-revoke")
	submit("main form")
	wait("API keys")
	p.Wait(t, `document.querySelector("main table").textContent.includes("revoked")`)

	p.Go(t, settings+"/audit")
	look(t, p, "audit")
	p.Fill(t, "#audit-list-action", "nothing.of.this")
	p.Wait(t, `document.querySelector(".empty")`)
	look(t, p, "audit-empty")
	p.Go(t, server.URL+"/account")
	look(t, p, "account")

	zoe, err := s.Identity.ByEmail(t.Context(), "zoe@example.org")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Workspaces.Create(t.Context(), audit.Actor{Kind: "account", ID: zoe.ID}, "A second workspace with a longer name"); err != nil {
		t.Fatal(err)
	}
	p.Go(t, server.URL+"/")
	wait("Your workspaces")
	look(t, p, "workspaces")

	p.Go(t, server.URL+"/reset-password")
	look(t, p, "reset")
	p.Fill(t, "#f-email", "zoe@example.org")
	submit("form")
	wait("Check your mail")
	p.Go(t, server.URL+s.MailedLink(t, "zoe@example.org"))
	look(t, p, "reset-new")
	once, err := s.Identity.CreateOneTimeLink(t.Context(), zoe.ID, "", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	p.Go(t, server.URL+strings.TrimPrefix(once, accesstest.BaseURL))
	look(t, p, "link")
	submit("form")
	wait("Your workspaces")
	p.Go(t, server.URL+strings.TrimPrefix(once, accesstest.BaseURL))
	wait("This link works no more")
	look(t, p, "link-dead")
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
