package uitest

import (
	"context"
	"fmt"
	"testing"

	"github.com/chromedp/chromedp"
)

// aim finds where to click on an element: it waits until the page and its scripts have come, and until the element is visible,
// stands still and lies on top. What would be pressed there in place of it, because the page has moved meanwhile, does not
// notice; keptMissed says so. An element that never lies on top, such as a checkbox that its own picture covers, is clicked all
// the same after a while.
const aim = `new Promise(done => {
	const began = performance.now();
	let last = "";
	const look = () => {
		const e = document.querySelector(%q), late = performance.now() - began;
		let box = e?.getClientRects()[0];
		if (box && document.readyState === "complete" && getComputedStyle(e).visibility !== "hidden") {
			if (box.top < 0 || box.left < 0 || box.bottom > innerHeight || box.right > innerWidth) {
				e.scrollIntoView({ block: "center", inline: "center", behavior: "instant" });
				box = e.getClientRects()[0];
			}
			const at = [box.left + box.width / 2, box.top + box.height / 2];
			const hits = (there) => e.contains(there) || there?.closest("label")?.control === e;
			const on = hits(document.elementFromPoint(...at));
			if (last === at.join() && (on || late > 2000)) {
				if (on) watch(hits);
				return done(at);
			}
			last = at.join();
		}
		late > %d ? done(null) : setTimeout(look, 20);
	};
	const watch = (hits) => {
		const end = new AbortController();
		window.keptMissed = false;
		for (const type of ["pointerdown", "mousedown", "pointerup", "mouseup", "click"]) {
			addEventListener(type, (event) => {
				if (type === "pointerdown" || type === "pointerup") window.keptMissed ||= !hits(event.target);
				if (window.keptMissed) { event.stopImmediatePropagation(); event.preventDefault(); }
				if (type === "mouseup") setTimeout(() => end.abort());
			}, { capture: true, signal: end.signal });
		}
	};
	look();
})`

// Click clicks the first element that matches, once it is visible and stands still. Pages are live: when it has moved away
// from under the pointer, nothing is clicked, and it is tried again.
func (p *Page) Click(t testing.TB, selector string) {
	t.Helper()
	if p.still {
		found(t, p, chromedp.Click(chromedp.CSS(selector), chromedp.NodeVisible))
		return
	}
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	for {
		at, err := chromedp.Run(ctx, chromedp.Evaluate[[]float64](fmt.Sprintf(aim, selector, (patience/2).Milliseconds()), chromedp.EvalAwaitPromise))
		if err == nil && len(at) == 0 {
			t.Fatalf("nothing to click: %s", selector)
		}
		if err == nil {
			err = chromedp.Do(ctx, chromedp.MouseClickXY(at[0], at[1]))
		} else if ctx.Err() == nil && gone(err) {
			continue // it was on a page that has been left
		}
		if err != nil {
			t.Fatalf("click %s: %v", selector, err)
		}
		missed, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`window.keptMissed === true`))
		if err != nil || !missed { // an error is a page that the click has left
			return
		}
	}
}
