package metrics

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"

	"github.com/kept-dev/kept/internal/core/dashboard"
	"github.com/kept-dev/kept/internal/core/query"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/wire/agentapi"
)

var tokenText = regexp.MustCompile(`kepte_[0-9a-f]{40}`)

// TestAHostIsConnectedSeenAndRemoved goes the whole way of a host, from the empty page to its removal and its return.
func TestAHostIsConnectedSeenAndRemoved(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.person.Get(w.path("/hosts")).Is(200, "No host yet", "Connect a host")
		w.person.Get(w.path("/hosts/connect")).Is(200, "Make the command", "remote_write:")
		page := w.person.Post(w.path("/hosts/connect")).Is(200, "kept-agent enrol "+"https://kept.example kepte_")
		token := tokenText.FindString(page.Body)
		w.Stack.FindNowhere(t, token)

		var got agentapi.EnrolResponse
		in := agentapi.EnrolRequest{Token: token, Host: agentHost("web-1")}
		if code := w.call(t, "POST", agentapi.PathEnrol, "", in, &got); code != 200 || got.Key == "" || got.Workspace != string(w.ws) || got.WorkspaceName != "Shop" {
			t.Fatalf("enrol: %d %+v", code, got)
		}
		if code := w.call(t, "POST", agentapi.PathEnrol, "", in, nil); code != 401 {
			t.Errorf("the token works twice: %d", code)
		}
		w.Stack.FindNowhere(t, got.Key)
		w.person.Get(w.path("/settings/api-keys")).Is(200, "1 enrolled host has a key of its own")
		w.person.Get(w.path("/settings/audit")).Is(200, "host_token.create", "host.enrol", "api_key.create")
		w.person.Get(w.path("/hosts/connect")).Is(200, "Arrived in the last hour", "web-1")
		host := strings.TrimPrefix(got.Page, "https://kept.example")
		w.person.Get(host).Is(200, "The agent has enrolled")

		if code := w.send(t, got.Key, w.machine("web-1", .97)...); code != 204 {
			t.Fatalf("samples: %d", code)
		}
		w.send(t, got.Key, s(.93, "kept_process_cpu_ratio", "process", "postgres", "instance", "web-1"), s(1, "node_systemd_unit_state", "name", "nginx.service", "state", "failed", "instance", "web-1"),
			s(0, "probe_success", "probe", "shop", "instance", "web-1"))
		w.person.Get(w.path("/hosts")).Is(200, "/ is 97 % full", "and 2 more", "failing")
		w.person.Get(host).Is(200, "/ is 97 % full", "Probe fails: shop", "1 unit has failed", "nginx.service", "postgres", "93 %", "Debian GNU/Linux 13", "not foreseen")

		w.Stack.Clock.Add(10 * time.Minute) // nothing comes any more
		w.person.Get(w.path("/hosts?state=down")).Is(200, "No samples for 10 min 00 s", "down")
		w.person.Get(w.path("/hosts?state=ok")).Is(200, "No host is like that")
		w.person.Get(w.path("/hosts?q=env%3Dprod")).Is(200, "web-1")

		w.person.Get(host+"/remove").Is(200, "Revoke its API key too")
		w.person.Post(host+"/remove", "revoke", "on").To(w.path("/hosts?done=removed"))
		w.person.Get(w.path("/hosts?done=removed")).Is(200, "The host is removed", "No host yet")
		w.person.Get(host).Is(404)
		if code := w.send(t, got.Key, w.machine("web-1", .5)...); code != 401 {
			t.Errorf("the key works on: %d", code)
		}
		if code := w.send(t, w.key, s(1, "node_uname_info", "nodename", "web-1", "instance", "web-1")); code != 204 {
			t.Fatalf("samples: %d", code)
		}
		if err := w.writeSeen(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.person.Get(w.path("/hosts")).Is(200, "web-1")
	})
}

func TestTokensEnd(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		token := tokenText.FindString(w.person.Post(w.path("/hosts/connect")).Is(200).Body)
		in := agentapi.EnrolRequest{Token: token, Host: agentHost("web-1")}
		bad := in
		bad.Host.ID = "no"
		if code := w.call(t, "POST", agentapi.PathEnrol, "", bad, nil); code != 422 {
			t.Errorf("a host that cannot be: %d", code) // and the token is not used up by it
		}
		w.Stack.Clock.Add(tokenLife)
		if code := w.call(t, "POST", agentapi.PathEnrol, "", in, nil); code != 401 {
			t.Errorf("an hour later: %d", code)
		}
		for _, text := range []string{"", "kepte_", "kept_" + token[6:], strings.Repeat("kepte_", 100)} {
			in.Token = text
			if code := w.call(t, "POST", agentapi.PathEnrol, "", in, nil); code != 401 {
				t.Errorf("%.20q: %d", text, code)
			}
		}
		n, err := w.Collections()[1].Sweep(t.Context(), "", w.Stack.Clock.Now())
		if err != nil || n != 1 {
			t.Errorf("swept %d, %v", n, err)
		}
	})
}

// TestWhatChanged: restarts, new kernels and agents are noted from what agents tell and from series, and with releases
// they are what charts mark and alerts are explained by.
func TestWhatChanged(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		h := agentHost("web-1")
		hello := func() {
			t.Helper()
			var answer agentapi.HelloResponse
			code := w.call(t, "POST", agentapi.PathHello, w.key, agentapi.Hello{Host: h, Now: w.Stack.Clock.Now().UnixMilli() + 30_000, Buffered: 3600}, &answer)
			if code != 200 || answer.Agent != "v1.2.0" || answer.Now != w.Stack.Clock.Now().UnixMilli() {
				t.Fatalf("hello: %d %+v", code, answer)
			}
		}
		hello()
		w.Stack.Clock.Add(time.Hour)
		h.Kernel, h.Agent, h.BootTime = "6.12.2", "v1.1.0", w.Stack.Clock.Now().Add(-time.Minute).Unix()
		hello()
		deploy := map[string]any{"service": "shop", "version": "1.4.2", "environment": "prod"}
		if code := w.call(t, "POST", "/api/v1/deploys", w.key, deploy, nil); code != 201 {
			t.Fatalf("deploy: %d", code)
		}
		for field, value := range map[string]any{"service": "", "link": "javascript:alert(1)", "until": "2020-01-01T00:00:00Z", "text": strings.Repeat("x", 600)} {
			wrong := map[string]any{"service": "shop", field: value}
			if code := w.call(t, "POST", "/api/v1/deploys", w.key, wrong, nil); code != 422 {
				t.Errorf("a release with %s %.20v: %d", field, value, code)
			}
		}
		// db-1 has no agent; its start shows in its series alone.
		boot := w.Stack.Clock.Now().Add(-10 * time.Minute)
		w.send(t, w.key, s(float64(boot.Add(-99*time.Hour).Unix()), "node_boot_time_seconds", "instance", "db-1").before(15*time.Minute),
			s(float64(boot.Unix()), "node_boot_time_seconds", "instance", "db-1").before(5*time.Minute), s(float64(boot.Unix()), "node_boot_time_seconds", "instance", "db-1"),
			s(.93, "kept_process_cpu_ratio", "process", "postgres", "instance", "web-1"), s(2e9, "kept_process_resident_memory_bytes", "process", "java", "instance", "web-1"))

		now := w.Stack.Clock.Now()
		list, err := w.Annotations(t.Context(), w.ws, now.Add(-2*time.Hour), now.Add(time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		wants := map[string]string{"shop 1.4.2 (prod)": "deploy", "Kernel 6.12.1 → 6.12.2": "note", "Agent v1.2.0 → v1.1.0": "note", "Restarted": "reboot"}
		count := map[string]int{}
		for _, a := range list {
			if wants[a.Text] != a.Kind {
				t.Errorf("marked: %+v", a)
			}
			count[a.Text]++
		}
		if len(list) != 5 || count["Restarted"] != 2 {
			t.Errorf("%d marks: %+v", len(list), list)
		}

		facts, err := w.Explain(t.Context(), w.ws, map[string]string{"instance": "web-1", "alertname": "LoadHigh"}, now)
		if err != nil {
			t.Fatal(err)
		}
		var text []string
		for _, f := range facts {
			text = append(text, f.Title+": "+f.Text)
		}
		for _, want := range []string{"Top process by CPU: postgres: 93 % of a core", "Top process by memory: java: 1.86 GiB", "Release: shop 1.4.2 (prod)", "Changed: Restarted, 1 min 00 s before", "Changed: Kernel 6.12.1 → 6.12.2"} {
			if !strings.Contains(strings.Join(text, "\n"), want) {
				t.Errorf("not explained by %q: %q", want, text)
			}
		}
		if facts, err := w.Explain(t.Context(), w.ws, map[string]string{"instance": "nobody"}, now); err != nil || len(facts) != 0 {
			t.Errorf("of no host: %v %v", facts, err)
		}
		w.person.Get(w.path("/hosts")).Is(200, "says hello, but sends no samples") // an agent that says hello and sends nothing
	})
}

// TestAnotherWorkspaceSeesNothing of hosts, releases and rules, and cannot remove them.
func TestAnotherWorkspaceSeesNothing(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.send(t, w.key, w.machine("web-1", .5)...)
		if err := w.writeSeen(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.call(t, "POST", "/api/v1/deploys", w.key, map[string]any{"service": "shop"}, nil)
		hosts, err := w.Hosts(t.Context(), w.ws)
		if err != nil || len(hosts) != 1 {
			t.Fatal(hosts, err)
		}
		drop, err := w.AddDrop(t.Context(), actorAda(t, w), w.ws, "x", "")
		if err != nil {
			t.Fatal(err)
		}
		_, eves, key := w.Stack.Owner(t, "eve@example.com", "Other")
		eve := w.Stack.Browser(t, "192.0.2.2").SignIn("eve@example.com")
		own := "/w/" + string(eves)
		eve.Get(own+"/hosts").Is(200, "No host yet")
		for _, path := range []string{"/hosts/" + string(hosts[0].ID), "/hosts/" + string(hosts[0].ID) + "/remove"} {
			eve.Get(own + path).Is(404)
			eve.Get(w.path(path)).Is(404)
		}
		eve.Post(own + "/hosts/" + string(hosts[0].ID) + "/remove").Is(404)
		eve.Post(own + "/usage/drops/" + string(drop.ID) + "/remove").Is(404)
		var list deployList
		if code := w.call(t, "GET", "/api/v1/deploys", key, nil, &list); code != 200 || len(list.Deploys) != 0 {
			t.Errorf("releases: %d %+v", code, list)
		}
		var theirs hostList
		if code := w.call(t, "GET", "/api/v1/hosts", key, nil, &theirs); code != 200 || len(theirs.Hosts) != 0 {
			t.Errorf("hosts: %d %+v", code, theirs)
		}
		if marks, err := w.Annotations(t.Context(), eves, time.Time{}.Add(time.Hour), w.Stack.Clock.Now()); err != nil || len(marks) != 0 {
			t.Errorf("marks: %v %v", marks, err)
		}
	})
}

// TestOneCommandConnectsAHost: where the server has agents to hand out, one command installs and enrols.
func TestOneCommandConnectsAHost(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		nobody := w.Browser(t, "192.0.2.9")
		w.person.Get(w.path("/hosts/connect")).Is(200, "go build", "make agents")
		nobody.Get("/agent/kept-agent-linux-amd64").Is(404)
		if err := os.WriteFile(filepath.Join(w.d.Agents, "kept-agent-linux-amd64"), []byte("an agent"), 0o600); err != nil {
			t.Fatal(err)
		}
		w.person.Get(w.path("/hosts/connect")).Is(200, "Make the command", `href="/agent/kept-agent-linux-amd64"`, "8 B").Lacks("go build")
		page := w.person.Post(w.path("/hosts/connect")).Is(200, "curl -fsSL https://kept.example/agent/install.sh | sudo sh -s -- kepte_")
		w.Stack.FindNowhere(t, tokenText.FindString(page.Body))
		nobody.Get("/agent/kept-agent-linux-amd64").Is(200, "an agent")
		nobody.Get("/agent/install.sh").Is(200, "server='https://kept.example'", fmt.Sprintf("linux-amd64) echo %x ;;", sha256.Sum256([]byte("an agent"))))
		nobody.Get("/agent/passwd").Is(404)
	})
}

// mentions is somebody whose PromQL names metrics.
type mentions []query.Mention

func (m mentions) Mentions(context.Context, kernel.WorkspaceID) ([]query.Mention, error) {
	return m, nil
}

// TestNamedIsInUse: a metric that a dashboard or a rule names is in use, though nobody has looked yet.
func TestNamedIsInUse(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.UseMentioners(mentions{{By: "Dashboard Hosts", Href: "/d", Text: []string{`sum(rate(cpu{instance=~"$host"}[$__rate_interval]))`, "cpu"}}},
			mentions{{By: "Rule Full", Href: "/r", Text: []string{`{__name__=~"disk|cpu"} > 1`}}})
		if code := w.send(t, w.key, s(1, "cpu"), s(1, "disk"), s(1, "lonely")); code != 204 {
			t.Fatal(code)
		}
		uses, err := w.metricUses(t.Context(), w.ws, w.Stack.Clock.Now())
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, u := range uses {
			text := u.Name
			for _, by := range u.UsedBy {
				text += " " + by.By
			}
			got = append(got, text)
		}
		if want := []string{"cpu Dashboard Hosts Rule Full", "disk Rule Full", "lonely"}; !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
		page := w.person.Get(w.path("/usage")).Is(200, `<a href="/d">Dashboard Hosts</a> <span class="muted">and 1 other</span>`)
		_, unused, _ := strings.Cut(page.Body, "Not in use</h2>")
		unused, _, _ = strings.Cut(unused, "</section>")
		if !strings.Contains(unused, "lonely") || strings.Contains(unused, "disk") {
			t.Errorf("not in use: %s", unused)
		}
		w.person.Get(w.path("/usage/drops?selector=disk")).Is(200, "1 of these metrics is in use", "Rule Full")
	})
}

// TestUsageAndDropRules: what a rule would drop is counted before it is made, it is dropped then, and kept again after.
func TestUsageAndDropRules(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.person.Get(w.path("/usage")).Is(200, "No metrics yet")
		var list []sample
		for _, mode := range []string{"user", "system", "steal"} {
			for minutes := 4; minutes >= 0; minutes-- {
				list = append(list, s(1, "cpu", "mode", mode).before(time.Duration(minutes)*time.Minute))
			}
		}
		list = append(list, s(1, "lonely"))
		if code := w.send(t, w.key, list...); code != 204 {
			t.Fatal(code)
		}
		if _, err := w.d.Query.Instant(t.Context(), w.ws, "sum(cpu)", w.Stack.Clock.Now()); err != nil {
			t.Fatal(err)
		}
		uses, err := w.metricUses(t.Context(), w.ws, w.Stack.Clock.Now())
		if err != nil || len(uses) != 2 || uses[0].Name != "cpu" || uses[0].Series != 3 || uses[0].Rate != 15.0/300 || uses[0].Never() || !uses[1].Never() {
			t.Errorf("uses: %+v %v", uses, err)
		}
		w.person.Get(w.path("/usage")).Is(200, "cpu", "lonely", "Not in use", "None. Everything that comes is stored.")

		w.person.Get(w.path("/usage/drops?selector=cpu%7B")).Is(422, "This is no selector")
		w.person.Get(w.path("/usage/drops?selector=cpu%7Bmode%3D%22steal%22%7D")).Is(200, "<b>1</b> of 4 series (25 %)", "1 of these metrics is in use")
		w.person.Post(w.path("/usage/drops"), "selector", "{}").Is(422, "This is no selector")
		w.person.Post(w.path("/usage/drops"), "selector", `cpu{mode="steal"}`, "note", "no hypervisor").To(w.path("/usage?done=dropped#drops"))
		page := w.person.Get(w.path("/usage")).Is(200, "no hypervisor", "ada@example.com", "Keep again")
		w.Stack.Clock.Add(time.Minute)
		if code := w.send(t, w.key, s(2, "cpu", "mode", "user"), s(2, "cpu", "mode", "steal")); code != 204 {
			t.Fatal(code)
		}
		newest := func(mode string) float64 {
			t.Helper()
			var v float64
			a := w.asks(w.ws)
			a.now(t.Context(), w.Stack.Clock.Now(), `cpu{mode="`+mode+`"}`, func(list []reading) { v = list[0].value })
			if err := a.done(); err != nil {
				t.Fatal(err)
			}
			return v
		}
		if newest("user") != 2 || newest("steal") != 1 {
			t.Errorf("user %v, steal %v", newest("user"), newest("steal"))
		}
		remove := regexp.MustCompile(`action="([^"]*/remove)"`).FindStringSubmatch(page.Body)[1]
		w.person.Post(remove).To(w.path("/usage?done=kept#drops"))
		w.Stack.Clock.Add(time.Minute)
		w.send(t, w.key, s(3, "cpu", "mode", "steal"))
		if newest("steal") != 3 {
			t.Errorf("after the rule is gone: %v", newest("steal"))
		}
		w.person.Get(w.path("/settings/audit")).Is(200, "metric_drop.create", "metric_drop.delete")
	})
}

// TestErasure leaves nothing of a workspace behind.
func TestErasure(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.call(t, "POST", agentapi.PathHello, w.key, agentapi.Hello{Host: agentHost("web-1")}, nil)
		h := agentHost("web-1")
		h.Kernel = "7"
		w.call(t, "POST", agentapi.PathHello, w.key, agentapi.Hello{Host: h}, nil)
		w.call(t, "POST", "/api/v1/deploys", w.key, map[string]any{"service": "shop"}, nil)
		w.described(t, writev2.Metadata_METRIC_TYPE_GAUGE, "Depth.", "", "depth")
		if err := w.writeNoted(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.person.Post(w.path("/hosts/connect")).Is(200)
		w.person.Post(w.path("/usage/drops"), "selector", "x").Is(http.StatusSeeOther)
		for _, c := range w.Collections() {
			if n, err := c.Count(t.Context(), w.ws); err != nil || n != 1 {
				t.Errorf("%s: %d, %v", c.Name, n, err)
			}
			if oldest, err := c.Oldest(t.Context(), w.ws); err != nil || oldest.IsZero() {
				t.Errorf("%s: oldest %v, %v", c.Name, oldest, err)
			}
			exported := 0
			if c.Export != nil {
				if err := c.Export(t.Context(), w.ws, func(any) error { exported++; return nil }); err != nil || exported != 1 {
					t.Errorf("%s: exported %d, %v", c.Name, exported, err)
				}
			}
			if n, err := c.Erase(t.Context(), w.ws); err != nil || n != 1 {
				t.Errorf("%s: erased %d, %v", c.Name, n, err)
			}
		}
	})
}

// TestWhoMayDoWhat: viewers look, members remove hosts, only those who manage keys make tokens and rules.
func TestWhoMayDoWhat(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		account, _, _ := w.Stack.Owner(t, "vic@example.com", "Vic's")
		w.Stack.Join(t, w.ws, account, "viewer")
		vic := w.Stack.Browser(t, "192.0.2.3").SignIn("vic@example.com")
		vic.Get(w.path("/hosts")).Is(200)
		vic.Get(w.path("/usage")).Is(200).Lacks("Drop series")
		vic.Get(w.path("/hosts/connect")).Is(200, "An owner or admin can make the command").Lacks("Make the command</button>")
		vic.Post(w.path("/hosts/connect")).Is(403)
		vic.Get(w.path("/usage/drops")).Is(403)
		vic.Post(w.path("/usage/drops"), "selector", "x").Is(403)
	})
}

func TestOurDashboardAndRulesCanBeRead(t *testing.T) {
	t.Parallel()
	for _, f := range (&Module{}).Dashboards() {
		if _, err := dashboard.Decode(f.JSON); err != nil {
			t.Errorf("%s: %v", f.Key, err)
		}
	}
}

// TestARestartIsSaid: a host that was restarted within the hour says so, and is well all the same.
func TestARestartIsSaid(t *testing.T) {
	t.Parallel()
	m := &Module{}
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for ago, want := range map[time.Duration]string{10 * time.Minute: "Restarted 10 minutes ago", 61 * time.Minute: ""} {
		v := unknown()
		v.HasSeries, v.Seen = true, now
		row := hostRow{Troubles: m.troubles("ws", Host{Source: fromSeries, BootedAt: now.Add(-ago)}, v, now)}
		if got := row.First(); want == "" && got != nil || want != "" && (got == nil || got.Text != want || got.weight >= 30) {
			t.Errorf("%v after a restart: %+v", ago, got)
		}
	}
}
