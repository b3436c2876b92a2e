package main

import (
	"context"

	"github.com/kept-dev/kept/internal/app"
	"github.com/kept-dev/kept/internal/platform/config"
)

type auditCmd struct {
	config.Config
	Chain string `help:"Print this chain as JSON: instance, or the id of a workspace." placeholder:"CHAIN"`
}

// Run verifies the audit log; a broken chain makes the command fail.
func (c *auditCmd) Run(ctx context.Context, w out) error {
	return app.Audit(ctx, c.Config, c.Chain, w)
}
