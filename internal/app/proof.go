package app

import "github.com/kept-dev/kept/internal/core/proof"

// buildProof makes the ways of proving who one is.
func (a *App) buildProof() (err error) {
	a.core.proof, err = proof.New(proof.Deps{
		DB: a.control, UI: a.ui, Identity: a.core.identity, Seal: a.keys.Instance(), BaseURL: a.BaseURL(), Clock: a.clock, Logger: a.logger,
	})
	return err
}
