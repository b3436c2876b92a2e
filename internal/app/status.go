package app

import "github.com/kept-dev/kept/internal/core/status"

// buildStatus makes the status pages.
func (a *App) buildStatus() (err error) {
	c := &a.core
	c.status, err = status.New(status.Deps{
		DB: a.control, UI: a.ui, Keys: a.keys, Mail: c.mail, Alerts: c.alert, BaseURL: a.BaseURL, Clock: a.clock, Logger: a.logger, Audit: a.auditActor,
	})
	if err == nil {
		a.modules = append(a.modules, mounted{c.status, a.control})
	}
	return err
}
