package federation_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/core/federation"
)

func find(t *testing.T, text, pattern string) string {
	t.Helper()
	m := regexp.MustCompile(pattern).FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("no %s in\n%s", pattern, text)
	}
	return m[1]
}

func TestStateIsBoundToTheBrowser(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		google := w.withGoogle()
		mallory, victim := w.Browser(t, "192.0.2.66"), w.Browser(t, "192.0.2.1")
		bait := goTo(t, mallory, google, "/sign-in/with/google")
		victim.Get(bait).Is(400, "not begun in this browser") // nothing begun
		goTo(t, victim, google, "/sign-in/with/google")
		victim.Get(bait).Is(400, "not begun in this browser") // something else begun
		if signedIn(victim) {
			t.Fatal("signed in as who sent the link")
		}
		own := goTo(t, victim, google, "/sign-in/with/google")
		victim.Get(without(own, "state=")).Is(400)
		own = goTo(t, victim, google, "/sign-in/with/google")
		victim.Get(own).To("/sign-in/finish")
		victim.Get(own).Is(400) // an address of the history works no more

		// A link begun by one person cannot be finished by another, nor in another login of the same.
		w.Owner(t, "ann@work.example", "Acme")
		w.Owner(t, "eve@example.org", "Evil")
		eve := w.Browser(t, "192.0.2.66").SignIn("eve@example.org")
		trap := google.authorize(refreshTo(t, eve.Post("/account/providers/google/link")))
		ann := w.Browser(t, "192.0.2.2").SignIn("ann@work.example")
		ann.Get(trap).Is(400, "not begun in this browser")
		if w.Rows(t, "linked_providers") != 0 {
			t.Fatal("somebody else's account was linked")
		}
		// Nor by nobody.
		trap = google.authorize(refreshTo(t, eve.Post("/account/providers/google/link")))
		w.Browser(t, "192.0.2.3").Get(trap).Is(400)
		// A flow that is too old.
		own = goTo(t, victim, google, "/sign-in/with/google")
		w.Clock.Add(11 * time.Minute)
		victim.Get(own).Is(400, "took too long")
	})
}

// A flow belongs to one provider: what one gave is never shown to another.
func TestMixUpProvider(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		google := w.withGoogle()
		lab := w.gitLab("gitlab.com")
		w.offer(federation.Provider{Key: "gitlab", Preset: federation.GitLab, ClientID: lab.id, ClientSecret: lab.secret})
		b := w.Browser(t, "192.0.2.1")
		back := goTo(t, b, google, "/sign-in/with/google")
		b.Get(strings.Replace(back, "/with/google/", "/with/gitlab/", 1)).Is(400)
		if w.cloud.wasAsked("POST gitlab.com/oauth/token") {
			t.Error("Google's code was shown to GitLab")
		}
	})
}

func TestMixUpIssuer(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		google := w.withGoogle()
		google.discovery["authorization_response_iss_parameter_supported"] = true
		b := w.Browser(t, "192.0.2.1")
		for _, iss := range []string{"https://evil.example", ""} {
			u, err := url.Parse(goTo(t, b, google, "/sign-in/with/google"))
			if err != nil {
				t.Fatal(err)
			}
			q := u.Query()
			if q.Del("iss"); iss != "" {
				q.Set("iss", iss)
			}
			b.Get(u.Path+"?"+q.Encode()).Is(400, "could not be confirmed")
		}
		if w.cloud.wasAsked("POST oauth2.googleapis.com/token") {
			t.Error("the code was shown before the issuer was compared")
		}
		b.Get(goTo(t, b, google, "/sign-in/with/google")).To("/sign-in/finish")
	})
}

func TestNonceIsChecked(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		google := w.withGoogle()
		for _, nonce := range []any{nil, "", "stolen"} {
			google.change = func(c map[string]any) {
				delete(c, "nonce")
				if nonce != nil {
					c["nonce"] = nonce
				}
			}
			b := w.Browser(t, "192.0.2.1")
			b.Get(goTo(t, b, google, "/sign-in/with/google")).Is(400, "could not be confirmed")
		}
	})
}

func TestIDTokensOfOthers(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for name, spoil := range map[string]func(*peer){
			"another audience":        func(p *peer) { p.change = func(c map[string]any) { c["aud"] = "somebody" } },
			"another party":           func(p *peer) { p.change = func(c map[string]any) { c["azp"] = "somebody" } },
			"several, and no party":   func(p *peer) { p.change = func(c map[string]any) { c["aud"] = []string{p.id, "x"}; delete(c, "azp") } },
			"another issuer":          func(p *peer) { p.change = func(c map[string]any) { c["iss"] = "https://evil.example" } },
			"expired":                 func(p *peer) { p.change = func(c map[string]any) { c["exp"] = p.now().Add(-time.Minute).Unix() } },
			"no subject":              func(p *peer) { p.change = func(c map[string]any) { delete(c, "sub") } },
			"a subject without end":   func(p *peer) { p.change = func(c map[string]any) { c["sub"] = strings.Repeat("1", 256) } },
			"a subject with a break":  func(p *peer) { p.change = func(c map[string]any) { c["sub"] = "1\n2" } },
			"the hash of another one": func(p *peer) { p.change = func(c map[string]any) { c["at_hash"] = "AAAAAAAAAAAAAAAAAAAAAA" } },
			"unsigned":                func(p *peer) { p.sign = unsigned },
			"not signed by the key": func(p *peer) {
				p.sign = func(c map[string]any) string {
					token := jwt(map[string]any{"alg": "RS256", "kid": "1"}, c)
					other := jwt(map[string]any{"alg": "RS256", "kid": "1"}, map[string]any{"x": 1})
					return token[:strings.LastIndexByte(token, '.')] + other[strings.LastIndexByte(other, '.'):]
				}
			},
			"a symmetric signature": func(p *peer) { p.header = map[string]any{"alg": "HS256"} },
			"no token":              func(p *peer) { p.sign = func(map[string]any) string { return "" } },
			"a token without end":   func(p *peer) { p.sign = func(map[string]any) string { return strings.Repeat("x", 65<<10) } },
			"not a token":           func(p *peer) { p.sign = func(map[string]any) string { return "a.b.c" } },
		} {
			w.cloud.hosts = nil
			p := w.google()
			spoil(p)
			key := fmt.Sprintf("g%d", len(w.Federation.Providers()))
			w.offer(federation.Provider{Key: key, Preset: federation.Google, ClientID: p.id, ClientSecret: p.secret})
			b := w.Browser(t, "192.0.2.1")
			if a := b.Get(goTo(t, b, p, "/sign-in/with/"+key)); a.Status != 400 || !strings.Contains(a.Body, "could not be confirmed") {
				t.Errorf("%s: status %d", name, a.Status)
			}
		}
		if n := w.Rows(t, "accounts") + w.Rows(t, "linked_providers"); n != 0 {
			t.Errorf("%d rows were made", n)
		}
	})
}

func TestOpenRedirectInCallback(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		google := w.withGoogle()
		w.signUp(w.Browser(t, "192.0.2.1"), google, "google", "Ann")
		for _, next := range []string{"https://evil.example/", "//evil.example", `/\evil.example`, "javascript:alert(1)", "/\t/evil.example", "/" + strings.Repeat("x", 3000)} {
			b := w.Browser(t, "192.0.2.1")
			b.Get(goTo(t, b, google, "/sign-in/with/google?next="+url.QueryEscape(next)) + "&next=https://evil.example").To("/")
			// Who is signed in already is sent on, and not away.
			b.Get("/sign-in/with/google?next=" + url.QueryEscape(next)).To("/")
		}
		b := w.Browser(t, "192.0.2.1")
		back := goTo(t, b, google, "/sign-in/with/google?next=/account/logins")
		b.Get(back + "&redirect_uri=https://evil.example&next=https://evil.example").To("/account/logins")
	})
}

func TestRefusedAtTheProvider(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		google := w.withGoogle()
		for code, want := range map[string]string{
			"access_denied": "you did not agree", "server_error": "cannot be reached", "<script>alert(1)</script>": "could not be confirmed",
		} {
			b := w.Browser(t, "192.0.2.1")
			u, err := url.Parse(goTo(t, b, google, "/sign-in/with/google"))
			if err != nil {
				t.Fatal(err)
			}
			q := url.Values{"error": {code}, "error_description": {"<b>made up</b>"}, "state": {u.Query().Get("state")}}
			a := b.Get(u.Path + "?" + q.Encode())
			if a.Status < 400 || !strings.Contains(a.Body, want) {
				t.Errorf("%s: status %d\n%s", code, a.Status, a.Body)
			}
			a.Lacks("made up", "alert(1)")
		}
	})
}

func TestProviderDown(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		google := w.withGoogle()
		down := false
		up := w.cloud.hosts["oauth2.googleapis.com"]
		w.cloud.serve("oauth2.googleapis.com", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if down {
				rw.WriteHeader(http.StatusBadGateway)
				return
			}
			up.ServeHTTP(rw, r)
		}))
		b := w.Browser(t, "192.0.2.1")
		down = true
		b.Get(goTo(t, b, google, "/sign-in/with/google")).Is(503, "Google cannot be reached at the moment", "Sign in another way")
		down = false
		b.Get(goTo(t, b, google, "/sign-in/with/google")).To("/sign-in/finish")

		// The document is asked for again after an hour, and then its absence shows.
		w.cloud.serve("accounts.google.com", http.NotFoundHandler())
		goTo(t, b, google, "/sign-in/with/google")
		w.Clock.Add(61 * time.Minute)
		b.Get("/sign-in/with/google").Is(503, "Google cannot be reached at the moment")
		b.Get("/sign-in/with/nowhere").Is(404)
	})
}

// What a discovery document says of somebody else, or of addresses that anybody can listen to, is not believed.
func TestDiscoveryIsOfTheConfiguredIssuer(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		google, ms := w.withGoogle(), w.withMicrosoft()
		for name, bad := range map[string]string{
			"issuer": "https://evil.example", "authorization_endpoint": "javascript:alert(1)", "token_endpoint": "http://oauth2.googleapis.com/token",
			"jwks_uri": "http://www.googleapis.com/oauth2/v3/certs",
		} {
			good := google.discovery[name]
			google.discovery[name] = bad
			w.Browser(t, "192.0.2.1").Get("/sign-in/with/google").Is(503, "Google cannot be reached").Lacks("evil.example", "alert(1)")
			google.discovery[name] = good
		}
		ms.discovery["issuer"] = "https://login.evil.example/{tenantid}/v2.0"
		w.Browser(t, "192.0.2.1").Get("/sign-in/with/microsoft").Is(503)
		goTo(t, w.Browser(t, "192.0.2.1"), google, "/sign-in/with/google")
	})
}

func TestOnlyTheProvidersHosts(t *testing.T) {
	t.Parallel()
	c := &cloud{}
	for _, host := range []string{"login.example.com", "evil.example"} {
		c.serve(host, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/away":
				http.Redirect(w, r, "https://evil.example/", http.StatusFound)
			case "/round":
				http.Redirect(w, r, "/round", http.StatusFound)
			case "/big":
				io.WriteString(w, strings.Repeat("x", federation.MaxAnswer+1))
			case "/fits":
				io.WriteString(w, strings.Repeat("x", federation.MaxAnswer))
			}
		}))
	}
	client := federation.Remote(c, "login.example.com")
	for path, ok := range map[string]bool{
		"https://login.example.com/": true, "https://login.example.com/fits": true, "https://login.example.com/big": false,
		"https://evil.example/": false, "http://login.example.com/": false, "https://login.example.com/away": false, "https://login.example.com/round": false,
	} {
		res, err := client.Get(path)
		if err == nil {
			_, err = io.Copy(io.Discard, res.Body)
			err = errors.Join(err, res.Body.Close())
		}
		if (err == nil) != ok {
			t.Errorf("%s: %v", path, err)
		}
	}
	if c.wasAsked("GET evil.example/") {
		t.Error("a host that is not the provider's was connected to")
	}
}

func TestProvidersAreChecked(t *testing.T) {
	t.Parallel()
	good := federation.Provider{Key: "work", Preset: federation.OIDC, Label: "Work", Issuer: "https://login.example.com", ClientID: "kept"}
	if _, err := federation.Complete(good); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*federation.Provider){
		"its key must be of small letters": func(p *federation.Provider) { p.Key = "../x" },
		"did you mean google?":             func(p *federation.Provider) { p.Preset = "gogle" },
		"give it a label":                  func(p *federation.Provider) { p.Label = "" },
		"client_id is missing":             func(p *federation.Provider) { p.ClientID = "" },
		"client_secret is missing":         func(p *federation.Provider) { p.Preset = federation.GitHub },
		"issuer is missing":                func(p *federation.Provider) { p.Issuer = "" },
		"must begin with https://":         func(p *federation.Provider) { p.Issuer = "http://login.example.com" },
		"is not an address":                func(p *federation.Provider) { p.Issuer = "login" },
		"scopes must contain openid":       func(p *federation.Provider) { p.Scopes = []string{"email"} },
	} {
		p := good
		change(&p)
		if _, err := federation.Complete(p); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	p := federation.Provider{Key: "g", Preset: federation.Google}
	if got := strings.Join(p.ServerHosts(), " "); got != "accounts.google.com oauth2.googleapis.com openidconnect.googleapis.com www.googleapis.com" {
		t.Errorf("hosts of Google: %s", got)
	}
}

func FuzzClaims(f *testing.F) {
	f.Add([]byte(`{"sub":"1","email":"ann@example.org","email_verified":true,"name":"Ann"}`))
	f.Add([]byte(`{"sub":"1","email":"ann@example.org","email_verified":"true","xms_edov":"1"}`))
	f.Add([]byte(`{"sub":7,"email":["a"],"email_verified":{}}`))
	f.Add([]byte(`{"sub":"1","email":"a@b.c\r\nBcc: x@y.z","email_verified":1}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, preset := range []string{federation.Google, federation.Microsoft, federation.GitLab, federation.OIDC} {
			p, err := federation.ReadPerson(preset, "https://login.example.com", raw)
			if err != nil {
				continue
			}
			if p.Subject == "" || len(p.Subject) > 255 || p.Verified && p.Email == "" || len(p.Name) > 400 {
				t.Errorf("%s: %+v", preset, p)
			}
			if strings.ContainsAny(p.Email+p.Name+p.Subject, "\r\n\x00") {
				t.Errorf("%s: control characters in %+v", preset, p)
			}
			if p.Verified && !strings.Contains(string(raw), "1") && !strings.Contains(string(raw), "true") {
				t.Errorf("%s: verified by %s", preset, raw)
			}
		}
	})
}
