package metrics

import (
	"cmp"
	"context"
	"log/slog"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/kept-dev/kept/internal/core/alert"
	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/core/dashboard"
	"github.com/kept-dev/kept/internal/core/query"
	"github.com/kept-dev/kept/internal/core/workspace"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/httpx/respond"
	"github.com/kept-dev/kept/internal/ui"
	"github.com/kept-dev/kept/wire/agentapi"
)

// hostView is one host, made for people: what is wrong comes first.
type hostView struct {
	hostRow
	Facts      []ui.Term
	Tiles      []ui.Stat
	Range      ui.TimeRange
	Charts     []ui.Chart
	DiskRows   []diskRow
	Processes  []process
	Containers []container
	ProbeRows  []probe
	FailedUnit []string
	Changes    []dashboard.Annotation
	Problem    string
	Silent     bool // there is nothing to draw yet
	RemoveHref string
	KeysHref   string
}

// diskRow is a file system with what becomes of it.
type diskRow struct {
	disk
	FullAt time.Time // zero: not foreseen
}

// Share is its fill.
func (d diskRow) Share() any { return Share(d.used(), diskWarn, diskBad) }

// SizeText and FreeText are its sizes.
func (d diskRow) SizeText() string { return ui.Value(d.Size, "bytes") }
func (d diskRow) FreeText() string { return ui.Value(d.Free, "bytes") }

// process is all processes of one name.
type process struct {
	Name   string
	CPU    float64 // cores
	Memory float64 // bytes
	Count  int
}

// CPUText and MemoryText are what it uses.
func (p process) CPUText() string    { return ui.Value(p.CPU, "ratio") }
func (p process) MemoryText() string { return ui.Value(p.Memory, "bytes") }

// container is one container.
type container struct {
	Name        string
	CPU, Memory float64
}

// CPUText and MemoryText are what it uses.
func (c container) CPUText() string    { return ui.Value(c.CPU, "ratio") }
func (c container) MemoryText() string { return ui.Value(c.Memory, "bytes") }

// probe is one thing that the agent tries.
type probe struct {
	Name     string
	OK       bool
	Took     float64
	CertEnds time.Time // zero: it has no certificate
}

// TookText is how long the last try took.
func (p probe) TookText() string { return ui.Value(p.Took, "s") }

func (m *Module) pathHost(r *http.Request) (Host, error) {
	id, err := pathID(r)
	if err != nil {
		return Host{}, err
	}
	return m.FindHost(r.Context(), httpx.ActorOf(r.Context()).WorkspaceID, id)
}

func (m *Module) hostPage(w http.ResponseWriter, r *http.Request) error {
	h, err := m.pathHost(r)
	if err != nil {
		return err
	}
	v, err := m.hostView(r, h)
	if err != nil {
		return err
	}
	a := httpx.ActorOf(r.Context())
	page := ui.Page{Title: h.Name, App: appKey, Section: hostsHref(a.WorkspaceID), Crumbs: []ui.Crumb{{Label: "Hosts", Href: hostsHref(a.WorkspaceID)}}, Body: v, Lead: v.lead()}
	page.Actions = append(page.Actions, ui.Action{Label: "Explore", Href: exploreHref(a.WorkspaceID, "{"+h.matcher()+"}"), Icon: "search"})
	if workspace.Allows(a.Role, httpx.MayChange) {
		page.Actions = append(page.Actions, ui.Action{Label: "Remove", Href: v.RemoveHref, Icon: "trash"})
	}
	return m.pages.Render(w, r, http.StatusOK, "host", page)
}

func (v *hostView) lead() string {
	parts := []string{v.Platform, v.hardware()}
	if v.Platform == "" {
		parts[0] = strings.TrimSpace(v.OS + " " + v.Kernel)
	}
	if v.Memory64() > 0 {
		text, _ := ui.Bytes(v.Memory64())
		parts = append(parts, text+" memory")
	}
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), " · ")
}

// Memory64 is the size of the memory.
func (v *hostView) Memory64() int64 { return v.Host.Memory }

// defaultRange is what a host's charts show when the address does not say.
const defaultRange = 6 * time.Hour

func (m *Module) hostView(r *http.Request, h Host) (*hostView, error) {
	ctx, ws, now := r.Context(), httpx.ActorOf(r.Context()).WorkspaceID, m.d.Clock()
	v := &hostView{Range: ui.ReadTimeRange(r.URL, now, defaultRange), RemoveHref: hostHref(ws, h.ID) + "/remove", KeysHref: "/w/" + string(ws) + "/settings/api-keys"}
	v.Range.Target = "host"
	found, err := m.readHost(ctx, ws, h, now)
	if err == nil {
		err = m.readExtras(ctx, ws, h, now, v)
	}
	if err != nil {
		m.d.Logger.LogAttrs(ctx, slog.LevelWarn, "host: figures are missing", slog.Any("cause", err))
		v.Problem = kernel.AsError(err).Safe
	}
	if found == nil {
		found = map[string]*vitals{}
	}
	if err := m.readAlerts(ctx, ws, h.Instance, found); err != nil {
		return nil, err
	}
	vit := found[h.Instance]
	if vit == nil {
		vit = unknown()
	}
	v.hostRow = hostRow{Host: vit.complete(h), vitals: vit, Href: hostHref(ws, h.ID), now: now}
	if v.Problem == "" || vit.HasSeries {
		v.Troubles = m.troubles(ws, h, vit, now)
	}
	if f := v.First(); f != nil {
		v.worst = f.weight
	}
	v.Silent = !vit.HasSeries && h.Source == fromAgent && now.Sub(h.FirstSeen) < silentAfter
	v.Tiles, v.DiskRows, v.Facts = v.tiles(), v.diskRows(), v.facts(m, ws)
	if v.Changes, err = m.changesOf(ctx, ws, h, v.Range.From, v.Range.To); err != nil {
		return nil, err
	}
	v.Charts, err = m.hostCharts(ctx, ws, h, v)
	return v, err
}

// readHost asks how one host is.
func (m *Module) readHost(ctx context.Context, ws kernel.WorkspaceID, h Host, now time.Time) (map[string]*vitals, error) {
	if h.Source != fromOTLP {
		return m.readVitals(ctx, ws, h.Instance, now)
	}
	found := map[string]*vitals{}
	return found, m.readOTLP(ctx, ws, h.matcher(), now, found)
}

func (v *hostView) tiles() []ui.Stat {
	worst := v.Worst()
	tile := func(label string, x, warn, bad float64, hint string) ui.Stat {
		s := ui.Stat{Label: label, Value: percent(x), Hint: hint}
		switch {
		case x >= bad:
			s.Tone = ui.ToneBad
		case x >= warn:
			s.Tone = ui.ToneWarn
		}
		return s
	}
	load := ui.Stat{Label: "Load for each core", Value: v.LoadText(), Hint: "over five minutes"}
	if v.Load >= loadWarn {
		load.Tone = ui.ToneWarn
	}
	out := []ui.Stat{tile("CPU", v.CPU, cpuWarn, math.Inf(1), "over five minutes"), tile("Memory", v.vitals.Memory, .9, memoryBad, "in use"), load}
	if worst.Mount != "" {
		out = append(out, tile("Fullest disk", worst.used(), diskWarn, diskBad, worst.Mount))
	}
	if !v.BootedAt.IsZero() {
		text, _ := ui.Duration(v.now.Sub(v.BootedAt).Round(time.Second))
		out = append(out, ui.Stat{Label: "Up for", Value: text})
	}
	return out
}

func (v *hostView) diskRows() (out []diskRow) {
	for _, d := range v.Disks {
		if math.IsNaN(d.used()) {
			continue
		}
		row := diskRow{disk: d}
		if in := d.fullIn(); in > 0 && d.used() >= forecastFrom {
			row.FullAt = v.now.Add(in)
		}
		out = append(out, row)
	}
	slices.SortFunc(out, func(a, b diskRow) int { return cmp.Or(cmp.Compare(b.used(), a.used()), cmp.Compare(a.Mount, b.Mount)) })
	return out
}

func (v *hostView) facts(m *Module, ws kernel.WorkspaceID) []ui.Term {
	known := func(s string) any {
		if s == "" {
			return "–"
		}
		return s
	}
	last, _ := ui.TimeAgo(v.LastAt())
	first, _ := ui.TimeShort(v.FirstSeen)
	label := "instance"
	if v.Source == fromOTLP {
		label = "host_name"
	}
	out := []ui.Term{{Term: "Label " + label, Value: v.Instance}, {Term: "System", Value: known(v.Platform)}, {Term: "Kernel", Value: known(v.Kernel)},
		{Term: "Architecture", Value: known(v.Arch)}, {Term: "Last heard of", Value: last}, {Term: "First seen", Value: first}}
	if v.Source == fromAgent {
		agent := v.Agent
		if m.outdated(v.Host) {
			agent += " (this server comes with " + m.d.Version + ")"
		}
		out = append(out, ui.Term{Term: "Agent", Value: known(agent)})
	} else {
		out = append(out, ui.Term{Term: "Reports by", Value: map[string]string{fromSeries: "remote write of node_exporter's metrics", fromOTLP: "OpenTelemetry (OTLP)"}[v.Source]})
	}
	if v.Buffered > 0 {
		text, _ := ui.Duration(v.Buffered)
		out = append(out, ui.Term{Term: "Waiting on its disk", Value: text + " of samples"})
	}
	for _, name := range sortedKeys(v.Labels) {
		out = append(out, ui.Term{Term: name, Value: v.Labels[name]})
	}
	return out
}

// topProcesses is how many processes the page lists.
const topProcesses = 10

// readExtras asks for what only the page of one host shows.
func (m *Module) readExtras(ctx context.Context, ws kernel.WorkspaceID, h Host, at time.Time, v *hostView) error {
	sel := of(h.Instance)
	a := m.asks(ws)
	processes := map[string]*process{}
	proc := func(r reading) *process {
		name := r.labels.Get("process")
		if processes[name] == nil {
			processes[name] = &process{Name: name}
		}
		return processes[name]
	}
	a.now(ctx, at, `max by (process) (`+agentapi.MetricProcessCPU+and(sel)+`)`, func(list []reading) {
		for _, r := range list {
			proc(r).CPU = r.value
		}
	})
	a.now(ctx, at, `max by (process) (`+agentapi.MetricProcessMemory+and(sel)+`)`, func(list []reading) {
		for _, r := range list {
			proc(r).Memory = r.value
		}
	})
	a.now(ctx, at, `max by (process) (`+agentapi.MetricProcessCount+and(sel)+`)`, func(list []reading) {
		for _, r := range list {
			proc(r).Count = int(r.value)
		}
	})
	a.now(ctx, at, `node_systemd_unit_state`+and(sel, `state="failed"`)+` == 1`, func(list []reading) {
		for _, r := range list {
			v.FailedUnit = append(v.FailedUnit, r.labels.Get("name"))
		}
		slices.Sort(v.FailedUnit)
	})
	containers, probes := m.readContainers(ctx, a, sel, at), m.readProbes(ctx, a, sel, at)
	err := a.done()
	for _, p := range processes {
		v.Processes = append(v.Processes, *p)
	}
	slices.SortFunc(v.Processes, func(a, b process) int {
		return cmp.Or(cmp.Compare(b.CPU, a.CPU), cmp.Compare(b.Memory, a.Memory), cmp.Compare(a.Name, b.Name))
	})
	v.Processes = v.Processes[:min(topProcesses, len(v.Processes))]
	for _, name := range sortedKeys(containers) {
		v.Containers = append(v.Containers, *containers[name])
	}
	slices.SortStableFunc(v.Containers, func(a, b container) int { return cmp.Compare(b.CPU, a.CPU) })
	for _, name := range sortedKeys(probes) {
		v.ProbeRows = append(v.ProbeRows, *probes[name])
	}
	slices.SortStableFunc(v.ProbeRows, func(a, b probe) int { return cmp.Compare(order(a.OK), order(b.OK)) })
	return err
}

func order(ok bool) int {
	if ok {
		return 1
	}
	return 0
}

func (m *Module) readContainers(ctx context.Context, a *asks, sel string, at time.Time) map[string]*container {
	out := map[string]*container{}
	find := func(r reading) *container {
		name := r.labels.Get("name")
		if out[name] == nil {
			out[name] = &container{Name: name}
		}
		return out[name]
	}
	a.now(ctx, at, `sum by (name) (rate(`+agentapi.MetricContainerCPU+and(sel, `name!=""`)+`[5m]))`, func(list []reading) {
		for _, r := range list {
			find(r).CPU = r.value
		}
	})
	a.now(ctx, at, `max by (name) (`+agentapi.MetricContainerMemory+and(sel, `name!=""`)+`)`, func(list []reading) {
		for _, r := range list {
			find(r).Memory = r.value
		}
	})
	return out
}

func (m *Module) readProbes(ctx context.Context, a *asks, sel string, at time.Time) map[string]*probe {
	out := map[string]*probe{}
	find := func(r reading) *probe {
		name := probeName(r)
		if out[name] == nil {
			out[name] = &probe{Name: name, Took: math.NaN()}
		}
		return out[name]
	}
	a.now(ctx, at, agentapi.MetricProbeSuccess+and(sel), func(list []reading) {
		for _, r := range list {
			find(r).OK = r.value == 1
		}
	})
	a.now(ctx, at, agentapi.MetricProbeDuration+and(sel), func(list []reading) {
		for _, r := range list {
			find(r).Took = r.value
		}
	})
	a.now(ctx, at, agentapi.MetricProbeCertExpiry+and(sel), func(list []reading) {
		for _, r := range list {
			find(r).CertEnds = time.Unix(int64(r.value), 0).UTC()
		}
	})
	return out
}

// changesOf are what happened to a host, or around it, the newest first.
func (m *Module) changesOf(ctx context.Context, ws kernel.WorkspaceID, h Host, from, to time.Time) ([]dashboard.Annotation, error) {
	all, err := m.Annotations(ctx, ws, from, to)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(a dashboard.Annotation) bool {
		return a.Labels["instance"] != "" && a.Labels["instance"] != h.Instance
	})
	if m.d.Alerts != nil {
		list, err := m.d.Alerts.Alerts(ctx, ws, alert.Filter{States: []string{"firing", "resolved"}, Labels: map[string]string{"instance": h.Instance}, From: from, To: to, Limit: 50})
		if err != nil {
			return nil, err
		}
		for _, a := range list {
			all = append(all, dashboard.Annotation{At: a.FiredAt, Until: a.ResolvedAt, Kind: "alert", Text: a.Name, Href: alertHref(ws, a.ID), Labels: a.Labels})
		}
	}
	slices.SortFunc(all, func(a, b dashboard.Annotation) int { return b.At.Compare(a.At) })
	return all, nil
}

func (m *Module) removePage(w http.ResponseWriter, r *http.Request) error {
	h, err := m.pathHost(r)
	if err != nil {
		return err
	}
	a := httpx.ActorOf(r.Context())
	ws := a.WorkspaceID
	form := ui.Form{Action: hostHref(ws, h.ID) + "/remove", Submit: "Remove the host", Danger: true, Cancel: hostHref(ws, h.ID)}
	text := "It leaves the list; its samples stay until their time is over. If it reports again, it is back."
	if h.KeyID != "" && workspace.Allows(a.Role, httpx.MayManage) {
		form.Fields = []ui.Field{{Name: "revoke", Label: "Revoke its API key too", Kind: "checkbox", Hint: "Its agent can then no longer report, and has to be enrolled again."}}
	}
	return m.pages.Render(w, r, http.StatusOK, "question", ui.Page{Title: "Remove " + h.Name + "?", App: appKey, Section: hostsHref(ws),
		Crumbs: []ui.Crumb{{Label: "Hosts", Href: hostsHref(ws)}, {Label: h.Name, Href: hostHref(ws, h.ID)}}, Body: ui.Dialog{Text: text, Form: form}})
}

func (m *Module) remove(w http.ResponseWriter, r *http.Request) error {
	h, err := m.pathHost(r)
	if err != nil {
		return err
	}
	form, err := httpx.ReadForm(r)
	if err != nil {
		return err
	}
	by, ws := actorOf(r)
	if form.Get("revoke") != "" && h.KeyID != "" {
		if !workspace.Allows(httpx.ActorOf(r.Context()).Role, httpx.MayManage) {
			return kernel.Errorf(kernel.Forbidden, "Your role does not include revoking keys. Ask an owner or admin.")
		}
		if err := m.d.Access.RevokeKey(r.Context(), by, ws, h.KeyID); err != nil && kernel.CodeOf(err) != kernel.NotFound {
			return err
		}
	}
	if err := m.RemoveHost(r.Context(), by, ws, h); err != nil {
		return err
	}
	return respond.SeeOther(w, r, hostsHref(ws)+"?done=removed")
}

// RemoveHost forgets a host. Its samples stay until their time is over; when it reports again, it is back.
func (m *Module) RemoveHost(ctx context.Context, by audit.Actor, ws kernel.WorkspaceID, h Host) error {
	err := m.d.DB.Tx(ctx, func(tx *db.Tx) error {
		if _, err := tx.Exec(ctx, `DELETE FROM hosts WHERE workspace_id = $1 AND id = $2`, ws, h.ID); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Event{WorkspaceID: ws, Actor: by, Action: "host.remove", Target: "host:" + string(h.ID), Detail: h.Name})
	})
	if err == nil {
		m.seen.forget(ws, h.Instance)
		m.changed(ws)
	}
	return err
}

// chartPoints is about how many moments a chart has.
const chartPoints = 240

// spanOf is the span of a host's charts.
func spanOf(r ui.TimeRange) query.Span {
	step := (r.To.Sub(r.From) / chartPoints).Truncate(time.Second)
	for _, nice := range []time.Duration{15 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute,
		30 * time.Minute, time.Hour, 2 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour} {
		if nice >= step {
			step = nice
			break
		}
	}
	return query.Span{From: r.From, To: r.To, Step: step}.Aligned()
}
