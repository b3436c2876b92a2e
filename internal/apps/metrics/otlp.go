package metrics

import (
	"context"
	"math"
	"strconv"
	"time"

	"github.com/prometheus/prometheus/promql"

	"github.com/kept-dev/kept/internal/apps/metrics/intake"
	"github.com/kept-dev/kept/internal/core/query"
	"github.com/kept-dev/kept/internal/kernel"
)

// fromOTLP is the source of hosts that an OpenTelemetry Collector or SDK names as host.name. Their series have that as the
// label host_name, and are called as the Collector's hostmetrics receiver calls them.
const fromOTLP = "otlp"

// quietOTLP is how long a host that only OTLP names may be silent: exporters send once a minute by default, and it is noted
// once a minute.
const quietOTLP = 5 * time.Minute

// noteResource notes a host that an OTLP request names.
func (m *Module) noteResource(ws kernel.WorkspaceID, r intake.Resource) {
	m.seen.noteHost(ws, Host{Instance: r.Host, Source: fromOTLP, Name: r.Host, OS: r.OS, Platform: r.Platform, Arch: r.Arch})
}

// matcher selects the host's series.
func (h Host) matcher() string {
	if h.Source == fromOTLP {
		return "host_name=" + strconv.Quote(h.Instance)
	}
	return of(h.Instance)
}

// realMounts leaves out what realDisks does, in OpenTelemetry's words.
const realMounts = `type!~"tmpfs|ramfs|devtmpfs|overlay|squashfs|iso9660|erofs|autofs|fuse.lxcfs|nsfs|proc|sysfs|cgroup2?",mountpoint!~"/(run|dev|sys|proc|var/lib/(docker|containers|kubelet))($|/.*)"`

// readOTLP asks how hosts are that only OTLP names: all of a workspace, or those that sel selects.
func (m *Module) readOTLP(ctx context.Context, ws kernel.WorkspaceID, sel string, at time.Time, out map[string]*vitals) error {
	a := m.asks(ws)
	each := func(expr string, take func(*vitals, reading)) {
		a.now(ctx, at, expr, func(list []reading) {
			for _, r := range list {
				name := r.labels.Get("host_name")
				if out[name] == nil {
					out[name] = unknown()
				}
				take(out[name], r)
			}
		})
	}
	each(`max by (host_name) (timestamp(system_cpu_time_seconds_total`+and(sel)+`) or timestamp(system_memory_usage_bytes`+and(sel)+`))`, func(v *vitals, r reading) {
		v.Seen, v.HasSeries = time.UnixMilli(int64(r.value*1000)).UTC(), true
	})
	each(`1 - sum by (host_name) (rate(system_cpu_time_seconds_total`+and(`state="idle"`, sel)+`[5m])) / sum by (host_name) (rate(system_cpu_time_seconds_total`+and(sel)+`[5m]))`,
		func(v *vitals, r reading) { v.CPU = max(0, r.value) })
	each(`sum by (host_name) (system_memory_usage_bytes`+and(`state="used"`, sel)+`) / sum by (host_name) (system_memory_usage_bytes`+and(sel)+`)`,
		func(v *vitals, r reading) { v.Memory = r.value })
	each(`sum by (host_name) (system_memory_usage_bytes`+and(sel)+`)`, func(v *vitals, r reading) { v.Total = int64(r.value) })
	each(`count by (host_name) (system_cpu_time_seconds_total`+and(`state="idle"`, sel)+`)`, func(v *vitals, r reading) { v.Cores = int(r.value) })
	each(`max by (host_name) (system_cpu_load_average_5m`+and(sel)+`) / count by (host_name) (system_cpu_time_seconds_total`+and(`state="idle"`, sel)+`)`,
		func(v *vitals, r reading) { v.Load = r.value })
	sizes := func(matcher string, take func(*disk, float64)) {
		each(`sum by (host_name, mountpoint, device, type) (system_filesystem_usage_bytes`+and(matcher, sel, realMounts)+`)`, func(v *vitals, r reading) {
			take(v.disk(r.labels.Get("mountpoint"), r.labels.Get("device"), r.labels.Get("type")), r.value)
		})
	}
	sizes("", func(d *disk, v float64) { d.Size = v })
	sizes(`state="free"`, func(d *disk, v float64) { d.Free = v })
	return a.done()
}

// disk is the file system that is mounted somewhere; it is added where it is not known yet.
func (v *vitals) disk(mount, device, fs string) *disk {
	for i := range v.Disks {
		if v.Disks[i].Mount == mount {
			return &v.Disks[i]
		}
	}
	v.Disks = append(v.Disks, disk{Mount: mount, Device: device, FS: fs, Growth: math.NaN()})
	return &v.Disks[len(v.Disks)-1]
}

// trendOTLP asks for the small lines of hosts that only OTLP names.
func (m *Module) trendOTLP(ctx context.Context, ws kernel.WorkspaceID, span query.Span, out map[string]*vitals) error {
	a := m.asks(ws)
	a.over(ctx, span, `1 - sum by (host_name) (rate(system_cpu_time_seconds_total{state="idle"}[5m])) / sum by (host_name) (rate(system_cpu_time_seconds_total[5m]))`, func(matrix promql.Matrix) {
		for _, s := range matrix {
			if v := out[s.Metric.Get("host_name")]; v != nil && len(v.CPUTrend) == 0 {
				v.CPUTrend = values(s, span)
			}
		}
	})
	return a.done()
}

// panelsOTLP are the charts of a host that only OTLP names.
var panelsOTLP = []panel{
	{id: "cpu", title: "CPU", unit: "ratio", stack: true, min: at(0), max: at(1), lines: []line{
		{expr: `sum by (state) (rate(system_cpu_time_seconds_total{$host,state!="idle"}[$rate])) / scalar(sum(rate(system_cpu_time_seconds_total{$host}[$rate])))`, legend: "{state}"}}},
	{id: "memory", title: "Memory", unit: "bytes", stack: true, min: at(0), lines: []line{{expr: `sum by (state) (system_memory_usage_bytes{$host})`, legend: "{state}"}}},
	{id: "load", title: "Load", min: at(0), lines: []line{{expr: `max(system_cpu_load_average_1m{$host})`, legend: "1 min"},
		{expr: `max(system_cpu_load_average_5m{$host})`, legend: "5 min"}, {expr: `max(system_cpu_load_average_15m{$host})`, legend: "15 min"}}},
	{id: "disk-fill", title: "Disks, in use", unit: "ratio", min: at(0), max: at(1), lines: []line{
		{expr: `1 - sum by (mountpoint) (system_filesystem_usage_bytes{$host,state="free",` + realMounts + `}) / sum by (mountpoint) (system_filesystem_usage_bytes{$host,` + realMounts + `})`, legend: "{mountpoint}"}}},
	{id: "disk-io", title: "Disks, read and written", unit: "bytes/s", lines: []line{
		{expr: `sum by (device, direction) (rate(system_disk_io_bytes_total{$host}[$rate])) > 0`, legend: "{device} {direction}"}}},
	{id: "network", title: "Network", unit: "bits/s", lines: []line{
		{expr: `8 * sum by (device, direction) (rate(system_network_io_bytes_total{$host,` + realNICs + `}[$rate]))`, legend: "{device} {direction}"}}},
}
