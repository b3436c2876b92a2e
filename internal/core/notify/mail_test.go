package notify

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/core/access/accesstest"
	"github.com/kept-dev/kept/internal/core/workspace"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db/dbtest"
)

// inbox sends what is due and returns the newest mail to an address.
func (w *world) inbox(t testing.TB, address string) (subjects []string, newest string, thread string) {
	t.Helper()
	if _, err := w.mail.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, m := range w.box.To(address) {
		subjects = append(subjects, m.Subject)
		if newest == "" {
			newest, thread = m.Text, m.Thread
		}
	}
	return subjects, newest, thread
}

var confirmLink = regexp.MustCompile(`https://kept\.example(/notify/confirm\?token=\S+)`)

// TestMailOnlyToWhoAgreed: members get mail at once, others when they have opened a link and said yes, nobody for an
// address that somebody entered. What belongs together is one thread.
func TestMailOnlyToWhoAgreed(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		const guest, stranger = "guest@example.net", "stranger@example.net"
		b := w.Browser(t, "192.0.2.1").SignIn(owner)
		base := "/w/" + string(w.ws) + "/channels"
		b.Post(base, "kind", "email", "name", "Mail", "resolved", "on", "addresses", owner+"\n"+guest+", "+stranger)
		list, err := w.Channels(t.Context(), w.ws)
		if err != nil || len(list) != 1 {
			t.Fatal(list, err)
		}
		c := list[0]
		b.Get(base+"/"+string(c.ID)).Is(200, "yes, a member", "Ask again")
		n, one := w.notifier(t, c.ID), w.firing("HostDown", "host", "web-1")
		if _, err := n.Notify(w.pipeline(t, "g"), one); err != nil {
			t.Fatal(err)
		}
		d := w.deliveries(t, c)
		if d[0].State != stateQueued || !strings.Contains(d[0].Attempts[0].Text, "2 of the addresses") {
			t.Errorf("%+v", d[0])
		}
		subjects, text, first := w.inbox(t, owner)
		if len(subjects) != 1 || subjects[0] != "Firing: HostDown on web-1" || first == "" {
			t.Fatalf("%q in thread %q", subjects, first)
		}
		for _, want := range []string{"HostDown (critical)", "host=web-1", "Value 93.2 %", "/alerts/" + one.Fingerprint().String(), "silence"} {
			if !strings.Contains(text, want) {
				t.Errorf("no %q in\n%s", want, text)
			}
		}
		subjects, text, _ = w.inbox(t, guest)
		link := confirmLink.FindStringSubmatch(text)
		if len(subjects) != 1 || link == nil {
			t.Fatalf("%q\n%s", subjects, text)
		}
		other := w.Browser(t, "192.0.2.9")
		other.Get(link[1]).Is(200, "Do you want alerts of Acme?", guest)
		w.Clock.Add(time.Second)
		if _, err := n.Notify(w.pipeline(t, "g"), w.over(one)); err != nil { // having looked is not having agreed
			t.Fatal(err)
		}
		if subjects, _, thread := w.inbox(t, owner); len(subjects) != 2 || subjects[0] != "Resolved: HostDown on web-1" || thread != first {
			t.Errorf("%q, thread %q after %q", subjects, thread, first)
		}
		token := link[1][strings.Index(link[1], "=")+1:]
		other.Post("/notify/confirm", "token", token).Is(200, "Agreed")
		other.Get(link[1]).Is(200, "Agreed")
		other.Post("/notify/confirm", "token", strings.Repeat("x", 43)).Is(404)
		w.Clock.Add(time.Second)
		if _, err := n.Notify(w.pipeline(t, "g"), one); err != nil {
			t.Fatal(err)
		}
		if subjects, _, _ := w.inbox(t, guest); len(subjects) != 2 {
			t.Errorf("the guest agreed and has %q", subjects)
		}
		if subjects, _, _ := w.inbox(t, stranger); len(subjects) != 1 || !strings.Contains(subjects[0], "Do you want alerts") {
			t.Errorf("the stranger has %q", subjects)
		}
		b.Post(base+"/"+string(c.ID), "name", "Mail", "addresses", owner).To(base + "/" + string(c.ID) + "?done=saved")
		b.Post(base+"/"+string(c.ID), "name", "Mail", "addresses", owner+"\n"+guest).To(base + "/" + string(c.ID) + "?done=saved")
		other.Get(link[1]).Is(404) // taken off the channel, consent is over
		if rs, _ := w.recipients(t.Context(), must(w.Channel(t.Context(), w.ws, c.ID))(t)); rs[1].Confirmed {
			t.Error("consent outlives its channel")
		}
		w.FindNowhere(t, guest, stranger)
	})
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// TestNobodyIsFlooded: one address is asked three times a day at most, whatever channels come and go.
func TestNobodyIsFlooded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dbtest.SQLite(t))
	b := w.Browser(t, "192.0.2.1").SignIn(owner)
	base := "/w/" + string(w.ws) + "/channels"
	for i := range 6 {
		b.Post(base, "kind", "email", "name", fmt.Sprint("Mail ", i), "addresses", "victim@example.net")
		list, _ := w.Channels(t.Context(), w.ws)
		b.Post(base + "/" + string(list[0].ID) + "/ask")
		b.Post(base + "/" + string(list[0].ID) + "/delete").To(base + "?deleted=" + string(list[0].ID))
	}
	if subjects, _, _ := w.inbox(t, "victim@example.net"); len(subjects) != maxAsked {
		t.Errorf("%d mails", len(subjects))
	}
}

// account2 makes an account without a workspace.
func (w *world) account2(t testing.TB, email string) kernel.AccountID {
	t.Helper()
	a, _, err := w.Identity.EnsureAccount(t.Context(), email, accesstest.Password)
	if err != nil {
		t.Fatal(err)
	}
	return a.ID
}

// TestOnlyWhatIsWanted: a channel that does not want to hear of ends does not, and an attempt that nobody follows up counts
// as failed.
func TestOnlyWhatIsWanted(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		p := w.connect(t)
		c := w.setUp(t, "slack")
		if _, err := w.Update(t.Context(), w.ws, c.ID, Edit{Name: c.Name}); err != nil {
			t.Fatal(err)
		}
		n, one := w.notifier(t, c.ID), w.firing("HostDown", "host", "web-1")
		two := w.firing("HostDown", "host", "web-2")
		if _, err := n.Notify(w.pipeline(t, "g"), w.over(one)); err != nil || p.asked != 0 {
			t.Errorf("%v, asked %d times", err, p.asked)
		}
		if _, err := n.Notify(w.pipeline(t, "g"), w.over(one), two); err != nil || p.all()[0].Title != "Firing: HostDown on web-2" {
			t.Errorf("%v, %+v", err, p.all())
		}
		p.set(http.StatusBadGateway, "")
		w.Clock.Add(time.Second)
		n.Notify(w.pipeline(t, "g"), two)
		count := func(state string) int {
			list, _, err := w.Deliveries(t.Context(), w.ws, DeliveryFilter{State: state})
			if err != nil {
				t.Fatal(err)
			}
			return len(list)
		}
		if count(stateRetrying) != 1 || count(stateFailed) != 0 {
			t.Error("it is not to be tried again")
		}
		w.Clock.Add(givenUp + time.Second)
		if count(stateRetrying) != 0 || count(stateFailed) != 1 || count(stateSent) != 1 {
			t.Error("it is tried for ever")
		}
	})
}

// TestOwnersHearOfAlerts: without any channel there is one.
func TestOwnersHearOfAlerts(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		bob := w.account2(t, "bob@example.org")
		w.Join(t, w.ws, bob, workspace.RoleViewer)
		if list, err := w.Channels(t.Context(), w.ws); err != nil || len(list) != 0 {
			t.Fatal(list, err)
		}
		if _, err := w.notifier(t, Owners).Notify(w.pipeline(t, "g"), w.firing("HostDown", "host", "web-1")); err != nil {
			t.Fatal(err)
		}
		if subjects, _, _ := w.inbox(t, owner); len(subjects) != 1 {
			t.Errorf("the owner has %q", subjects)
		}
		if subjects, _, _ := w.inbox(t, "bob@example.org"); len(subjects) != 0 {
			t.Errorf("a viewer has %q", subjects)
		}
		b := w.Browser(t, "192.0.2.1").SignIn(owner)
		base := "/w/" + string(w.ws) + "/channels"
		b.Get(base).Is(200, "Owners and admins", "queued")
		c := must(w.Channel(t.Context(), w.ws, Owners))(t)
		b.Post(base + "/" + string(c.ID) + "/delete").Is(409)
		b.Post(base + "/" + string(c.ID) + "/off").To(base + "/" + string(c.ID) + "?done=off")
		if again, err := w.notifier(t, Owners).Notify(w.pipeline(t, "g"), w.firing("HostDown")); err == nil || again {
			t.Error("a channel that is off sends")
		}
	})
}
