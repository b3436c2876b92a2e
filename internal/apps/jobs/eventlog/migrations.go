package eventlog

import "github.com/kept-dev/kept/internal/platform/db"

// Migrations are the log's tables.
func Migrations() []db.Migration {
	return []db.Migration{{
		Name: "event log",
		// The words come before the large columns: SQLite reads a row from the front and stops at what was asked for.
		SQL: `
CREATE TABLE job_streams (
	workspace_id TEXT_C NOT NULL PRIMARY KEY,
	next_offset INTEGER NOT NULL
) END_TABLE;
CREATE TABLE job_log (
	workspace_id TEXT_C NOT NULL,
	first_offset INTEGER NOT NULL,
	events INTEGER NOT NULL,
	min_at INTEGER NOT NULL,
	max_at INTEGER NOT NULL,
	first_received_at INTEGER NOT NULL,
	last_received_at INTEGER NOT NULL,
	codec INTEGER NOT NULL,
	words BYTES,
	meta BYTES NOT NULL,
	bodies BYTES NOT NULL,
	PRIMARY KEY (workspace_id, first_offset)
) END_TABLE;
CREATE INDEX job_log_by_time ON job_log (workspace_id, max_at);
CREATE INDEX job_log_by_age ON job_log (workspace_id, first_received_at);
`,
	}}
}
