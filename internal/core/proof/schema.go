package proof

import "github.com/kept-dev/kept/internal/platform/db"

// Migrations is the module's schema.
func (m *Module) Migrations() []db.Migration { return Migrations() }

// Migrations is the schema of passkeys, authenticator apps and recovery codes, for tests of modules beside it.
func Migrations() []db.Migration {
	return []db.Migration{{Name: "passkeys, authenticator apps, recovery codes", SQL: `
CREATE TABLE passkeys (
	id TEXT_C NOT NULL PRIMARY KEY,
	account_id TEXT_C NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
	credential_id BYTES NOT NULL UNIQUE,
	public_key BYTES NOT NULL,
	name TEXT NOT NULL,
	aaguid BYTES NOT NULL,
	transports TEXT_C NOT NULL,
	flags INTEGER NOT NULL,
	sign_count INTEGER NOT NULL,
	created_at INTEGER NOT NULL,
	last_used_at INTEGER NOT NULL
) END_TABLE;
CREATE INDEX passkeys_account ON passkeys (account_id);
CREATE TABLE passkey_users (
	account_id TEXT_C NOT NULL PRIMARY KEY REFERENCES accounts (id) ON DELETE CASCADE,
	handle BYTES NOT NULL UNIQUE
) END_TABLE;
CREATE TABLE totp (
	account_id TEXT_C NOT NULL PRIMARY KEY REFERENCES accounts (id) ON DELETE CASCADE,
	sealed BYTES NOT NULL,
	last_step INTEGER NOT NULL,
	created_at INTEGER NOT NULL
) END_TABLE;
CREATE TABLE recovery_codes (
	account_id TEXT_C NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
	code_hash BYTES NOT NULL,
	used_at INTEGER NOT NULL,
	created_at INTEGER NOT NULL,
	PRIMARY KEY (account_id, code_hash)
) END_TABLE;
`}}
}
