package metrics

import (
	"context"
	"math"
	"time"

	"github.com/prometheus/prometheus/promql"

	"github.com/kept-dev/kept/internal/core/alert"
	"github.com/kept-dev/kept/internal/core/query"
	"github.com/kept-dev/kept/internal/kernel"
)

// realDisks leaves out file systems that are never full or always: of the kernel, in memory, of images and containers.
const realDisks = `fstype!~"tmpfs|ramfs|devtmpfs|overlay|squashfs|iso9660|erofs|autofs|fuse.lxcfs|nsfs|proc|sysfs|cgroup2?",mountpoint!~"/(run|dev|sys|proc|var/lib/(docker|containers|kubelet))($|/.*)"`

// vitals are how a host is now. What is not known is NaN.
type vitals struct {
	Seen      time.Time // its newest sample within lookback
	Up        float64   // 0: whoever scrapes it cannot reach it
	CPU       float64   // part of all cores that is busy
	Memory    float64   // part that is in use
	Load      float64   // of five minutes, for each core
	Disks     []disk
	Stall     float64 // part of the time in which all work waited for memory
	Units     int     // that failed
	ClockOff  float64 // seconds, as its kernel knows it
	Probes    []string
	CPUTrend  []float64
	Booted    time.Time // as its series say; zero: they do not
	Cores     int
	Total     int64 // bytes of memory
	Alerts    []alert.Alert
	HasSeries bool
}

// complete fills in what nobody told of a host but its series say.
func (v *vitals) complete(h Host) Host {
	if h.BootedAt.IsZero() {
		h.BootedAt = v.Booted
	}
	if h.Cores == 0 {
		h.Cores = v.Cores
	}
	if h.Memory == 0 {
		h.Memory = v.Total
	}
	return h
}

// disk is one file system.
type disk struct {
	Mount, Device, FS string
	Size, Free        float64 // bytes; Free is what users without rights may fill
	Growth            float64 // bytes that it loses in a second, over the last hours; NaN where it is not known
}

func (d disk) used() float64 {
	if d.Size <= 0 {
		return math.NaN()
	}
	return 1 - d.Free/d.Size
}

// forecastFrom is the least fill at which a forecast is worth a word: an empty disk that is being filled is no trouble.
const forecastFrom = 0.5

// fullIn is when the disk is full if it goes on like that; 0: not for a year.
func (d disk) fullIn() time.Duration {
	if !(d.Growth > 0) || d.Free <= 0 {
		return 0
	}
	seconds := d.Free / d.Growth
	if seconds > 365*24*3600 {
		return 0
	}
	return time.Duration(seconds) * time.Second
}

// growth is how fast disks fill: as fast as over six hours and over a day, whichever is slower, so that neither an hour's
// copying nor what was long ago makes a forecast. It needs an hour to begin with.
func growthOf(sel string) string {
	free := "node_filesystem_avail_bytes" + and(sel, realDisks)
	return "-(deriv(" + free + "[6h]) > deriv(" + free + "[1d]) or deriv(" + free + "[1d])) and " + free + " offset 1h"
}

func unknown() *vitals {
	nan := math.NaN()
	return &vitals{Up: nan, CPU: nan, Memory: nan, Load: nan, Stall: nan, ClockOff: nan}
}

// readVitals asks how hosts are now: all of a workspace, or one.
func (m *Module) readVitals(ctx context.Context, ws kernel.WorkspaceID, instance string, at time.Time) (map[string]*vitals, error) {
	sel := ""
	if instance != "" {
		sel = of(instance)
	}
	out := map[string]*vitals{}
	host := func(r reading) *vitals {
		name := r.labels.Get("instance")
		v := out[name]
		if v == nil {
			v = unknown()
			out[name] = v
		}
		return v
	}
	a := m.asks(ws)
	each := func(expr string, take func(*vitals, reading)) {
		a.now(ctx, at, expr, func(list []reading) {
			for _, r := range list {
				take(host(r), r)
			}
		})
	}
	each(`max by (instance) (timestamp(node_boot_time_seconds`+and(sel)+`) or timestamp(node_uname_info`+and(sel)+`))`, func(v *vitals, r reading) {
		v.Seen, v.HasSeries = time.UnixMilli(int64(r.value*1000)).UTC(), true
	})
	each(`min by (instance) (up`+and(sel)+` and on (instance, job) node_uname_info`+and(sel)+` offset 15m)`, func(v *vitals, r reading) { v.Up = r.value })
	each(`1 - avg by (instance) (rate(node_cpu_seconds_total`+and(`mode="idle"`, sel)+`[5m]))`, func(v *vitals, r reading) { v.CPU = max(0, r.value) })
	each(`1 - max by (instance) (node_memory_MemAvailable_bytes`+and(sel)+`) / max by (instance) (node_memory_MemTotal_bytes`+and(sel)+`)`,
		func(v *vitals, r reading) { v.Memory = r.value })
	each(`max by (instance) (node_load5`+and(sel)+`) / count by (instance) (node_cpu_seconds_total`+and(`mode="idle"`, sel)+`)`,
		func(v *vitals, r reading) { v.Load = r.value })
	each(`max by (instance) (rate(node_pressure_memory_stalled_seconds_total`+and(sel)+`[5m]))`, func(v *vitals, r reading) { v.Stall = r.value })
	each(`count by (instance) (node_systemd_unit_state`+and(`state="failed"`, sel)+` == 1)`, func(v *vitals, r reading) { v.Units = int(r.value) })
	each(`max by (instance) (abs(node_timex_offset_seconds`+and(sel)+`))`, func(v *vitals, r reading) { v.ClockOff = r.value })
	each(`max by (instance) (node_boot_time_seconds`+and(sel)+`)`, func(v *vitals, r reading) { v.Booted = time.Unix(int64(r.value), 0).UTC() })
	each(`count by (instance) (node_cpu_seconds_total`+and(`mode="idle"`, sel)+`)`, func(v *vitals, r reading) { v.Cores = int(r.value) })
	each(`max by (instance) (node_memory_MemTotal_bytes`+and(sel)+`)`, func(v *vitals, r reading) { v.Total = int64(r.value) })
	each(`probe_success`+and(sel)+` == 0`, func(v *vitals, r reading) { v.Probes = append(v.Probes, probeName(r)) })
	m.readDisks(ctx, a, sel, at, host)
	err := a.done()
	return out, err
}

func probeName(r reading) string {
	for _, name := range []string{"probe", "target", "instance"} {
		if v := r.labels.Get(name); v != "" {
			return v
		}
	}
	return "probe"
}

// readDisks asks for file systems. The same one mounted at several places is listed at the first.
func (m *Module) readDisks(ctx context.Context, a *asks, sel string, at time.Time, host func(reading) *vitals) {
	find := func(r reading) *disk {
		return host(r).disk(r.labels.Get("mountpoint"), r.labels.Get("device"), r.labels.Get("fstype"))
	}
	each := func(expr string, take func(*disk, float64)) {
		a.now(ctx, at, expr, func(list []reading) {
			for _, r := range list {
				take(find(r), r.value)
			}
		})
	}
	each("node_filesystem_size_bytes"+and(sel, realDisks), func(d *disk, v float64) { d.Size = v })
	each("node_filesystem_avail_bytes"+and(sel, realDisks), func(d *disk, v float64) { d.Free = v })
	each(growthOf(sel), func(d *disk, v float64) { d.Growth = v })
}

// trend is the time that the small lines of the list show.
const trend = time.Hour

// readTrends asks for the small lines.
func (m *Module) readTrends(ctx context.Context, ws kernel.WorkspaceID, span query.Span, out map[string]*vitals) error {
	a := m.asks(ws)
	a.over(ctx, span, `1 - avg by (instance) (rate(node_cpu_seconds_total{mode="idle"}[5m]))`, func(matrix promql.Matrix) {
		for _, s := range matrix {
			if v := out[s.Metric.Get("instance")]; v != nil {
				v.CPUTrend = values(s, span)
			}
		}
	})
	return a.done()
}

// readAlerts adds what fires on hosts.
func (m *Module) readAlerts(ctx context.Context, ws kernel.WorkspaceID, instance string, out map[string]*vitals) error {
	if m.d.Alerts == nil {
		return nil
	}
	f := alert.Filter{States: []string{"firing"}, Limit: 1000}
	if instance != "" {
		f.Labels = map[string]string{"instance": instance}
	}
	list, err := m.d.Alerts.Alerts(ctx, ws, f)
	if err != nil {
		return err
	}
	for _, a := range list {
		if name := a.Labels["instance"]; name != "" {
			if out[name] == nil {
				out[name] = unknown()
			}
			out[name].Alerts = append(out[name].Alerts, a)
		}
	}
	return nil
}
