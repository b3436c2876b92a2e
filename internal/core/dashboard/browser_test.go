package dashboard

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

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
	jsonInABrowser(t, p, server.URL+dashHref(w.ws, id))
	arrangeInABrowser(t, p, server.URL+dashHref(w.ws, id))
	embedInABrowser(t, w, p, server.URL, id)
}

// jsonInABrowser edits the text: what is no JSON is said while one types, what is no dashboard when it is saved, both by line.
func jsonInABrowser(t *testing.T, p *uitest.Page, place string) {
	t.Helper()
	const editor = `document.querySelector("kept-json").shadowRoot`
	p.Go(t, place+"/json")
	p.Wait(t, editor+`.querySelector(".cm-lineNumbers")`)
	p.Look(t, "dashboard-json")
	p.Run(t, `document.querySelector("kept-json").focus()`)
	p.Press(t, "x")
	p.Wait(t, editor+`.querySelector("#said").textContent.startsWith("Line 1: ")`)
	p.Press(t, kb.Backspace)
	p.Wait(t, editor+`.querySelector("#said").textContent === ""`)
	p.Press(t, kb.ArrowDown) // before "version"
	p.Press(t, `"colour": 1,`)
	p.Wait(t, `document.querySelector("#f-json").value.includes('"colour": 1,')`)
	p.Click(t, ".form-end .btn-primary")
	p.Wait(t, editor+`.querySelector("#said").textContent === 'Line 2: there is no field "colour".'`)
	p.Wait(t, editor+`.querySelector(".cm-lintRange-error")`)
	p.Axe(t)
}

// arrangeInABrowser moves and resizes panels with the keyboard and with the pointer, and saves once.
func arrangeInABrowser(t *testing.T, p *uitest.Page, place string) {
	t.Helper()
	const layout = `document.querySelector("[name=layout]").value`
	const order = `[...document.querySelectorAll(".arrange-box")].map(b => b.dataset.panel).join(" ")`
	p.Go(t, place+"/arrange")
	p.Wait(t, `document.querySelector("kept-arrange.is-live")`)
	p.Look(t, "dashboard-arrange")
	p.Run(t, `document.querySelector("#p-disk .arrange-move").focus()`)
	p.Press(t, kb.ArrowLeft)
	p.Wait(t, order+`.startsWith("disk requests hosts")`)
	p.Wait(t, `document.querySelector("[data-kept-said]").textContent.startsWith("Disk used: place 1 of 5 in Traffic, 12 columns wide")`)
	p.Wait(t, `document.activeElement.closest("#p-disk")`) // it can be moved on
	p.Click(t, `#p-disk [data-do="wider"]`)
	p.Wait(t, layout+`.startsWith('[[{"id":"disk","w":13,"h":8}')`)

	p.Size(t, 1280, 2400) // all of it in sight
	// With the pointer: the text goes before the first panel, and the corner makes it wider.
	drag(t, p, "#p-about .arrange-move", `(() => { const r = document.querySelector("#p-disk .arrange-tools").getBoundingClientRect(); return [r.left + 4, r.top + 8] })()`)
	p.Wait(t, order+`.startsWith("about disk requests")`)
	drag(t, p, "#p-about .arrange-corner", `(() => { const r = document.querySelector("#p-about").getBoundingClientRect(); return [r.right + r.width, r.bottom + 60] })()`)
	p.Wait(t, layout+`.startsWith('[[{"id":"about","w":12,"h":10}')`)
	p.Size(t, 1280, 900)
	p.Click(t, ".arrange-bar .btn-primary")
	p.Wait(t, `location.search.includes("done=arranged")`)
	p.Wait(t, `document.querySelector(".dash-grid .dpanel-box")?.id === "p-about"`)
	p.Wait(t, `[...document.querySelectorAll(".toasts a")].some(a => a.textContent === "Undo")`)
}

// drag presses on an element and lets go at a place, which an expression answers as [x, y].
func drag(t *testing.T, p *uitest.Page, from, to string) {
	t.Helper()
	p.Run(t, `document.querySelector("`+from+`").scrollIntoView({block: "center"})`)
	at := uitest.Eval[[]float64](t, p, `(() => { const r = document.querySelector("`+from+`").getBoundingClientRect(); return [r.left + r.width / 2, r.top + r.height / 2] })()`)
	end := uitest.Eval[[]float64](t, p, to)
	p.Do(t, chromedp.MouseEvent(input.DispatchMouseEventTypeMousePressed, at[0], at[1], chromedp.ButtonLeft),
		chromedp.MouseEvent(input.DispatchMouseEventTypeMouseMoved, (at[0]+end[0])/2, (at[1]+end[1])/2, chromedp.ButtonLeft),
		chromedp.MouseEvent(input.DispatchMouseEventTypeMouseMoved, end[0], end[1], chromedp.ButtonLeft),
		chromedp.MouseEvent(input.DispatchMouseEventTypeMouseReleased, end[0], end[1], chromedp.ButtonLeft))
}

// embedInABrowser shows panels on a page of another site, with a strict policy of its own.
func embedInABrowser(t *testing.T, w *world, p *uitest.Page, kept, id string) {
	t.Helper()
	pages := http.NewServeMux()
	var token string
	var asked atomic.Int32
	page := func(out http.ResponseWriter, _ *http.Request) {
		out.Header().Set("Content-Type", "text/html")
		out.Header().Set("Content-Security-Policy", "default-src 'none'; script-src "+kept+"; connect-src 'self' "+kept+"; img-src data:")
		fmt.Fprintf(out, `<!doctype html><html lang="en"><title>A shop</title><script type="module" src="%[1]s/embed/kept-embed.js"></script><main><h1>Shop</h1><h2>Numbers</h2>
			<kept-panel src="%[1]s" panel="requests" token-src="/kept-token" filters="instance=web-1"></kept-panel><kept-panel src="%[1]s" panel="disk" token-src="/kept-token"></kept-panel>
			<kept-panel src="%[1]s" panel="table" token-src="/kept-token"></kept-panel><kept-panel src="%[1]s" panel="hosts" token-src="/kept-token"></kept-panel>
			<kept-panel src="%[1]s" panel="heat" token-src="/kept-token" height="160"></kept-panel><kept-panel src="%[1]s" panel="about" token-src="/kept-token"></kept-panel></main>`, kept)
	}
	pages.HandleFunc("/{$}", page)
	pages.HandleFunc("/whole", func(out http.ResponseWriter, _ *http.Request) {
		asked.Store(0)
		out.Header().Set("Content-Type", "text/html")
		out.Header().Set("Content-Security-Policy", "default-src 'none'; script-src "+kept+"; connect-src 'self' "+kept+"; img-src data:")
		fmt.Fprintf(out, `<!doctype html><html lang="en"><title>A shop</title><meta name="viewport" content="width=device-width"><script type="module" src="%[1]s/embed/kept-embed.js"></script><main><h1>Shop</h1>
			<kept-dashboard src="%[1]s" token-src="/kept-token" filters="instance=web-1"></kept-dashboard></main>`, kept)
	})
	pages.HandleFunc("/favicon.ico", func(out http.ResponseWriter, _ *http.Request) { out.WriteHeader(http.StatusNoContent) })
	pages.HandleFunc("/kept-token", func(out http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		fmt.Fprintf(out, `{"token": %q}`, token)
	})
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

	p.Go(t, elsewhere.URL+"/whole")
	const panels = `[...document.querySelector("kept-dashboard").shadowRoot.querySelectorAll("kept-panel")]`
	p.Wait(t, panels+`.length === 6 && `+panels+`.every(p => p.shadowRoot?.querySelector("h3"))`)
	shown = uitest.Eval[string](t, p, `document.querySelector("kept-dashboard").shadowRoot.textContent + `+panels+`.map(p => p.shadowRoot.textContent).join(" | ")`)
	for want, is := range map[string]bool{"Shop": true, "Latency": true, "web-1": true, "web-2": false, "globex": false} {
		if strings.Contains(shown, want) != is {
			t.Errorf("%q: %v in %s", want, !is, shown)
		}
	}
	if n := asked.Load(); n > 2 { // for the list, and once for all panels: to the browser's clock a token of the test has always ended
		t.Errorf("the panels of a dashboard asked for %d tokens", n)
	}
	p.Axe(t)
	p.Size(t, 390, 800)
	p.Wait(t, `document.querySelector("kept-dashboard").hasAttribute("data-narrow")`)
	p.FitsWidth(t)
	p.Size(t, 1280, 900)
}
