package main

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/kept-dev/kept/internal/app"
	"github.com/kept-dev/kept/internal/platform/config"
)

type promisesCmd struct {
	config.Config
	JSON bool `name:"json" help:"Print JSON."`
}

// Run checks every promise; a broken one makes the command fail.
func (c *promisesCmd) Run(ctx context.Context, w out) error {
	report, err := app.Promises(ctx, c.Config)
	if err != nil {
		return err
	}
	if c.JSON {
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		err = encoder.Encode(report)
	} else {
		err = report.WriteText(w)
	}
	if err == nil && !report.OK() {
		err = errors.New("not every promise is kept")
	}
	return err
}
