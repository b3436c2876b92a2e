// Package host reads what a machine says of itself: on Linux from /proc, /sys and the system bus, under the metric names
// and labels of node_exporter, so that dashboards and rules made for it work unchanged; elsewhere by gopsutil, under the
// same names as far as they have a meaning there. What it adds of its own has names that begin with kept_.
package host

import (
	"log/slog"
	"slices"

	"github.com/kept-dev/kept/internal/agent/metric"
	"github.com/kept-dev/kept/wire/remotewrite"
)

// Options of a Host. The zero value reads this machine.
type Options struct {
	Proc, Sys string // "" for /proc and /sys
	Root      string // put before /etc, /run and mount points, for tests and containers

	Only   []string // collectors to run; nil for all
	Except []string // collectors to leave out

	IgnoreDevices string // network devices to leave out, as a regular expression
	TextfileDir   string // folder with *.prom files
	TopProcesses  int    // how many names of processes, by CPU and by memory each

	Log *slog.Logger

	system system
}

func (o *Options) wants(name string) bool {
	return (o.Only == nil || slices.Contains(o.Only, name)) && !slices.Contains(o.Except, name)
}

// Names are all collectors that this system has.
func Names() (out []string) {
	for _, c := range collectors {
		out = append(out, c.name)
	}
	for _, c := range slow {
		out = append(out, c.name)
	}
	slices.Sort(out)
	return out
}

func gauge(name, help string) *metric.Desc {
	return &metric.Desc{Name: name, Help: help, Type: remotewrite.Gauge}
}

func counter(name, help string) *metric.Desc {
	return &metric.Desc{Name: name, Help: help, Type: remotewrite.Counter}
}
