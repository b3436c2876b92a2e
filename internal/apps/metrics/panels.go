package metrics

import (
	"cmp"
	"context"
	"log/slog"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"

	"github.com/kept-dev/kept/internal/core/dashboard"
	"github.com/kept-dev/kept/internal/core/query"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/ui"
)

// panel is one chart of the page of a host. In its queries $host stands for the matcher of the host and $rate for the
// window of rates.
type panel struct {
	id, title, unit string
	lines           []line
	stack           bool
	min, max        *float64
	optional        bool // left out where there is nothing to draw
}

// line is one query of a panel; each series that it finds is drawn.
type line struct {
	expr   string
	legend string // a label's name in braces is its value
	dash   bool
	tone   ui.Tone
}

func at(v float64) *float64 { return &v }

// realNICs leaves out devices that are no way out of the machine.
const realNICs = `device!~"lo|veth.*|docker.*|br-.*|cali.*|flannel.*|cni.*|virbr.*|tap.*|ifb.*|dummy.*|sit.*"`

// panels are the charts of a host, in order.
var panels = []panel{
	{id: "cpu", title: "CPU", unit: "ratio", stack: true, min: at(0), max: at(1), lines: []line{
		{expr: `sum by (mode) (rate(node_cpu_seconds_total{$host,mode!="idle"}[$rate])) / scalar(count(node_cpu_seconds_total{$host,mode="idle"}))`, legend: "{mode}"}}},
	{id: "memory", title: "Memory", unit: "bytes", stack: true, min: at(0), lines: []line{
		{expr: `node_memory_MemTotal_bytes{$host} - node_memory_MemFree_bytes{$host} - node_memory_Buffers_bytes{$host} - node_memory_Cached_bytes{$host} - node_memory_SReclaimable_bytes{$host}`, legend: "in use"},
		{expr: `node_memory_Buffers_bytes{$host} + node_memory_Cached_bytes{$host} + node_memory_SReclaimable_bytes{$host}`, legend: "cache"},
		{expr: `node_memory_MemFree_bytes{$host}`, legend: "free"},
		{expr: `node_memory_SwapTotal_bytes{$host} - node_memory_SwapFree_bytes{$host} > 0`, legend: "swap in use", dash: true}}},
	{id: "load", title: "Load", min: at(0), lines: []line{
		{expr: `node_load1{$host}`, legend: "1 min"}, {expr: `node_load5{$host}`, legend: "5 min"}, {expr: `node_load15{$host}`, legend: "15 min"},
		{expr: `count(node_cpu_seconds_total{$host,mode="idle"})`, legend: "cores", dash: true}}},
	{id: "pressure", title: "Waiting for resources (PSI)", unit: "ratio", min: at(0), optional: true, lines: []line{
		{expr: `rate(node_pressure_cpu_waiting_seconds_total{$host}[$rate])`, legend: "CPU"},
		{expr: `rate(node_pressure_memory_waiting_seconds_total{$host}[$rate])`, legend: "memory"},
		{expr: `rate(node_pressure_io_waiting_seconds_total{$host}[$rate])`, legend: "disk"}}},
	{id: "disk-fill", title: "Disks, in use", unit: "ratio", min: at(0), max: at(1), lines: []line{
		{expr: `max by (mountpoint) (1 - node_filesystem_avail_bytes{$host,` + realDisks + `} / node_filesystem_size_bytes{$host,` + realDisks + `})`, legend: "{mountpoint}"}}},
	{id: "disk-io", title: "Disks, read and written", unit: "bytes/s", lines: []line{
		{expr: `sum by (device) (rate(node_disk_read_bytes_total{$host}[$rate])) > 0`, legend: "{device} read"},
		{expr: `sum by (device) (rate(node_disk_written_bytes_total{$host}[$rate])) > 0`, legend: "{device} written", dash: true}}},
	{id: "network", title: "Network", unit: "bits/s", lines: []line{
		{expr: `8 * rate(node_network_receive_bytes_total{$host,` + realNICs + `}[$rate])`, legend: "{device} in"},
		{expr: `8 * rate(node_network_transmit_bytes_total{$host,` + realNICs + `}[$rate])`, legend: "{device} out", dash: true}}},
	{id: "temperature", title: "Temperatures", unit: "°C", optional: true, lines: []line{
		{expr: `max by (chip, sensor) (node_hwmon_temp_celsius{$host}) or max by (type, zone) (node_thermal_zone_temp{$host})`, legend: "{chip} {sensor} {type} {zone}"}}},
}

// hostCharts draws a host's panels over the range that is looked at.
func (m *Module) hostCharts(ctx context.Context, ws kernel.WorkspaceID, h Host, v *hostView) ([]ui.Chart, error) {
	span, panels := spanOf(v.Range), panels
	if h.Source == fromOTLP {
		panels = panelsOTLP
	}
	a := m.asks(ws)
	found := make([][]promql.Matrix, len(panels))
	replace := strings.NewReplacer("$host", h.matcher(), "$rate", rateWindow(h, span))
	for i, p := range panels {
		found[i] = make([]promql.Matrix, len(p.lines))
		for j, l := range p.lines {
			a.over(ctx, span, replace.Replace(l.expr), func(matrix promql.Matrix) { found[i][j] = matrix })
		}
	}
	problem := ""
	if err := a.done(); err != nil {
		m.d.Logger.LogAttrs(ctx, slog.LevelWarn, "host: charts are missing", slog.Any("cause", err))
		problem = kernel.AsError(err).Safe
	}
	var out []ui.Chart
	for i, p := range panels {
		c := p.chart(span, found[i])
		c.Marks = marks(v.Changes)
		if len(c.Series) == 0 {
			if p.optional && problem == "" {
				continue
			}
			c.Error = problem
		}
		out = append(out, c)
	}
	return out, nil
}

// rateWindow is long enough for several samples, whatever the step of the chart.
func rateWindow(h Host, s query.Span) string {
	every := h.Every
	if every == 0 {
		every = time.Minute
	}
	return (max(4*every, s.Step+every)).Truncate(time.Second).String()
}

// maxLines is how many series a chart draws; the largest are taken.
const maxLines = 12

func (p panel) chart(span query.Span, found []promql.Matrix) ui.Chart {
	c := ui.Chart{ID: "chart-" + p.id, Title: p.title, Unit: p.unit, At: times(span), From: span.From, To: span.To, Stack: p.stack, Min: p.min, Max: p.max, Zoom: true, Height: 160}
	if p.stack {
		c.Kind = ui.KindArea
	}
	for j, matrix := range found {
		l := p.lines[j]
		for _, s := range matrix {
			line := ui.Series{Label: legend(l.legend, s.Metric), Values: values(s, span), Dash: l.dash, Tone: l.tone}
			if p.stack && l.dash {
				line.Kind = ui.KindLine
			}
			c.Series = append(c.Series, line)
		}
	}
	if len(c.Series) > maxLines {
		slices.SortStableFunc(c.Series, func(a, b ui.Series) int { return cmp.Compare(peak(b.Values), peak(a.Values)) })
		c.Series = c.Series[:maxLines]
		c.Warnings = append(c.Warnings, "Only the 12 largest are drawn.")
	}
	return c
}

func peak(list []float64) float64 {
	out := math.Inf(-1)
	for _, v := range list {
		if v > out {
			out = v
		}
	}
	return out
}

var legendName = regexp.MustCompile(`\{(\w+)\}`)

func legend(pattern string, ls labels.Labels) string {
	text := legendName.ReplaceAllStringFunc(pattern, func(name string) string { return ls.Get(name[1 : len(name)-1]) })
	return strings.Join(strings.Fields(text), " ")
}

func marks(changes []dashboard.Annotation) (out []ui.Mark) {
	for _, c := range changes {
		mark := ui.Mark{At: c.At, Until: c.Until, Label: c.Text, Href: c.Href}
		if c.Kind == "alert" {
			mark.Tone = ui.ToneBad
		}
		out = append(out, mark)
	}
	return out
}
