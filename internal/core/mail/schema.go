package mail

import (
	"time"

	"github.com/kept-dev/kept/internal/core/privacy"
	"github.com/kept-dev/kept/internal/platform/db"
)

// Retention is how long it is remembered that a mail was sent.
const Retention = 30 * 24 * time.Hour

// Migrations is the module's schema.
func (m *Module) Migrations() []db.Migration { return Migrations() }

// Migrations is the schema of the outbox, for tests of modules that send mail.
func Migrations() []db.Migration {
	return []db.Migration{{Name: "outbox", SQL: `
CREATE TABLE mail_outbox (
	id TEXT_C NOT NULL PRIMARY KEY,
	type TEXT_C NOT NULL,
	account_id TEXT_C NOT NULL,
	void FLAG NOT NULL,
	state TEXT_C NOT NULL,
	sealed BYTES,
	attempts INTEGER NOT NULL,
	created_at INTEGER NOT NULL,
	due_at INTEGER NOT NULL,
	done_at INTEGER NOT NULL,
	error TEXT NOT NULL
) END_TABLE;
CREATE INDEX mail_outbox_due ON mail_outbox (state, due_at);
CREATE INDEX mail_outbox_account ON mail_outbox (account_id);
CREATE INDEX mail_outbox_created ON mail_outbox (created_at);
`}, {Name: "addresses that get no mail", SQL: `
CREATE TABLE mail_suppressions (
	address_tag BYTES NOT NULL,
	type TEXT_C NOT NULL,
	reason TEXT_C NOT NULL,
	at INTEGER NOT NULL,
	PRIMARY KEY (address_tag, type)
) END_TABLE;
CREATE INDEX mail_suppressions_at ON mail_suppressions (reason, at);
CREATE TABLE mail_reports (
	id_hash BYTES NOT NULL PRIMARY KEY,
	at INTEGER NOT NULL
) END_TABLE;
CREATE INDEX mail_reports_at ON mail_reports (at);
ALTER TABLE mail_outbox ADD COLUMN provider_id TEXT NOT NULL DEFAULT '';
CREATE INDEX mail_outbox_provider ON mail_outbox (provider_id);
`}}
}

// Collections is the module's part of the data map.
func (m *Module) Collections() []privacy.Collection {
	return []privacy.Collection{privacy.Table{DB: m.db, At: "created_at"}.Declare(privacy.Collection{
		Name: "mail_outbox", Module: "mail", Title: "Outgoing mail", Subjects: "account holders",
		Purpose:    "to deliver the mail that belongs to what somebody did, once, however often it takes",
		LegalBasis: "contract", Retention: "content until it is sent, the fact 30 days", Where: privacy.ControlDB,
		Processor: "the mail server that the operator configured", Promises: []string{"USE-4", "COL-1"},
		Fields: []privacy.Field{
			{Name: "id", Category: privacy.Technical, Note: "which mail"},
			{Name: "type", Category: privacy.Technical, Note: "which kind of mail"},
			{Name: "account_id", Category: privacy.Technical, Note: "whom it is for"},
			{Name: "void", Category: privacy.Technical, Note: "written for the look of it and never sent"},
			{Name: "state", Category: privacy.Technical, Note: "queued, sent, failed, dropped or bounced"},
			{Name: "sealed", Category: privacy.Content, Note: "address, subject and text, sealed; removed when done"},
			{Name: "attempts", Category: privacy.Technical, Note: "how often it was tried"},
			{Name: "created_at", Category: privacy.Technical, Note: "when it was written"},
			{Name: "due_at", Category: privacy.Technical, Note: "when it is tried next"},
			{Name: "done_at", Category: privacy.Technical, Note: "when it was sent or given up"},
			{Name: "error", Category: privacy.Technical, Note: "why the last attempt failed, without addresses"},
			{Name: "provider_id", Category: privacy.Technical, Note: "how the mail provider calls it, to know a report about it"},
		},
		MaxAge: privacy.Fixed(Retention), NoExport: "the content is gone once a mail is sent; the inbox has it",
		NoErase: "goes with the account",
	}), m.suppressionsCollection(), m.reportsCollection()}
}

func (m *Module) suppressionsCollection() privacy.Collection {
	rows := privacy.Table{DB: m.db, At: "at", Only: `reason = '` + string(Bounce) + `'`}
	return rows.Declare(privacy.Collection{
		Name: "mail_suppressions", Module: "mail", Title: "Addresses that get no mail", Subjects: "people who were sent mail",
		Purpose:    "to send nothing to somebody who refused it, or to an address that nobody has",
		LegalBasis: "legal obligation", Retention: "90 days after a mail came back; a refusal until it is taken back", Where: privacy.ControlDB,
		Promises: []string{"USE-4"},
		Fields: []privacy.Field{
			{Name: "address_tag", Category: privacy.Technical, Note: "keyed hash of the address, which is not stored"},
			{Name: "type", Category: privacy.Settings, Note: "which kind of mail is refused"},
			{Name: "reason", Category: privacy.Technical, Note: "refused, reported as junk, or came back"},
			{Name: "at", Category: privacy.Technical, Note: "since when"},
		},
		MaxAge:   privacy.Fixed(BounceMemory),
		NoExport: "the addresses are not stored; the account's page about mail shows its own",
		NoErase:  "a refusal must outlive the account, and names nobody",
	})
}

func (m *Module) reportsCollection() privacy.Collection {
	return privacy.Table{DB: m.db, At: "at"}.Declare(privacy.Collection{
		Name: "mail_reports", Module: "mail", Title: "Reports of mail providers that were read", Subjects: "nobody",
		Purpose: "to read no report twice", LegalBasis: "legitimate interest", Retention: "2 days", Where: privacy.ControlDB,
		Promises: []string{"USE-4"},
		Fields: []privacy.Field{
			{Name: "id_hash", Category: privacy.Technical, Note: "hash of the report's number"},
			{Name: "at", Category: privacy.Technical, Note: "when it came"},
		},
		MaxAge:   privacy.Fixed(reportMemory),
		NoExport: "it names nobody and nothing", NoErase: "it names nobody and nothing",
	})
}
