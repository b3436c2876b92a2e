package workspace

import "github.com/kept-dev/kept/internal/platform/db"

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
`}, {Name: "apps of members, invitations, transfers of ownership, demanded second factor", SQL: `
ALTER TABLE workspaces ADD COLUMN demand_factor FLAG NOT NULL DEFAULT 0;
ALTER TABLE memberships ADD COLUMN apps TEXT NOT NULL DEFAULT '';
ALTER TABLE memberships ADD COLUMN source TEXT NOT NULL DEFAULT '';
CREATE TABLE invitations (
	id TEXT_C NOT NULL PRIMARY KEY,
	workspace_id TEXT_C NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
	email TEXT NOT NULL,
	email_key TEXT_C NOT NULL,
	role TEXT_C NOT NULL,
	apps TEXT NOT NULL,
	token_hash BYTES NOT NULL UNIQUE,
	invited_by TEXT_C REFERENCES accounts (id) ON DELETE SET NULL,
	source TEXT_C NOT NULL,
	sent INTEGER NOT NULL,
	created_at INTEGER NOT NULL,
	sent_at INTEGER NOT NULL,
	expires_at INTEGER NOT NULL,
	UNIQUE (workspace_id, email_key)
) END_TABLE;
CREATE INDEX invitations_by ON invitations (invited_by);
CREATE INDEX invitations_to ON invitations (email_key);
CREATE INDEX invitations_sent ON invitations (sent_at);
CREATE TABLE ownership_transfers (
	workspace_id TEXT_C NOT NULL PRIMARY KEY REFERENCES workspaces (id) ON DELETE CASCADE,
	to_account TEXT_C NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
	from_account TEXT_C NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
	created_at INTEGER NOT NULL,
	expires_at INTEGER NOT NULL
) END_TABLE;
CREATE INDEX transfers_to ON ownership_transfers (to_account);
CREATE INDEX transfers_from ON ownership_transfers (from_account);
`}}
}
