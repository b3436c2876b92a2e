package status

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/core/notify"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/egress"
)

const hookURL = "https://hooks.example/status/token-of-theirs"

// message reads what was posted and checks its signature.
func (p posted) message(t testing.TB, secret string) (m hookMessage) {
	t.Helper()
	if err := json.Unmarshal(p.body, &m); err != nil {
		t.Fatalf("%v in %s", err, p.body)
	}
	if want := "v1=" + notify.Sign(secret, p.header.Get(notify.HeaderTimestamp), p.body); secret != "" && p.header.Get(notify.HeaderSignature) != want {
		t.Errorf("signature %q, want %q", p.header.Get(notify.HeaderSignature), want)
	}
	return m
}

// subscribed makes a webhook a subscriber as a visitor does, and returns the secret that he was shown.
func (w *world) subscribed(t testing.TB, address string) (secret, confirm string) {
	t.Helper()
	visitor := w.Browser(t, "203.0.113.9")
	visitor.Post("/status/acme/subscribe/webhook", "url", address).To("/status/acme?done=posted")
	w.work(t)
	got := w.hook.take()
	if len(got) != 1 {
		t.Fatalf("%d requests to a webhook that is to confirm", len(got))
	}
	m := got[0].message(t, "")
	if m.Type != "confirm" || !strings.Contains(m.Text, m.Confirm) || m.Unsubscribe != "" || m.Notice != nil {
		t.Fatalf("asked with %s", got[0].body)
	}
	confirm = pathOf(t, m.Confirm)
	visitor.Get(confirm).Is(200, "Get these updates?", "hooks.example").Lacks("token-of-theirs", "kwh_")
	page := visitor.Post(confirm).Is(200, "You are subscribed", "cannot be shown again")
	i := strings.Index(page.Body, "kwh_")
	if i < 0 {
		t.Fatalf("no secret in\n%s", page.Body)
	}
	secret = page.Body[i : i+47]
	if want := "v1=" + notify.Sign(secret, got[0].header.Get(notify.HeaderTimestamp), got[0].body); got[0].header.Get(notify.HeaderSignature) != want {
		t.Error("the question was signed with another secret")
	}
	visitor.Post(confirm).Is(200, "You are subscribed").Lacks("kwh_")
	return secret, confirm
}

// TestWebhook goes from the address that a visitor enters to his last message.
func TestWebhook(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.turnOn(t, "acme")
		api := w.part(t, "API")
		visitor := w.Browser(t, "203.0.113.1")
		for _, address := range []string{"", "ftp://hooks.example/x", "http://hooks.example/x", "https://", "not an address", "https://hooks.example/" + strings.Repeat("x", 9000)} {
			visitor.Post("/status/acme/subscribe/webhook", "url", address).Is(http.StatusUnprocessableEntity, "field-error")
			w.Clock.Add(5 * time.Minute) // its rate is that of mail
		}
		if got := w.hook.take(); len(got) > 0 {
			t.Fatalf("%d requests for addresses that were refused", len(got))
		}

		visitor.Post("/status/acme/subscribe/webhook", "url", hookURL).To("/status/acme?done=posted")
		w.incident(t, "Before anybody has confirmed")
		w.work(t)
		if got := w.hook.take(); len(got) != 1 || got[0].message(t, "").Type != "confirm" {
			t.Fatalf("%d requests to a webhook that has not confirmed", len(got))
		}
		visitor.Post("/status/acme/subscribe/webhook", "url", hookURL).To("/status/acme?done=posted") // no second question within a day
		w.work(t)
		if got := w.hook.take(); len(got) != 0 {
			t.Error("it was asked twice")
		}
		w.Clock.Add(askAgain + time.Minute)
		secret, _ := w.subscribed(t, hookURL)
		w.FindNowhere(t, "token-of-theirs", secret)

		n := w.incident(t, "Payments fail", api)
		w.work(t)
		got := w.hook.take()
		if len(got) != 1 || got[0].path != "/status/token-of-theirs" {
			t.Fatalf("%d requests for an incident", len(got))
		}
		m := got[0].message(t, secret)
		if m.Type != "update" || m.Notice.Title != "Payments fail" || m.Notice.State != "investigating" || m.Notice.Impact != "major" || m.Notice.OverAt != nil ||
			!slices.Equal(m.Notice.Components, []string{"API"}) || m.Update.Text != "Payments fail: we look into it." || m.Page.Title != "Acme <status>" || string(m.Update.ID) != got[0].header.Get(notify.HeaderDelivery) {
			t.Errorf("posted %s", got[0].body)
		}
		visitor.Get(pathOf(t, m.Notice.URL)).Is(200, "Payments fail")
		must(t, w.Tell(t.Context(), w.ws, n.ID, "resolved", "It works again."))
		w.work(t)
		if got = w.hook.take(); len(got) != 1 || got[0].message(t, secret).Notice.OverAt == nil {
			t.Errorf("%d requests for the end", len(got))
		}

		unsubscribe := pathOf(t, m.Unsubscribe)
		visitor.Get(unsubscribe[:len(unsubscribe)-1] + "_").Is(404)
		visitor.Get(unsubscribe).Is(200, "No more of these updates?")
		visitor.Post(unsubscribe).To("/status/acme?done=ended")
		visitor.Get(unsubscribe).Is(404)
		w.incident(t, "Nobody is told")
		w.work(t)
		if got = w.hook.take(); len(got) != 0 || w.Rows(t, "status_subscribers") != 0 {
			t.Errorf("%d requests after it unsubscribed", len(got))
		}
	})
}

// TestWebhookThatFails: it is tried again with the same delivery id, turned off when nothing has arrived for three days, which
// the page's owners see, and turned on again by them or by whoever has the link.
func TestWebhookThatFails(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.turnOn(t, "acme")
		secret, confirm := w.subscribed(t, hookURL)
		ann := w.Browser(t, "203.0.113.5").SignIn(owner)
		home := "/w/" + string(w.ws) + "/status-page"

		w.hook.answers(http.StatusServiceUnavailable)
		w.incident(t, "First")
		w.work(t)
		w.hook.answers(http.StatusOK)
		w.Clock.Add(5 * time.Second)
		w.work(t)
		got := w.hook.take()
		if len(got) != 2 || got[0].header.Get(notify.HeaderDelivery) != got[1].header.Get(notify.HeaderDelivery) {
			t.Fatalf("%d requests, want two attempts at one delivery", len(got))
		}
		got[1].message(t, secret)
		ann.Get(home).Is(200, "hooks.example", "1 by webhook").Lacks("does not answer", "token-of-theirs")

		w.hook.answers(http.StatusNotFound) // for good: one attempt each
		for i := range 12 {
			w.incident(t, fmt.Sprint("Refused ", i))
			w.work(t)
			w.Clock.Add(5 * time.Hour)
		}
		if got := w.hook.take(); len(got) != 12 {
			t.Errorf("%d requests for 12 updates that were refused", len(got))
		}
		ann.Get(home).Is(200, "does not answer").Lacks("Turn on")
		w.Clock.Add(24 * time.Hour)
		w.incident(t, "The last straw")
		w.work(t)
		ann.Get(home).Is(200, "Turn on", "nothing had arrived since")
		if n := w.audited(t, "status_webhook.disable"); n != 1 {
			t.Errorf("%d entries in the audit log", n)
		}
		w.hook.take()
		w.incident(t, "Unheard")
		w.work(t)
		if got := w.hook.take(); len(got) != 0 {
			t.Error("a webhook that is off was sent something")
		}

		w.hook.answers(http.StatusOK)
		all, err := w.Webhooks(t.Context(), w.ws)
		must(t, err)
		ann.Post(home + "/webhooks/" + string(all[0].ID) + "/enable").To(home + "?done=hook-enabled")
		w.incident(t, "Heard again")
		w.work(t)
		if got := w.hook.take(); len(got) != 1 || got[0].message(t, secret).Notice.Title != "Heard again" {
			t.Errorf("%d requests after it was turned on", len(got))
		}
		exec(t, w, `UPDATE status_subscribers SET disabled_at = 1`)
		w.Browser(t, "203.0.113.6").Post(confirm).Is(200, "You are subscribed")
		if all, err = w.Webhooks(t.Context(), w.ws); err != nil || !all[0].On() {
			t.Error("whoever has the link could not turn it on", err)
		}
		ann.Post(home + "/webhooks/" + string(all[0].ID) + "/delete").To(home + "?done=hook-removed")
		ann.Post(home + "/webhooks/" + string(all[0].ID) + "/delete").Is(404)
		if w.Rows(t, "status_subscribers") != 0 {
			t.Error("it is still there")
		}
	})
}

// TestWebhooksDoNotReachInside: an address of this machine is refused when it is entered, and when it is dialled.
func TestWebhooksDoNotReachInside(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		p := w.turnOn(t, "acme")
		strict, err := notify.New(notify.Deps{DB: w.DB, Keys: w.keys, Out: egress.New(egress.Config{}), Clock: w.Clock.Now})
		must(t, err)
		inside := strings.Replace(w.hook.server.URL, "http:", "https:", 1) + "/inside"
		must(t, w.SubscribeWebhook(t.Context(), p, inside)) // as where the operator allows it, or a name that is public at first
		w.hook.out = strict
		for _, address := range []string{inside, "https://localhost/x", "https://169.254.169.254/latest", "https://[::1]/x", "https://10.0.0.1/x"} {
			if err := w.SubscribeWebhook(t.Context(), p, address); kernel.CodeOf(err) != kernel.Invalid {
				t.Errorf("%s: %v", address, err)
			}
		}
		exec(t, w, `UPDATE status_subscribers SET confirmed_at = 1`)
		exec(t, w, `DELETE FROM queue_jobs`)
		w.incident(t, "Not for you")
		w.work(t)
		if got := w.hook.take(); len(got) != 0 {
			t.Errorf("%d requests to an address inside", len(got))
		}
		var state, text string
		must(t, w.DB.QueryRow(t.Context(), `SELECT state, last_error FROM queue_jobs WHERE kind = 'status.deliver' ORDER BY id LIMIT 1`).Scan(&state, &text))
		if state != "dead" || strings.Contains(text, "127.0.0.1") {
			t.Errorf("the job is %s with %q, want dead and silent", state, text)
		}
	})
}

// TestQuestionsAreFew: a page asks no more webhooks than it can have, and all pages together not one host again and again.
func TestQuestionsAreFew(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sqlite(t))
	p := w.turnOn(t, "acme")
	for i := range maxAsksOfHost {
		must(t, w.SubscribeWebhook(t.Context(), p, fmt.Sprint(hookURL, i)))
	}
	if err := w.SubscribeWebhook(t.Context(), p, hookURL); kernel.CodeOf(err) != kernel.Invalid {
		t.Errorf("one more of the host: %v", err)
	}
	must(t, w.SubscribeWebhook(t.Context(), p, "https://other.example/x"))
	w.Clock.Add(askAgain + time.Minute)
	must(t, w.SubscribeWebhook(t.Context(), p, hookURL))
	exec(t, w, `UPDATE status_subscribers SET confirmed_at = 1`)
	for i := w.Rows(t, "status_subscribers"); i < maxWebhooks; i++ {
		must(t, w.SubscribeWebhook(t.Context(), p, fmt.Sprintf("https://host-%d.example/x", i)))
	}
	if err := w.SubscribeWebhook(t.Context(), p, "https://last.example/x"); kernel.CodeOf(err) != kernel.Invalid {
		t.Errorf("one more than a page can have: %v", err)
	}
}

// TestKilledBetweenPublishingAndDelivery: what was published by a process that died before it sent anything is sent by the
// next one, once.
func TestKilledBetweenPublishingAndDelivery(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		p := w.turnOn(t, "acme")
		secret, _ := w.subscribed(t, hookURL)
		must(t, w.Subscribe(t.Context(), p, "reader@example.net"))
		w.work(t)
		exec(t, w, `UPDATE status_subscribers SET confirmed_at = 1`)
		must(t, w.queue.Stop(t.Context()))
		w.boot(t, "") // publishes and dies: its queue never starts
		w.incident(t, "Payments fail")
		if got := w.hook.take(); len(got) != 0 {
			t.Fatal("the queue of the one that died has run")
		}
		w.boot(t, "")
		w.work(t)
		w.work(t)
		if got := w.hook.take(); len(got) != 1 || got[0].message(t, secret).Notice.Title != "Payments fail" {
			t.Errorf("%d requests after the restart, want one", len(got))
		}
		if mails := w.box.To("reader@example.net"); len(mails) != 2 || !strings.Contains(mails[0].Subject, "Payments fail") {
			t.Errorf("%d mails, want the question and the incident", len(mails))
		}
	})
}

func exec(t testing.TB, w *world, text string, args ...any) {
	t.Helper()
	must(t, w.DB.Tx(t.Context(), func(tx *db.Tx) error {
		_, err := tx.Exec(t.Context(), text, args...)
		return err
	}))
}

// audited counts entries of an action.
func (w *world) audited(t testing.TB, action string) (n int) {
	t.Helper()
	list, _, err := w.Audit.List(t.Context(), audit.Filter{WorkspaceID: w.ws, Action: action})
	must(t, err)
	return len(list)
}
