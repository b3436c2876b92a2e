package federation_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kept-dev/kept/internal/app"
	"github.com/kept-dev/kept/internal/platform/config"
	"github.com/kept-dev/kept/internal/testkit"
	"github.com/kept-dev/kept/internal/testkit/external"
	"github.com/kept-dev/kept/test/agents/oidc"
)

// withProvider runs a whole Kept and a real provider that know each other.
func withProvider(t *testing.T, engine testkit.Option, inToken bool) (*testkit.App, *oidc.Provider) {
	t.Helper()
	port, err := external.FreePort()
	external.Check(t, err)
	base := "http://localhost:" + port
	p := oidc.Start(t, base+"/sign-in/with/work/callback", inToken)
	file := filepath.Join(t.TempDir(), "providers.json")
	text, err := json.Marshal([]map[string]any{{"key": "work", "label": "Work", "issuer": p.Issuer, "client_id": p.ClientID, "client_secret": p.ClientSecret}})
	external.Check(t, err)
	external.Check(t, os.WriteFile(file, text, 0o600))
	a := testkit.Start(t, engine, testkit.With(app.WithMailbox()), testkit.Config(func(c *config.Config) {
		c.Addr, c.BaseURL, c.OIDCProviders = "127.0.0.1:"+port, base, file
	}))
	return a, p
}

// path is path and query of an address.
func path(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u.RequestURI()
}

func wantTo(t *testing.T, r *testkit.Response, to string) {
	t.Helper()
	if got := r.Want(http.StatusSeeOther).Header.Get("Location"); got != to {
		t.Fatalf("sent on to %q, want %q", got, to)
	}
}

func TestSignInWithARealProvider(t *testing.T) {
	t.Parallel()
	testkit.Each(t, func(t *testing.T, engine testkit.Option) {
		a, p := withProvider(t, engine, engineIsFirst(t))
		signIn := func(b *testkit.Browser, login, next string) *testkit.Response {
			t.Helper()
			start := b.Get("/sign-in/with/work?next=" + url.QueryEscape(next)).Want(http.StatusFound)
			return b.Get(path(t, p.SignIn(start.Header.Get("Location"), login)))
		}
		// A person without an account opens one.
		ann := testkit.NewBrowser(t, a.URL())
		ann.Get("/sign-in").Want(200).Has("Continue with Work")
		wantTo(t, signIn(ann, "ann@example.org", "/account/providers"), "/sign-in/finish")
		ann.Get("/sign-in/finish").Want(200).Has("ann@example.org", "Ann Other")
		wantTo(t, ann.PostForm("/sign-in/finish", finishForm("Ann")), "/account/providers")
		ann.Get("/account/providers").Want(200).Has("ann@example.org")
		if cookies := ann.Cookies(); len(cookies) != 1 {
			t.Errorf("the browser has the cookies %v", cookies) // COL-15
		}
		// And signs in with it again, elsewhere.
		again := testkit.NewBrowser(t, a.URL())
		wantTo(t, signIn(again, "ann@example.org", "/account/providers"), "/account/providers")
		again.Get("/account/providers").Want(200).Lacks("never")

		// A person with an account links it, signs in with it, and ends the link: the provider is told.
		bob := a.SignedUp(t)
		page := bob.PostForm("/account/providers/work/link", nil).Want(200)
		to := strings.TrimPrefix(page.Header.Get("Refresh"), "0; url=")
		wantTo(t, bob.Get(path(t, p.SignIn(to, "bob@example.org"))), "/account/providers?done=linked")
		other := testkit.NewBrowser(t, a.URL())
		wantTo(t, signIn(other, "bob@example.org", ""), "/")
		href := find(t, bob.Get("/account/providers").Want(200).Body, `href="(/account/providers/[^"]+/unlink)"`)
		wantTo(t, bob.PostForm(href, nil), "/account/providers?done=unlinked")
		other.Get("/account/providers").Want(http.StatusSeeOther)
		wantTo(t, signIn(other, "bob@example.org", ""), "/sign-in/finish")

		// An address that the provider does not vouch for gets a mail, and no account.
		signIn(testkit.NewBrowser(t, a.URL()), "unverified@example.org", "").Want(200).Has("does not vouch for")
	})
}

// engineIsFirst lets the two engines see the two kinds of providers: with the address in the ID token, and in userinfo.
func engineIsFirst(t *testing.T) bool { return strings.Contains(t.Name(), "sqlite") }

func finishForm(name string) url.Values { return url.Values{"name": {name}, "born": {"1990-01-01"}} }

func TestPKCEIsRequired(t *testing.T) {
	t.Parallel()
	a, p := withProvider(t, testkit.Config(func(*config.Config) {}), true)
	b := testkit.NewBrowser(t, a.URL())
	start := func() *url.URL {
		t.Helper()
		u, err := url.Parse(b.Get("/sign-in/with/work").Want(http.StatusFound).Header.Get("Location"))
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	// The provider refuses whoever comes without a challenge.
	u := start()
	q := u.Query()
	q.Del("code_challenge")
	q.Del("code_challenge_method")
	u.RawQuery = q.Encode()
	b.Get(path(t, p.Fails(u.String()))).Want(400).Has("could not be confirmed")

	// A code that was asked for with another verifier, such as one that was stolen on its way, gives no token.
	u = start()
	q = u.Query()
	q.Set("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM")
	u.RawQuery = q.Encode()
	b.Get(path(t, p.SignIn(u.String(), "ann@example.org"))).Want(400).Has("could not be confirmed")

	// And one of another nonce gives no sign-in.
	u = start()
	q = u.Query()
	q.Set("nonce", "stolen")
	u.RawQuery = q.Encode()
	b.Get(path(t, p.SignIn(u.String(), "ann@example.org"))).Want(400).Has("could not be confirmed")
	wantTo(t, b.Get(path(t, p.SignIn(start().String(), "ann@example.org"))), "/sign-in/finish")
}
