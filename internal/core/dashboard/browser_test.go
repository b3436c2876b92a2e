package dashboard

import (
	"net/http/httptest"
	"testing"

	"github.com/kept-dev/kept/internal/core/access/accesstest"
	"github.com/kept-dev/kept/internal/ui/uitest"
)

// TestDashboardsInABrowser looks at the pages in a real browser: axe, a phone, the keyboard; a variable is chosen, a row
// folded, a time passes.
func TestDashboardsInABrowser(t *testing.T) {
	s := accesstest.New(t, sqliteConfig(t))
	w := newWorld(t, s)
	id := w.make(t, example())
	server := httptest.NewServer(s.Mux)
	t.Cleanup(server.Close)
	p := uitest.Start(t).Open(t, server.URL+"/sign-in")
	p.Fill(t, "#f-email", owner)
	p.Fill(t, "#f-password", accesstest.Password)
	p.Click(t, "form .form-end button")
	p.Wait(t, `location.pathname !== "/sign-in"`)

	p.Go(t, server.URL+w.base)
	p.Wait(t, `document.querySelector("main table")`)
	p.Look(t, "dashboards")

	p.Go(t, server.URL+dashHref(w.ws, id))
	p.Wait(t, `document.querySelector("kept-chart canvas")`)
	p.Look(t, "dashboard")
	p.Click(t, "#v-instance > summary")
	p.Click(t, `#v-instance input[value="web-1"]`)
	p.Wait(t, `location.search.includes("var-instance=web-1")`)
	p.Click(t, ".dash-row a[aria-expanded=false]")
	p.Wait(t, `document.querySelector("#p-heat kept-chart canvas")`)

	for _, x := range []struct{ path, name, wait string }{
		{"/panels/requests", "dashboard-panel", "kept-chart canvas"}, {"/edit", "dashboard-edit", ".dash-edit-row"}, {"/panels/disk/edit", "dashboard-panel-form", ".dash-query"},
		{"/json", "dashboard-json", "#f-json"}, {"/history/1", "dashboard-version", ".dash-diff"},
	} {
		p.Go(t, server.URL+dashHref(w.ws, id)+x.path)
		p.Wait(t, `document.querySelector("`+x.wait+`")`)
		p.Look(t, x.name)
	}
	w.Browser(t, "192.0.2.1").SignIn(owner).Post(w.base+"/embedding", "origins", site).Is(303)
	p.Go(t, server.URL+w.base+"/embedding")
	p.Look(t, "dashboard-embedding")
}
