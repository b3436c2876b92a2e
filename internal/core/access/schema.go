package access

import "github.com/kept-dev/kept/internal/platform/db"

// Migrations is the module's schema. It refers to workspaces and accounts.
func (m *Module) Migrations() []db.Migration { return Migrations() }

// Migrations is the schema of API keys and tokens, for tests of other modules.
func Migrations() []db.Migration {
	return []db.Migration{apiKeys, tokensOfPeople, keysOfHosts}
}

var apiKeys = db.Migration{Name: "API keys", SQL: `
CREATE TABLE api_keys (
	id TEXT_C NOT NULL PRIMARY KEY,
	workspace_id TEXT_C NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
	name TEXT NOT NULL,
	prefix TEXT_C NOT NULL,
	key_hash BYTES NOT NULL UNIQUE,
	scopes TEXT_C NOT NULL,
	created_by TEXT_C REFERENCES accounts (id) ON DELETE SET NULL,
	created_at INTEGER NOT NULL,
	last_used_at INTEGER NOT NULL,
	revoked_at INTEGER NOT NULL
) END_TABLE;
CREATE INDEX api_keys_workspace ON api_keys (workspace_id);
CREATE INDEX api_keys_created_by ON api_keys (created_by);
`}

// A personal token refers to the membership that it draws on, so leaving a workspace ends it in the same breath, whoever
// or whatever removes the member. A mobile token refers to the login that it belongs to.
var tokensOfPeople = db.Migration{Name: "expiry and rotation of keys; tokens of people", SQL: `
ALTER TABLE api_keys ADD COLUMN expires_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE api_keys ADD COLUMN replaces TEXT NOT NULL DEFAULT '';
CREATE INDEX api_keys_replaces ON api_keys (replaces);
CREATE TABLE personal_tokens (
	id TEXT_C NOT NULL PRIMARY KEY,
	account_id TEXT_C NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
	workspace_id TEXT_C NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
	name TEXT NOT NULL,
	prefix TEXT_C NOT NULL,
	token_hash BYTES NOT NULL UNIQUE,
	scopes TEXT_C NOT NULL,
	created_at INTEGER NOT NULL,
	expires_at INTEGER NOT NULL,
	last_used_at INTEGER NOT NULL,
	revoked_at INTEGER NOT NULL,
	FOREIGN KEY (workspace_id, account_id) REFERENCES memberships (workspace_id, account_id) ON DELETE CASCADE
) END_TABLE;
CREATE INDEX personal_tokens_account ON personal_tokens (account_id);
CREATE INDEX personal_tokens_member ON personal_tokens (workspace_id, account_id);
CREATE TABLE mobile_tokens (
	refresh_hash BYTES NOT NULL PRIMARY KEY,
	login_id TEXT_C NOT NULL REFERENCES logins (id) ON DELETE CASCADE,
	access_hash BYTES NOT NULL UNIQUE,
	access_until INTEGER NOT NULL,
	used_at INTEGER NOT NULL,
	created_at INTEGER NOT NULL
) END_TABLE;
CREATE INDEX mobile_tokens_login ON mobile_tokens (login_id);
`}

// A certificate stands for a key. Nobody issues it: what is stored is a hash of its public key.
var keysOfHosts = db.Migration{Name: "keys of hosts; client certificates", SQL: `
ALTER TABLE api_keys ADD COLUMN of_host FLAG NOT NULL DEFAULT 0;
CREATE TABLE key_certificates (
	pin BYTES NOT NULL PRIMARY KEY,
	workspace_id TEXT_C NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
	key_id TEXT_C NOT NULL REFERENCES api_keys (id) ON DELETE CASCADE,
	created_at INTEGER NOT NULL,
	expires_at INTEGER NOT NULL
) END_TABLE;
CREATE INDEX key_certificates_workspace ON key_certificates (workspace_id);
CREATE INDEX key_certificates_key ON key_certificates (key_id);
`}
