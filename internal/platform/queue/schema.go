package queue

import "github.com/kept-dev/kept/internal/platform/db"

// Migrations is the schema of this package.
func (q *Queue) Migrations() []db.Migration {
	return []db.Migration{{
		Name: "queue",
		// A job is live until it is done or dead. A live one may be taken when due_at has passed: that is its start, the
		// time of its next attempt, or the end of the lease of a process that died. claims tells two takers apart.
		SQL: `CREATE TABLE queue_jobs (
			id           TEXT_C  NOT NULL PRIMARY KEY,
			kind         TEXT_C  NOT NULL,
			args         BYTES   NOT NULL,
			state        TEXT_C  NOT NULL,
			failures     INTEGER NOT NULL DEFAULT 0,
			max_attempts INTEGER NOT NULL,
			due_at       INTEGER NOT NULL,
			lease        TEXT_C  NOT NULL DEFAULT '',
			claims       INTEGER NOT NULL DEFAULT 0,
			lost         INTEGER NOT NULL DEFAULT 0,
			last_error   TEXT    NOT NULL DEFAULT '',
			created_at   INTEGER NOT NULL,
			finished_at  INTEGER NOT NULL DEFAULT 0
		) END_TABLE;
		CREATE INDEX queue_jobs_live ON queue_jobs (due_at, id) WHERE state = 'live';
		CREATE INDEX queue_jobs_over ON queue_jobs (finished_at) WHERE state <> 'live';
		CREATE TABLE queue_periods (
			kind    TEXT_C  NOT NULL PRIMARY KEY,
			slot_at INTEGER NOT NULL
		) END_TABLE;`,
	}}
}

// Tables says what each column holds, for the data map.
func (q *Queue) Tables() map[string]map[string]string {
	return map[string]map[string]string{
		"queue_jobs": {
			"id":           "the job's id, which begins with its creation time",
			"kind":         "what the job does",
			"args":         "ids that the job works on, as JSON; no content",
			"state":        "live, done or dead",
			"failures":     "attempts that failed",
			"max_attempts": "failures until it is dead",
			"due_at":       "when an instance may take it (again)",
			"lease":        "the instance that runs it",
			"claims":       "times that it was taken",
			"lost":         "times that the process running it died",
			"last_error":   "the last failure, cut at 500 bytes; no content",
			"created_at":   "when it was inserted",
			"finished_at":  "when it was done or dead; rows are deleted a day or 30 days later",
		},
		"queue_periods": {
			"kind":    "a periodic job's kind",
			"slot_at": "the beginning of the last slot for which it was inserted",
		},
	}
}
