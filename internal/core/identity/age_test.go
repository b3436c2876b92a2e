package identity_test

import (
	"strings"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/core/access/accesstest"
	"github.com/kept-dev/kept/internal/core/identity"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/db/dbtest"
)

// eachWith is accesstest.Each with other settings of identity.
func eachWith(t *testing.T, change func(*identity.Deps), f func(t *testing.T, s *accesstest.Stack)) {
	t.Helper()
	dbtest.EachConfig(t, func(t *testing.T, cfg db.Config) { f(t, accesstest.New(t, cfg, change)) })
}

func adults(d *identity.Deps) { d.MinAge = 18 }

func newcomer(t *testing.T, s *accesstest.Stack, b *accesstest.Browser) (token string) {
	t.Helper()
	b.Post("/sign-up", "email", unknown).Is(200)
	return accesstest.TokenOf(t, s.MailedLink(t, unknown))
}

// TestMinimumAgeIsEnforced: the clock stands at 1 March 2026, so who was born on 1 March 2008 is 18 today and who was born
// the day after is not. Of somebody who is too young nothing stays.
func TestMinimumAgeIsEnforced(t *testing.T) {
	eachWith(t, adults, func(t *testing.T, s *accesstest.Stack) {
		b := s.Browser(t, "192.0.2.1")
		token := newcomer(t, s, b)
		b.Get("/sign-up/finish?token="+token).Is(200, "Date of birth", "18 or older")
		finish := func(born string) accesstest.Answer {
			t.Helper()
			return b.Post("/sign-up/finish", "token", token, "name", "Kim Young", "password", fresh, "born", born)
		}
		for _, nonsense := range []string{"", "yesterday", "2026-03-02", "1850-01-01", "2001-02-30"} {
			finish(nonsense).Is(422, "day on which you were born", `value="Kim Young"`)
		}
		finish("2008-03-02").Is(403, "at least 18 years old", "Nothing that you entered was kept")
		finish("2000-01-01").Is(404, "works no more") // the link is used up: no second guess
		if s.Rows(t, "accounts") != 0 || b.Token != "" {
			t.Error("an account was made")
		}
		s.FindNowhere(t, "Kim Young", "2008-03-02")

		token = newcomer(t, s, b)
		finish("2008-03-01").To("/")
		b.Get("/account").Is(200)
		s.FindNowhere(t, "2008-03-01")
		if a, err := s.Identity.ByEmail(t.Context(), unknown); err != nil || a.AgeMet != 18 {
			t.Errorf("%+v, %v", a, err)
		}
	})
}

// TestHigherAgeIsAskedAtNextSignIn: an account from before an app with a higher limit was switched on signs in only after
// telling the age, whichever way of signing in it is.
func TestHigherAgeIsAskedAtNextSignIn(t *testing.T) {
	eachWith(t, adults, func(t *testing.T, s *accesstest.Stack) {
		account, _, _ := s.Owner(t, known, "W")
		lower := func() {
			t.Helper()
			err := s.DB.Tx(t.Context(), func(tx *db.Tx) error {
				_, err := tx.Exec(t.Context(), `UPDATE accounts SET age_met = 16 WHERE id = $1`, account)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		b := s.Browser(t, "192.0.2.1")
		b.Get("/sign-in/age").To("/sign-in") // nothing waits
		lower()
		signIn := func() {
			t.Helper()
			b.Post("/sign-in", "email", known, "password", accesstest.Password, "next", "/account").To("/sign-in/age?next=%2Faccount")
		}
		signIn()
		b.Get("/account").To("/sign-in?next=%2Faccount") // nobody is signed in
		b.Get("/sign-in?next=%2Faccount").To("/sign-in/age?next=%2Faccount")
		b.Get("/sign-in/age?next=%2Faccount").Is(200, "How old are you?", "Date of birth")
		b.Post("/sign-in/age", "born", "soon", "next", "/account").Is(422)
		waiting := b.Token
		b.Post("/sign-in/age", "born", "2010-01-01", "next", "/account").Is(403, "at least 18")
		b.Token = waiting
		b.Post("/sign-in/age", "born", "2000-01-01").To("/sign-in") // used up
		if n, err := s.Identity.Underage(t.Context()); err != nil || n != 0 || s.Rows(t, "logins") != 0 {
			t.Errorf("%d logins of people who are too young, %v", n, err)
		}
		signIn()
		b.Post("/sign-in/age", "born", "2000-01-01", "next", "/account").To("/account")
		b.Get("/account").Is(200)
		b.Post("/sign-out")
		b.Post("/sign-in", "email", known, "password", accesstest.Password).To("/") // asked once

		lower()
		link, err := s.Identity.CreateOneTimeLink(t.Context(), account, "/account", time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		b.Post("/sign-in/link", "token", accesstest.TokenOf(t, link)).To("/sign-in/age?next=%2Faccount")
		if n, err := s.Identity.Underage(t.Context()); err != nil || n != 0 {
			t.Errorf("the login from before still lives: %d, %v", n, err)
		}
		_, err = s.Identity.SignIn(t.Context(), identity.SignIn{Email: known, Password: accesstest.Password, Device: identity.Device{Kind: identity.KindMobile}})
		if kernel.CodeOf(err) != kernel.Forbidden {
			t.Errorf("an app on a phone gets %v", err)
		}
	})
}

func TestWithoutMinimumAgeNobodyIsAsked(t *testing.T) {
	t.Parallel()
	s := accesstest.New(t, dbtest.SQLite(t))
	b := s.Browser(t, "192.0.2.1")
	token := newcomer(t, s, b)
	b.Get("/sign-up/finish?token=" + token).Is(200).Lacks("Date of birth")
	b.Post("/sign-up/finish", "token", token, "password", fresh).To("/")
}

// TestLocationFromAddressIsEditable: the country of the network is offered and, where an app has a use for it, noted at
// sign-up; the person can type another, take it again, or remove it.
func TestLocationFromAddressIsEditable(t *testing.T) {
	eachWith(t, func(d *identity.Deps) { d.Locate = true }, func(t *testing.T, s *accesstest.Stack) {
		b := s.Browser(t, "193.0.6.139") // RIPE NCC, in the Netherlands
		b.Post("/sign-up/finish", "token", newcomer(t, s, b), "password", fresh).To("/")
		b.Get("/account").Is(200, `value="Netherlands"`, "taken from your network", "IP2Location LITE", "CC BY-SA 4.0")
		b.Post("/account/location", "location", "  Leiden,  near the canal ").To("/account?done=location")
		b.Get("/account").Is(200, `value="Leiden, near the canal"`, "Use the country of my network: Netherlands").Lacks("taken from your network")
		b.Post("/account/location", "location", strings.Repeat("x", 101)).Is(422, "at most 100")
		b.Post("/account/location", "from", "network").To("/account?done=location")
		b.Get("/account").Is(200, `value="Netherlands"`)
		b.Post("/account/location", "location", "").To("/account?done=unlocated")
		b.Get("/account").Is(200).Lacks(`value="Netherlands"`, "Remove my location")
		inside := s.Browser(t, "10.0.0.7")
		inside.Token = b.Token
		inside.Get("/account").Is(200).Lacks("Use the country of my network")
		inside.Post("/account/location", "from", "network").Is(422, "not known")
		if a, err := s.Identity.ByEmail(t.Context(), unknown); err != nil || a.Location != "" || a.LocatedBy != "" {
			t.Errorf("%+v, %v", a, err)
		}
	})
}

func TestLocationIsNotInferredWithoutUse(t *testing.T) {
	t.Parallel()
	s := accesstest.New(t, dbtest.SQLite(t))
	b := s.Browser(t, "193.0.6.139")
	b.Post("/sign-up/finish", "token", newcomer(t, s, b), "password", fresh).To("/")
	if a, err := s.Identity.ByEmail(t.Context(), unknown); err != nil || a.Location != "" {
		t.Errorf("%+v, %v", a, err)
	}
}
