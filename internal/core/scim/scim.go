// Package scim lets an organisation's directory look after the members of its workspace (SCIM 2.0, RFC 7643 and 7644):
// users become invitations and memberships, groups become roles.
//
// What the directory says is stored as it says it. Membership follows from that, see settle: a user of the directory is
// invited, and becomes a member when the owner of the address accepts; so a directory can give nobody's account to
// anybody, and learns of no account that it did not know of. It never makes, changes or removes an owner.
package scim

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/kept-dev/kept/internal/core/access"
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
	Access     *access.Module // nil: no page on which keys are made
	BaseURL    string
	Clock      kernel.Clock
	Logger     *slog.Logger
}

// Module is provisioning.
type Module struct {
	d     Deps
	db    *db.DB
	pages *ui.Pages
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
	d.BaseURL = strings.TrimSuffix(d.BaseURL, "/")
	m := &Module{d: d, db: d.DB}
	if d.UI != nil {
		var err error
		if m.pages, err = d.UI.Pages(templates, "templates/*.html"); err != nil {
			return nil, fmt.Errorf("scim: %w", err)
		}
	}
	d.Workspaces.OnJoined(m.joined)
	d.Workspaces.OnLeft(m.left)
	return m, nil
}

// Name names the module in the schema table and the data map.
func (m *Module) Name() string { return "scim" }

// joined notes which account a user of the directory has, in the transaction in which the invitation is accepted: the
// address may change later, and the directory must still be able to end the membership.
func (m *Module) joined(ctx context.Context, tx *db.Tx, ws kernel.WorkspaceID, account kernel.AccountID) error {
	_, err := tx.Exec(ctx, `UPDATE scim_users SET account_id = $2 WHERE workspace_id = $1 AND account_id IS NULL
		AND email_key = (SELECT email_key FROM accounts WHERE id = $2)
		AND NOT EXISTS (SELECT 1 FROM scim_users o WHERE o.workspace_id = $1 AND o.account_id = $2)`, ws, account)
	return err
}

// left forgets it again: should the directory want the person back, the owner of the address is invited anew.
func (m *Module) left(ctx context.Context, tx *db.Tx, ws kernel.WorkspaceID, account kernel.AccountID) error {
	_, err := tx.Exec(ctx, `UPDATE scim_users SET account_id = NULL WHERE workspace_id = $1 AND account_id = $2`, ws, account)
	return err
}
