package dashboard

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/httpx/respond"
	"github.com/kept-dev/kept/internal/ui"
)

func (m *Module) editRoutes() []httpx.Route {
	imported := changing("POST", pathList+"/import", m.importDashboard, "dashboard.create")
	imported.MaxBody = maxImport + 1<<20 // the form's encoding makes it larger
	saved := changing("POST", pathOne+"/json", m.saveJSON, "dashboard.change")
	saved.MaxBody = 4 * MaxSize
	return []httpx.Route{
		changing("GET", pathList+"/new", m.newPage, ""),
		changing("POST", pathList+"/new", m.createNew, "dashboard.create"),
		changing("GET", pathList+"/import", m.importPage, ""),
		imported,
		changing("GET", pathOne+"/edit", m.editPage, ""),
		changing("POST", pathOne+"/settings", m.saveSettings, "dashboard.change"),
		changing("POST", pathOne+"/change", m.change, "dashboard.change"),
		changing("GET", pathOne+"/arrange", m.arrangePage, ""),
		changing("POST", pathOne+"/arrange", m.arrange, "dashboard.change"),
		changing("GET", pathOne+"/row", m.rowPage, ""),
		changing("POST", pathOne+"/row", m.saveRow, "dashboard.change"),
		changing("GET", pathOne+"/variable", m.variablePage, ""),
		changing("POST", pathOne+"/variable", m.saveVariable, "dashboard.change"),
		changing("GET", pathOne+"/panel", m.newPanelPage, ""),
		changing("POST", pathOne+"/panel", m.savePanel, "dashboard.change"),
		changing("GET", pathOne+"/panels/{panel}/edit", m.editPanelPage, ""),
		changing("POST", pathOne+"/panels/{panel}/edit", m.savePanel, "dashboard.change"),
		changing("GET", pathOne+"/json", m.jsonPage, ""),
		saved,
		changing("POST", pathOne+"/history/{version}/restore", m.restoreVersion, "dashboard.change"),
		changing("GET", pathOne+"/duplicate", m.duplicatePage, ""),
		changing("POST", pathOne+"/duplicate", m.duplicate, "dashboard.create"),
		changing("GET", pathOne+"/delete", m.deletePage, ""),
		changing("POST", pathOne+"/delete", m.deleteOne, "dashboard.delete"),
		changing("POST", pathOne+"/restore", m.restoreOne, "dashboard.restore"),
		changing("POST", pathOne+"/notes", m.createNote, "dashboard.note"),
		changing("POST", pathOne+"/notes/{note}/remove", m.deleteNote, "dashboard.note_remove"),
	}
}

type editView struct {
	frame
	Settings ui.Form
	Rows     []editRow
	Vars     []editVar
	Notes    []ImportNote // queries that cannot be read
}

type editRow struct {
	Row
	Number int
	First  bool
	Last   bool
	Panels []editPanel
}

type editPanel struct {
	Panel
	First bool // in the row
	Last  bool
}

type editVar struct {
	Variable
	First, Last bool
	Number      int
}

// About says in a few words what a variable offers.
func (v editVar) About() string {
	switch v.Kind {
	case VarQuery:
		return v.Query
	case VarList, VarInterval:
		return clip(strings.Join(v.Options, ", "), 120)
	}
	return strings.Join(v.Default, ", ")
}

// Size says how large a panel is.
func (p editPanel) Size() string { return fmt.Sprintf("%d × %d", p.width(), p.height()) }

func (m *Module) editPage(w http.ResponseWriter, r *http.Request) error {
	f, err := m.stored(r)
	if err != nil {
		return err
	}
	return m.renderEdit(w, r, http.StatusOK, f, settingsForm(f))
}

func (m *Module) renderEdit(w http.ResponseWriter, r *http.Request, status int, f frame, form ui.Form) error {
	v := editView{frame: f, Settings: form}
	for i, row := range f.D.Rows {
		er := editRow{Row: row, Number: i, First: i == 0, Last: i == len(f.D.Rows)-1}
		for j, p := range row.Panels {
			er.Panels = append(er.Panels, editPanel{p, i == 0 && j == 0, er.Last && j == len(row.Panels)-1})
		}
		v.Rows = append(v.Rows, er)
	}
	for i, x := range f.D.Variables {
		v.Vars = append(v.Vars, editVar{x, i == 0, i == len(f.D.Variables)-1, i})
	}
	report := Report{}
	report.queries(f.D)
	v.Notes = report.Notes
	page := ui.Page{Title: "Edit " + f.D.Title, App: appKey, Section: homeHref(f.WS), Crumbs: crumbs(f.WS, f.subject), Body: v, Actions: []ui.Action{
		{Label: "Arrange", Href: f.Base + "/arrange", Icon: "grip"}, {Label: "JSON", Href: f.Base + "/json", Icon: "terminal"}, {Label: "Duplicate", Href: f.Base + "/duplicate", Icon: "copy"},
		{Label: "Delete", Href: f.Base + "/delete", Icon: "trash", Danger: true}, {Label: "Done", Href: f.Base, Icon: "check", Primary: true}}}
	if t := f.undoable(r, "Saved."); t.Href != "" {
		page.Toasts = []ui.Toast{t}
	}
	return m.pages.Render(w, r, status, "edit", page)
}

func settingsForm(f frame) ui.Form {
	d := f.D
	return ui.Form{Action: f.Base + "/settings", Hidden: []ui.Param{{Name: "version", Value: fmt.Sprint(f.Version())}}, Submit: "Save", Fields: []ui.Field{
		{Name: "title", Label: "Title", Value: d.Title, Required: true, MaxLength: maxTitle},
		{Name: "description", Label: "Description", Value: d.Description, Hint: "A sentence under the title.", MaxLength: maxNote},
		{Name: "tags", Label: "Tags", Value: strings.Join(d.Tags, ", "), Hint: "Words to find it by, with commas between."},
		{Name: "range", Label: "Time shown at first", Value: d.Range, Placeholder: "1h", Hint: "How far back: 1h, 24h, 7d."},
		{Name: "refresh", Label: "Look again every", Value: d.Refresh, Placeholder: "30s", Hint: "Empty: when the page is opened."},
	}}
}

// readVersion is the version that a form was made from.
func readVersion(form url.Values) int64 {
	n, _ := strconv.ParseInt(form.Get("version"), 10, 64)
	return n
}

// commit saves a changed dashboard: it is checked as if it came from outside, and only queries that were changed must be
// readable, so that a dashboard with a broken query can be mended elsewhere first.
func (m *Module) commit(r *http.Request, f frame, from int64, d *Dashboard, note string) (Stored, error) {
	d, err := Decode(d.Encode())
	if err != nil {
		return Stored{}, err
	}
	if err := d.newQueries(f.D); err != nil {
		return Stored{}, err
	}
	s, err := m.save(r.Context(), f.WS, httpx.ActorOf(r.Context()).AccountID, f.ID, from, d, note)
	if err != nil {
		return s, err
	}
	return s, m.d.Audit(r.Context(), "dashboard.change", f.ID, note)
}

// newQueries checks the queries that another version does not have.
func (d *Dashboard) newQueries(old *Dashboard) error {
	known := map[string]bool{}
	if old != nil {
		for _, q := range old.queries() {
			known[q.expr] = true
		}
	}
	var faults []fault
	for _, q := range d.queries() {
		if !known[q.expr] {
			if err := d.parses(q.expr); err != nil {
				faults = append(faults, fault{q.path, kernel.AsError(err).Safe})
			}
		}
	}
	if len(faults) > 0 {
		return faultsError(d.Encode(), faults)
	}
	return nil
}

type queryAt struct{ path, expr string }

// queries are all queries of a dashboard with their places.
func (d *Dashboard) queries() (out []queryAt) {
	for i, row := range d.Rows {
		for j, p := range row.Panels {
			for k, t := range p.Targets {
				out = append(out, queryAt{fmt.Sprintf("rows[%d].panels[%d].targets[%d].expr", i, j, k), t.Expr})
			}
		}
	}
	for i, k := range d.Marks {
		out = append(out, queryAt{fmt.Sprintf("marks[%d].expr", i), k.Expr})
	}
	return out
}

func (m *Module) saveSettings(w http.ResponseWriter, r *http.Request) error {
	f, err := m.stored(r)
	if err != nil {
		return err
	}
	form, err := httpx.ReadForm(r)
	if err != nil {
		return err
	}
	d := f.D.clone()
	d.Title, d.Description, d.Tags = strings.TrimSpace(form.Get("title")), strings.TrimSpace(form.Get("description")), splitTags(form.Get("tags"))
	d.Range, d.Refresh = strings.TrimSpace(form.Get("range")), strings.TrimSpace(form.Get("refresh"))
	if _, err = m.commit(r, f, readVersion(form), d, "settings"); err == nil {
		return respond.SeeOther(w, r, undoHref(f))
	}
	e := kernel.AsError(err)
	if e.Code != kernel.Invalid {
		return err
	}
	f.D = d
	again := settingsForm(f).WithErrors(e.Fields)
	if len(again.Invalid()) == 0 {
		again.Error = e.Safe
	}
	return m.renderEdit(w, r, http.StatusUnprocessableEntity, f, again)
}

// undoHref is the page for editing, with a way back to what was there before.
func undoHref(f frame) string { return fmt.Sprintf("%s/edit?undo=%d", f.Base, f.Version()) }

// change moves, copies and removes: the value of the pressed button says what, as "panel-up cpu".
func (m *Module) change(w http.ResponseWriter, r *http.Request) error {
	f, err := m.stored(r)
	if err != nil {
		return err
	}
	form, err := httpx.ReadForm(r)
	if err != nil {
		return err
	}
	op, arg, _ := strings.Cut(form.Get("op"), " ")
	d := f.D.clone()
	note, err := d.apply(op, arg)
	if err != nil {
		return err
	}
	if _, err := m.commit(r, f, readVersion(form), d, note); err != nil {
		return err
	}
	return respond.SeeOther(w, r, undoHref(f))
}

var errNoSuchPart = kernel.Errorf(kernel.Conflict, "That part of the dashboard is not there any more. Look at it again.")

// apply makes one change of arrangement and says what it was.
func (d *Dashboard) apply(op, arg string) (note string, err error) {
	switch {
	case op == "row-add":
		d.Rows = append(d.Rows, Row{Title: fmt.Sprintf("Row %d", len(d.Rows)+1), Panels: []Panel{}})
		return "a row added", nil
	case strings.HasPrefix(op, "panel-"):
		return d.applyPanel(strings.TrimPrefix(op, "panel-"), arg)
	}
	n, err := strconv.Atoi(arg)
	if err != nil {
		return "", errNoSuchPart
	}
	switch {
	case strings.HasPrefix(op, "row-") && n >= 0 && n < len(d.Rows):
		note = fmt.Sprintf("row %q", clip(d.Rows[n].Title, 60))
		d.Rows, err = arranged(d.Rows, strings.TrimPrefix(op, "row-"), n)
	case strings.HasPrefix(op, "var-") && n >= 0 && n < len(d.Variables):
		note = "variable " + d.Variables[n].Name
		d.Variables, err = arranged(d.Variables, strings.TrimPrefix(op, "var-"), n)
	default:
		err = errNoSuchPart
	}
	return note + " " + past[op[strings.Index(op, "-")+1:]], err
}

var past = map[string]string{"up": "moved up", "down": "moved down", "remove": "removed", "copy": "duplicated"}

// arranged moves or removes one of a list.
func arranged[T any](list []T, op string, n int) ([]T, error) {
	switch {
	case op == "remove":
		return slices.Delete(list, n, n+1), nil
	case op == "up" && n > 0:
		list[n-1], list[n] = list[n], list[n-1]
	case op == "down" && n+1 < len(list):
		list[n+1], list[n] = list[n], list[n+1]
	case op != "up" && op != "down":
		return list, errNoSuchPart
	}
	return list, nil
}

// applyPanel moves a panel within its row, and at the row's end into the next one.
func (d *Dashboard) applyPanel(op, id string) (string, error) {
	i, j, ok := d.panelNamed(id)
	if !ok {
		return "", errNoSuchPart
	}
	p := d.Rows[i].Panels[j]
	note := fmt.Sprintf("panel %q %s", clip(p.Title, 60), past[op])
	switch {
	case op == "copy":
		p.ID = d.freeID(p.ID)
		d.Rows[i].Panels = slices.Insert(d.Rows[i].Panels, j+1, p)
	case op == "up" && j == 0 && i > 0:
		d.Rows[i].Panels = slices.Delete(d.Rows[i].Panels, 0, 1)
		d.Rows[i-1].Panels = append(d.Rows[i-1].Panels, p)
	case op == "down" && j == len(d.Rows[i].Panels)-1 && i+1 < len(d.Rows):
		d.Rows[i].Panels = slices.Delete(d.Rows[i].Panels, j, j+1)
		d.Rows[i+1].Panels = slices.Insert(d.Rows[i+1].Panels, 0, p)
	default:
		var err error
		d.Rows[i].Panels, err = arranged(d.Rows[i].Panels, op, j)
		return note, err
	}
	return note, nil
}

// freeID is an id like another that no panel has.
func (d *Dashboard) freeID(like string) string {
	like = strings.TrimRight(clipBytes(like, 50), "0123456789-")
	if like == "" {
		like = "panel"
	}
	for n := 1; ; n++ {
		id := fmt.Sprintf("%s-%d", like, n)
		if _, _, taken := d.panelNamed(id); !taken {
			return id
		}
	}
}
