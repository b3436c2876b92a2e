package alert

import (
	"context"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"

	"github.com/kept-dev/kept/internal/core/access/accesstest"
	"github.com/kept-dev/kept/internal/core/notify"
	"github.com/kept-dev/kept/internal/core/query"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/bus"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/db/dbtest"
	"github.com/kept-dev/kept/internal/platform/seal"
	"github.com/kept-dev/kept/internal/platform/series"
	"github.com/kept-dev/kept/internal/ui"
	"github.com/kept-dev/kept/internal/ui/uitest"
)

const testPack = `groups:
  - name: hosts
    rules:
      - alert: HostDown
        expr: up == 0
        for: 5m
        labels: {severity: critical}
        annotations: {summary: "{{ $labels.instance }} is down", description: Its agent does not report.}
      - alert: HighLoad
        expr: load > 8
        for: 10m
        labels: {severity: warning}
`

// site is the module's pages behind the real edge, with a signed-in owner.
type site struct {
	*accesstest.Stack
	m     *Module
	ws    kernel.WorkspaceID
	key   string
	store *series.TSDB
	out   *fakeChannels
	owner *accesstest.Browser
}

const ownerMail = "ada@example.org"

func newSite(t *testing.T, cfg db.Config) *site {
	t.Helper()
	s := &site{Stack: accesstest.New(t, cfg), out: &fakeChannels{fails: map[kernel.ID]error{}, list: []notify.Channel{
		{ID: kernel.NewID(time.Now()), Name: "On-call Slack", Kind: "slack", Resolved: true}}}}
	if err := s.DB.Migrate(t.Context(), db.Module{Name: "seal", Migrations: (&seal.Keys{}).Migrations()}, db.Module{Name: "alert", Migrations: Migrations()}); err != nil {
		t.Fatal(err)
	}
	_, s.ws, s.key = s.Owner(t, ownerMail, "Shop")
	var err error
	if s.store, err = series.OpenTSDB(series.Config{Dir: filepath.Join(t.TempDir(), "series"), Clock: clock}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.store.Close() })
	q, err := query.New(query.Deps{Store: s.store, Clock: clock, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	u, err := ui.New(ui.Config{Apps: []ui.App{{Key: "alerts", Label: "Alerts", Icon: "bell"}}, Frame: func(r *http.Request) ui.Frame {
		return ui.Frame{Nav: ui.ExpandNav(s.m.Nav(), string(s.ws)), Viewer: &ui.Viewer{Email: ownerMail, Workspace: "Shop", SignOut: "/sign-out"}}
	}})
	if err != nil {
		t.Fatal(err)
	}
	s.m, err = New(Deps{DB: s.DB, Keys: testKeys(t, s.DB), UI: u, Bus: bus.NewMemory(), Store: s.store, Query: q, Channels: s.out, Clock: clock, BaseURL: func() string { return accesstest.BaseURL },
		Logger: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))})
	if err != nil {
		t.Fatal(err)
	}
	s.m.UsePacks(RulePack{Key: "hosts", Title: "Hosts", About: "Down, busy, full.", YAML: []byte(testPack)})
	if err := s.Mux.Add(s.m.Routes()...); err != nil {
		t.Fatal(err)
	}
	s.owner = s.Browser(t, "192.0.2.1").SignIn(ownerMail)
	return s
}

// path is a page below the workspace's alerts.
func (s *site) path(rest string) string { return home(s.ws) + rest }

// fill writes a day of a metric, one value per minute.
func (s *site) fill(t *testing.T, name, instance string, value func(at time.Time) float64) {
	t.Helper()
	app := s.store.For(s.ws).AppenderV2(context.Background())
	now := time.Now().Truncate(time.Minute)
	for at := now.Add(-24 * time.Hour); !at.After(now); at = at.Add(time.Minute) {
		if _, err := app.Append(0, labels.FromStrings("__name__", name, "instance", instance), 0, at.UnixMilli(), value(at), nil, nil, storage.AOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := app.Commit(); err != nil {
		t.Fatal(err)
	}
}

// seed stores an alert as an engine does.
func (s *site) seed(t *testing.T, a Alert) Alert {
	t.Helper()
	a.ID = kernel.NewID(a.StartedAt)
	a.Fingerprint = fingerprintOf(a.RuleID, a.Labels)
	a.Labels["alertname"] = a.Name
	b := &book{m: s.m, ws: s.ws}
	if err := b.put(t.Context(), []Alert{a}, func(*db.Tx) error { return nil }); err != nil {
		t.Fatal(err)
	}
	return a
}

var idInPath = regexp.MustCompile(`/([0-9a-z]{26})(?:\?|$)`)

// TestPages walks every page and every form: empty, filled, wrong, undone.
func TestPages(t *testing.T) {
	t.Parallel()
	dbtest.EachConfig(t, func(t *testing.T, cfg db.Config) {
		s := newSite(t, cfg)
		o := s.owner
		o.Get(s.path("")).Is(200, "Nothing is watched yet", "See the rule packs")
		o.Get(s.path("/history")).Is(200, "Nothing has fired yet")
		o.Get(s.path("/rules")).Is(200, "No rules yet")
		o.Get(s.path("/silences")).Is(200, "Nothing is silenced")
		o.Get(s.path("/maintenance")).Is(200, "No maintenance is planned")
		o.Get(s.path("/routing")).Is(200, "Mail to owners and admins", "Everything else")

		// A rule by form: wrong, tried out, saved, changed, off, on, deleted, brought back.
		s.fill(t, "load", "web-1", func(at time.Time) float64 {
			if h := int(time.Since(at).Hours()); h == 3 || h == 15 {
				return 9
			}
			return 1
		})
		for _, kind := range Kinds {
			o.Get(s.path("/rules/new?kind="+kind)).Is(200, kindWords[kind].About, "Save the rule")
		}
		form := []string{"kind", "threshold", "name", "HighLoad", "group", "hosts", "interval", "1m", "expr", "load", "compare", ">", "value", "5", "for", "5m",
			"severity", "critical", "summary", "Load of {{ $labels.instance }} is {{ $value }}", "labels", "team=shop", "span", "1d"}
		wrong := append([]string{}, form...)
		wrong[9] = "load)"
		o.Post(s.path("/rules"), wrong...).Is(422, "At character", "load)")
		o.Post(s.path("/rules/test"), form...).Is(200, "It would have fired 2 times, for 1 series", "web-1", "load > 5").Lacks("too costly")
		location := o.Post(s.path("/rules"), form...).Is(303).Header.Get("Location")
		rule := s.path("/rules/") + idInPath.FindStringSubmatch(location)[1]
		o.Get(location).Is(200, "The rule is saved", "load > 5", "team", "shop", "None yet.")
		edit := append(append([]string{}, form...), "version", "1")
		edit[13] = "7"
		o.Get(rule+"/edit").Is(200, `value="HighLoad"`)
		o.Post(rule, edit...).To(rule + "?done=saved")
		o.Get(rule).Is(200, "load > 7")
		o.Post(rule, edit...).Is(409, "Somebody changed the rule")
		o.Get(rule+"/versions").Is(200, "Version 2", "Version 1", ownerMail, "- expr: load > 5", "+ expr: load > 7", "Go back to this version")
		o.Post(rule + "/versions/9").Is(404)
		o.Post(rule + "/versions/2").To(rule + "?done=reverted") // as it is: a version all the same
		o.Post(rule + "/versions/1").To(rule + "?done=reverted")
		o.Get(rule).Is(200, "load > 5")
		o.Get(rule+"/versions").Is(200, "Version 4", "saved without a change", "current")
		o.Post(rule + "/versions/2").To(rule + "?done=reverted")
		o.Get(s.path("")).Is(200, "All is well", "1 rule watches")
		o.Post(rule + "/disable").To(rule + "?done=disabled")
		o.Get(s.path("/rules")).Is(200, "disabled")
		o.Post(rule + "/enable").To(rule + "?done=enabled")
		id := rule[len(rule)-26:]
		o.Post(rule + "/delete").To(s.path("/rules?deleted=" + id))
		o.Get(s.path("/rules?deleted="+id)).Is(200, "HighLoad is deleted.", "Undo")
		o.Get(rule).Is(200, "Bring it back")
		o.Post(rule + "/restore").To(s.path("/rules?done=restored"))

		// Import and export.
		o.Get(s.path("/rules/import")).Is(200, "Rule file")
		bad := "groups: [{name: g, rules: [{alert: A, expr: up == 0}, {alert: B, expr: 'up =='}]}]"
		o.Post(s.path("/rules/import"), "yaml", bad).Is(422, "Nothing was imported", "could not parse expression")
		o.Post(s.path("/rules/import"), "yaml", "nothing").Is(422, "cannot unmarshal")
		o.Post(s.path("/rules/import"), "yaml", bad, "skip", "on").To(s.path("/rules?done=imported"))
		out := o.Get(s.path("/rules/export")).Is(200, "alert: HighLoad", "alert: A", "expr: load > 7", "interval: 1m").Lacks("alert: B")
		if got := out.Header.Get("Content-Disposition"); !strings.Contains(got, "attachment") {
			t.Errorf("Content-Disposition %q", got)
		}
		o.Post(s.path("/rules/import"), "yaml", out.Body, "all", "on").To(s.path("/rules?done=imported"))
		if again := o.Get(s.path("/rules/export")); again.Body != out.Body {
			t.Errorf("an export that is imported again becomes\n%s\nfrom\n%s", again.Body, out.Body)
		}

		// Packs.
		o.Get(s.path("/packs")).Is(200, "HostDown", "disabled")
		o.Get(s.path("/packs?test=hosts")).Is(200, "would not have fired", "would have fired")
		o.Post(s.path("/packs/enable"), "pack", "hosts").To(s.path("/packs?done=on"))
		o.Get(s.path("/rules")).Is(200, "HostDown", "pack")
		o.Get(rule).Is(200, "Turn off").Lacks("Bring it back") // a rule of one's own in a group of the same name stays
		o.Post(s.path("/packs/disable"), "pack", "hosts").To(s.path("/packs?done=off"))
		o.Post(s.path("/packs/enable"), "pack", "nothing").Is(404)

		// An alert: list, page, acknowledgement, silence.
		a := s.seed(t, Alert{Name: "HighLoad", RuleID: kernel.ID(id), Severity: "critical", State: Firing, Value: 9.5, Labels: map[string]string{"instance": "web-1"},
			Annotations: map[string]string{"summary": "Load of web-1 is 9.5", "runbook_url": "javascript:alert(1)"}, StartedAt: time.Now().Add(-20 * time.Minute), FiredAt: time.Now().Add(-15 * time.Minute),
			Facts: []Fact{{Title: "Top process", Text: "postgres (pid 812): 93 % of a core"}}})
		o.Get(s.path("")).Is(200, "Load of web-1 is 9.5", "critical", "1 alert fires now.")
		o.Get(s.path("?severity=info")).Is(200, "No alert matches")
		o.Get(s.path("?q=web-1&state=firing")).Is(200, "Load of web-1")
		page := alertHref(s.ws, a.ID)
		o.Get(page).Is(200, "postgres (pid 812)", "Nobody yet.", "Around the time", "kept-chart").Lacks("javascript:alert")
		o.Post(page+"/ack", "note", strings.Repeat("x", 1001)).Is(422, "longer than 1,000")
		o.Post(page+"/ack", "note", "on it").To(page + "?done=acked")
		o.Get(page).Is(200, ownerMail, "on it", "Take it back")
		o.Get(s.path("")).Is(200, "acknowledged")
		o.Post(page + "/unack").To(page + "?done=unacked")
		o.Get(s.path("/silences/new?alert="+string(a.ID))).Is(200, `instance="web-1"`, "It mutes 1 alert")
		o.Post(s.path("/silences"), "matchers", "nonsense", "lasts", "1h").Is(422, "is not like severity=")
		o.Post(s.path("/silences"), "matchers", `x!="y"`, "lasts", "1h").Is(422, "These fit everything")
		o.Post(s.path("/silences/test"), "matchers", `instance=~"web.*"`, "lasts", "1h").Is(200, "It mutes 1 alert")
		o.Post(s.path("/silences"), "matchers", `instance=~"web.*"`, "lasts", "1h", "comment", "disk is on order").To(s.path("/silences?done=saved"))
		list := o.Get(s.path("/silences")).Is(200, "disk is on order", "active", ownerMail)
		o.Get(s.path("")).Is(200, "silence")
		o.Get(page).Is(200, "Silenced until")
		silence, _ := strings.CutSuffix(regexp.MustCompile(`action="([^"]+/expire)"`).FindStringSubmatch(list.Body)[1], "/expire")
		o.Get(silence).Is(200, "Edit silence", "disk is on order", "It mutes 1 alert", "End it now")
		later := []string{"matchers", `instance="web-1"`, "comment", "later", "lasts", "until", "starts", time.Now().UTC().Add(time.Hour).Format(localTime), "ends", time.Now().UTC().Add(3 * time.Hour).Format(localTime)}
		before := append([]string{}, later...)
		before[9] = time.Now().UTC().Format(localTime)
		o.Post(silence, before...).Is(422, "The end must come after the beginning", "f-ends")
		o.Post(s.path("/silences/test"), append(later, "id", silence[len(silence)-26:])...).Is(200, "Edit silence", "later", `action="`+silence+`"`)
		o.Post(silence, later...).To(s.path("/silences?done=saved"))
		o.Get(s.path("/silences")).Is(200, "later", "pending").Lacks("disk is on order")
		o.Get(page).Lacks("Silenced until")
		o.Get(s.path("/silences/new?from="+silence[len(silence)-26:])).Is(200, "New silence", "later", "instance=")
		o.Post(silence + "/expire").To(s.path("/silences?done=expired"))
		o.Get(s.path("/silences")).Is(200, "Nothing is silenced", "Past", "Again")
		if to := o.Get(silence).Header.Get("Location"); !strings.Contains(to, "/silences/new?from=") {
			t.Errorf("a silence that is over is edited at %q", to)
		}

		// Maintenance.
		window := []string{"name", "Upgrade", "matchers", `instance="web-1"`, "start", time.Now().UTC().Add(30 * time.Hour).Format(localTime), "lasts", "2h", "zone", "Europe/Berlin", "repeat", "FREQ=WEEKLY", "rule", ""}
		o.Get(s.path("/maintenance/new")).Is(200, "What is done")
		o.Post(s.path("/maintenance/test"), window...).Is(200, "When it happens next", "It mutes 1 alert")
		broken := append([]string{}, window...)
		broken[11], broken[13] = "own", "FREQ=OFTEN"
		o.Post(s.path("/maintenance"), broken...).Is(422, "Write a rule of RFC 5545")
		o.Post(s.path("/maintenance"), window...).To(s.path("/maintenance?done=saved"))
		shown := o.Get(s.path("/maintenance")).Is(200, "Upgrade", "every week")
		one := regexp.MustCompile(`href="([^"]+/maintenance/[0-9a-z]{26})"`).FindStringSubmatch(shown.Body)[1]
		o.Get(one).Is(200, "Upgrade", "Delete")
		o.Post(one, append(window, "id", one[len(one)-26:])...).To(s.path("/maintenance?done=saved"))
		o.Post(one+"/end").Is(409, "does not go on")
		o.Get(s.path("/maintenance/new?from="+one[len(one)-26:])).Is(200, "Plan maintenance", "Upgrade", "Europe/Berlin")
		gone := s.path("/maintenance?deleted=" + one[len(one)-26:])
		o.Post(one + "/delete").To(gone)
		o.Get(gone).Is(200, "Upgrade is deleted", "Undo", "Bring back")
		o.Post(one, window...).Is(404)
		o.Post(one + "/restore").To(s.path("/maintenance?done=restored"))
		o.Get(s.path("/maintenance")).Is(200, "Upgrade", "every week").Lacks("Bring back")
		now := append([]string{}, window...)
		now[1], now[5], now[9], now[11] = "Under way", time.Now().UTC().Add(-time.Hour).Format(localTime), "UTC", ""
		o.Post(s.path("/maintenance"), now...).To(s.path("/maintenance?done=saved"))
		ending := regexp.MustCompile(`action="([^"]+/end)"`).FindStringSubmatch(o.Get(s.path("/maintenance")).Is(200, "now").Body)[1]
		o.Get(page).Is(200, "In maintenance until", "Under way")
		o.Post(ending).To(s.path("/maintenance?done=ended"))
		o.Get(page).Lacks("In maintenance until")

		// Routing.
		slack := string(s.out.list[0].ID)
		o.Get(s.path("/routing/new")).Is(200, "On-call Slack (slack)")
		route := []string{"name", "Critical", "severity-critical", "on", "channel-0", slack, "channel-1", "owners", "group_by", "alertname, instance", "wait", "1s", "interval", "1m", "repeat", "1h",
			"from", "22:00", "to", "06:00", "days", "Fri, Sat", "zone", "Europe/Berlin"}
		o.Post(s.path("/routing/new"), append(append([]string{}, route[:12]...), "interval", "1s", "repeat", "1h")...).Is(422, "Choose between")
		o.Post(s.path("/routing/new"), append(append([]string{}, route...), "channel-2", "01jzzzzzzzzzzzzzzzzzzzzzzz")...).Is(422, "There is no such channel")
		o.Post(s.path("/routing/new"), route...).To(s.path("/routing?done=saved"))
		body := o.Get(s.path("/routing")).Is(200, "Critical", "On-call Slack").Body
		mine := regexp.MustCompile(`href="([^"]+/routing/[0-9a-z]{26})"`).FindStringSubmatch(body)[1]
		o.Get(mine).Is(200, `value="22:00"`, "Fri, Sat")
		o.Post(mine+"/move", "to", "up").To(s.path("/routing?done=saved"))
		o.Post(mine + "/delete").To(s.path("/routing?done=saved"))
		o.Get(mine).Is(404)
		o.Post(s.path("/routing/default/delete")).Is(409)
		o.Post(s.path("/routing/default"), "name", "Everything else", "channel-0", slack, "group_by", "alertname", "wait", "1s", "interval", "1m", "repeat", "7h").To(s.path("/routing?done=saved"))
		o.Get(s.path("/routing")).Is(200, "every 7h", "On-call Slack")
		o.Post(s.path("/routing/inhibit/add"), "source", `alertname="HostDown"`, "target", "", "equal", "instance").Is(422)
		o.Post(s.path("/routing/inhibit/add"), "source", `alertname="HostDown"`, "target", `severity="warning"`, "equal", "instance").To(s.path("/routing?done=saved"))
		o.Post(s.path("/routing/inhibit/delete"), "index", "1").To(s.path("/routing?done=saved"))
		o.Post(s.path("/routing/inhibit/delete"), "index", "7").Is(404)
	})
}

// api asks the API with the workspace's key.
func (s *site) api(t *testing.T, method, path, kind, body string) (int, string) {
	t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+s.key)
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	w := httptest.NewRecorder()
	s.Mux.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

// TestPagesLookRight draws the pages with content in a real browser: accessible, within the width of a phone.
func TestPagesLookRight(t *testing.T) {
	t.Parallel()
	s := newSite(t, dbtest.SQLite(t))
	s.fill(t, "load", "web-1", func(at time.Time) float64 {
		if time.Since(at) < 20*time.Minute || at.UTC().Hour() == 3 {
			return 9
		}
		return 1.5 + float64(at.Minute()%7)/5
	})
	r, err := s.m.SaveRule(t.Context(), s.ws, Rule{Kind: KindThreshold, Group: "hosts", Name: "HighLoad", Expr: `load{instance=~"web.*"}`, Compare: ">", Value: 5, Severity: "critical", Enabled: true,
		Annotations: map[string]string{"summary": "Load of {{ $labels.instance }} is {{ $value }}", "description": "Requests wait for a core."}}, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.m.EnablePack(t.Context(), s.ws, "hosts"); err != nil {
		t.Fatal(err)
	}
	ago := func(d time.Duration) time.Time { return time.Now().Add(-d) }
	a := s.seed(t, Alert{Name: "HighLoad", RuleID: r.ID, Severity: "critical", State: Firing, Value: 9.5, Labels: map[string]string{"instance": "web-1", "team": "shop"},
		Annotations: map[string]string{"summary": "Load of web-1 is 9.5", "description": "Requests wait for a core."}, StartedAt: ago(20 * time.Minute), FiredAt: ago(15 * time.Minute),
		Facts: []Fact{{Title: "Top process", Text: "postgres (pid 812): 93 % of a core"}, {Title: "What changed", Text: "deployed v1.4.2, 22 minutes before"}}})
	s.seed(t, Alert{Name: "DiskFull", RuleID: r.ID, Severity: "warning", State: Pending, Value: 0.08, Labels: map[string]string{"instance": "db-1", "mountpoint": "/var/lib/postgresql"}, StartedAt: ago(2 * time.Minute)})
	for i := range 5 {
		at := ago(time.Duration(i+2) * time.Hour)
		s.seed(t, Alert{Name: "HighLoad", RuleID: r.ID, Severity: "critical", State: Resolved, Value: 7, Labels: map[string]string{"instance": "web-1", "team": "shop"},
			Annotations: map[string]string{"summary": "Load of web-1 is 7"}, StartedAt: at, FiredAt: at.Add(5 * time.Minute), ResolvedAt: at.Add(20 * time.Minute)})
	}
	quiet, err := s.m.SaveSilence(t.Context(), s.ws, Silence{Matchers: []Matcher{{"instance", "=~", "db.*"}}, Until: time.Now().Add(time.Hour), Comment: "The disk is on order"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.m.SaveSilence(t.Context(), s.ws, Silence{Matchers: []Matcher{{"alertname", "=", "HighLoad"}, {"team", "!=", "ops"}}, From: time.Now().Add(time.Hour), Until: time.Now().Add(9 * time.Hour), Comment: "Load test tonight"}); err != nil {
		t.Fatal(err)
	}
	over, err := s.m.SaveSilence(t.Context(), s.ws, Silence{Matchers: []Matcher{{"alertname", "=", "Watchdog"}}, Until: time.Now().Add(time.Hour)})
	if err == nil {
		err = s.m.ExpireSilence(t.Context(), s.ws, over.ID)
	}
	if err != nil {
		t.Fatal(err)
	}
	r.Value, r.For = 6, modelDuration(5*time.Minute)
	if r, err = s.m.SaveRule(t.Context(), s.ws, r, 0, 1); err != nil {
		t.Fatal(err)
	}
	if _, err := s.m.SaveWindow(t.Context(), s.ws, Window{Name: "Move to the new rack", Start: time.Now().Add(-time.Hour), Lasts: 3 * time.Hour, Zone: "UTC", Matchers: []Matcher{{"instance", "=", "web-9"}}}); err != nil {
		t.Fatal(err)
	}
	planned, err := s.m.SaveWindow(t.Context(), s.ws, Window{Name: "Database upgrade", Matchers: []Matcher{{"instance", "=~", "db.*"}}, Start: time.Now().Add(time.Hour), Lasts: 2 * time.Hour, Rule: "FREQ=WEEKLY;BYDAY=SU", Zone: "Europe/Berlin"})
	if err != nil {
		t.Fatal(err)
	}
	routing := defaultRouting()
	night := defaultRoute()
	night.ID, night.Name, night.Severities, night.Channels = "oncall", "Critical, to on-call", []string{"critical"}, []kernel.ID{s.out.list[0].ID, "owners"}
	routing.Routes = []Route{night}
	if err := s.m.SaveRouting(t.Context(), s.ws, routing); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(s.Mux)
	t.Cleanup(server.Close)
	p := uitest.Start(t).Open(t, server.URL+"/sign-in")
	p.Fill(t, "#f-email", ownerMail)
	p.Fill(t, "#f-password", accesstest.Password)
	p.Click(t, ".form-end button")
	p.Wait(t, `!document.querySelector("#f-password")`)
	pages := map[string]string{"alerts": "", "alert": "/a/" + string(a.ID), "packs": "/packs?test=hosts", "route": "/routing/oncall"}
	if os.Getenv(uitest.Shots) != "" { // the others are made of the same parts
		maps.Copy(pages, map[string]string{"history": "/history", "rules": "/rules", "rule": "/rules/" + string(r.ID), "rule-anomaly": "/rules/new?kind=anomaly", "rule-versions": "/rules/" + string(r.ID) + "/versions", "silence-edit": "/silences/" + string(quiet.ID), "window-edit": "/maintenance/" + string(planned.ID), "silences": "/silences",
			"silence": "/silences/new?alert=" + string(a.ID), "windows": "/maintenance", "window": "/maintenance/new", "routing": "/routing", "import": "/rules/import"})
	}
	for name, path := range pages {
		p.Go(t, server.URL+s.path(path))
		p.Look(t, "alert-"+name)
	}
	// Trying a rule out keeps the form.
	p.Go(t, server.URL+s.path("/rules/"+string(r.ID)+"/edit"))
	p.Click(t, "button[formaction]")
	p.Wait(t, `document.querySelector("#backtest")?.textContent.includes("It would have fired")`)
	p.Look(t, "alert-backtest")
}
