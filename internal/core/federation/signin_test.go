package federation_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/core/access/accesstest"
	"github.com/kept-dev/kept/internal/core/federation"
	"github.com/kept-dev/kept/internal/core/identity"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/db/dbtest"
)

// world is the core modules, with providers that they reach.
type world struct {
	*accesstest.Stack
	t     *testing.T
	cloud *cloud
}

func each(t *testing.T, f func(t *testing.T, w *world)) {
	t.Parallel()
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) { f(t, &world{Stack: s, t: t, cloud: &cloud{}}) })
}

func (w *world) offer(p federation.Provider) {
	w.t.Helper()
	if err := w.Federation.Offer(p, w.cloud); err != nil {
		w.t.Fatal(err)
	}
}

// withGoogle offers Google.
func (w *world) withGoogle() *peer {
	p := w.google()
	w.offer(federation.Provider{Key: "google", Preset: federation.Google, ClientID: p.id, ClientSecret: p.secret})
	return p
}

func (w *world) withGitHub() *gitHub {
	p := w.gitHub()
	w.offer(federation.Provider{Key: "github", Preset: federation.GitHub, ClientID: p.id, ClientSecret: p.secret})
	return p
}

func (w *world) withMicrosoft() *peer {
	p := w.microsoft()
	w.offer(federation.Provider{Key: "microsoft", Preset: federation.Microsoft, ClientID: p.id, ClientSecret: p.secret})
	return p
}

// authorizer is where a browser goes.
type authorizer interface{ authorize(location string) string }

// goTo begins a sign-in and lets the person agree. It returns where the browser is sent back to.
func goTo(t *testing.T, b *accesstest.Browser, p authorizer, path string) string {
	t.Helper()
	a := b.Get(path)
	if a.Status != http.StatusFound {
		t.Fatalf("status %d\n%s", a.Status, a.Body)
	}
	return p.authorize(a.Header.Get("Location"))
}

// signUp opens an account with a provider.
func (w *world) signUp(b *accesstest.Browser, p authorizer, key, name string) {
	w.t.Helper()
	b.Get(goTo(w.t, b, p, "/sign-in/with/"+key)).To("/sign-in/finish")
	b.Post("/sign-in/finish", "name", name).To("/")
}

func (w *world) account(email string) kernel.AccountID {
	w.t.Helper()
	a, err := w.Identity.ByEmail(w.t.Context(), email)
	if err != nil {
		w.t.Fatal(err)
	}
	return a.ID
}

// linkHref is the page on which the only link of an account is ended.
func (w *world) linkHref(account kernel.AccountID) string {
	w.t.Helper()
	links, err := w.Federation.Links(w.t.Context(), account)
	if err != nil || len(links) != 1 {
		w.t.Fatalf("links %v, %v", links, err)
	}
	return "/account/providers/" + string(links[0].ID) + "/unlink"
}

// refreshTo is where a page leads on by itself.
func refreshTo(t *testing.T, a accesstest.Answer) string {
	t.Helper()
	a.Is(http.StatusOK)
	to, ok := strings.CutPrefix(a.Header.Get("Refresh"), "0; url=")
	if !ok {
		t.Fatalf("the page leads nowhere: %q", a.Header.Get("Refresh"))
	}
	return to
}

// signedIn tells whether a browser is.
func signedIn(b *accesstest.Browser) bool { return b.Get("/account/providers").Status == http.StatusOK }

func TestSignUpAndInWithGoogle(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		google := w.withGoogle()
		b := w.Browser(t, "192.0.2.1")
		b.Get("/sign-in?next=/account").Is(200, "Continue with Google", "/sign-in/with/google?next=%2Faccount")
		b.Get("/sign-up?next=/account").Is(200, "Continue with Google", "/sign-in/with/google?next=%2Faccount")
		b.Get(goTo(t, b, google, "/sign-in/with/google?next=/account")).To("/sign-in/finish")
		if n := w.Rows(t, "accounts"); n != 0 {
			t.Fatalf("%d accounts before the person asked for one", n)
		}
		b.Get("/sign-in/finish").Is(200, "as ann@example.org", `value="Ann Other"`)
		b.Post("/sign-in/finish", "name", strings.Repeat("x", 101)).Is(422, "Use at most 100 characters.")
		b.Post("/sign-in/finish", "name", "Ann").To("/account")
		if !signedIn(b) {
			t.Fatal("nobody is signed in")
		}
		b.Get("/account/providers").Is(200, "Google", "ann@example.org", "never")

		// Known by issuer and subject, whatever the address is by now.
		google.claims["email"], google.claims["email_verified"] = "ann@elsewhere.example", false
		again := w.Browser(t, "192.0.2.2")
		again.Get(goTo(t, again, google, "/sign-in/with/google?next=/account/providers")).To("/account/providers")
		again.Get("/account/providers").Is(200, "ann@elsewhere.example").Lacks("never")
		if n := w.Rows(t, "accounts"); n != 1 {
			t.Fatalf("%d accounts", n)
		}
	})
}

func TestGitLabTellsTheAddressInUserinfo(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		p := w.gitLab("git.corp.example")
		w.offer(federation.Provider{Key: "gitlab", Preset: federation.GitLab, Issuer: "https://git.corp.example/", ClientID: p.id, ClientSecret: p.secret})
		b := w.Browser(t, "192.0.2.1")
		p.userinfo["sub"] = "4712" // about somebody else
		b.Get(goTo(t, b, p, "/sign-in/with/gitlab")).Is(400, "could not be confirmed")
		p.userinfo["sub"] = "4711"
		w.signUp(b, p, "gitlab", "Ann")
		w.account("ann@example.org")
	})
}

func TestGitHubEmails(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		p := w.withGitHub()
		b := w.Browser(t, "192.0.2.1")
		w.signUp(b, p, "github", "Ann") // the primary and verified one, not the first and not the one shown
		w.account("ann@example.org")

		for name, emails := range map[string]string{
			"not verified": `[{"email":"bob@example.org","primary":true,"verified":false}]`,
			"hidden":       ``,
			"none primary": `[{"email":"bob@example.org","primary":false,"verified":true}]`,
		} {
			p.user, p.emails = `{"login":"bob","id":99,"name":null,"email":"bob@example.org"}`, emails
			other := w.Browser(t, "192.0.2.9")
			a := other.Get(goTo(t, other, p, "/sign-in/with/github"))
			if a.Is(200); signedIn(other) || strings.Contains(other.Get("/sign-in/finish").Body, "bob@") {
				t.Errorf("%s: bob has an account", name)
			}
		}
		if n := w.Rows(t, "accounts"); n != 1 {
			t.Errorf("%d accounts", n)
		}
		p.user = `{"message":"nothing"}`
		c := w.Browser(t, "192.0.2.1")
		c.Get(goTo(t, c, p, "/sign-in/with/github")).Is(400)
	})
}

func TestMicrosoftEmailIsNotProof(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		p := w.withMicrosoft()
		w.Owner(t, "ann@example.org", "Acme")
		p.claims["email_verified"] = true // what a tenant says of itself
		mallory := w.Browser(t, "192.0.2.66")
		mallory.Get(goTo(t, mallory, p, "/sign-in/with/microsoft")).Is(200, "does not vouch for").Lacks("You have an account already")
		if signedIn(mallory) {
			t.Fatal("a tenant's administrator is signed in as somebody else")
		}
		// With the domain's own word for it, the address's owner is asked; for one without an account, it opens one.
		p.claims["xms_edov"] = "1"
		mallory.Get(goTo(t, mallory, p, "/sign-in/with/microsoft")).Is(200, "You have an account already")
		p.claims["email"], p.claims["sub"], p.claims["xms_edov"] = "bob@example.org", "bob", true
		b := w.Browser(t, "192.0.2.1")
		w.signUp(b, p, "microsoft", "Bob")
	})
}

func TestMicrosoftTenantsSpeakForThemselves(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		p := w.withMicrosoft()
		p.claims["xms_edov"] = true
		for name, change := range map[string]func(map[string]any){
			"the issuer of another tenant": func(c map[string]any) { c["tid"] = "00000000-0000-0000-0000-000000000000" },
			"no tenant":                    func(c map[string]any) { delete(c, "tid") },
			"another host":                 func(c map[string]any) { c["iss"] = "https://login.evil.example/" + tenant + "/v2.0" },
			"a tenant that is a path":      func(c map[string]any) { c["tid"], c["iss"] = "../x", "https://login.microsoftonline.com/../x/v2.0" },
		} {
			p.change = change
			b := w.Browser(t, "192.0.2.1")
			a := b.Get(goTo(t, b, p, "/sign-in/with/microsoft"))
			if a.Status != 400 {
				t.Errorf("%s: status %d", name, a.Status)
			}
		}
		p.change = nil
		w.signUp(w.Browser(t, "192.0.2.1"), p, "microsoft", "Ann")
		// The same subject in another tenant is another person.
		const other = "11111111-2222-3333-4444-555555555555"
		p.issuer, p.claims["tid"], p.claims["email"] = "https://login.microsoftonline.com/"+other+"/v2.0", other, "eve@example.org"
		eve := w.Browser(t, "192.0.2.2")
		eve.Get(goTo(t, eve, p, "/sign-in/with/microsoft")).To("/sign-in/finish")
	})
}

func TestUnverifiedAddressMakesNoSecondAccount(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		google := w.withGoogle()
		w.Owner(t, "ann@example.org", "Acme")
		google.claims["email_verified"] = false
		known, unknown := w.Browser(t, "192.0.2.1"), w.Browser(t, "192.0.2.2")
		one := known.Get(goTo(t, known, google, "/sign-in/with/google")).Is(200, "we have mailed it a link")
		google.claims["email"], google.claims["sub"] = "bob@example.org", "2"
		two := unknown.Get(goTo(t, unknown, google, "/sign-in/with/google")).Is(200, "we have mailed it a link")
		if without(one.Body, "ann@example.org") != without(two.Body, "bob@example.org") {
			t.Error("the page tells whether an address has an account")
		}
		if signedIn(known) || signedIn(unknown) || w.Rows(t, "accounts") != 1 || w.Rows(t, "linked_providers") != 0 {
			t.Fatal("something was made without a proof of the address")
		}
		if link := w.MailedLink(t, "bob@example.org"); !strings.HasPrefix(link, "/sign-up/finish?token=") {
			t.Errorf("bob got %s", link)
		}
		if link := w.MailedLink(t, "ann@example.org"); strings.Contains(link, "token=") {
			t.Errorf("ann, who has an account, got %s", link)
		}
	})
}

func TestSameAddressAsksForProof(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		google := w.withGoogle()
		ann, _, _ := w.Owner(t, "ann@example.org", "Acme")
		w.Owner(t, "eve@example.org", "Evil")
		b := w.Browser(t, "192.0.2.1")
		page := b.Get(goTo(t, b, google, "/sign-in/with/google?next=/account")).Is(200, "You have an account already", "ann@example.org")
		if signedIn(b) || w.Rows(t, "linked_providers") != 0 {
			t.Fatal("an address alone was enough")
		}
		href := find(t, page.Body, `href="(/sign-in\?next=[^"]+)"`)
		u, err := url.Parse(href)
		if err != nil {
			t.Fatal(err)
		}
		adopt := u.Query().Get("next")

		// Somebody else's account cannot take it.
		eve := w.Browser(t, "192.0.2.66").SignIn("eve@example.org")
		eve.Get(adopt).Is(404)
		eve.Post("/account/providers/adopt", "token", accesstest.TokenOf(t, adopt)).Is(404)

		b.Post("/sign-in", "email", "ann@example.org", "password", accesstest.Password, "next", adopt).To(adopt)
		b.Get(adopt).Is(200, "Link Google?")
		b.Post("/account/providers/adopt", "token", accesstest.TokenOf(t, adopt)).To("/account")
		if links, err := w.Federation.Links(t.Context(), ann); err != nil || len(links) != 1 {
			t.Fatalf("links %v, %v", links, err)
		}
		b.Post("/account/providers/adopt", "token", accesstest.TokenOf(t, adopt)).Is(404)
		other := w.Browser(t, "192.0.2.3")
		other.Get(goTo(t, other, google, "/sign-in/with/google")).To("/")
	})
}

func TestLinkAndUnlink(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		google := w.withGoogle()
		ann, _, _ := w.Owner(t, "ann@work.example", "Acme")
		b := w.Browser(t, "192.0.2.1").SignIn("ann@work.example")
		b.Get("/account/providers").Is(200, "Nothing is linked", "Link Google")
		page := b.Post("/account/providers/google/link")
		back := google.authorize(refreshTo(t, page))
		b.Get(back).To("/account/providers?done=linked")
		b.Get("/account/providers?done=linked").Is(200, "You can sign in with it", "ann@example.org")
		b.Get(back).Is(400, "not begun in this browser") // works once

		other := w.Browser(t, "192.0.2.2")
		other.Get(goTo(t, other, google, "/sign-in/with/google")).To("/")
		if !signedIn(other) {
			t.Fatal("the link does not sign in")
		}

		// The same account of the provider cannot be two people's.
		w.Owner(t, "eve@example.org", "Evil")
		eve := w.Browser(t, "192.0.2.66").SignIn("eve@example.org")
		eve.Get(google.authorize(refreshTo(t, eve.Post("/account/providers/google/link")))).Is(409, "linked to another account")
		href := w.linkHref(ann)
		eve.Get(href).Is(404)
		eve.Post(href).Is(404)

		b.Get(href).Is(200, "End the link with Google?")
		b.Post(href).To("/account/providers?done=unlinked")
		b.Get("/account/providers?done=unlinked").Is(200, "The link is ended", "Nothing is linked")
		if signedIn(other) {
			t.Error("who signed in with the link still is")
		}
		if w.Rows(t, "linked_providers") != 0 || len(google.revoked) != 1 || google.revoked[0] != accessToken {
			t.Errorf("after the end: revoked %v", google.revoked)
		}
		if got := w.actions(); !strings.Contains(got, "provider.link ok") || !strings.Contains(got, "provider.unlink ok") {
			t.Errorf("audited: %s", got)
		}
	})
}

func TestLastWayOfSigningInStays(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		google := w.withGoogle()
		b := w.Browser(t, "192.0.2.1")
		w.signUp(b, google, "google", "Ann")
		ann := w.account("ann@example.org")
		href := w.linkHref(ann)
		b.Post(href).Is(409, "the only way in which you can sign in")
		if w.Rows(t, "linked_providers") != 1 {
			t.Fatal("the last way is gone")
		}
		hub := w.withGitHub()
		b.Get(hub.authorize(refreshTo(t, b.Post("/account/providers/github/link")))).To("/account/providers?done=linked")
		b.Post(href).To("/account/providers?done=unlinked")
	})
}

func TestErasedAccountLeavesNoLink(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		hub := w.withGitHub()
		w.signUp(w.Browser(t, "192.0.2.1"), hub, "github", "Ann")
		if err := w.Identity.EraseAccount(t.Context(), w.account("ann@example.org")); err != nil {
			t.Fatal(err)
		}
		if w.Rows(t, "linked_providers") != 0 || len(hub.deleted) != 1 {
			t.Errorf("%d links, deleted %v", w.Rows(t, "linked_providers"), hub.deleted)
		}
	})
}

func TestTokensAreSealed(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		google := w.withGoogle()
		b := w.Browser(t, "192.0.2.1")
		w.signUp(b, google, "google", "Ann")
		w.FindNowhere(t, accessToken, google.secret)
		var held int
		count := func() int {
			t.Helper()
			if err := w.DB.QueryRow(t.Context(), `SELECT count(*) FROM linked_providers WHERE sealed IS NOT NULL`).Scan(&held); err != nil {
				t.Fatal(err)
			}
			return held
		}
		if count() != 1 {
			t.Fatal("no token is kept")
		}
		sweep := w.Federation.Collections()[0].Sweep
		w.Clock.Add(59 * time.Minute)
		if n, err := sweep(t.Context(), "", w.Clock.Now()); err != nil || n != 0 || count() != 1 {
			t.Errorf("swept %d too early, %v", n, err)
		}
		w.Clock.Add(2 * time.Minute)
		if n, err := sweep(t.Context(), "", w.Clock.Now()); err != nil || n != 1 || count() != 0 {
			t.Errorf("an expired token is kept: %d, %v", n, err)
		}
	})
}

func (w *world) actions() string {
	w.t.Helper()
	rows, err := w.DB.Query(w.t.Context(), `SELECT action, result FROM audit_events ORDER BY seq`)
	if err != nil {
		w.t.Fatal(err)
	}
	defer rows.Close()
	var out strings.Builder
	for rows.Next() {
		var action, result string
		if err := rows.Scan(&action, &result); err != nil {
			w.t.Fatal(err)
		}
		out.WriteString(action + " " + result + "\n")
	}
	return out.String()
}

// everybody has a second factor.
type everybody struct{}

func (everybody) Enrolled(context.Context, kernel.AccountID) (bool, error) { return true, nil }

func TestSecondFactorIsAskedAfterAProvider(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		google := w.withGoogle()
		w.signUp(w.Browser(t, "192.0.2.1"), google, "google", "Ann")
		w.Identity.Use(everybody{}, nil, nil)
		b := w.Browser(t, "192.0.2.2")
		b.Get(goTo(t, b, google, "/sign-in/with/google")).Is(200, `name="flow"`, `name="code"`)
		if signedIn(b) {
			t.Fatal("signed in without the second factor")
		}
	})
}

func TestClosedServerAdmitsNobody(t *testing.T) {
	t.Parallel()
	dbtest.EachConfig(t, func(t *testing.T, cfg db.Config) {
		s := accesstest.New(t, cfg, func(d *identity.Deps) { d.ClosedSignUp = true })
		w := &world{Stack: s, t: t, cloud: &cloud{}}
		google := w.withGoogle()
		b := w.Browser(t, "192.0.2.1")
		b.Get(goTo(t, b, google, "/sign-in/with/google")).Is(403, "Nobody can sign up on this server")
		google.claims["email_verified"] = false
		b.Get(goTo(t, b, google, "/sign-in/with/google")).Is(403, "Nobody can sign up on this server")
		if w.Rows(t, "accounts")+w.Rows(t, "mail_outbox") != 0 {
			t.Error("somebody was admitted")
		}
	})
}

func TestSecurityPageNamesTheProvider(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ann, _, _ := w.Owner(t, "ann@example.org", "Acme")
		if cards, err := w.Federation.SecurityCards(t.Context(), ann); err != nil || len(cards) != 0 {
			t.Errorf("without providers: %v, %v", cards, err)
		}
		w.Browser(t, "192.0.2.1").SignIn("ann@example.org").Get("/account/providers").Is(200, "This server has no sign-in providers")
		google := w.withGoogle()
		if cards, err := w.Federation.SecurityCards(t.Context(), ann); err != nil || len(cards) != 1 || cards[0].State != "" {
			t.Errorf("with a provider: %v, %v", cards, err)
		}
		b := w.Browser(t, "192.0.2.1").SignIn("ann@example.org")
		b.Get(google.authorize(refreshTo(t, b.Post("/account/providers/google/link"))))
		if cards, err := w.Federation.SecurityCards(t.Context(), ann); err != nil || len(cards) != 1 || cards[0].State != "Google" {
			t.Errorf("with a link: %v, %v", cards, err)
		}
	})
}

// Without a fresh proof nobody changes how one signs in.
func TestLinksNeedAFreshProof(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		google := w.withGoogle()
		ann, _, _ := w.Owner(t, "ann@example.org", "Acme")
		b := w.Browser(t, "192.0.2.1").SignIn("ann@example.org")
		b.Get(google.authorize(refreshTo(t, b.Post("/account/providers/google/link")))).To("/account/providers?done=linked")
		href := w.linkHref(ann)
		w.Clock.Add(11 * time.Minute)
		for _, path := range []string{"/account/providers/google/link", href, "/account/providers/adopt"} {
			if a := b.Post(path); a.Status != 303 || !strings.HasPrefix(a.Header.Get("Location"), "/account/prove?next=") {
				t.Errorf("%s: status %d to %q", path, a.Status, a.Header.Get("Location"))
			}
		}
		b.Get(href).To("/account/prove?next=" + url.QueryEscape(href))
	})
}
