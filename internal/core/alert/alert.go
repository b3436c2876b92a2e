// Package alert watches: it evaluates a workspace's rules (Prometheus's, so that their YAML goes in and out), keeps the
// history of what fired, and routes, groups, inhibits and silences what fires with Alertmanager's pipeline to the
// channels of core/notify.
package alert

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"sync"
	"time"

	amalert "github.com/prometheus/alertmanager/alert"
	amnotify "github.com/prometheus/alertmanager/notify"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/rules"

	"github.com/kept-dev/kept/internal/core/notify"
	"github.com/kept-dev/kept/internal/core/query"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/bus"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/seal"
	"github.com/kept-dev/kept/internal/platform/series"
	"github.com/kept-dev/kept/internal/ui"
)

// Explainer tells what stands behind an alert at the moment it fires: the top processes of the host, what changed.
type Explainer interface {
	Explain(ctx context.Context, ws kernel.WorkspaceID, labels map[string]string, at time.Time) ([]Fact, error)
}

// Fact is one line of an explanation.
type Fact struct {
	Title string `json:"title"`          // "Top process"
	Text  string `json:"text"`           // "postgres (pid 812): 93 % of a core"
	Href  string `json:"href,omitempty"` // of a page of ours; empty: none
}

// RulePack is a set of rules that an app brings; a workspace turns it on.
type RulePack struct {
	Key, Title, About string
	YAML              []byte // Prometheus rule groups
}

// Channels are the ways out of a workspace; notify.Module is it.
type Channels interface {
	Channels(ctx context.Context, ws kernel.WorkspaceID) ([]notify.Channel, error)
	Notifier(ctx context.Context, ws kernel.WorkspaceID, id kernel.ID) (amnotify.Notifier, error)
	Forward(ctx context.Context, ws kernel.WorkspaceID, alerts []*amalert.Alert, news bool) error
}

// Deps is what the module needs.
type Deps struct {
	DB       *db.DB
	UI       *ui.UI
	Bus      bus.Bus
	Keys     *seal.Keys
	Store    series.Store // where recording rules and ALERTS are written
	Query    *query.Module
	Channels Channels
	ByToken  func(ctx context.Context, token string) (httpx.Actor, error)
	BaseURL  func() string
	Clock    kernel.Clock
	Logger   *slog.Logger
	// Audit writes a change to the audit log of the workspace that the request is in.
	Audit func(ctx context.Context, action, target, detail string) error
}

// Module is the rules and the routing.
type Module struct {
	d          Deps
	pages      *ui.Pages
	parser     parser.Parser
	explainers []Explainer
	packs      []RulePack
	teller     Teller
	listeners  []func(context.Context, kernel.WorkspaceID, Alert)

	metrics  *rules.Metrics // of all managers together: one of its own for each would cost more than the rest of it
	outcomes *amnotify.Metrics
	slots    chan struct{} // how many groups are evaluated at once
	holder   string        // names this process in leases

	lookEvery, leaseFor time.Duration // other than the constants in tests only

	mu      sync.Mutex
	engines map[kernel.WorkspaceID]*engine
	nudged  chan struct{}
	stop    context.CancelFunc
	done    chan struct{}
}

// New makes the module.
func New(d Deps) (*Module, error) {
	if d.DB == nil || d.Keys == nil || d.Query == nil || d.Channels == nil {
		return nil, errors.New("alert: DB, Keys, Query and Channels are needed")
	}
	if d.Clock == nil {
		d.Clock = kernel.SystemClock
	}
	if d.Logger == nil {
		d.Logger = slog.Default()
	}
	if d.BaseURL == nil {
		d.BaseURL = func() string { return "" }
	}
	if d.Audit == nil {
		d.Audit = func(context.Context, string, string, string) error { return nil }
	}
	m := &Module{
		d: d, parser: parser.NewParser(parser.Options{}), metrics: rules.NewGroupMetrics(nil), outcomes: newOutcomes(),
		slots: make(chan struct{}, max(2, 2*runtime.GOMAXPROCS(0))), holder: string(kernel.NewID(time.Now())), lookEvery: lookEvery, leaseFor: leaseFor,
		engines: map[kernel.WorkspaceID]*engine{}, nudged: make(chan struct{}, 1),
	}
	return m, m.buildPages()
}

// Name implements app.Module.
func (m *Module) Name() string { return "alert" }

// UseExplainers adds those who explain alerts. It must be called before Start.
func (m *Module) UseExplainers(e ...Explainer) { m.explainers = append(m.explainers, e...) }

// UsePacks adds rule packs. It must be called before Start.
func (m *Module) UsePacks(p ...RulePack) { m.packs = append(m.packs, p...) }

// OnChange calls f after an alert began to fire or was resolved, outside any transaction. It must be called before Start.
func (m *Module) OnChange(f func(ctx context.Context, ws kernel.WorkspaceID, a Alert)) {
	m.listeners = append(m.listeners, f)
}

// The states of an alert.
const (
	Pending  = "pending"
	Firing   = "firing"
	Resolved = "resolved"
)

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
	AckedAt     time.Time
	AckNote     string
	Facts       []Fact // what stood behind it when it fired
	Fired       int    // how often it fired within a day before now; see Flaps
}

// flapAt is from how many firings within a day on an alert is called flapping.
const flapAt = 4

// Flaps tells whether the alert comes and goes.
func (a Alert) Flaps() bool { return a.Fired >= flapAt }

// Filter chooses alerts. Zero fields choose all.
type Filter struct {
	States      []string
	Severities  []string
	RuleID      kernel.ID
	Fingerprint string
	Name        string
	Text        string            // in the name or a label, without regard to case
	Labels      map[string]string // equal
	From, To    time.Time         // that overlap this span
	Before      kernel.ID         // older than this one
	Limit       int               // 100 if zero
}
