//go:build !linux

package host

import (
	"github.com/shirou/gopsutil/v4/process"

	"github.com/kept-dev/kept/internal/agent/metric"
)

// processes tells about those few names that use most. Processor use is the average since each process began.
func (h *Host) processes(s *metric.Set) error {
	all, err := process.Processes()
	if err != nil {
		return err
	}
	groups := map[string]*group{}
	for _, p := range all {
		name, err := p.Name()
		if err != nil || name == "" {
			continue
		}
		g := groups[name]
		if g == nil {
			g = &group{name: name}
			groups[name] = g
		}
		g.count++
		if m, err := p.MemoryInfo(); err == nil {
			g.memory += float64(m.RSS)
		}
		if c, err := p.CPUPercent(); err == nil {
			g.cpu += c / 100
		}
	}
	addTop(s, groups, h.opts.TopProcesses, false)
	return nil
}
