package access

import (
	"context"
	"time"

	"github.com/kept-dev/kept/internal/core/privacy"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
)

// Migrations is the module's schema. It refers to workspaces and accounts.
func (m *Module) Migrations() []db.Migration { return Migrations() }

// Migrations is the schema of API keys, for tests of other modules.
func Migrations() []db.Migration {
	return []db.Migration{{Name: "API keys", SQL: `
CREATE TABLE api_keys (
	id TEXT_C NOT NULL PRIMARY KEY,
	workspace_id TEXT_C NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
	name TEXT NOT NULL,
	prefix TEXT_C NOT NULL,
	key_hash BYTES NOT NULL UNIQUE,
	scopes TEXT_C NOT NULL,
	created_by TEXT_C REFERENCES accounts (id) ON DELETE SET NULL,
	created_at INTEGER NOT NULL,
	last_used_at INTEGER NOT NULL,
	revoked_at INTEGER NOT NULL
) END_TABLE;
CREATE INDEX api_keys_workspace ON api_keys (workspace_id);
CREATE INDEX api_keys_created_by ON api_keys (created_by);
`}}
}

// Collections is the module's part of the data map.
func (m *Module) Collections() []privacy.Collection {
	return []privacy.Collection{{
		Name: "api_keys", Module: "access", Title: "API keys", Subjects: "nobody",
		Purpose: "to let machines report to a workspace and read from it", LegalBasis: "contract",
		Retention: "until the workspace is erased", Where: "control database", Promises: []string{"SEC-3", "COL-7", "COL-8"},
		Fields: []privacy.Field{
			{Name: "id", Category: privacy.Technical, Note: "which key"},
			{Name: "workspace_id", Category: privacy.Technical, Note: "of which workspace"},
			{Name: "name", Category: privacy.Settings, Note: "what people call it"},
			{Name: "prefix", Category: privacy.Technical, Note: "its first characters"},
			{Name: "key_hash", Category: privacy.Secret, Note: "SHA-256 of its 256 random bits"},
			{Name: "scopes", Category: privacy.Settings, Note: "what it may do"},
			{Name: "created_by", Category: privacy.Technical, Note: "whose account made it"},
			{Name: "created_at", Category: privacy.Technical, Note: "when"},
			{Name: "last_used_at", Category: privacy.Technical, Note: "when it was used last, to the minute"},
			{Name: "revoked_at", Category: privacy.Technical, Note: "when it was revoked"},
		},
		Oldest: m.oldest, Count: m.count, Export: m.export, Erase: m.erase,
	}}
}

func (m *Module) oldest(ctx context.Context, ws kernel.WorkspaceID) (time.Time, error) {
	var us int64
	err := m.db.QueryRow(ctx, `SELECT coalesce(min(created_at), 0) FROM api_keys WHERE $1 = '' OR workspace_id = $1`, string(ws)).Scan(&us)
	return kernel.FromMicros(us), err
}

func (m *Module) count(ctx context.Context, ws kernel.WorkspaceID) (n int64, err error) {
	err = m.db.QueryRow(ctx, `SELECT count(*) FROM api_keys WHERE $1 = '' OR workspace_id = $1`, string(ws)).Scan(&n)
	return n, err
}

// exported is a key as an export has it: everything but the hash, which is of no use to anybody.
type exported struct {
	ID         kernel.ID  `json:"id"`
	Name       string     `json:"name"`
	Prefix     string     `json:"prefix"`
	Scopes     []string   `json:"scopes"`
	CreatedBy  string     `json:"created_by,omitempty"`
	CreatedAt  time.Time  `json:"created_at"`
	LastUsedAt *time.Time `json:"last_used_at,omitempty"`
	RevokedAt  *time.Time `json:"revoked_at,omitempty"`
}

func (m *Module) export(ctx context.Context, ws kernel.WorkspaceID, item func(any) error) error {
	keys, err := m.Keys(ctx, ws)
	for _, k := range keys {
		e := exported{ID: k.ID, Name: k.Name, Prefix: k.Prefix, Scopes: k.Scopes, CreatedBy: k.CreatedBy, CreatedAt: k.CreatedAt}
		if !k.LastUsedAt.IsZero() {
			e.LastUsedAt = &k.LastUsedAt
		}
		if k.Revoked() {
			e.RevokedAt = &k.RevokedAt
		}
		if err := item(e); err != nil {
			return err
		}
	}
	return err
}

func (m *Module) erase(ctx context.Context, ws kernel.WorkspaceID) (n int64, err error) {
	err = m.db.Tx(ctx, func(tx *db.Tx) error {
		tx.AfterCommit(func() { m.keys.forget(func(_ [32]byte, k Key) bool { return k.WorkspaceID == ws }) })
		n, err = tx.Exec(ctx, `DELETE FROM api_keys WHERE workspace_id = $1`, ws)
		return err
	})
	return n, err
}
