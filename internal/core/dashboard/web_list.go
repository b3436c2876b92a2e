package dashboard

import (
	"net/http"
	"slices"
	"strings"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/ui"
)

type listView struct {
	Filters   ui.Filters
	Own       []listRow
	Brought   []listRow
	Broken    []found
	Deleted   []Stored
	Empty     *ui.Empty
	Href      string
	MayChange bool
}

type listRow struct {
	Title, Href, Description string
	Tags                     []string
	Panels                   int
	Stored                   *Stored
	Origin                   string // "Jobs", or the name of a file
	FromFile                 bool
}

var listDone = map[string]string{
	"deleted":  "The dashboard is deleted. It can be brought back below for 30 days.",
	"restored": "The dashboard is back.",
}

func (m *Module) listPage(w http.ResponseWriter, r *http.Request) error {
	ws := httpx.ActorOf(r.Context()).WorkspaceID
	own, err := m.list(r.Context(), ws, false)
	if err != nil {
		return err
	}
	deleted, err := m.list(r.Context(), ws, true)
	if err != nil {
		return err
	}
	v := listView{Href: homeHref(ws), MayChange: may(r, httpx.MayChange), Deleted: deleted}
	var tags []string
	for _, s := range own {
		tags = append(tags, s.Tags...)
		v.Own = append(v.Own, listRow{Title: s.Title, Href: dashHref(ws, string(s.ID)), Tags: s.Tags, Panels: s.Panels, Stored: &s})
	}
	for _, f := range m.brought() {
		if f.Dashboard == nil {
			v.Broken = append(v.Broken, f)
			continue
		}
		tags = append(tags, f.Dashboard.Tags...)
		v.Brought = append(v.Brought, listRow{Title: f.Dashboard.Title, Description: f.Dashboard.Description, Href: dashHref(ws, f.ID), Tags: f.Dashboard.Tags,
			Panels: f.Dashboard.panelCount(), Origin: f.Origin, FromFile: f.FromFile})
	}
	v.filter(r, tags)
	page := ui.Page{Title: "Dashboards", App: appKey, Body: v, Lead: "Charts over everything that this workspace measures."}
	if v.MayChange {
		page.Actions = []ui.Action{{Label: "Import", Href: v.Href + "/import", Icon: "download"}, {Label: "Embedding", Href: v.Href + "/embedding", Icon: "external"},
			{Label: "New dashboard", Href: v.Href + "/new", Icon: "plus", Primary: true}}
	}
	if text := listDone[r.URL.Query().Get("done")]; text != "" {
		page.Toasts = []ui.Toast{{Tone: ui.ToneGood, Text: text}}
	}
	return m.pages.Render(w, r, http.StatusOK, "list", page)
}

// filter keeps what the address asks for.
func (v *listView) filter(r *http.Request, tags []string) {
	slices.Sort(tags)
	tags = slices.Compact(tags)
	options := make([]ui.Option, len(tags))
	for i, t := range tags {
		options[i] = ui.Option{Value: t, Label: t}
	}
	v.Filters = ui.NewFilters(r.URL, "dashboards", ui.Filter{Name: "q", Label: "Search", Placeholder: "title or tag", Wide: true},
		ui.Filter{Name: "tag", Label: "Tag", Kind: "select", Options: options},
		ui.Filter{Name: "from", Label: "From", Kind: "select", Options: []ui.Option{{Value: "own", Label: "made here"}, {Value: "app", Label: "brought by apps"}, {Value: "file", Label: "files"}}})
	q, tag, from := strings.ToLower(strings.TrimSpace(r.URL.Query().Get("q"))), r.URL.Query().Get("tag"), r.URL.Query().Get("from")
	unwanted := func(row listRow) bool {
		text := strings.ToLower(row.Title + " " + row.Description + " " + strings.Join(row.Tags, " ") + " " + row.Origin)
		origin := "own"
		if row.Stored == nil {
			origin = "app"
		}
		if row.FromFile {
			origin = "file"
		}
		return !strings.Contains(text, q) || tag != "" && !slices.Contains(row.Tags, tag) || from != "" && from != origin
	}
	v.Own, v.Brought = slices.DeleteFunc(v.Own, unwanted), slices.DeleteFunc(v.Brought, unwanted)
	if len(v.Own)+len(v.Brought) > 0 {
		return
	}
	if v.Filters.Active > 0 {
		v.Empty = &ui.Empty{Icon: "search", Title: "No dashboard matches", Text: "Clear a filter, or search for something else.", Action: &ui.Action{Label: "Clear filters", Href: v.Filters.Clear}}
		return
	}
	v.Empty = &ui.Empty{Icon: "chart", Title: "No dashboards yet", Text: "Begin with a template, or import one from Grafana. Metrics come from agents, from Prometheus's remote write and from apps."}
	if v.MayChange {
		v.Empty.Action = &ui.Action{Label: "New dashboard", Href: v.Href + "/new", Primary: true}
	}
}

// Days is how long a deleted dashboard can be brought back.
func (listView) Days() int { return int(keptDeleted.Hours() / 24) }

// exportJSON answers a dashboard as a file.
func (m *Module) exportJSON(w http.ResponseWriter, r *http.Request) error {
	s, err := m.subjectOf(r)
	if err != nil {
		return err
	}
	name := slug(s.D.Title)
	if name == "" {
		name = "dashboard"
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="`+clipBytes(name, 100)+`.json"`)
	_, err = w.Write(s.D.Encode())
	return err
}

var errReadOnly = kernel.Errorf(kernel.Forbidden, "This dashboard is brought by the server and cannot be changed here. Duplicate it and change the copy.")
