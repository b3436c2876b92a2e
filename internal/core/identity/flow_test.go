package identity_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/core/access/accesstest"
	"github.com/kept-dev/kept/internal/core/identity"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db/dbtest"
	"github.com/kept-dev/kept/internal/platform/httpx"
)

const fresh = "another horse battery"

func TestSignUpToFirstWorkspace(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		b := s.Browser(t, "192.0.2.1")
		b.Get("/").To("/sign-in")
		b.Get("/sign-up").Is(200, "Open an account")
		b.Post("/sign-up", "email", " Zoe@Example.org ").Is(200, "Check your mail", "Zoe@Example.org", "Mail it again")
		link := s.MailedLink(t, "zoe@example.org")
		b.Get(link).Is(200, "Choose a password", "Zoe@Example.org")
		b.Post("/sign-up/finish", "token", accesstest.TokenOf(t, link), "name", "Zoë", "password", fresh).To("/")
		if b.Token == "" {
			t.Fatal("not signed in")
		}
		b.Get("/").To("/workspaces/new")
		b.Get("/workspaces/new").Is(200, "Name of the workspace")
		a := b.Post("/workspaces", "name", "Zoë's shop")
		if !strings.HasPrefix(a.Header.Get("Location"), "/w/") {
			t.Fatalf("%d %v", a.Status, a.Header)
		}
		b.Get(a.Header.Get("Location")).Is(200, "Zoë's shop", "Zoe@Example.org", "owner")
		b.Get("/account").Is(200, "Zoë")
		b.Get("/account/logins").Is(200, "Firefox on Linux", "192.0.2.1", "this browser")
		b.Post("/sign-out").To("/sign-in")
		b.Get("/account").To("/sign-in?next=%2Faccount")
		b.Post("/sign-in", "email", "ZOE@example.org", "password", fresh, "next", "/account").To("/account")
	})
}

// TestFormsKeepValues: a refused form is 422, has a note at the field, keeps what was typed and never a password.
func TestFormsKeepValues(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		s.Owner(t, known, "W")
		b := s.Browser(t, "192.0.2.1")
		b.Post("/sign-up", "email", "not an address").Is(422, `value="not an address"`, `aria-invalid="true"`)
		b.Post("/reset-password", "email", "a@b").Is(422, `value="a@b"`)
		b.Post("/sign-in", "email", known, "password", "secret-typo-1").Is(422, `value="`+known+`"`, "do not match").Lacks("secret-typo-1")
		b.Post("/sign-in", "email", known, "password", "").Is(422, "Enter your password.")
		b.Post("/sign-up", "email", unknown).Is(200)
		token := accesstest.TokenOf(t, s.MailedLink(t, unknown))
		b.Post("/sign-up/finish", "token", token, "name", "Bob", "password", "short").Is(422, `value="Bob"`, "at least 10").Lacks(`value="short"`)
		b.Post("/sign-up/finish", "token", token, "name", "Bob", "password", "Password2024!").Is(422, "first passwords")
		b.Post("/sign-up/finish", "token", token, "name", strings.Repeat("x", 101), "password", fresh).Is(422, "at most 100")
		b.Post("/sign-up/finish", "token", token, "name", "Bob", "password", fresh).To("/")
	})
}

// TestPreHijack: whoever asks for a sign-up in another's name has no part in the account that comes of it.
func TestPreHijack(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		s.Browser(t, "198.51.100.66").Post("/sign-up", "email", unknown, "password", "the attacker's own").Is(200)
		b := s.Browser(t, "192.0.2.1")
		b.Post("/sign-up/finish", "token", accesstest.TokenOf(t, s.MailedLink(t, unknown)), "password", fresh).To("/")
		s.Browser(t, "198.51.100.66").Post("/sign-in", "email", unknown, "password", "the attacker's own").Is(422)
	})
}

// TestLinksAreSingleUse goes through every kind of mailed link.
func TestLinksAreSingleUse(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		account, _, _ := s.Owner(t, known, "W")
		b := s.Browser(t, "192.0.2.1")

		b.Post("/sign-up", "email", unknown).Is(200)
		token := accesstest.TokenOf(t, s.MailedLink(t, unknown))
		b.Post("/sign-up/finish", "token", token, "password", fresh).To("/")
		b.Post("/sign-up/finish", "token", token, "password", fresh).Is(404, "works no more", "Start again")
		b.Get("/sign-up/finish?token="+token).Is(404, "works no more")

		b.Post("/reset-password", "email", known).Is(200)
		token = accesstest.TokenOf(t, s.MailedLink(t, known))
		for range 3 { // programs that look at links before people do
			b.Get("/reset-password/new?token="+token).Is(200, known)
		}
		b.Post("/reset-password/new", "token", token, "password", fresh).To("/sign-in?done=reset")
		b.Post("/reset-password/new", "token", token, "password", fresh).Is(404, "works no more")

		link, err := s.Identity.CreateOneTimeLink(t.Context(), account, "/account", time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		path := strings.TrimPrefix(link, accesstest.BaseURL)
		token = accesstest.TokenOf(t, link)
		for range 3 {
			b.Get(path).Is(200, known)
		}
		b.Post("/sign-in/link", "token", token).To("/account")
		b.Post("/sign-in/link", "token", token).Is(404, "works no more")
	})
}

// TestLinksAreForOnePurpose: a link that was mailed for one thing does nothing else.
func TestLinksAreForOnePurpose(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		s.Owner(t, known, "W")
		b := s.Browser(t, "192.0.2.1")
		b.Post("/reset-password", "email", known).Is(200)
		token := accesstest.TokenOf(t, s.MailedLink(t, known))
		b.Post("/sign-in/link", "token", token).Is(404)
		b.Post("/sign-up/finish", "token", token, "password", fresh).Is(404)
		b.Post("/account/email/confirm", "token", token).Is(404)
		b.Post("/reset-password/new", "token", token, "password", fresh).To("/sign-in?done=reset")
	})
}

// TestOneLinkUsedTwiceAtOnce: of many requests with one link, one wins.
func TestOneLinkUsedTwiceAtOnce(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		account, _, _ := s.Owner(t, known, "W")
		link, err := s.Identity.CreateOneTimeLink(t.Context(), account, "", time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		token := accesstest.TokenOf(t, link)
		var wg sync.WaitGroup
		won := make(chan bool, 8)
		for range 8 {
			wg.Go(func() {
				_, _, err := s.Identity.SignInByLink(t.Context(), token, identity.Device{})
				won <- err == nil
			})
		}
		wg.Wait()
		close(won)
		n := 0
		for ok := range won {
			if ok {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%d of 8 got in", n)
		}
	})
}

func TestLinksExpire(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		account, _, _ := s.Owner(t, known, "W")
		b := s.Browser(t, "192.0.2.1")
		link, err := s.Identity.CreateOneTimeLink(t.Context(), account, "", 10*time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		b.Post("/reset-password", "email", known)
		reset := accesstest.TokenOf(t, s.MailedLink(t, known))
		b.Post("/sign-up", "email", unknown)
		signUp := accesstest.TokenOf(t, s.MailedLink(t, unknown))
		s.Clock.Add(10 * time.Minute)
		b.Post("/sign-in/link", "token", accesstest.TokenOf(t, link)).Is(404)
		b.Get("/reset-password/new?token=" + reset).Is(200)
		s.Clock.Add(50 * time.Minute)
		b.Post("/reset-password/new", "token", reset, "password", fresh).Is(404)
		b.Get("/sign-up/finish?token=" + signUp).Is(200)
		s.Clock.Add(23 * time.Hour)
		b.Post("/sign-up/finish", "token", signUp, "password", fresh).Is(404)
	})
}

// TestSecretsAreStoredAsHashes looks for tokens in every column.
func TestSecretsAreStoredAsHashes(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		account, _, _ := s.Owner(t, known, "W")
		b := s.Browser(t, "192.0.2.1").SignIn(known)
		link, err := s.Identity.CreateOneTimeLink(t.Context(), account, "", time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		s.FindNowhere(t, b.Token, accesstest.TokenOf(t, link), accesstest.Password)
	})
}

func TestSessionRotatesAtSignIn(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		s.Owner(t, known, "W")
		s.Owner(t, "eve@example.org", "E")
		planted := s.Browser(t, "198.51.100.66").SignIn("eve@example.org").Token
		b := s.Browser(t, "192.0.2.1")
		b.Token = planted // fixation: the attacker's token is in the person's browser
		b.Post("/sign-in", "email", known, "password", accesstest.Password).To("/")
		if b.Token == planted {
			t.Fatal("the token was not changed")
		}
		eve := s.Browser(t, "198.51.100.66")
		eve.Token = planted
		eve.Get("/account").To("/sign-in?next=%2Faccount")
		b.Get("/account").Is(200, known)
		made := "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
		eve.Token = made // a token that the server never gave out
		eve.Post("/sign-in", "email", known, "password", accesstest.Password).To("/")
		if eve.Token == made {
			t.Error("a made-up token was taken over")
		}
	})
}

func TestLoginsExpire(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		s.Owner(t, known, "W")
		b := s.Browser(t, "192.0.2.1").SignIn(known)
		idle := s.Browser(t, "192.0.2.2").SignIn(known)
		for range 8 { // used every ten days
			s.Clock.Add(10 * 24 * time.Hour)
			b.Get("/account").Is(200)
			if err := s.Access.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		idle.Get("/account").To("/sign-in?next=%2Faccount")
		s.Clock.Add(10 * 24 * time.Hour)
		b.Get("/account").To("/sign-in?next=%2Faccount") // 90 days
	})
}

func TestPasswordChangeEndsOtherLogins(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		s.Owner(t, known, "W")
		b, other := s.Browser(t, "192.0.2.1").SignIn(known), s.Browser(t, "192.0.2.2").SignIn(known)
		other.Get("/account").Is(200)
		before := b.Token
		b.Post("/account/password", "current", "wrong", "password", fresh).Is(422, "not your password")
		b.Post("/account/password", "current", accesstest.Password, "password", "short").Is(422, "at least 10")
		other.Get("/account").Is(200)
		b.Post("/account/password", "current", accesstest.Password, "password", fresh).To("/account/security?done=password")
		if b.Token == before {
			t.Error("the session was not rotated")
		}
		b.Get("/account").Is(200)
		other.Get("/account").To("/sign-in?next=%2Faccount")
		old := s.Browser(t, "192.0.2.1")
		old.Token = before
		old.Get("/account").To("/sign-in?next=%2Faccount")
		s.MailedLink(t, known)
		if m := s.Mailbox.To(known)[0]; !strings.Contains(m.Subject, "password was changed") {
			t.Errorf("no notice, but %q", m.Subject)
		}
	})
}

func TestResetEndsAllLoginsAndLinks(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		s.Owner(t, known, "W")
		b := s.Browser(t, "192.0.2.1").SignIn(known)
		b.Get("/account").Is(200)
		b.Post("/reset-password", "email", known)
		first := accesstest.TokenOf(t, s.MailedLink(t, known))
		b.Post("/reset-password", "email", known)
		second := accesstest.TokenOf(t, s.MailedLink(t, known))
		stranger := s.Browser(t, "192.0.2.9")
		stranger.Post("/reset-password/new", "token", second, "password", fresh).To("/sign-in?done=reset")
		if stranger.Token != "" {
			t.Error("a reset signs nobody in")
		}
		b.Get("/account").To("/sign-in?next=%2Faccount")
		stranger.Post("/reset-password/new", "token", first, "password", "yet another battery").Is(404)
		stranger.Post("/sign-in", "email", known, "password", accesstest.Password).Is(422)
		stranger.Post("/sign-in", "email", known, "password", fresh).To("/")
	})
}

func TestLoginsCanBeEnded(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		account, _, _ := s.Owner(t, known, "W")
		s.Owner(t, "eve@example.org", "E")
		b, other, third := s.Browser(t, "192.0.2.1").SignIn(known), s.Browser(t, "192.0.2.2").SignIn(known), s.Browser(t, "192.0.2.3").SignIn(known)
		eve := s.Browser(t, "198.51.100.66").SignIn("eve@example.org")
		for _, x := range []*accesstest.Browser{b, other, third, eve} {
			x.Get("/account").Is(200)
		}
		logins, err := s.Identity.Logins(t.Context(), account)
		if err != nil || len(logins) != 3 {
			t.Fatalf("%d, %v", len(logins), err)
		}
		for _, l := range logins {
			if l.IP == "192.0.2.2" {
				eve.Post("/account/logins/" + string(l.ID) + "/end").Is(404) // somebody else's
				other.Get("/account").Is(200)
				b.Post("/account/logins/" + string(l.ID) + "/end").To("/account/logins?done=login")
			}
		}
		other.Get("/account").To("/sign-in?next=%2Faccount")
		third.Get("/account").Is(200)
		b.Post("/account/logins/end-others").To("/account/logins?done=logins")
		third.Get("/account").To("/sign-in?next=%2Faccount")
		b.Get("/account").Is(200)
		eve.Get("/account").Is(200)
		eve.Post("/account/logins/nonsense/end").Is(404)
	})
}

func TestEmailChange(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		s.Owner(t, known, "W")
		s.Owner(t, "eve@example.org", "E")
		b := s.Browser(t, "192.0.2.1").SignIn(known)
		b.Post("/account/email", "email", "new@example.org", "current", "wrong").Is(422, `value="new@example.org"`, "not your password")
		b.Post("/account/email", "email", "new@example.org", "current", accesstest.Password).To("/account?done=email")
		b.Get("/account").Is(200, known) // until the link is opened
		link := s.MailedLink(t, "new@example.org")
		b.Get(link).Is(200, "new@example.org")
		b.Get("/account").Is(200)
		before, other := b.Token, s.Browser(t, "192.0.2.5").SignIn(known)
		b.Post("/account/email/confirm", "token", accesstest.TokenOf(t, link)).To("/account?done=changed")
		if b.Token == before {
			t.Error("the token was not changed with the address")
		}
		other.Get("/account").To("/sign-in?next=%2Faccount")
		b.Get("/account").Is(200, "new@example.org")
		s.MailedLink(t, "new@example.org")
		if m := s.Mailbox.To(known)[0]; !strings.Contains(m.Subject, "new address") {
			t.Errorf("the old address is not told, but %q", m.Subject)
		}
		s.Browser(t, "192.0.2.1").Post("/sign-in", "email", "new@example.org", "password", accesstest.Password).To("/")
		s.Browser(t, "192.0.2.1").Post("/sign-in", "email", known, "password", accesstest.Password).Is(422)

		b.Post("/account/email", "email", "EVE@example.org", "current", accesstest.Password).To("/account?done=email")
		if _, err := s.Mail.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, m := range s.Mailbox.To("eve@example.org") {
			if strings.Contains(m.Subject, "Confirm") {
				t.Error("an address that somebody has can be taken over")
			}
		}
	})
}

func TestRename(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		s.Owner(t, known, "W")
		b := s.Browser(t, "192.0.2.1").SignIn(known)
		b.Post("/account/name", "name", "  Ann <i>Lee</i> ").To("/account?done=name")
		a := b.Get("/account?done=name").Is(200, "Ann <i>Lee</i>", "Your name is saved.")
		if strings.Contains(a.Body, "<i>Lee") {
			t.Error("the name is not escaped")
		}
	})
}

func TestOpenRedirect(t *testing.T) {
	t.Parallel()
	s := accesstest.New(t, dbtest.SQLite(t))
	account, _, _ := s.Owner(t, known, "W")
	for _, next := range []string{"https://evil.example", "//evil.example", "/\\evil.example", "\\/evil.example", "/\t/evil.example",
		"javascript:alert(1)", "http:evil.example", "/%0d%0aLocation: x\r\n", ""} {
		b := s.Browser(t, "192.0.2.1")
		b.Post("/sign-in", "email", known, "password", accesstest.Password, "next", next).To("/")
		link, err := s.Identity.CreateOneTimeLink(t.Context(), account, next, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		b.Post("/sign-in/link", "token", accesstest.TokenOf(t, link)).To("/")
		if next != "" {
			s.Browser(t, "192.0.2.1").Get("/sign-in?next="+url.QueryEscape(next)).Is(200).Lacks("evil", "alert(1)")
		}
	}
	s.Browser(t, "192.0.2.1").Post("/sign-in", "email", known, "password", accesstest.Password, "next", "/w/x?y=1#z").To("/w/x?y=1#z")
}

// TestLinksUseTheConfiguredHost: the Host header of a request must not get into mails.
func TestLinksUseTheConfiguredHost(t *testing.T) {
	t.Parallel()
	s := accesstest.New(t, dbtest.SQLite(t))
	s.Owner(t, known, "W")
	r := httptest.NewRequest("POST", "https://evil.example/reset-password", strings.NewReader("email="+known))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Host = "evil.example"
	s.Mux.ServeHTTP(httptest.NewRecorder(), r)
	s.MailedLink(t, known)
	if m := s.Mailbox.To(known)[0]; strings.Contains(m.Text+m.HTML, "evil.example") {
		t.Error("the mail has a link to the attacker")
	}
}

func TestCrossSiteFormsAreRefused(t *testing.T) {
	t.Parallel()
	s := accesstest.New(t, dbtest.SQLite(t))
	s.Owner(t, known, "W")
	r := httptest.NewRequest("POST", "/sign-in", strings.NewReader("email="+known+"&password="+accesstest.Password))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	w := httptest.NewRecorder()
	s.Mux.ServeHTTP(w, r)
	if w.Code != http.StatusForbidden || len(w.Result().Cookies()) != 0 {
		t.Errorf("got %d", w.Code)
	}
}

func TestSessionCookie(t *testing.T) {
	t.Parallel()
	s := accesstest.New(t, dbtest.SQLite(t))
	s.Owner(t, known, "W")
	a := s.Browser(t, "192.0.2.1").Post("/sign-in", "email", known, "password", accesstest.Password).To("/")
	cookie := a.Header.Get("Set-Cookie")
	for _, want := range []string{"kept_session=", "HttpOnly", "SameSite=Lax", "Path=/"} {
		if !strings.Contains(cookie, want) {
			t.Errorf("no %s in %q", want, cookie)
		}
	}
	if len(a.Header.Values("Set-Cookie")) != 1 {
		t.Error("more than the session cookie")
	}
}

func TestClosedSignUp(t *testing.T) {
	t.Parallel()
	s := accesstest.New(t, dbtest.SQLite(t), func(d *identity.Deps) { d.ClosedSignUp = true })
	b := s.Browser(t, "192.0.2.1")
	b.Get("/sign-in").Is(200).Lacks("Open an account")
	b.Get("/sign-up").Is(403)
	b.Post("/sign-up", "email", unknown).Is(403)
	if s.Rows(t, "mail_outbox") != 0 {
		t.Error("a mail was written")
	}
}

func TestWithoutMailNothingIsOffered(t *testing.T) {
	t.Parallel()
	s := accesstest.New(t, dbtest.SQLite(t), func(d *identity.Deps) { d.NoMail = true })
	b := s.Browser(t, "192.0.2.1")
	b.Get("/sign-in").Is(200).Lacks("Mail me a link", "Forgot the password")
	b.Get("/sign-in/with-link").Is(403, "cannot send mail")
	b.Post("/sign-in/with-link", "email", known).Is(403)
	if s.Rows(t, "mail_outbox") != 0 {
		t.Error("a mail was written")
	}
}

func TestEraseAccount(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		account, ws, _ := s.Owner(t, known, "W")
		b := s.Browser(t, "192.0.2.1").SignIn(known)
		b.Get("/account").Is(200)
		b.Post("/reset-password", "email", known).Is(200)
		if err := s.Identity.EraseAccount(t.Context(), account); err != nil {
			t.Fatal(err)
		}
		b.Get("/account").To("/sign-in?next=%2Faccount")
		s.FindNowhere(t, known, strings.ToLower(known), "192.0.2.1")
		if r, err := s.Audit.Verify(t.Context()); err != nil || len(r.Broken) != 0 || r.Events == 0 {
			t.Errorf("the audit log: %+v, %v", r, err)
		}
		if _, err := s.Workspaces.Membership(t.Context(), account, ws); kernel.CodeOf(err) != kernel.NotFound {
			t.Errorf("still a member: %v", err)
		}
	})
}

func TestEverythingIsAudited(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		s.Owner(t, known, "W")
		before := s.Rows(t, "audit_events")
		b := s.Browser(t, "192.0.2.1")
		b.Post("/sign-in", "email", known, "password", "wrong")
		b.SignIn(known)
		b.Post("/account/name", "name", "Ann")
		b.Post("/sign-out")
		if n := s.Rows(t, "audit_events") - before; n != 4 {
			t.Errorf("%d lines for four actions", n)
		}
		if r, err := s.Audit.Verify(t.Context()); err != nil || len(r.Broken) != 0 {
			t.Errorf("%+v, %v", r, err)
		}
		for _, route := range s.Identity.Routes() {
			if route.Method != "GET" && route.Audit == "" {
				t.Errorf("%s %s names no audit action", route.Method, route.Path)
			}
			if route.Rate == httpx.RateNone {
				t.Errorf("%s %s is not limited", route.Method, route.Path)
			}
		}
	})
}
