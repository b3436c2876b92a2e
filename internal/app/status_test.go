package app_test

import (
	"encoding/xml"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/kept-dev/kept/internal/app"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/testkit"
)

var hrefInMail = regexp.MustCompile(`/status/acme/(confirm|unsubscribe)/[\w-]+`)

// TestStatusPage goes from the first click to the last mail.
func TestStatusPage(t *testing.T) {
	t.Parallel()
	testkit.Each(t, func(t *testing.T, engine testkit.Option) {
		a := testkit.Start(t, engine, testkit.With(app.WithMailbox()))
		p, visitor := a.SignedUp(t), testkit.NewBrowser(t, a.URL())
		const reader = "reader@example.net"
		home := p.Path("/status-page")
		save := func(pairs ...string) *testkit.Response { return p.PostForm(home+"/settings", form(pairs...)) }

		p.Get(home).Want(http.StatusOK).Has("No status page yet")
		save("title", "Acme", "slug", "A_b").Want(http.StatusUnprocessableEntity).Has("small letters")
		save("title", "Acme", "slug", "acme").Want(http.StatusSeeOther)
		visitor.Get("/status/acme").Want(http.StatusNotFound)
		visitor.Get("/status/acme/feed").Want(http.StatusNotFound)
		save("title", "Acme", "slug", "acme", "public", "1").Want(http.StatusSeeOther)
		res := visitor.Get("/status/acme").Want(http.StatusOK).Has("Acme", "Everything works", "No earlier incident")
		if res.Header.Get("Set-Cookie") != "" {
			t.Error("the public page sets a cookie")
		}
		other := a.SignedUp(t)
		other.PostForm(other.Path("/status-page/settings"), form("title", "Other", "slug", "acme")).Want(http.StatusUnprocessableEntity).Has("taken")

		p.PostForm(home+"/components", form("name", "API")).Want(http.StatusSeeOther)
		p.PostForm(home+"/components", form("name", "API")).Want(http.StatusUnprocessableEntity).Has("one of this name")
		var part string
		if err := a.Control().QueryRow(t.Context(), `SELECT id FROM status_components`).Scan(&part); err != nil {
			t.Fatal(err)
		}

		visitor.PostForm("/status/acme/subscribe", form("address", "nobody")).Want(http.StatusUnprocessableEntity).Has("e-mail address")
		visitor.PostForm("/status/acme/subscribe", form("address", reader)).Want(http.StatusSeeOther)
		link := hrefInMail.FindString(a.MailTo(t, reader, "/confirm/").Text)
		incident := func(title string) {
			t.Helper()
			p.PostForm(home+"/incidents", form("kind", "incident", "title", title, "impact", "major", "state", "investigating", "component", part,
				"starts", a.Clock.Now().Format("2006-01-02T15:04"), "text", title+": we look into it.")).Want(http.StatusSeeOther)
		}
		incident("Before the confirmation")
		if n := updates(t, a); n != 0 {
			t.Errorf("%d mails to an address that has not confirmed", n)
		}
		visitor.Get(link[:len(link)-1] + "_").Want(http.StatusNotFound)
		visitor.Get(strings.Replace(link, "/confirm/", "/confirm/x", 1)).Want(http.StatusNotFound)
		visitor.Get(link).Want(http.StatusOK).Has("Get these updates?")
		visitor.PostForm(link, form()).Want(http.StatusOK).Has("You are subscribed")

		incident("Payments fail <b>")
		visitor.Get("/status/acme").Want(http.StatusOK).Has("Something is broken", "Payments fail &lt;b&gt;", "API", "broken").Lacks("fail <b>")
		unsubscribe := hrefInMail.FindString(a.MailTo(t, reader, "Payments fail").Text)
		var id string
		if err := a.Control().QueryRow(t.Context(), `SELECT id FROM status_notices WHERE title = 'Payments fail <b>'`).Scan(&id); err != nil {
			t.Fatal(err)
		}
		one := home + "/incidents/" + id
		p.Get(one).Want(http.StatusOK).Has("we look into it", "As customers see it")
		p.PostForm(one, form("state", "sleeping", "text", "x")).Want(http.StatusUnprocessableEntity).Has("one of these: investigating")
		p.PostForm(one, form("state", "resolved", "text", "It works again.")).Want(http.StatusSeeOther)
		a.MailTo(t, reader, "It works again.")
		visitor.Get("/status/acme/incidents/"+id).Want(http.StatusOK).Has("It works again.", "we look into it")

		var feed struct {
			Entries []struct {
				Title   string `xml:"title"`
				Content string `xml:"content"`
			} `xml:"entry"`
		}
		if err := xml.Unmarshal([]byte(visitor.Get("/status/acme/feed").Want(http.StatusOK).Body), &feed); err != nil || len(feed.Entries) != 3 || feed.Entries[0].Content != "It works again." {
			t.Errorf("feed: %+v, %v", feed, err)
		}

		p.PostForm(one+"/delete", form()).Want(http.StatusSeeOther)
		visitor.Get("/status/acme").Want(http.StatusOK).Lacks("Payments fail")
		visitor.Get("/status/acme/incidents/" + id).Want(http.StatusNotFound)
		p.Get(home).Has("Off the page", "Payments fail")
		p.PostForm(one+"/restore", form()).Want(http.StatusSeeOther)
		visitor.Get("/status/acme").Has("Payments fail")
		p.PostForm(one+"/edit", form("kind", "incident", "title", "Payments failed", "impact", "minor", "starts", "2026-01-02T03:04")).Want(http.StatusSeeOther)
		visitor.Get("/status/acme").Has("Payments failed")

		visitor.Get(unsubscribe).Want(http.StatusOK).Has("No more of these")
		visitor.PostForm(unsubscribe, form()).Want(http.StatusSeeOther)
		visitor.Get(unsubscribe).Want(http.StatusNotFound)
		before := updates(t, a)
		incident("Nobody is told")
		if n := updates(t, a); n != before || n != 2 {
			t.Errorf("%d mails after the reader unsubscribed, %d before", n, before)
		}

		now := a.Clock.Now()
		p.Get(home + "/incidents/new?kind=maintenance").Want(http.StatusOK).Has("Plan maintenance")
		p.PostForm(home+"/incidents", form("kind", "maintenance", "title", "Disk swap", "state", "planned", "starts", now.Add(48e12).Format("2006-01-02T15:04"),
			"ends", now.Add(24e12).Format("2006-01-02T15:04"), "text", "Short breaks.")).Want(http.StatusUnprocessableEntity).Has("after the beginning")
		p.PostForm(home+"/incidents", form("kind", "maintenance", "title", "Disk swap", "state", "planned", "starts", now.Add(24e12).Format("2006-01-02T15:04"),
			"ends", now.Add(48e12).Format("2006-01-02T15:04"), "text", "Short breaks.")).Want(http.StatusSeeOther)
		visitor.Get("/status/acme").Has("Planned", "Disk swap", "Short breaks.")

		fired, rule := string(kernel.NewID(now)), string(kernel.NewID(now))
		exec(t, a, `INSERT INTO alert_rules (id, workspace_id, group_name, position, name, body, pack, enabled, version, created_at, updated_at, updated_by, deleted_at)
			VALUES ($1, $2, 'g', 0, 'HostDown', '{"kind":"expression","name":"HostDown","expr":"up"}', '', 0, 1, $3, $3, NULL, 0)`, rule, p.WorkspaceID, kernel.Micros(now))
		exec(t, a, `INSERT INTO alerts (id, workspace_id, fingerprint, rule_id, name, severity, state, labels, value, started_at, fired_at, resolved_at, acked_at, acked_by)
			VALUES ($1, $2, 'f', $3, 'HostDown', '', 'firing', '{}', '1', $4, $4, 0, 0, NULL)`, fired, p.WorkspaceID, rule, kernel.Micros(now))
		one = p.Path("/alerts/a/" + fired)
		p.Get(one).Want(http.StatusOK).Has("Tell customers", home+"/incidents/new?alert="+fired)
		p.PostForm(home+"/incidents", form("kind", "incident", "alert", fired, "title", "We are down", "impact", "major", "state", "investigating",
			"starts", now.Format("2006-01-02T15:04"), "text", "We look into it.")).Want(http.StatusSeeOther)
		p.Get(one).Want(http.StatusOK).Has("Customers are told", "We are down (investigating)").Lacks("Tell customers")
	})
}

func form(pairs ...string) url.Values {
	out := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		out.Add(pairs[i], pairs[i+1])
	}
	return out
}

// updates counts the mails of incidents that were ever written to the outbox.
func updates(t *testing.T, a *testkit.App) (n int) {
	t.Helper()
	if err := a.Control().QueryRow(t.Context(), `SELECT count(*) FROM mail_outbox WHERE type = 'status_update'`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}
