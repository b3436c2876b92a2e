package status

import (
	"context"

	"github.com/kept-dev/kept/internal/core/privacy"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
)

// Migrations is the module's schema. It refers to workspaces and accounts.
func (m *Module) Migrations() []db.Migration { return Migrations() }

// Migrations is the schema, for tests.
func Migrations() []db.Migration {
	return []db.Migration{{Name: "status pages", SQL: `
CREATE TABLE status_pages (
	workspace_id TEXT_C NOT NULL PRIMARY KEY REFERENCES workspaces (id) ON DELETE CASCADE,
	slug TEXT_C NOT NULL UNIQUE,
	title TEXT NOT NULL,
	about TEXT NOT NULL,
	public FLAG NOT NULL,
	updated_at INTEGER NOT NULL
) END_TABLE;
CREATE TABLE status_components (
	id TEXT_C NOT NULL PRIMARY KEY,
	workspace_id TEXT_C NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
	name TEXT NOT NULL,
	created_at INTEGER NOT NULL
) END_TABLE;
CREATE INDEX status_components_workspace ON status_components (workspace_id, created_at);
CREATE TABLE status_notices (
	id TEXT_C NOT NULL PRIMARY KEY,
	workspace_id TEXT_C NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
	kind TEXT_C NOT NULL,
	title TEXT NOT NULL,
	impact TEXT_C NOT NULL,
	state TEXT_C NOT NULL,
	components TEXT_C NOT NULL,
	starts_at INTEGER NOT NULL,
	ends_at INTEGER NOT NULL,
	over_at INTEGER NOT NULL,
	created_at INTEGER NOT NULL,
	deleted_at INTEGER NOT NULL
) END_TABLE;
CREATE INDEX status_notices_workspace ON status_notices (workspace_id, starts_at);
CREATE TABLE status_updates (
	id TEXT_C NOT NULL PRIMARY KEY,
	notice_id TEXT_C NOT NULL REFERENCES status_notices (id) ON DELETE CASCADE,
	workspace_id TEXT_C NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
	at INTEGER NOT NULL,
	state TEXT_C NOT NULL,
	body TEXT NOT NULL
) END_TABLE;
CREATE INDEX status_updates_notice ON status_updates (notice_id, at);
CREATE INDEX status_updates_workspace ON status_updates (workspace_id, at);
CREATE TABLE status_subscribers (
	id TEXT_C NOT NULL PRIMARY KEY,
	workspace_id TEXT_C NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
	address TEXT NOT NULL,
	created_at INTEGER NOT NULL,
	confirmed_at INTEGER NOT NULL,
	UNIQUE (workspace_id, address)
) END_TABLE;
`}, {Name: "webhooks, alerts, security notices and what people have read", SQL: `
ALTER TABLE status_notices ADD COLUMN alert_id TEXT_C NOT NULL DEFAULT '';
ALTER TABLE status_updates ADD COLUMN owners TEXT_C NOT NULL DEFAULT '';
CREATE INDEX status_notices_alert ON status_notices (workspace_id, alert_id);
DROP TABLE status_subscribers;
CREATE TABLE status_subscribers (
	id TEXT_C NOT NULL PRIMARY KEY,
	workspace_id TEXT_C NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
	kind TEXT_C NOT NULL,
	tag BYTES NOT NULL,
	host_tag BYTES,
	sealed BYTES NOT NULL,
	created_at INTEGER NOT NULL,
	confirmed_at INTEGER NOT NULL,
	failures INTEGER NOT NULL,
	failing_at INTEGER NOT NULL,
	disabled_at INTEGER NOT NULL,
	UNIQUE (workspace_id, tag)
) END_TABLE;
CREATE INDEX status_subscribers_host ON status_subscribers (host_tag, created_at);
CREATE TABLE status_read (
	account_id TEXT_C NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
	notice_id TEXT_C NOT NULL REFERENCES status_notices (id) ON DELETE CASCADE,
	read_at INTEGER NOT NULL,
	PRIMARY KEY (account_id, notice_id)
) END_TABLE;
CREATE INDEX status_read_notice ON status_read (notice_id);
`}}
}

func technical(name, note string) privacy.Field {
	return privacy.Field{Name: name, Category: privacy.Technical, Note: note}
}

func settings(name, note string) privacy.Field {
	return privacy.Field{Name: name, Category: privacy.Settings, Note: note}
}

// Collections is the module's part of the data map.
func (m *Module) Collections() []privacy.Collection {
	const forever = "until it is deleted, or the workspace is erased"
	return []privacy.Collection{
		m.declare("updated_at", privacy.Collection{Name: "status_pages", Title: "Status pages", Purpose: "to tell customers how services are", Retention: forever,
			Fields: []privacy.Field{settings("slug", "its address"), settings("title", "what it is called"), settings("about", "a sentence on it"),
				settings("public", "whether it can be read"), technical("updated_at", "when it changed")}}),
		m.declare("created_at", privacy.Collection{Name: "status_components", Title: "Parts of services", Purpose: "to tell what is affected", Retention: forever,
			Fields: []privacy.Field{technical("id", "which one"), settings("name", "what it is called"), technical("created_at", "since when it is listed")}}),
		m.declare("created_at", privacy.Collection{Name: "status_notices", Title: "Incidents, maintenance and security updates", Purpose: "to tell customers of them", Retention: forever,
			Fields: []privacy.Field{technical("id", "which one"), technical("kind", "incident, maintenance or security update"), settings("title", "what it is about"), technical("impact", "how bad it is"),
				technical("state", "how far it is"), technical("components", "which parts are affected"), technical("starts_at", "when it began"), technical("ends_at", "when it is to end"),
				technical("over_at", "when it was over"), technical("created_at", "when it was published"), technical("deleted_at", "when it was taken back; it is removed 30 days later"),
				technical("alert_id", "the alert that it was made from")}}),
		m.declare("at", privacy.Collection{Name: "status_updates", Title: "What was told of incidents", Purpose: "to tell customers how an incident goes on", Retention: forever,
			Fields: []privacy.Field{technical("id", "which one"), technical("notice_id", "of which incident"), technical("at", "when"), technical("state", "how far it was"), settings("body", "the text"),
				technical("owners", "whether the owners of all workspaces are to be told, and were")}}),
		m.subscribersCollection(),
		m.readCollection(),
	}
}

// declare fills in what the tables have in common. at is the column that an item's age is read from.
func (m *Module) declare(at string, c privacy.Collection) privacy.Collection {
	c.Module, c.Where, c.Subjects, c.LegalBasis, c.Promises = "status", privacy.ControlDB, "nobody", "contract", []string{"USE-6"}
	c.Fields = append([]privacy.Field{technical("workspace_id", "of which workspace")}, c.Fields...)
	return privacy.Table{DB: m.d.DB, Of: "workspace_id", At: at}.Declare(c)
}

func (m *Module) subscribersCollection() privacy.Collection {
	return privacy.Table{DB: m.d.DB, Of: "workspace_id", At: "created_at", Only: "confirmed_at = 0"}.Declare(privacy.Collection{
		Name: "status_subscribers", Module: "status", Title: "Subscribers of status pages", Subjects: "people who subscribed", Where: privacy.ControlDB,
		Purpose: "to send incidents and maintenance by mail, or to a webhook, to those who asked for it and confirmed", LegalBasis: "consent",
		Retention: "until they unsubscribe; 7 days without confirmation", Processor: "the mail server that the operator configured", Promises: []string{"USE-4", "USE-6", "SEC-4"},
		MaxAge: privacy.Fixed(confirmWithin), Export: m.exportSubscribers,
		Fields: []privacy.Field{
			technical("id", "which one"), technical("workspace_id", "of whose page"), technical("kind", "mail or webhook"),
			{Name: "tag", Category: privacy.Secret, Note: "keyed hash of the address, to know it again"},
			{Name: "host_tag", Category: privacy.Secret, Note: "keyed hash of a webhook's host, to ask none too often"},
			{Name: "sealed", Category: privacy.Content, Note: "the address, and the secret that a webhook is signed with, sealed"},
			technical("created_at", "when it was asked for"), technical("confirmed_at", "when it was confirmed"),
			technical("failures", "how often in a row a webhook did not answer"), technical("failing_at", "since when"),
			technical("disabled_at", "when it was turned off for that"),
		},
	})
}

func (m *Module) exportSubscribers(ctx context.Context, ws kernel.WorkspaceID, item func(any) error) error {
	return privacy.EachAs(m.subscribers, func(s Subscriber) any {
		return map[string]any{"kind": s.Kind, "address": s.Address, "created_at": s.CreatedAt, "confirmed_at": s.ConfirmedAt}
	})(ctx, ws, item)
}

func (m *Module) readCollection() privacy.Collection {
	return privacy.Table{DB: m.d.DB, At: "read_at"}.Declare(privacy.Collection{
		Name: "status_read", Module: "status", Title: "Notices of the server that people have hidden", Subjects: "account holders", Where: privacy.ControlDB,
		Purpose: "to show a notice again only when there is news", LegalBasis: "contract", Retention: "as long as the notice and the account", Promises: []string{"USE-6"},
		NoExport: privacy.OfPerson, NoErase: privacy.OfPerson,
		Fields: []privacy.Field{technical("account_id", "who"), technical("notice_id", "which notice"), technical("read_at", "when")},
	})
}

// exec changes something that may be shown.
func (m *Module) exec(ctx context.Context, text string, args ...any) (n int64, err error) {
	err = m.d.DB.Tx(ctx, func(tx *db.Tx) error {
		tx.AfterCommit(m.changed)
		n, err = tx.Exec(ctx, text, args...)
		return err
	})
	return n, err
}
