package identity_test

import (
	"strings"
	"testing"

	"github.com/kept-dev/kept/internal/core/access/accesstest"
)

const known, unknown = "Ann@example.org", "nobody@example.org"

// tables are what the forms write to. An answer that writes more for a known address takes longer.
var tables = []string{"identity_tokens", "mail_outbox", "identity_attempts", "audit_events", "accounts", "logins"}

type traceOf struct {
	status  int
	body    string
	rows    map[string]int
	hashing int64
}

// trace sends a form about an address and notes all that a stranger could see, and the work behind it.
func trace(t *testing.T, s *accesstest.Stack, path, email string, more ...string) traceOf {
	t.Helper()
	before, hashed := map[string]int{}, s.Identity.HashRuns()
	for _, table := range tables {
		before[table] = s.Rows(t, table)
	}
	b := s.Browser(t, "192.0.2.1")
	a := b.Post(path, append([]string{"email", email}, more...)...)
	if b.Token != "" {
		t.Fatal("a stranger got a login")
	}
	out := traceOf{a.Status, strings.ReplaceAll(a.Body, email, "ADDRESS"), map[string]int{}, s.Identity.HashRuns() - hashed}
	for _, table := range tables {
		out.rows[table] = s.Rows(t, table) - before[table]
	}
	return out
}

func sameTrace(t *testing.T, a, b traceOf) {
	t.Helper()
	if a.status != b.status {
		t.Errorf("known: %d, unknown: %d", a.status, b.status)
	}
	if a.body != b.body {
		t.Errorf("the pages differ:\n%s\n---\n%s", a.body, b.body)
	}
	for table := range a.rows {
		if a.rows[table] != b.rows[table] {
			t.Errorf("%s: %d rows for a known address, %d for an unknown one", table, a.rows[table], b.rows[table])
		}
	}
	if a.hashing != b.hashing {
		t.Errorf("%d hashes for a known address, %d for an unknown one", a.hashing, b.hashing)
	}
}

func TestEnumerationBySignUp(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		s.Owner(t, known, "W")
		sameTrace(t, trace(t, s, "/sign-up", known), trace(t, s, "/sign-up", unknown))
		if link := s.MailedLink(t, known); link != "/reset-password." && link != "/sign-in" {
			t.Errorf("the owner of a known address is mailed %q", link)
		}
		if link := s.MailedLink(t, unknown); !strings.HasPrefix(link, "/sign-up/finish?token=") {
			t.Errorf("an unknown address is mailed %q", link)
		}
	})
}

func TestEnumerationByReset(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		s.Owner(t, known, "W")
		sameTrace(t, trace(t, s, "/reset-password", known), trace(t, s, "/reset-password", unknown))
		s.MailedLink(t, known)
		if mails := s.Mailbox.To(unknown); len(mails) != 0 {
			t.Errorf("a stranger was mailed: %+v", mails)
		}
	})
}

func TestEnumerationByMailedLink(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		s.Owner(t, known, "W")
		sameTrace(t, trace(t, s, "/sign-in/with-link", known, "next", "/account"), trace(t, s, "/sign-in/with-link", unknown, "next", "/account"))
		if link := s.MailedLink(t, known); !strings.HasPrefix(link, "/sign-in/link?token=") {
			t.Errorf("a known address is mailed %q", link)
		}
		if mails := s.Mailbox.To(unknown); len(mails) != 0 {
			t.Errorf("a stranger was mailed: %+v", mails)
		}
	})
}

func TestEnumerationBySignIn(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		s.Owner(t, known, "W")
		trace(t, s, "/sign-in", "third@example.org", "password", "wrong") // the network's own count begins
		a := trace(t, s, "/sign-in", known, "password", "not the password")
		b := trace(t, s, "/sign-in", unknown, "password", "not the password")
		sameTrace(t, a, b)
		if a.hashing != 1 || a.status != 422 {
			t.Errorf("got %d hashes and status %d", a.hashing, a.status)
		}
	})
}

// TestEnumerationBySignUpThenSignIn: a password that a stranger chose must not tell whether the sign-up was new.
func TestEnumerationBySignUpThenSignIn(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		s.Owner(t, known, "W")
		for _, email := range []string{known, unknown} {
			trace(t, s, "/sign-up", email, "password", "chosen by a stranger")
		}
		trace(t, s, "/sign-in", "third@example.org", "password", "wrong") // the network's own count begins
		sameTrace(t, trace(t, s, "/sign-in", known, "password", "chosen by a stranger"),
			trace(t, s, "/sign-in", unknown, "password", "chosen by a stranger"))
	})
}

// TestEnumerationByThrottle: the limit is reached by known and unknown addresses alike.
func TestEnumerationByThrottle(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		s.Owner(t, known, "W")
		for range 5 {
			trace(t, s, "/sign-in", known, "password", "wrong")
			trace(t, s, "/sign-in", unknown, "password", "wrong")
		}
		a, b := trace(t, s, "/sign-in", known, "password", "wrong"), trace(t, s, "/sign-in", unknown, "password", "wrong")
		sameTrace(t, a, b)
		if a.status != 429 || a.hashing != 0 {
			t.Errorf("status %d and %d hashes after five failures", a.status, a.hashing)
		}
		for range 8 {
			trace(t, s, "/reset-password", known)
			trace(t, s, "/reset-password", unknown)
		}
		sameTrace(t, trace(t, s, "/reset-password", known), trace(t, s, "/reset-password", unknown))
	})
}

// TestMailIsThrottledPerAddress: nobody can use the forms to flood somebody's inbox.
func TestMailIsThrottledPerAddress(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		s.Owner(t, known, "W")
		for range 10 {
			s.Browser(t, "192.0.2.1").Post("/reset-password", "email", known).Is(200)
			s.Browser(t, "192.0.2.2").Post("/sign-up", "email", known).Is(200)
		}
		s.MailedLink(t, known)
		if n := len(s.Mailbox.To(known)); n != 5 {
			t.Errorf("%d mails in one hour, want 5", n)
		}
	})
}

// TestTimingOfUnknownAddresses counts the work behind an answer, which is what its time tells: the same number of password
// hashes (the dear part) and of rows written, for an address that has an account and for one that has none.
func TestTimingOfUnknownAddresses(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		s.Owner(t, known, "W")
		trace(t, s, "/sign-in", "third@example.org", "password", "wrong") // the network's own count begins
		for path, fields := range map[string][]string{
			"/sign-in": {"password", "not the password"}, "/sign-up": nil, "/reset-password": nil, "/sign-in/with-link": {"next", "/"},
		} {
			a, b := trace(t, s, path, known, fields...), trace(t, s, path, unknown, fields...)
			if a.hashing != b.hashing {
				t.Errorf("%s: %d hashes for a known address, %d for an unknown one", path, a.hashing, b.hashing)
			}
			for table := range a.rows {
				if a.rows[table] != b.rows[table] {
					t.Errorf("%s: %d rows of %s for a known address, %d for an unknown one", path, a.rows[table], table, b.rows[table])
				}
			}
		}
	})
}
