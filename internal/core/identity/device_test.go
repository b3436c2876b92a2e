package identity_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/core/access/accesstest"
	"github.com/kept-dev/kept/internal/core/identity"
	"github.com/kept-dev/kept/internal/platform/db"
)

const (
	firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
	safari  = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Mobile/15E148 Safari/604.1"

	dutch, german = "193.0.6.139", "130.149.7.201"
)

func signInFrom(t *testing.T, s *accesstest.Stack, ip, agent string) {
	t.Helper()
	_, err := s.Identity.SignIn(t.Context(), identity.SignIn{Email: known, Password: accesstest.Password, Device: identity.Device{IP: ip, UserAgent: agent}})
	if err != nil {
		t.Fatal(err)
	}
}

// mailed sends what is due and returns the subjects of the mails to the person since the last call.
func mailed(t *testing.T, s *accesstest.Stack, seen *int) (subjects []string) {
	t.Helper()
	if _, err := s.Mail.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	all := s.Mailbox.To(known)
	for _, m := range all[:len(all)-*seen] {
		subjects = append(subjects, m.Subject)
	}
	*seen = len(all)
	return subjects
}

// TestNewDeviceIsTold: of the first device there is nothing to tell, of each further one once, and the table does not say
// which devices they are.
func TestNewDeviceIsTold(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		s.Owner(t, known, "W")
		seen := 0
		for i, step := range []struct {
			agent string
			want  string
		}{{firefox, ""}, {firefox, ""}, {safari, "New sign-in"}, {safari, ""}, {firefox, ""}} {
			signInFrom(t, s, dutch, step.agent)
			got := strings.Join(mailed(t, s, &seen), ", ")
			if step.want == "" && got != "" || !strings.Contains(got, step.want) {
				t.Errorf("sign-in %d: %q, want %q", i, got, step.want)
			}
		}
		m := s.Mailbox.To(known)[0]
		if !strings.Contains(m.Text, "Safari on iPhone, Netherlands") || !strings.Contains(m.Text, accesstest.BaseURL+"/account/logins") {
			t.Errorf("the notice says %q", m.Text)
		}
		if n := s.Rows(t, "known_devices"); n != 2 {
			t.Errorf("%d devices are known", n)
		}
		s.Clock.Add(366 * 24 * time.Hour)
		sweep(t, s, "known_devices")
		if n := s.Rows(t, "known_devices"); n != 0 {
			t.Errorf("%d devices are known after a year", n)
		}
	})
}

type watcher struct{ seen []identity.Unusual }

func (w *watcher) UnusualSignIn(_ context.Context, _ *db.Tx, u identity.Unusual) error {
	w.seen = append(w.seen, u)
	return nil
}

// TestUnusualSignInAlerts: a country that is new, or a success after many failures, is mailed to the person, written into
// the audit log and told to whoever watches.
func TestUnusualSignInAlerts(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		s.Owner(t, known, "W")
		w := &watcher{}
		s.Identity.Watch(w)
		seen := 0
		signInFrom(t, s, dutch, firefox)
		signInFrom(t, s, "10.0.0.1", firefox) // a network without a country is no news of a country
		mailed(t, s, &seen)
		if len(w.seen) != 0 {
			t.Fatalf("alerts for the first sign-ins: %+v", w.seen)
		}
		signInFrom(t, s, german, firefox)
		if got := mailed(t, s, &seen); len(got) != 1 || !strings.Contains(got[0], "Unusual sign-in") {
			t.Errorf("mailed %q", got)
		}
		if len(w.seen) != 1 || !w.seen[0].NewCountry || w.seen[0].Place != "Germany" || w.seen[0].Failures != 0 {
			t.Errorf("%+v", w.seen)
		}
		signInFrom(t, s, german, firefox) // known by now
		if got := mailed(t, s, &seen); len(got) != 0 {
			t.Errorf("mailed %q", got)
		}

		s.Clock.Add(time.Minute)
		for i := range 5 {
			guess(t, s, fmt.Sprintf("198.51.100.%d", i), "wrong password")
		}
		s.Clock.Add(time.Minute)
		signInFrom(t, s, german, firefox)
		if len(w.seen) != 2 || w.seen[1].Failures != 5 || w.seen[1].NewCountry {
			t.Errorf("%+v", w.seen)
		}
		mailed(t, s, &seen)
		if m := s.Mailbox.To(known)[0]; !strings.Contains(m.Text, "5 attempts at your account failed") {
			t.Errorf("the notice says %q", m.Text)
		}
		s.Clock.Add(time.Minute)
		signInFrom(t, s, german, firefox) // the failures lie before the last sign-in
		if len(w.seen) != 2 {
			t.Errorf("told twice: %+v", w.seen)
		}
		var n int
		if err := s.DB.QueryRow(t.Context(), `SELECT count(*) FROM audit_events WHERE action = 'login.unusual'`).Scan(&n); err != nil || n != 2 {
			t.Errorf("%d lines in the audit log, %v", n, err)
		}
	})
}

func sweep(t *testing.T, s *accesstest.Stack, table string) {
	t.Helper()
	for _, c := range s.Identity.Collections() {
		if c.Name != table {
			continue
		}
		age, err := c.MaxAge(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Sweep(t.Context(), "", s.Clock.Now().Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
}
