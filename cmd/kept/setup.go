package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/kept-dev/kept/internal/app"
	"github.com/kept-dev/kept/internal/core/access"
	"github.com/kept-dev/kept/internal/platform/config"
)

type setupCmd struct {
	config.Config
	Email     string        `help:"Address of the owner; it counts as verified." required:"" placeholder:"ADDRESS"`
	Password  config.Secret `help:"Password of the owner." secret:"true" required:"" placeholder:"PASSWORD"`
	Workspace string        `help:"Name of the workspace." default:"Main" placeholder:"NAME"`
	JSON      bool          `name:"json" help:"Print JSON."`
}

// Run prints the key, which is shown nowhere else.
func (c *setupCmd) Run(ctx context.Context, w out) error {
	res, err := app.Setup(ctx, c.Config, access.Setup{Email: c.Email, Password: c.Password.Text(), Workspace: c.Workspace})
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(w).Encode(res)
	}
	_, err = fmt.Fprintf(w, "workspace  %s\nAPI key    %s\n\nThe key is shown only here. Sign in as %s.\n", res.WorkspaceID, res.APIKey, c.Email)
	return err
}
