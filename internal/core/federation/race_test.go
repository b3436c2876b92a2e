package federation_test

import (
	"sync"
	"testing"

	"github.com/kept-dev/kept/internal/core/access/accesstest"
)

// atOnce runs functions side by side.
func atOnce(fs ...func()) {
	var all sync.WaitGroup
	for _, f := range fs {
		all.Go(f)
	}
	all.Wait()
}

// One address is one account, however many ways lead to it at once.
func TestNewcomersAtOnceAreOneAccount(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		google, hub := w.withGoogle(), w.withGitHub()
		one, two, three := w.Browser(t, "192.0.2.1"), w.Browser(t, "192.0.2.2"), w.Browser(t, "192.0.2.3")
		one.Get(goTo(t, one, google, "/sign-in/with/google")).To("/sign-in/finish")
		two.Get(goTo(t, two, hub, "/sign-in/with/github")).To("/sign-in/finish")
		three.Get(goTo(t, three, google, "/sign-in/with/google")).To("/sign-in/finish")
		var answers [3]accesstest.Answer
		finish := func(i int, b *accesstest.Browser) func() {
			return func() { answers[i] = b.Post("/sign-in/finish", "name", "Ann") }
		}
		atOnce(finish(0, one), finish(1, two), finish(2, three))
		opened := 0
		for _, a := range answers {
			switch a.Status {
			case 303:
				opened++
			case 409:
				a.Is(409, "There is an account with this address already")
			default:
				t.Errorf("status %d\n%s", a.Status, a.Body)
			}
		}
		if opened != 1 || w.Rows(t, "accounts") != 1 || w.Rows(t, "linked_providers") != 1 {
			t.Errorf("%d opened, %d accounts, %d links", opened, w.Rows(t, "accounts"), w.Rows(t, "linked_providers"))
		}
	})
}

// Two last ways that are ended at once are not both ended.
func TestEndingBothLinksAtOnceLeavesOne(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		google, hub := w.withGoogle(), w.withGitHub()
		b := w.Browser(t, "192.0.2.1")
		w.signUp(b, google, "google", "Ann")
		b.Get(hub.authorize(refreshTo(t, b.Post("/account/providers/github/link")))).To("/account/providers?done=linked")
		links, err := w.Federation.Links(t.Context(), w.account("ann@example.org"))
		if err != nil || len(links) != 2 {
			t.Fatalf("links %v, %v", links, err)
		}
		var statuses [2]int
		end := func(i int) func() {
			tab := w.Browser(t, "192.0.2.1")
			tab.Token = b.Token
			return func() {
				statuses[i] = tab.Post("/account/providers/" + string(links[i].ID) + "/unlink").Status
			}
		}
		atOnce(end(0), end(1))
		if n := w.Rows(t, "linked_providers"); n != 1 || statuses[0]+statuses[1] != 303+409 {
			t.Errorf("%d links are left, answers %v", n, statuses)
		}
	})
}

// One answer of a provider is good for one sign-in, however often it is sent.
func TestAnswerSentTwiceAtOnceWorksOnce(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		google := w.withGoogle()
		w.signUp(w.Browser(t, "192.0.2.1"), google, "google", "Ann")
		b := w.Browser(t, "192.0.2.2")
		back := goTo(t, b, google, "/sign-in/with/google")
		var statuses [2]int
		send := func(i int) func() {
			tab := w.Browser(t, "192.0.2.2")
			tab.Token = b.Token
			return func() { statuses[i] = tab.Get(back).Status }
		}
		atOnce(send(0), send(1))
		if statuses[0]+statuses[1] != 303+400 {
			t.Errorf("answers %v", statuses)
		}
	})
}
