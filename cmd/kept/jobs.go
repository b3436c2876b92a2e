package main

import (
	"context"
	"fmt"
	"time"

	"github.com/kept-dev/kept/internal/app"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/config"
)

type jobsCmd struct {
	Rebuild rebuildCmd `cmd:"" help:"Make the job index again from the event log, also beside a running server."`
}

type rebuildCmd struct {
	config.Config
}

// Run tells of each workspace when it is done.
func (c *rebuildCmd) Run(ctx context.Context, w out) error {
	start := time.Now()
	return app.RebuildJobs(ctx, c.Config, func(ws kernel.WorkspaceID, events int64) {
		fmt.Fprintf(w, "%s  %d events folded after %s\n", ws, events, time.Since(start).Round(time.Millisecond))
	})
}
