package workspace

import (
	"context"

	"github.com/kept-dev/kept/internal/core/privacy"
	"github.com/kept-dev/kept/internal/kernel"
)

// Collections is the module's part of the data map.
func (m *Module) Collections() []privacy.Collection {
	rows := privacy.Table{DB: m.db, Of: "workspace_id", At: "created_at"}
	// Members and keys go with a workspace.
	workspaces := privacy.Table{DB: m.db, Of: "id", At: "created_at", Erasing: m.tellChanged}
	return []privacy.Collection{workspaces.Declare(privacy.Collection{
		Name: "workspaces", Module: "workspace", Title: "Workspaces", Subjects: "organisations of account holders",
		Purpose: "to keep what belongs to different teams apart", LegalBasis: "contract",
		Retention: "until the workspace is erased", Where: privacy.ControlDB, Promises: []string{"COL-1", "SEC-8"},
		Fields: []privacy.Field{
			{Name: "id", Category: privacy.Technical, Note: "which workspace"},
			{Name: "name", Category: privacy.Settings, Note: "its name, often that of an organisation"},
			{Name: "created_at", Category: privacy.Technical, Note: "when it was made"},
			{Name: "updated_at", Category: privacy.Technical, Note: "when it was renamed last"},
			{Name: "demand_factor", Category: privacy.Settings, Note: "whether its members need a second factor"},
		},
		Export: m.exportWorkspace,
	}), rows.Declare(privacy.Collection{
		Name: "memberships", Module: "workspace", Title: "Members", Subjects: "account holders",
		Purpose: "to know who may see and change what", LegalBasis: "contract",
		Retention: "until the person leaves, or the workspace is erased", Where: privacy.ControlDB, Promises: []string{"COL-1", "SEC-8"},
		Fields: []privacy.Field{
			{Name: "workspace_id", Category: privacy.Technical, Note: "of which workspace"},
			{Name: "account_id", Category: privacy.Technical, Note: "who"},
			{Name: "role", Category: privacy.Settings, Note: "what the person may do"},
			{Name: "apps", Category: privacy.Settings, Note: "which apps the person may open; empty is all"},
			{Name: "source", Category: privacy.Technical, Note: "whether a directory made the person a member"},
			{Name: "created_at", Category: privacy.Technical, Note: "since when"},
		},
		Export: privacy.Each(m.People), NoErase: "goes with the workspace",
	}), privacy.Table{DB: m.db, Of: "workspace_id", At: "sent_at"}.Declare(m.invitationsCollection()), rows.Declare(m.transfersCollection())}
}

func (m *Module) invitationsCollection() privacy.Collection {
	return privacy.Collection{
		Name: "invitations", Module: "workspace", Title: "Invitations", Subjects: "people who were invited to a workspace",
		Purpose: "to let people join the workspace that they were invited to", LegalBasis: "legitimate interest",
		Retention: "until it is accepted, declined or revoked, and 30 days after it was mailed last at most", Where: privacy.ControlDB,
		Processor: "the mail server that the operator configured", Promises: []string{"COL-1", "SEC-8"},
		Fields: []privacy.Field{
			{Name: "id", Category: privacy.Technical, Note: "which invitation"},
			{Name: "workspace_id", Category: privacy.Technical, Note: "to which workspace"},
			{Name: "email", Category: privacy.Identity, Note: "the address that it was mailed to"},
			{Name: "email_key", Category: privacy.Identity, Note: "the address in small letters, to find it"},
			{Name: "role", Category: privacy.Settings, Note: "what the person will be allowed"},
			{Name: "apps", Category: privacy.Settings, Note: "which apps the person may open; empty is all"},
			{Name: "token_hash", Category: privacy.Secret, Note: "SHA-256 of the mailed link's 256 random bits"},
			{Name: "invited_by", Category: privacy.Technical, Note: "who invited"},
			{Name: "source", Category: privacy.Technical, Note: "whether a directory made it"},
			{Name: "sent", Category: privacy.Technical, Note: "how often it was mailed"},
			{Name: "created_at", Category: privacy.Technical, Note: "when it was made"},
			{Name: "sent_at", Category: privacy.Technical, Note: "when it was mailed last"},
			{Name: "expires_at", Category: privacy.Technical, Note: "until when it can be accepted"},
		},
		Export: privacy.Each(m.Invitations), NoErase: "goes with the workspace", MaxAge: privacy.Fixed(invitationKept),
	}
}

func (m *Module) transfersCollection() privacy.Collection {
	return privacy.Collection{
		Name: "ownership_transfers", Module: "workspace", Title: "Offered ownerships", Subjects: "account holders",
		Purpose: "to hand a workspace over with the consent of both", LegalBasis: "contract",
		Retention: "until it is answered, 7 days at most", Where: privacy.ControlDB, Promises: []string{"SEC-8"},
		Fields: []privacy.Field{
			{Name: "workspace_id", Category: privacy.Technical, Note: "which workspace"},
			{Name: "to_account", Category: privacy.Technical, Note: "who is to own it"},
			{Name: "from_account", Category: privacy.Technical, Note: "who owns it"},
			{Name: "created_at", Category: privacy.Technical, Note: "when it was offered"},
			{Name: "expires_at", Category: privacy.Technical, Note: "until when it can be accepted"},
		},
		Export: m.exportTransfer, NoErase: "goes with the workspace", MaxAge: privacy.Fixed(transferTTL),
	}
}

func (m *Module) exportWorkspace(ctx context.Context, ws kernel.WorkspaceID, item func(any) error) error {
	var name string
	var created, updated, demand int64
	err := m.db.QueryRow(ctx, `SELECT name, created_at, updated_at, demand_factor FROM workspaces WHERE id = $1`, ws).
		Scan(&name, &created, &updated, &demand)
	if err != nil {
		return err
	}
	return item(map[string]any{"id": ws, "name": name, "created_at": kernel.FromMicros(created), "updated_at": kernel.FromMicros(updated),
		"second_factor_demanded": demand != 0})
}

func (m *Module) exportTransfer(ctx context.Context, ws kernel.WorkspaceID, item func(any) error) error {
	t, ok, err := m.TransferOf(ctx, ws)
	if err != nil || !ok {
		return err
	}
	return item(t)
}
