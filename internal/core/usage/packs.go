package usage

import (
	_ "embed"

	"github.com/kept-dev/kept/internal/core/alert"
	"github.com/kept-dev/kept/internal/core/dashboard"
)

//go:embed telemetry/usage.json
var usageDashboard []byte

//go:embed telemetry/usage.yml
var usageRules []byte

// Dashboards are the dashboards that the module brings.
func (m *Module) Dashboards() []dashboard.File {
	return []dashboard.File{{Key: "usage/overview", JSON: usageDashboard}}
}

// RulePacks are the rules that the module brings.
func (m *Module) RulePacks() []alert.RulePack {
	return []alert.RulePack{{Key: "usage", Title: "Usage", YAML: usageRules,
		About: "Time series, samples and hosts near the limits of the workspace."}}
}
