package agreement

import (
	"github.com/kept-dev/kept/internal/core/privacy"
	"github.com/kept-dev/kept/internal/platform/db"
)

// Migrations is the module's schema. It refers to workspaces and accounts.
func (m *Module) Migrations() []db.Migration { return Migrations() }

// Migrations is the schema, for tests.
func Migrations() []db.Migration {
	return []db.Migration{{Name: "agreements and subprocessors", SQL: `
CREATE TABLE agreements (
	id TEXT_C NOT NULL PRIMARY KEY,
	workspace_id TEXT_C NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
	version TEXT_C NOT NULL,
	document TEXT NOT NULL,
	signer_name TEXT NOT NULL,
	signer_title TEXT NOT NULL,
	account_id TEXT_C REFERENCES accounts (id) ON DELETE SET NULL,
	signed_at INTEGER NOT NULL
) END_TABLE;
CREATE INDEX agreements_workspace ON agreements (workspace_id, signed_at);
CREATE INDEX agreements_account ON agreements (account_id);
CREATE TABLE subprocessors (
	name TEXT_C NOT NULL PRIMARY KEY,
	purpose TEXT NOT NULL,
	data TEXT NOT NULL,
	country TEXT NOT NULL,
	announced_at INTEGER NOT NULL,
	from_at INTEGER NOT NULL,
	used_at INTEGER NOT NULL
) END_TABLE;
`}}
}

// Collections is the module's part of the data map.
func (m *Module) Collections() []privacy.Collection {
	rows := privacy.Table{DB: m.db, Of: "workspace_id", At: "signed_at"}
	return []privacy.Collection{rows.Declare(privacy.Collection{
		Name: "agreements", Module: "agreement", Title: "Data processing agreements", Subjects: "people who signed for an organisation",
		Purpose: "to prove what was agreed, by whom and when", LegalBasis: "legal obligation", Retention: "until the workspace is erased", Where: privacy.ControlDB,
		Promises: []string{"COL-1", "USE-8"},
		Fields: []privacy.Field{
			{Name: "id", Category: privacy.Technical, Note: "which agreement"},
			{Name: "workspace_id", Category: privacy.Technical, Note: "for which workspace"},
			{Name: "version", Category: privacy.Technical, Note: "which text"},
			{Name: "document", Category: privacy.Settings, Note: "the text that was signed"},
			{Name: "signer_name", Category: privacy.Identity, Note: "who signed"},
			{Name: "signer_title", Category: privacy.Identity, Note: "as what"},
			{Name: "account_id", Category: privacy.Technical, Note: "with which account"},
			{Name: "signed_at", Category: privacy.Technical, Note: "when"},
		},
		NoErase: "goes with the workspace",
	}), {
		Name: "subprocessors", Module: "agreement", Title: "Subprocessors", Subjects: "nobody", Purpose: "to announce a new one in time",
		LegalBasis: "legal obligation", Retention: "as long as the server runs", Where: privacy.ControlDB, Promises: []string{"USE-8"},
		Fields: []privacy.Field{
			{Name: "name", Category: privacy.Settings, Note: "of the company"},
			{Name: "purpose", Category: privacy.Settings, Note: "what it does"},
			{Name: "data", Category: privacy.Settings, Note: "what it sees"},
			{Name: "country", Category: privacy.Settings, Note: "where it works"},
			{Name: "announced_at", Category: privacy.Technical, Note: "when owners were told"},
			{Name: "from_at", Category: privacy.Technical, Note: "from when on it may be used"},
			{Name: "used_at", Category: privacy.Technical, Note: "since when the settings name it"},
		},
		NoExport: "belongs to the server, and is public", NoErase: "belongs to no workspace",
	}}
}
