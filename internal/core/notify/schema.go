package notify

import "github.com/kept-dev/kept/internal/platform/db"

// Migrations is the module's schema. It refers to workspaces and memberships.
func (m *Module) Migrations() []db.Migration { return Migrations() }

// Migrations is the schema of channels, for tests of modules that use them.
func Migrations() []db.Migration {
	// An address that was asked outlives its channel for a while: who asks whom how often must not depend on that.
	return []db.Migration{{Name: "channels and deliveries", SQL: `
CREATE TABLE notify_channels (
	id TEXT_C NOT NULL PRIMARY KEY,
	workspace_id TEXT_C NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
	name TEXT NOT NULL,
	name_key TEXT_C NOT NULL,
	kind TEXT_C NOT NULL,
	resolved FLAG NOT NULL,
	sealed BYTES NOT NULL,
	failures INTEGER NOT NULL,
	disabled_at INTEGER NOT NULL,
	disabled_why TEXT_C NOT NULL,
	not_before INTEGER NOT NULL,
	created_at INTEGER NOT NULL,
	updated_at INTEGER NOT NULL,
	UNIQUE (workspace_id, name_key)
) END_TABLE;
CREATE TABLE notify_addresses (
	id TEXT_C NOT NULL PRIMARY KEY,
	workspace_id TEXT_C NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
	channel_id TEXT_C NOT NULL,
	address_tag BYTES NOT NULL,
	sealed BYTES NOT NULL,
	token_hash BYTES NOT NULL UNIQUE,
	asked_at INTEGER NOT NULL,
	confirmed_at INTEGER NOT NULL
) END_TABLE;
CREATE INDEX notify_addresses_workspace ON notify_addresses (workspace_id, asked_at);
CREATE INDEX notify_addresses_channel ON notify_addresses (channel_id, address_tag);
CREATE INDEX notify_addresses_asked ON notify_addresses (address_tag, asked_at);
CREATE TABLE notify_browsers (
	id TEXT_C NOT NULL PRIMARY KEY,
	workspace_id TEXT_C NOT NULL,
	channel_id TEXT_C NOT NULL REFERENCES notify_channels (id) ON DELETE CASCADE,
	account_id TEXT_C NOT NULL,
	endpoint_tag BYTES NOT NULL,
	sealed BYTES NOT NULL,
	created_at INTEGER NOT NULL,
	UNIQUE (channel_id, endpoint_tag),
	FOREIGN KEY (workspace_id, account_id) REFERENCES memberships (workspace_id, account_id) ON DELETE CASCADE
) END_TABLE;
CREATE INDEX notify_browsers_member ON notify_browsers (workspace_id, account_id);
CREATE TABLE notify_threads (
	channel_id TEXT_C NOT NULL REFERENCES notify_channels (id) ON DELETE CASCADE,
	group_tag BYTES NOT NULL,
	workspace_id TEXT_C NOT NULL,
	sealed BYTES NOT NULL,
	created_at INTEGER NOT NULL,
	updated_at INTEGER NOT NULL,
	PRIMARY KEY (channel_id, group_tag)
) END_TABLE;
CREATE INDEX notify_threads_workspace ON notify_threads (workspace_id, updated_at);
CREATE TABLE notify_deliveries (
	id TEXT_C NOT NULL PRIMARY KEY,
	workspace_id TEXT_C NOT NULL,
	channel_id TEXT_C NOT NULL REFERENCES notify_channels (id) ON DELETE CASCADE,
	notice BYTES NOT NULL,
	reason TEXT_C NOT NULL,
	state TEXT_C NOT NULL,
	firing INTEGER NOT NULL,
	resolved INTEGER NOT NULL,
	attempts INTEGER NOT NULL,
	created_at INTEGER NOT NULL,
	updated_at INTEGER NOT NULL,
	sealed BYTES NOT NULL,
	UNIQUE (channel_id, notice)
) END_TABLE;
CREATE INDEX notify_deliveries_workspace ON notify_deliveries (workspace_id, id);
CREATE INDEX notify_deliveries_channel ON notify_deliveries (channel_id, id);
CREATE INDEX notify_deliveries_created ON notify_deliveries (created_at);
CREATE TABLE notify_attempts (
	delivery_id TEXT_C NOT NULL REFERENCES notify_deliveries (id) ON DELETE CASCADE,
	n INTEGER NOT NULL,
	workspace_id TEXT_C NOT NULL,
	at INTEGER NOT NULL,
	duration_us INTEGER NOT NULL,
	status INTEGER NOT NULL,
	outcome TEXT_C NOT NULL,
	sealed BYTES NOT NULL,
	PRIMARY KEY (delivery_id, n)
) END_TABLE;
CREATE INDEX notify_attempts_at ON notify_attempts (at);
CREATE INDEX notify_attempts_workspace ON notify_attempts (workspace_id);
`}, {Name: "deleted channels can be brought back", SQL: `
ALTER TABLE notify_channels ADD COLUMN deleted_at INTEGER NOT NULL DEFAULT 0;
CREATE INDEX notify_channels_deleted ON notify_channels (deleted_at);
`}}
}
