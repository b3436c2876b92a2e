package notify

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/core/access/accesstest"
	"github.com/kept-dev/kept/internal/platform/db/dbtest"
	"github.com/kept-dev/kept/internal/ui/uitest"
)

// TestChannelsInABrowser is the first day with channels in a real browser: look around, make one, mend a mistake, test it,
// see what came of it, turn notifications on as far as a browser without a network gets, delete.
func TestChannelsInABrowser(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dbtest.SQLite(t))
	p := w.connect(t)
	server := httptest.NewServer(w.Mux)
	t.Cleanup(server.Close)
	base := server.URL + "/w/" + string(w.ws)
	page := uitest.Start(t).Open(t, server.URL+"/sign-in?next=/w/"+string(w.ws)+"/channels")
	wait := func(text string) { t.Helper(); page.Wait(t, `document.body.textContent.includes(`+"`"+text+"`"+`)`) }
	page.Fill(t, "#f-email", owner)
	page.Fill(t, "#f-password", accesstest.Password)
	page.Click(t, "form .form-end button")
	wait("Set up a channel")
	page.Shoot(t, "channels-empty")
	page.Reach(t, "channels")

	page.Click(t, `a[href$="kind=discord"]`)
	wait("How to get there")
	page.Fill(t, "#f-name", "Ops room")
	page.Fill(t, "#f-url", "not an address")
	page.Click(t, ".form .form-end button")
	page.Wait(t, `document.querySelector(".field-error")`)
	page.Look(t, "form-refused")
	page.Fill(t, "#f-url", p.server.URL+"/discord"+hookPath)
	page.Click(t, ".form .form-end button")
	wait("Nothing has been sent over it yet")
	page.Click(t, `form[action$="/test"] button`)
	wait("TestOfChannel")
	page.Shoot(t, "delivery")
	page.Axe(t)
	page.Reach(t, "delivery")

	page.Go(t, base+"/channels/new?kind=email")
	page.Fill(t, "#f-name", "Night shift")
	page.Fill(t, "#f-addresses", owner+"\nnight@example.net")
	page.Click(t, ".form .form-end button")
	wait("Recipients")
	page.Shoot(t, "channel-mail")
	page.Go(t, base+"/channels/new?kind=webhook")
	page.Fill(t, "#f-name", "Automation")
	page.Fill(t, "#f-url", "https://hooks.example.com/kept")
	page.Click(t, ".form .form-end button")
	wait("Copy the secret now")
	page.Shoot(t, "secret")

	slack := w.setUp(t, "slack")
	p.set(http.StatusNotFound, "")
	for i := range 7 {
		w.Clock.Add(time.Minute)
		if i == 1 {
			p.set(http.StatusServiceUnavailable, "")
		} else {
			p.set(http.StatusNotFound, "")
		}
		w.notifier(t, slack.ID).Notify(w.pipeline(t, "g"), w.firing("HostDown", "host", "web-1", "region", "eu-central-1"))
	}
	page.Go(t, base+"/channels/"+string(slack.ID))
	wait("Turned off")
	page.Look(t, "channel-off")
	page.Reach(t, "channel")
	page.Go(t, base+"/channels")
	page.Look(t, "channels")
	page.Go(t, base+"/deliveries")
	page.Shoot(t, "deliveries")
	page.Go(t, base+"/channels/"+string(slack.ID)+"/delete")
	page.Shoot(t, "delete")
	page.Click(t, ".form .form-end button")
	wait(" is deleted.")

	push := w.make(t, "webpush", nil)
	page.Go(t, base+"/channels/"+string(push.ID))
	page.Wait(t, `!document.querySelector("kept-push [data-on]").hidden`)
	page.Shoot(t, "channel-push")
	page.Axe(t)
	sub, err := json.Marshal(p.phone.subscription(p.server.URL + "/push/browser-in-a-test"))
	if err != nil {
		t.Fatal(err)
	}
	// The browser's own push service is out of reach here, so its answer is put in its place; the rest is the real thing: the
	// policy lets the worker run in its own scope, the server takes the browser, and what is sent can be read with its keys.
	page.Run(t, `Notification.requestPermission = async () => "granted";
		PushManager.prototype.subscribe = async function (o) { window.key = o.applicationServerKey.length; return { toJSON: () => (`+string(sub)+`), unsubscribe: async () => true } }`)
	page.Click(t, "kept-push [data-on]")
	wait("Chrome on Linux")
	if uitest.Eval[string](t, page, `navigator.serviceWorker.getRegistration("`+pushScope(push)+`").then(r => r?.active?.state ?? "none")`) != "activated" {
		t.Error("no worker in the channel's scope")
	}
	before := len(p.all())
	p.set(0, "")
	if _, err := w.notifier(t, push.ID).Notify(w.pipeline(t, "g"), w.firing("HostDown", "host", "web-1")); err != nil || len(p.all()) != before+1 {
		t.Fatalf("%v, %d pushes", err, len(p.all())-before)
	}
	page.Run(t, `self.registration = { showNotification: async (title, o) => { window.shown = { title, ...o } } };
		self.clients = { claim() {}, openWindow: (u) => { window.opened = u } };
		import("`+pathWorker+`").then(() => {
			const send = (name, more) => self.dispatchEvent(Object.assign(new Event(name), { waitUntil() {} }, more));
			send("push", { data: { json: () => ({ title: "Firing: X", body: "b", tag: "t", href: "https://kept.example/w/x", stay: true }) } });
			send("notificationclick", { notification: { close() {}, data: window.shown.data } });
		})`)
	page.Wait(t, `window.opened === "https://kept.example/w/x" && window.shown.title === "Firing: X" && window.shown.requireInteraction`)
	page.Scripts(t, false)
	page.Go(t, base+"/channels/"+string(push.ID))
	wait("Notifications need scripts")
}
