package uitest

import (
	"os"
	"path/filepath"
	"testing"
)

// Shots names the folder that [Page.Look] and [Page.Shoot] leave pictures in; empty takes none.
const Shots = "KEPT_SHOTS"

// view is one way to see a page.
type view struct {
	name  string
	width int64
	dark  bool
}

// views are the four in which every page must stand.
var views = []view{{"wide", 1280, false}, {"wide-dark", 1280, true}, {"phone", 390, false}, {"phone-dark", 390, true}}

// Look checks the page as it is, at a desk in light and on a phone in dark: axe finds nothing and nothing scrolls
// sideways. The other two views have the same layout and the same colours, of which the gallery shows all, and axe is
// the slowest thing in a test: [Page.LookAll] is for the gallery. Look leaves pictures as [Page.Shoot] does. Afterwards
// the page is wide and light.
func (p *Page) Look(t testing.TB, name string) {
	t.Helper()
	p.look(t, name, views[0], views[3])
}

// LookAll is Look in all four views.
func (p *Page) LookAll(t testing.TB, name string) {
	t.Helper()
	p.look(t, name, views...)
}

func (p *Page) look(t testing.TB, name string, views ...view) {
	t.Helper()
	for _, v := range views {
		p.Size(t, v.width, 900)
		p.Dark(t, v.dark)
		p.Axe(t)
		p.FitsWidth(t)
		if t.Failed() {
			t.Fatalf("on page %s, %s", name, v.name)
		}
	}
	p.Shoot(t, name)
	p.wideAndLight(t)
}

func (p *Page) wideAndLight(t testing.TB) {
	t.Helper()
	p.Size(t, 1280, 900)
	p.Dark(t, false)
}

// Reach checks that the keyboard gets to every control of the page as it is. It presses Tab, so the focus moves.
func (p *Page) Reach(t testing.TB, name string) {
	t.Helper()
	p.FocusOrder(t, 400)
	if missed := p.Unreached(t); len(missed) > 0 {
		t.Errorf("%s: out of reach of the keyboard: %q", name, missed)
	}
}

// LookAndReach is Look, and Reach where that can be told: it begins where the focus is, and ends at what takes Tab more
// than once, such as a frame or a field for a time.
func (p *Page) LookAndReach(t testing.TB, name string) {
	t.Helper()
	p.Look(t, name)
	if !p.Has(t, "iframe, [type=datetime-local]") && Eval[bool](t, p, "document.activeElement === document.body") {
		p.Reach(t, name)
	}
}

// Shoot leaves pictures of the page in all views, to be looked at by people, where KEPT_SHOTS names a folder. Alone it
// is for pages that are like others, which have been looked at. Afterwards the page is wide and light.
func (p *Page) Shoot(t testing.TB, name string) {
	t.Helper()
	dir := os.Getenv(Shots)
	if dir == "" {
		return
	}
	for _, v := range views {
		p.Screenshot(t, filepath.Join(dir, name+"-"+v.name+".png"), v.width, v.dark)
	}
	p.wideAndLight(t)
}
