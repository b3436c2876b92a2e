package main

import (
	"context"
	"fmt"
	"time"

	"github.com/kept-dev/kept/internal/app"
	"github.com/kept-dev/kept/internal/core/privacy"
	"github.com/kept-dev/kept/internal/platform/config"
)

type announceCmd struct {
	config.Config
	Name    string    `help:"Name of the subprocessor, as the settings will have it." required:"" placeholder:"NAME"`
	Purpose string    `help:"What it does." required:"" placeholder:"TEXT"`
	Sees    string    `help:"Which data it sees." required:"" placeholder:"TEXT"`
	Country string    `help:"Where it works." placeholder:"NAME"`
	From    time.Time `help:"First day of its use, at least 30 days away." required:"" format:"2006-01-02" placeholder:"YYYY-MM-DD"`
}

// Run mails the owners of all workspaces.
func (c *announceCmd) Run(ctx context.Context, w out) error {
	p := privacy.Processor{Name: c.Name, Purpose: c.Purpose, Data: c.Sees, Country: c.Country}
	if err := app.AnnounceProcessor(ctx, c.Config, p, c.From); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "The owners of all workspaces are told that %s will be used from %s on.\n", c.Name, c.From.Format(time.DateOnly))
	return err
}
