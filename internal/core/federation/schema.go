package federation

import (
	"context"
	"time"

	"github.com/kept-dev/kept/internal/core/privacy"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
)

// Migrations is the module's schema.
func (m *Module) Migrations() []db.Migration { return Migrations() }

// Migrations is the schema of linked accounts, for tests of modules that stand beside this one.
func Migrations() []db.Migration {
	return []db.Migration{{Name: "linked accounts of sign-in providers", SQL: `
CREATE TABLE linked_providers (
	id TEXT_C NOT NULL PRIMARY KEY,
	account_id TEXT_C NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
	provider TEXT_C NOT NULL,
	issuer TEXT_C NOT NULL,
	subject TEXT_C NOT NULL,
	email TEXT NOT NULL,
	sealed BYTES,
	sealed_at INTEGER NOT NULL,
	sealed_until INTEGER NOT NULL,
	created_at INTEGER NOT NULL,
	last_used_at INTEGER NOT NULL,
	UNIQUE (issuer, subject)
) END_TABLE;
CREATE INDEX linked_providers_account ON linked_providers (account_id);
CREATE INDEX linked_providers_sealed ON linked_providers (sealed_until) WHERE sealed IS NOT NULL;
`}}
}

// tokenLife is how long a provider's token is kept at most. Its one use is to be revoked when the link is ended.
const tokenLife = 24 * time.Hour

// Collections is the module's part of the data map.
func (m *Module) Collections() []privacy.Collection {
	// Only the token has an age; the link itself has none.
	rows := privacy.Table{DB: m.db, At: "sealed_at", Only: "sealed IS NOT NULL"}
	return []privacy.Collection{rows.Declare(privacy.Collection{
		Name: "linked_providers", Module: "federation", Title: "Linked sign-in providers", Subjects: "account holders",
		Purpose: "to let people sign in with an account that they have elsewhere", LegalBasis: "contract",
		Retention: "the link as long as the person keeps it, the provider's token until it expires, 24 hours at most",
		Where:     privacy.ControlDB, Processor: ProcessorRole, Promises: []string{"COL-1", "SEC-2"},
		Fields: []privacy.Field{
			{Name: "id", Category: privacy.Technical, Note: "which link"},
			{Name: "account_id", Category: privacy.Technical, Note: "whose"},
			{Name: "provider", Category: privacy.Settings, Note: "with which provider"},
			{Name: "issuer", Category: privacy.Technical, Note: "the provider's own name for itself"},
			{Name: "subject", Category: privacy.Identity, Note: "the provider's number for the person"},
			{Name: "email", Category: privacy.Identity, Note: "the address there, to tell two accounts apart"},
			{Name: "sealed", Category: privacy.Secret, Note: "the provider's access token, encrypted; to revoke it when the link is ended"},
			{Name: "sealed_at", Category: privacy.Technical, Note: "since when there is a token"},
			{Name: "sealed_until", Category: privacy.Technical, Note: "until when the token is kept"},
			{Name: "created_at", Category: privacy.Technical, Note: "when the person made the link"},
			{Name: "last_used_at", Category: privacy.Technical, Note: "when the person signed in with it last"},
		},
		MaxAge: privacy.Fixed(tokenLife), Sweep: m.sweepTokens, NoExport: privacy.OfPerson, NoErase: privacy.OfPerson,
	})}
}

// ProcessorRole is what a provider is to the data map.
const ProcessorRole = "the sign-in provider that the person chose"

// sweepTokens removes tokens that have expired.
func (m *Module) sweepTokens(ctx context.Context, ws kernel.WorkspaceID, _ time.Time) (n int64, err error) {
	if ws != "" {
		return 0, nil
	}
	err = m.db.Tx(ctx, func(tx *db.Tx) error {
		n, err = tx.Exec(ctx, `UPDATE linked_providers SET sealed = NULL, sealed_at = 0, sealed_until = 0
			WHERE sealed IS NOT NULL AND sealed_until <= $1`, kernel.Micros(tx.Now()))
		return err
	})
	return n, err
}
