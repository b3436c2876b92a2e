package metrics

import "github.com/kept-dev/kept/internal/platform/db"

// Migrations are the app's tables. Samples are not among them: they are in the series.
func (m *Module) Migrations() []db.Migration { return Migrations() }

// Migrations is the schema, for tests of other modules. It refers to accounts, workspaces and API keys.
func Migrations() []db.Migration { return []db.Migration{hostTables, meaningTable} }

var meaningTable = db.Migration{Name: "what metrics mean", SQL: `
CREATE TABLE metric_meanings (
	workspace_id TEXT_C NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
	metric TEXT_C NOT NULL,
	type TEXT_C NOT NULL,
	help TEXT NOT NULL,
	unit TEXT NOT NULL,
	seen_at INTEGER NOT NULL,
	PRIMARY KEY (workspace_id, metric)
) END_TABLE;
`}

var hostTables = db.Migration{Name: "hosts, their enrolment and what changed; deploys; drop rules", SQL: `
CREATE TABLE hosts (
	workspace_id TEXT_C NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
	id TEXT_C NOT NULL,
	instance TEXT_C NOT NULL,
	source TEXT_C NOT NULL,
	machine TEXT_C NOT NULL,
	name TEXT NOT NULL,
	os TEXT NOT NULL,
	platform TEXT NOT NULL,
	kernel TEXT NOT NULL,
	arch TEXT NOT NULL,
	cores INTEGER NOT NULL,
	memory INTEGER NOT NULL,
	booted_at INTEGER NOT NULL,
	agent TEXT NOT NULL,
	every INTEGER NOT NULL,
	labels TEXT NOT NULL,
	skew INTEGER NOT NULL,
	buffered INTEGER NOT NULL,
	key_id TEXT_C NOT NULL,
	first_seen_at INTEGER NOT NULL,
	last_seen_at INTEGER NOT NULL,
	PRIMARY KEY (workspace_id, id)
) END_TABLE;
CREATE UNIQUE INDEX hosts_instance ON hosts (workspace_id, instance);
CREATE TABLE host_tokens (
	token_hash BYTES NOT NULL PRIMARY KEY,
	id TEXT_C NOT NULL,
	workspace_id TEXT_C NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
	created_by TEXT_C NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
	created_at INTEGER NOT NULL,
	expires_at INTEGER NOT NULL,
	used_at INTEGER NOT NULL,
	instance TEXT NOT NULL
) END_TABLE;
CREATE INDEX host_tokens_workspace ON host_tokens (workspace_id, created_at);
CREATE INDEX host_tokens_created_by ON host_tokens (created_by);
CREATE TABLE host_changes (
	workspace_id TEXT_C NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
	id TEXT_C NOT NULL,
	instance TEXT_C NOT NULL,
	at INTEGER NOT NULL,
	kind TEXT_C NOT NULL,
	before TEXT NOT NULL,
	after TEXT NOT NULL,
	PRIMARY KEY (workspace_id, id)
) END_TABLE;
CREATE INDEX host_changes_at ON host_changes (workspace_id, at);
CREATE TABLE deploys (
	workspace_id TEXT_C NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
	id TEXT_C NOT NULL,
	at INTEGER NOT NULL,
	until INTEGER NOT NULL,
	service TEXT NOT NULL,
	version TEXT NOT NULL,
	environment TEXT NOT NULL,
	text TEXT NOT NULL,
	link TEXT NOT NULL,
	labels TEXT NOT NULL,
	created_at INTEGER NOT NULL,
	PRIMARY KEY (workspace_id, id)
) END_TABLE;
CREATE INDEX deploys_at ON deploys (workspace_id, at);
CREATE TABLE metric_drops (
	workspace_id TEXT_C NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
	id TEXT_C NOT NULL,
	selector TEXT NOT NULL,
	note TEXT NOT NULL,
	created_by TEXT_C REFERENCES accounts (id) ON DELETE SET NULL,
	created_at INTEGER NOT NULL,
	PRIMARY KEY (workspace_id, id)
) END_TABLE;
CREATE INDEX metric_drops_created_by ON metric_drops (created_by);
`}
