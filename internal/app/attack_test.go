package app_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/kept-dev/kept/internal/app"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/testkit"
)

// The attacks that every web application is tried with, one test each, against the whole server and, where it can be,
// over the whole route table, so that a new route is tried as well.

func hollow(t *testing.T, a *testkit.App) *httpx.Mux {
	t.Helper()
	mux, err := a.HollowMux()
	if err != nil {
		t.Fatal(err)
	}
	return mux
}

// send gives a request to a mux as somebody.
func send(mux *httpx.Mux, method, path, cookie string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, nil)
	r.Header.Set("Accept", "text/html")
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	if cookie != "" {
		r.AddCookie(&http.Cookie{Name: httpx.SessionCookie, Value: cookie})
	}
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	return w
}

func browserRoute(r httpx.Route) bool {
	return r.Access == httpx.Public || r.Access == httpx.SignedIn || r.Access == httpx.Member
}

// TestSessionFixation plants a token in a browser before somebody signs in with it.
func TestSessionFixation(t *testing.T) {
	t.Parallel()
	testkit.Each(t, func(t *testing.T, engine testkit.Option) {
		a := testkit.Start(t, engine)
		victim, attacker := a.SignedUp(t), a.SignedUp(t)
		for name, planted := range map[string]string{"made up": strings.Repeat("A", 43), "the attacker's": cookieOf(attacker.Browser)} {
			b := testkit.NewBrowser(t, a.URL())
			base, err := url.Parse(a.URL())
			if err != nil {
				t.Fatal(err)
			}
			b.SetCookie(base, &http.Cookie{Name: httpx.SessionCookie, Value: planted, Path: "/"})
			b.SignIn(victim.Email, testkit.Password)
			if got := cookieOf(b); got == planted || got == "" {
				t.Errorf("%s: the login kept the token that was planted", name)
			}
			thief := testkit.NewBrowser(t, a.URL())
			thief.SetCookie(base, &http.Cookie{Name: httpx.SessionCookie, Value: planted, Path: "/"})
			if res := thief.Get("/account"); res.Status == http.StatusOK {
				t.Errorf("%s: the planted token opens an account", name)
			}
		}
	})
}

// TestCrossSiteForms sends every form of the route table from another site, as an owner.
func TestCrossSiteForms(t *testing.T) {
	t.Parallel()
	a := testkit.Start(t, testkit.With(app.WithMailbox()))
	owner := a.SignedUp(t)
	mux := hollow(t, a)
	for _, r := range mux.Table() {
		if !browserRoute(r) || r.Method == "GET" {
			continue
		}
		path := pathOf(r, owner.WorkspaceID)
		for _, header := range []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site", "Origin: https://evil.example", "Origin: null"} {
			if w := send(mux, r.Method, path, cookieOf(owner.Browser), header); w.Code != http.StatusForbidden {
				t.Errorf("%s %s with %s: %d, want 403", r.Method, r.Path, header, w.Code)
			}
		}
	}
}

// TestClickjacking looks at the headers of every page.
func TestClickjacking(t *testing.T) {
	t.Parallel()
	a := testkit.Start(t, testkit.With(app.WithMailbox()))
	owner := a.SignedUp(t)
	mux := hollow(t, a)
	for _, r := range mux.Table() {
		if r.Access == httpx.Handled || r.Rate == httpx.RateIngest {
			continue // answers to machines: there is nothing in them to click on
		}
		h := send(mux, r.Method, pathOf(r, owner.WorkspaceID), cookieOf(owner.Browser)).Header()
		if !strings.Contains(h.Get("Content-Security-Policy"), "frame-ancestors 'none'") || h.Get("X-Frame-Options") != "DENY" {
			t.Errorf("%s %s may be framed: %q, %q", r.Method, r.Path, h.Get("Content-Security-Policy"), h.Get("X-Frame-Options"))
		}
	}
}

// elsewhere are ways to write an address of another site that have fooled others.
var elsewhere = []string{
	"https://evil.example", "//evil.example", `/\evil.example`, `\\evil.example`, "/\t/evil.example", "///evil.example", "http:evil.example",
	"javascript:alert(1)", "/%2f%2fevil.example\r\nX: y", "@evil.example", "https:/evil.example", "/\n/evil.example",
}

// TestOpenRedirect gives every page a place to go on to that is elsewhere, and follows where it leads.
func TestOpenRedirect(t *testing.T) {
	t.Parallel()
	a := testkit.Start(t, testkit.With(app.WithMailbox()))
	p := a.SignedUp(t)
	local := func(what string, res *testkit.Response) {
		t.Helper()
		place := res.Header.Get("Location") + res.Header.Get("Hx-Redirect") + res.Header.Get("Refresh")
		u, err := url.Parse(place)
		if err != nil || u.Host != "" || u.Scheme != "" || strings.HasPrefix(place, "//") || strings.HasPrefix(place, `/\`) {
			t.Errorf("%s leads to %q", what, place)
		}
	}
	ask := func(path, next string) (redirects bool) {
		t.Helper()
		query := "?" + url.Values{"next": {next}}.Encode()
		for _, b := range []*testkit.Browser{p.Browser, testkit.NewBrowser(t, a.URL())} {
			res := b.Get(path + query)
			local(path+query, res)
			// To sign in leads every page by the same lines; one page shows what they make of each spelling.
			redirects = redirects || res.Status/100 == 3 && (path == "/account" || !strings.HasPrefix(res.Header.Get("Location"), "/sign-in"))
		}
		return redirects
	}
	for _, r := range a.Mux().Table() {
		if r.Method != "GET" || !browserRoute(r) || r.Rate == httpx.RateLive {
			continue
		}
		// A page that sends nobody anywhere, not even to a place of ours, has no use for the other spellings.
		if path := pathOf(r, p.WorkspaceID); ask(path, "/account") || ask(path, elsewhere[0]) {
			for _, next := range elsewhere[1:] {
				ask(path, next)
			}
		}
	}
	for _, next := range elsewhere {
		b := testkit.NewBrowser(t, a.URL())
		local("signing in with next="+next, b.PostForm("/sign-in", url.Values{"email": {p.Email}, "password": {testkit.Password}, "next": {next}}))
	}
}

// TestHostHeader asks for every page under another name and looks for it in the answers and in mail.
func TestHostHeader(t *testing.T) {
	t.Parallel()
	a := testkit.Start(t, testkit.With(app.WithMailbox()))
	p := a.SignedUp(t)
	const evil = "evil.example"
	check := func(b *testkit.Browser, r *http.Request) {
		t.Helper()
		r.Host = evil
		r.Header.Set("X-Forwarded-Host", evil)
		r.Header.Set("Forwarded", "host="+evil)
		res := b.Do(r)
		for name, values := range res.Header {
			if strings.Contains(strings.Join(values, " "), evil) {
				t.Errorf("%s %s: %s is %v", r.Method, r.URL.Path, name, values)
			}
		}
		res.Lacks(evil)
	}
	for _, r := range a.Mux().Table() {
		if r.Method == "GET" && browserRoute(r) && r.Rate != httpx.RateLive {
			check(p.Browser, p.Request("GET", pathOf(r, p.WorkspaceID), nil, "Accept: text/html"))
		}
	}
	form := p.Request("POST", "/reset-password", strings.NewReader("email="+url.QueryEscape(p.Email)),
		"Content-Type: application/x-www-form-urlencoded", "Accept: text/html", "Sec-Fetch-Site: same-origin")
	check(testkit.NewBrowser(t, a.URL()), form)
	if m := a.MailTo(t, p.Email, "/reset-password/"); strings.Contains(m.Text+m.HTML, evil) || !strings.Contains(m.Text, a.BaseURL()) {
		t.Errorf("mail leads elsewhere:\n%s", m.Text)
	}
}

// TestUserEnumeration asks each door that takes an address about one that has an account and one that has none: status,
// headers and page are the same.
func TestUserEnumeration(t *testing.T) {
	t.Parallel()
	testkit.Each(t, func(t *testing.T, engine testkit.Option) {
		a := testkit.Start(t, engine, testkit.With(app.WithMailbox()))
		known, inviter := a.SignedUp(t).Email, a.SignedUp(t)
		unknown := strings.Replace(known, "person-", "nobody-", 1)
		stranger := testkit.NewBrowser(t, a.URL())
		form := func(b *testkit.Browser, path string, more url.Values) func(email string) *testkit.Response {
			return func(email string) *testkit.Response {
				values := url.Values{"email": {email}}
				for name, v := range more {
					values[name] = v
				}
				return b.PostForm(path, values)
			}
		}
		for name, ask := range map[string]func(email string) *testkit.Response{
			"sign-in": form(stranger, "/sign-in", url.Values{"password": {"not the password"}}),
			"sign-up": form(stranger, "/sign-up", nil),
			"reset":   form(stranger, "/reset-password", nil),
			"link":    form(stranger, "/sign-in/with-link", nil),
			"invite":  form(inviter.Browser, inviter.Path("/settings/members/invite"), url.Values{"role": {"member"}, "apps": {"all"}}),
			"mobile": func(email string) *testkit.Response {
				return stranger.JSON("POST", "/api/v1/mobile/sign-in", "", map[string]any{"email": email, "password": "not the password"})
			},
		} {
			x, y := ask(known), ask(unknown)
			if x.Status != y.Status {
				t.Errorf("%s: %d for a known address, %d for an unknown one", name, x.Status, y.Status)
			}
			if a, b := neutral(x, known), neutral(y, unknown); a != b {
				t.Errorf("%s: the answers differ:\n%s\n---\n%s", name, a, b)
			}
		}
	})
}

// neutral is an answer without what differs between any two.
func neutral(res *testkit.Response, email string) string {
	text := res.Header.Get("Location") + res.Header.Get("Set-Cookie") + "\n" + res.Body
	text = strings.NewReplacer(email, "ADDRESS", url.QueryEscape(email), "ADDRESS", res.Header.Get("X-Request-Id"), "REQUEST").Replace(text)
	return text
}

// TestIDGuessing sees that the id of one thing says nothing about the next.
func TestIDGuessing(t *testing.T) {
	t.Parallel()
	a := testkit.Start(t)
	at, seen := a.Clock.Now(), map[kernel.ID]bool{}
	tails := map[string]int{}
	for range 10_000 {
		id := kernel.NewID(at)
		if seen[id] {
			t.Fatalf("%s twice", id)
		}
		seen[id] = true
		tails[string(id)[10:14]]++ // the first random digits: a counter would have them all alike
	}
	if len(tails) < 9_000 {
		t.Errorf("10000 ids of one instant have only %d different beginnings of their random part", len(tails))
	}
}
