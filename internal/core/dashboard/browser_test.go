package dashboard

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
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
		{"/edit", "dashboard-edit", ".dash-edit-row"}, {"/panels/disk/edit", "dashboard-panel-form", ".dash-query"},
	} {
		p.Go(t, server.URL+dashHref(w.ws, id)+x.path)
		p.Wait(t, `document.querySelector("`+x.wait+`")`)
		p.Look(t, x.name)
	}
	embedInABrowser(t, w, p, server.URL, id)
}

// embedInABrowser shows panels on a page of another site, with a strict policy of its own.
func embedInABrowser(t *testing.T, w *world, p *uitest.Page, kept, id string) {
	t.Helper()
	pages := http.NewServeMux()
	var token string
	page := func(out http.ResponseWriter, _ *http.Request) {
		out.Header().Set("Content-Type", "text/html")
		out.Header().Set("Content-Security-Policy", "default-src 'none'; script-src "+kept+"; connect-src 'self' "+kept+"; img-src data:")
		fmt.Fprintf(out, `<!doctype html><html lang="en"><title>A shop</title><script type="module" src="%[1]s/embed/kept-embed.js"></script><main><h1>Shop</h1><h2>Numbers</h2>
			<kept-panel src="%[1]s" panel="requests" token-src="/kept-token" filters="instance=web-1"></kept-panel><kept-panel src="%[1]s" panel="disk" token-src="/kept-token"></kept-panel>
			<kept-panel src="%[1]s" panel="table" token-src="/kept-token"></kept-panel><kept-panel src="%[1]s" panel="hosts" token-src="/kept-token"></kept-panel>
			<kept-panel src="%[1]s" panel="heat" token-src="/kept-token" height="160"></kept-panel><kept-panel src="%[1]s" panel="about" token-src="/kept-token"></kept-panel></main>`, kept)
	}
	pages.HandleFunc("/{$}", page)
	pages.HandleFunc("/favicon.ico", func(out http.ResponseWriter, _ *http.Request) { out.WriteHeader(http.StatusNoContent) })
	pages.HandleFunc("/kept-token", func(out http.ResponseWriter, _ *http.Request) { fmt.Fprintf(out, `{"token": %q}`, token) })
	elsewhere := httptest.NewServer(pages)
	t.Cleanup(elsewhere.Close)
	w.Browser(t, "192.0.2.1").SignIn(owner).Post(w.base+"/embedding", "origins", elsewhere.URL).Is(303)
	token = w.token(t, map[string]any{"dashboard": id, "filters": []Filter{{Label: "customer", Value: "acme"}}})
	p.Go(t, elsewhere.URL+"/")
	const text = `[...document.querySelectorAll("kept-panel")].map(p => p.shadowRoot.textContent).join(" | ")`
	p.Wait(t, `document.querySelectorAll("kept-panel").length === 6 && [...document.querySelectorAll("kept-panel")].every(p => p.shadowRoot?.querySelector("h3"))`)
	shown := uitest.Eval[string](t, p, text)
	for _, want := range []string{"Requests", "web-1", "Disk used", "27.3 %", "acme", "Ask **Ann**"} {
		if !strings.Contains(shown, want) {
			t.Errorf("no %q in %s", want, shown)
		}
	}
	for _, other := range []string{"globex", "db-1"} {
		if strings.Contains(shown, other) {
			t.Errorf("%q in %s", other, shown)
		}
	}
	if lines := uitest.Eval[int](t, p, `document.querySelector("kept-panel").shadowRoot.querySelectorAll("path.line").length`); lines != 1 {
		t.Errorf("%d lines are drawn, want that of web-1 alone", lines)
	}
	p.Axe(t)
	if dir := os.Getenv(uitest.Shots); dir != "" {
		p.Screenshot(t, filepath.Join(dir, "dashboard-embedded.png"), 1280, false)
	}
}
