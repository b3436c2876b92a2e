package access

import (
	"context"

	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/kernel"
)

// Setup is what `kept setup` is told.
type Setup struct {
	Email, Password string
	Workspace       string // its name
}

// SetupResult is what there is afterwards.
type SetupResult struct {
	AccountID   kernel.AccountID   `json:"account_id"`
	WorkspaceID kernel.WorkspaceID `json:"workspace_id"`
	APIKey      string             `json:"api_key"`
	Created     bool               `json:"created"` // the account is new
}

// Setup makes a verified owner, a workspace and an API key for everything. It can be run again: an account with that
// address and password and a workspace of that name that it owns are taken as they are, and the key is a new one each
// time. An account with another password is Conflict, and nothing is made.
func (m *Module) Setup(ctx context.Context, in Setup) (out SetupResult, err error) {
	account, created, err := m.d.Identity.EnsureAccount(ctx, in.Email, in.Password)
	if err != nil {
		return out, err
	}
	by := audit.Actor{Kind: "account", ID: account.ID, Label: account.Email}
	ws, found, err := m.d.Workspaces.Owned(ctx, account.ID, in.Workspace)
	if err == nil && !found {
		ws, err = m.d.Workspaces.Create(ctx, by, in.Workspace)
	}
	if err != nil {
		return out, err
	}
	_, key, err := m.CreateKey(ctx, by, ws.ID, NewKey{Name: "kept setup", Scopes: Scopes()})
	return SetupResult{AccountID: account.ID, WorkspaceID: ws.ID, APIKey: key, Created: created}, err
}
