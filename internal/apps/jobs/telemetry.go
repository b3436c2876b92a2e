package jobs

import (
	"context"
	_ "embed"

	"github.com/prometheus/prometheus/storage"

	"github.com/kept-dev/kept/internal/apps/jobs/series"
	"github.com/kept-dev/kept/internal/core/alert"
	"github.com/kept-dev/kept/internal/core/dashboard"
	"github.com/kept-dev/kept/internal/core/query"
	"github.com/kept-dev/kept/internal/kernel"
)

var (
	_ query.Source    = (*Module)(nil)
	_ query.Describer = (*Module)(nil)
)

// Series are a workspace's jobs as time series, for dashboards and rules.
func (m *Module) Series(ws kernel.WorkspaceID) storage.Queryable {
	return series.New(m.index, m.d.Clock).Series(ws)
}

// Metadata tells what the series mean.
func (m *Module) Metadata(context.Context, kernel.WorkspaceID) (map[string][]query.Metadata, error) {
	out := map[string][]query.Metadata{}
	for _, d := range series.Descriptions() {
		out[d.Name] = []query.Metadata{{Type: d.Kind, Help: d.Help, Unit: d.Unit}}
	}
	return out, nil
}

//go:embed telemetry/overview.json
var overviewDashboard []byte

//go:embed telemetry/rules.yml
var rulesYAML []byte

// Dashboards are the dashboards that the app brings.
func (m *Module) Dashboards() []dashboard.File {
	return []dashboard.File{{Key: "jobs/overview", JSON: overviewDashboard}}
}

// RulePacks are the rules that the app brings.
func (m *Module) RulePacks() []alert.RulePack {
	return []alert.RulePack{{Key: "jobs", Title: "Background jobs", YAML: rulesYAML,
		About: "Jobs that fail, that no worker takes, that pile up, that take longer than yesterday, or that stopped coming."}}
}
