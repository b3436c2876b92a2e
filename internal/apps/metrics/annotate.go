package metrics

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/prometheus/prometheus/promql"

	"github.com/kept-dev/kept/internal/core/alert"
	"github.com/kept-dev/kept/internal/core/dashboard"
	"github.com/kept-dev/kept/internal/core/query"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/ui"
	"github.com/kept-dev/kept/wire/agentapi"
)

var (
	_ dashboard.Annotator = (*Module)(nil)
	_ alert.Explainer     = (*Module)(nil)
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// Annotations are releases, restarts of hosts and new versions on them.
func (m *Module) Annotations(ctx context.Context, ws kernel.WorkspaceID, from, to time.Time) ([]dashboard.Annotation, error) {
	deploys, err := m.deploys(ctx, ws, from, to, maxShown)
	if err != nil {
		return nil, err
	}
	var out []dashboard.Annotation
	for _, d := range deploys {
		a := dashboard.Annotation{At: d.At, Kind: "deploy", Text: d.title(), Labels: d.labels()}
		if d.Until != nil {
			a.Until = *d.Until
		}
		out = append(out, a)
	}
	changes, err := m.hostChanges(ctx, ws, from, to)
	if err != nil {
		return nil, err
	}
	hrefs, err := m.hrefs(ctx, ws)
	for _, c := range changes {
		kind := "note"
		if c.Kind == changeReboot {
			kind = "reboot"
		}
		out = append(out, dashboard.Annotation{At: c.At, Kind: kind, Text: c.text(), Href: hrefs[c.Instance], Labels: map[string]string{"instance": c.Instance}})
	}
	return out, err
}

func (d Deploy) labels() map[string]string {
	out := map[string]string{"service": d.Service}
	if d.Version != "" {
		out["version"] = d.Version
	}
	if d.Environment != "" {
		out["environment"] = d.Environment
	}
	for name, value := range d.Labels {
		out[name] = value
	}
	return out
}

// hrefs are the pages of hosts by their label.
func (m *Module) hrefs(ctx context.Context, ws kernel.WorkspaceID) (map[string]string, error) {
	hosts, err := m.Hosts(ctx, ws)
	out := map[string]string{}
	for _, h := range hosts {
		out[h.Instance] = hostHref(ws, h.ID)
	}
	return out, err
}

// hostChanges are what agents told and what the series show: a host without an agent restarts too.
func (m *Module) hostChanges(ctx context.Context, ws kernel.WorkspaceID, from, to time.Time) ([]Change, error) {
	out, err := m.changes(ctx, ws, from, to, maxShown)
	if err != nil {
		return nil, err
	}
	boots, err := m.boots(ctx, ws, from, to)
	if err != nil {
		return nil, err
	}
	for _, b := range boots {
		known := slices.ContainsFunc(out, func(c Change) bool {
			return c.Kind == changeReboot && c.Instance == b.Instance && c.At.Sub(b.At).Abs() < bootJitter
		})
		if !known {
			out = append(out, b)
		}
	}
	slices.SortStableFunc(out, func(a, b Change) int { return cmp.Or(b.At.Compare(a.At), cmp.Compare(a.Instance, b.Instance)) })
	return out[:min(maxShown, len(out))], nil
}

// boots reads from series when hosts were started in a span.
func (m *Module) boots(ctx context.Context, ws kernel.WorkspaceID, from, to time.Time) (out []Change, err error) {
	end := to
	if now := m.d.Clock(); end.After(now) {
		end = now
	}
	if !from.Before(end) {
		return nil, nil
	}
	step := max(time.Minute, (end.Sub(from) / 100).Truncate(time.Minute))
	a := m.asks(ws)
	a.over(ctx, query.Span{From: from, To: end, Step: step}.Aligned(), `max by (instance) (node_boot_time_seconds)`, func(matrix promql.Matrix) {
		for _, s := range matrix {
			var before time.Time
			for _, p := range s.Floats {
				at := time.Unix(int64(p.F), 0).UTC()
				if at.Sub(before).Abs() < bootJitter {
					continue
				}
				if before = at; at.After(from) && at.Before(to) {
					out = append(out, Change{Instance: s.Metric.Get("instance"), At: at, Kind: changeReboot})
				}
			}
		}
	})
	return out, a.done()
}

// How far back an explanation of an alert looks for what changed, and how many processes it names.
const (
	explainBack      = 6 * time.Hour
	explainProcesses = 3
)

// Explain says what stands behind an alert on a host: who uses most, and what changed before.
func (m *Module) Explain(ctx context.Context, ws kernel.WorkspaceID, labels map[string]string, at time.Time) ([]alert.Fact, error) {
	instance := labels["instance"]
	if instance == "" {
		return nil, nil
	}
	h, err := m.hostOf(ctx, ws, instance)
	if kernel.CodeOf(err) == kernel.NotFound {
		return nil, nil // the alert is about something else
	}
	if err != nil {
		return nil, err
	}
	out, err := m.topFacts(ctx, ws, h, at)
	if err != nil {
		return nil, err
	}
	changes, err := m.Annotations(ctx, ws, at.Add(-explainBack), at)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(changes, func(a, b dashboard.Annotation) int { return b.At.Compare(a.At) })
	for _, c := range changes {
		if name := c.Labels["instance"]; name != "" && name != instance {
			continue
		}
		ago, _ := ui.Duration(at.Sub(c.At).Round(time.Second))
		title := "Changed"
		if c.Kind == "deploy" {
			title = "Release"
		}
		out = append(out, alert.Fact{Title: title, Text: c.Text + ", " + ago + " before", Href: hostHref(ws, h.ID)})
	}
	return out, nil
}

// topFacts name the processes that use most CPU and memory at a moment.
func (m *Module) topFacts(ctx context.Context, ws kernel.WorkspaceID, h Host, at time.Time) ([]alert.Fact, error) {
	var byCPU, byMemory []reading
	a := m.asks(ws)
	a.now(ctx, at, `topk(3, max by (process) (`+agentapi.MetricProcessCPU+and(of(h.Instance))+`) > 0.01)`, func(list []reading) { byCPU = list })
	a.now(ctx, at, `topk(3, max by (process) (`+agentapi.MetricProcessMemory+and(of(h.Instance))+`))`, func(list []reading) { byMemory = list })
	if err := a.done(); err != nil {
		return nil, err
	}
	var out []alert.Fact
	for _, r := range biggest(byCPU) {
		out = append(out, alert.Fact{Title: "Top process by CPU", Text: r.labels.Get("process") + ": " + ui.Value(r.value, "ratio") + " of a core", Href: hostHref(ws, h.ID) + "#processes"})
	}
	for _, r := range biggest(byMemory) {
		out = append(out, alert.Fact{Title: "Top process by memory", Text: r.labels.Get("process") + ": " + ui.Value(r.value, "bytes"), Href: hostHref(ws, h.ID) + "#processes"})
	}
	return out, nil
}

func biggest(list []reading) []reading {
	slices.SortFunc(list, func(a, b reading) int {
		return cmp.Or(cmp.Compare(b.value, a.value), cmp.Compare(a.labels.Get("process"), b.labels.Get("process")))
	})
	return list[:min(explainProcesses, len(list))]
}
