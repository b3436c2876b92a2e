package alert

import "github.com/kept-dev/kept/internal/platform/db"

// Migrations is the module's schema. It refers to workspaces and accounts.
func (m *Module) Migrations() []db.Migration { return Migrations() }

// Migrations is the schema of rules, alerts and routing, for tests of other modules.
//
// alert_workspaces says what has to run: rev counts every change of rules and routing, so one look at this table tells an
// instance what is new; holder and lease_until say which instance evaluates, and status is what it last found, for the
// others to show.
func Migrations() []db.Migration {
	return []db.Migration{{Name: "rules, alerts, routing", SQL: `
CREATE TABLE alert_workspaces (
	workspace_id TEXT_C NOT NULL PRIMARY KEY REFERENCES workspaces (id) ON DELETE CASCADE,
	rev INTEGER NOT NULL,
	rules INTEGER NOT NULL,
	routing TEXT NOT NULL,
	updated_at INTEGER NOT NULL,
	holder TEXT_C NOT NULL,
	lease_until INTEGER NOT NULL,
	status TEXT NOT NULL
) END_TABLE;
CREATE TABLE alert_groups (
	workspace_id TEXT_C NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
	name TEXT NOT NULL,
	position INTEGER NOT NULL,
	body TEXT NOT NULL,
	PRIMARY KEY (workspace_id, name)
) END_TABLE;
CREATE TABLE alert_rules (
	id TEXT_C NOT NULL PRIMARY KEY,
	workspace_id TEXT_C NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
	group_name TEXT NOT NULL,
	position INTEGER NOT NULL,
	name TEXT NOT NULL,
	body TEXT NOT NULL,
	pack TEXT_C NOT NULL,
	enabled FLAG NOT NULL,
	version INTEGER NOT NULL,
	created_at INTEGER NOT NULL,
	updated_at INTEGER NOT NULL,
	updated_by TEXT_C REFERENCES accounts (id) ON DELETE SET NULL,
	deleted_at INTEGER NOT NULL
) END_TABLE;
CREATE INDEX alert_rules_workspace ON alert_rules (workspace_id, group_name, position);
CREATE INDEX alert_rules_updated_by ON alert_rules (updated_by);
CREATE TABLE alert_rule_versions (
	rule_id TEXT_C NOT NULL REFERENCES alert_rules (id) ON DELETE CASCADE,
	version INTEGER NOT NULL,
	workspace_id TEXT_C NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
	body TEXT NOT NULL,
	created_at INTEGER NOT NULL,
	created_by TEXT_C REFERENCES accounts (id) ON DELETE SET NULL,
	PRIMARY KEY (rule_id, version)
) END_TABLE;
CREATE INDEX alert_rule_versions_workspace ON alert_rule_versions (workspace_id);
CREATE INDEX alert_rule_versions_created_by ON alert_rule_versions (created_by);
CREATE TABLE alerts (
	id TEXT_C NOT NULL PRIMARY KEY,
	workspace_id TEXT_C NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
	fingerprint TEXT_C NOT NULL,
	rule_id TEXT_C NOT NULL,
	name TEXT NOT NULL,
	severity TEXT NOT NULL,
	state TEXT_C NOT NULL,
	labels TEXT NOT NULL,
	annotations TEXT NOT NULL,
	facts TEXT NOT NULL,
	value TEXT_C NOT NULL,
	started_at INTEGER NOT NULL,
	fired_at INTEGER NOT NULL,
	resolved_at INTEGER NOT NULL,
	acked_at INTEGER NOT NULL,
	acked_by TEXT_C REFERENCES accounts (id) ON DELETE SET NULL,
	ack_note TEXT NOT NULL
) END_TABLE;
CREATE INDEX alerts_workspace ON alerts (workspace_id, state, id);
CREATE INDEX alerts_fingerprint ON alerts (workspace_id, fingerprint, fired_at);
CREATE INDEX alerts_rule ON alerts (workspace_id, rule_id, id);
CREATE INDEX alerts_acked_by ON alerts (acked_by);
CREATE TABLE alert_notices (
	workspace_id TEXT_C NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
	notice_key TEXT_C NOT NULL,
	entry BYTES NOT NULL,
	created_at INTEGER NOT NULL,
	PRIMARY KEY (workspace_id, notice_key)
) END_TABLE;
CREATE TABLE alert_silences (
	id TEXT_C NOT NULL PRIMARY KEY,
	workspace_id TEXT_C NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
	matchers TEXT NOT NULL,
	comment TEXT NOT NULL,
	starts_at INTEGER NOT NULL,
	ends_at INTEGER NOT NULL,
	created_at INTEGER NOT NULL,
	created_by TEXT_C REFERENCES accounts (id) ON DELETE SET NULL
) END_TABLE;
CREATE INDEX alert_silences_workspace ON alert_silences (workspace_id, ends_at);
CREATE INDEX alert_silences_created_by ON alert_silences (created_by);
CREATE TABLE alert_windows (
	id TEXT_C NOT NULL PRIMARY KEY,
	workspace_id TEXT_C NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
	name TEXT NOT NULL,
	matchers TEXT NOT NULL,
	body TEXT NOT NULL,
	ends_at INTEGER NOT NULL,
	created_at INTEGER NOT NULL,
	created_by TEXT_C REFERENCES accounts (id) ON DELETE SET NULL
) END_TABLE;
CREATE INDEX alert_windows_workspace ON alert_windows (workspace_id, ends_at);
CREATE INDEX alert_windows_created_by ON alert_windows (created_by);
`}, {Name: "texts are sealed, windows can be brought back", SQL: sealTexts}}
}

// sealTexts takes the columns with readable texts away and makes sealed ones of them, and lets a window be brought back. A migration has no keys, so what they
// held is gone: no version with readable ones was ever released.
const sealTexts = `
ALTER TABLE alerts DROP COLUMN annotations;
ALTER TABLE alerts DROP COLUMN facts;
ALTER TABLE alerts DROP COLUMN ack_note;
ALTER TABLE alerts ADD COLUMN detail BYTES;
ALTER TABLE alerts ADD COLUMN ack_note BYTES;
ALTER TABLE alert_silences DROP COLUMN comment;
ALTER TABLE alert_silences ADD COLUMN comment BYTES;
ALTER TABLE alert_windows DROP COLUMN name;
ALTER TABLE alert_windows ADD COLUMN name BYTES;
ALTER TABLE alert_windows ADD COLUMN deleted_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE alert_workspaces DROP COLUMN status;
ALTER TABLE alert_workspaces ADD COLUMN status BYTES;
`
