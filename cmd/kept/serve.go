package main

import (
	"context"

	"github.com/kept-dev/kept/internal/app"
	"github.com/kept-dev/kept/internal/platform/config"
)

type serveCmd struct {
	config.Config
}

// Run serves until the process is told to stop.
func (c *serveCmd) Run(ctx context.Context) error { return app.Run(ctx, c.Config) }
