// Package notify tells people and machines that something happened, over the channels that a workspace has set up:
// e-mail, webhook, Slack, Discord, Teams, Telegram, PagerDuty, Opsgenie, Pushover, ntfy, Matrix, Mattermost, web push.
//
// A channel is an Alertmanager notifier: it gets the alerts of one group and says whether a failure is worth another try.
// Every attempt is in the delivery log. Addresses and tokens of channels are sealed; what leaves goes through
// platform/egress, which refuses private addresses.
package notify

import (
	"context"
	"errors"
	"log/slog"

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
	UI      *ui.UI
	Keys    *seal.Keys
	Mail    *mail.Module
	Out     *egress.Client
	BaseURL func() string
	Clock   kernel.Clock
	Logger  *slog.Logger
	// Audit writes a change to the audit log of the workspace that the request is in.
	Audit func(ctx context.Context, action, target, detail string) error
}

// Module is the channels.
type Module struct{ d Deps }

// New makes the module.
func New(d Deps) (*Module, error) {
	if d.DB == nil {
		return nil, errors.New("notify: DB is needed")
	}
	return &Module{d: d}, nil
}

// Name implements app.Module.
func (m *Module) Name() string { return "notify" }

// Channel is one way out of a workspace.
type Channel struct {
	ID       kernel.ID
	Name     string // "On-call Slack"; unique in the workspace
	Kind     string // "slack"
	Resolved bool   // also says when it is over
}

// Channels lists a workspace's channels by name.
func (m *Module) Channels(context.Context, kernel.WorkspaceID) ([]Channel, error) { return nil, nil }

// Notifier is a channel as Alertmanager's pipeline wants it. The group's key, labels and receiver come in the context, as
// package notify of Alertmanager puts them there. NotFound when there is no such channel any more.
func (m *Module) Notifier(context.Context, kernel.WorkspaceID, kernel.ID) (notify.Notifier, error) {
	return nil, kernel.Errorf(kernel.NotFound, "There is no such channel.")
}
