// Package scim lets an organisation's directory look after the members of its workspace (SCIM 2.0, RFC 7643 and 7644):
// users become invitations and memberships, groups become roles.
package scim

import (
	"errors"
	"log/slog"

	"github.com/kept-dev/kept/internal/core/identity"
	"github.com/kept-dev/kept/internal/core/workspace"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/ui"
)

// Deps is what the module needs.
type Deps struct {
	DB         *db.DB
	UI         *ui.UI // nil: no pages
	Identity   *identity.Module
	Workspaces *workspace.Module
	BaseURL    string
	Clock      kernel.Clock
	Logger     *slog.Logger
}

// Module is provisioning.
type Module struct {
	d  Deps
	db *db.DB
}

// New builds the module.
func New(d Deps) (*Module, error) {
	if d.DB == nil || d.Identity == nil || d.Workspaces == nil {
		return nil, errors.New("scim: DB, Identity and Workspaces are needed")
	}
	if d.Clock == nil {
		d.Clock = kernel.SystemClock
	}
	if d.Logger == nil {
		d.Logger = slog.Default()
	}
	return &Module{d: d, db: d.DB}, nil
}

// Name names the module in the schema table and the data map.
func (m *Module) Name() string { return "scim" }
