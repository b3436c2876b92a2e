package metrics

import (
	"net/http/httptest"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/core/access/accesstest"
	"github.com/kept-dev/kept/internal/platform/db/dbtest"
	"github.com/kept-dev/kept/internal/ui/uitest"
)

// TestHostsInABrowser looks at hosts in a real browser: the empty page, a token, hosts in trouble and well, one of them, what
// metrics take, a rule and its end.
func TestHostsInABrowser(t *testing.T) {
	t.Parallel()
	w := newWorld(t, accesstest.New(t, dbtest.SQLite(t)))
	server := httptest.NewServer(w.Mux)
	t.Cleanup(server.Close)
	base := server.URL + "/w/" + string(w.ws)
	page := uitest.Start(t).Open(t, server.URL+"/sign-in?next=/w/"+string(w.ws)+"/hosts")
	t.Cleanup(w.Mux.CloseStreams)
	wait := func(text string) { t.Helper(); page.Wait(t, "document.body.textContent.includes(`"+text+"`)") }
	page.Fill(t, "#f-email", "ada@example.com")
	page.Fill(t, "#f-password", accesstest.Password)
	page.Click(t, "form .form-end button")
	wait("No host yet")
	page.Click(t, `.empty a[href$="/hosts/connect"]`)
	wait("Make the command")
	page.Click(t, "main form button")
	wait("kepte_")
	page.Axe(t)

	for name, used := range map[string]float64{"web-1": .97, "web-2": .4} {
		if code := w.send(t, w.key, w.machine(name, used)...); code != 204 {
			t.Fatal(code)
		}
	}
	w.send(t, w.key, s(1.2, "kept_process_cpu_ratio", "process", "postgres", "instance", "web-1"), s(0, "probe_success", "probe", "shop", "instance", "web-1"))
	w.call(t, "POST", "/api/v1/deploys", w.key, map[string]any{"service": "shop", "version": "1.4.2", "at": w.Stack.Clock.Now().Add(-30 * time.Minute)}, nil)
	if err := w.writeSeen(t.Context()); err != nil {
		t.Fatal(err)
	}
	wait("web-2") // what is looked at hears of it
	page.Go(t, base+"/hosts")
	wait("/ is 97 % full")
	page.Look(t, "hosts")
	page.Fill(t, "#hosts-q", "web-2")
	page.Wait(t, `!document.body.textContent.includes("97 %") && location.search.includes("q=web-2")`)
	page.Go(t, base+"/hosts")
	page.Click(t, "tbody tr:first-child a")
	wait("Probe fails: shop")
	page.Wait(t, `document.querySelector("kept-chart canvas, kept-chart svg")`)
	page.Look(t, "host")
	page.Reach(t, "host")

	page.Go(t, base+"/usage")
	wait("Largest metrics")
	page.Axe(t)
	page.Click(t, "#drops a.btn")
	page.Fill(t, "#f-selector", "node_cpu_seconds_total{")
	page.Click(t, "form.form button")
	wait("This is no selector")
	page.Fill(t, "#f-selector", `node_cpu_seconds_total{mode="user"}`)
	page.Click(t, "form.form button")
	wait("What it would drop")
	page.Axe(t)
	page.Click(t, ".section form.form button")
	wait("The rule is in force")
	page.Click(t, `#drops form button`)
	wait("is kept again from now on")
}
