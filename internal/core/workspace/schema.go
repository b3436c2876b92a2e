package workspace

import (
	"context"
	"time"

	"github.com/kept-dev/kept/internal/core/privacy"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
)

// Migrations is the module's schema. It refers to the accounts of package identity.
func (m *Module) Migrations() []db.Migration { return Migrations() }

// Migrations is the schema of workspaces, for tests of modules that refer to them.
func Migrations() []db.Migration {
	return []db.Migration{{Name: "workspaces and memberships", SQL: `
CREATE TABLE workspaces (
	id TEXT_C NOT NULL PRIMARY KEY,
	name TEXT NOT NULL,
	created_at INTEGER NOT NULL,
	updated_at INTEGER NOT NULL
) END_TABLE;
CREATE TABLE memberships (
	workspace_id TEXT_C NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
	account_id TEXT_C NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
	role TEXT_C NOT NULL,
	created_at INTEGER NOT NULL,
	PRIMARY KEY (workspace_id, account_id)
) END_TABLE;
CREATE INDEX memberships_account ON memberships (account_id);
`}}
}

const controlDB = "control database"

// Collections is the module's part of the data map.
func (m *Module) Collections() []privacy.Collection {
	return []privacy.Collection{{
		Name: "workspaces", Module: "workspace", Title: "Workspaces", Subjects: "organisations of account holders",
		Purpose: "to keep what belongs to different teams apart", LegalBasis: "contract",
		Retention: "until the workspace is erased", Where: controlDB, Promises: []string{"COL-1", "SEC-8"},
		Fields: []privacy.Field{
			{Name: "id", Category: privacy.Technical, Note: "which workspace"},
			{Name: "name", Category: privacy.Settings, Note: "its name, often that of an organisation"},
			{Name: "created_at", Category: privacy.Technical, Note: "when it was made"},
			{Name: "updated_at", Category: privacy.Technical, Note: "when it was renamed last"},
		},
		Oldest: m.oldest("workspaces", "id"), Count: m.count("workspaces", "id"), Export: m.exportWorkspace, Erase: m.erase,
	}, {
		Name: "memberships", Module: "workspace", Title: "Members", Subjects: "account holders",
		Purpose: "to know who may see and change what", LegalBasis: "contract",
		Retention: "until the person leaves, or the workspace is erased", Where: controlDB, Promises: []string{"COL-1", "SEC-8"},
		Fields: []privacy.Field{
			{Name: "workspace_id", Category: privacy.Technical, Note: "of which workspace"},
			{Name: "account_id", Category: privacy.Technical, Note: "who"},
			{Name: "role", Category: privacy.Settings, Note: "what the person may do"},
			{Name: "created_at", Category: privacy.Technical, Note: "since when"},
		},
		Oldest: m.oldest("memberships", "workspace_id"), Count: m.count("memberships", "workspace_id"), Export: m.exportPeople,
		NoErase: "goes with the workspace",
	}}
}

func (m *Module) oldest(table, key string) func(context.Context, kernel.WorkspaceID) (time.Time, error) {
	return func(ctx context.Context, ws kernel.WorkspaceID) (time.Time, error) {
		var us int64
		err := m.db.QueryRow(ctx, `SELECT coalesce(min(created_at), 0) FROM `+table+` WHERE $1 = '' OR `+key+` = $1`, string(ws)).Scan(&us)
		return kernel.FromMicros(us), err
	}
}

func (m *Module) count(table, key string) func(context.Context, kernel.WorkspaceID) (int64, error) {
	return func(ctx context.Context, ws kernel.WorkspaceID) (n int64, err error) {
		err = m.db.QueryRow(ctx, `SELECT count(*) FROM `+table+` WHERE $1 = '' OR `+key+` = $1`, string(ws)).Scan(&n)
		return n, err
	}
}

func (m *Module) exportWorkspace(ctx context.Context, ws kernel.WorkspaceID, item func(any) error) error {
	var name string
	var created, updated int64
	err := m.db.QueryRow(ctx, `SELECT name, created_at, updated_at FROM workspaces WHERE id = $1`, ws).Scan(&name, &created, &updated)
	if err != nil {
		return err
	}
	return item(map[string]any{"id": ws, "name": name, "created_at": kernel.FromMicros(created), "updated_at": kernel.FromMicros(updated)})
}

func (m *Module) exportPeople(ctx context.Context, ws kernel.WorkspaceID, item func(any) error) error {
	people, err := m.People(ctx, ws)
	for _, p := range people {
		if err := item(p); err != nil {
			return err
		}
	}
	return err
}

// erase removes the workspace; members and keys go with it.
func (m *Module) erase(ctx context.Context, ws kernel.WorkspaceID) (n int64, err error) {
	err = m.db.Tx(ctx, func(tx *db.Tx) error {
		m.tellChanged(tx, ws)
		n, err = tx.Exec(ctx, `DELETE FROM workspaces WHERE id = $1`, ws)
		return err
	})
	return n, err
}
