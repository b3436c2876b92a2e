package dashboard

import (
	"context"
	"fmt"
	"net/http"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/ui"
)

// panelNamed finds a panel.
func (d *Dashboard) panelNamed(id string) (row, index int, ok bool) {
	for i, r := range d.Rows {
		for j, p := range r.Panels {
			if p.ID == id {
				return i, j, true
			}
		}
	}
	return 0, 0, false
}

// onePanel reads a request about one panel.
func (m *Module) onePanel(r *http.Request) (frame, *panelView, error) {
	f, err := m.frameOf(r)
	if err != nil {
		return f, nil, err
	}
	i, j, ok := f.D.panelNamed(r.PathValue("panel"))
	if !ok {
		return f, nil, kernel.Errorf(kernel.NotFound, "There is no such panel on this dashboard.")
	}
	p := f.D.Rows[i].Panels[j]
	key := r.URL.Query().Get("key")
	if !panelID.MatchString(key) {
		key = p.ID
	}
	return f, f.panelView(p, f.env, key, nil), nil
}

// panelPart answers one panel as a part of the page that it is on.
func (m *Module) panelPart(w http.ResponseWriter, r *http.Request) error {
	f, p, err := m.onePanel(r)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), panelTimeout)
	defer cancel()
	p.take(m.draw(ctx, f.scope, p.env, p.Panel, 0))
	html, err := m.pages.Fragment("view", "panel-inner", p)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, err = w.Write([]byte(html))
	return err
}

// panelData answers a panel's numbers as the JSON that charts are drawn from.
func (m *Module) panelData(w http.ResponseWriter, r *http.Request) error {
	f, p, err := m.onePanel(r)
	if err != nil {
		return err
	}
	if _, err := f.D.strictRange(r.URL, m.d.Clock()); err != nil {
		return err
	}
	points, err := readPoints(r.URL.Query().Get("width"))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), panelTimeout)
	defer cancel()
	pic := m.draw(ctx, f.scope, p.env, p.Panel, points)
	if pic.Chart == nil {
		return kernel.Errorf(kernel.NotFound, "A text panel has no numbers.")
	}
	return writeChart(w, pic)
}

func writeChart(w http.ResponseWriter, pic picture) error {
	text, err := pic.Chart.Data()
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_, err = w.Write([]byte(text))
	return err
}

// readPoints reads how wide a drawing is, in pixels, as a number of points; 0 where it is not said.
func readPoints(s string) (int, error) {
	if s == "" {
		return 0, nil
	}
	var n int
	if _, err := fmt.Sscanf(s, "%d", &n); err != nil || n < 1 || n > 10_000 {
		return 0, kernel.Errorf(kernel.Malformed, "The width in the address must be from 1 to 10000.")
	}
	return min(max(n/2, 20), 1000), nil
}

type panelPageView struct {
	*panelView
	View *viewView
}

// panelPage shows one panel as large as it goes.
func (m *Module) panelPage(w http.ResponseWriter, r *http.Request) error {
	f, p, err := m.onePanel(r)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), panelTimeout)
	defer cancel()
	f.Range.Target = "dash"
	v := &viewView{frame: f}
	v.variables()
	marks := v.events(ctx, m, map[string]bool{})
	p.Panel.Width, p.Panel.Height, p.Frame = columns, 16, &v.frame
	p.take(m.draw(ctx, f.scope, p.env, p.Panel, 400))
	if p.Chart != nil {
		p.Chart.Height, p.Chart.Marks, p.Chart.Legend = 420, marks, ui.LegendTable
	}
	title := p.Title
	if title == "" {
		title = "Panel " + p.Panel.ID
	}
	page := ui.Page{Title: title, Lead: p.Panel.Description, App: appKey, Section: homeHref(f.WS), Body: panelPageView{p, v}}
	page.Crumbs = crumbs(f.WS, f.subject)
	page.Crumbs[1].Href += f.query()
	if p.Edit != "" {
		page.Actions = []ui.Action{{Label: "Edit", Href: p.Edit, Icon: "edit"}}
	}
	return m.pages.Render(w, r, http.StatusOK, "panel", page)
}
