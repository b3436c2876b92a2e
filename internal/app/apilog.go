package app

import "github.com/kept-dev/kept/internal/core/apilog"

// buildAPILog makes the page on which a workspace sees who used its API.
func (a *App) buildAPILog() (err error) {
	a.core.apilog, err = apilog.New(apilog.Deps{
		Log: a.requests, Access: a.core.access, Workspaces: a.core.workspaces, UI: a.ui, Days: a.cfg.AccessLogDays, Clock: a.clock,
	})
	return err
}
