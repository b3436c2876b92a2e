// Package notify tells people and machines that something happened, over the channels that a workspace has set up:
// e-mail, webhook, Alertmanager, Slack, Discord, Teams, Telegram, PagerDuty, Opsgenie, Pushover, ntfy, Matrix, Mattermost, web push.
//
// A channel is an Alertmanager notifier: it gets the alerts of one group and says whether a failure is worth another try.
// Every attempt is in the delivery log. Addresses and tokens of channels are sealed; what leaves goes through
// platform/egress, which refuses private addresses.
//
// The wire formats are written here and not taken from Alertmanager's receivers: those do not wait as long as a provider
// asks (Retry-After), put a provider's answer into the error as it came, which may repeat a token, and fill templates of
// their own; with one way to send, fourteen kinds log, retry and keep quiet about secrets alike.
package notify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/alertmanager/alert"
	"github.com/prometheus/alertmanager/notify"

	"github.com/kept-dev/kept/internal/core/mail"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/egress"
	"github.com/kept-dev/kept/internal/platform/seal"
	"github.com/kept-dev/kept/internal/ui"
)

// Deps is what the module needs.
type Deps struct {
	DB      *db.DB
	UI      *ui.UI // nil: no pages
	Keys    *seal.Keys
	Mail    *mail.Module // nil: no channels of kind email
	Out     *egress.Client
	BaseURL func() string
	Clock   kernel.Clock
	Logger  *slog.Logger
	// Audit writes a change to the audit log of the workspace that the request is in.
	Audit func(ctx context.Context, action, target, detail string) error
}

// Module is the channels.
type Module struct {
	d     Deps
	db    *db.DB
	pages *ui.Pages
	links func(ctx context.Context, ws kernel.WorkspaceID, a *alert.Alert) Links
	hosts map[string]string // of providers, in place of the real ones; for tests
	wait  func(ctx context.Context, d time.Duration) error

	refused    atomic.Int64 // requests to hosts that their channel does not name
	forwarded  forwarded
	background background
}

// New makes the module.
func New(d Deps) (*Module, error) {
	if d.DB == nil || d.Keys == nil {
		return nil, errors.New("notify: DB and Keys are needed")
	}
	if d.Clock == nil {
		d.Clock = kernel.SystemClock
	}
	if d.Logger == nil {
		d.Logger = slog.Default()
	}
	if d.Out == nil {
		d.Out = egress.New(egress.Config{})
	}
	if d.BaseURL == nil {
		d.BaseURL = func() string { return "" }
	}
	m := &Module{d: d, db: d.DB, wait: sleep}
	m.links = m.plainLinks
	if d.UI != nil {
		var err error
		if m.pages, err = d.UI.Pages(templates, "templates/*.html"); err != nil {
			return nil, fmt.Errorf("notify: %w", err)
		}
	}
	return m, nil
}

// Name implements app.Module.
func (m *Module) Name() string { return "notify" }

// Links are the pages that a message about an alert leads to. Empty ones are left out.
type Links struct {
	Page    string // about the alert
	Silence string // where it can be silenced
	Ack     string // where it can be acknowledged
}

// UseLinks says where messages about an alert lead to. It must be called before Start.
func (m *Module) UseLinks(f func(ctx context.Context, ws kernel.WorkspaceID, a *alert.Alert) Links) {
	m.links = f
}

// plainLinks leads to the page that the alert names, if it is one of ours; there it can be acknowledged, too.
func (m *Module) plainLinks(_ context.Context, ws kernel.WorkspaceID, a *alert.Alert) Links {
	home := m.url(ws, "/alerts")
	if id, ok := strings.CutPrefix(a.GeneratorURL, home+"/a/"); ok && kernel.ValidID(id) {
		return Links{Page: a.GeneratorURL, Silence: home + "/silences/new?alert=" + id}
	}
	return Links{Page: home}
}

func (m *Module) url(ws kernel.WorkspaceID, path string) string {
	return strings.TrimSuffix(m.d.BaseURL(), "/") + "/w/" + string(ws) + path
}

// Annotations with these names say more about an alert than Prometheus has a place for.
const (
	AnnotationValue = "value"       // what was measured: "93.2 %"
	AnnotationWhy   = "explanation" // what stood behind it at that moment, a line for each fact
	AnnotationAcked = "acked_by"    // who has acknowledged it; empty: nobody
)

// Channels lists a workspace's channels by name.
func (m *Module) Channels(ctx context.Context, ws kernel.WorkspaceID) ([]Channel, error) {
	return m.list(ctx, ws)
}

// Notifier is a channel as Alertmanager's pipeline wants it. The group's key, labels and receiver come in the context, as
// package notify of Alertmanager puts them there. NotFound when there is no such channel any more. It reads the channel's
// settings at each attempt, so it may be kept: a channel that was turned off or deleted since fails for good.
func (m *Module) Notifier(ctx context.Context, ws kernel.WorkspaceID, id kernel.ID) (notify.Notifier, error) {
	if _, err := m.Channel(ctx, ws, id); err != nil {
		return nil, err
	}
	return &notifier{m: m, ws: ws, id: id, reason: reasonAlert}, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
