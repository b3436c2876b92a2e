package workspace

import (
	"context"

	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/httpx"
)

// Admit refuses a member without a second factor where the workspace demands one. Whoever proved it in this login
// (a.Strong) has one, and so has whoever is asked for a code at every sign-in. A passkey counts when it is used: its owner
// may still sign in with a password alone. A personal token was made by somebody who was admitted, so there having one is
// enough; a mobile app's token is worth what its sign-in was.
func (m *Module) Admit(ctx context.Context, a httpx.Actor, w Workspace) error {
	if !w.DemandFactor || a.Strong {
		return nil
	}
	app, passkey, err := m.factorsOf(ctx, a.AccountID)
	switch {
	case err != nil:
		return err
	case app || passkey && a.TokenID != "" && a.LoginID == "":
		return nil
	case passkey:
		return kernel.Errorf(kernel.Forbidden, "The workspace %q lets in only people who prove a second factor. Sign in with your passkey, and come back.", w.Name)
	}
	return kernel.Errorf(kernel.Forbidden, "The workspace %q lets in only people with a second factor. "+
		"Set up a passkey or an authenticator app under Account, Security, and come back.", w.Name)
}

func (m *Module) factorsOf(ctx context.Context, account kernel.AccountID) (app, passkey bool, err error) {
	f := m.secondFactor()
	if f == nil {
		return false, false, nil
	}
	if app, err = f.Enrolled(ctx, account); err == nil {
		passkey, err = f.HasPasskey(ctx, account)
	}
	return app, passkey, err
}

func (m *Module) hasFactor(ctx context.Context, account kernel.AccountID) (bool, error) {
	app, passkey, err := m.factorsOf(ctx, account)
	return app || passkey, err
}

// DemandFactor says whether only members with a second factor may enter. Whoever demands it must have one: nobody locks
// himself out.
func (m *Module) DemandFactor(ctx context.Context, by httpx.Actor, demand bool) error {
	if demand {
		err := m.Admit(ctx, by, Workspace{Name: by.Workspace, DemandFactor: true})
		if kernel.CodeOf(err) == kernel.Forbidden {
			return kernel.InvalidField("demand", "You would lock yourself out: set up a second factor first, under Account, Security, and sign in with it.")
		}
		if err != nil {
			return err
		}
	}
	value, detail := 0, "not demanded"
	if demand {
		value, detail = 1, "demanded"
	}
	return m.db.Tx(ctx, func(tx *db.Tx) error {
		if _, err := hold(ctx, tx, by.WorkspaceID); err != nil {
			return err
		}
		if err := mustOwn(ctx, tx, by.WorkspaceID, audit.ActorOf(by)); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE workspaces SET demand_factor = $2 WHERE id = $1`, by.WorkspaceID, value); err != nil {
			return err
		}
		m.tellChanged(tx, by.WorkspaceID)
		return audit.Record(ctx, tx, audit.Event{WorkspaceID: by.WorkspaceID, Action: "workspace.demand_factor",
			Target: "workspace:" + string(by.WorkspaceID), Detail: detail})
	})
}
