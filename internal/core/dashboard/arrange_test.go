package dashboard

import (
	"context"
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

// TestTheHistory: who saved and what changed, in words; any two versions can be compared, and one be brought back.
func TestTheHistory(t *testing.T) {
	s := accesstest.New(t, sqliteConfig(t))
	w := newWorld(t, s, func(d *Deps) {
		d.People = func(_ context.Context, ws kernel.WorkspaceID) (map[kernel.AccountID]string, error) {
			people, err := s.Workspaces.People(t.Context(), ws)
			return map[kernel.AccountID]string{people[0].AccountID: "Ann Owner"}, err
		}
	})
	b := w.Browser(t, "192.0.2.1").SignIn(owner)
	place := dashHref(w.ws, w.make(t, example())) // with a key
	b.Post(place+"/panels/disk/edit", "version", "1", "title", "Disks", "kind", "bar", "row", "1", "width", "12", "height", "8", "unit", "percent", "expr-0", "disk_used_ratio * 100", "thresholds", "60 warn").Is(303)
	b.Post(place+"/change", "version", "2", "op", "panel-remove about").Is(303)
	b.Get(place+"/history").Is(200, "Ann Owner", "API key or server", `panel "Disks" changed`)
	b.Get(place+"/history/2").Is(200, "by Ann Owner", "Changes since version 1", "Panel “Disks”", "moved to “Latency”", "query A", "disk_used_ratio * 100", "limits", "60 warn", "ratio", "percent", "Go back to this version").Lacks("Panel “About”")
	b.Get(place+"/history/3?with=1").Is(200, "Changes since version 1", "Panel “About”", "removed", "Disks")
	b.Get(place+"/history/3?with=99").Is(200, "Changes since version 2").Lacks("Disks”")
	b.Get(place+"/history/1").Is(200, "What it began with", "Variable “instance”", "added")
	b.Post(place + "/history/1/restore").To(place + "?done=back&undo=3")
	b.Get(place+"?done=back&undo=3").Is(200, "That version is back.", "Undo", "Disk used")
}
