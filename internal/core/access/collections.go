package access

import (
	"context"
	"time"

	"github.com/kept-dev/kept/internal/core/privacy"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
)

const controlDB = "control database"

// Collections is the module's part of the data map.
func (m *Module) Collections() []privacy.Collection {
	return []privacy.Collection{m.keysCollection(), m.personalCollection(), m.mobileCollection()}
}

func (m *Module) keysCollection() privacy.Collection {
	return privacy.Collection{
		Name: "api_keys", Module: "access", Title: "API keys", Subjects: "nobody",
		Purpose: "to let machines report to a workspace and read from it", LegalBasis: "contract",
		Retention: "until the workspace is erased", Where: controlDB, Promises: []string{"SEC-3", "COL-7", "COL-8"},
		Fields: []privacy.Field{
			{Name: "id", Category: privacy.Technical, Note: "which key"},
			{Name: "workspace_id", Category: privacy.Technical, Note: "of which workspace"},
			{Name: "name", Category: privacy.Settings, Note: "what people call it"},
			{Name: "prefix", Category: privacy.Technical, Note: "its first characters"},
			{Name: "key_hash", Category: privacy.Secret, Note: "SHA-256 of its 256 random bits"},
			{Name: "scopes", Category: privacy.Settings, Note: "what it may do"},
			{Name: "created_by", Category: privacy.Technical, Note: "whose account made it"},
			{Name: "created_at", Category: privacy.Technical, Note: "when"},
			{Name: "expires_at", Category: privacy.Settings, Note: "when it ends"},
			{Name: "last_used_at", Category: privacy.Technical, Note: "when it was used last, to the minute"},
			{Name: "revoked_at", Category: privacy.Technical, Note: "when it was revoked"},
			{Name: "replaces", Category: privacy.Technical, Note: "the key that it took over from"},
		},
		Oldest: m.oldest("api_keys"), Count: m.count("api_keys"), Export: m.exportKeys, Erase: m.eraseKeys,
	}
}

func (m *Module) personalCollection() privacy.Collection {
	return privacy.Collection{
		Name: "personal_tokens", Module: "access", Title: "Personal access tokens", Subjects: "account holders",
		Purpose: "to let people's own programs act for them in a workspace", LegalBasis: "contract",
		Retention: "until 30 days after the token ended, one year and 30 days at most, or until the person leaves the workspace",
		Where:     controlDB, Promises: []string{"SEC-3", "SEC-8"},
		Fields: []privacy.Field{
			{Name: "id", Category: privacy.Technical, Note: "which token"},
			{Name: "account_id", Category: privacy.Technical, Note: "whose"},
			{Name: "workspace_id", Category: privacy.Technical, Note: "for which workspace"},
			{Name: "name", Category: privacy.Settings, Note: "what the person calls it"},
			{Name: "prefix", Category: privacy.Technical, Note: "its first characters"},
			{Name: "token_hash", Category: privacy.Secret, Note: "SHA-256 of its 256 random bits"},
			{Name: "scopes", Category: privacy.Settings, Note: "what it may do"},
			{Name: "created_at", Category: privacy.Technical, Note: "when"},
			{Name: "expires_at", Category: privacy.Settings, Note: "when it ends"},
			{Name: "last_used_at", Category: privacy.Technical, Note: "when it was used last, to the minute"},
			{Name: "revoked_at", Category: privacy.Technical, Note: "when it was revoked"},
		},
		Oldest: m.oldest("personal_tokens"), Count: m.count("personal_tokens"), Export: m.exportTokens,
		NoErase: "goes with the membership, and with the account",
		MaxAge:  privacy.Fixed(maxTokenLife + endedTokens), Sweep: m.sweepTokens,
	}
}

func (m *Module) mobileCollection() privacy.Collection {
	ofLogin := "it belongs to a login of a person, and goes with it"
	return privacy.Collection{
		Name: "mobile_tokens", Module: "access", Title: "Tokens of mobile apps", Subjects: "account holders",
		Purpose: "to keep a person's mobile app signed in, and to notice when its tokens were copied", LegalBasis: "contract",
		Retention: "until the login ends, 90 days at most", Where: controlDB, Promises: []string{"SEC-7"},
		Fields: []privacy.Field{
			{Name: "refresh_hash", Category: privacy.Secret, Note: "SHA-256 of the refresh token's 256 random bits"},
			{Name: "login_id", Category: privacy.Technical, Note: "of which login"},
			{Name: "access_hash", Category: privacy.Secret, Note: "SHA-256 of the access token's 256 random bits"},
			{Name: "access_until", Category: privacy.Technical, Note: "when the access token ends"},
			{Name: "used_at", Category: privacy.Technical, Note: "when the refresh token was used up"},
			{Name: "created_at", Category: privacy.Technical, Note: "when"},
		},
		Oldest: m.ofPeople("mobile_tokens").oldest, Count: m.ofPeople("mobile_tokens").count, NoExport: ofLogin, NoErase: ofLogin,
	}
}

func (m *Module) oldest(table string) func(context.Context, kernel.WorkspaceID) (time.Time, error) {
	return func(ctx context.Context, ws kernel.WorkspaceID) (time.Time, error) {
		var us int64
		err := m.db.QueryRow(ctx, `SELECT coalesce(min(created_at), 0) FROM `+table+` WHERE $1 = '' OR workspace_id = $1`, string(ws)).Scan(&us)
		return kernel.FromMicros(us), err
	}
}

func (m *Module) count(table string) func(context.Context, kernel.WorkspaceID) (int64, error) {
	return func(ctx context.Context, ws kernel.WorkspaceID) (n int64, err error) {
		err = m.db.QueryRow(ctx, `SELECT count(*) FROM `+table+` WHERE $1 = '' OR workspace_id = $1`, string(ws)).Scan(&n)
		return n, err
	}
}

// peopleTable is a table that belongs to no workspace.
type peopleTable struct {
	db   *db.DB
	name string
}

func (m *Module) ofPeople(name string) peopleTable { return peopleTable{m.db, name} }

func (t peopleTable) oldest(ctx context.Context, ws kernel.WorkspaceID) (time.Time, error) {
	if ws != "" {
		return time.Time{}, nil
	}
	var us int64
	err := t.db.QueryRow(ctx, `SELECT coalesce(min(created_at), 0) FROM `+t.name).Scan(&us)
	return kernel.FromMicros(us), err
}

func (t peopleTable) count(ctx context.Context, ws kernel.WorkspaceID) (n int64, err error) {
	if ws == "" {
		err = t.db.QueryRow(ctx, `SELECT count(*) FROM `+t.name).Scan(&n)
	}
	return n, err
}

// exported is a key or token as an export has it: everything but the hash, which is of no use to anybody.
type exported struct {
	ID         kernel.ID  `json:"id"`
	Owner      string     `json:"owner,omitempty"` // of a personal token
	Name       string     `json:"name"`
	Prefix     string     `json:"prefix"`
	Scopes     []string   `json:"scopes"`
	CreatedBy  string     `json:"created_by,omitempty"`
	CreatedAt  time.Time  `json:"created_at"`
	ExpiresAt  *time.Time `json:"expires_at,omitempty"`
	LastUsedAt *time.Time `json:"last_used_at,omitempty"`
	RevokedAt  *time.Time `json:"revoked_at,omitempty"`
	Replaces   kernel.ID  `json:"replaces,omitempty"`
}

func orNone(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func (m *Module) exportKeys(ctx context.Context, ws kernel.WorkspaceID, item func(any) error) error {
	keys, err := m.Keys(ctx, ws)
	for _, k := range keys {
		if err := item(exported{ID: k.ID, Name: k.Name, Prefix: k.Prefix, Scopes: k.Scopes, CreatedBy: k.CreatedBy, CreatedAt: k.CreatedAt,
			ExpiresAt: orNone(k.ExpiresAt), LastUsedAt: orNone(k.LastUsedAt), RevokedAt: orNone(k.RevokedAt), Replaces: k.Replaces}); err != nil {
			return err
		}
	}
	return err
}

func (m *Module) exportTokens(ctx context.Context, ws kernel.WorkspaceID, item func(any) error) error {
	tokens, err := m.WorkspaceTokens(ctx, ws)
	for _, t := range tokens {
		if err := item(exported{ID: t.ID, Owner: t.Owner, Name: t.Name, Prefix: t.Prefix, Scopes: t.Scopes, CreatedAt: t.CreatedAt,
			ExpiresAt: orNone(t.ExpiresAt), LastUsedAt: orNone(t.LastUsedAt), RevokedAt: orNone(t.RevokedAt)}); err != nil {
			return err
		}
	}
	return err
}

func (m *Module) eraseKeys(ctx context.Context, ws kernel.WorkspaceID) (n int64, err error) {
	err = m.db.Tx(ctx, func(tx *db.Tx) error {
		tx.AfterCommit(func() { m.keys.forget(func(_ [32]byte, k Key) bool { return k.WorkspaceID == ws }) })
		n, err = tx.Exec(ctx, `DELETE FROM api_keys WHERE workspace_id = $1`, ws)
		return err
	})
	return n, err
}

// sweepTokens removes tokens that ended a while ago.
func (m *Module) sweepTokens(ctx context.Context, ws kernel.WorkspaceID, before time.Time) (n int64, err error) {
	err = m.db.Tx(ctx, func(tx *db.Tx) error {
		n, err = tx.Exec(ctx, `DELETE FROM personal_tokens WHERE ($1 = '' OR workspace_id = $1)
			AND (created_at < $2 OR expires_at < $3 OR revoked_at > 0 AND revoked_at < $3)`,
			string(ws), kernel.Micros(before), kernel.Micros(tx.Now().Add(-endedTokens)))
		return err
	})
	return n, err
}
