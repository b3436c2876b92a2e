package ui_test

import (
	"testing"

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
	// The list takes no keys in its first moments, so that it does not get those meant for the text.
	page.Wait(t, `(`+editor+`.querySelector(".cm-content").dispatchEvent(new KeyboardEvent("keydown", {key: "ArrowDown", keyCode: 40, bubbles: true, cancelable: true})),
		`+editor+`.querySelector(".cm-tooltip-autocomplete li[aria-selected]")?.textContent.startsWith("histogram_quantiles"))`)
	page.Press(t, kb.Enter)
	page.Press(t, "(0.9, x")
	page.Wait(t, `new FormData(document.querySelector("#gallery-form-bad")).get("expr") === "histogram_quantiles(0.9, x)"`)
	page.Axe(t)
}
