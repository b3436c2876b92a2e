package metrics

import (
	_ "embed"

	"github.com/kept-dev/kept/internal/core/alert"
	"github.com/kept-dev/kept/internal/core/dashboard"
)

//go:embed rules/hosts.yml
var hostRules []byte

//go:embed rules/hosts.json
var hostDashboard []byte

// RulePacks are the rules that the app brings.
func (m *Module) RulePacks() []alert.RulePack {
	return []alert.RulePack{{Key: "hosts", Title: "Hosts", YAML: hostRules,
		About: "Host down, disk full or full within a day, memory short, load, failed units, wrong clocks, probes that fail and certificates that end."}}
}

// Dashboards are the dashboards that the app brings.
func (m *Module) Dashboards() []dashboard.File {
	return []dashboard.File{{Key: "metrics/hosts", JSON: hostDashboard}}
}
