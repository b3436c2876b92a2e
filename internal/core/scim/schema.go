package scim

import (
	"context"

	"github.com/kept-dev/kept/internal/core/privacy"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
)

// Migrations is the module's schema. It refers to the accounts of package identity and to workspaces.
func (m *Module) Migrations() []db.Migration { return Migrations() }

// Migrations is the schema of provisioning, for tests.
func Migrations() []db.Migration {
	return []db.Migration{{Name: "users and groups of directories", SQL: `
CREATE TABLE scim_users (
	id TEXT_C NOT NULL PRIMARY KEY,
	workspace_id TEXT_C NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
	user_name TEXT NOT NULL,
	user_key TEXT_C NOT NULL,
	external_id TEXT_C NOT NULL,
	email TEXT NOT NULL,
	email_key TEXT_C NOT NULL,
	given_name TEXT NOT NULL,
	family_name TEXT NOT NULL,
	display_name TEXT NOT NULL,
	active FLAG NOT NULL,
	managed FLAG NOT NULL,
	account_id TEXT_C REFERENCES accounts (id) ON DELETE SET NULL,
	created_at INTEGER NOT NULL,
	updated_at INTEGER NOT NULL,
	UNIQUE (workspace_id, user_key),
	UNIQUE (workspace_id, email_key)
) END_TABLE;
CREATE INDEX scim_users_account ON scim_users (account_id);
CREATE TABLE scim_groups (
	id TEXT_C NOT NULL PRIMARY KEY,
	workspace_id TEXT_C NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
	display_name TEXT NOT NULL,
	name_key TEXT_C NOT NULL,
	external_id TEXT_C NOT NULL,
	role TEXT_C NOT NULL,
	created_at INTEGER NOT NULL,
	updated_at INTEGER NOT NULL,
	UNIQUE (workspace_id, name_key)
) END_TABLE;
CREATE TABLE scim_members (
	group_id TEXT_C NOT NULL REFERENCES scim_groups (id) ON DELETE CASCADE,
	user_id TEXT_C NOT NULL REFERENCES scim_users (id) ON DELETE CASCADE,
	PRIMARY KEY (group_id, user_id)
) END_TABLE;
CREATE INDEX scim_members_user ON scim_members (user_id);
`}}
}

// Collections is the module's part of the data map.
func (m *Module) Collections() []privacy.Collection {
	promises := []string{"COL-1", "SEC-8"}
	rows := privacy.Table{DB: m.db, Of: "workspace_id", At: "created_at"}
	return []privacy.Collection{rows.Declare(privacy.Collection{
		Name: "scim_users", Module: "scim", Title: "People in an organisation's directory", Subjects: "members of an organisation",
		Purpose:    "to make and end memberships as the organisation's directory says",
		LegalBasis: "contract", Retention: "until the directory deletes the person, or the workspace is erased", Where: privacy.ControlDB, Promises: promises,
		Fields: []privacy.Field{
			{Name: "id", Category: privacy.Technical, Note: "which entry"},
			{Name: "workspace_id", Category: privacy.Technical, Note: "of which workspace"},
			{Name: "user_name", Category: privacy.Identity, Note: "the name that the directory uses, often an address"},
			{Name: "user_key", Category: privacy.Identity, Note: "the same, to compare"},
			{Name: "external_id", Category: privacy.Technical, Note: "the directory's number of the person"},
			{Name: "email", Category: privacy.Identity, Note: "whom to invite"},
			{Name: "email_key", Category: privacy.Identity, Note: "the same, to compare"},
			{Name: "given_name", Category: privacy.Identity, Note: "as the directory has it"},
			{Name: "family_name", Category: privacy.Identity, Note: "as the directory has it"},
			{Name: "display_name", Category: privacy.Identity, Note: "as the directory has it"},
			{Name: "active", Category: privacy.Technical, Note: "whether the person is to have access"},
			{Name: "managed", Category: privacy.Technical, Note: "whether groups decide about the role"},
			{Name: "account_id", Category: privacy.Technical, Note: "which account accepted the invitation"},
			{Name: "created_at", Category: privacy.Technical, Note: "when the entry was made"},
			{Name: "updated_at", Category: privacy.Technical, Note: "when it was changed last"},
		},
		Export: m.exportUsers, NoErase: "goes with the workspace",
	}), rows.Declare(privacy.Collection{
		Name: "scim_groups", Module: "scim", Title: "Groups of an organisation's directory", Subjects: "nobody",
		Purpose: "to give members their role", LegalBasis: "contract", Retention: "until the directory deletes the group, or the workspace is erased",
		Where: privacy.ControlDB, Promises: promises,
		Fields: []privacy.Field{
			{Name: "id", Category: privacy.Technical, Note: "which group"},
			{Name: "workspace_id", Category: privacy.Technical, Note: "of which workspace"},
			{Name: "display_name", Category: privacy.Settings, Note: "its name"},
			{Name: "name_key", Category: privacy.Settings, Note: "the same, to compare"},
			{Name: "external_id", Category: privacy.Technical, Note: "the directory's number of the group"},
			{Name: "role", Category: privacy.Settings, Note: "the role that it gives"},
			{Name: "created_at", Category: privacy.Technical, Note: "when it was made"},
			{Name: "updated_at", Category: privacy.Technical, Note: "when it was changed last"},
		},
		Export: m.exportGroups, NoErase: "goes with the workspace",
	}), {
		Name: "scim_members", Module: "scim", Title: "Who is in which group of a directory", Subjects: "members of an organisation",
		Purpose: "to give members their role", LegalBasis: "contract", Retention: "as long as the group and the person", Where: privacy.ControlDB, Promises: promises,
		Fields: []privacy.Field{
			{Name: "group_id", Category: privacy.Technical, Note: "which group"},
			{Name: "user_id", Category: privacy.Technical, Note: "which person"},
		},
		Count: func(ctx context.Context, ws kernel.WorkspaceID) (n int64, err error) {
			err = m.db.QueryRow(ctx, `SELECT count(*) FROM scim_members m JOIN scim_groups g ON g.id = m.group_id WHERE $1 = '' OR g.workspace_id = $1`, string(ws)).Scan(&n)
			return n, err
		},
		NoExport: "each group is exported with its members", NoErase: "goes with the workspace",
	}}
}

func (m *Module) exportUsers(ctx context.Context, ws kernel.WorkspaceID, item func(any) error) error {
	users, err := usersOf(ctx, m.db, ws)
	if err != nil {
		return err
	}
	for _, u := range users {
		if err := item(m.userJSON(u, nil)); err != nil {
			return err
		}
	}
	return nil
}

func (m *Module) exportGroups(ctx context.Context, ws kernel.WorkspaceID, item func(any) error) error {
	groups, err := groupsOf(ctx, m.db, ws)
	if err != nil {
		return err
	}
	members, err := membersOf(ctx, m.db, ws)
	if err != nil {
		return err
	}
	for _, g := range groups {
		doc := m.groupJSON(g, members[g.ID])
		doc["role"] = g.Role
		if err := item(doc); err != nil {
			return err
		}
	}
	return nil
}
