package mail_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/kept-dev/kept/internal/core/access/accesstest"
	"github.com/kept-dev/kept/internal/core/mail"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/db/dbtest"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/ui/uitest"
)

const ann = "ann@example.org"

// optional is a type that can be refused, of those that the product has.
func optional(t *testing.T, s *accesstest.Stack) mail.Type {
	t.Helper()
	for _, mt := range s.Mail.Types() {
		if mt.Optional {
			return mt
		}
	}
	t.Fatal("no mail can be refused")
	return mail.Type{}
}

func send(t *testing.T, s *accesstest.Stack, mt mail.Type) (got mail.Received, ok bool) {
	t.Helper()
	before := len(s.Mailbox.To(ann))
	err := s.DB.Tx(t.Context(), func(tx *db.Tx) error {
		return s.Mail.Send(t.Context(), tx, mail.Mail{Type: mt.ID, To: ann, Content: mt.Sample})
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Mail.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	all := s.Mailbox.To(ann)
	if len(all) == before {
		return got, false
	}
	return all[0], true
}

// oneClick is what a mail program sends by itself: no cookie, no page before it (RFC 8058).
func oneClick(t *testing.T, s *accesstest.Stack, address string) int {
	t.Helper()
	r := httptest.NewRequest("POST", strings.TrimPrefix(address, accesstest.BaseURL), strings.NewReader("List-Unsubscribe=One-Click"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Host = "kept.example"
	w := httptest.NewRecorder()
	s.Mux.ServeHTTP(w, r)
	return w.Code
}

// TestOneClickUnsubscribe: one request ends mail of one type to one address; nothing else.
func TestOneClickUnsubscribe(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		s.Owner(t, ann, "Acme")
		mt := optional(t, s)
		got, ok := send(t, s, mt)
		if !ok || !strings.HasPrefix(got.Unsubscribe, accesstest.BaseURL+"/mail/unsubscribe/") || !strings.Contains(got.Text, got.Unsubscribe) || !strings.Contains(got.HTML, got.Unsubscribe) {
			t.Fatalf("no way out: %+v", got)
		}
		if strings.Contains(got.Unsubscribe, "ann") || strings.Contains(got.Unsubscribe, mt.ID) {
			t.Errorf("the link tells whose it is: %s", got.Unsubscribe)
		}
		path := strings.TrimPrefix(got.Unsubscribe, accesstest.BaseURL)
		b := s.Browser(t, "192.0.2.1")
		b.Get(path).Is(200, mt.Title, "a…@example.org").Lacks(ann) // looking changes nothing: scanners look at every link
		if _, ok := send(t, s, mt); !ok {
			t.Fatal("looking at the page was taken for a click")
		}
		for range 2 {
			if code := oneClick(t, s, got.Unsubscribe); code != 200 {
				t.Fatalf("one click: %d", code)
			}
		}
		if _, ok := send(t, s, mt); ok {
			t.Error("it is sent all the same")
		}
		for _, other := range s.Mail.Types() {
			if _, ok := send(t, s, other); !ok && other.ID != mt.ID {
				t.Errorf("%s is not sent either", other.ID)
			}
		}
		b.Post(path, "again", "1").Is(200, "sent again")
		if _, ok := send(t, s, mt); !ok {
			t.Error("taking it back does nothing")
		}
		for _, bad := range []string{path[:len(path)-3] + "AAA", "/mail/unsubscribe/x", "/mail/unsubscribe/" + strings.Repeat("A", 2000)} {
			b.Post(bad).Is(404)
			b.Get(bad).Is(404)
		}
	})
}

// TestSecurityMailIgnoresUnsubscribe: mail about security, and mail that somebody asked for, has no way out.
func TestSecurityMailIgnoresUnsubscribe(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		security := 0
		for _, mt := range s.Mail.Types() {
			if mt.Optional {
				continue
			}
			if mt.Security {
				security++
			}
			if got, ok := send(t, s, mt); !ok || got.Unsubscribe != "" || strings.Contains(got.Text, "unsubscribe") {
				t.Errorf("%s: %+v", mt.ID, got)
			}
			if err := s.Mail.Choose(t.Context(), ann, mt.ID, false); err == nil {
				t.Errorf("%s can be refused", mt.ID)
			}
		}
		if security == 0 {
			t.Error("no mail is about security")
		}
	})
}

// TestMailChoices: the account's page says what is sent, and lets the person refuse what may be refused.
func TestMailChoices(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		s.Owner(t, ann, "Acme")
		mt := optional(t, s)
		b := s.Browser(t, "192.0.2.1").SignIn(ann)
		b.Get("/account/mail").Is(200, mt.Title, "Always sent").Lacks("does not reach you")
		b.Post("/account/mail").To("/account/mail?done=saved")
		if _, ok := send(t, s, mt); ok {
			t.Error("it is sent all the same")
		}
		b.Post("/account/mail", "type-"+mt.ID, "on", "type-sign_up", "on").To("/account/mail?done=saved")
		if _, ok := send(t, s, mt); !ok {
			t.Error("it is not sent again")
		}
		s.Browser(t, "192.0.2.2").Get("/account/mail").To("/sign-in?next=%2Faccount%2Fmail")
	})
}

// TestEveryMailPreviews looks at each declared mail, as text and as HTML, in a browser.
func TestEveryMailPreviews(t *testing.T) {
	s := accesstest.New(t, dbtest.SQLite(t))
	srv := httptest.NewServer(http.HandlerFunc(s.Mux.ServeHTTP))
	t.Cleanup(srv.Close)
	page := uitest.Start(t).Open(t, srv.URL+"/mail/types")
	page.Axe(t)
	page.Shoot(t, "types")
	if len(s.Mail.Types()) < 8 {
		t.Errorf("only %d types: are those of all modules here?", len(s.Mail.Types()))
	}
	for i, mt := range s.Mail.Types() {
		page.Go(t, srv.URL+"/mail/types/"+mt.ID)
		text := page.Text(t, "pre, code.block, .code")
		for _, part := range append(append([]string{}, mt.Sample.Text...), mt.Sample.After...) {
			if words := strings.Fields(part); len(words) > 0 && !strings.Contains(strings.Join(strings.Fields(text), " "), words[0]) {
				t.Errorf("%s: the text form has no %q", mt.ID, part)
			}
		}
		if mt.Sample.Subject == "" || len(mt.Sample.Text) == 0 || mt.Sample.Why == "" {
			t.Errorf("%s: a sample has a subject, a text and a reason: %+v", mt.ID, mt.Sample)
		}
		page.Wait(t, `document.querySelector("iframe") !== null`)
		if i == 0 {
			page.Axe(t)
			page.Shoot(t, "type")
		}
		res, err := http.Get(srv.URL + "/mail/types/" + mt.ID + "/html")
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if csp := res.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "sandbox") || strings.Contains(csp, "script-src") {
			t.Errorf("%s: the mail as HTML has the policy %q", mt.ID, csp)
		}
		page.AllowViolations() // the mail by itself has inline styles and no icon
		page.Go(t, srv.URL+"/mail/types/"+mt.ID+"/html")
		if got := page.Text(t, "h1"); got != mt.Sample.Subject {
			t.Errorf("%s: the HTML form begins with %q", mt.ID, got)
		}
	}
}

// TestMailPagesInABrowser looks at the pages for people, wide and narrow: what they choose, and the way out of a mail.
func TestMailPagesInABrowser(t *testing.T) {
	s := accesstest.New(t, dbtest.SQLite(t))
	s.Owner(t, ann, "Acme")
	got, ok := send(t, s, optional(t, s))
	if !ok {
		t.Fatal("nothing is sent")
	}
	b := s.Browser(t, "127.0.0.1").SignIn(ann)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Host = "kept.example"
		r.Header.Set("Cookie", httpx.SessionCookie+"="+b.Token)
		s.Mux.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	page := uitest.Start(t).Open(t, srv.URL+"/account/mail")
	for name, path := range map[string]string{"choices": "/account/mail", "unsubscribe": strings.TrimPrefix(got.Unsubscribe, accesstest.BaseURL)} {
		page.Go(t, srv.URL+path)
		page.Look(t, name)
	}
	page.Go(t, srv.URL+strings.TrimPrefix(got.Unsubscribe, accesstest.BaseURL))
	page.Click(t, "main form button, form.form button")
	page.Wait(t, `document.querySelector("h1").textContent === "You get no more of it"`)
	page.Axe(t)
}
