package dashboard

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/ui"
)

// frame is what all views of a dashboard share: what is looked at, and where links lead.
type frame struct {
	subject
	WS        kernel.WorkspaceID
	Base      string // address of the dashboard
	URL       *url.URL
	Range     ui.TimeRange
	MayChange bool
	env       env
	scope     scope
}

// Editable tells whether whoever looks may change the dashboard.
func (f frame) Editable() bool { return f.MayChange && f.Stored != nil }

// Query are the parameters that links to panels keep: time and variables.
func (f frame) query(overrides ...string) string {
	q := url.Values{}
	for name, values := range f.URL.Query() {
		if name == "from" || name == "to" || name == "refresh" || strings.HasPrefix(name, "var-") {
			q[name] = values
		}
	}
	for i := 0; i+1 < len(overrides); i += 2 {
		q.Set(overrides[i], overrides[i+1])
	}
	if len(q) == 0 {
		return ""
	}
	return "?" + q.Encode()
}

func (m *Module) frameOf(r *http.Request) (frame, error) {
	s, err := m.subjectOf(r)
	if err != nil {
		return frame{}, err
	}
	ws := httpx.ActorOf(r.Context()).WorkspaceID
	f := frame{subject: s, WS: ws, Base: dashHref(ws, s.ID), URL: r.URL, Range: s.D.readRange(r.URL, m.d.Clock()), MayChange: may(r, httpx.MayChange)}
	f.Range.Target = "dash"
	f.scope = scope{ws: ws, span: f.Range}
	f.env = m.choose(r.Context(), f.scope, s.D.Variables, r.URL.Query())
	return f, nil
}

type viewView struct {
	frame
	Vars     []varView
	Hidden   []ui.Param // parameters that the form of the variables keeps
	Wrong    []wrongView
	Firing   []happened // alerts that have not ended
	Judged   bool       // some panel has thresholds
	Failed   int
	Waiting  int
	Rows     []rowView
	Events   []happened
	Kinds    []kindView
	Problems []string
	Empty    *ui.Empty
	NoteForm *ui.Form
}

type varView struct {
	choice
	Caption string
	Options []varOption
	Summary string
}

type varOption struct {
	Value, Label string
	On           bool
}

type wrongView struct {
	wrong
	Title, Href string
}

type rowView struct {
	Title  string
	Open   bool
	Toggle string // address in which it is the other way round
	Number int
	Panels []*panelView
}

// panelView is a panel on a page.
type panelView struct {
	picture
	Frame    *frame
	Src      string // where it is drawn alone, as a part of a page
	Full     string // the page of the panel
	Edit     string // empty: it cannot be changed
	Explore  string
	DataHref string
	Embed    string // where one learns how to show it elsewhere
	Version  int64
}

// Columns are the classes of the panel's size and kind.
func (p panelView) Columns() string {
	return fmt.Sprintf("dw-%d dh-%d dk-%s", p.Panel.width(), p.Panel.height(), p.Panel.Kind)
}

// ElementID is the id of the panel in the page.
func (p panelView) ElementID() string { return "p-" + p.Key }

func (m *Module) viewPage(w http.ResponseWriter, r *http.Request) error {
	f, err := m.frameOf(r)
	if err != nil {
		return err
	}
	v := viewView{frame: f}
	v.variables()
	hidden := map[string]bool{}
	for _, kind := range r.URL.Query()["hide"] {
		hidden[kind] = true
	}
	ctx, cancel := context.WithTimeout(r.Context(), pageTimeout)
	defer cancel()
	v.layout(m)
	marks := v.events(ctx, m, hidden)
	m.drawAll(ctx, &v)
	v.finish(marks)
	page := ui.Page{Title: f.D.Title, Lead: f.D.Description, App: appKey, Section: homeHref(f.WS), Crumbs: crumbs(f.WS, f.subject)[:1], Body: &v, Actions: viewActions(f)}
	if text := viewDone[r.URL.Query().Get("done")]; text != "" {
		page.Toasts = []ui.Toast{f.undoable(r, text)}
	}
	return m.pages.Render(w, r, http.StatusOK, "view", page)
}

var viewDone = map[string]string{
	"made": "The dashboard is ready.", "saved": "Saved.", "note": "The note stands on the charts.", "note-removed": "The note is removed.", "restored": "The dashboard is back.", "back": "That version is back.",
	"arranged": "The arrangement is saved.", "imported": "The dashboard is imported.", "share": "The address of this page shows exactly this to every member of the workspace. Copy it.",
}

func viewActions(f frame) []ui.Action {
	share, _ := ui.WithQuery(f.URL, "from", ui.Moment(f.Range.From), "to", ui.Moment(f.Range.To), "refresh", "", "done", "share")
	out := []ui.Action{{Label: "Share", Href: share, Icon: "external"}, {Label: "Export", Href: f.Base + "/export", Icon: "download"}}
	if !f.MayChange {
		return out
	}
	if !f.Editable() {
		return append(out, ui.Action{Label: "Duplicate", Href: f.Base + "/duplicate", Icon: "copy", Primary: true})
	}
	return append(out, ui.Action{Label: "History", Href: f.Base + "/history", Icon: "clock"}, ui.Action{Label: "Arrange", Href: f.Base + "/arrange", Icon: "grip"},
		ui.Action{Label: "Edit", Href: f.Base + "/edit", Icon: "edit", Primary: true})
}

// undoable is a toast about a save, with the way back to the version before, which the address names.
func (f frame) undoable(r *http.Request, text string) ui.Toast {
	t := ui.Toast{Tone: ui.ToneGood, Text: text}
	if from, err := strconv.ParseInt(r.URL.Query().Get("undo"), 10, 64); err == nil && from > 0 && from < f.Version() {
		t.Href, t.Link = f.Base+"/history/"+strconv.FormatInt(from, 10), "Undo"
	}
	return t
}

// variables makes the controls above the panels.
func (v *viewView) variables() {
	for _, x := range v.D.Variables {
		c := v.env.choices[x.Name]
		if x.Hidden || x.Kind == VarConstant {
			continue
		}
		one := varView{choice: c, Caption: x.Label}
		if one.Caption == "" {
			one.Caption = x.Name
		}
		one.Summary, _ = v.env.plain(x.Name)
		if one.Summary == "" {
			one.Summary = "none"
		}
		if x.All {
			one.Options = append(one.Options, varOption{allValue, "All", c.IsAll})
		}
		options := c.Options
		for _, value := range c.Values { // what the address names stays, whatever the data says
			if !c.IsAll && !slices.Contains(options, value) {
				options = append(slices.Clone(options), value)
			}
		}
		for _, o := range options {
			one.Options = append(one.Options, varOption{o, o, !c.IsAll && slices.Contains(c.Values, o)})
		}
		v.Vars = append(v.Vars, one)
	}
	q := v.URL.Query()
	for _, name := range sortedNames(q) {
		if strings.HasPrefix(name, "var-") || name == "done" {
			continue
		}
		for _, value := range q[name] {
			v.Hidden = append(v.Hidden, ui.Param{Name: name, Value: value})
		}
	}
}

func sortedNames(q url.Values) []string {
	names := make([]string, 0, len(q))
	for name := range q {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// maxRepeats is how often a panel or a row is drawn at most.
const maxRepeats = 40

// layout puts panels into rows and repeats what is to be repeated.
func (v *viewView) layout(m *Module) {
	q := v.URL.Query()
	for i, row := range v.D.Rows {
		values := v.repeats(row.Repeat)
		for n, value := range values {
			e, override, suffix := v.env, []string(nil), ""
			if row.Repeat != "" {
				e, override, suffix = v.env.with(row.Repeat, value), []string{"var-" + row.Repeat, value}, fmt.Sprintf("-r%d", n)
			}
			name := fmt.Sprintf("row-%d%s", i, suffix)
			open := q.Get(name) == "open" || !row.Collapsed && q.Get(name) != "closed"
			other := "open"
			if open {
				other = "closed"
			}
			rv := rowView{Title: e.text(row.Title, nil), Open: open, Number: len(v.Rows)}
			if (other == "open") != row.Collapsed { // what the dashboard says anyway stays out of the address
				other = ""
			}
			rv.Toggle, _ = ui.WithQuery(v.URL, name, other, "done", "")
			if open {
				rv.Panels = v.panels(row.Panels, e, override, suffix)
			}
			v.Rows = append(v.Rows, rv)
		}
	}
	if v.D.panelCount() == 0 {
		v.Empty = &ui.Empty{Icon: "chart", Title: "No panels yet", Text: "A panel shows the answer to one or more queries: as lines over time, as figures, bars, a heat map or a table."}
		if v.Editable() {
			v.Empty.Action = &ui.Action{Label: "Add a panel", Href: v.Base + "/panel", Primary: true}
		}
	}
}

// repeats are the values of a variable that something is repeated by; one empty value where it is not.
func (v *viewView) repeats(name string) []string {
	if name == "" {
		return []string{""}
	}
	values := v.env.choices[name].Values
	return values[:min(len(values), maxRepeats)]
}

func (v *viewView) panels(panels []Panel, e env, override []string, suffix string) (out []*panelView) {
	for _, p := range panels {
		for n, value := range v.repeats(p.Repeat) {
			pe, po, key := e, override, p.ID+suffix
			if p.Repeat != "" {
				pe, po, key = e.with(p.Repeat, value), append(slices.Clone(override), "var-"+p.Repeat, value), fmt.Sprintf("%s%s-%d", p.ID, suffix, n)
			}
			out = append(out, v.panelView(p, pe, key, po))
		}
	}
	return out
}

// panelView is a panel with its addresses, not drawn yet.
func (f *frame) panelView(p Panel, e env, key string, override []string) *panelView {
	query := f.query(override...)
	base := f.Base + "/panels/" + p.ID
	pv := &panelView{picture: picture{Panel: p, Key: key, Title: e.text(p.Title, nil), Lazy: true}, Frame: f, Full: base + query, DataHref: base + "/data" + query, Version: f.Version()}
	sep := "?"
	if query != "" {
		sep = "&"
	}
	pv.Src = base + "/part" + query + sep + "key=" + url.QueryEscape(key)
	if f.Editable() {
		pv.Edit = base + "/edit"
	}
	if f.MayChange {
		pv.Embed = homeHref(f.WS) + "/embedding?" + url.Values{"dashboard": {f.ID}, "panel": {p.ID}}.Encode()
	}
	pv.picture.env = e
	return pv
}

// drawAll asks for the numbers of all open panels, several at a time. What is not there when the time is up is left for the
// page to fetch by itself.
func (m *Module) drawAll(ctx context.Context, v *viewView) {
	gate := make(chan struct{}, 4)
	var wg sync.WaitGroup
	for _, row := range v.Rows {
		for _, p := range row.Panels {
			wg.Go(func() {
				select {
				case gate <- struct{}{}:
					defer func() { <-gate }()
				case <-ctx.Done():
				}
				if p.Panel.Kind == KindText || ctx.Err() == nil {
					m.drawView(ctx, v.scope, p)
				}
			})
		}
	}
	wg.Wait()
}

// drawView draws a panel in its place. One that was cut off stays lazy.
func (m *Module) drawView(ctx context.Context, sc scope, p *panelView) {
	pic := m.draw(ctx, sc, p.env, p.Panel, 0)
	if ctx.Err() != nil && pic.Failed {
		return
	}
	p.take(pic)
}

func (p *panelView) take(pic picture) {
	key, e := p.Key, p.env
	p.picture = pic
	p.Key, p.env = key, e
	if p.Chart != nil {
		p.Chart.ID = "c-" + key
	}
	if len(pic.Exprs) > 0 {
		q := url.Values{"expr": pic.Exprs}
		for name, values := range p.Frame.Range.Query() {
			q[name] = values
		}
		p.Explore = "/w/" + string(p.Frame.WS) + "/explore?" + q.Encode()
	}
}

// finish puts the marks on the charts and gathers what is wrong.
func (v *viewView) finish(marks []ui.Mark) {
	for _, row := range v.Rows {
		for _, p := range row.Panels {
			switch {
			case p.Lazy:
				v.Waiting++
			case p.Failed:
				v.Failed++
			}
			if p.Chart != nil && (p.Panel.Kind == KindTimeSeries || p.Panel.Kind == KindHeatMap) {
				p.Chart.Marks = marks
			}
			v.Judged = v.Judged || p.Panel.judges()
			for _, w := range p.Wrong {
				v.Wrong = append(v.Wrong, wrongView{w, p.Title, "#" + p.ElementID()})
			}
		}
	}
	slices.SortStableFunc(v.Wrong, func(a, b wrongView) int { return badness(b.Tone) - badness(a.Tone) })
	if v.MayChange {
		v.NoteForm = v.noteForm()
	}
}

// maxWrong is how many wrong values are listed.
const maxWrong = 12

// Alarm is the heading of what is wrong; empty where nothing is.
func (v *viewView) Alarm() string {
	var parts []string
	if n := len(v.Firing); n > 0 {
		text, _ := ui.Plural(n, "alert is firing", "alerts are firing")
		parts = append(parts, text)
	}
	if n := len(v.Wrong); n > 0 {
		text, _ := ui.Plural(n, "value is beyond a limit", "values are beyond a limit")
		parts = append(parts, text)
	}
	return strings.Join(parts, ", ")
}

// FirstFiring are the alerts that are listed.
func (v *viewView) FirstFiring() []happened { return v.Firing[:min(len(v.Firing), maxWrong)] }

// MoreWrong is how many are not listed.
func (v *viewView) MoreWrong() int {
	return max(0, len(v.Wrong)-maxWrong) + max(0, len(v.Firing)-maxWrong)
}

// FirstWrong are those that are listed.
func (v *viewView) FirstWrong() []wrongView { return v.Wrong[:min(len(v.Wrong), maxWrong)] }

// FirstWrong are the values that stand beside the title of a chart; figures show theirs by themselves.
func (p picture) FirstWrong() []wrong {
	if p.Panel.Kind != KindTimeSeries {
		return nil
	}
	return p.Wrong[:min(len(p.Wrong), 2)]
}

// NotesHref is where notes are posted.
func (f frame) NotesHref() string { return f.Base + "/notes" }
