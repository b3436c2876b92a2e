package notify

import (
	"bytes"
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

	"github.com/kept-dev/kept/internal/platform/db/dbtest"
)

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
