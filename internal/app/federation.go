package app

import "github.com/kept-dev/kept/internal/core/federation"

// buildFederation makes sign-in with providers.
func (a *App) buildFederation() (err error) {
	a.core.federation, err = federation.New(federation.Deps{
		DB: a.control, UI: a.ui, Identity: a.core.identity, Seal: a.keys.Instance(), BaseURL: a.BaseURL(), Clock: a.clock, Logger: a.logger,
	})
	return err
}
