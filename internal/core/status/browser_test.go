package status

import (
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/kept-dev/kept/internal/core/access/accesstest"
	"github.com/kept-dev/kept/internal/core/alert"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/ui/uitest"
)

// quarter fills a page with what three months bring: incidents, maintenance under way and planned, a security update.
func (w *world) quarter(t testing.TB) (open Notice) {
	t.Helper()
	api, web, mail := w.part(t, "API"), w.part(t, "Web application"), w.part(t, "Mail and notifications")
	w.part(t, "Payments")
	day := 24 * time.Hour
	add := func(kind, title, impact, first, last string, lasts time.Duration, parts ...kernel.ID) Notice {
		n := First(kind)
		n.Title, n.Impact, n.StartsAt, n.Components = title, impact, w.Clock.Now(), parts
		if kind == Maintenance {
			n.EndsAt = n.StartsAt.Add(lasts)
		}
		n, err := w.Publish(t.Context(), w.ws, n, first)
		must(t, err)
		if last != "" {
			w.Clock.Add(lasts)
			must(t, w.Tell(t.Context(), w.ws, n.ID, over(kind), last))
		}
		return n
	}
	w.Clock.Add(20 * day)
	add(Incident, "Some mail was late", "minor", "Mail waits for up to ten minutes.", "All mail is out. A provider had throttled us; we have spread the load over two.", 3*time.Hour, mail)
	w.Clock.Add(25 * day)
	add(Incident, "The API did not answer", "critical", "Requests fail. We look into it.", "A certificate had run out. It is renewed, and an alert fires 14 days ahead from now on.", 47*time.Minute, api, web)
	w.Clock.Add(12 * day)
	add(Maintenance, "New database version", "", "Short breaks of a minute each.", "Done, in 40 minutes.", 40*time.Minute, api)
	w.Clock.Add(20 * day)
	planned := First(Maintenance)
	planned.Title, planned.StartsAt, planned.EndsAt, planned.Components = "Move to new disks", w.Clock.Now().Add(2*day), w.Clock.Now().Add(2*day+time.Hour), []kernel.ID{web}
	_, err := w.Publish(t.Context(), w.ws, planned, "Pages can be slow for an hour. Nothing has to be done.")
	must(t, err)
	open = add(Incident, "Payments are slow", "major", "Some payments take up to a minute. We look into it.", "", 0, api, mail)
	w.Clock.Add(25 * time.Minute)
	must(t, w.Tell(t.Context(), w.ws, open.ID, "identified", "A database has run out of connections. We are adding some.\n\nNo payment is lost."))
	w.Clock.Add(10 * time.Minute)
	return open
}

// TestStatusPagesInABrowser looks at every page with three months of data, and goes the ways of a visitor and of a member
// with scripts off where a form is all there is.
func TestStatusPagesInABrowser(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sqlite(t))
	p := w.turnOn(t, "acme")
	p.Title, p.About = "Acme status", "How our shop and its interfaces are. Questions: support@acme.example."
	must(t, w.SavePage(t.Context(), p))
	w.boot(t, w.ws)
	open := w.quarter(t)
	w.Clock.Add(time.Second)
	must(t, w.SubscribeWebhook(t.Context(), p, hookURL))
	exec(t, w, `UPDATE status_subscribers SET confirmed_at = created_at, failing_at = created_at, failures = 3`)
	a := alert.Alert{ID: kernel.NewID(w.Clock.Now()), Name: "PaymentsSlow", Severity: "warning", State: alert.Resolved, StartedAt: w.Clock.Now()}
	w.alerts[a.ID] = a
	exec(t, w, `UPDATE status_notices SET alert_id = $1 WHERE id = $2`, string(a.ID), string(open.ID))
	w.changed()

	server := httptest.NewServer(w.Mux)
	t.Cleanup(server.Close)
	base, home := server.URL, server.URL+"/w/"+string(w.ws)+"/status-page"
	page := uitest.Start(t).Open(t, base+"/status/acme")
	wait := func(text string) { t.Helper(); page.Wait(t, "document.body.textContent.includes(`"+text+"`)") }
	glance := func(name string) { // at pages that are like others
		t.Helper()
		if os.Getenv(uitest.Shots) != "" {
			page.Look(t, name)
		}
		page.Axe(t)
	}
	keyboard := func(name string) {
		t.Helper()
		page.FocusOrder(t, 80)
		if missed := page.Unreached(t); len(missed) > 0 {
			t.Errorf("%s: out of reach of the keyboard: %q", name, missed)
		}
	}
	wait("Something is broken")
	page.Look(t, "status-public")
	keyboard("public")
	page.Go(t, base+"/status/acme/incidents/"+string(open.ID))
	wait("No payment is lost")
	glance("status-public-incident")

	page.Go(t, base+"/status/acme")
	page.Click(t, "summary")
	page.Fill(t, "#f-url", "http://hooks.example/x")
	page.Click(t, `form[action$="/webhook"] button`)
	wait("must begin with https")
	glance("status-public-refused")
	page.Fill(t, "#f-url", "https://hooks.example/another")
	page.Click(t, `form[action$="/webhook"] button`)
	wait("a message with a link to confirm")
	glance("status-public-asked")
	w.work(t)
	got := w.hook.take()
	if len(got) != 1 {
		t.Fatalf("%d requests", len(got))
	}
	confirm := pathOf(t, got[0].message(t, "").Confirm)
	page.Go(t, base+confirm)
	glance("status-confirm")
	page.Click(t, ".form-end button")
	wait("You are subscribed")
	page.Look(t, "status-secret")
	page.Click(t, `a[href*="/unsubscribe/"]`)
	wait("No more of these updates?")
	page.Click(t, ".form-end button")
	wait("You get nothing more")

	page.Go(t, base+"/sign-in?next=/w/"+string(w.ws)+"/status-page")
	page.Fill(t, "#f-email", owner)
	page.Fill(t, "#f-password", accesstest.Password)
	page.Click(t, "form .form-end button")
	wait("Webhooks that subscribed")
	wait("Payments are slow. Incident")
	page.Look(t, "status-manage")
	keyboard("manage")
	page.Go(t, home+"/incidents/"+string(open.ID))
	wait("The alert is over")
	page.Look(t, "status-incident")
	page.Go(t, home+"/incidents/new")
	glance("status-new")
	page.Go(t, home+"/settings")
	glance("status-settings")
	page.Go(t, base+"/notices")
	wait("Notices of this server")
	page.Look(t, "status-notices")
	page.Click(t, ".notice button")
	page.Wait(t, `!document.querySelector(".notice")?.textContent.includes("Payments are slow")`)

	page.Scripts(t, false)
	visible := func(selector string) { // Wait polls within the page, which has no timers now
		t.Helper()
		page.Do(t, chromedp.WaitVisible(chromedp.CSS(selector)))
	}
	page.Go(t, base+"/status/acme")
	page.Fill(t, "#f-address", "reader@example.net")
	page.Click(t, `form[action$="/subscribe"] button`)
	visible(".toast")
	page.Click(t, "summary")
	page.Fill(t, "#f-url", "http://hooks.example/x")
	page.Click(t, `form[action$="/webhook"] button`)
	visible("details[open] .field-error")
}
