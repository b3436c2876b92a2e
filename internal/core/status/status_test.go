package status

import (
	"encoding/xml"
	"io"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/core/privacy"
	"github.com/kept-dev/kept/internal/kernel"
)

// TestLifeOfANotice: published, told of, over, begun again, corrected, taken off and put back, and what the page says of it
// and of its parts at each time.
func TestLifeOfANotice(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.turnOn(t, "acme")
		api, web := w.part(t, "API"), w.part(t, "Web")
		visitor := w.Browser(t, "203.0.113.1")
		page := func(texts ...string) { t.Helper(); visitor.Get("/status/acme").Is(200, texts...) }
		page("Acme <status>", "Everything works", "No earlier incident")

		n := w.incident(t, "Payments fail", api)
		page("Something is broken", "Payments fail: we look into it.", "broken", "works")
		w.Clock.Add(time.Hour)
		must(t, w.Tell(t.Context(), w.ws, n.ID, "monitoring", "A fix is out."))
		page("A fix is out.", "Monitoring", "broken")
		if err := w.Tell(t.Context(), w.ws, n.ID, "planned", "x"); kernel.CodeOf(err) != kernel.Invalid {
			t.Error("an incident was planned:", err)
		}
		w.Clock.Add(time.Hour)
		must(t, w.Tell(t.Context(), w.ws, n.ID, "resolved", "It works again."))
		page("Everything works", "It works again.", "Payments fail")
		n = w.reread(t, n)
		if !n.Over() || len(n.Updates) != 3 || n.Updates[0].Text != "It works again." || n.OverAt.Sub(n.StartsAt) != 2*time.Hour {
			t.Errorf("%+v", n)
		}
		must(t, w.Tell(t.Context(), w.ws, n.ID, "identified", "Not quite."))
		if n = w.reread(t, n); n.Over() {
			t.Error("it has begun again and is over")
		}
		page("Something is broken")

		n.Title, n.Impact, n.Components = "Payments are slow", "minor", []kernel.ID{web, "01arz3ndektsv4rrffq69g5fav"}
		must(t, w.Change(t.Context(), w.ws, n))
		page("Something does not work well", "Payments are slow", "does not work well")
		if got := w.reread(t, n).Components; !slices.Equal(got, []kernel.ID{web}) {
			t.Errorf("it affects %v, want the part that there is", got)
		}
		if jobs := w.Rows(t, "queue_jobs"); jobs != 0 {
			t.Errorf("%d jobs for nobody", jobs)
		}

		must(t, w.Remove(t.Context(), w.ws, n.ID))
		page("Everything works", "No earlier incident")
		visitor.Get("/status/acme/incidents/" + string(n.ID)).Is(404)
		must(t, w.Restore(t.Context(), w.ws, n.ID))
		visitor.Get("/status/acme/incidents/"+string(n.ID)).Is(200, "Not quite.", "It works again.", "Web")
		must(t, w.Remove(t.Context(), w.ws, n.ID))
		w.Clock.Add(keepDeleted + time.Hour)
		if err := w.Restore(t.Context(), w.ws, n.ID); kernel.CodeOf(err) != kernel.NotFound {
			t.Error("put back after 31 days:", err)
		}
		other := w.incident(t, "Another")
		must(t, w.Remove(t.Context(), w.ws, other.ID)) // whoever removes one clears away what is old
		if rows := w.Rows(t, "status_notices"); rows != 1 {
			t.Errorf("%d notices, want the one of today", rows)
		}
	})
}

func (w *world) reread(t testing.TB, n Notice) Notice {
	t.Helper()
	n, err := w.Notice(t.Context(), w.ws, n.ID, true)
	must(t, err)
	return n
}

// TestMaintenanceAndSecurity: maintenance is planned, under way and completed; a security update leaves the parts alone.
func TestMaintenanceAndSecurity(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sqlite(t))
	w.turnOn(t, "acme")
	api := w.part(t, "API")
	visitor := w.Browser(t, "203.0.113.1")
	n := First(Maintenance)
	n.Title, n.StartsAt, n.EndsAt, n.Components = "New disks", w.Clock.Now().Add(time.Hour), w.Clock.Now().Add(2*time.Hour), []kernel.ID{api}
	n, err := w.Publish(t.Context(), w.ws, n, "Short breaks.")
	must(t, err)
	visitor.Get("/status/acme").Is(200, "Everything works", "Planned maintenance", "New disks")
	w.Clock.Add(61 * time.Minute)
	must(t, w.Tell(t.Context(), w.ws, n.ID, "under way", "We have begun."))
	visitor.Get("/status/acme").Is(200, "Maintenance is under way", "in maintenance").Lacks("Planned maintenance")
	must(t, w.Tell(t.Context(), w.ws, n.ID, "completed", "Done."))
	s := First(Security)
	s.Title, s.StartsAt, s.Components = "Kept 1.2.3", w.Clock.Now(), []kernel.ID{api}
	_, err = w.Publish(t.Context(), w.ws, s, "It mends a hole.")
	must(t, err)
	visitor.Get("/status/acme").Is(200, "Everything works", "Security update", "It mends a hole.").Lacks("in maintenance")
}

// TestBars: a day is as bad as the worst incident of that part on it, and says nothing before the part was listed.
func TestBars(t *testing.T) {
	t.Parallel()
	day := 24 * time.Hour
	now := time.Date(2026, 3, 31, 12, 0, 0, 0, time.UTC)
	c := Component{ID: "a", Name: "API", CreatedAt: now.Add(-10 * day)}
	incident := func(impact string, from, to int, parts ...kernel.ID) Notice {
		return Notice{Kind: Incident, Title: impact, Impact: impact, Components: parts, StartsAt: now.Add(-time.Duration(from) * day), OverAt: now.Add(-time.Duration(to) * day)}
	}
	open := incident("minor", 1, 0, "a")
	open.OverAt = time.Time{}
	v := component(c, []Notice{open, incident("critical", 4, 3, "a"), incident("minor", 4, 4, "a"), incident("major", 6, 6, "b")}, now)
	var got []string
	for _, d := range v.Days[barDays-12:] {
		got = append(got, string(d.Tone))
	}
	if want := []string{"", "good", "good", "good", "good", "good", "good", "bad", "bad", "good", "warn", "warn"}; !slices.Equal(got, want) {
		t.Errorf("the last days are %q, want %q", got, want)
	}
	if v.Word != "does not work well" || !strings.Contains(v.Spoken, "27 March: critical; minor.") {
		t.Errorf("%q %q", v.Word, v.Spoken)
	}
}

// TestMailSubscriber: asked once, confirmed, told, unsubscribed; the rest is forgotten by age and with the workspace. The
// address stands nowhere in the clear.
func TestMailSubscriber(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		p := w.turnOn(t, "acme")
		const reader, other = "reader@example.net", "other@example.net"
		visitor := w.Browser(t, "203.0.113.1")
		visitor.Post("/status/acme/subscribe", "address", "Reader@Example.net").To("/status/acme?done=asked")
		visitor.Get("/status/acme?done=asked").Is(200, "a mail with a link to confirm")
		must(t, w.Subscribe(t.Context(), p, reader))
		must(t, w.Subscribe(t.Context(), p, other))
		w.incident(t, "Before")
		w.work(t)
		if n := len(w.box.To(reader)); n != 1 {
			t.Fatalf("%d mails, want the question", n)
		}
		link := mailed(t, w, reader, "/confirm/")
		visitor.Get(link).Is(200, "your address")
		visitor.Post(link).Is(200, "You are subscribed")
		visitor.Get(strings.Replace(link, "/acme/", "/other/", 1)).Is(404)
		w.incident(t, "After")
		w.work(t)
		if n := len(w.box.To(reader)); n != 2 {
			t.Fatalf("%d mails, want the question and an incident", n)
		}
		w.FindNowhere(t, reader, other)
		unsubscribe := mailed(t, w, reader, "/unsubscribe/")

		var subscribers privacy.Collection
		for _, c := range w.Collections() {
			if c.Name == "status_subscribers" {
				subscribers = c
			}
		}
		exported := 0
		must(t, subscribers.Export(t.Context(), w.ws, func(any) error { exported++; return nil }))
		removed, err := subscribers.Sweep(t.Context(), w.ws, w.Clock.Now().Add(time.Hour))
		if err != nil || exported != 2 || removed != 1 {
			t.Errorf("%d exported, want 2; %d swept, want the one that has not confirmed; %v", exported, removed, err)
		}
		visitor.Post(unsubscribe).To("/status/acme?done=ended")
		visitor.Post(link).Is(404)
		must(t, w.Subscribe(t.Context(), p, reader))
		if removed, err = subscribers.Erase(t.Context(), w.ws); err != nil || removed != 1 || w.Rows(t, "status_subscribers") != 0 {
			t.Errorf("%d erased, %v", removed, err)
		}
	})
}

// mailed is the path of a link in the newest mail to an address.
func mailed(t testing.TB, w *world, address, part string) string {
	t.Helper()
	for field := range strings.FieldsSeq(w.box.To(address)[0].Text) {
		if strings.Contains(field, part) {
			return pathOf(t, field)
		}
	}
	t.Fatalf("no %s in %s", part, w.box.To(address)[0].Text)
	return ""
}

// TestForeignWorkspace: nothing of a page can be read or changed with another workspace's id, and a link of one page is of no
// use on another.
func TestForeignWorkspace(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		p := w.turnOn(t, "acme")
		n := w.incident(t, "Ours")
		must(t, w.SubscribeWebhook(t.Context(), p, hookURL))
		_, theirs, _ := w.Owner(t, "eve@example.org", "Evil")
		must(t, w.SavePage(t.Context(), Page{WorkspaceID: theirs, Slug: "evil", Title: "Evil", Public: true}))
		if err := w.SavePage(t.Context(), Page{WorkspaceID: theirs, Slug: "acme", Title: "Acme", Public: true}); kernel.CodeOf(err) != kernel.Invalid {
			t.Error("an address was taken over:", err)
		}
		all, err := w.subscribers(t.Context(), w.ws)
		must(t, err)
		ctx := t.Context()
		for what, err := range map[string]error{
			"tell": w.Tell(ctx, theirs, n.ID, "resolved", "x"), "remove": w.Remove(ctx, theirs, n.ID), "change": w.Change(ctx, theirs, n),
			"webhook": w.RemoveWebhook(ctx, theirs, all[0].ID), "enable": w.EnableWebhook(ctx, theirs, all[0].ID),
			"component": w.RemoveComponent(ctx, theirs, w.part(t, "API")),
		} {
			if kernel.CodeOf(err) != kernel.NotFound {
				t.Errorf("%s: %v", what, err)
			}
		}
		w.Browser(t, "203.0.113.1").Get("/status/evil/incidents/" + string(n.ID)).Is(404)
		box, err := w.keys.Box(ctx, w.ws)
		must(t, err)
		if _, _, err := w.Confirm(ctx, Page{WorkspaceID: theirs, Slug: "evil"}, token(box, all[0].ID)); kernel.CodeOf(err) != kernel.NotFound {
			t.Error("confirmed on another page:", err)
		}
	})
}

// TestFeed reads the feed as strictly as RFC 4287 is: every element that must be there, addresses that are absolute and
// different, times that are times, nothing that is no XML.
func TestFeed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sqlite(t))
	w.turnOn(t, "acme")
	visitor := w.Browser(t, "203.0.113.1")
	readFeed(t, visitor.Get("/status/acme/feed").Is(200).Body, 0)
	n := w.incident(t, "Payments <fail> & \"more\" \x01 ]]>")
	for range 3 { // within the same second
		w.Clock.Add(time.Millisecond)
		must(t, w.Tell(t.Context(), w.ws, n.ID, "monitoring", "Line one\n\nLine two <b>"))
	}
	w.Clock.Add(time.Minute)
	must(t, w.Tell(t.Context(), w.ws, n.ID, "resolved", "Over."))
	res := visitor.Get("/status/acme/feed").Is(200)
	if got := res.Header.Get("Content-Type"); got != "application/atom+xml; charset=utf-8" {
		t.Errorf("Content-Type %q", got)
	}
	f := readFeed(t, res.Body, 5)
	if f.Entry[0].Content != "Over." || !strings.Contains(f.Entry[1].Content, "Line two <b>") {
		t.Errorf("%+v", f.Entry)
	}
	if page := visitor.Get("/status/acme"); !strings.Contains(page.Body, `<link rel="alternate" type="application/atom+xml" href="/status/acme/feed">`) {
		t.Error("the page does not name its feed")
	}
}

type atom struct {
	XMLName xml.Name `xml:"http://www.w3.org/2005/Atom feed"`
	ID      string   `xml:"http://www.w3.org/2005/Atom id"`
	Title   string   `xml:"http://www.w3.org/2005/Atom title"`
	Updated string   `xml:"http://www.w3.org/2005/Atom updated"`
	Author  []struct {
		Name string `xml:"http://www.w3.org/2005/Atom name"`
	} `xml:"http://www.w3.org/2005/Atom author"`
	Link []struct {
		Rel  string `xml:"rel,attr"`
		Href string `xml:"href,attr"`
	} `xml:"http://www.w3.org/2005/Atom link"`
	Entry []struct {
		ID      string `xml:"http://www.w3.org/2005/Atom id"`
		Title   string `xml:"http://www.w3.org/2005/Atom title"`
		Updated string `xml:"http://www.w3.org/2005/Atom updated"`
		Content string `xml:"http://www.w3.org/2005/Atom content"`
	} `xml:"http://www.w3.org/2005/Atom entry"`
}

func readFeed(t *testing.T, text string, entries int) (f atom) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(text))
	d.Strict = true
	must(t, d.Decode(&f))
	if _, err := d.Token(); err != io.EOF {
		t.Error("something stands behind the feed")
	}
	seen := map[string]bool{}
	check := func(id, title, updated string) {
		t.Helper()
		u, err := url.Parse(id)
		if err != nil || !u.IsAbs() || seen[id] || title == "" {
			t.Errorf("id %q, title %q, %v", id, title, err)
		}
		seen[id] = true
		if _, err := time.Parse(time.RFC3339, updated); err != nil || strings.HasPrefix(updated, "1970") {
			t.Errorf("updated %q", updated)
		}
	}
	check(f.ID, f.Title, f.Updated)
	for _, e := range f.Entry {
		check(e.ID, e.Title, e.Updated)
	}
	if len(f.Author) != 1 || f.Author[0].Name == "" || len(f.Link) != 2 || f.Link[1].Rel != "self" || len(f.Entry) != entries {
		t.Errorf("%+v", f)
	}
	return f
}

// TestPublicPagesTakeLoad: visitors cost no queries, the same answer may be kept for all of them, and what is published here
// is seen at once, what another process publishes within ten seconds.
func TestPublicPagesTakeLoad(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sqlite(t))
	w.turnOn(t, "acme")
	visitor, ann := w.Browser(t, "203.0.113.1"), w.Browser(t, "203.0.113.2").SignIn(owner)
	res := visitor.Get("/status/acme").Is(200, "Everything works")
	if got := res.Header.Get("Cache-Control"); got != "public, max-age=10" || res.Header.Get("Set-Cookie") != "" {
		t.Errorf("Cache-Control %q, Set-Cookie %q", got, res.Header.Get("Set-Cookie"))
	}
	if ann.Get("/status/acme").Body != res.Body {
		t.Error("who is signed in gets another page, and it may be kept for all")
	}
	for _, path := range []string{"/status/acme?done=asked", "/status/nobody"} {
		if got := visitor.Get(path).Header.Get("Cache-Control"); strings.Contains(got, "public") {
			t.Errorf("%s: Cache-Control %q", path, got)
		}
	}
	exec(t, w, `UPDATE status_pages SET title = 'Published by another process'`)
	visitor.Get("/status/acme").Is(200).Lacks("another process") // it was not asked of the database
	w.Clock.Add(showFor)
	visitor.Get("/status/acme").Is(200, "another process")
	w.incident(t, "Seen at once")
	visitor.Get("/status/acme").Is(200, "Seen at once")
	must(t, w.SavePage(t.Context(), Page{WorkspaceID: w.ws, Slug: "acme", Title: "Acme"}))
	visitor.Get("/status/acme").Is(404)
}
