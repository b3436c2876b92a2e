package host

import (
	"strings"

	"github.com/kept-dev/kept/internal/agent/metric"
)

var (
	descUnit  = gauge("node_systemd_unit_state", "Systemd unit")
	descUnits = gauge("node_systemd_units", "Summary of systemd unit states")
)

// maxUnits bounds the series of one machine's units.
const maxUnits = 500

// systemd asks systemd over the system bus for its units. The files under /run/systemd do not tell which failed.
//
// It says less than node_exporter on purpose: of services and timers that are not inactive, whether they are active and
// whether they failed. All states of all units are some thousand series, most of them always 0.
func (h *Host) systemd(s *metric.Set) error {
	units, err := h.bus.units()
	if err != nil {
		return err
	}
	counts := map[string]float64{"active": 0, "activating": 0, "deactivating": 0, "inactive": 0, "failed": 0}
	told := 0
	for _, u := range units {
		if u.load != "loaded" {
			continue
		}
		if _, ok := counts[u.active]; ok {
			counts[u.active]++
		}
		service := strings.HasSuffix(u.name, ".service")
		if u.active != "failed" && (u.active == "inactive" || !service && !strings.HasSuffix(u.name, ".timer")) || told >= maxUnits {
			continue
		}
		told++
		s.Add(descUnit, truth(u.active == "active"), "name", u.name, "state", "active")
		s.Add(descUnit, truth(u.active == "failed"), "name", u.name, "state", "failed")
	}
	for state, n := range counts {
		s.Add(descUnits, n, "state", state)
	}
	return nil
}
