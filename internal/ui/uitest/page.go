package uitest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// Go opens an address in this tab and waits until it has loaded.
func (p *Page) Go(t testing.TB, url string) {
	t.Helper()
	p.Do(t, chromedp.Navigate(url))
}

// Size sets the viewport. A width below 600 also acts like a phone's.
func (p *Page) Size(t testing.TB, width, height int64) {
	t.Helper()
	call(t, p, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
		Width: width, Height: height, DeviceScaleFactor: 1, Mobile: width < 600,
	})
}

// Dark chooses the colour scheme that the system is said to prefer. Motion is
// always reduced, so that a picture does not depend on when it was taken.
func (p *Page) Dark(t testing.TB, dark bool) {
	t.Helper()
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	call(t, p, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}})
}

// Scripts switches the JavaScript of pages on or off for the addresses opened
// from now on. Eval works all the same.
func (p *Page) Scripts(t testing.TB, on bool) {
	t.Helper()
	call(t, p, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !on})
	p.still = !on
}

// Eval returns the value of a JavaScript expression, waiting for it when it
// is a promise.
func Eval[T any](t testing.TB, p *Page, expression string) T {
	t.Helper()
	return Get(t, p, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise, func(e *runtime.EvaluateParams) {
		// The page lives under its policy: a test may not evaluate what the
		// page could not.
		no := false
		e.AllowUnsafeEvalBlockedByCSP = &no
	}))
}

// Before runs a script in each document that is opened from now on, before its own scripts, until stop.
func (p *Page) Before(t testing.TB, source string) (stop func()) {
	t.Helper()
	id := Raw(t, p, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: source}).Identifier
	return func() {
		t.Helper()
		call(t, p, page.RemoveScriptToEvaluateOnNewDocument, page.RemoveScriptToEvaluateOnNewDocumentParams{Identifier: id})
	}
}

// Run evaluates statements for their effect.
func (p *Page) Run(t testing.TB, statements string) {
	t.Helper()
	Eval[bool](t, p, "(async () => { "+statements+"; return true })()")
}

// Wait waits until an expression is true, on this document or on the one that
// a click has led to.
func (p *Page) Wait(t testing.TB, expression string) {
	t.Helper()
	// Polling by chromedp would compile a string in the page.
	poll := fmt.Sprintf(`new Promise(done => {
		const end = Date.now() + %d, test = () => Boolean(%s);
		(function again() {
			let ok = false;
			try { ok = test() } catch {}
			if (ok || Date.now() > end) done(ok);
			else setTimeout(again, 20);
		})();
	})`, (patience / 2).Milliseconds(), expression)
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	for {
		ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool](poll, chromedp.EvalAwaitPromise))
		switch {
		case err == nil && ok:
			return
		case err == nil:
			t.Fatalf("never true: %s", expression)
		case ctx.Err() != nil || !gone(err):
			t.Fatalf("waiting for %s: %v", expression, err)
		}
	}
}

// gone reports whether an action failed because its document or its element went
// away.
func gone(err error) bool {
	for _, text := range []string{
		"navigated or closed", "context was destroyed", "Cannot find context", "Promise was collected",
		"ould not find node with given id", "No node with given id", "does not belong to the document",
	} {
		if strings.Contains(err.Error(), text) {
			return true
		}
	}
	return false
}

// found runs an action on an element, and runs it again when the element went
// away between being found and being used: the document that a click has led to
// numbers its nodes anew while it loads. Chromium says so before anything is
// pressed.
func found[T any](t testing.TB, p *Page, action chromedp.Action[T]) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	for {
		v, err := chromedp.Run(ctx, action)
		if err == nil {
			return v
		}
		if ctx.Err() != nil || !gone(err) {
			t.Fatal(err)
		}
	}
}

// Text is the visible text of the first element that matches.
func (p *Page) Text(t testing.TB, selector string) string {
	t.Helper()
	return found(t, p, chromedp.Text(chromedp.CSS(selector)))
}

// Has reports whether an element matches.
func (p *Page) Has(t testing.TB, selector string) bool {
	t.Helper()
	return Eval[bool](t, p, fmt.Sprintf("document.querySelector(%q) !== null", selector))
}

// Fill replaces the text of a field, key by key.
func (p *Page) Fill(t testing.TB, selector, text string) {
	t.Helper()
	found(t, p, chromedp.Focus(chromedp.CSS(selector)))
	p.Run(t, fmt.Sprintf("document.querySelector(%q).select?.()", selector))
	p.Press(t, kb.Backspace)
	p.Press(t, text)
}

// Press presses keys, such as kb.Tab.
func (p *Page) Press(t testing.TB, keys string) {
	t.Helper()
	p.Do(t, chromedp.KeyEvent(keys))
}

// Hover moves the pointer over the middle of an element.
func (p *Page) Hover(t testing.TB, selector string) {
	t.Helper()
	at := Eval[[2]float64](t, p, fmt.Sprintf(`(() => { const e = document.querySelector(%q); e.scrollIntoView({block: "center"});
		const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2] })()`, selector))
	p.Do(t, chromedp.MouseEvent(input.DispatchMouseEventTypeMouseMoved, at[0], at[1]))
}

// URL is the address in the address bar.
func (p *Page) URL(t testing.TB) string {
	t.Helper()
	return Get(t, p, chromedp.Location())
}

// FitsWidth fails the test when the page scrolls sideways, and names what
// sticks out.
func (p *Page) FitsWidth(t testing.TB) {
	t.Helper()
	if wide := p.sideways(t); len(wide) > 0 {
		t.Errorf("the page scrolls sideways:\n  %s", strings.Join(wide, "\n  "))
	}
}

func (p *Page) sideways(t testing.TB) []string {
	t.Helper()
	return Eval[[]string](t, p, `(() => {
		const root = document.documentElement, w = root.clientWidth, content = Math.max(root.scrollWidth, document.body.scrollWidth);
		const shown = visualViewport.width * visualViewport.scale;
		if (content <= w && w <= shown + 1) return [];
		return [...document.querySelectorAll("body *")].filter(e => e.getBoundingClientRect().right > Math.min(w, shown) + 1)
			.slice(0, 12).map(e => e.tagName.toLowerCase() + "." + e.getAttribute("class") + " ends at " + Math.round(e.getBoundingClientRect().right))
			.concat("viewport " + w + ", content " + content);
	})()`)
}

// Screenshot writes a picture of the whole page as PNG at a width, in light
// or dark colours.
func (p *Page) Screenshot(t testing.TB, path string, width int64, dark bool) {
	t.Helper()
	p.Size(t, width, 900)
	p.Dark(t, dark)
	p.Run(t, "await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
	write(t, path, Get(t, p, chromedp.FullScreenshot(100)))
}

// View writes a picture of what is in view now.
func (p *Page) View(t testing.TB, path string) {
	t.Helper()
	write(t, path, Get(t, p, chromedp.CaptureScreenshot()))
}

func write(t testing.TB, path string, png []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, png, 0o644); err != nil {
		t.Fatal(err)
	}
}

// FocusOrder presses Tab until the focus comes round, at most limit times,
// and returns a short name for each element on the way.
func (p *Page) FocusOrder(t testing.TB, limit int) []string {
	t.Helper()
	p.Run(t, `document.activeElement?.blur?.(); getSelection()?.removeAllRanges(); scrollTo(0, 0); window.keptFocus = []`)
	var names []string
	for range limit {
		p.Press(t, kb.Tab)
		name := Eval[string](t, p, `(() => { const e = document.activeElement;
			if (!e || e === document.body || window.keptFocus.includes(e)) return "";
			window.keptFocus.push(e);
			return e.tagName.toLowerCase() + (e.id ? "#" + e.id : "") + " " + (e.getAttribute("aria-label") || e.textContent || e.name || "").trim().slice(0, 40); })()`)
		if name == "" {
			break
		}
		names = append(names, name)
	}
	return names
}

// Unreached returns the controls that are visible and enabled and yet were
// not reached by the last FocusOrder. Of a group of radio buttons one counts
// for all, because arrow keys go on from it.
func (p *Page) Unreached(t testing.TB) []string {
	t.Helper()
	return Eval[[]string](t, p, `(() => {
		const met = window.keptFocus, groups = new Set(met.filter(e => e.type === "radio").map(e => e.name));
		return [...document.querySelectorAll("a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex='0']")]
			.filter(e => e.checkVisibility({visibilityProperty: true}) && !e.disabled && !met.includes(e) && !groups.has(e.name))
			.map(e => e.outerHTML.slice(0, 120)) })()`)
}

// Raw sends a command of the DevTools protocol that has no method here.
func Raw[P, R any](t testing.TB, p *Page, cmd cdp.Command[P, R], params P) R {
	t.Helper()
	return Get(t, p, func(ctx context.Context, target *chromedp.Target) (R, error) {
		return cdp.Call(ctx, target, cmd, params)
	})
}

// Downloads lets the tab save files into a folder.
func (p *Page) Downloads(t testing.TB, dir string) {
	t.Helper()
	call(t, p, browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{
		Behavior: browser.SetDownloadBehaviorBehaviorAllow, BrowserContextID: chromedp.FromContext(p.ctx).BrowserContextID, DownloadPath: dir,
	})
}
