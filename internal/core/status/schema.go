package status

import (
	"context"
	"time"

	"github.com/kept-dev/kept/internal/core/privacy"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
)

// Migrations is the module's schema. It refers to workspaces.
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
	forever := "until it is deleted, or the workspace is erased"
	pages := m.declare(privacy.Collection{Name: "status_pages", Title: "Status pages", Purpose: "to tell customers how services are", Retention: forever,
		Fields: []privacy.Field{settings("slug", "its address"), settings("title", "what it is called"), settings("about", "a sentence on it"), settings("public", "whether it can be read"), technical("updated_at", "when it changed")}}, "updated_at")
	components := m.declare(privacy.Collection{Name: "status_components", Title: "Parts of services", Purpose: "to tell what is affected", Retention: forever,
		Fields: []privacy.Field{technical("id", "which one"), settings("name", "what it is called"), technical("created_at", "since when it is listed")}}, "created_at")
	notices := m.declare(privacy.Collection{Name: "status_notices", Title: "Incidents and maintenance", Purpose: "to tell customers of incidents and maintenance", Retention: forever,
		Fields: []privacy.Field{technical("id", "which one"), technical("kind", "incident or maintenance"), settings("title", "what it is about"), technical("impact", "how bad it is"),
			technical("state", "how far it is"), technical("components", "which parts are affected"), technical("starts_at", "when it began"), technical("ends_at", "when it is to end"),
			technical("over_at", "when it was over"), technical("created_at", "when it was published"), technical("deleted_at", "when it was taken back; it is removed 30 days later")}}, "created_at")
	updates := m.declare(privacy.Collection{Name: "status_updates", Title: "What was told of incidents", Purpose: "to tell customers how an incident goes on", Retention: forever,
		Fields: []privacy.Field{technical("id", "which one"), technical("notice_id", "of which incident"), technical("at", "when"), technical("state", "how far it was"), settings("body", "the text")}}, "at")
	subscribers := m.declare(privacy.Collection{Name: "status_subscribers", Title: "Subscribers of status pages", Purpose: "to send incidents and maintenance by mail to those who asked for it", Retention: "until they unsubscribe; 7 days without confirmation",
		Fields: []privacy.Field{technical("id", "which one"), {Name: "address", Category: privacy.Contact, Note: "where the mail goes"}, technical("created_at", "when it was asked for"), technical("confirmed_at", "when it was confirmed")}}, "created_at")
	subscribers.Subjects, subscribers.LegalBasis, subscribers.Promises = "subscribers", "consent", []string{"USE-4", "USE-6"}
	// Only what was never confirmed has an age.
	subscribers.Oldest = func(ctx context.Context, ws kernel.WorkspaceID) (time.Time, error) {
		var at int64
		err := m.d.DB.QueryRow(ctx, `SELECT coalesce(min(created_at), 0) FROM status_subscribers WHERE confirmed_at = 0 AND ($1 = '' OR workspace_id = $1)`, string(ws)).Scan(&at)
		return kernel.FromMicros(at), err
	}
	subscribers.MaxAge = privacy.Fixed(confirmWithin)
	subscribers.Sweep = func(ctx context.Context, ws kernel.WorkspaceID, before time.Time) (int64, error) {
		return m.exec(ctx, `DELETE FROM status_subscribers WHERE confirmed_at = 0 AND created_at < $2 AND ($1 = '' OR workspace_id = $1)`, string(ws), kernel.Micros(before))
	}
	return []privacy.Collection{pages, components, notices, updates, subscribers}
}

// declare fills in what all tables have in common. at is the column that an item's age is read from.
func (m *Module) declare(c privacy.Collection, at string) privacy.Collection {
	c.Module, c.Where, c.Subjects, c.LegalBasis, c.Promises = "status", "control database", "nobody", "contract", []string{"USE-6"}
	c.Fields = append([]privacy.Field{technical("workspace_id", "of which workspace")}, c.Fields...)
	c.Oldest = func(ctx context.Context, ws kernel.WorkspaceID) (time.Time, error) {
		var us int64
		err := m.d.DB.QueryRow(ctx, `SELECT coalesce(min(`+at+`), 0) FROM `+c.Name+` WHERE $1 = '' OR workspace_id = $1`, string(ws)).Scan(&us)
		return kernel.FromMicros(us), err
	}
	c.Count = func(ctx context.Context, ws kernel.WorkspaceID) (n int64, err error) {
		err = m.d.DB.QueryRow(ctx, `SELECT count(*) FROM `+c.Name+` WHERE $1 = '' OR workspace_id = $1`, string(ws)).Scan(&n)
		return n, err
	}
	c.Erase = func(ctx context.Context, ws kernel.WorkspaceID) (int64, error) {
		return m.exec(ctx, `DELETE FROM `+c.Name+` WHERE workspace_id = $1`, string(ws))
	}
	c.Export = func(ctx context.Context, ws kernel.WorkspaceID, item func(any) error) error {
		rows, err := m.d.DB.Query(ctx, `SELECT * FROM `+c.Name+` WHERE workspace_id = $1`, string(ws))
		if err != nil {
			return err
		}
		defer rows.Close()
		names, err := rows.Columns()
		if err != nil {
			return err
		}
		for rows.Next() {
			values, into := make([]any, len(names)), make([]any, len(names))
			for i := range values {
				into[i] = &values[i]
			}
			if err := rows.Scan(into...); err != nil {
				return err
			}
			row := map[string]any{}
			for i, name := range names {
				if b, ok := values[i].([]byte); ok {
					values[i] = string(b)
				}
				row[name] = values[i]
			}
			if err := item(row); err != nil {
				return err
			}
		}
		return rows.Err()
	}
	return c
}

func (m *Module) exec(ctx context.Context, text string, args ...any) (n int64, err error) {
	err = m.d.DB.Tx(ctx, func(tx *db.Tx) error {
		n, err = tx.Exec(ctx, text, args...)
		return err
	})
	return n, err
}
