package identity_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/core/access/accesstest"
	"github.com/kept-dev/kept/internal/core/identity"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
)

func startFlow(t *testing.T, s *accesstest.Stack, f identity.Flow, ttl time.Duration) (token string) {
	t.Helper()
	err := s.DB.Tx(t.Context(), func(tx *db.Tx) (err error) {
		token, err = s.Identity.StartFlow(t.Context(), tx, f, ttl)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func inTx[T any](t *testing.T, s *accesstest.Stack, f func(tx *db.Tx) (T, error)) (out T, err error) {
	t.Helper()
	err = s.DB.Tx(t.Context(), func(tx *db.Tx) (err error) {
		out, err = f(tx)
		return err
	})
	return out, err
}

// TestFlowIsSingleUse: of many that take a flow at once one gets it, with what was put in, and only for its kind and time.
func TestFlowIsSingleUse(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		account, _, _ := s.Owner(t, known, "W")
		secret := "a challenge that nobody may read"
		token := startFlow(t, s, identity.Flow{Kind: "test", Account: account, Data: []byte(secret)}, time.Minute)
		s.FindNowhere(t, token, secret)
		take := func(kind, token string) (identity.Flow, error) {
			return inTx(t, s, func(tx *db.Tx) (identity.Flow, error) { return s.Identity.TakeFlow(t.Context(), tx, kind, token) })
		}
		for _, wrong := range [][2]string{{"other", token}, {"test", token + "x"}, {"test", ""}} {
			if _, err := take(wrong[0], wrong[1]); kernel.CodeOf(err) != kernel.NotFound {
				t.Errorf("%q: %v", wrong, err)
			}
		}
		var wg sync.WaitGroup
		var mu sync.Mutex
		won := 0
		for range 8 {
			wg.Go(func() {
				f, err := take("test", token)
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					won++
					if f.Account != account || string(f.Data) != secret {
						t.Errorf("%+v", f)
					}
				}
			})
		}
		wg.Wait()
		if won != 1 {
			t.Errorf("%d of 8 got it", won)
		}
		late := startFlow(t, s, identity.Flow{Kind: "test"}, time.Minute)
		s.Clock.Add(time.Minute)
		if _, err := take("test", late); kernel.CodeOf(err) != kernel.NotFound {
			t.Errorf("too late: %v", err)
		}
		sweep(t, s, "identity_flows")
		if n := s.Rows(t, "identity_flows"); n != 0 {
			t.Errorf("%d flows are left", n)
		}
	})
}

// TestFlowTriesAreBounded: five tries, also when they come at once; then the flow is dead even for the right answer.
func TestFlowTriesAreBounded(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		token := startFlow(t, s, identity.Flow{Kind: "code", Data: []byte("12345678")}, time.Minute)
		var wg sync.WaitGroup
		var mu sync.Mutex
		tried := 0
		for range 12 {
			wg.Go(func() {
				_, err := inTx(t, s, func(tx *db.Tx) (identity.Flow, error) { return s.Identity.TryFlow(t.Context(), tx, "code", token) })
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					tried++
				} else if kernel.CodeOf(err) != kernel.NotFound {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if tried != 5 {
			t.Errorf("%d tries", tried)
		}
		if _, err := s.Identity.PeekFlow(t.Context(), "code", token); kernel.CodeOf(err) != kernel.NotFound {
			t.Errorf("still shown: %v", err)
		}
	})
}

// TestFlowEndsWithItsLogin: a proof that was begun while signed in cannot be finished after signing out.
func TestFlowEndsWithItsLogin(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		account, _, _ := s.Owner(t, known, "W")
		b := s.Browser(t, "192.0.2.1").SignIn(known)
		logins, err := s.Identity.Logins(t.Context(), account)
		if err != nil || len(logins) != 1 {
			t.Fatal(len(logins), err)
		}
		token := startFlow(t, s, identity.Flow{Kind: "test", Account: account, Login: logins[0].ID}, time.Hour)
		b.Post("/sign-out")
		if _, err := s.Identity.PeekFlow(t.Context(), "test", token); kernel.CodeOf(err) != kernel.NotFound {
			t.Errorf("it lives: %v", err)
		}
	})
}

// TestFlowEndsWithThePassword: who got as far as the second factor with a password that was reset meanwhile begins again.
func TestFlowEndsWithThePassword(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		s.Owner(t, known, "W")
		s.Identity.Use(factor{}, nil, nil)
		step, err := s.Identity.SignIn(t.Context(), identity.SignIn{Email: known, Password: accesstest.Password})
		if err != nil || step.Second == "" {
			t.Fatalf("%+v, %v", step, err)
		}
		b := s.Browser(t, "192.0.2.1")
		b.Post("/reset-password", "email", known).Is(200)
		b.Post("/reset-password/new", "token", accesstest.TokenOf(t, s.MailedLink(t, known)), "password", fresh).To("/sign-in?done=reset")
		if _, err := s.Identity.PeekFlow(t.Context(), identity.FlowSecond, step.Second); kernel.CodeOf(err) != kernel.NotFound {
			t.Errorf("it lives: %v", err)
		}
	})
}

// TestCodesAreThrottled: what can be guessed counts like passwords, a wrong guess is audited, and waiting helps.
func TestCodesAreThrottled(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		account, _, _ := s.Owner(t, known, "W")
		try := func(right bool) (bool, error) {
			return s.Identity.Throttle(t.Context(), account, "test.code", func(*db.Tx) (bool, error) { return right, nil })
		}
		before := s.Rows(t, "audit_events")
		for range 5 {
			if ok, err := try(false); ok || err != nil {
				t.Fatal(ok, err)
			}
		}
		if ok, err := try(true); ok || kernel.CodeOf(err) != kernel.Limited {
			t.Errorf("a sixth at once: %v, %v", ok, err)
		}
		if n := s.Rows(t, "audit_events") - before; n != 5 {
			t.Errorf("%d lines for five wrong codes", n)
		}
		s.Clock.Add(time.Minute)
		if ok, err := try(true); !ok || err != nil {
			t.Errorf("after waiting: %v, %v", ok, err)
		}
		if ok, err := try(false); ok || err != nil { // the right one forgave the earlier ones
			t.Errorf("%v, %v", ok, err)
		}
	})
}

// TestTokenRotatesOnPrivilegeChange: a fresh proof gives the same login a new token and new time of proof; the old token,
// which somebody may have stolen, is worth nothing.
func TestTokenRotatesOnPrivilegeChange(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		account, _, _ := s.Owner(t, known, "W")
		b := s.Browser(t, "192.0.2.1").SignIn(known)
		b.Get("/account").Is(200)
		stolen := s.Browser(t, "198.51.100.66")
		stolen.Token = b.Token
		s.Clock.Add(time.Hour)
		logins, err := s.Identity.Logins(t.Context(), account)
		if err != nil {
			t.Fatal(err)
		}
		renewed, err := inTx(t, s, func(tx *db.Tx) (identity.Session, error) {
			return s.Identity.Renew(t.Context(), tx, logins[0].ID, identity.Proof{Method: "passkey", Strong: true})
		})
		if err != nil || renewed.ID != logins[0].ID || renewed.Token == b.Token || !renewed.ProvedAt.Equal(s.Clock.Now()) || !renewed.Strong {
			t.Fatalf("%+v, %v", renewed, err)
		}
		stolen.Get("/account").To("/sign-in?next=%2Faccount")
		b.Token = renewed.Token
		b.Get("/account").Is(200)
		weaker, err := inTx(t, s, func(tx *db.Tx) (identity.Session, error) {
			return s.Identity.Renew(t.Context(), tx, logins[0].ID, identity.Proof{Method: "password"})
		})
		if err != nil || !weaker.Strong {
			t.Errorf("a weaker proof took the stronger one away: %+v, %v", weaker, err)
		}
	})
}

// TestChangesNeedAFreshProof: address and password can be changed for ten minutes after a proof, of which signing in is one.
func TestChangesNeedAFreshProof(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		s.Owner(t, known, "W")
		b := s.Browser(t, "192.0.2.1").SignIn(known)
		s.Clock.Add(11 * time.Minute)
		for _, path := range []string{"/account/email", "/account/password"} {
			a := b.Post(path, "email", "new@example.org", "current", accesstest.Password, "password", fresh)
			if to := a.Header.Get("Location"); a.Status != 303 || !strings.HasPrefix(to, "/account/prove?next=") {
				t.Errorf("%s: %d to %q", path, a.Status, to)
			}
		}
		if s.Rows(t, "identity_tokens") != 0 {
			t.Error("a link was mailed")
		}
		b.Post("/account/name", "name", "Ann").To("/account?done=name")
	})
}

// factor is a second factor that everybody has.
type factor struct{}

func (factor) Enrolled(context.Context, kernel.AccountID) (bool, error) { return true, nil }

// TestLinkAsksSecondFactor: a mailed link is one factor. Where the person has a second one it is asked, and nobody is
// signed in before.
func TestLinkAsksSecondFactor(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		account, _, _ := s.Owner(t, known, "W")
		b := s.Browser(t, "192.0.2.1")
		b.Get("/sign-in").Is(200, "Mail me a link")
		b.Get("/sign-in/with-link").Is(200, "Sign in by mail")
		ask := func() string {
			t.Helper()
			b.Post("/sign-in/with-link", "email", known, "next", "/account").Is(200, "Check your mail")
			return accesstest.TokenOf(t, s.MailedLink(t, known))
		}
		b.Post("/sign-in/link", "token", ask()).To("/account") // without a second factor
		b.Post("/sign-out")
		s.Identity.Use(factor{}, nil, nil)
		token := ask()
		a := b.Post("/sign-in/link", "token", token).Is(200, "Second step", `action="/sign-in/second"`, `name="flow"`, `name="next" value="/account"`)
		if a.Header.Get("Cache-Control") != "no-store" || b.Token != "" || s.Rows(t, "logins") != 0 {
			t.Error("somebody is signed in after one factor of two")
		}
		b.Post("/sign-in/link", "token", token).Is(404)
		b.Post("/sign-in", "email", known, "password", accesstest.Password).Is(200, "Second step")
		late := ask()
		s.Clock.Add(15 * time.Minute)
		b.Post("/sign-in/link", "token", late).Is(404, "works no more")
		step, err := s.Identity.SignIn(t.Context(), identity.SignIn{Email: known, Password: accesstest.Password})
		if err != nil || step.Session != nil {
			t.Fatalf("%+v, %v", step, err)
		}
		if f, err := s.Identity.PeekFlow(t.Context(), identity.FlowSecond, step.Second); err != nil || f.Account != account || string(f.Data) != "password" {
			t.Errorf("%+v, %v", f, err)
		}
	})
}

// TestLoginDiesIdleAndAbsolute: 14 days without use, or 90 days in any case; TestLoginsExpire shows it through the edge.
func TestLoginDiesIdleAndAbsolute(t *testing.T) {
	t.Parallel()
	begun := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	l := identity.Login{CreatedAt: begun, LastSeenAt: begun, ExpiresAt: begun.Add(identity.LoginLifetime)}
	day := 24 * time.Hour
	for _, c := range []struct {
		seen, now time.Duration
		alive     bool
	}{{0, 0, true}, {0, 14*day - 1, true}, {0, 14 * day, false}, {89 * day, 90*day - 1, true}, {89 * day, 90 * day, false}} {
		l.LastSeenAt = begun.Add(c.seen)
		if got := l.Alive(begun.Add(c.now)); got != c.alive {
			t.Errorf("seen after %s, now %s: alive %v", c.seen, c.now, got)
		}
	}
}

func TestEverybodyCanBeSignedOut(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		s.Owner(t, known, "W")
		s.Owner(t, "eve@example.org", "E")
		b, other := s.Browser(t, "192.0.2.1").SignIn(known), s.Browser(t, dutch).SignIn(known)
		eve := s.Browser(t, "198.51.100.66").SignIn("eve@example.org")
		b.Get("/account/logins").Is(200, "this browser", "Netherlands", "192.0.2.1", dutch, "Sign out all other devices", "IP2Location LITE").Lacks("198.51.100.66")
		before := other.Token
		b.Post("/account/logins/end-all").To("/sign-in?done=everywhere")
		if b.Token != "" {
			t.Error("the cookie stays")
		}
		b.Get("/sign-in?done=everywhere").Is(200, "signed out everywhere")
		other.Token = before
		other.Get("/account/logins").To("/sign-in?next=%2Faccount%2Flogins")
		eve.Get("/account/logins").Is(200)
	})
}

// TestSecurityPageShowsEveryWay: what siblings add stands there, and somebody without a password can set the first one.
func TestSecurityPageShowsEveryWay(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		account, _, _ := s.Owner(t, known, "W")
		guess(t, s, "198.51.100.66", "wrong password")
		b := s.Browser(t, "192.0.2.1").SignIn(known)
		s.Identity.Use(nil, []identity.Ways{aWay{}}, nil)
		b.Get("/account/security").Is(200, "Lately", "Signed in", "192.0.2.1", "failed", "198.51.100.66")
		b.Get("/account/security").Is(200, "Change the password", "A test way", "3 of them", `href="/account/test"`, `name="current"`)
		ways, err := inTx(t, s, func(tx *db.Tx) (int, error) { return s.Identity.WaysOf(t.Context(), tx, account) })
		if err != nil || ways != 4 {
			t.Errorf("%d ways, %v", ways, err)
		}
		_, err = inTx(t, s, func(tx *db.Tx) (int64, error) {
			return tx.Exec(t.Context(), `UPDATE accounts SET password_hash = '' WHERE id = $1`, account)
		})
		if err != nil {
			t.Fatal(err)
		}
		b.Get("/account/security").Is(200, "Set a password").Lacks(`name="current"`)
		b.Post("/account/password", "password", "short").Is(422, "at least 10")
		b.Post("/account/password", "password", fresh).To("/account/security?done=password")
		b.Get("/account/security").Is(200, "Change the password")
		b.Post("/account/password", "current", "wrong", "password", "yet another battery").Is(422, "not your password")
	})
}

type aWay struct{}

func (aWay) Ways(context.Context, *db.Tx, kernel.AccountID) (int, error) { return 3, nil }

func (aWay) SecurityCards(context.Context, kernel.AccountID) ([]identity.SecurityCard, error) {
	return []identity.SecurityCard{{Title: "A test way", Text: "For tests.", Href: "/account/test", State: "3 of them", Good: true}}, nil
}

// TestUnfinishedSignUpsAreSwept: of a sign-up that nobody finishes nothing stays after two days: no account, no link, no
// address.
func TestUnfinishedSignUpsAreSwept(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		b := s.Browser(t, "192.0.2.1")
		b.Post("/sign-up", "email", unknown).Is(200)
		b.Post("/sign-in/with-link", "email", unknown).Is(200)
		if s.Rows(t, "accounts") != 0 || s.Rows(t, "identity_tokens") != 2 {
			t.Fatalf("%d accounts, %d links", s.Rows(t, "accounts"), s.Rows(t, "identity_tokens"))
		}
		s.Clock.Add(24*time.Hour + time.Minute)
		for _, table := range []string{"identity_tokens", "identity_flows", "identity_attempts"} {
			sweep(t, s, table)
			if n := s.Rows(t, table); n != 0 {
				t.Errorf("%d rows of %s are left", n, table)
			}
		}
	})
}

// TestStrangerCannotLockOut: whatever a stranger does from his networks, the person gets in from his own, and by mail from
// anywhere.
func TestStrangerCannotLockOut(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		s.Owner(t, known, "W")
		s.Browser(t, "192.0.2.1").SignIn(known)
		for i := range 120 { // a botnet: more than an account's limit
			guess(t, s, fmt.Sprintf("198.51.100.%d", i), "wrong password")
		}
		s.Browser(t, "192.0.2.1").SignIn(known)
		far := s.Browser(t, "203.0.113.9")
		far.Post("/sign-in", "email", known, "password", accesstest.Password).Is(429, "too many failed attempts")
		s.MailedLink(t, known) // the notice of the sign-in before
		s.Clock.Add(time.Second)
		far.Post("/sign-in/with-link", "email", known).Is(200)
		far.Post("/sign-in/link", "token", accesstest.TokenOf(t, s.MailedLink(t, known))).To("/")
	})
}
