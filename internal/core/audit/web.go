package audit

import (
	"context"
	"embed"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/ui"
)

//go:embed templates/*.html
var templates embed.FS

// Routes is the module's part of the route table.
func (m *Module) Routes() []httpx.Route {
	return []httpx.Route{
		{Method: "GET", Path: "/w/{ws}/settings/audit", Handler: m.page, Access: httpx.Member, Needs: httpx.MayAudit, Rate: httpx.RatePage},
		{Method: "GET", Path: "/w/{ws}/settings/audit.json", Handler: m.download, Access: httpx.Member, Needs: httpx.MayAudit, StepUp: true, Rate: httpx.RatePage, Timeout: -1},
	}
}

// Nav is the module's part of the navigation.
func (m *Module) Nav() []ui.NavItem {
	return []ui.NavItem{{App: "settings", Group: "Workspace", Label: "Audit log", Href: "/w/{ws}/settings/audit", Icon: "eye", Order: 40, Needs: string(httpx.MayAudit)}}
}

func clientIP(ctx context.Context) string {
	if ip := httpx.ClientIP(ctx); ip.IsValid() {
		return ip.String()
	}
	return ""
}

type pageView struct {
	Filters  ui.Filters
	Entries  []Entry
	Pager    ui.Pager
	Empty    *ui.Empty
	Download string
}

// page shows the log, newest first.
func (m *Module) page(w http.ResponseWriter, r *http.Request) error {
	f, err := readFilter(r)
	if err != nil {
		return err
	}
	entries, next, err := m.List(r.Context(), f)
	if err != nil {
		return err
	}
	actions, err := m.Actions(r.Context(), f.WorkspaceID)
	if err != nil {
		return err
	}
	v := pageView{Filters: filters(r.URL, actions), Entries: entries, Download: downloadHref(r.URL)}
	v.Pager = ui.NewPager(r.URL, "audit-list", next, "")
	if len(entries) == 0 {
		v.Empty = emptyFor(v.Filters)
	}
	return m.pages.Render(w, r, http.StatusOK, "log", ui.Page{
		Title: "Audit log", App: "settings", Body: v,
		Lead: "Who changed what, from where, and whether it worked. Kept for one year; lines are chained by hashes.",
	})
}

func emptyFor(f ui.Filters) *ui.Empty {
	if f.Active > 0 {
		return &ui.Empty{Icon: "search", Title: "No line matches", Text: "Clear a filter, or widen the time.",
			Action: &ui.Action{Label: "Clear filters", Href: f.Clear}}
	}
	return &ui.Empty{Icon: "shield", Title: "Nothing has been changed yet",
		Text: "As soon as somebody creates a key or changes a setting, it stands here."}
}

func filters(u *url.URL, actions []string) ui.Filters {
	results := []ui.Option{{Value: OK, Label: "ok"}, {Value: Denied, Label: "denied"}, {Value: Failed, Label: "failed"}}
	return ui.NewFilters(u, "audit-list",
		ui.Filter{Name: "q", Label: "Search", Placeholder: "words in any column"},
		ui.Filter{Name: "actor", Label: "Who", Placeholder: "address or id"},
		ui.Filter{Name: "action", Label: "Action", Kind: "text", List: actions},
		ui.Filter{Name: "target", Label: "Target"},
		ui.Filter{Name: "ip", Label: "From address", Placeholder: "192.0.2."},
		ui.Filter{Name: "result", Label: "Result", Kind: "select", Options: results},
		ui.Filter{Name: "from", Label: "From (UTC)", Kind: "datetime-local"},
		ui.Filter{Name: "to", Label: "Until (UTC)", Kind: "datetime-local"},
	)
}

func downloadHref(u *url.URL) string {
	q := u.Query()
	q.Del("cursor")
	return (&url.URL{Path: u.Path + ".json", RawQuery: q.Encode()}).String()
}

func readFilter(r *http.Request) (Filter, error) {
	q := r.URL.Query()
	f := Filter{
		WorkspaceID: httpx.ActorOf(r.Context()).WorkspaceID, Action: strings.TrimSpace(q.Get("action")),
		Actor: strings.TrimSpace(q.Get("actor")), Target: strings.TrimSpace(q.Get("target")), Result: q.Get("result"),
		IP: strings.TrimSpace(q.Get("ip")), Search: q.Get("q"), Cursor: q.Get("cursor"),
	}
	if f.WorkspaceID == "" { // an empty one would be the instance's chain
		return f, kernel.Errorf(kernel.NotFound, "There is nothing at this address.")
	}
	var err error
	if f.From, err = httpx.ReadTime(q.Get("from")); err != nil {
		return f, err
	}
	f.To, err = httpx.ReadTime(q.Get("to"))
	return f, err
}

// exportHead begins an export. With it and the events anybody can recompute the chain as package audit documents it.
type exportHead struct {
	Format   string    `json:"format"`
	Chain    string    `json:"chain"`
	Made     time.Time `json:"made"`
	BaseSeq  int64     `json:"base_seq"`
	BaseHash string    `json:"base_hash"`
	HeadSeq  int64     `json:"head_seq"`
	HeadHash string    `json:"head_hash"`
}

// download streams the log as one JSON document. An error on the way cuts it off, so that a part is no valid document.
func (m *Module) download(w http.ResponseWriter, r *http.Request) error {
	f, err := readFilter(r)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="kept-audit-`+m.clock().UTC().Format("2006-01-02")+`.json"`)
	w.Header().Set("Cache-Control", "no-store")
	return m.WriteJSON(r.Context(), w, f)
}

// WriteJSON writes the lines that match as one JSON document, with the chain's ends.
func (m *Module) WriteJSON(ctx context.Context, w io.Writer, f Filter) error {
	head := exportHead{Format: "kept audit v1", Chain: chainOf(f.WorkspaceID), Made: m.clock().UTC()}
	chains, err := m.chains(ctx, head.Chain)
	if err != nil {
		return err
	}
	if len(chains) > 0 {
		c := chains[0]
		head.BaseSeq, head.BaseHash = c.baseSeq, hex.EncodeToString(c.baseHash)
		head.HeadSeq, head.HeadHash = c.seq, hex.EncodeToString(c.hash)
	}
	first, err := json.Marshal(head)
	if err != nil {
		return err
	}
	if _, err := w.Write(append(first[:len(first)-1], `,"events":[`...)); err != nil {
		return err
	}
	separator := "\n"
	err = m.Each(ctx, f, func(e Entry) error {
		b, err := json.Marshal(e)
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
