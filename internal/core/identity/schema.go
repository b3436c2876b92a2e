package identity

import "github.com/kept-dev/kept/internal/platform/db"

// Migrations is the module's schema.
func (m *Module) Migrations() []db.Migration { return Migrations() }

// Migrations is the schema of accounts and logins, for tests of modules that refer to them.
func Migrations() []db.Migration {
	return []db.Migration{accountsAndLogins, devicesAndFlows}
}

var accountsAndLogins = db.Migration{Name: "accounts, logins, mailed tokens, failed attempts", SQL: `
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
`}

var devicesAndFlows = db.Migration{Name: "age, location, devices, unfinished proofs", SQL: `
ALTER TABLE accounts ADD COLUMN age_met INTEGER NOT NULL DEFAULT 0;
ALTER TABLE accounts ADD COLUMN location TEXT NOT NULL DEFAULT '';
ALTER TABLE accounts ADD COLUMN location_source TEXT NOT NULL DEFAULT '';
ALTER TABLE logins ADD COLUMN kind TEXT NOT NULL DEFAULT 'browser';
ALTER TABLE logins ADD COLUMN country TEXT NOT NULL DEFAULT '';
ALTER TABLE logins ADD COLUMN proved_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE logins ADD COLUMN strong FLAG NOT NULL DEFAULT 0;
UPDATE logins SET proved_at = created_at;
CREATE TABLE known_devices (
	account_id TEXT_C NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
	device_hash BYTES NOT NULL,
	country TEXT NOT NULL,
	first_at INTEGER NOT NULL,
	last_at INTEGER NOT NULL,
	PRIMARY KEY (account_id, device_hash)
) END_TABLE;
CREATE INDEX known_devices_last ON known_devices (last_at);
CREATE TABLE identity_flows (
	id TEXT_C NOT NULL PRIMARY KEY,
	kind TEXT_C NOT NULL,
	token_hash BYTES NOT NULL UNIQUE,
	account_id TEXT_C REFERENCES accounts (id) ON DELETE CASCADE,
	login_id TEXT_C REFERENCES logins (id) ON DELETE CASCADE,
	sealed BYTES NOT NULL,
	tries INTEGER NOT NULL,
	created_at INTEGER NOT NULL,
	expires_at INTEGER NOT NULL
) END_TABLE;
CREATE INDEX identity_flows_account ON identity_flows (account_id);
CREATE INDEX identity_flows_login ON identity_flows (login_id);
CREATE INDEX identity_flows_expiry ON identity_flows (expires_at);
`}
