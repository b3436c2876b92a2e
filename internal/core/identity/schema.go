package identity

import "github.com/kept-dev/kept/internal/platform/db"

// Migrations is the module's schema.
func (m *Module) Migrations() []db.Migration { return Migrations() }

// Migrations is the schema of accounts and logins, for tests of modules that refer to them.
func Migrations() []db.Migration {
	return []db.Migration{{Name: "accounts, logins, mailed tokens, failed attempts", SQL: `
CREATE TABLE accounts (
	id TEXT_C NOT NULL PRIMARY KEY,
	email TEXT NOT NULL,
	email_key TEXT_C NOT NULL UNIQUE,
	name TEXT NOT NULL,
	password_hash TEXT NOT NULL,
	password_changed_at INTEGER NOT NULL,
	verified_at INTEGER NOT NULL,
	created_at INTEGER NOT NULL,
	updated_at INTEGER NOT NULL
) END_TABLE;
CREATE TABLE logins (
	id TEXT_C NOT NULL PRIMARY KEY,
	account_id TEXT_C NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
	token_hash BYTES NOT NULL UNIQUE,
	method TEXT_C NOT NULL,
	ip TEXT NOT NULL,
	user_agent TEXT NOT NULL,
	created_at INTEGER NOT NULL,
	last_seen_at INTEGER NOT NULL,
	expires_at INTEGER NOT NULL
) END_TABLE;
CREATE INDEX logins_account ON logins (account_id, last_seen_at);
CREATE INDEX logins_seen ON logins (last_seen_at);
CREATE TABLE identity_tokens (
	id TEXT_C NOT NULL PRIMARY KEY,
	purpose TEXT_C NOT NULL,
	token_hash BYTES NOT NULL UNIQUE,
	account_id TEXT_C REFERENCES accounts (id) ON DELETE CASCADE,
	email TEXT NOT NULL,
	next TEXT NOT NULL,
	created_at INTEGER NOT NULL,
	expires_at INTEGER NOT NULL
) END_TABLE;
CREATE INDEX identity_tokens_account ON identity_tokens (account_id);
CREATE INDEX identity_tokens_expiry ON identity_tokens (expires_at);
CREATE TABLE identity_attempts (
	scope TEXT_C NOT NULL,
	subject_hash BYTES NOT NULL,
	failures INTEGER NOT NULL,
	first_at INTEGER NOT NULL,
	last_at INTEGER NOT NULL,
	PRIMARY KEY (scope, subject_hash)
) END_TABLE;
CREATE INDEX identity_attempts_first ON identity_attempts (first_at);
`}}
}
