package workspace

import (
	"context"

	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/httpx"
)

// Admit refuses a member without a second factor where the workspace demands one. Whoever signed in with one this time
// (a.Strong) has one; others are asked for in the book.
func (m *Module) Admit(ctx context.Context, a httpx.Actor, w Workspace) error {
	if !w.DemandFactor || a.Strong {
		return nil
	}
	has, err := m.hasFactor(ctx, a.AccountID)
	if err == nil && !has {
		err = kernel.Errorf(kernel.Forbidden, "The workspace %q lets in only people with a second factor. "+
			"Set up an authenticator app or a passkey under Account, Security, and come back.", w.Name)
	}
	return err
}

func (m *Module) hasFactor(ctx context.Context, account kernel.AccountID) (bool, error) {
	if f := m.secondFactor(); f != nil {
		return f.Enrolled(ctx, account)
	}
	return false, nil
}

// DemandFactor says whether only members with a second factor may enter. Whoever demands it must have one: nobody locks
// himself out.
func (m *Module) DemandFactor(ctx context.Context, by httpx.Actor, demand bool) error {
	if demand && !by.Strong {
		has, err := m.hasFactor(ctx, by.AccountID)
		if err != nil {
			return err
		}
		if !has {
			return kernel.InvalidField("demand", "You have no second factor yourself. Set one up first, under Account, Security.")
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
