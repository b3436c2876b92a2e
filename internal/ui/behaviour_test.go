package ui_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"github.com/kept-dev/kept/internal/ui/uitest"
)

func testFiltersLiveInTheAddress(t *testing.T, b *uitest.Browser, url string) {
	page := b.Open(t, url+"/ui?sort=name")
	page.Fill(t, "#gallery-list-q", "charge")
	page.Wait(t, `location.search === "?q=charge&sort=name" || location.search === "?sort=name&q=charge"`)
	page.Wait(t, `[...document.querySelectorAll("#gallery-list tbody th a")].every(a => a.textContent === "charge-card")`)
	if got := uitest.Eval[string](t, page, `document.activeElement.id + "=" + document.activeElement.value`); got != "gallery-list-q=charge" {
		t.Errorf("typing lost its place: %s", got)
	}
	page.Click(t, "#sort-gallery-list-took")
	page.Wait(t, `new URLSearchParams(location.search).get("sort") === "took" && document.querySelector("#gallery-list-q").value === "charge"`)
	if got := uitest.Eval[string](t, page, `document.querySelector("[aria-sort=ascending]").textContent`); got != "Took" {
		t.Errorf("ordered by %q", got)
	}
	page.Run(t, "history.back()")
	page.Wait(t, `new URLSearchParams(location.search).get("sort") === "name" && document.querySelector("[aria-sort=ascending]")?.textContent === "Job"`)
}

func testLiveUpdatesKeepWhatIsOpen(t *testing.T, b *uitest.Browser, url string) {
	page := b.Open(t, url+"/ui")
	page.Run(t, `document.querySelector("#data details:not([open])").open = true;
		window.before = document.querySelector("#gallery-stats .stat:last-child .stat-value").textContent;
		window.node = document.querySelector("#gallery-stats")`)
	page.Wait(t, `document.querySelector("#gallery-stats .stat:last-child .stat-value").textContent !== window.before`)
	if !uitest.Eval[bool](t, page, `window.node === document.querySelector("#gallery-stats") && window.node.isConnected`) {
		t.Error("the element was replaced, not morphed")
	}
	if n := uitest.Eval[int](t, page, `document.querySelectorAll("#gallery-stats").length`); n != 1 {
		t.Errorf("%d elements with the id", n)
	}
	page.Wait(t, `document.querySelector("kept-live [role=status]").textContent.startsWith("Updated at")`)
	page.Click(t, "kept-live button")
	if got := page.Text(t, "kept-live button"); got != "Paused" {
		t.Errorf("the button says %q", got)
	}
}

func testThemeIsChosenAndKept(t *testing.T, b *uitest.Browser, url string) {
	url += "/ui"
	page := b.Open(t, url)
	ground := `getComputedStyle(document.body).backgroundColor`
	light := uitest.Eval[string](t, page, ground)
	page.Click(t, "summary[aria-label='Account and settings']")
	page.Click(t, "kept-theme input[value=dark]")
	page.Wait(t, fmt.Sprintf("%s !== %q", ground, light)) // the page is loaded anew
	dark := uitest.Eval[string](t, page, ground)
	page.Go(t, url)
	if got := uitest.Eval[string](t, page, ground); got != dark {
		t.Errorf("after a reload the ground is %s", got)
	}
	page.Axe(t)
	page.Press(t, kb.Escape)
}

func testMenusAndDialogs(t *testing.T, b *uitest.Browser, url string) {
	page := b.Open(t, url+"/ui")
	page.Click(t, "summary[aria-label='Account and settings']")
	page.Wait(t, `document.querySelectorAll("details[data-kept-menu][open]").length === 1`)
	page.Axe(t)
	page.Press(t, kb.Escape)
	page.Wait(t, `document.querySelectorAll("details[data-kept-menu][open]").length === 0 && document.activeElement.tagName === "SUMMARY"`)

	page.Click(t, "[data-kept-open]")
	page.Wait(t, `document.querySelector("#gallery-dialog").open`)
	page.Axe(t)
	shot(t, page, "dialog")
	page.Click(t, "#gallery-dialog [data-kept-close]")
	page.Wait(t, `!document.querySelector("#gallery-dialog").open`)
	if !strings.HasSuffix(page.URL(t), "/ui") {
		t.Errorf("the dialog led to %s", page.URL(t))
	}
}

func testToastsComeByHeader(t *testing.T, b *uitest.Browser, url string) {
	page := b.Open(t, url+"/ui")
	page.Click(t, "button[value=bad]")
	page.Wait(t, `document.querySelector("#toasts [aria-live=assertive] .toast-bad")`)
	page.Click(t, "button[value=good]")
	page.Wait(t, `document.querySelector("#toasts [aria-live=polite] .toast-good")`)
	page.Axe(t)
	shot(t, page, "toasts")
	page.Click(t, ".toast-bad .toast-close")
	page.Wait(t, `!document.querySelector(".toast-bad")`)
}

func testFailedSubmitMovesTheFocus(t *testing.T, b *uitest.Browser, url string) {
	page := b.Open(t, url+"/ui")
	page.Fill(t, "#f-email", "ada@example.com")
	page.Fill(t, "#f-password", "secret")
	page.Click(t, "kept-password button")
	if kind := uitest.Eval[string](t, page, `document.querySelector("#f-password").type`); kind != "text" {
		t.Errorf("the password field is %s", kind)
	}
	page.Fill(t, "#f-email", " ")
	page.Run(t, `document.querySelector("#f-email").value = ""`)
	page.Click(t, "#gallery-form .form-end button")
	page.Wait(t, `document.activeElement.matches(".form-error")`)
	if got := uitest.Eval[string](t, page, `document.querySelector("#f-password").value`); got != "" {
		t.Error("the password came back")
	}
	page.Axe(t)
}

func testTimesAreInTheViewersZone(t *testing.T, b *uitest.Browser, url string) {
	page := b.Open(t, url+"/ui")
	got := uitest.Eval[[]string](t, page, `(() => { const e = document.querySelector("time[data-kept-time=full]"); return [e.textContent, e.title, e.dateTime] })()`)
	want := uitest.Eval[string](t, page, `new Date(document.querySelector("time[data-kept-time=full]").dateTime).toLocaleString("sv-SE", {timeZone: "Europe/Berlin"})`)
	if got[0] != want || !strings.HasPrefix(got[1], want+".") || !strings.Contains(got[1], " UTC+") {
		t.Errorf("shown %q, title %q, want %q", got[0], got[1], want)
	}
}

func testChartDrawsFromItsTable(t *testing.T, b *uitest.Browser, url string) {
	page := b.Open(t, url+"/ui")
	page.Wait(t, `document.querySelector("#chart-time canvas")?.width > 100`)
	if !uitest.Eval[bool](t, page, `document.getElementById(document.querySelector("#chart-time kept-chart").getAttribute("aria-details")).rows.length === 49`) {
		t.Error("the chart does not point to its table")
	}
	page.Hover(t, "#chart-time canvas")
	page.Wait(t, `document.querySelector("#chart-time .chart-when").textContent.includes("UTC+")`)
	page.Run(t, `document.querySelector("#chart-time").remove()`)
}

// The page must do its work where scripts do not run.
func testWithoutScripts(t *testing.T, b *uitest.Browser, url string) {
	page := b.Open(t, "about:blank")
	page.Scripts(t, false)
	page.Go(t, url+"/ui")
	page.Size(t, 390, 900)
	shot(t, page, "no-script")
	page.Click(t, "summary[aria-label='Navigation']")
	page.Click(t, ".panel-nav a[href='#badges']")
	page.Fill(t, "#gallery-list-q", "charge")
	page.Press(t, kb.Enter)
	page.Wait(t, `location.search.includes("q=charge")`)
}

func shot(t *testing.T, page *uitest.Page, name string) {
	if dir := os.Getenv("KEPT_SHOTS"); dir != "" {
		page.View(t, filepath.Join(dir, name+".png"))
	}
}

// Frames other than the usual one, in both sizes and schemes.
func testOtherPages(t *testing.T, b *uitest.Browser, url string) {
	page := b.Open(t, url+"/ui?error=404")
	for _, at := range [][2]string{{"error", "/ui?error=500"}, {"question", "/ui?question=1"}, {"empty", "/ui?q=nothing"}} {
		page.Go(t, url+at[1])
		page.Look(t, at[0])
	}
	page.Size(t, 390, 900)
	page.Dark(t, true)
	page.Click(t, "summary[aria-label='Navigation']")
	page.Axe(t)
	shot(t, page, "navigation")
}

func testPartsThatFailLeaveThePageAlone(t *testing.T, b *uitest.Browser, url string) {
	page := b.Open(t, url+"/ui")
	click := func(path string) {
		page.Run(t, fmt.Sprintf(`const a = document.createElement("a"); a.id = "probe"; a.href = %q; a.textContent = "probe";
			for (const [k, v] of Object.entries({"hx-get": %[1]q, "hx-target": "#gallery-list", "hx-swap": "outerMorph"})) a.setAttribute(k, v);
			document.getElementById("probe")?.remove(); document.querySelector("h1").after(a); htmx.process(a)`, path))
		page.Click(t, "#probe")
	}
	click("/broken")
	page.Wait(t, `document.querySelector("#toasts .toast-bad")?.textContent.includes("Something went wrong")`)
	if !page.Has(t, "#gallery-list table") {
		t.Error("the list is gone")
	}
	click("/ended")
	page.Wait(t, `location.pathname === "/sign-in" && document.querySelector("h1")?.textContent === "Please sign in"`)
}

// Strings that htmx would compile are refused, by us and by the policy.
func testNothingIsCompiled(t *testing.T, b *uitest.Browser, url string) {
	page := b.Open(t, url+"/ui")
	page.Run(t, `const b = document.createElement("button"); b.id = "probe"; b.textContent = "probe";
		b.setAttribute("hx-on:click", "window.compiled = true"); b.setAttribute("hx-get", "js:window.compiled = true");
		document.querySelector("h1").after(b); htmx.process(b)`)
	page.Click(t, "#probe")
	page.Wait(t, `document.readyState === "complete"`)
	if uitest.Eval[bool](t, page, `"compiled" in window`) {
		t.Error("htmx compiled a string")
	}
}
