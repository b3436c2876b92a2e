package mail

import (
	"context"
	"time"

	"github.com/kept-dev/kept/internal/core/privacy"
	"github.com/kept-dev/kept/internal/kernel"
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
`}}
}

// Collections is the module's part of the data map.
func (m *Module) Collections() []privacy.Collection {
	return []privacy.Collection{{
		Name: "mail_outbox", Module: "mail", Title: "Outgoing mail", Subjects: "account holders",
		Purpose:    "to deliver the mail that belongs to what somebody did, once, however often it takes",
		LegalBasis: "contract", Retention: "content until it is sent, the fact 30 days", Where: "control database",
		Processor: "the mail server that the operator configured", Promises: []string{"USE-4", "COL-1"},
		Fields: []privacy.Field{
			{Name: "id", Category: privacy.Technical, Note: "which mail"},
			{Name: "type", Category: privacy.Technical, Note: "which kind of mail"},
			{Name: "account_id", Category: privacy.Technical, Note: "whom it is for"},
			{Name: "void", Category: privacy.Technical, Note: "written for the look of it and never sent"},
			{Name: "state", Category: privacy.Technical, Note: "queued, sent, failed or dropped"},
			{Name: "sealed", Category: privacy.Content, Note: "address, subject and text, sealed; removed when done"},
			{Name: "attempts", Category: privacy.Technical, Note: "how often it was tried"},
			{Name: "created_at", Category: privacy.Technical, Note: "when it was written"},
			{Name: "due_at", Category: privacy.Technical, Note: "when it is tried next"},
			{Name: "done_at", Category: privacy.Technical, Note: "when it was sent or given up"},
			{Name: "error", Category: privacy.Technical, Note: "why the last attempt failed, without addresses"},
		},
		Oldest: m.oldest, Count: m.count, Sweep: m.Sweep, NoExport: "the content is gone once a mail is sent; the inbox has it",
		MaxAge:  func(context.Context, kernel.WorkspaceID) (time.Duration, error) { return Retention, nil },
		NoErase: "goes with the account",
	}}
}

func (m *Module) oldest(ctx context.Context, ws kernel.WorkspaceID) (time.Time, error) {
	if ws != "" { // mail belongs to people, not to workspaces
		return time.Time{}, nil
	}
	var us int64
	err := m.db.QueryRow(ctx, `SELECT coalesce(min(created_at), 0) FROM mail_outbox`).Scan(&us)
	return kernel.FromMicros(us), err
}

func (m *Module) count(ctx context.Context, ws kernel.WorkspaceID) (n int64, err error) {
	if ws != "" {
		return 0, nil
	}
	err = m.db.QueryRow(ctx, `SELECT count(*) FROM mail_outbox`).Scan(&n)
	return n, err
}

// Sweep removes what was written before a time, whatever became of it.
func (m *Module) Sweep(ctx context.Context, ws kernel.WorkspaceID, before time.Time) (n int64, err error) {
	if ws != "" {
		return 0, nil
	}
	err = m.db.Tx(ctx, func(tx *db.Tx) error {
		n, err = tx.Exec(ctx, `DELETE FROM mail_outbox WHERE created_at < $1`, kernel.Micros(before))
		return err
	})
	return n, err
}
