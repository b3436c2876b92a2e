package app

import (
	"github.com/kept-dev/kept/internal/core/identity"
	"github.com/kept-dev/kept/internal/core/proof"
)

// buildProof makes the ways of proving who one is, and tells identity of them.
func (a *App) buildProof() (err error) {
	p, err := proof.New(proof.Deps{
		DB: a.control, UI: a.ui, Identity: a.core.identity, Seal: a.keys.Instance(), BaseURL: a.BaseURL(), Clock: a.clock, Logger: a.logger,
	})
	if err != nil {
		return err
	}
	a.core.proof = p
	a.core.identity.Use(p, []identity.Ways{p}, []identity.Eraser{p, a.core.workspaces})
	a.core.workspaces.UseSecondFactor(p)
	a.core.access.Use(p)
	return nil
}
