package app

import (
	"context"

	"github.com/kept-dev/kept/internal/core/status"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/config"
)

// buildStatus makes the status pages.
func (a *App) buildStatus() (err error) {
	c := &a.core
	c.status, err = status.New(status.Deps{
		DB: a.control, UI: a.ui, Keys: a.keys, Queue: a.queue, Mail: c.mail, Hooks: c.notify, Alerts: c.alert, Server: kernel.WorkspaceID(a.cfg.StatusWorkspace), Owners: c.workspaces,
		BaseURL: a.BaseURL, Clock: a.clock, Logger: a.logger, Audit: a.auditActor,
	})
	if err == nil {
		a.modules = append(a.modules, mounted{c.status, a.control})
	}
	return err
}

// PublishNotice publishes a notice about the server, beside a running server, which sends the mail.
func PublishNotice(ctx context.Context, cfg config.Config, n status.Notice, text string, options ...Option) (out status.Notice, err error) {
	err = beside(ctx, cfg, options, func(a *App) error {
		out, err = a.core.status.PublishServer(ctx, n, text)
		return err
	})
	return out, err
}

// UpdateNotice adds an update to a notice about the server; an empty state ends it.
func UpdateNotice(ctx context.Context, cfg config.Config, id kernel.ID, state, text string, options ...Option) error {
	return beside(ctx, cfg, options, func(a *App) error { return a.core.status.TellServer(ctx, id, state, text) })
}

// OpenNotices lists the notices about the server that last.
func OpenNotices(ctx context.Context, cfg config.Config, options ...Option) (out []status.Notice, err error) {
	err = beside(ctx, cfg, options, func(a *App) error {
		out, err = a.core.status.OpenServer(ctx)
		return err
	})
	return out, err
}
