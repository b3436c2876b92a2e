package notify

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/alertmanager/alert"

	"github.com/kept-dev/kept/internal/platform/db/dbtest"
)

// settingsFor are what a person would enter for each kind, with the stand-in as the provider.
func settingsFor(p *provider) map[string]map[string]string {
	base := p.server.URL
	return map[string]map[string]string{
		"webhook":      {"url": base + "/webhook" + hookPath, "authorization": "Bearer hook-secret-1"},
		"alertmanager": {"url": base + "/alertmanager" + hookPath + "/", "authorization": "Basic a2VwdDpz"},
		"slack":        {"url": base + "/slack" + hookPath},
		"slack-bot":    {"token": slackToken, "channel": "C0123456789"},
		"discord":      {"url": base + "/discord" + hookPath},
		"teams":        {"url": base + "/teams" + hookPath},
		"telegram":     {"token": telegramToken, "chat": "-1001234567890", "topic": "7"},
		"mattermost":   {"url": base + "/mattermost" + hookPath},
		"matrix":       {"server": base, "token": matrixToken, "room": "!room:example.org"},
		"pagerduty":    {"key": routingKey, "region": "us"},
		"opsgenie":     {"key": genieKey, "region": "eu"},
		"pushover":     {"user": pushUser, "token": pushToken, "critical": "emergency"},
		"ntfy":         {"server": base + "/ntfy/", "topic": "kept-alerts-x7Gq", "token": ntfyToken},
		"webpush":      {},
	}
}

// connect is a world with providers around it.
func (w *world) connect(t testing.TB) *provider {
	t.Helper()
	p := newProvider(t)
	w.p, p.now = p, w.Clock.Now
	w.hosts = map[string]string{}
	for _, k := range []string{"slack-bot", "telegram", "pagerduty", "opsgenie", "pushover", "webpush"} {
		w.hosts[k] = p.server.URL + "/" + k
	}
	return p
}

// setUp makes a channel of a kind, ready to send.
func (w *world) setUp(t testing.TB, kindKey string) Channel {
	t.Helper()
	c := w.make(t, kindKey, settingsFor(w.p)[kindKey])
	if kindKey == "webpush" {
		if err := w.Subscribe(t.Context(), w.ws, c.ID, w.account, w.p.phone.subscription(w.p.server.URL+"/push/endpoint-secret-0123456789")); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// secretsOf are a channel's texts that nobody may see.
func (w *world) secretsOf(t testing.TB, c Channel) (out []string) {
	t.Helper()
	c, err := w.Channel(t.Context(), w.ws, c.ID)
	if err != nil {
		t.Fatal(err)
	}
	k, _ := kindNamed(c.Kind)
	for name, v := range c.set {
		if f, typed := k.field(name); (!typed || f.Secret) && name != "vapid_public" {
			out = append(out, v)
		}
	}
	if c.Kind == "webpush" {
		out = append(out, "endpoint-secret-0123456789")
	}
	if v := c.set["url"]; v != "" {
		out = append(out, hookPath)
	}
	return out
}

// eachKind runs f for every kind that speaks HTTP, with a workspace of its own.
func eachKind(t *testing.T, f func(t *testing.T, w *world, c Channel)) {
	t.Parallel()
	for _, k := range kinds() {
		if k.Key == "email" {
			continue
		}
		t.Run(k.Key, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, dbtest.SQLite(t))
			w.connect(t)
			f(t, w, w.setUp(t, k.Key))
		})
	}
}

func TestEveryKindIsTried(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	for _, k := range kinds() {
		if _, ok := settingsFor(p)[k.Key]; !ok && k.Key != "email" {
			t.Errorf("%s has no settings in this test", k.Key)
		}
	}
}

// TestLifeOfAGroup: it fires, grows, is acknowledged and ends, and every provider takes each of it.
func TestLifeOfAGroup(t *testing.T) {
	eachKind(t, func(t *testing.T, w *world, c Channel) {
		n := w.notifier(t, c.ID)
		tell := func(alerts ...*alert.Alert) {
			t.Helper()
			w.Clock.Add(time.Second)
			if _, err := n.Notify(w.pipeline(t, "g1"), alerts...); err != nil {
				t.Fatal(err)
			}
		}
		one, two := w.firing("HostDown", "host", "web-1"), w.firing("HostDown", "host", "web-2")
		tell(one)
		tell(one, two)
		acked := *one
		acked.Annotations = one.Annotations.Clone()
		acked.Annotations[AnnotationAcked] = "ann@example.org"
		tell(&acked)
		tell(w.over(one), w.over(two))
		got := w.p.all()
		if len(got) < 4 {
			t.Fatalf("%d messages: %+v", len(got), got)
		}
		first, last := got[0], got[len(got)-1]
		switch c.Kind {
		case "pagerduty", "opsgenie":
			if len(w.p.open) != 0 || first.Thread != last.Thread || first.Thread == "" {
				t.Errorf("open %v, %+v", w.p.open, got)
			}
			words := []string{got[0].Priority, got[2].Priority, got[3].Priority}
			if want := map[string][]string{"pagerduty": {"trigger", "acknowledge", "resolve"}, "opsgenie": {"P1", "acknowledge", "close"}}[c.Kind]; !slices.Equal(words, want) {
				t.Errorf("%v, want %v", words, want)
			}
		case "slack-bot":
			if first.Thread != "" || got[1].Thread != first.ID || last.Thread != first.ID || first.Title != "Resolved: HostDown (2)" {
				t.Errorf("%+v", got)
			}
		case "telegram", "matrix":
			if first.Thread != "" || got[1].Thread != first.ID || last.Thread != first.ID {
				t.Errorf("%+v", got)
			}
		case "pushover":
			if first.Priority != "2" || got[2].Priority != "-1" || last.Priority != "0" || len(w.p.open) != 0 {
				t.Errorf("%+v, open %v", got, w.p.open)
			}
		case "ntfy":
			if first.Priority != "5" || last.Priority != "3" {
				t.Errorf("%+v", got)
			}
		}
		if !strings.Contains(first.Title+last.Title, "HostDown") {
			t.Errorf("%+v", got)
		}
		if c.Kind != "slack-bot" && c.Kind != "pagerduty" && (!strings.Contains(first.Title, "Firing: HostDown on web-1") || c.Kind != "opsgenie" && !strings.Contains(last.Title, "Resolved: HostDown (2)")) {
			t.Errorf("titles %q, %q", first.Title, last.Title)
		}
		tell(w.firing("HostDown", "host", "web-3")) // what comes next opens a thread of its own
		if again := w.p.all(); c.Kind == "slack-bot" || c.Kind == "telegram" || c.Kind == "matrix" {
			if again[len(again)-1].Thread != "" {
				t.Error("a group that is over goes on")
			}
		}
		for _, d := range w.deliveries(t, c) {
			if d.State != stateSent || d.Tries != 1 {
				t.Errorf("%+v", d)
			}
		}
	})
}

// TestHugeGroups: no limit of a provider is passed, however much there is to say.
func TestHugeGroups(t *testing.T) {
	eachKind(t, func(t *testing.T, w *world, c Channel) {
		var many []*alert.Alert
		for i := range 300 {
			a := w.firing(fmt.Sprintf("Rule%d_%s", i%7, strings.Repeat("é<&*_`|", 30)), "host", fmt.Sprintf("web-%d", i), "path", strings.Repeat("/x&<y>", 200))
			a.Annotations["summary"], a.Annotations["description"] = "😀"+"<b>", "x "
			for range 9 {
				a.Annotations["summary"] += a.Annotations["summary"]
				a.Annotations["description"] += a.Annotations["description"]
			}
			many = append(many, a)
		}
		if _, err := w.notifier(t, c.ID).Notify(w.pipeline(t, "huge"), many...); err != nil {
			t.Fatal(err)
		}
		if _, err := w.notifier(t, c.ID).Notify(w.pipeline(t, "one"), many[0]); err != nil {
			t.Fatal(err)
		}
		for _, m := range w.p.all() {
			if m.Title == "" {
				t.Errorf("%+v", m)
			}
		}
	})
}

// TestLimitsRetriesAndRefusals: who asks for time gets it, who stumbles is asked again, who refuses is left alone; and
// whatever a provider repeats of our secrets stays out of errors, the log of deliveries, the server's log and the tables.
func TestLimitsRetriesAndRefusals(t *testing.T) {
	eachKind(t, func(t *testing.T, w *world, c Channel) {
		secrets := w.secretsOf(t, c)
		w.p.secrets = secrets
		n, ctx := w.notifier(t, c.ID), w.pipeline(t, "g1")
		one := w.firing("HostDown", "host", "web-1")
		fails := func(mode int, after string, wantRetry bool) {
			t.Helper()
			w.p.set(mode, after)
			retry, err := n.Notify(ctx, one)
			if err == nil || retry != wantRetry || w.p.asked != 1 {
				t.Fatalf("%d: again %v, %v, asked %d times", mode, retry, err, w.p.asked)
			}
			for _, s := range secrets {
				if strings.Contains(err.Error(), s) {
					t.Errorf("%d: the error has %q: %v", mode, s, err)
				}
			}
			if !strings.Contains(err.Error(), fmt.Sprintf("HTTP %d", mode)) {
				t.Errorf("%d: the error is %v", mode, err)
			}
		}
		fails(500, "", true)
		fails(503, "", true)
		fails(429, "7", true)
		if len(w.waited) != 0 {
			t.Fatal("waits where nobody asked for it")
		}
		w.p.set(0, "")
		if _, err := n.Notify(ctx, one); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(w.waited, []time.Duration{7 * time.Second}) {
			t.Errorf("waited %v", w.waited)
		}
		d := w.deliveries(t, c)
		if len(d) != 1 || d[0].State != stateSent || d[0].Tries != 4 || len(d[0].Attempts) != 4 || d[0].Attempts[1].Status != 429 || d[0].Attempts[1].State != stateRetrying {
			t.Fatalf("%+v", d)
		}
		ctx = w.pipeline(t, "g2")
		for _, mode := range []int{400, 401, 403} {
			fails(mode, "", false)
		}
		if c.Kind != "webpush" { // there it says that the browser is gone
			fails(404, "", false)
		}
		d = w.deliveries(t, c)
		if d[0].State != stateFailed {
			t.Errorf("%+v", d[0])
		}
		var texts []string
		for _, d := range d {
			for _, a := range d.Attempts {
				texts = append(texts, a.Text)
			}
		}
		w.quiet(t, secrets, strings.Join(texts, "\n"))
	})
}

// quiet fails where a secret shows.
func (w *world) quiet(t *testing.T, secrets []string, texts string) {
	t.Helper()
	w.FindNowhere(t, secrets...)
	b := w.Browser(t, "192.0.2.1").SignIn(owner)
	base := "/w/" + string(w.ws)
	pages := b.Get(base+"/channels").Body + b.Get(base+"/deliveries").Body
	list, err := w.Channels(t.Context(), w.ws)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range list {
		pages += b.Get(base+"/channels/"+string(c.ID)).Is(200).Body + b.Get(base+"/channels/"+string(c.ID)+"/edit").Is(200).Body
		for _, d := range w.deliveries(t, c) {
			pages += b.Get(base + "/deliveries/" + string(d.ID)).Is(200).Body
		}
	}
	var exported strings.Builder
	for _, col := range w.Collections() {
		if col.Export != nil {
			if err := col.Export(t.Context(), w.ws, func(v any) error { _, err := fmt.Fprintf(&exported, "%+v\n", v); return err }); err != nil {
				t.Fatal(err)
			}
		}
	}
	for where, text := range map[string]string{"the log": w.log.String(), "the deliveries": texts, "the pages": pages, "the export": exported.String()} {
		for _, s := range secrets {
			if len(s) > 5 && strings.Contains(text, s) {
				t.Errorf("%s: %q shows", where, s)
			}
		}
	}
}

// TestAnAnswerThatGotLost: an attempt whose answer never came may have worked. Where a provider knows attempts again, it
// shows the message once.
func TestAnAnswerThatGotLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dbtest.SQLite(t))
	w.connect(t)
	for _, k := range []string{"matrix", "pagerduty", "opsgenie"} {
		c := w.setUp(t, k)
		n, ctx, one := w.notifier(t, c.ID), w.pipeline(t, "lost"), w.firing("HostDown", "host", "web-1")
		for range 2 {
			if _, err := n.Notify(ctx, one); err != nil {
				t.Fatal(err)
			}
		}
	}
	matrix := 0
	for _, m := range w.p.all() {
		if strings.HasPrefix(m.ID, "$event") {
			matrix++
		}
	}
	if matrix != 1 || len(w.p.open) != 1 { // both incident keepers got the group's one key
		t.Errorf("%d Matrix messages, open %v", matrix, w.p.open)
	}
}

// TestAProviderOnAPrivateAddress: channels cannot be used to look around in the operator's network.
func TestAProviderOnAPrivateAddress(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dbtest.SQLite(t))
	p := w.connect(t)
	c := w.setUp(t, "webhook")
	strictOut(w)
	retry, err := w.notifier(t, c.ID).Notify(w.pipeline(t, "g"), w.firing("HostDown"))
	if err == nil || retry || p.asked != 0 || strings.Contains(err.Error(), "127.0.0.1") {
		t.Errorf("again %v, %v, asked %d", retry, err, p.asked)
	}
	if _, err := w.Create(t.Context(), w.ws, "webhook", Edit{Name: "inside", Set: map[string]string{"url": "http://169.254.169.254/latest"}}); err == nil {
		t.Error("a metadata address is taken")
	}
	var f *failure
	if !errors.As(err, &f) || f.text != "the address is not on the public internet" {
		t.Error(err)
	}
}
