package dashboard

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kept-dev/kept/internal/core/access/accesstest"
	"github.com/kept-dev/kept/internal/kernel"
)

// TestRearranging: order, rows and sizes change as the arrangement says; one that lacks a panel, has one twice or a size
// that makes no sense is refused.
func TestRearranging(t *testing.T) {
	t.Parallel()
	for _, x := range []struct{ layout, note, want string }{
		{`[[{"id":"a","w":12,"h":8},{"id":"b","w":12,"h":8},{"id":"c","w":12,"h":8}],[{"id":"d","w":12,"h":8}]]`, "", "a12x8 b12x8 c12x8 / d12x8"},
		{`[[{"id":"c","w":12,"h":8},{"id":"a","w":12,"h":8},{"id":"b","w":12,"h":8}],[{"id":"d","w":12,"h":8}]]`, "1 panel moved", "c12x8 a12x8 b12x8 / d12x8"},
		{`[[{"id":"a","w":24,"h":4},{"id":"c","w":12,"h":8}],[{"id":"b","w":12,"h":8},{"id":"d","w":12,"h":8}]]`, "1 panel moved, 1 panel resized", "a24x4 c12x8 / b12x8 d12x8"},
		{`[[{"id":"a","w":12,"h":8},{"id":"b","w":12,"h":8}],[{"id":"d","w":12,"h":8}]]`, "!conflict", ""},
		{`[[{"id":"a","w":12,"h":8},{"id":"a","w":12,"h":8},{"id":"c","w":12,"h":8}],[{"id":"d","w":12,"h":8}]]`, "!conflict", ""},
		{`[[]]`, "!conflict", ""}, {`nonsense`, "!malformed", ""}, {strings.Repeat(" ", maxLayout+1), "!malformed", ""},
	} {
		d := &Dashboard{Rows: []Row{{Panels: []Panel{{ID: "a"}, {ID: "b"}, {ID: "c"}}}, {Panels: []Panel{{ID: "d"}}}}}
		note, err := d.rearrange(x.layout)
		if err != nil {
			note = "!" + string(kernel.CodeOf(err))
		}
		var rows []string
		for _, r := range d.Rows {
			var row []string
			for _, p := range r.Panels {
				row = append(row, fmt.Sprintf("%s%dx%d", p.ID, p.width(), p.height()))
			}
			rows = append(rows, strings.Join(row, " "))
		}
		if got := strings.Join(rows, " / "); note != x.note || err == nil && got != x.want {
			t.Errorf("%s: %q %s, want %q %s", x.layout, note, got, x.note, x.want)
		}
	}
}

// TestArrangingIsSavedOnce: one version with what changed, from the version that was seen, and a way back.
func TestArrangingIsSavedOnce(t *testing.T) {
	s := accesstest.New(t, sqliteConfig(t))
	w := newWorld(t, s)
	b := w.Browser(t, "192.0.2.1").SignIn(owner)
	place := dashHref(w.ws, w.make(t, example()))
	b.Get(place).Is(200, place+"/arrange")
	layout := string(encode(example().arrangement()))
	b.Get(place+"/arrange").Is(200, "Save the arrangement", `aria-label="Move Disk used"`, `id="p-heat"`)
	b.Post(place+"/arrange", "version", "1", "layout", layout).To(place)
	wide := strings.Replace(layout, `{"id":"hosts","w":6,"h":8}`, `{"id":"hosts","w":12,"h":4}`, 1)
	b.Post(place+"/arrange", "version", "0", "layout", wide).Is(409, "Somebody saved this dashboard meanwhile")
	b.Post(place+"/arrange", "version", "1", "layout", strings.Replace(layout, `"w":6`, `"w":25`, 1)).Is(422)
	b.Post(place+"/arrange", "version", "1", "layout", wide).To(place + "?done=arranged&undo=1")
	b.Get(place+"?done=arranged&undo=1").Is(200, "The arrangement is saved.", "Undo", "/history/1")
	b.Get(place+"/history").Is(200, "1 panel resized")
}
