package host

import (
	"errors"
	"io/fs"

	"github.com/kept-dev/kept/internal/agent/metric"
)

// errNoData says that this machine has nothing for a collector to read.
var errNoData = errors.New("nothing to read here")

// collector reads one thing. Each system has its own list of those that run at each interval (collectors) and of those that
// cost more, or whose answers change rarely (slow).
type collector struct {
	name    string
	collect func(*Host, *metric.Set) error
}

// Collect adds what is read at each interval.
func (h *Host) Collect(s *metric.Set) { h.run(collectors, s) }

// CollectSlow adds what is read once a minute.
func (h *Host) CollectSlow(s *metric.Set) { h.run(slow, s) }

var descSuccess = gauge("node_scrape_collector_success", "node_exporter: Whether a collector succeeded.")

func (h *Host) run(list []collector, s *metric.Set) {
	for _, c := range list {
		if !h.opts.wants(c.name) {
			continue
		}
		err := c.collect(h, s)
		if errors.Is(err, errNoData) || errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if failed := err != nil; failed != h.failed[c.name] {
			h.failed[c.name] = failed
			if failed {
				h.opts.Log.Warn("cannot be read", "collector", c.name, "error", err)
			}
		}
		s.Add(descSuccess, truth(err == nil), "collector", c.name)
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
