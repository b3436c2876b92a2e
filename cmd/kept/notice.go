package main

import (
	"context"
	"fmt"
	"time"

	"github.com/kept-dev/kept/internal/app"
	"github.com/kept-dev/kept/internal/core/status"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/config"
)

// noticeCmd holds the commands of notices about the server. All of them work beside a running one.
type noticeCmd struct {
	Publish noticePublishCmd `cmd:"" help:"Publish a notice: it is shown to whoever is signed in and mailed to the owners of all workspaces."`
	Update  noticeUpdateCmd  `cmd:"" help:"Say how it goes on; who had hidden the notice sees it again."`
	End     noticeEndCmd     `cmd:"" help:"Say that it is over."`
	List    noticeListCmd    `cmd:"" help:"List the notices that last, with their ids."`
}

type noticePublishCmd struct {
	config.Config
	Kind   string    `help:"What it is: incident, maintenance or security." enum:"incident,maintenance,security" default:"incident" placeholder:"KIND"`
	Title  string    `help:"What it is about, in a few words." required:"" placeholder:"TEXT"`
	Text   string    `help:"What people read." required:"" placeholder:"TEXT"`
	Impact string    `help:"How bad an incident is: minor, major or critical." enum:"minor,major,critical" default:"minor" placeholder:"IMPACT"`
	From   time.Time `help:"When it began or begins; now if not given." placeholder:"2026-05-01T06:00:00Z"`
	To     time.Time `help:"When maintenance is to end." placeholder:"2026-05-01T07:00:00Z"`
}

// Run publishes a notice and prints its id.
func (c *noticePublishCmd) Run(ctx context.Context, w out) error {
	n := status.First(map[string]string{"incident": status.Incident, "maintenance": status.Maintenance, "security": status.Security}[c.Kind])
	n.Title, n.StartsAt, n.EndsAt = c.Title, c.From, c.To
	if n.Kind == status.Incident {
		n.Impact = c.Impact
	}
	if n.StartsAt.IsZero() {
		n.StartsAt = time.Now()
	}
	n, err := app.PublishNotice(ctx, c.Config, n, c.Text)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s\n", n.ID)
	return err
}

type noticeUpdateCmd struct {
	config.Config
	ID    string `arg:"" help:"Which notice; kept notice list says."`
	State string `help:"How far it is: investigating, identified or monitoring; planned or under way; announced." required:"" placeholder:"STATE"`
	Text  string `help:"What people read." required:"" placeholder:"TEXT"`
}

// Run adds an update to a notice.
func (c *noticeUpdateCmd) Run(ctx context.Context) error {
	return app.UpdateNotice(ctx, c.Config, kernel.ID(c.ID), c.State, c.Text)
}

type noticeEndCmd struct {
	config.Config
	ID   string `arg:"" help:"Which notice; kept notice list says."`
	Text string `help:"What people read." required:"" placeholder:"TEXT"`
}

// Run ends a notice.
func (c *noticeEndCmd) Run(ctx context.Context) error {
	return app.UpdateNotice(ctx, c.Config, kernel.ID(c.ID), "", c.Text)
}

type noticeListCmd struct{ config.Config }

// Run prints a line for each notice that lasts.
func (c *noticeListCmd) Run(ctx context.Context, w out) error {
	list, err := app.OpenNotices(ctx, c.Config)
	for _, n := range list {
		if _, err := fmt.Fprintf(w, "%s  %s  %s  %s\n", n.ID, n.Kind, n.State, n.Title); err != nil {
			return err
		}
	}
	return err
}
