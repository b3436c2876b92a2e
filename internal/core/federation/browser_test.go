package federation_test

import (
	"testing"

	"github.com/kept-dev/kept/internal/platform/config"
	"github.com/kept-dev/kept/internal/testkit"
	"github.com/kept-dev/kept/internal/ui/uitest"
)

// atTheProvider signs in there and agrees.
func atTheProvider(t *testing.T, p *uitest.Page, login string) {
	t.Helper()
	p.Wait(t, `document.querySelector("input[name=login]") !== null && document.readyState === "complete"`)
	p.Fill(t, "input[name=login]", login)
	p.Fill(t, "input[name=password]", "any")
	p.Click(t, "button[type=submit]")
	p.Wait(t, `document.querySelector("input[name=prompt][value=consent]") !== null && document.readyState === "complete"`)
	p.Click(t, "button[type=submit]")
}

// TestProviderInABrowser goes the whole way in a real browser: the policies of our pages must let people go to a provider
// and come back.
func TestProviderInABrowser(t *testing.T) {
	t.Parallel()
	a, _ := withProvider(t, testkit.Config(func(*config.Config) {}), true)
	p := uitest.Start(t).Open(t, a.BaseURL()+"/sign-in?next=/account/providers")
	p.AllowViolations() // of the provider's own pages
	wait := func(title string) {
		t.Helper()
		p.Wait(t, `document.querySelector("h1")?.textContent.includes(`+"`"+title+"`"+`) && document.readyState === "complete"`)
	}
	wait("Sign in")
	p.Look(t, "sign-in")
	p.Click(t, "a[href^='/sign-in/with/work']")
	atTheProvider(t, p, "ann@example.org")
	wait("Open your account")
	p.Look(t, "finish")
	if p.Has(t, "#f-born") {
		p.Run(t, `document.querySelector("#f-born").value = "1990-01-02"`)
	}
	p.Click(t, "form[action='/sign-in/finish'] button")
	wait("Sign-in providers")
	p.Look(t, "providers")

	// The form that links is answered with a page that leads on by itself; the provider knows the person already.
	p.Click(t, "form[action='/account/providers/work/link'] button")
	p.Wait(t, `location.search === "?done=linked" && document.readyState === "complete"`)
	p.Click(t, "a[href$='/unlink']")
	wait("End the link with Work?")
	p.Look(t, "unlink")
	p.Click(t, "form[action$='/unlink'] button")
	p.Wait(t, `document.querySelector(".form-error") !== null && document.readyState === "complete"`)
	p.Look(t, "unlink-refused")

	p.Go(t, a.BaseURL()+"/sign-in/with/work/callback?code=x&state=y")
	wait("That did not work")
	p.Look(t, "failed")
}
