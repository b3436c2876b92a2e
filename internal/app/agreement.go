package app

import (
	"context"
	"time"

	"github.com/kept-dev/kept/internal/core/agreement"
	"github.com/kept-dev/kept/internal/core/privacy"
	"github.com/kept-dev/kept/internal/platform/config"
)

// buildAgreement makes the data processing agreements.
func (a *App) buildAgreement() (err error) {
	a.core.agreement, err = agreement.New(agreement.Deps{
		DB: a.control, UI: a.ui, Mail: a.core.mail, Workspaces: a.core.workspaces, Operator: a.cfg.Operator,
		Map:        func() *privacy.Map { return privacy.NewMap(a.Collections()) },
		Processors: func() []privacy.Processor { return a.facts().Processors },
		BaseURL:    a.BaseURL(), Clock: a.clock,
	})
	return err
}

// AnnounceProcessor tells the owners of all workspaces of a new subprocessor, beside a running server, which sends the mail.
func AnnounceProcessor(ctx context.Context, cfg config.Config, p privacy.Processor, from time.Time, options ...Option) error {
	return beside(ctx, cfg, options, func(a *App) error { return a.core.agreement.Announce(ctx, p, from) })
}
