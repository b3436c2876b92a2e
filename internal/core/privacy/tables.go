package privacy

import (
	"fmt"
	"time"

	"github.com/kept-dev/kept/internal/platform/db"
)

// Migrations is the schema of the privacy core's own records. They hold counts and names of ours, nothing about people.
func (m *Module) Migrations() []db.Migration {
	return []db.Migration{{Name: "promise checks, sweeps and receipts", SQL: `
CREATE TABLE promise_checks (
	id TEXT_C NOT NULL,
	outcome TEXT_C NOT NULL,
	reason TEXT NOT NULL,
	evidence TEXT NOT NULL,
	checked_at INTEGER NOT NULL,
	PRIMARY KEY (id, checked_at)
) END_TABLE;
CREATE INDEX promise_checks_age ON promise_checks (checked_at);
CREATE TABLE retention_sweeps (
	id TEXT_C NOT NULL PRIMARY KEY,
	started_at INTEGER NOT NULL,
	finished_at INTEGER NOT NULL,
	place TEXT NOT NULL,
	collection TEXT_C NOT NULL,
	workspaces INTEGER NOT NULL,
	unlimited INTEGER NOT NULL,
	removed INTEGER NOT NULL,
	failed INTEGER NOT NULL
) END_TABLE;
CREATE INDEX retention_sweeps_age ON retention_sweeps (finished_at);
CREATE TABLE erasure_receipts (
	id TEXT_C NOT NULL PRIMARY KEY,
	workspace_id TEXT_C NOT NULL,
	started_at INTEGER NOT NULL,
	finished_at INTEGER NOT NULL,
	key_destroyed FLAG NOT NULL,
	complete FLAG NOT NULL,
	collections TEXT NOT NULL
) END_TABLE;
CREATE INDEX erasure_receipts_workspace ON erasure_receipts (workspace_id, started_at);
CREATE INDEX erasure_receipts_age ON erasure_receipts (finished_at);
`}}
}

// How long the records of the privacy core are kept.
const (
	checksAge   = 366 * day
	sweepsAge   = 366 * day
	receiptsAge = 3 * 366 * day
)

// Collections declares the privacy core's own tables, and the table in which every database counts its migrations.
func (m *Module) Collections() []Collection {
	out := []Collection{m.checksCollection(), m.sweepsCollection(), m.receiptsCollection()}
	for _, group := range sameDatabase(m.sources.Databases) {
		out = append(out, schemaVersions(group[0]))
	}
	for i := range out {
		out[i].Module = m.Name()
	}
	return out
}

func (m *Module) checksCollection() Collection {
	return m.timed("promise_checks", "checked_at", checksAge, Collection{
		Title: "Results of the promise checks", Purpose: "to show when each promise was last checked, and with which outcome",
		Retention: "1 year", NoExport: "it says nothing about anybody", NoErase: "it says nothing about anybody",
		Fields: []Field{
			{"id", Technical, "which promise"},
			{"outcome", Technical, "kept, broken, …"},
			{"reason", Diagnostic, "one sentence"},
			{"evidence", Diagnostic, "counts, and names of tables and routes"},
			{"checked_at", Technical, "when"},
		},
	})
}

func (m *Module) sweepsCollection() Collection {
	return m.timed("retention_sweeps", "finished_at", sweepsAge, Collection{
		Title: "Retention sweeps", Purpose: "to show that data is deleted on time",
		Retention: "1 year", NoExport: "it says nothing about anybody", NoErase: "it says nothing about anybody",
		Fields: []Field{
			{"id", Technical, "number of the record"},
			{"started_at", Technical, "when the sweep began"},
			{"finished_at", Technical, "when this collection was done"},
			{"place", Technical, "the database or store"},
			{"collection", Technical, "what was swept"},
			{"workspaces", Technical, "for how many workspaces"},
			{"unlimited", Technical, "how many workspaces have no limit"},
			{"removed", Technical, "how many items went"},
			{"failed", Technical, "how many workspaces could not be swept"},
		},
	})
}

func (m *Module) receiptsCollection() Collection {
	return m.timed("erasure_receipts", "finished_at", receiptsAge, Collection{
		Title: "Receipts of erasures", Subjects: "workspaces that were erased",
		Purpose: "to prove that an erasure was carried out", LegalBasis: "legal obligation", Retention: "3 years",
		Fields: []Field{
			{"id", Technical, "number of the receipt"},
			{"workspace_id", Technical, "number of the workspace that was erased"},
			{"started_at", Technical, "when the erasure began"},
			{"finished_at", Technical, "when it ended"},
			{"key_destroyed", Technical, "whether the key was destroyed"},
			{"complete", Technical, "whether nothing is left"},
			{"collections", Technical, "how many items of each collection were removed"},
		},
		Export: Each(m.Receipts), NoErase: "it is the proof of the erasure, and holds counts only",
	})
}

// timed completes the declaration of a table of this module that belongs to no workspace and is swept by age.
func (m *Module) timed(table, at string, age time.Duration, c Collection) Collection {
	c.Name, c.Where, c.MaxAge = table, m.where(), Fixed(age)
	if c.Subjects == "" {
		c.Subjects = "nobody"
	}
	return Table{DB: m.db, At: at}.Declare(c)
}

// where is the name of the database that this module's tables are in.
func (m *Module) where() string {
	for _, d := range m.sources.Databases {
		if d.DB == m.db {
			return d.Where
		}
	}
	return ControlDB
}

func schemaVersions(d Database) Collection {
	return Collection{
		Name: "schema_versions", Title: fmt.Sprintf("Schema versions of the %s", d.Where), Subjects: "nobody",
		Purpose: "to know which migrations ran", Retention: "as long as the server", Where: d.Where,
		NoExport: "it says nothing about anybody", NoErase: "it says nothing about anybody",
		Fields: []Field{
			{"module", Technical, "part of the server"},
			{"version", Technical, "number of the step"},
			{"name", Technical, "what the step did"},
			{"applied_at", Technical, "when it ran"},
		},
	}
}
