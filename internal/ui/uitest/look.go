package uitest

import (
	"os"
	"path/filepath"
	"testing"
)

// Shots names the folder that [Page.Look] leaves pictures in; empty takes none.
const Shots = "KEPT_SHOTS"

// views are the four in which every page must stand.
var views = []struct {
	name  string
	width int64
	dark  bool
}{{"wide", 1280, false}, {"wide-dark", 1280, true}, {"phone", 390, false}, {"phone-dark", 390, true}}

// Look checks the page as it is, at a desk and on a phone, in light and in
// dark: axe finds nothing and nothing scrolls sideways. Where KEPT_SHOTS names
// a folder it leaves pictures there, to be looked at by people. Afterwards the
// page is wide and light.
func (p *Page) Look(t testing.TB, name string) {
	t.Helper()
	dir := os.Getenv(Shots)
	for _, v := range views {
		p.Size(t, v.width, 900)
		p.Dark(t, v.dark)
		p.Axe(t)
		p.FitsWidth(t)
		if dir != "" {
			p.Screenshot(t, filepath.Join(dir, name+"-"+v.name+".png"), v.width, v.dark)
		}
	}
	p.Size(t, 1280, 900)
	p.Dark(t, false)
	if t.Failed() {
		t.Fatalf("on page %s", name)
	}
}
