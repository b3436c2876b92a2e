package dashboard

import (
	"context"
	"errors"
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

// panelFormView is the form for a panel.
type panelFormView struct {
	frame
	Action  string
	IsNew   bool
	Main    []ui.Field
	Queries []queryFields
	Singles []queryFields // single series
	Scale   []ui.Field
	Extra   []ui.Field
	Text    []ui.Field
	Errors  ui.Form // for the summary above the fields
	Preview *panelView
	Saves   int64 // the version that the form was made from
}

type queryFields struct {
	Name   string
	Fields []ui.Field
	More   []ui.Field // that are seldom wanted
	Open   bool       // one of them says something
}

var panelKinds = []ui.Option{
	{Value: KindTimeSeries, Label: "Time series"}, {Value: KindStat, Label: "Figures"}, {Value: KindBar, Label: "Bars"},
	{Value: KindHeatMap, Label: "Heat map"}, {Value: KindTable, Label: "Table"}, {Value: KindText, Label: "Text"},
}

var widths = []ui.Option{
	{Value: "24", Label: "the whole line"}, {Value: "18", Label: "three quarters"}, {Value: "16", Label: "two thirds"}, {Value: "12", Label: "half"},
	{Value: "8", Label: "a third"}, {Value: "6", Label: "a quarter"}, {Value: "4", Label: "a sixth"}, {Value: "3", Label: "an eighth"},
}

var heights = []ui.Option{{Value: "4", Label: "low"}, {Value: "6", Label: "medium"}, {Value: "8", Label: "usual"}, {Value: "12", Label: "high"}, {Value: "18", Label: "very high"}}

// offering is a list of choices that has the present one in any case.
func offering(options []ui.Option, value string) []ui.Option {
	if value == "" || slices.ContainsFunc(options, func(o ui.Option) bool { return o.Value == value }) {
		return options
	}
	return append(slices.Clone(options), ui.Option{Value: value, Label: value})
}

func numberText(v *float64) string {
	if v == nil {
		return ""
	}
	return strconv.FormatFloat(*v, 'g', -1, 64)
}

func (m *Module) panelForm(f frame, row int, p Panel, queries, singles int) panelFormView {
	v := panelFormView{frame: f, Saves: f.Version()}
	rows := make([]ui.Option, max(1, len(f.D.Rows)))
	for i := range rows {
		rows[i] = ui.Option{Value: fmt.Sprint(i), Label: fmt.Sprintf("row %d", i+1)}
		if i < len(f.D.Rows) && f.D.Rows[i].Title != "" {
			rows[i].Label = f.D.Rows[i].Title
		}
	}
	v.Main = []ui.Field{
		{Name: "title", Label: "Title", Value: p.Title, MaxLength: maxTitle},
		{Name: "kind", Label: "Shows", Kind: "select", Required: true, Value: p.Kind, Options: panelKinds},
		{Name: "row", Label: "Row", Kind: "select", Required: true, Value: fmt.Sprint(row), Options: rows},
		{Name: "width", Label: "Width", Kind: "select", Required: true, Value: fmt.Sprint(p.width()), Options: offering(widths, fmt.Sprint(p.width()))},
		{Name: "height", Label: "Height", Kind: "select", Required: true, Value: fmt.Sprint(p.height()), Options: offering(heights, fmt.Sprint(p.height()))},
	}
	for i := range max(queries, len(p.Targets), 1) {
		t := Target{}
		if i < len(p.Targets) {
			t = p.Targets[i]
		}
		n := fmt.Sprint(i)
		few, more := lookFields("query-"+n+"-", t.Look)
		v.Queries = append(v.Queries, queryFields{Name: targetName(i), More: more, Open: someSaid(more), Fields: append([]ui.Field{
			{Name: "expr-" + n, Label: "PromQL", Kind: "promql", Value: t.Expr, Rows: 3, Mono: true, API: "/w/" + string(f.WS) + "/explore/api", Required: i == 0,
				Hint: "Variables are $name; $__rate_interval is a span that rate() can work with."},
			{Name: "legend-" + n, Label: "Legend", Value: t.Legend, Placeholder: "{{instance}}", Hint: "Empty: the labels that tell the series apart."},
			{Name: "step-" + n, Label: "Shortest step", Value: t.Step, Placeholder: "15s"},
			{Name: "hidden-" + n, Label: "Keep, but do not ask", Kind: "checkbox", Checked: t.Hidden},
		}, few...)})
	}
	v.Singles = singleFields(p.Overrides, singles)
	decimals := ""
	if p.Decimals != nil {
		decimals = fmt.Sprint(*p.Decimals)
	}
	v.Scale = []ui.Field{
		{Name: "unit", Label: "Unit", Kind: "select", Required: true, Value: p.Unit, Options: offering(ui.Units, p.Unit)},
		{Name: "decimals", Label: "Decimals at most", Value: decimals, InputMode: "numeric"},
		{Name: "min", Label: "Least value of the axis", Value: numberText(p.Min), InputMode: "decimal"},
		{Name: "max", Label: "Greatest value of the axis", Value: numberText(p.Max), InputMode: "decimal"},
		{Name: "thresholds", Label: "Limits", Kind: "textarea", Mono: true, Rows: 3, Value: thresholdText(p.Thresholds), Placeholder: "good\n80 warn\n90 bad",
			Hint: "A value and a tone on each line, rising: good, warn, bad, active or neutral hold from the value on. The first line may lack the value."},
		{Name: "mappings", Label: "Texts in place of values", Kind: "textarea", Mono: true, Rows: 3, Value: mappingText(p.Mappings), Placeholder: "0 = Down | bad\n1 = Up | good\nnone = not there",
			Hint: "One on each line: a value, a span (0..10), /a regular expression/ or none, then what stands in its place, and a tone after |."},
		{Name: "bands", Label: "Limits fill their part of the drawing", Kind: "checkbox", Checked: p.Bands},
		{Name: "log", Label: "Logarithmic axis", Kind: "checkbox", Checked: p.Log},
		{Name: "omit_zero", Label: "Leave out series that are only zero", Kind: "checkbox", Checked: p.OmitZero},
	}
	v.Extra = []ui.Field{
		{Name: "draw", Label: "Draw as", Kind: "select", Required: true, Value: p.Draw, Options: offering(drawOptions("lines"), p.Draw)},
		{Name: "stack", Label: "Stack the series", Kind: "checkbox", Checked: p.Stack},
		{Name: "reduce", Label: "One figure of a series is its", Kind: "select", Required: true, Value: p.Reduce, Options: []ui.Option{{Value: "", Label: "last value"}, {Value: "mean", Label: "mean"}, {Value: "min", Label: "least value"}, {Value: "max", Label: "greatest value"}, {Value: "sum", Label: "sum"}}},
		{Name: "repeat", Label: "Repeat", Kind: "select", Required: true, Value: p.Repeat, Options: repeatOptions(f.D)},
		{Name: "description", Label: "Description", Kind: "textarea", Rows: 2, Value: p.Description, Hint: "What it shows, and what to do when it looks bad."},
		{Name: "link", Label: "Link of the title", Value: p.Link, Placeholder: "/w/…", Hint: "A page of ours, or https://…"},
	}
	v.Text = []ui.Field{
		{Name: "text", Label: "Text", Kind: "textarea", Rows: 6, Value: p.Text, Hint: "Headings, lists, **bold**, *italic*, `code` and [links](https://…)."},
		{Name: "format", Label: "Format", Kind: "select", Required: true, Value: p.Format, Options: []ui.Option{{Value: "", Label: "Markdown"}, {Value: "plain", Label: "as it is"}}},
	}
	return v
}

// withErrors puts notes beside the fields that they are about.
func (v *panelFormView) withErrors(err error) error {
	e := kernel.AsError(err)
	if e.Code != kernel.Invalid && e.Code != kernel.Conflict {
		return err
	}
	var all []ui.Field
	groups := []*[]ui.Field{&v.Main, &v.Scale, &v.Extra, &v.Text}
	for _, list := range [][]queryFields{v.Queries, v.Singles} {
		for i := range list {
			groups = append(groups, &list[i].Fields, &list[i].More)
		}
	}
	for _, g := range groups {
		*g = ui.Form{Fields: *g}.WithErrors(e.Fields).Fields
		all = append(all, *g...)
	}
	for _, list := range [][]queryFields{v.Queries, v.Singles} {
		for i := range list {
			list[i].Open = list[i].Open || len(ui.Form{Fields: list[i].More}.Invalid()) > 0
		}
	}
	v.Errors = ui.Form{Fields: all}
	if len(v.Errors.Invalid()) == 0 {
		v.Errors.Error = e.Safe
	}
	return nil
}

// readPanel reads the form; the id stays. It tells how many queries and single series the form has room for.
func readPanel(form url.Values, id string) (p Panel, row, queries, singles int, err error) {
	p = Panel{ID: id, Title: strings.TrimSpace(form.Get("title")), Kind: form.Get("kind"), Unit: strings.TrimSpace(form.Get("unit")), Draw: form.Get("draw"), Stack: form.Get("stack") != "",
		Reduce: form.Get("reduce"), Repeat: form.Get("repeat"), Description: strings.TrimSpace(form.Get("description")), Link: strings.TrimSpace(form.Get("link")),
		Text: strings.ReplaceAll(form.Get("text"), "\r\n", "\n"), Format: form.Get("format"), Bands: form.Get("bands") != "", Log: form.Get("log") != "", OmitZero: form.Get("omit_zero") != ""}
	row, _ = strconv.Atoi(form.Get("row"))
	p.Width, _ = strconv.Atoi(form.Get("width"))
	p.Height, _ = strconv.Atoi(form.Get("height"))
	r := lookReader{form: form}
	for queries < maxTargets && form.Has(fmt.Sprintf("expr-%d", queries)) {
		n := fmt.Sprint(queries)
		queries++
		t := Target{Expr: strings.TrimSpace(strings.ReplaceAll(form.Get("expr-"+n), "\r\n", "\n")), Legend: strings.TrimSpace(form.Get("legend-" + n)), Step: strings.TrimSpace(form.Get("step-" + n)), Hidden: form.Get("hidden-"+n) != ""}
		t.Look = r.look("query-" + n + "-")
		if t.Expr != "" {
			p.Targets = append(p.Targets, t)
		}
	}
	p.Overrides, singles = r.singles()
	if p.Kind == KindText {
		p.Targets, p.Overrides = nil, nil
	} else {
		p.Text, p.Format = "", ""
	}
	p.Min, p.Max, p.Decimals = r.number("min"), r.number("max"), r.whole("decimals")
	p.Thresholds, p.Mappings = r.thresholds("thresholds"), r.mappings("mappings")
	return p, row, queries, singles, joinFields(r.faults)
}

// joinFields makes one error of several about fields.
func joinFields(faults []error) error {
	if len(faults) == 0 {
		return nil
	}
	out := &kernel.Error{Code: kernel.Invalid, Safe: kernel.AsError(faults[0]).Safe, Fields: map[string]string{}}
	for _, err := range faults {
		for k, v := range kernel.AsError(err).Fields {
			out.Fields[k] = v
		}
	}
	return out
}

func (m *Module) newPanelPage(w http.ResponseWriter, r *http.Request) error {
	f, err := m.stored(r)
	if err != nil {
		return err
	}
	row, err := strconv.Atoi(r.URL.Query().Get("row"))
	if err != nil || row < 0 || row >= len(f.D.Rows) {
		row = max(0, len(f.D.Rows)-1)
	}
	p := Panel{Kind: KindTimeSeries}
	if expr := clipBytes(r.URL.Query().Get("expr"), maxExpr); expr != "" {
		p.Targets = []Target{{Expr: expr}}
	}
	v := m.panelForm(f, row, p, 1, 0)
	v.IsNew, v.Action = true, f.Base+"/panel"
	return m.renderPanelForm(w, r, http.StatusOK, v)
}

func (m *Module) editPanelPage(w http.ResponseWriter, r *http.Request) error {
	f, err := m.stored(r)
	if err != nil {
		return err
	}
	i, j, ok := f.D.panelNamed(r.PathValue("panel"))
	if !ok {
		return kernel.Errorf(kernel.NotFound, "There is no such panel on this dashboard.")
	}
	v := m.panelForm(f, i, f.D.Rows[i].Panels[j], 0, 0)
	v.Action = f.Base + "/panels/" + f.D.Rows[i].Panels[j].ID + "/edit"
	return m.renderPanelForm(w, r, http.StatusOK, v)
}

func (m *Module) renderPanelForm(w http.ResponseWriter, r *http.Request, status int, v panelFormView) error {
	title := "Edit panel"
	if v.IsNew {
		title = "New panel"
	}
	return m.pages.Render(w, r, status, "panel_form", ui.Page{Title: title, App: appKey, Section: homeHref(v.WS), Crumbs: editCrumbs(v.frame), Body: v})
}

// savePanel saves a panel, or shows the form again: with a preview, with room for another query, or with what is wrong.
func (m *Module) savePanel(w http.ResponseWriter, r *http.Request) error {
	f, err := m.stored(r)
	if err != nil {
		return err
	}
	form, err := httpx.ReadForm(r)
	if err != nil {
		return err
	}
	id := r.PathValue("panel")
	p, row, queries, singles, err := readPanel(form, id)
	op := form.Get("op")
	if err == nil && op == "" {
		if err = m.placePanel(r, f, readVersion(form), p, row); err == nil {
			return respond.SeeOther(w, r, undoHref(f))
		}
	}
	switch op {
	case "more":
		queries++
	case "single":
		singles++
	}
	v := m.panelForm(f, row, p, queries, singles)
	v.IsNew, v.Action = id == "", r.URL.Path
	if kernel.CodeOf(err) != kernel.Conflict { // after a conflict the next try is from what there is now
		v.Saves = readVersion(form)
	}
	status := http.StatusOK
	if err != nil {
		if kernel.CodeOf(err) == kernel.Conflict {
			err = kernel.Errorf(kernel.Conflict, "Somebody saved this dashboard meanwhile. Save again to put this panel into what there is now.")
		}
		status = http.StatusUnprocessableEntity
		if err := v.withErrors(err); err != nil {
			return err
		}
	}
	if op == "preview" && err == nil {
		v.Preview = m.preview(r, f, p)
	}
	return m.renderPanelForm(w, r, status, v)
}

// preview draws a panel that is not saved.
func (m *Module) preview(r *http.Request, f frame, p Panel) *panelView {
	now := m.d.Clock()
	f.Range = f.D.readRange(&url.URL{Path: f.Base}, now)
	f.URL = &url.URL{Path: f.Base}
	f.scope = scope{ws: f.WS, span: f.Range}
	ctx, cancel := context.WithTimeout(r.Context(), panelTimeout)
	defer cancel()
	f.env = m.choose(ctx, f.scope, f.D.Variables, url.Values{})
	if p.ID == "" {
		p.ID = "preview"
	}
	if p.Width == 0 {
		p.Width = columns
	}
	pv := f.panelView(p, f.env, "preview", nil)
	pv.take(m.draw(ctx, f.scope, f.env, p, 0))
	pv.Edit = ""
	if pv.Chart != nil {
		pv.Chart.Zoom = false
	}
	return pv
}

// placePanel puts a panel into a dashboard: a new one at the end of the row, another where it is, or at the end of the row
// that it was moved to.
func (m *Module) placePanel(r *http.Request, f frame, from int64, p Panel, row int) error {
	d := f.D.clone()
	if len(d.Rows) == 0 {
		d.Rows = []Row{{Panels: []Panel{}}}
	}
	if row < 0 || row >= len(d.Rows) {
		return kernel.InvalidField("row", "This row is not there any more.")
	}
	note := fmt.Sprintf("panel %q changed", clip(p.Title, 60))
	i, j, ok := d.panelNamed(p.ID)
	switch {
	case p.ID == "":
		p.ID = d.freeID("panel")
		note = fmt.Sprintf("panel %q added", clip(p.Title, 60))
		d.Rows[row].Panels = append(d.Rows[row].Panels, p)
	case !ok:
		return errNoSuchPart
	case i == row:
		d.Rows[i].Panels[j] = p
	default:
		d.Rows[i].Panels = slices.Delete(d.Rows[i].Panels, j, j+1)
		d.Rows[row].Panels = append(d.Rows[row].Panels, p)
	}
	if p.Kind != KindText && len(p.Targets) == 0 {
		return kernel.InvalidField("expr-0", "Write a query.")
	}
	_, err := m.commit(r, f, from, d, note)
	return panelFault(err, d, p.ID)
}

// panelFault names the fields of an error as the panel's form does.
func panelFault(err error, d *Dashboard, id string) error {
	var e *kernel.Error
	if !errors.As(err, &e) || e.Code != kernel.Invalid {
		return err
	}
	i, j, _ := d.panelNamed(id)
	prefix := fmt.Sprintf("rows[%d].panels[%d].", i, j)
	out := &kernel.Error{Code: kernel.Invalid, Safe: e.Safe, Fields: map[string]string{}}
	for path, note := range e.Fields {
		name := strings.TrimPrefix(path, prefix)
		var n int
		var field string
		place := strings.NewReplacer("[", " ", "].", " ", "]", " ").Replace(name)
		if c, _ := fmt.Sscanf(place, "targets %d %s", &n, &field); c == 2 {
			if name = fmt.Sprintf("%s-%d", field, n); lookField[field] {
				name = fmt.Sprintf("query-%d-%s", n, field)
			}
		} else if c, _ := fmt.Sscanf(place, "overrides %d %s", &n, &field); c == 2 {
			name = fmt.Sprintf("single-%d-%s", n, strings.Replace(strings.Replace(field, "match", "series", 1), "name", "series", 1))
		} else if k := strings.IndexAny(name, "[."); k > 0 {
			name = name[:k]
		}
		out.Fields[name] = strings.ToUpper(note[:1]) + note[1:]
	}
	return out
}
