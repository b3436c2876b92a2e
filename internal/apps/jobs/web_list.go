package jobs

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/kept-dev/kept/internal/apps/jobs/fold"
	"github.com/kept-dev/kept/internal/apps/jobs/index"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/ui"
)

// listView is the list of jobs.
type listView struct {
	Action  string
	Tabs    []statusTab
	Fields  []field
	Keep    []ui.Param // parameters without a field
	Chips   []chip
	Clear   string
	Search  bool // texts are searched for
	Rows    []rowView
	Envs    bool // there is more than one environment
	Pager   ui.Pager
	Live    *ui.Live // on the first page
	NoMatch *ui.Empty
	Connect *connectView // no job has ever arrived
}

// statusTab leads to the list of one status.
type statusTab struct {
	Label, Href string
	Current     bool
}

// field is one field of the filter bar.
type field struct {
	ui.Filter
	Error string
	Exact string // of a time: the moment in UTC, from which scripts make the viewer's time
	Short bool
	All   string // the empty choice of a select
}

// Swap are the htmx attributes of a link that changes the whole list.
func (v listView) Swap(href string) any { return ui.Pager{Target: "jobs"}.Attrs(href) }

// rowView is one run in a list.
type rowView struct {
	index.Row
	Href string
	now  int64
}

// Title is what the job is called; agents do not always know.
func (r rowView) Title() string { return cmp.Or(r.Name, r.ID) }

// Key tells rows apart for morphing.
func (r rowView) Key() string { return elementID(r.Queue, r.ID, r.Run) }

// Shown is the wait, or the duration, as far as it is known: nil is a dash.
func shown(us int64) any {
	if us == fold.NotKnown {
		return nil
	}
	return us
}

// Waited is how long the run was in the queue; of one that still is, so far.
func (r rowView) Waited() any {
	if r.StillWaits() {
		return max(0, r.now-r.First)
	}
	return shown(r.Wait)
}

// StillWaits tells whether the run has not begun yet.
func (r rowView) StillWaits() bool { return r.Status == fold.Waiting && r.Started == 0 }

// Took is how long the last attempt ran; of one that still does, so far.
func (r rowView) Took() any {
	if r.StillRuns() {
		return max(0, r.now-r.Started)
	}
	return shown(r.Duration)
}

// StartsLater tells whether the run waits for its time.
func (r rowView) StartsLater() bool { return r.Status == fold.Delayed && r.Due > 0 }

// StillRuns tells whether the only attempt is under way.
func (r rowView) StillRuns() bool { return r.Status == fold.Active && r.Started != 0 && r.Tries <= 1 }

// Headline is why the run failed, or is about to be tried again.
func (r rowView) Headline() string {
	if r.Status == fold.Completed {
		return ""
	}
	return r.Error
}

func (m *Module) listPage(w http.ResponseWriter, r *http.Request) error {
	v, err := m.listView(r)
	if err != nil {
		return err
	}
	ws := httpx.ActorOf(r.Context()).WorkspaceID
	// The heading is part of what is kept up to date: it changes when the first job arrives.
	return m.pages.Render(w, r, http.StatusOK, "list", ui.Page{Title: "Jobs", App: appKey, Section: listHref(ws), NoHead: true, Body: v})
}

func (m *Module) listView(r *http.Request) (v listView, err error) {
	ctx := r.Context()
	ws := httpx.ActorOf(ctx).WorkspaceID
	facets, err := m.index.Facets(ctx, ws)
	if err != nil {
		return v, err
	}
	f := readFilters(r.URL, m.d.Clock())
	v = listView{Action: listHref(ws), Tabs: statusTabs(f), Fields: filterFields(f, facets), Chips: f.Chips, Clear: f.clear(),
		Search: f.Text != "", Keep: keep(r.URL), Envs: len(facets.Envs) > 1 && f.Env == ""}
	if f.After == "" {
		v.Live = livePage(ws, "jobs-rows")
	}
	if len(facets.Queues) == 0 {
		v.Connect = m.connect(ws)
		v.Live = livePage(ws, "jobs")
		return v, nil
	}
	page, err := m.list(ctx, ws, f, &v)
	if err != nil {
		return v, err
	}
	v.Rows = m.rowViews(ws, page.Rows)
	v.Pager = ui.NewPager(r.URL, "jobs", page.Next, "")
	if len(v.Rows) == 0 {
		v.NoMatch = noMatch(f)
	}
	return v, nil
}

// list asks the index. A text that cannot be searched for is a note at its field.
func (m *Module) list(ctx context.Context, ws kernel.WorkspaceID, f *filters, v *listView) (index.Page, error) {
	page, err := m.index.List(ctx, ws, f.Filter)
	if kernel.CodeOf(err) != kernel.Invalid {
		return page, err
	}
	note := kernel.AsError(err).Safe
	for i := range v.Fields {
		if v.Fields[i].Name == "q" {
			v.Fields[i].Error = note
		}
	}
	return index.Page{}, nil
}

func (m *Module) rowViews(ws kernel.WorkspaceID, rows []index.Row) []rowView {
	now := kernel.Micros(m.d.Clock())
	out := make([]rowView, len(rows))
	for i, row := range rows {
		out[i] = rowView{row, jobHref(ws, row.Queue, row.ID, row.Run), now}
	}
	return out
}

// tabStatuses are the states that the list has a tab for, the ones first that people come for.
var tabStatuses = []fold.Status{fold.Failed, fold.Retrying, fold.Stalled, fold.Active, fold.Waiting, fold.Delayed, fold.Completed}

func statusTabs(f *filters) []statusTab {
	href := func(status string) string {
		href, _ := ui.WithQuery(f.url, "status", status, "cursor", "")
		return href
	}
	tabs := []statusTab{{"All", href(""), len(f.Statuses) == 0}}
	for _, s := range tabStatuses {
		name := s.String()
		tabs = append(tabs, statusTab{capital(name), href(name), f.status() == name})
	}
	return tabs
}

// fieldParams are the parameters that the bar has a field for.
var fieldParams = []string{"q", "queue", "name", "env", "time", "from", "to", "over", "under"}

// keep are the other parameters, which a change of the bar carries along; the cursor not, which it makes meaningless.
func keep(u *url.URL) []ui.Param {
	q := u.Query()
	var out []ui.Param
	for name := range q {
		if name != "cursor" && !slices.Contains(fieldParams, name) {
			out = append(out, ui.Param{Name: name, Value: q.Get(name)})
		}
	}
	slices.SortFunc(out, func(a, b ui.Param) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// maxChoices is how many values a select offers; beyond it is a field with suggestions.
const maxChoices = 100

func filterFields(f *filters, facets index.Facets) []field {
	q := f.url.Query()
	choice := func(name, label, all string, values []string) field {
		out := field{Filter: ui.Filter{Name: name, Label: label, Kind: "select", Value: q.Get(name)}, All: all}
		if len(values) > maxChoices {
			out.Kind, out.List = "text", values[:min(len(values), 1000)]
			return out
		}
		if out.Value != "" && !slices.Contains(values, out.Value) {
			values = append(slices.Clone(values), out.Value)
		}
		for _, value := range values {
			out.Options = append(out.Options, ui.Option{Value: value, Label: value})
		}
		return out
	}
	fields := []field{
		{Filter: ui.Filter{Name: "q", Label: "Search", Kind: "search", Value: q.Get("q"), Placeholder: "Id, name, error or payload", Wide: true}},
		choice("queue", "Queue", "All queues", facets.Queues),
		choice("name", "Job", "All jobs", facets.Names),
	}
	if len(facets.Envs) > 1 || f.Env != "" {
		fields = append(fields, choice("env", "Environment", "All", facets.Envs))
	}
	fields = append(fields, timeField(f))
	if f.Time == customTime {
		fields = append(fields, momentField(f, "from", "From", f.From), momentField(f, "to", "Until", f.To))
	}
	return append(fields, spanField(f, "over", "Longer than", "500ms"), spanField(f, "under", "Shorter than", "2s"))
}

func timeField(f *filters) field {
	out := field{Filter: ui.Filter{Name: "time", Label: "Time", Kind: "select", Value: f.Time}, All: "Any time"}
	for _, w := range windows {
		out.Options = append(out.Options, ui.Option{Value: w.Key, Label: w.Label})
	}
	out.Options = append(out.Options, ui.Option{Value: customTime, Label: "Between…"})
	return out
}

func momentField(f *filters, name, label string, at int64) field {
	out := field{Filter: ui.Filter{Name: name, Label: label, Kind: "datetime-local", Value: f.url.Query().Get(name)}, Error: f.Bad[name]}
	if at != 0 {
		t := kernel.FromMicros(at)
		out.Value, out.Exact = t.Format("2006-01-02T15:04"), t.Format(time.RFC3339)
	}
	return out
}

func spanField(f *filters, name, label, example string) field {
	return field{Filter: ui.Filter{Name: name, Label: label, Kind: "text", Value: f.url.Query().Get(name), Placeholder: example},
		Error: f.Bad[name], Short: true}
}

func noMatch(f *filters) *ui.Empty {
	e := &ui.Empty{Icon: "search", Title: "No job matches", Text: "Take a filter away, or look at a longer time."}
	switch {
	case f.After != "":
		e.Title, e.Text = "No more jobs", "The jobs that were here have passed their retention time."
	case f.Text != "":
		e.Text = "Among older jobs only whole words are found: try one whole word of the id, name, error or payload."
	}
	if len(f.Chips) > 0 || f.After != "" {
		e.Action = &ui.Action{Label: "Clear filters", Href: f.clear()}
	}
	return e
}
