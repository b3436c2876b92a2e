package dashboard

import (
	"cmp"
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

// formPage draws a page that is one form.
func (m *Module) formPage(w http.ResponseWriter, r *http.Request, status int, title, lead string, way []ui.Crumb, form ui.Form) error {
	ws := httpx.ActorOf(r.Context()).WorkspaceID
	return m.pages.Render(w, r, status, "form", ui.Page{Title: title, Lead: lead, App: appKey, Section: homeHref(ws), Crumbs: way, Body: form})
}

// again is a form with what is wrong in it; an error that is not about the form is returned.
func again(form ui.Form, err error) (ui.Form, error) {
	e := kernel.AsError(err)
	if e.Code != kernel.Invalid && e.Code != kernel.Conflict {
		return form, err
	}
	form = form.WithErrors(e.Fields)
	if len(form.Invalid()) == 0 {
		form.Error = e.Safe
	}
	return form, nil
}

// repeatOptions are the variables that something can be repeated by.
func repeatOptions(d *Dashboard) []ui.Option {
	out := []ui.Option{{Value: "", Label: "not repeated"}}
	for _, v := range d.Variables {
		out = append(out, ui.Option{Value: v.Name, Label: "once for each " + v.Name})
	}
	return out
}

func rowForm(f frame, n int, row Row) ui.Form {
	return ui.Form{Action: f.Base + "/row", Narrow: true, Submit: "Save", Cancel: f.Base + "/edit",
		Hidden: []ui.Param{{Name: "version", Value: fmt.Sprint(f.Version())}, {Name: "row", Value: fmt.Sprint(n)}},
		Fields: []ui.Field{
			{Name: "title", Label: "Heading", Value: row.Title, MaxLength: maxTitle, Hint: "Without one, the panels stand there alone and cannot be folded."},
			{Name: "collapsed", Label: "Folded when the page opens", Kind: "checkbox", Checked: row.Collapsed, Hint: "Its panels are asked for when somebody opens it."},
			{Name: "repeat", Label: "Repeat", Kind: "select", Required: true, Value: row.Repeat, Options: repeatOptions(f.D)},
		}}
}

// rowOf reads which row a request is about.
func rowOf(f frame, text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n >= len(f.D.Rows) {
		return 0, kernel.Errorf(kernel.NotFound, "There is no such row on this dashboard.")
	}
	return n, nil
}

func (m *Module) rowPage(w http.ResponseWriter, r *http.Request) error {
	f, err := m.stored(r)
	if err != nil {
		return err
	}
	n, err := rowOf(f, r.URL.Query().Get("row"))
	if err != nil {
		return err
	}
	return m.formPage(w, r, http.StatusOK, "Edit row", "", editCrumbs(f), rowForm(f, n, f.D.Rows[n]))
}

func editCrumbs(f frame) []ui.Crumb {
	return append(crumbs(f.WS, f.subject), ui.Crumb{Label: "Edit", Href: f.Base + "/edit"})
}

func (m *Module) saveRow(w http.ResponseWriter, r *http.Request) error {
	f, err := m.stored(r)
	if err != nil {
		return err
	}
	form, err := httpx.ReadForm(r)
	if err != nil {
		return err
	}
	n, err := rowOf(f, form.Get("row"))
	if err != nil {
		return err
	}
	d := f.D.clone()
	row := &d.Rows[n]
	row.Title, row.Collapsed, row.Repeat = strings.TrimSpace(form.Get("title")), form.Get("collapsed") != "", form.Get("repeat")
	if _, err := m.commit(r, f, readVersion(form), d, fmt.Sprintf("row %q", clip(row.Title, 60))); err != nil {
		refused, err := again(rowForm(f, n, *row), err)
		if err != nil {
			return err
		}
		return m.formPage(w, r, http.StatusUnprocessableEntity, "Edit row", "", editCrumbs(f), refused)
	}
	return respond.SeeOther(w, r, undoHref(f))
}

var variableKinds = []ui.Option{
	{Value: VarQuery, Label: "found by a query"}, {Value: VarList, Label: "a list of choices"}, {Value: VarText, Label: "free text"},
	{Value: VarInterval, Label: "a list of durations"}, {Value: VarConstant, Label: "a constant"},
}

func variableForm(f frame, was string, v Variable) ui.Form {
	submit := "Save"
	if was == "" {
		submit = "Add the variable"
	}
	return ui.Form{Action: f.Base + "/variable", Narrow: true, Submit: submit, Cancel: f.Base + "/edit",
		Hidden: []ui.Param{{Name: "version", Value: fmt.Sprint(f.Version())}, {Name: "was", Value: was}},
		Fields: []ui.Field{
			{Name: "name", Label: "Name", Value: v.Name, Required: true, MaxLength: 60, Mono: true, Hint: "Queries refer to it as $name."},
			{Name: "label", Label: "Label", Value: v.Label, MaxLength: maxTitle, Hint: "What viewers read. Empty: the name."},
			{Name: "kind", Label: "Choices", Kind: "select", Required: true, Value: v.Kind, Options: variableKinds},
			{Name: "query", Label: "Query", Value: v.Query, Mono: true, Placeholder: "label_values(up, instance)",
				Hint: "label_values(label), label_values(selector, label), metrics(regex), label_names() or query_result(expression). It may use variables above it."},
			{Name: "regex", Label: "Only choices that match", Value: v.Regex, Mono: true, Hint: "A regular expression. Its first group, if it has one, becomes the value."},
			{Name: "options", Label: "List of choices", Kind: "textarea", Value: strings.Join(v.Options, "\n"), Hint: "One on each line, for a list of choices or of durations."},
			{Name: "default", Label: "Chosen at first", Kind: "textarea", Rows: 2, Value: strings.Join(v.Default, "\n"), Hint: "One on each line; $__all is All. Empty: All where there is All, else the first."},
			{Name: "multi", Label: "Several may be chosen", Kind: "checkbox", Checked: v.Multi, Hint: "Queries must compare it with =~ then."},
			{Name: "all", Label: "Offer All", Kind: "checkbox", Checked: v.All},
			{Name: "all_value", Label: "All means", Value: v.AllValue, Mono: true, Placeholder: ".*", Hint: "A regular expression. Empty: every choice by name."},
			{Name: "hidden", Label: "Not shown above the panels", Kind: "checkbox", Checked: v.Hidden},
		}}
}

func readVariable(form url.Values) Variable {
	return Variable{Name: strings.TrimSpace(form.Get("name")), Label: strings.TrimSpace(form.Get("label")), Kind: form.Get("kind"), Query: strings.TrimSpace(form.Get("query")),
		Regex: form.Get("regex"), Options: splitLines(form.Get("options")), Default: splitLines(form.Get("default")), Multi: form.Get("multi") != "", All: form.Get("all") != "",
		AllValue: form.Get("all_value"), Hidden: form.Get("hidden") != ""}
}

func splitLines(s string) (out []string) {
	for _, l := range strings.Split(s, "\n") {
		if l = strings.TrimSpace(l); l != "" {
			out = append(out, l)
		}
	}
	return out
}

func (d *Dashboard) variableNamed(name string) int {
	for i, v := range d.Variables {
		if v.Name == name {
			return i
		}
	}
	return -1
}

func (m *Module) variablePage(w http.ResponseWriter, r *http.Request) error {
	f, err := m.stored(r)
	if err != nil {
		return err
	}
	name, title, v := r.URL.Query().Get("name"), "New variable", Variable{Kind: VarQuery, All: true, Multi: true}
	if name != "" {
		i := f.D.variableNamed(name)
		if i < 0 {
			return kernel.Errorf(kernel.NotFound, "There is no such variable on this dashboard.")
		}
		title, v = "Edit variable", f.D.Variables[i]
	}
	return m.formPage(w, r, http.StatusOK, title, "", editCrumbs(f), variableForm(f, name, v))
}

func (m *Module) saveVariable(w http.ResponseWriter, r *http.Request) error {
	f, err := m.stored(r)
	if err != nil {
		return err
	}
	form, err := httpx.ReadForm(r)
	if err != nil {
		return err
	}
	v, was := readVariable(form), form.Get("was")
	d, at := f.D.clone(), len(f.D.Variables)
	if was == "" {
		d.Variables = append(d.Variables, v)
	} else if at = d.variableNamed(was); at < 0 {
		return errNoSuchPart
	} else {
		d.Variables[at] = v
	}
	if _, err = m.commit(r, f, readVersion(form), d, "variable "+clip(v.Name, 60)); err == nil {
		return respond.SeeOther(w, r, undoHref(f))
	}
	refused, err := again(variableForm(f, was, v), fieldsOf(err, fmt.Sprintf("variables[%d].", at)))
	if err != nil {
		return err
	}
	return m.formPage(w, r, http.StatusUnprocessableEntity, "Edit variable", "", editCrumbs(f), refused)
}

// fieldsOf names the fields of an error as the form does: "variables[2].name" is "name".
func fieldsOf(err error, prefix string) error {
	e := kernel.AsError(err)
	if e.Code != kernel.Invalid {
		return err
	}
	out := *e
	out.Fields = map[string]string{}
	for path, note := range e.Fields {
		name := strings.TrimPrefix(path, prefix)
		if i := strings.IndexAny(name, "[."); i > 0 {
			name = name[:i]
		}
		out.Fields[name] = strings.ToUpper(note[:1]) + note[1:] + "."
	}
	return &out
}

// explored is a panel that came from the explore page.
type explored struct {
	exprs []string
	kind  string
	draw  string
	stack bool
}

// readExplored reads what the explore page sends along: its queries, and how it draws them.
func readExplored(q url.Values) (x explored) {
	for _, expr := range q["expr"] {
		if expr = strings.TrimSpace(expr); expr != "" && len(x.exprs) < exploreQueries {
			x.exprs = append(x.exprs, clipBytes(expr, maxExpr))
		}
	}
	x.kind, x.draw, x.stack = KindTimeSeries, q.Get("draw"), q.Get("stack") != ""
	if k := q.Get("kind"); k == KindTable || k == KindHeatMap {
		x.kind = k
	}
	if !slices.Contains(draws, x.draw) {
		x.draw = ""
	}
	return x
}

// hidden are the fields that bring it through a form.
func (x explored) hidden() (out []ui.Param) {
	for _, expr := range x.exprs {
		out = append(out, ui.Param{Name: "expr", Value: expr})
	}
	out = append(out, ui.Param{Name: "kind", Value: x.kind}, ui.Param{Name: "draw", Value: x.draw})
	if x.stack {
		out = append(out, ui.Param{Name: "stack", Value: "1"})
	}
	return out
}

// exploredPanel is a panel with all of its queries, each in the unit that it has; the first one's is the panel's.
func (m *Module) exploredPanel(x explored, title string) Panel {
	p := Panel{ID: "panel-1", Title: title, Kind: x.kind, Draw: x.draw, Stack: x.stack}
	for i, expr := range x.exprs {
		t, unit := Target{Expr: expr}, m.guessUnit(expr)
		if i == 0 {
			p.Unit = unit
		} else if unit != p.Unit {
			t.Unit = cmp.Or(unit, "short")
		}
		p.Targets = append(p.Targets, t)
	}
	return p
}

// newForm is the form for a new dashboard: empty, like one that comes with the server, or with queries from elsewhere.
func (m *Module) newForm(ws kernel.WorkspaceID, title, from string, x explored, own []Stored) ui.Form {
	form := ui.Form{Action: homeHref(ws) + "/new", Narrow: true, Submit: "Make the dashboard", Cancel: homeHref(ws)}
	if len(x.exprs) == 0 {
		options := []ui.Option{{Value: "", Label: "an empty dashboard"}}
		for _, f := range m.brought() {
			if f.Dashboard != nil {
				options = append(options, ui.Option{Value: f.ID, Label: f.Dashboard.Title + " (" + f.Origin + ")"})
			}
		}
		form.Fields = []ui.Field{{Name: "title", Label: "Title", Value: title, Required: true, MaxLength: maxTitle, Autofocus: true},
			{Name: "from", Label: "Begin with", Kind: "select", Required: true, Value: from, Options: options}}
		return form
	}
	options := []ui.Option{{Value: "", Label: "a new dashboard"}}
	for _, s := range own {
		options = append(options, ui.Option{Value: string(s.ID), Label: s.Title})
	}
	form.Submit, form.Hidden = "Add the panel", x.hidden()
	form.Fields = []ui.Field{{Name: "title", Label: "Title", Value: title, Required: true, MaxLength: maxTitle, Autofocus: true, Hint: "Of the panel, and of the dashboard where it is new."},
		{Name: "to", Label: "Add it to", Kind: "select", Required: true, Value: from, Options: options}}
	return form
}

func (m *Module) newPage(w http.ResponseWriter, r *http.Request) error {
	ws := httpx.ActorOf(r.Context()).WorkspaceID
	q := r.URL.Query()
	return m.renderNew(w, r, http.StatusOK, ws, q.Get("title"), q.Get("from"), readExplored(q), nil)
}

func (m *Module) renderNew(w http.ResponseWriter, r *http.Request, status int, ws kernel.WorkspaceID, title, from string, x explored, fault error) error {
	own, err := m.list(r.Context(), ws, false)
	if err != nil {
		return err
	}
	form := m.newForm(ws, title, from, x, own)
	if fault != nil {
		if form, err = again(form, fault); err != nil {
			return err
		}
	}
	head, lead := "New dashboard", ""
	if n := len(x.exprs); n > 0 {
		head = "Add to a dashboard"
		if n > 1 {
			lead = fmt.Sprintf("One panel with all %d queries.", n)
		}
	}
	return m.formPage(w, r, status, head, lead, []ui.Crumb{{Label: "Dashboards", Href: homeHref(ws)}}, form)
}

func (m *Module) createNew(w http.ResponseWriter, r *http.Request) error {
	form, err := httpx.ReadForm(r)
	if err != nil {
		return err
	}
	ws := httpx.ActorOf(r.Context()).WorkspaceID
	title, x := strings.TrimSpace(form.Get("title")), readExplored(form)
	id, err := m.makeNew(r, ws, title, form, x)
	if err != nil {
		return m.renderNew(w, r, http.StatusUnprocessableEntity, ws, title, form.Get("from")+form.Get("to"), x, err)
	}
	if len(x.exprs) > 0 || form.Get("from") != "" {
		return respond.SeeOther(w, r, dashHref(ws, id)+"?done=made")
	}
	return respond.SeeOther(w, r, dashHref(ws, id)+"/panel")
}

// makeNew makes the dashboard that the form asks for, or adds the panel to the one that it names.
func (m *Module) makeNew(r *http.Request, ws kernel.WorkspaceID, title string, form url.Values, x explored) (string, error) {
	if title == "" {
		return "", kernel.InvalidField("title", "Give it a title.")
	}
	d := &Dashboard{Version: Format, Title: title, Rows: []Row{{Panels: []Panel{}}}}
	if from := form.Get("from"); from != "" {
		s, err := m.find(r.Context(), ws, from)
		if err != nil {
			return "", kernel.InvalidField("from", "This dashboard is not there any more.")
		}
		d = s.D.clone()
		d.Title = title
	}
	if len(x.exprs) > 0 {
		p := m.exploredPanel(x, title)
		if to := form.Get("to"); to != "" {
			return to, m.addPanel(r, ws, to, p)
		}
		d.Rows[0].Panels = append(d.Rows[0].Panels, p)
	}
	d, err := Decode(d.Encode())
	if err == nil {
		err = d.newQueries(nil)
	}
	if err != nil {
		return "", err
	}
	s, err := m.create(r.Context(), ws, httpx.ActorOf(r.Context()).AccountID, d, "made")
	if err != nil {
		return "", err
	}
	return string(s.ID), m.d.Audit(r.Context(), "dashboard.create", string(s.ID), s.Title)
}

// addPanel puts a panel at the end of a dashboard.
func (m *Module) addPanel(r *http.Request, ws kernel.WorkspaceID, id string, p Panel) error {
	s, err := m.find(r.Context(), ws, id)
	if err != nil {
		return err
	}
	if s.Stored == nil {
		return errReadOnly
	}
	f := frame{subject: s, WS: ws}
	d := s.D.clone()
	p.ID = d.freeID("panel")
	if len(d.Rows) == 0 {
		d.Rows = []Row{{}}
	}
	last := &d.Rows[len(d.Rows)-1]
	last.Panels = append(last.Panels, p)
	_, err = m.commit(r, f, f.Version(), d, fmt.Sprintf("panel %q added", clip(p.Title, 60)))
	return err
}
