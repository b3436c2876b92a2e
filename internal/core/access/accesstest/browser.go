package accesstest

import (
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/ui"
)

func noLimits() map[httpx.RateClass]httpx.Limit {
	out := map[httpx.RateClass]httpx.Limit{}
	for class := range httpx.DefaultRates() {
		out[class] = httpx.Limit{PerSecond: 1e6, Burst: 1e6}
	}
	return out
}

func (s *Stack) frame(r *http.Request) ui.Frame {
	a := s.Access.Around(r)
	items := append(append(append(s.Identity.Nav(), s.Workspaces.Nav()...), s.Access.Nav()...), append(append(s.Audit.Nav(), s.SCIM.Nav()...), s.Mail.Nav()...)...)
	f := ui.Frame{Nav: ui.ExpandNav(s.Workspaces.VisibleNav(items, a), string(a.WorkspaceID))}
	if a.Anonymous() {
		return f
	}
	f.Viewer = &ui.Viewer{Email: a.Email, Workspace: a.Workspace, SignOut: "/sign-out"}
	f.Viewer.Workspaces, _ = s.Workspaces.Switch(r.Context(), a)
	return f
}

// Browser is one person's browser without scripts: it keeps the session cookie and does not follow redirects.
type Browser struct {
	t     testing.TB
	s     *Stack
	IP    string
	Token string // the session cookie; empty is none
	From  string // the address of the page that links are followed on; empty is none
}

// Browser opens a browser at an address.
func (s *Stack) Browser(t testing.TB, ip string) *Browser { return &Browser{t: t, s: s, IP: ip} }

// Answer is what the server answered.
type Answer struct {
	t      testing.TB
	Status int
	Header http.Header
	Body   string
}

// Get asks for a page.
func (b *Browser) Get(path string) Answer {
	return b.do(httptest.NewRequest("GET", path, nil))
}

// Post sends a form: names and values alternate.
func (b *Browser) Post(path string, pairs ...string) Answer {
	form := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Add(pairs[i], pairs[i+1])
	}
	r := httptest.NewRequest("POST", path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return b.do(r)
}

func (b *Browser) do(r *http.Request) Answer {
	b.t.Helper()
	r.RemoteAddr = b.IP + ":40000"
	r.Host = "kept.example"
	r.Header.Set("Accept", "text/html")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	r.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
	if b.From != "" {
		r.Header.Set("Referer", b.From)
	}
	if b.Token != "" {
		r.AddCookie(&http.Cookie{Name: httpx.SessionCookie, Value: b.Token})
	}
	w := httptest.NewRecorder()
	b.s.Mux.ServeHTTP(w, r)
	res := w.Result()
	for _, c := range res.Cookies() {
		if c.Name == httpx.SessionCookie {
			b.Token = c.Value
		}
	}
	return Answer{t: b.t, Status: res.StatusCode, Header: res.Header, Body: w.Body.String()}
}

// SignIn signs in with the password of Owner's accounts.
func (b *Browser) SignIn(email string) *Browser {
	b.t.Helper()
	b.Post("/sign-in", "email", email, "password", Password).To("/")
	return b
}

// Is checks the status and that the page has each of the texts.
func (a Answer) Is(status int, texts ...string) Answer {
	a.t.Helper()
	if a.Status != status {
		a.t.Fatalf("status %d, want %d\n%s", a.Status, status, a.Body)
	}
	body := html.UnescapeString(a.Body)
	for _, text := range texts {
		if !strings.Contains(body, text) {
			a.t.Fatalf("no %q in\n%s", text, a.Body)
		}
	}
	return a
}

// Lacks checks that the page has none of the texts.
func (a Answer) Lacks(texts ...string) Answer {
	a.t.Helper()
	for _, text := range texts {
		if strings.Contains(html.UnescapeString(a.Body), text) {
			a.t.Fatalf("%q stands in\n%s", text, a.Body)
		}
	}
	return a
}

// To checks that the answer is a redirect to a place.
func (a Answer) To(place string) Answer {
	a.t.Helper()
	if got := a.Header.Get("Location"); a.Status != http.StatusSeeOther || got != place {
		a.t.Fatalf("status %d to %q, want 303 to %q\n%s", a.Status, got, place, a.Body)
	}
	return a
}

var mailedLink = regexp.MustCompile(regexp.QuoteMeta(BaseURL) + `(/\S+)`)

// MailedLink sends what is due and returns the path of the link in the newest mail to an address.
func (s *Stack) MailedLink(t testing.TB, email string) string {
	t.Helper()
	if _, err := s.Mail.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	mails := s.Mailbox.To(email)
	if len(mails) == 0 {
		t.Fatalf("no mail to %s", email)
	}
	found := mailedLink.FindStringSubmatch(mails[0].Text)
	if found == nil {
		t.Fatalf("no link in %q", mails[0].Text)
	}
	return found[1]
}

// TokenOf is the token of a mailed link.
func TokenOf(t testing.TB, link string) string {
	t.Helper()
	u, err := url.Parse(link)
	if err != nil || u.Query().Get("token") == "" {
		t.Fatalf("no token in %q", link)
	}
	return u.Query().Get("token")
}

// Rows counts the rows of a table.
func (s *Stack) Rows(t testing.TB, table string) (n int) {
	t.Helper()
	if err := s.DB.QueryRow(t.Context(), fmt.Sprintf(`SELECT count(*) FROM %s`, table)).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// Settings is the path of a workspace's settings.
func Settings(ws kernel.WorkspaceID) string { return "/w/" + string(ws) + "/settings" }
