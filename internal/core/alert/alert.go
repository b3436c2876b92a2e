// Package alert watches: it evaluates a workspace's rules (Prometheus's, so that their YAML goes in and out), keeps the
// history of what fired, and routes, groups, inhibits and silences what fires with Alertmanager's pipeline to the
// channels of core/notify.
package alert

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/kept-dev/kept/internal/core/notify"
	"github.com/kept-dev/kept/internal/core/query"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/bus"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/series"
	"github.com/kept-dev/kept/internal/ui"
)

// Explainer tells what stands behind an alert at the moment it fires: the top processes of the host, what changed.
type Explainer interface {
	Explain(ctx context.Context, ws kernel.WorkspaceID, labels map[string]string, at time.Time) ([]Fact, error)
}

// Fact is one line of an explanation.
type Fact struct {
	Title string // "Top process"
	Text  string // "postgres (pid 812): 93 % of a core"
	Href  string // of a page of ours; empty: none
}

// RulePack is a set of rules that an app brings; a workspace turns it on.
type RulePack struct {
	Key, Title, About string
	YAML              []byte // Prometheus rule groups
}

// Deps is what the module needs.
type Deps struct {
	DB       *db.DB
	UI       *ui.UI
	Bus      bus.Bus
	Store    series.Store // where recording rules and ALERTS are written
	Query    *query.Module
	Channels *notify.Module
	ByToken  func(ctx context.Context, token string) (httpx.Actor, error)
	BaseURL  func() string
	Dir      string // for what Alertmanager keeps on disk, a directory per workspace
	Clock    kernel.Clock
	Logger   *slog.Logger
	// Audit writes a change to the audit log of the workspace that the request is in.
	Audit func(ctx context.Context, action, target, detail string) error
}

// Module is the rules and the routing.
type Module struct {
	d          Deps
	explainers []Explainer
	packs      []RulePack
}

// New makes the module.
func New(d Deps) (*Module, error) {
	if d.DB == nil || d.Query == nil || d.Channels == nil {
		return nil, errors.New("alert: DB, Query and Channels are needed")
	}
	return &Module{d: d}, nil
}

// Name implements app.Module.
func (m *Module) Name() string { return "alert" }

// UseExplainers adds those who explain alerts. It must be called before Start.
func (m *Module) UseExplainers(e ...Explainer) { m.explainers = append(m.explainers, e...) }

// UsePacks adds rule packs. It must be called before Start.
func (m *Module) UsePacks(p ...RulePack) { m.packs = append(m.packs, p...) }

// Alert is one thing that a rule found, as it is now.
type Alert struct {
	ID          kernel.ID // of this firing
	Fingerprint string    // the same for the same rule and labels, over all firings
	RuleID      kernel.ID
	Name        string
	Severity    string // critical, warning, info; empty is warning
	State       string // pending, firing, resolved
	Labels      map[string]string
	Annotations map[string]string
	Value       float64
	StartedAt   time.Time // pending since
	FiredAt     time.Time
	ResolvedAt  time.Time
	AckedBy     string
}

// Filter chooses alerts. Zero fields choose all.
type Filter struct {
	States   []string
	Labels   map[string]string // equal
	From, To time.Time         // that overlap this span
	Limit    int
}

// Alerts lists alerts, the newest first.
func (m *Module) Alerts(context.Context, kernel.WorkspaceID, Filter) ([]Alert, error) {
	return nil, nil
}

// OnChange calls f after an alert began to fire or was resolved, outside any transaction. It must be called before Start.
func (m *Module) OnChange(func(ctx context.Context, ws kernel.WorkspaceID, a Alert)) {}
