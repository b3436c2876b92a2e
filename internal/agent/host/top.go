package host

import (
	"slices"
	"strings"

	"github.com/kept-dev/kept/internal/agent/metric"
	"github.com/kept-dev/kept/wire/agentapi"
)

var (
	descProcessCPU    = gauge(agentapi.MetricProcessCPU, "Processors in use by all processes of a name: 1 is one processor.")
	descProcessMemory = gauge(agentapi.MetricProcessMemory, "Resident memory of all processes of a name. What they share counts for each.")
	descProcessCount  = gauge(agentapi.MetricProcessCount, "Number of processes of a name.")
)

// group is all processes of one name.
type group struct {
	name          string
	cpu           float64 // processors
	memory, count float64
}

// addTop tells of those groups that use most. At the first look there is nothing to compare processor times with.
func addTop(s *metric.Set, groups map[string]*group, n int, first bool) {
	for _, g := range top(groups, n) {
		if !first {
			s.Add(descProcessCPU, g.cpu, "process", g.name)
		}
		s.Add(descProcessMemory, g.memory, "process", g.name)
		s.Add(descProcessCount, g.count, "process", g.name)
	}
}

// top are those that use most: n by processor and n by memory.
func top(groups map[string]*group, n int) []*group {
	all := make([]*group, 0, len(groups))
	for _, g := range groups {
		all = append(all, g)
	}
	if n <= 0 {
		n = 10
	}
	slices.SortFunc(all, func(a, b *group) int { return strings.Compare(a.name, b.name) })
	out := map[*group]bool{}
	for _, by := range []func(*group) float64{func(g *group) float64 { return g.cpu }, func(g *group) float64 { return g.memory }} {
		slices.SortStableFunc(all, func(a, b *group) int {
			switch {
			case by(a) > by(b):
				return -1
			case by(a) < by(b):
				return 1
			}
			return 0
		})
		for _, g := range all[:min(n, len(all))] {
			if by(g) > 0 {
				out[g] = true
			}
		}
	}
	return slices.DeleteFunc(all, func(g *group) bool { return !out[g] })
}
