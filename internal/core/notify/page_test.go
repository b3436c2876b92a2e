package notify

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/core/workspace"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db/dbtest"
)

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
	gone := base + "?deleted=" + string(list[0].ID)
	b.Post(path + "/delete").To(gone)
	b.Get(path).Is(404)
	b.Post(path + "/test").Is(404)
	b.Get(gone).Is(200, "Two is deleted", "Undo", "Bring back")
	b.Post(base, "kind", "slack", "name", "two", "url", "https://hooks.slack.com/services/T0/B0/abcdefgh")
	b.Post(path+"/restore").Is(409, "Another channel is called Two now")
	other, _ := w.Channels(t.Context(), w.ws)
	b.Post(base + "/" + string(other[0].ID) + "/delete").To(base + "?deleted=" + string(other[0].ID))
	b.Post(path + "/restore").To(base + "?done=restored")
	if back := must(w.Channel(t.Context(), w.ws, c.ID))(t); back.Name != "Two" || back.set["url"] != c.set["url"] {
		t.Errorf("brought back as %+v", back)
	}
	b.Get(path).Is(200, "Two")
	b.Post(path + "/delete")
	channels := w.channelsCollection()
	for _, x := range []struct {
		at   time.Time
		gone int64
	}{{w.Clock.Now().Add(-time.Minute), 0}, {w.Clock.Now().Add(time.Minute), 2}} {
		if n, err := channels.Sweep(t.Context(), "", x.at); err != nil || n != x.gone {
			t.Errorf("swept %d deleted channels, %v, want %d", n, err, x.gone)
		}
	}
	b.Post(path + "/restore").Is(404)
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
