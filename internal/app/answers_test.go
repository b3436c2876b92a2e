package app_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/app"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/testkit"
)

// TestAnswersCarryTheirHeaders looks at every route's answer: no other site may read it, no browser guesses what it is,
// and what a person sees is kept nowhere.
func TestAnswersCarryTheirHeaders(t *testing.T) {
	t.Parallel()
	a := testkit.Start(t, testkit.With(app.WithMailbox()))
	owner := a.SignedUp(t)
	mux := hollow(t, a)
	for _, r := range mux.Table() {
		h := send(mux, r.Method, pathOf(r, owner.WorkspaceID), cookieOf(owner.Browser), "Origin: "+a.BaseURL()).Header()
		if got := h.Get("X-Content-Type-Options"); got != "nosniff" {
			t.Errorf("%s %s: X-Content-Type-Options is %q", r.Method, r.Path, got)
		}
		for name := range h {
			// Embedded panels are for other sites. What a browser asks beforehand carries no token, so any site hears that it
			// may ask; whether it gets an answer is tested in core/dashboard.
			preflight := r.Method == http.MethodOptions && strings.HasPrefix(r.Path, "/api/v1/embed/")
			if strings.HasPrefix(name, "Access-Control-") && !preflight {
				t.Errorf("%s %s: %s lets other sites in", r.Method, r.Path, name)
			}
		}
		if personal := r.Access == httpx.SignedIn || r.Access == httpx.Member; personal && h.Get("Cache-Control") != "no-store" {
			t.Errorf("%s %s: Cache-Control is %q", r.Method, r.Path, h.Get("Cache-Control"))
		}
	}
}

// TestSigningOutLeavesNothing: every page of a signed-in person has the way out, and what the browser kept goes.
func TestSigningOutLeavesNothing(t *testing.T) {
	t.Parallel()
	a := testkit.Start(t, testkit.With(app.WithMailbox()))
	p := a.SignedUp(t)
	for _, path := range []string{"/account", p.Path("/settings"), p.Path("/settings/audit"), p.Path("/jobs")} {
		p.Get(path).Want(http.StatusOK).Has(`action="/sign-out"`)
	}
	token := cookieOf(p.Browser)
	res := p.PostForm("/sign-out", url.Values{})
	if got := res.Header.Get("Clear-Site-Data"); !strings.Contains(got, "cache") || cookieOf(p.Browser) != "" {
		t.Errorf("Clear-Site-Data %q, cookie %q", got, cookieOf(p.Browser))
	}
	if w := send(a.Mux(), "GET", "/account", token); w.Code != http.StatusSeeOther {
		t.Errorf("the token still works: %d", w.Code)
	}
}

var secretInput = regexp.MustCompile(`<input[^>]*name="(password|current|new|new-password)"[^>]*>`)

// TestPasswordFields: what is typed is hidden, and a password manager may fill it in and paste.
func TestPasswordFields(t *testing.T) {
	t.Parallel()
	a := testkit.Start(t, testkit.With(app.WithMailbox()))
	p := a.SignedUp(t)
	found := 0
	look := func(b *testkit.Browser, path string) {
		res := b.Get(path)
		for _, input := range secretInput.FindAllString(res.Body, -1) {
			found++
			if !strings.Contains(input, `type="password"`) || !strings.Contains(input, `autocomplete="`) || strings.Contains(input, `autocomplete="off"`) || strings.Contains(input, "onpaste") {
				t.Errorf("%s: %s", path, input)
			}
		}
	}
	for _, r := range a.Mux().Table() {
		if r.Method == "GET" && browserRoute(r) && r.Rate != httpx.RateLive && !strings.HasPrefix(r.Path, "/ui") {
			path := pathOf(r, p.WorkspaceID)
			look(p.Browser, path)
			look(testkit.NewBrowser(t, a.URL()), path)
		}
	}
	if found < 2 {
		t.Errorf("only %d fields for passwords: this test looks for the wrong thing", found)
	}
}

// TestRequestsHaveOneEnd sends requests whose end could be read in two ways, over a socket: whoever stands in front of the
// server must not see two requests where it sees one.
func TestRequestsHaveOneEnd(t *testing.T) {
	t.Parallel()
	a := testkit.Start(t)
	u, err := url.Parse(a.URL())
	if err != nil {
		t.Fatal(err)
	}
	for name, head := range map[string]string{
		"two lengths":      "Content-Length: 5\r\nContent-Length: 6\r\n",
		"a negative one":   "Content-Length: -1\r\n",
		"an odd encoding":  "Transfer-Encoding: xchunked\r\n",
		"two encodings":    "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
		"a blank in front": "Content-Length : 5\r\n",
		"a broken chunk":   "Transfer-Encoding: chunked\r\nX: y\r\n",
	} {
		conn, err := net.Dial("tcp", u.Host)
		if err != nil {
			t.Fatal(err)
		}
		conn.SetDeadline(time.Now().Add(20 * time.Second))
		fmt.Fprintf(conn, "POST /sign-in HTTP/1.1\r\nHost: %s\r\nContent-Type: application/x-www-form-urlencoded\r\n%s\r\nZZ\r\nhello", u.Host, head)
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if res.StatusCode != http.StatusBadRequest && res.StatusCode != http.StatusNotImplemented {
			t.Errorf("%s: %d", name, res.StatusCode)
		}
		conn.Close()
	}
}
