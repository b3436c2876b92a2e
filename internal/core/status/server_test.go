package status

import (
	"strings"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/core/alert"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/db/dbtest"
)

func sqlite(t testing.TB) db.Config { return dbtest.SQLite(t) }

// TestNoticesOfTheServer: what the operator publishes is shown to everybody who is signed in until he hides it, again when
// there is news, and is mailed to each owner once.
func TestNoticesOfTheServer(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		_, theirs, _ := w.Owner(t, "bob@example.org", "Bob's shop")
		w.Join(t, theirs, w.account, "owner") // an owner of two workspaces gets one mail
		n := First(Maintenance)
		n.Title, n.StartsAt, n.EndsAt = "New disks", w.Clock.Now().Add(time.Hour), w.Clock.Now().Add(2*time.Hour)
		if _, err := w.PublishServer(t.Context(), n, "Short breaks."); kernel.CodeOf(err) != kernel.Invalid || !strings.Contains(err.Error(), "--status-workspace") {
			t.Errorf("published where no page speaks for the server: %v", err)
		}
		w.boot(t, w.ws)
		bob, stranger := w.Browser(t, "203.0.113.2").SignIn("bob@example.org"), w.Browser(t, "203.0.113.3")
		bob.Get("/notices").Is(200, "Nothing to tell")
		stranger.Get("/status").Is(404)

		n, err := w.PublishServer(t.Context(), n, "Short breaks.")
		must(t, err)
		if s, err := w.NoticeState(t.Context()); err != nil || !s.Speaks || s.Untold != 0 {
			t.Errorf("at once: %+v, %v", s, err)
		}
		w.Clock.Add(2 * time.Hour)
		if s, err := w.NoticeState(t.Context()); err != nil || s.Untold != 1 {
			t.Errorf("two hours later nobody was told: %+v, %v", s, err)
		}
		w.work(t)
		w.work(t)
		for _, address := range []string{owner, "bob@example.org"} {
			if mails := w.box.To(address); len(mails) != 1 || !strings.Contains(mails[0].Subject, "New disks") || !strings.Contains(mails[0].Text, "Short breaks.") {
				t.Errorf("%d mails to %s, want one", len(mails), address)
			}
		}
		if s, err := w.NoticeState(t.Context()); err != nil || s.Told != 1 || s.Untold != 0 {
			t.Errorf("%+v, %v", s, err)
		}

		const banner = "New disks. Maintenance, planned, 1 March 2026, 13:00 to 14:00 UTC."
		hide := "/notices/" + string(n.ID) + "/hide"
		bob.Get("/notices").Is(200, banner, hide)
		stranger.Get("/sign-in").Is(200).Lacks(banner)
		stranger.Post(hide).Is(303) // to sign in
		bob.Get("/notices").Is(200, "Short breaks.", "Maintenance, planned")
		bob.Post(hide, "back", "/account?x=1").To("/account?x=1")
		bob.Post(hide, "back", "https://evil.example/").To("/")
		bob.Get("/notices").Is(200).Lacks(banner)
		w.Browser(t, "203.0.113.4").SignIn(owner).Get("/notices").Is(200, banner)
		w.Clock.Add(time.Minute)
		must(t, w.TellServer(t.Context(), n.ID, "under way", "We have begun."))
		bob.Get("/notices").Is(200, "New disks. Maintenance, under way")
		outage := First(Incident)
		outage.Title, outage.Impact, outage.StartsAt = "Mail is late", "minor", w.Clock.Now()
		outage, err = w.PublishServer(t.Context(), outage, "A queue is long.")
		must(t, err)
		bob.Get("/notices").Is(200, "Mail is late. Incident, investigating") // the worst first
		w.Clock.Add(time.Minute)
		must(t, w.TellServer(t.Context(), outage.ID, "", "It is short."))
		must(t, w.TellServer(t.Context(), n.ID, "", "Done."))
		bob.Get("/notices").Is(200).Lacks(`class="notice `)
		bob.Get("/notices").Is(200, "Done.", "Before")
		if open, err := w.OpenServer(t.Context()); err != nil || len(open) != 0 {
			t.Errorf("open: %v, %v", open, err)
		}

		w.turnOn(t, "kept")
		stranger.Get("/status").To("/status/kept")
		stranger.Get("/status/kept").Is(200, "New disks", "Done.")
		other := w.incident(t, "Of the page, by a person")
		bob.Get("/notices").Is(200, "Of the page, by a person. Incident")
		must(t, w.Remove(t.Context(), w.ws, other.ID))
		bob.Get("/notices").Is(200).Lacks("Of the page")
		bob.Post("/notices/" + string(other.ID) + "/hide").Is(404)
	})
}

// TestOtherPagesDoNotSpeakForTheServer: what any other workspace publishes is shown to nobody else and mailed to no owner.
func TestOtherPagesDoNotSpeakForTheServer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sqlite(t))
	_, theirs, _ := w.Owner(t, "bob@example.org", "Bob's shop")
	w.boot(t, theirs)
	w.turnOn(t, "acme")
	n := w.incident(t, "Ours alone")
	w.work(t)
	w.Clock.Add(2 * time.Hour)
	if s, err := w.NoticeState(t.Context()); err != nil || s.Untold != 0 || s.Told != 0 || len(w.box.All()) != 0 {
		t.Errorf("owners are owed or were told what was not meant for them: %+v, %d mails, %v", s, len(w.box.All()), err)
	}
	bob := w.Browser(t, "203.0.113.2").SignIn("bob@example.org")
	bob.Get("/notices").Is(200).Lacks("Ours alone")
	bob.Get("/notices").Is(200).Lacks("Ours alone")
	bob.Post("/notices/" + string(n.ID) + "/hide").Is(404)
	if err := w.TellServer(t.Context(), n.ID, "", "x"); kernel.CodeOf(err) != kernel.NotFound {
		t.Error("the operator ended what is not his:", err)
	}
}

// TestIncidentOfAnAlert: one click from the alert makes the incident; it leads back, is made once, and when the alert is over
// the page suggests to say so.
func TestIncidentOfAnAlert(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sqlite(t))
	w.turnOn(t, "acme")
	api := w.part(t, "API")
	ann := w.Browser(t, "203.0.113.2").SignIn(owner)
	home := "/w/" + string(w.ws) + "/status-page"
	a := alert.Alert{ID: kernel.NewID(w.Clock.Now()), Name: "HostDown", Severity: "critical", State: alert.Firing, StartedAt: w.Clock.Now().Add(-time.Minute),
		Annotations: map[string]string{"summary": "web-1 does not answer"}}
	w.alerts[a.ID] = a
	fresh := home + "/incidents/new?alert=" + string(a.ID)
	ann.Get(home + "/incidents/new?alert=" + string(kernel.NewID(w.Clock.Now()))).Is(404)
	ann.Get(fresh).Is(200, "HostDown", "web-1 does not answer", `value="`+string(a.ID)+`"`, `value="critical" selected`)
	form := []string{"kind", "incident", "alert", string(a.ID), "title", "Our site is down", "impact", "critical", "state", "investigating", "component", string(api),
		"starts", w.Clock.Now().Format(localTime), "text", "We look into it."}
	made := ann.Post(home+"/incidents", form...)
	one := strings.TrimSuffix(made.Header.Get("Location"), "?done=published")
	made.To(one + "?done=published")
	ann.Get(fresh).To(one)
	if link, err := w.ToldOf(t.Context(), w.ws, a.ID); err != nil || link == nil || link.Href != one || link.Label != "Our site is down (investigating)" {
		t.Errorf("the alert leads to %v, %v", link, err)
	}
	ann.Get(one).Is(200, "Made from the alert", "HostDown, firing", "/alerts/a/"+string(a.ID)).Lacks("The alert is over")
	w.Browser(t, "203.0.113.3").Get("/status/acme").Is(200, "Our site is down", "broken").Lacks("HostDown", "web-1")
	a.State = alert.Resolved
	w.alerts[a.ID] = a
	ann.Get(one).Is(200, "The alert is over", `value="resolved" selected`)
	ann.Post(one, "state", "resolved", "text", "It is back.").To(one + "?done=told")
	ann.Get(one).Is(200, "HostDown, resolved").Lacks("The alert is over")
	w.Browser(t, "203.0.113.3").Get("/status/acme").Is(200, "Everything works")
	delete(w.alerts, a.ID)
	ann.Get(one).Is(200, "Our site is down").Lacks("Made from")
	form[3] = string(kernel.NewID(w.Clock.Now())) // of nobody, or of another workspace
	ann.Post(home+"/incidents", form...).Is(404)
}
