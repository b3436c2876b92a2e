package index

import "github.com/kept-dev/kept/internal/platform/db"

// Migrations are the projection's tables. All of them can be emptied and made again from the log.
func Migrations() []db.Migration {
	return []db.Migration{{
		Name: "job index",
		SQL: `
CREATE TABLE job_projections (
	workspace_id TEXT_C NOT NULL PRIMARY KEY,
	checkpoint INTEGER NOT NULL,
	next_segment INTEGER NOT NULL
) END_TABLE;
CREATE TABLE job_segments (
	workspace_id TEXT_C NOT NULL,
	segment_id INTEGER NOT NULL,
	level INTEGER NOT NULL,
	jobs INTEGER NOT NULL,
	first_received_at INTEGER NOT NULL,
	last_received_at INTEGER NOT NULL,
	gone BYTES NOT NULL,
	meta BYTES NOT NULL,
	PRIMARY KEY (workspace_id, segment_id)
) END_TABLE;
CREATE TABLE job_blocks (
	workspace_id TEXT_C NOT NULL,
	segment_id INTEGER NOT NULL,
	number INTEGER NOT NULL,
	scan BYTES NOT NULL,
	texts BYTES NOT NULL,
	events BYTES NOT NULL,
	PRIMARY KEY (workspace_id, segment_id, number)
) END_TABLE;
CREATE TABLE job_deployments (
	workspace_id TEXT_C NOT NULL,
	deployment_id TEXT_C NOT NULL,
	at INTEGER NOT NULL,
	received_at INTEGER NOT NULL,
	log_offset INTEGER NOT NULL,
	PRIMARY KEY (workspace_id, deployment_id)
) END_TABLE;
`,
	}, {
		Name: "longer hashes of keys: the index is made again from the log",
		SQL: `
DELETE FROM job_blocks;
DELETE FROM job_segments;
DELETE FROM job_deployments;
UPDATE job_projections SET checkpoint = 0;
`,
	}}
}
