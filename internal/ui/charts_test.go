package ui_test

import (
	"testing"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/kept-dev/kept/internal/ui/uitest"
)

func testPromQLEditor(t *testing.T, b *uitest.Browser, url string) {
	page := b.Open(t, url+"/ui")
	const editor = `document.querySelector("kept-promql").shadowRoot`
	page.Wait(t, editor+`?.querySelector(".cm-content")`)
	// What is wrong is marked at its place and said below.
	page.Wait(t, editor+`.querySelector(".cm-lintRange-error") && `+editor+`.querySelector("#said").textContent !== ""`)
	page.Run(t, `const e = document.querySelector("kept-promql"); e.value = ""; e.focus()`)
	page.Press(t, "histogram_q")
	page.Wait(t, editor+`.querySelector(".cm-tooltip-autocomplete li[aria-selected]")?.textContent.startsWith("histogram_quantile")`)
	shot(t, page, "promql")
	// Keys are sent as events: the driver would also type those that the editor has taken for itself. The list takes none
	// in its first moments, so that it does not get those meant for the text.
	const key = `(key, code) => ` + editor + `.querySelector(".cm-content").dispatchEvent(new KeyboardEvent("keydown", {key, keyCode: code, bubbles: true, cancelable: true}))`
	page.Wait(t, `((`+key+`)("ArrowDown", 40), `+editor+`.querySelector(".cm-tooltip-autocomplete li[aria-selected]")?.textContent.startsWith("histogram_quantiles"))`)
	page.Run(t, `(`+key+`)("Enter", 13)`)
	page.Press(t, "(0.9, x")
	page.Wait(t, `new FormData(document.querySelector("#gallery-form-bad")).get("expr") === "histogram_quantiles(0.9, x)"`)
	page.Axe(t)
}

// Charts answer the pointer and the keyboard, together.
func testChartsAnswer(t *testing.T, b *uitest.Browser, url string) {
	page := b.Open(t, url+"/ui?from=2026-11-22T08:00:00Z&to=2026-11-22T12:00:00Z&q=kept")
	page.Wait(t, `document.querySelectorAll("kept-chart canvas").length >= 7`)
	const pressed = `[...document.querySelectorAll("#chart-stack .chart-key")].map(b => b.getAttribute("aria-pressed")).join()`

	// The browser writes numbers as the server does.
	numbers := uitest.Eval[[2]string](t, page, `[[...document.querySelectorAll("#chart-stack-table tr:last-child td")].map(e => e.textContent).join(),
		[...document.querySelectorAll("#chart-stack .chart-legend-table tbody tr")].map(r => r.cells[1].textContent).join()]`)
	if numbers[0] == "" || numbers[0] != numbers[1] {
		t.Errorf("the table says %s, the legend %s", numbers[0], numbers[1])
	}
	page.Click(t, "#chart-stack tbody .chart-key")
	page.Wait(t, pressed+` === "true,false,false,false"`)
	page.Run(t, `document.querySelectorAll("#chart-stack .chart-key")[1].focus()`)
	page.Do(t, chromedp.KeyEvent(kb.Enter, chromedp.KeyModifiers(chromedp.ModifierCtrl)))
	page.Wait(t, pressed+` === "true,true,false,false"`)
	page.Click(t, `#chart-stack th[data-by="max"] button`)
	page.Wait(t, `document.querySelector("#chart-stack th[aria-sort=descending]")?.dataset.by === "max" && document.querySelector("#chart-stack tbody th").textContent === "used"`)

	// The cursor of one chart is that of all; only the one that is pointed at has the box.
	page.Hover(t, "#chart-units .u-over")
	page.Wait(t, `!document.querySelector("#chart-units .chart-tip").hidden && document.querySelector("#chart-points .chart-when").textContent !== ""`)
	values := uitest.Eval[[]float64](t, page, `[...document.querySelectorAll("#chart-units .chart-tip li b")].map(b => parseFloat(b.textContent))`)
	if len(values) != 3 || values[0] < values[1] && values[0] < 1 || !uitest.Eval[bool](t, page, `document.querySelector("#chart-points .chart-tip").hidden`) {
		t.Errorf("the box has %v", values)
	}
	shot(t, page, "chart-tip")

	// With the keyboard: a moment is said, and Enter twice selects.
	page.Run(t, `document.querySelector("#chart-units .chart-canvas").focus()`)
	page.Press(t, kb.Home)
	page.Wait(t, `/^2026-11-22 .*web-1 .* %/.test(document.querySelector("#chart-units [role=status]").textContent)`)
	page.Press(t, kb.Enter+kb.ArrowRight+kb.ArrowRight)
	page.Run(t, `addEventListener("kept-zoom", e => { e.preventDefault(); window.zoom = e.detail }, {once: true})`)
	page.Press(t, kb.Enter)
	page.Wait(t, `window.zoom?.to - window.zoom?.from === 2 * 120`)

	// A selection opens the page with its time, and a double click goes back.
	at := uitest.Eval[[3]float64](t, page, `(() => { const e = document.querySelector("#chart-stack .u-over"); e.scrollIntoView({block: "center"});
		const r = e.getBoundingClientRect(); return [r.x + r.width / 4, r.x + r.width / 2, r.y + 40] })()`)
	page.Do(t, chromedp.MouseEvent(input.DispatchMouseEventTypeMousePressed, at[0], at[2], chromedp.ButtonLeft),
		chromedp.MouseEvent(input.DispatchMouseEventTypeMouseMoved, at[1], at[2], chromedp.ButtonLeft),
		chromedp.MouseEvent(input.DispatchMouseEventTypeMouseReleased, at[1], at[2], chromedp.ButtonLeft))
	page.Wait(t, `/from=2026-11-22T0[89]/.test(location.search) && /to=2026-11-22T(09|10)/.test(location.search) && document.querySelector("#chart-stack .u-over")`)
	page.Run(t, `document.querySelector("#chart-stack .u-over").dispatchEvent(new MouseEvent("dblclick", {bubbles: true}))`)
	page.Wait(t, `location.search.includes("to=2026-11-22T12:00:00Z")`)
}

// What a chart fetches is drawn in place, and what is chosen in it stays.
func testChartsFetch(t *testing.T, b *uitest.Browser, url string) {
	page := b.Open(t, url+"/ui?q=kept")
	page.Run(t, `document.querySelector("#chart-fetched").scrollIntoView()`)
	page.Wait(t, `document.querySelectorAll("#chart-fetched .chart-key").length === 2`)
	page.Click(t, "#chart-fetched .chart-key")
	page.Run(t, `window.canvas = document.querySelector("#chart-fetched canvas"); window.before = document.querySelector("#chart-fetched b").textContent`)
	page.Wait(t, `document.querySelector("#chart-fetched b").textContent !== window.before`)
	if !uitest.Eval[bool](t, page, `window.canvas.isConnected && document.querySelectorAll("#chart-fetched .chart-key")[1].getAttribute("aria-pressed") === "false"`) {
		t.Error("the chart was made anew")
	}
}

// The picker shows the viewer's zone and sends moments with theirs.
func testRange(t *testing.T, b *uitest.Browser, url string) {
	page := b.Open(t, url+"/ui?from=2026-11-22T08:00:00Z&to=2026-11-22T12:00:00Z&q=kept")
	page.Click(t, "kept-range summary")
	page.Wait(t, `document.querySelector("kept-range input[name=from][step]").value.startsWith("2026-11-22T09:00") && document.querySelector(".range-zone").textContent === "UTC+1"`)
	page.Axe(t)
	shot(t, page, "range")
	page.Size(t, 390, 900)
	page.FitsWidth(t)
	if left := uitest.Eval[float64](t, page, `document.querySelector(".range-panel").getBoundingClientRect().left`); left < 0 {
		t.Errorf("the picker begins %v pixels outside of a phone", -left)
	}
	page.Run(t, `document.querySelector(".range-panel").scrollIntoView({block: "center"})`)
	shot(t, page, "range-phone")
	page.Size(t, 1280, 900)
	page.Click(t, ".range-form .btn-primary")
	page.Wait(t, `new URLSearchParams(location.search).get("from") === "2026-11-22T08:00:00Z" && new URLSearchParams(location.search).get("q") === "kept"`)
	page.Click(t, "kept-range summary")
	page.Run(t, `const s = document.querySelector(".range-every select"); s.value = "5s"; s.dispatchEvent(new Event("change", {bubbles: true}))`)
	page.Wait(t, `new URLSearchParams(location.search).get("refresh") === "5s"`)
}
