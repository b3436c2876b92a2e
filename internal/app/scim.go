package app

import "github.com/kept-dev/kept/internal/core/scim"

// buildSCIM makes provisioning.
func (a *App) buildSCIM() (err error) {
	a.core.scim, err = scim.New(scim.Deps{
		DB: a.control, UI: a.ui, Identity: a.core.identity, Workspaces: a.core.workspaces, Access: a.core.access,
		BaseURL: a.BaseURL(), Clock: a.clock, Logger: a.logger,
	})
	return err
}
