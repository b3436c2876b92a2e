package identity_test

import (
	"sync"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/core/access/accesstest"
	"github.com/kept-dev/kept/internal/core/identity"
	"github.com/kept-dev/kept/internal/core/privacy"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
)

func guess(t *testing.T, s *accesstest.Stack, ip, password string) kernel.Code {
	t.Helper()
	_, err := s.Identity.SignIn(t.Context(), identity.SignIn{Email: known, Password: password, Device: identity.Device{IP: ip}})
	return kernel.CodeOf(err)
}

func TestGuessingSlowsDown(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		s.Owner(t, known, "W")
		for i := range 5 {
			if code := guess(t, s, "198.51.100.66", "wrong"); code != kernel.Invalid {
				t.Fatalf("guess %d: %s", i, code)
			}
		}
		if code := guess(t, s, "198.51.100.66", accesstest.Password); code != kernel.Limited {
			t.Errorf("the sixth, right, guess: %q", code)
		}
		if code := guess(t, s, "192.0.2.1", accesstest.Password); code != "" {
			t.Errorf("the person, from another network: %s", code)
		}
		s.Clock.Add(5 * time.Second)
		if code := guess(t, s, "198.51.100.66", "wrong"); code != kernel.Invalid {
			t.Errorf("after the wait: %s", code)
		}
		s.Clock.Add(5 * time.Second)
		if code := guess(t, s, "198.51.100.66", "wrong"); code != kernel.Limited {
			t.Errorf("the wait did not grow: %s", code)
		}
		s.Clock.Add(time.Hour)
		if code := guess(t, s, "198.51.100.66", accesstest.Password); code != "" {
			t.Errorf("after an hour: %s", code)
		}
	})
}

func TestSuccessForgetsOnesOwnMistakes(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		s.Owner(t, known, "W")
		for range 3 {
			for range 4 {
				guess(t, s, "192.0.2.1", "wrong")
			}
			if code := guess(t, s, "192.0.2.1", accesstest.Password); code != "" {
				t.Fatal(code)
			}
		}
	})
}

// fill makes failures without waiting for the hashes.
func fill(t *testing.T, s *accesstest.Stack, scope string, subject []byte, n int) {
	t.Helper()
	err := s.DB.Tx(t.Context(), func(tx *db.Tx) error {
		_, err := tx.Exec(t.Context(), `INSERT INTO identity_attempts (scope, subject_hash, failures, first_at, last_at) VALUES ($1, $2, $3, $4, $4)
			ON CONFLICT (scope, subject_hash) DO UPDATE SET failures = excluded.failures`,
			scope, subject, n, kernel.Micros(tx.Now()))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestNobodyIsLockedOut: a botnet that guesses at one account is stopped, and the person still gets in, from where the
// person was before and by mail from anywhere.
func TestNobodyIsLockedOut(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		s.Owner(t, known, "W")
		s.Browser(t, "192.0.2.1").SignIn(known)
		fill(t, s, "account", identity.AccountSubject(known), 1000)
		if code := guess(t, s, "203.0.113.5", accesstest.Password); code != kernel.Limited {
			t.Errorf("from a new network: %q", code)
		}
		if code := guess(t, s, "192.0.2.1", accesstest.Password); code != "" {
			t.Errorf("from a known network: %s", code)
		}
		s.MailedLink(t, known) // the notice of that sign-in
		s.Clock.Add(time.Second)
		b := s.Browser(t, "203.0.113.5")
		b.Post("/reset-password", "email", known).Is(200)
		b.Post("/reset-password/new", "token", accesstest.TokenOf(t, s.MailedLink(t, known)), "password", fresh).To("/sign-in?done=reset")
	})
}

func TestNetworkLimit(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		s.Owner(t, known, "W")
		fill(t, s, "network", identity.NetworkSubject("2001:db8::1"), 30)
		if code := guess(t, s, "2001:db8::ffff", accesstest.Password); code != kernel.Limited {
			t.Errorf("another address of the same /64: %q", code)
		}
		if code := guess(t, s, "2001:db8:0:1::1", accesstest.Password); code != "" {
			t.Errorf("another /64: %s", code)
		}
		s.Clock.Add(15 * time.Minute)
		if code := guess(t, s, "2001:db8::ffff", accesstest.Password); code != "" {
			t.Errorf("after the window: %s", code)
		}
	})
}

// TestManyGuessesAtOnce: the throttle cannot be outrun by sending all guesses in one moment.
func TestManyGuessesAtOnce(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		s.Owner(t, known, "W")
		var wg sync.WaitGroup
		for range 24 {
			wg.Go(func() { guess(t, s, "198.51.100.66", "wrong") })
		}
		wg.Wait()
		var failures int
		err := s.DB.QueryRow(t.Context(), `SELECT failures FROM identity_attempts WHERE scope = 'pair'`).Scan(&failures)
		if err != nil || failures > 5+2 {
			t.Errorf("%d guesses got through, %v", failures, err)
		}
	})
}

func TestThrottledPageSaysWhenAndKeepsTheAddress(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		s.Owner(t, known, "W")
		b := s.Browser(t, "192.0.2.1")
		for range 5 {
			b.Post("/sign-in", "email", known, "password", "wrong").Is(422)
		}
		a := b.Post("/sign-in", "email", known, "password", "wrong").Is(429, `value="`+known+`"`, "reset your password by mail")
		if a.Header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
	})
}

// TestDataMapMatchesTheSchema compares what the core modules declare with what is there.
func TestDataMapMatchesTheSchema(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		live, err := s.DB.Columns(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		delete(live, "schema_versions")
		var all []privacy.Collection
		for _, m := range []any{s.Audit, s.Mail, s.Identity, s.Workspaces, s.Access, s.Proof, s.Federation, s.SCIM} {
			if c, ok := m.(interface{ Collections() []privacy.Collection }); ok {
				all = append(all, c.Collections()...)
			}
		}
		for _, c := range all {
			declared := map[string]bool{}
			for _, f := range c.Fields {
				declared[f.Name] = true
			}
			for _, column := range live[c.Name] {
				if !declared[column] {
					t.Errorf("%s.%s is not declared", c.Name, column)
				}
				delete(declared, column)
			}
			for left := range declared {
				t.Errorf("%s.%s is declared and does not exist", c.Name, left)
			}
			delete(live, c.Name)
			exercise(t, c)
		}
		for table := range live {
			t.Errorf("table %s is not declared", table)
		}
	})
}

// exercise runs every function of a declaration, because a query with a mistake in it shows only then.
func exercise(t *testing.T, c privacy.Collection) {
	t.Helper()
	for _, ws := range []kernel.WorkspaceID{"", "01hzzzzzzzzzzzzzzzzzzzzzzz"} {
		if c.Oldest != nil {
			if _, err := c.Oldest(t.Context(), ws); err != nil {
				t.Errorf("%s: oldest: %v", c.Name, err)
			}
		}
		if c.Count != nil {
			if _, err := c.Count(t.Context(), ws); err != nil {
				t.Errorf("%s: count: %v", c.Name, err)
			}
		}
		if c.Sweep != nil {
			if _, err := c.Sweep(t.Context(), ws, time.Unix(0, 0)); err != nil {
				t.Errorf("%s: sweep: %v", c.Name, err)
			}
		}
	}
	if (c.Sweep == nil) != (c.MaxAge == nil) {
		t.Errorf("%s: Sweep and MaxAge belong together", c.Name)
	}
}

func TestSweepsRemoveWhatIsOver(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		s.Owner(t, known, "W")
		b := s.Browser(t, "192.0.2.1").SignIn(known)
		b.Post("/sign-up", "email", unknown)
		b.Post("/reset-password", "email", unknown)
		guess(t, s, "198.51.100.66", "wrong")
		s.Clock.Add(366 * 24 * time.Hour) // what is kept longest is the list of known devices
		for _, c := range s.Identity.Collections() {
			if c.Sweep == nil {
				continue
			}
			age, err := c.MaxAge(t.Context(), "")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.Sweep(t.Context(), "", s.Clock.Now().Add(-age)); err != nil {
				t.Fatal(err)
			}
			if n := s.Rows(t, c.Name); n != 0 {
				t.Errorf("%d rows of %s are left", n, c.Name)
			}
		}
	})
}
