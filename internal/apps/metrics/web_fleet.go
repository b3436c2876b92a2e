package metrics

import (
	"cmp"
	"context"
	"fmt"
	"html/template"
	"log/slog"
	"maps"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/kept-dev/kept/internal/core/query"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/httpx/respond"
	"github.com/kept-dev/kept/internal/ui"
)

// fleetView is the list of hosts.
type fleetView struct {
	Filters ui.Filters
	Sorts   ui.Sorts
	Live    *ui.Live
	Stats   []ui.Stat
	Rows    []hostRow
	Text    string
	Problem string // why figures are missing
	Empty   *ui.Empty
	NoMatch *ui.Empty
}

// hostRow is one host of the list.
type hostRow struct {
	Host
	*vitals
	Href     string
	Troubles []trouble
	worst    int
	now      time.Time
}

// State is the word of a host's state.
func (r hostRow) State() string {
	switch {
	case r.worst >= 95:
		return "down"
	case r.worst >= 60:
		return "failing"
	case r.worst >= 30:
		return "warning"
	}
	return "ok"
}

// Tone is the colour of the state.
func (r hostRow) Tone() ui.Tone {
	switch r.State() {
	case "down", "failing":
		return ui.ToneBad
	case "warning":
		return ui.ToneWarn
	}
	return ui.ToneGood
}

// First is what is wrong most; nil: nothing.
func (r hostRow) First() *trouble {
	if len(r.Troubles) == 0 {
		return nil
	}
	return &r.Troubles[0]
}

// More is how many other things are wrong.
func (r hostRow) More() int { return len(r.Troubles) - 1 }

// Worst is the fullest disk.
func (r hostRow) Worst() disk { return fullest(r.Disks) }

func fullest(disks []disk) disk {
	out := disk{Size: math.NaN(), Free: math.NaN(), Growth: math.NaN()}
	for _, d := range disks {
		if !math.IsNaN(d.used()) && (math.IsNaN(out.used()) || d.used() > out.used()) {
			out = d
		}
	}
	return out
}

// Trend draws the CPU of the last hour.
func (r hostRow) Trend() template.HTML {
	if len(r.CPUTrend) == 0 {
		return ""
	}
	return ui.Spark(r.CPUTrend, "CPU over the last hour")
}

// LastAt is when the host was heard of last.
func (r hostRow) LastAt() time.Time { return latest(r.LastSeen, r.Seen) }

// Share is a part as a bar with its number.
func Share(v float64, warn, bad float64) template.HTML {
	if math.IsNaN(v) {
		return `<span class="none">–</span>`
	}
	tone := "active"
	switch {
	case v >= bad:
		tone = "bad"
	case v >= warn:
		tone = "warn"
	}
	return template.HTML(fmt.Sprintf(`<span class="share share-%s">%s<svg viewBox="0 0 100 4" width="56" height="4" preserveAspectRatio="none" aria-hidden="true" focusable="false">`+
		`<rect class="share-rail" width="100" height="4"/><rect class="share-fill" width="%.1f" height="4"/></svg></span>`, tone, template.HTMLEscapeString(percent(v)), min(100, max(0, 100*v))))
}

// CPUShare, MemoryShare and DiskShare are the columns of parts.
func (r hostRow) CPUShare() template.HTML    { return Share(r.CPU, cpuWarn, math.Inf(1)) }
func (r hostRow) MemoryShare() template.HTML { return Share(r.vitals.Memory, .9, memoryBad) }
func (r hostRow) DiskShare() template.HTML   { return Share(r.Worst().used(), diskWarn, diskBad) }

// LoadText is the load for each core.
func (r hostRow) LoadText() string {
	if math.IsNaN(r.Load) {
		return "–"
	}
	return ui.Number(r.Load)
}

func (m *Module) fleetPage(w http.ResponseWriter, r *http.Request) error {
	v, err := m.fleetView(r)
	if err != nil {
		return err
	}
	ws := httpx.ActorOf(r.Context()).WorkspaceID
	page := ui.Page{Title: "Hosts", App: appKey, Section: hostsHref(ws), Body: v}
	if v.Empty == nil {
		page.Actions = []ui.Action{{Label: "Connect a host", Href: connectHref(ws), Icon: "plus"}}
	}
	if r.URL.Query().Get("done") == "removed" {
		page.Toasts = []ui.Toast{{Tone: ui.ToneGood, Text: "The host is removed. If it reports again, it is back."}}
	}
	return m.pages.Render(w, r, http.StatusOK, "hosts", page)
}

// rows are a workspace's hosts with how they are.
func (m *Module) rows(r *http.Request, ws kernel.WorkspaceID, now time.Time) (out []hostRow, problem string, err error) {
	ctx := r.Context()
	hosts, err := m.Hosts(ctx, ws)
	if err != nil || len(hosts) == 0 {
		return nil, "", err
	}
	found, err := m.readFleet(ctx, ws, hosts, now)
	if err != nil { // the list itself is worth showing
		m.d.Logger.LogAttrs(ctx, slog.LevelWarn, "hosts: figures are missing", slog.Any("cause", err))
		problem = kernel.AsError(err).Safe
	}
	if err := m.readAlerts(ctx, ws, "", found); err != nil {
		return nil, "", err
	}
	for _, h := range hosts {
		v := found[h.Instance]
		if v == nil {
			v = unknown()
		}
		row := hostRow{Host: h, vitals: v, Href: hostHref(ws, h.ID), now: now}
		if problem == "" || v.HasSeries {
			row.Troubles = m.troubles(ws, h, v, now)
		}
		if f := row.First(); f != nil {
			row.worst = f.weight
		}
		out = append(out, row)
	}
	return out, problem, nil
}

// readFleet asks how all hosts are.
func (m *Module) readFleet(ctx context.Context, ws kernel.WorkspaceID, hosts []Host, now time.Time) (map[string]*vitals, error) {
	found, err := m.readVitals(ctx, ws, "", now)
	if err != nil {
		return found, err
	}
	span := query.Span{From: now.Add(-trend), To: now, Step: 2 * time.Minute}.Aligned()
	if err := m.readTrends(ctx, ws, span, found); err != nil || !slices.ContainsFunc(hosts, func(h Host) bool { return h.Source == fromOTLP }) {
		return found, err
	}
	if err := m.readOTLP(ctx, ws, "", now, found); err != nil {
		return found, err
	}
	return found, m.trendOTLP(ctx, ws, span, found)
}

func (m *Module) fleetView(r *http.Request) (*fleetView, error) {
	ws, now := httpx.ActorOf(r.Context()).WorkspaceID, m.d.Clock()
	rows, problem, err := m.rows(r, ws, now)
	if err != nil {
		return nil, err
	}
	v := &fleetView{Problem: problem, Live: &ui.Live{Src: hostsHref(ws) + "/live", Target: "hosts"}}
	if len(rows) == 0 {
		v.Empty = &ui.Empty{Icon: "server", Title: "No host yet", Text: "A host appears here when kept-agent runs on it, or when Prometheus sends us what its node_exporter says.",
			Action: &ui.Action{Label: "Connect a host", Href: connectHref(ws), Primary: true}}
		return v, nil
	}
	v.Stats = fleetStats(r, rows)
	v.Filters = ui.NewFilters(r.URL, "hosts",
		ui.Filter{Name: "q", Label: "Search", Placeholder: "name, label, kernel", Wide: true},
		ui.Filter{Name: "state", Label: "State", Kind: "select", Options: []ui.Option{{Value: "trouble", Label: "In trouble"}, {Value: "down", Label: "Down"}, {Value: "ok", Label: "All well"}}})
	v.Sorts = ui.NewSorts(r.URL, "hosts", "-trouble", "name", "-cpu", "-memory", "-disk", "-load", "-seen")
	q := r.URL.Query()
	v.Rows = slices.DeleteFunc(rows, func(h hostRow) bool { return !h.matches(q.Get("q")) || !h.isIn(q.Get("state")) })
	sortHosts(v.Rows, v.Sorts)
	v.Text = hostsText(len(v.Rows), len(rows))
	if len(v.Rows) == 0 {
		v.NoMatch = &ui.Empty{Icon: "search", Title: "No host is like that", Text: "Take a filter away to see more.", Action: &ui.Action{Label: "All hosts", Href: hostsHref(ws)}}
	}
	return v, nil
}

func hostsText(shown, all int) string {
	if shown == all {
		text, _ := ui.Plural(all, "host", "hosts")
		return text
	}
	return fmt.Sprintf("%d of %d hosts", shown, all)
}

// matches tells whether a host has all the words that are searched for.
func (r hostRow) matches(search string) bool {
	words := strings.Fields(strings.ToLower(search))
	if len(words) == 0 {
		return true
	}
	text := strings.ToLower(strings.Join([]string{r.Name, r.Instance, r.Platform, r.OS, r.Kernel, r.Arch, r.Agent}, "\n"))
	for _, name := range slices.Sorted(maps.Keys(r.Labels)) {
		text += "\n" + strings.ToLower(name+"="+r.Labels[name])
	}
	for _, t := range r.Troubles {
		text += "\n" + strings.ToLower(t.Text)
	}
	for _, w := range words {
		if !strings.Contains(text, w) {
			return false
		}
	}
	return true
}

func (r hostRow) isIn(state string) bool {
	switch state {
	case "down", "ok":
		return r.State() == state
	case "trouble":
		return r.State() != "ok"
	}
	return true
}

func sortHosts(rows []hostRow, s ui.Sorts) {
	key := map[string]func(a, b hostRow) int{
		"trouble": func(a, b hostRow) int { return cmp.Compare(a.worst, b.worst) },
		"name":    func(a, b hostRow) int { return cmp.Compare(a.Name, b.Name) },
		"cpu":     func(a, b hostRow) int { return compareKnown(a.CPU, b.CPU) },
		"memory":  func(a, b hostRow) int { return compareKnown(a.vitals.Memory, b.vitals.Memory) },
		"disk":    func(a, b hostRow) int { return compareKnown(a.Worst().used(), b.Worst().used()) },
		"load":    func(a, b hostRow) int { return compareKnown(a.Load, b.Load) },
		"seen":    func(a, b hostRow) int { return a.LastAt().Compare(b.LastAt()) },
	}[s.Key]
	slices.SortStableFunc(rows, func(a, b hostRow) int {
		c := key(a, b)
		if s.Desc {
			c = -c
		}
		return cmp.Or(c, cmp.Compare(a.Name, b.Name), cmp.Compare(a.Instance, b.Instance))
	})
}

// compareKnown puts what is not known below everything.
func compareKnown(a, b float64) int {
	if math.IsNaN(a) {
		a = math.Inf(-1)
	}
	if math.IsNaN(b) {
		b = math.Inf(-1)
	}
	return cmp.Compare(a, b)
}

func fleetStats(r *http.Request, rows []hostRow) []ui.Stat {
	count := map[string]int{}
	var firing, old int
	for _, h := range rows {
		count[h.State()]++
		firing += len(h.Alerts)
		for _, t := range h.Troubles {
			if t.weight == 10 {
				old++
			}
		}
	}
	link := func(state string) string {
		href, _ := ui.WithQuery(r.URL, "state", state, "q", "", "done", "")
		return href
	}
	stat := func(label string, n int, tone ui.Tone, href string) ui.Stat {
		s := ui.Stat{Label: label, Value: ui.Number(float64(n))}
		if n > 0 {
			s.Tone, s.Href = tone, href
		}
		return s
	}
	well := stat("All well", count["ok"], "", link("ok"))
	well.Hint = "of " + hostsText(len(rows), len(rows))
	out := []ui.Stat{
		stat("Down", count["down"], ui.ToneBad, link("down")),
		stat("In trouble", count["failing"]+count["warning"], ui.ToneWarn, link("trouble")),
		stat("Alerts firing", firing, ui.ToneBad, ""), well,
	}
	if old > 0 {
		out = append(out, stat("Old agents", old, "", ""))
	}
	return out
}

// HostJSON is a host in the API.
type HostJSON struct {
	Host
	Page string `json:"page" doc:"Where people find it."`
}

// hostList is what the API tells of hosts.
type hostList struct {
	Hosts []HostJSON `json:"hosts"`
}

func (m *Module) listHosts(w http.ResponseWriter, r *http.Request) error {
	ws := httpx.ActorOf(r.Context()).WorkspaceID
	hosts, err := m.Hosts(r.Context(), ws)
	if err != nil {
		return err
	}
	out := hostList{Hosts: []HostJSON{}}
	for _, h := range hosts {
		out.Hosts = append(out.Hosts, HostJSON{h, m.d.BaseURL() + hostHref(ws, h.ID)})
	}
	return respond.JSON(w, http.StatusOK, out)
}
