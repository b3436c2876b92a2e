package dashboard

import "github.com/kept-dev/kept/internal/platform/db"

// Migrations is the module's schema. It refers to workspaces and accounts.
func (m *Module) Migrations() []db.Migration { return Migrations() }

// Migrations is the schema of dashboards, for tests of other modules.
func Migrations() []db.Migration { return []db.Migration{dashboards} }

// A dashboard is stored as the JSON that people export; what lists need stands beside it. Each save adds a version, and the
// newest version is what the dashboard row has.
var dashboards = db.Migration{Name: "dashboards, their history, notes and embedding", SQL: `
CREATE TABLE dashboards (
	id TEXT_C NOT NULL PRIMARY KEY,
	workspace_id TEXT_C NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
	title TEXT NOT NULL,
	tags TEXT NOT NULL,
	panels INTEGER NOT NULL,
	body TEXT NOT NULL,
	version INTEGER NOT NULL,
	created_at INTEGER NOT NULL,
	changed_at INTEGER NOT NULL,
	changed_by TEXT_C REFERENCES accounts (id) ON DELETE SET NULL,
	deleted_at INTEGER NOT NULL
) END_TABLE;
CREATE INDEX dashboards_workspace ON dashboards (workspace_id, deleted_at);
CREATE INDEX dashboards_changed_by ON dashboards (changed_by);
CREATE TABLE dashboard_versions (
	dashboard_id TEXT_C NOT NULL REFERENCES dashboards (id) ON DELETE CASCADE,
	version INTEGER NOT NULL,
	workspace_id TEXT_C NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
	body TEXT NOT NULL,
	note TEXT NOT NULL,
	saved_at INTEGER NOT NULL,
	saved_by TEXT_C REFERENCES accounts (id) ON DELETE SET NULL,
	PRIMARY KEY (dashboard_id, version)
) END_TABLE;
CREATE INDEX dashboard_versions_workspace ON dashboard_versions (workspace_id, saved_at);
CREATE INDEX dashboard_versions_saved_by ON dashboard_versions (saved_by);
CREATE TABLE dashboard_notes (
	id TEXT_C NOT NULL PRIMARY KEY,
	workspace_id TEXT_C NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
	dashboard_id TEXT_C REFERENCES dashboards (id) ON DELETE CASCADE,
	at INTEGER NOT NULL,
	until_at INTEGER NOT NULL,
	text BYTES NOT NULL,
	created_at INTEGER NOT NULL,
	created_by TEXT_C REFERENCES accounts (id) ON DELETE SET NULL
) END_TABLE;
CREATE INDEX dashboard_notes_workspace ON dashboard_notes (workspace_id, at);
CREATE INDEX dashboard_notes_dashboard ON dashboard_notes (dashboard_id);
CREATE INDEX dashboard_notes_created_by ON dashboard_notes (created_by);
CREATE TABLE dashboard_embedding (
	workspace_id TEXT_C NOT NULL PRIMARY KEY REFERENCES workspaces (id) ON DELETE CASCADE,
	signing_key BYTES NOT NULL,
	generation INTEGER NOT NULL,
	origins TEXT NOT NULL,
	created_at INTEGER NOT NULL,
	changed_at INTEGER NOT NULL
) END_TABLE;
`}
