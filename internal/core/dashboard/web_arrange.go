package dashboard

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/httpx/respond"
	"github.com/kept-dev/kept/internal/ui"
)

// placed is a panel in an arrangement.
type placed struct {
	ID string `json:"id"`
	W  int    `json:"w"`
	H  int    `json:"h"`
}

// arrangement is the panels of each row, in order.
func (d *Dashboard) arrangement() [][]placed {
	out := make([][]placed, len(d.Rows))
	for i, row := range d.Rows {
		out[i] = []placed{}
		for _, p := range row.Panels {
			out[i] = append(out[i], placed{p.ID, p.width(), p.height()})
		}
	}
	return out
}

// maxLayout is how much text an arrangement may be.
const maxLayout = maxPanels*120 + 4096

// rearrange puts panels where an arrangement says, and says what that changed. Every panel must be in it exactly once.
func (d *Dashboard) rearrange(text string) (note string, err error) {
	var layout [][]placed
	if len(text) > maxLayout || json.Unmarshal([]byte(text), &layout) != nil {
		return "", kernel.Errorf(kernel.Malformed, "The arrangement cannot be read.")
	}
	if len(layout) != len(d.Rows) {
		return "", errNoSuchPart
	}
	type place struct {
		Panel
		row int
	}
	was, order := map[string]place{}, make([][]string, len(d.Rows))
	for i, row := range d.Rows {
		for _, p := range row.Panels {
			was[p.ID] = place{p, i}
			order[i] = append(order[i], p.ID)
		}
		d.Rows[i].Panels = []Panel{}
	}
	moved, resized := 0, 0
	for i, row := range layout {
		var now []string
		for _, x := range row {
			p, ok := was[x.ID]
			if !ok {
				return "", errNoSuchPart
			}
			delete(was, x.ID)
			if p.width() != x.W || p.height() != x.H {
				resized++
				p.Width, p.Height = x.W, x.H
			}
			if p.row != i {
				moved++
			}
			now = append(now, x.ID)
			d.Rows[i].Panels = append(d.Rows[i].Panels, p.Panel)
		}
		moved += len(reordered(order[i], now))
	}
	if len(was) > 0 {
		return "", errNoSuchPart
	}
	var parts []string
	if moved > 0 {
		text, _ := ui.Plural(moved, "panel moved", "panels moved")
		parts = append(parts, text)
	}
	if resized > 0 {
		text, _ := ui.Plural(resized, "panel resized", "panels resized")
		parts = append(parts, text)
	}
	return strings.Join(parts, ", "), nil
}

// reordered are those of a row that had to be moved at least to bring it into its new order; those that came from another
// row are not among them.
func reordered(before, after []string) (moved []string) {
	for _, l := range ui.Diff(strings.Join(before, "\n"), strings.Join(after, "\n")) {
		if l.Kind == "add" && slices.Contains(before, l.Text) {
			moved = append(moved, l.Text)
		}
	}
	return moved
}

type arrangeView struct {
	frame
	Layout string
	Rows   []arrangeRow
}

type arrangeRow struct {
	Title  string
	Number int
	Panels []*arrangePanel
}

type arrangePanel struct {
	*panelView
	Name string
}

// arrangePage shows the panels of all rows with handles to move and to resize them.
func (m *Module) arrangePage(w http.ResponseWriter, r *http.Request) error {
	f, err := m.frameOf(r)
	if err != nil {
		return err
	}
	if f.Stored == nil {
		return errReadOnly
	}
	v := arrangeView{frame: f, Layout: string(encode(f.D.arrangement()))}
	for i, row := range f.D.Rows {
		ar := arrangeRow{Title: row.Title, Number: i}
		if ar.Title == "" {
			ar.Title = fmt.Sprintf("Row %d", i+1)
		}
		for _, p := range row.Panels {
			one := &arrangePanel{v.panelView(p, f.env, p.ID, nil), p.Title}
			if one.Name == "" {
				one.Name = p.ID
			}
			if p.Kind == KindText {
				one.take(m.draw(r.Context(), f.scope, f.env, p, 0))
			}
			one.Edit = ""
			ar.Panels = append(ar.Panels, one)
		}
		v.Rows = append(v.Rows, ar)
	}
	return m.pages.Render(w, r, http.StatusOK, "arrange", ui.Page{Title: "Arrange " + f.D.Title, App: appKey, Section: homeHref(f.WS), Crumbs: crumbs(f.WS, f.subject), Body: v,
		Lead: "Drag a panel by its handle, and its corner to resize it. With the keyboard: arrow keys on the handle move it, with Shift they resize it."})
}

// arrange saves an arrangement.
func (m *Module) arrange(w http.ResponseWriter, r *http.Request) error {
	f, err := m.stored(r)
	if err != nil {
		return err
	}
	form, err := httpx.ReadForm(r)
	if err != nil {
		return err
	}
	d := f.D.clone()
	note, err := d.rearrange(form.Get("layout"))
	if err != nil {
		return err
	}
	if note == "" {
		return respond.SeeOther(w, r, f.Base)
	}
	if _, err := m.commit(r, f, readVersion(form), d, note); err != nil {
		return err
	}
	return respond.SeeOther(w, r, fmt.Sprintf("%s?done=arranged&undo=%d", f.Base, f.Version()))
}
