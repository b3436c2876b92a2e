package main

import (
	"context"

	"github.com/kept-dev/kept/internal/app"
	"github.com/kept-dev/kept/internal/platform/config"
)

type demoCmd struct {
	Addr string `help:"Address to listen on; port 0 takes a free one." default:"127.0.0.1:8080" placeholder:"HOST:PORT"`
	Data string `help:"Directory to keep the demo's data in; a temporary one if not given." placeholder:"DIR"`
}

// Run shows what Kept does with jobs that really run.
func (c *demoCmd) Run(ctx context.Context, w out) error {
	cfg := config.Default()
	cfg.Addr, cfg.LogLevel = c.Addr, "warn"
	if c.Data != "" {
		cfg.Data = c.Data
	}
	return app.RunDemo(ctx, cfg, c.Data == "", w)
}
