package notify

import (
	"bytes"
	"crypto/ecdh"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/alertmanager/alert"

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
		b.Post(base + "/" + string(list[0].ID) + "/delete").To(base + "?done=deleted")
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

// TestTurnedOffAfterRefusals: five in a row, and whoever can mend it is told; a success begins anew.
func TestTurnedOffAfterRefusals(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		p := w.connect(t)
		c := w.setUp(t, "discord")
		n := w.notifier(t, c.ID)
		say := func(mode, times int) {
			p.set(mode, "")
			for range times {
				w.Clock.Add(time.Minute)
				n.Notify(w.pipeline(t, "g"), w.firing("HostDown"))
			}
		}
		say(404, 4)
		say(0, 1)
		say(404, 4)
		say(500, 3) // stumbling is not refusing
		if c = must(w.Channel(t.Context(), w.ws, c.ID))(t); c.Disabled() {
			t.Fatal("turned off too early")
		}
		say(404, 1)
		if c = must(w.Channel(t.Context(), w.ws, c.ID))(t); !c.Disabled() || c.DisabledWhy != "failures" {
			t.Fatalf("%+v", c)
		}
		p.set(0, "")
		if again, err := n.Notify(w.pipeline(t, "g"), w.firing("HostDown")); err == nil || again || p.asked != 0 {
			t.Error("it goes on")
		}
		subjects, text, _ := w.inbox(t, owner)
		if len(subjects) != 1 || !strings.Contains(subjects[0], "turned off") || !strings.Contains(text, "/channels/"+string(c.ID)) {
			t.Errorf("%q\n%s", subjects, text)
		}
		var logged int
		if err := w.DB.QueryRow(t.Context(), `SELECT count(*) FROM audit_events WHERE action = 'channel.disable' AND target = $1`, c.target()).Scan(&logged); err != nil || logged != 1 {
			t.Errorf("%d lines in the audit log, %v", logged, err)
		}
		b := w.Browser(t, "192.0.2.1").SignIn(owner)
		path := "/w/" + string(w.ws) + "/channels/" + string(c.ID)
		b.Get(path).Is(200, "Turned off", "Turn it on")
		to := b.Post(path + "/test")
		if p.asked != 1 || to.Status != 303 {
			t.Errorf("a test over a channel that is off: %d, asked %d", to.Status, p.asked)
		}
		b.Get(to.Header.Get("Location")).Is(200, "a test", "204", "TestOfChannel")
		b.Post(path + "/on").To(path + "?done=on")
		say(0, 1)
		if d := w.deliveries(t, c); d[0].State != stateSent || d[0].Reason != reasonAlert {
			t.Errorf("%+v", d[0])
		}
	})
}

// TestTakenOver: what a person acknowledges in Kept is acknowledged where people are called, in the same incident; one of
// two is not all.
func TestTakenOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dbtest.SQLite(t))
	p := w.connect(t)
	one, two := w.firing("HostDown", "host", "web-1"), w.firing("HostDown", "host", "web-2")
	for _, k := range []string{"pagerduty", "opsgenie", "slack-bot", "discord"} {
		if _, err := w.notifier(t, w.setUp(t, k).ID).Notify(w.pipeline(t, "g"), one, two); err != nil {
			t.Fatal(err)
		}
	}
	asked := p.asked
	take := func(a *alert.Alert, by string) {
		t.Helper()
		w.Clock.Add(time.Minute)
		labels := map[string]string{}
		for n, v := range a.Labels {
			labels[string(n)] = string(v)
		}
		w.Acknowledged(w.ws, labels, by)
		w.background.work.Wait()
	}
	take(one, "ann@example.org")
	for key, state := range p.open {
		if state != "triggered" {
			t.Errorf("%s is %s after half of it", key, state)
		}
	}
	take(two, "bob@example.org")
	if len(p.open) != 1 { // both keepers got the group's one key
		t.Fatalf("%v", p.open)
	}
	for key, state := range p.open {
		if state != "acknowledged" {
			t.Errorf("%s is %s", key, state)
		}
	}
	var titles []string
	for _, m := range p.all() {
		if strings.HasPrefix(m.ID, "1772") {
			titles = append(titles, m.Title)
		}
	}
	if len(titles) != 3 || titles[0] != "Acknowledged: HostDown (2)" {
		t.Errorf("Slack shows %q", titles)
	}
	if p.asked != asked+2*(1+1+2) { // two events each, and Slack's first message changed each time; Discord hears nothing
		t.Errorf("asked %d times", p.asked-asked)
	}
	take(w.firing("Other"), "ann@example.org")
	if p.asked != asked+8 {
		t.Error("an alert that nobody was told of")
	}
	if err := w.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	take(one, "")
	if p.asked != asked+8 || w.Stop(t.Context()) != nil {
		t.Error("it works on after it was stopped")
	}
}

// TestResendSaysTheSame: a delivery is repeated as it was, though its time is over.
func TestResendSaysTheSame(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		p := w.connect(t)
		c := w.setUp(t, "webhook")
		one := w.firing("HostDown", "host", "web-1")
		one.EndsAt = w.Clock.Now().Add(time.Hour)
		two := w.over(w.firing("HostDown", "host", "web-2"))
		if _, err := w.notifier(t, c.ID).Notify(w.pipeline(t, "g"), one, two); err != nil {
			t.Fatal(err)
		}
		w.Clock.Add(5 * time.Hour)
		b := w.Browser(t, "192.0.2.1").SignIn(owner)
		path := "/w/" + string(w.ws) + "/deliveries"
		d := w.deliveries(t, c)[0]
		to := b.Post(path + "/" + string(d.ID) + "/resend")
		b.Get(to.Header.Get("Location")).Is(200, "sent again", "1 firing, 1 resolved")
		var bodies [2]struct {
			Title, Status, DeliveryID string
			Alerts                    []struct{ Status, Fingerprint string }
		}
		for i, m := range p.all() {
			if err := json.Unmarshal([]byte(m.Text), &bodies[i]); err != nil {
				t.Fatal(err)
			}
		}
		if bodies[0].Title != "Firing: HostDown on web-1, 1 resolved" || bodies[0].Title != bodies[1].Title || bodies[0].DeliveryID == bodies[1].DeliveryID || fmt.Sprint(bodies[0].Alerts) != fmt.Sprint(bodies[1].Alerts) {
			t.Errorf("%+v", bodies)
		}
		b.Get(path+"?reason=resend").Is(200, "Firing: HostDown")
		b.Get(path+"?state=failed").Is(200, "No delivery matches")
		b.Get(path + "?state=nonsense").Is(400)
	})
}

// TestSecretOfAWebhook: it is shown once, signs, and while it is changed both sign.
func TestSecretOfAWebhook(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dbtest.SQLite(t))
	var signature, stamp string
	var body bytes.Buffer
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		signature, stamp = r.Header.Get(HeaderSignature), r.Header.Get(HeaderTimestamp)
		body.Reset()
		body.ReadFrom(r.Body)
	}))
	t.Cleanup(hook.Close)
	b := w.Browser(t, "192.0.2.1").SignIn(owner)
	base := "/w/" + string(w.ws) + "/channels"
	shown := regexp.MustCompile(`kwh_[\w-]{43}`)
	first := shown.FindString(b.Post(base, "kind", "webhook", "name", "Hook", "url", hook.URL+"/in").Is(200, "it cannot be shown again").Body)
	list, _ := w.Channels(t.Context(), w.ws)
	c := list[0]
	b.Get(base + "/" + string(c.ID)).Is(200).Lacks(first)
	n := w.notifier(t, c.ID)
	tell := func() []string {
		w.Clock.Add(time.Minute)
		if _, err := n.Notify(w.pipeline(t, "g"), w.firing("HostDown")); err != nil {
			t.Fatal(err)
		}
		if stamp != strconv.FormatInt(w.Clock.Now().Unix(), 10) {
			t.Errorf("timestamp %s", stamp)
		}
		return strings.Split(signature, ",")
	}
	if got := tell(); len(got) != 1 || got[0] != "v1="+Sign(first, stamp, body.Bytes()) {
		t.Errorf("%q", got)
	}
	w.Clock.Add(11 * time.Minute) // the proof of having signed in is no longer fresh
	b.Get(base + "/" + string(c.ID) + "/secret").To("/account/prove?next=%2Fw%2F" + string(w.ws) + "%2Fchannels%2F" + string(c.ID) + "%2Fsecret")
	second, err := w.RotateSecret(t.Context(), w.ws, c.ID)
	if err != nil || second == first {
		t.Fatal(err)
	}
	if got := tell(); len(got) != 2 || got[0] != "v1="+Sign(second, stamp, body.Bytes()) || got[1] != "v1="+Sign(first, stamp, body.Bytes()) {
		t.Errorf("%q", got)
	}
	w.Clock.Add(25 * time.Hour)
	if got := tell(); len(got) != 1 || got[0] != "v1="+Sign(second, stamp, body.Bytes()) {
		t.Errorf("%q", got)
	}
	w.FindNowhere(t, first, second)
}

// TestVerifierOfTheDocumentation runs the program that docs/channels.md offers, with what Kept really sends.
func TestVerifierOfTheDocumentation(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("../../../docs/channels.md")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("(?s)```go\n(.*?)```").FindSubmatch(doc)
	if found == nil {
		t.Fatal("no Go program in docs/channels.md")
	}
	dir := t.TempDir()
	program, test := filepath.Join(dir, "main.go"), filepath.Join(dir, "main_test.go")
	now := time.Now()
	body, secret := []byte(`{"version":"4"}`), newWebhookSecret()
	at := func(d time.Duration) string { return strconv.FormatInt(now.Add(d).Unix(), 10) }
	cases := []struct {
		stamp, signature string
		want             bool
	}{
		{at(0), "v1=" + Sign(secret, at(0), body), true},
		{at(0), "v1=" + Sign("kwh_other", at(0), body) + ",v1=" + Sign(secret, at(0), body), true},
		{at(-4 * time.Minute), "v1=" + Sign(secret, at(-4*time.Minute), body), true},
		{at(-6 * time.Minute), "v1=" + Sign(secret, at(-6*time.Minute), body), false},
		{at(6 * time.Minute), "v1=" + Sign(secret, at(6*time.Minute), body), false},
		{at(0), "v1=" + Sign("kwh_other", at(0), body), false},
		{at(0), "v1=" + Sign(secret, at(0), []byte(`{"version":"5"}`)), false},
		{at(-time.Minute), "v1=" + Sign(secret, at(0), body), false},
		{"", "v1=" + Sign(secret, "", body), false},
		{at(0), "", false},
	}
	var lines strings.Builder
	for i, c := range cases {
		fmt.Fprintf(&lines, "\tif got := genuine(%q, http.Header{%q: {%q}, %q: {%q}}, []byte(%q)); got != %v {\n\t\tt.Errorf(\"case %d: %%v\", got)\n\t}\n",
			secret, HeaderTimestamp, c.stamp, HeaderSignature, c.signature, body, c.want, i)
	}
	source := "package main\n\nimport (\n\t\"net/http\"\n\t\"testing\"\n)\n\nfunc TestGenuine(t *testing.T) {\n" + lines.String() + "}\n"
	for name, text := range map[string][]byte{program: found[1], test: []byte(source), filepath.Join(dir, "go.mod"): []byte("module hook\n\ngo 1.24\n")} {
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "go", "test", ".")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// TestPushAsTheRFCHasIt is the example of RFC 8291, section 5: both keys and the salt are given.
func TestPushAsTheRFCHasIt(t *testing.T) {
	t.Parallel()
	raw := func(s string) []byte {
		b, err := base64.RawURLEncoding.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	receiver := must(ecdh.P256().NewPrivateKey(raw("q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94")))(t)
	sender := must(ecdh.P256().NewPrivateKey(raw("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw")))(t)
	ph := &phone{key: receiver, auth: raw("BTBZMqHH6r4Tts7J_aSIgg")}
	example := raw("DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN")
	plain, err := ph.decrypt(example)
	if err != nil || string(plain) != "When I grow up, I want to be a watermelon" {
		t.Fatalf("the test's own receiver reads %q, %v", plain, err)
	}
	sealed, err := encrypt(plain, ph.subscription("https://push.example/x"), func(b []byte) { copy(b, raw("DGv6ra1nlYgDCS1FRnbzlw")) }, sender)
	if err != nil || !bytes.Equal(sealed[:86], example[:86]) || !bytes.Equal(sealed[86:86+len(plain)], example[86:86+len(plain)]) {
		t.Fatalf("not what the RFC has, up to the padding: %v", err)
	}
	if again, err := ph.decrypt(sealed); err != nil || !bytes.Equal(again, plain) {
		t.Fatalf("%q, %v", again, err)
	}
}

// TestBrowsersThatAreGone: one that turned notifications off is forgotten, the others still get them.
func TestBrowsersThatAreGone(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		p := w.connect(t)
		c := w.setUp(t, "webpush")
		gone := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusGone) }))
		t.Cleanup(gone.Close)
		if err := w.Subscribe(t.Context(), w.ws, c.ID, w.account, newPhone(t).subscription(gone.URL+"/was-here-once")); err != nil {
			t.Fatal(err)
		}
		n := w.notifier(t, c.ID)
		for i := range 2 {
			w.Clock.Add(time.Second)
			if _, err := n.Notify(w.pipeline(t, "g"), w.firing("HostDown")); err != nil {
				t.Fatal(err)
			}
			if list, _ := w.browsers(t.Context(), c); len(list) != 1 {
				t.Fatalf("%d browsers after round %d", len(list), i)
			}
		}
		if text := w.deliveries(t, c)[1].Attempts[0].Text; !strings.Contains(text, "1 turned notifications off") {
			t.Error(text)
		}
		if len(p.all()) != 2 {
			t.Errorf("%+v", p.all())
		}
		for name, sub := range map[string]subscription{"no key": {Endpoint: "https://push.example/x"}, "inside": newPhone(t).subscription("http://169.254.169.254/x"),
			"scheme": newPhone(t).subscription("ftp://push.example/x")} {
			if err := w.Subscribe(t.Context(), w.ws, c.ID, w.account, sub); kernel.CodeOf(err) != kernel.Invalid {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

// TestLogIsSwept: nothing is kept for longer than the log says, and nothing else goes.
func TestLogIsSwept(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.connect(t)
		c := w.setUp(t, "slack-bot")
		n := w.notifier(t, c.ID)
		for range 2 {
			w.Clock.Add(Retention - time.Hour)
			if _, err := n.Notify(w.pipeline(t, fmt.Sprint("g", w.Clock.Now())), w.firing("HostDown")); err != nil {
				t.Fatal(err)
			}
		}
		w.Clock.Add(2 * time.Hour)
		for _, col := range w.Collections() {
			if col.Sweep == nil {
				continue
			}
			age, err := col.MaxAge(t.Context(), w.ws)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := col.Sweep(t.Context(), w.ws, w.Clock.Now().Add(-age)); err != nil {
				t.Fatal(err)
			}
			oldest, err := col.Oldest(t.Context(), w.ws)
			if err != nil || !oldest.IsZero() && w.Clock.Now().Sub(oldest) > age {
				t.Errorf("%s: %v is left, %v", col.Name, oldest, err)
			}
		}
		for table, want := range map[string]int{"notify_channels": 1, "notify_deliveries": 1, "notify_attempts": 1, "notify_threads": 1} {
			if got := w.Rows(t, table); got != want {
				t.Errorf("%s: %d rows, want %d", table, got, want)
			}
		}
		for _, col := range w.Collections() {
			if col.Erase != nil {
				if _, err := col.Erase(t.Context(), w.ws); err != nil {
					t.Fatal(err)
				}
			}
			if left, err := col.Count(t.Context(), w.ws); err != nil || left != 0 && col.Erase != nil {
				t.Errorf("%s: %d left, %v", col.Name, left, err)
			}
		}
	})
}

// TestChannelsOfOthers: another workspace's channel does not exist, and a viewer changes nothing.
func TestChannelsOfOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dbtest.SQLite(t))
	w.connect(t)
	c := w.setUp(t, "slack")
	_, other, _ := w.Owner(t, "eve@example.org", "Evil")
	if _, err := w.Notifier(t.Context(), other, c.ID); kernel.CodeOf(err) != kernel.NotFound {
		t.Error(err)
	}
	eve := w.Browser(t, "192.0.2.6").SignIn("eve@example.org")
	for _, rest := range []string{"", "/edit", "/delete"} {
		eve.Get("/w/" + string(other) + "/channels/" + string(c.ID) + rest).Is(404)
	}
	for _, rest := range []string{"", "/test", "/on", "/off", "/delete", "/ask"} {
		eve.Post("/w/"+string(other)+"/channels/"+string(c.ID)+rest, "name", "x", "url", "https://example.com/").Is(404)
	}
	vic := w.account2(t, "vic@example.org")
	w.Join(t, w.ws, vic, workspace.RoleViewer)
	v := w.Browser(t, "192.0.2.7").SignIn("vic@example.org")
	base := "/w/" + string(w.ws) + "/channels"
	v.Get(base).Is(200, "On-call slack").Lacks("Set up a channel")
	v.Get(base+"/"+string(c.ID)).Is(200).Lacks("Send a test", "Delete the channel")
	v.Post(base + "/" + string(c.ID) + "/test").Is(403)
	v.Get(base + "/new?kind=slack").Is(403)
}

// TestFormsAndLimits: what is wrong is said at its field, and what was typed stays, but for secrets.
func TestFormsAndLimits(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dbtest.SQLite(t))
	b := w.Browser(t, "192.0.2.1").SignIn(owner)
	base := "/w/" + string(w.ws) + "/channels"
	b.Get(base).Is(200, "Set up a channel", "Slack (bot)", "PagerDuty", "Browser notifications")
	for _, k := range kinds() {
		b.Get(base+"/new?kind="+k.Key).Is(200, k.Title)
	}
	b.Get(base + "/new?kind=pigeon").To(base)
	for kindKey, form := range map[string][]string{
		"slack": {"url", "http://10.0.0.1:port/"}, "slack-bot": {"token", "xoxp-1", "channel", "#general"}, "telegram": {"token", "1:2", "chat", "somebody"}, "email": {"addresses", "a@b@c"},
		"pagerduty": {"key", "short", "region", "mars"}, "matrix": {"server", "ftp://x", "room", "#alias:x"}, "ntfy": {"server", "https://ntfy.sh", "topic", "a b"}, "webhook": {"url", "https://x.example/\nHost: y"},
	} {
		b.Post(base, append([]string{"kind", kindKey, "name", "Typed name"}, form...)...).Is(422, "Typed name").Lacks("xoxp-1")
	}
	b.Post(base, "kind", "slack", "name", "  ", "url", "https://hooks.slack.com/services/x").Is(422, "Give the channel a name")
	b.Post(base, "kind", "slack", "name", "One", "url", "https://hooks.slack.com/services/T0/B0/abcdefgh")
	b.Post(base, "kind", "discord", "name", "one", "url", "https://discord.com/api/webhooks/1/abc").Is(422, "Another channel has this name")
	b.Post(base, "kind", "owners", "name", "x").Is(404)
	list, _ := w.Channels(t.Context(), w.ws)
	path := base + "/" + string(list[0].ID)
	b.Get(path+"/edit").Is(200, "https://hooks.slack.com/…efgh").Lacks("abcdefgh")
	b.Post(path, "name", "Two", "url", "").To(path + "?done=saved")
	c := must(w.Channel(t.Context(), w.ws, list[0].ID))(t)
	if c.set["url"] != "https://hooks.slack.com/services/T0/B0/abcdefgh" || c.Name != "Two" || c.Resolved {
		t.Errorf("%+v", c)
	}
	b.Post(path + "/delete").To(base + "?done=deleted")
	b.Get(path).Is(404)
	for i := range maxChannels {
		w.make(t, "slack", map[string]string{"url": "https://hooks.slack.com/services/T0/B0/abcdefgh"})
		exec := fmt.Sprint("c", i)
		list, _ := w.Channels(t.Context(), w.ws)
		for _, c := range list {
			if c.Name == "On-call slack" {
				if _, err := w.Update(t.Context(), w.ws, c.ID, Edit{Name: exec}); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if _, err := w.Create(t.Context(), w.ws, "slack", Edit{Name: "more", Set: map[string]string{"url": "https://hooks.slack.com/services/T0/B0/abcdefgh"}}); kernel.CodeOf(err) != kernel.Conflict {
		t.Error(err)
	}
}

// TestAPIListsChannelsWithoutSecrets is the JSON for programs.
func TestAPIListsChannelsWithoutSecrets(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dbtest.SQLite(t))
	w.connect(t)
	c := w.setUp(t, "slack-bot")
	if _, err := w.notifier(t, c.ID).Notify(w.pipeline(t, "g"), w.firing("HostDown")); err != nil {
		t.Fatal(err)
	}
	_, _, key := w.Owner(t, owner, "Acme")
	r := httptest.NewRequest("GET", "/api/v1/channels", nil)
	r.Header.Set("Authorization", "Bearer "+key)
	rec := httptest.NewRecorder()
	w.Mux.ServeHTTP(rec, r)
	var out apiChannelList
	if err := json.Unmarshal(rec.Body.Bytes(), &out); err != nil || len(out.Channels) != 1 || out.Channels[0].LastState != stateSent || out.Channels[0].Settings["channel"] != "C0123456789" {
		t.Errorf("%d %s %v", rec.Code, rec.Body, err)
	}
	if strings.Contains(rec.Body.String(), slackToken) {
		t.Error("the token shows")
	}
}

// FuzzText: whatever people write into alerts, no style lets it out of its marks or over a limit.
func FuzzText(f *testing.F) {
	f.Add("Host<b>Down", "a*b_c`d|e", "@everyone <!channel> [x](javascript:1)", "https://kept.example/a?b=c&d=(e)")
	f.Add("\x00\u202e", "😀😀", strings.Repeat("é", 500), "")
	f.Fuzz(func(t *testing.T, name, label, summary, link string) {
		it := item{Name: clean(name, 200), Severity: critical, Summary: clean(summary, 1000), Labels: []pair{{"l", clean(label, 200)}}, Links: Links{Page: "https://kept.example/" + clean(link, 200)}}
		msg := &message{Items: []item{it, it, it}, Firing: 3, At: testNow}
		msg.Title = msg.title()
		for _, limit := range []int{200, 1000, 4000} {
			html := msg.body(htmlStyle, limit)
			if err := wellFormed(html); err != nil || utf16Len(html) > limit {
				t.Fatalf("%v, %d of %d\n%s", err, utf16Len(html), limit, html)
			}
			slack := msg.body(slackStyle, limit)
			if strings.Contains(slack, "<!") || strings.Contains(slack, "<@") || slackStyle.size(slack) > limit {
				t.Fatalf("%d of %d\n%s", slackStyle.size(slack), limit, slack)
			}
			if md := msg.body(markdown, limit); strings.Contains(md, "@everyone") || strings.Contains(md, "@here") || markdown.size(md) > limit {
				t.Fatal(md)
			}
		}
	})
}

// FuzzAddresses: what is taken for a list of addresses can be written to the letter into mail.
func FuzzAddresses(f *testing.F) {
	f.Add("ann@example.org, bob@example.org\ncarol@example.org;dave@example.org")
	f.Add("a@b\r\nBcc: x@y.z")
	f.Fuzz(func(t *testing.T, text string) {
		list, err := parseAddresses(text)
		if err != nil {
			return
		}
		for _, a := range list {
			if strings.ContainsAny(a.Typed, " \r\n,;<>") || strings.Count(a.Typed, "@") != 1 {
				t.Fatalf("%q", a.Typed)
			}
		}
	})
}
