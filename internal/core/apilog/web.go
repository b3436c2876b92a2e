package apilog

import (
	"embed"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/httpx/accesslog"
	"github.com/kept-dev/kept/internal/ui"
)

//go:embed templates/*.html
var templates embed.FS

const pathLog = "/w/{ws}/settings/api-log"

// Routes is the module's part of the route table.
func (m *Module) Routes() []httpx.Route {
	return []httpx.Route{
		{Method: "GET", Path: pathLog, Handler: m.page, Access: httpx.Member, Needs: httpx.MayAudit, Rate: httpx.RatePage},
		{Method: "GET", Path: pathLog + ".json", Handler: m.download, Access: httpx.Member, Needs: httpx.MayAudit, StepUp: true, Rate: httpx.RatePage, Timeout: -1},
	}
}

// Nav is the module's part of the navigation.
func (m *Module) Nav() []ui.NavItem {
	return []ui.NavItem{{App: "settings", Group: "Workspace", Label: "API log", Href: pathLog, Icon: "zap", Order: 41, Needs: string(httpx.MayAudit)}}
}

type pageView struct {
	Filters  ui.Filters
	Rows     []row
	Pager    ui.Pager
	Empty    *ui.Empty
	Download string
	Days     int
}

type row struct {
	accesslog.Record
	Who  who
	Tone ui.Tone
	Took time.Duration // of one request, on average
}

// page shows the accesses, the newest first.
func (m *Module) page(w http.ResponseWriter, r *http.Request) error {
	f, err := readFilter(r)
	if err != nil {
		return err
	}
	records, next, err := m.d.Log.List(r.Context(), f)
	if err != nil {
		return err
	}
	names, err := m.names(r.Context(), f.WorkspaceID)
	if err != nil {
		return err
	}
	v := pageView{Filters: filters(r.URL, names.options), Rows: rows(records, names), Pager: ui.NewPager(r.URL, "api-log", next, ""),
		Download: downloadHref(r.URL), Days: m.d.Days}
	if len(records) == 0 {
		v.Empty = m.empty(v.Filters, f.WorkspaceID)
	}
	return m.pages.Render(w, r, http.StatusOK, "log", ui.Page{
		Title: "API log", App: "settings", Body: v,
		Lead: "Who used the API of this workspace, for what, from where, and how it ended. Requests that report jobs are summed up by the minute.",
	})
}

func rows(records []accesslog.Record, names names) []row {
	out := make([]row, len(records))
	for i, r := range records {
		out[i] = row{Record: r, Who: names.of(r), Tone: tone(r.Status), Took: time.Duration(r.DurationUS/max(1, r.Requests)) * time.Microsecond}
	}
	return out
}

func tone(status int) ui.Tone {
	switch {
	case status >= 500:
		return ui.ToneBad
	case status >= 400:
		return ui.ToneWarn
	}
	return ui.ToneGood
}

func (m *Module) empty(f ui.Filters, ws kernel.WorkspaceID) *ui.Empty {
	if f.Active > 0 {
		return &ui.Empty{Icon: "search", Title: "No request matches", Text: "Clear a filter, or widen the time.",
			Action: &ui.Action{Label: "Clear filters", Href: f.Clear}}
	}
	return &ui.Empty{Icon: "list", Title: "Nobody has used the API yet", Text: "As soon as a worker reports, or a program reads, it stands here within a minute.",
		Action: &ui.Action{Label: "API keys", Href: "/w/" + string(ws) + "/settings/api-keys"}}
}

var methods = []string{"GET", "POST", "PUT", "PATCH", "DELETE"}

var statuses = []ui.Option{
	{Value: "2", Label: "2xx, done"}, {Value: "3", Label: "3xx"}, {Value: "4", Label: "4xx, refused"}, {Value: "401", Label: "401, not signed in"},
	{Value: "403", Label: "403, not allowed"}, {Value: "429", Label: "429, too many"}, {Value: "5", Label: "5xx, failed"},
}

func filters(u *url.URL, callers []ui.Option) ui.Filters {
	verbs := make([]ui.Option, len(methods))
	for i, m := range methods {
		verbs[i] = ui.Option{Value: m, Label: m}
	}
	return ui.NewFilters(u, "api-log",
		ui.Filter{Name: "caller", Label: "Key or token", Kind: "select", Options: callers},
		ui.Filter{Name: "method", Label: "Method", Kind: "select", Options: verbs},
		ui.Filter{Name: "path", Label: "Path", Placeholder: "part of it"},
		ui.Filter{Name: "status", Label: "Status", Kind: "select", Options: statuses},
		ui.Filter{Name: "ip", Label: "Client address"},
		ui.Filter{Name: "from", Label: "From (UTC)", Kind: "datetime-local"},
		ui.Filter{Name: "to", Label: "Until (UTC)", Kind: "datetime-local"},
	)
}

func downloadHref(u *url.URL) string {
	q := u.Query()
	q.Del("cursor")
	return (&url.URL{Path: u.Path + ".json", RawQuery: q.Encode()}).String()
}

func readFilter(r *http.Request) (f accesslog.Filter, err error) {
	q := r.URL.Query()
	f = accesslog.Filter{WorkspaceID: httpx.ActorOf(r.Context()).WorkspaceID, Path: strings.TrimSpace(q.Get("path")), IP: strings.TrimSpace(q.Get("ip")),
		Cursor: q.Get("cursor")}
	if id := q.Get("caller"); id != "" {
		if !kernel.ValidID(id) {
			return f, kernel.Errorf(kernel.Malformed, "The key or token in the address is none.")
		}
		f.Caller = kernel.ID(id)
	}
	if f.Method = q.Get("method"); f.Method != "" && !slices.Contains(methods, f.Method) {
		return f, kernel.Errorf(kernel.Malformed, "The method in the address is none of ours.")
	}
	if s := q.Get("status"); s != "" {
		if f.Status, err = strconv.Atoi(s); err != nil || f.Status < 1 || f.Status > 599 {
			return f, kernel.Errorf(kernel.Malformed, "The status in the address cannot be read.")
		}
	}
	if f.From, err = httpx.ReadTime(q.Get("from")); err != nil {
		return f, err
	}
	f.To, err = httpx.ReadTime(q.Get("to"))
	return f, err
}

// download streams the accesses that match as one JSON document. An error on the way cuts it off, so that a part is no
// valid document.
func (m *Module) download(w http.ResponseWriter, r *http.Request) error {
	f, err := readFilter(r)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="kept-api-log-`+m.d.Clock().UTC().Format("2006-01-02")+`.json"`)
	w.Header().Set("Cache-Control", "no-store")
	head, err := json.Marshal(map[string]any{"format": "kept api log v1", "workspace": f.WorkspaceID, "made": m.d.Clock().UTC()})
	if err != nil {
		return err
	}
	if _, err := w.Write(append(head[:len(head)-1], `,"requests":[`...)); err != nil {
		return err
	}
	separator := "\n"
	err = m.d.Log.Each(r.Context(), f, func(record accesslog.Record) error {
		b, err := json.Marshal(record)
		if err != nil {
			return err
		}
		_, err = w.Write(append([]byte(separator), b...))
		separator = ",\n"
		return err
	})
	if err != nil {
		return err
	}
	_, err = w.Write([]byte("\n]}\n"))
	return err
}
