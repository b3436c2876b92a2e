package proof

import (
	"context"
	"time"

	"github.com/kept-dev/kept/internal/core/privacy"
	"github.com/kept-dev/kept/internal/kernel"
)

const ofPerson = "it belongs to a person, not to a workspace"

// Collections is the module's part of the data map. All of it goes with the account.
func (m *Module) Collections() []privacy.Collection {
	return []privacy.Collection{m.passkeysCollection(), m.handlesCollection(), m.totpCollection(), m.recoveryCollection()}
}

// ofAccounts declares a table of people's credentials.
func (m *Module) ofAccounts(table, title, purpose, retention string, fields ...privacy.Field) privacy.Collection {
	return privacy.Collection{
		Name: table, Module: "proof", Title: title, Subjects: "account holders", Purpose: purpose, LegalBasis: "contract",
		Retention: retention, Where: "control database", Promises: []string{"COL-1", "SEC-2"}, Fields: fields,
		Oldest: m.oldest(table), Count: m.countRows(table), NoExport: ofPerson, NoErase: ofPerson,
	}
}

func (m *Module) passkeysCollection() privacy.Collection {
	return m.ofAccounts("passkeys", "Passkeys", "to let people sign in without a password", "until removed, as long as the account",
		privacy.Field{Name: "id", Category: privacy.Technical, Note: "which passkey"},
		privacy.Field{Name: "account_id", Category: privacy.Technical, Note: "whose"},
		privacy.Field{Name: "credential_id", Category: privacy.Technical, Note: "what the device calls it"},
		privacy.Field{Name: "public_key", Category: privacy.Technical, Note: "the public key; the private one stays on the device"},
		privacy.Field{Name: "name", Category: privacy.Settings, Note: "what the person calls it"},
		privacy.Field{Name: "aaguid", Category: privacy.Technical, Note: "the model of the device, if it says so"},
		privacy.Field{Name: "transports", Category: privacy.Technical, Note: "how browsers reach it"},
		privacy.Field{Name: "flags", Category: privacy.Technical, Note: "whether it is synchronised between devices"},
		privacy.Field{Name: "sign_count", Category: privacy.Technical, Note: "how often it was used, to notice copies"},
		privacy.Field{Name: "created_at", Category: privacy.Technical, Note: "when it was added"},
		privacy.Field{Name: "last_used_at", Category: privacy.Technical, Note: "when it was used last"},
	)
}

func (m *Module) handlesCollection() privacy.Collection {
	c := m.ofAccounts("passkey_users", "Passkey handles", "to find the account of a passkey without storing who it is on the device", "as long as the account",
		privacy.Field{Name: "account_id", Category: privacy.Technical, Note: "whose"},
		privacy.Field{Name: "handle", Category: privacy.Technical, Note: "64 random bytes"},
	)
	c.Oldest = func(context.Context, kernel.WorkspaceID) (time.Time, error) { return time.Time{}, nil }
	return c
}

func (m *Module) totpCollection() privacy.Collection {
	return m.ofAccounts("totp", "Authenticator apps", "to ask for a second factor at sign-in", "until removed, as long as the account",
		privacy.Field{Name: "account_id", Category: privacy.Technical, Note: "whose"},
		privacy.Field{Name: "sealed", Category: privacy.Secret, Note: "the secret that the app has too, encrypted"},
		privacy.Field{Name: "last_step", Category: privacy.Technical, Note: "the half minute of the last code, so that each works once"},
		privacy.Field{Name: "created_at", Category: privacy.Technical, Note: "when it was added"},
	)
}

func (m *Module) recoveryCollection() privacy.Collection {
	return m.ofAccounts("recovery_codes", "Recovery codes", "to sign in when the authenticator app is lost", "until replaced, as long as the authenticator app",
		privacy.Field{Name: "account_id", Category: privacy.Technical, Note: "whose"},
		privacy.Field{Name: "code_hash", Category: privacy.Secret, Note: "SHA-256 of the code's 120 random bits"},
		privacy.Field{Name: "used_at", Category: privacy.Technical, Note: "when it was used"},
		privacy.Field{Name: "created_at", Category: privacy.Technical, Note: "when it was made"},
	)
}

func (m *Module) oldest(table string) func(context.Context, kernel.WorkspaceID) (time.Time, error) {
	return func(ctx context.Context, ws kernel.WorkspaceID) (time.Time, error) {
		if ws != "" {
			return time.Time{}, nil
		}
		var us int64
		err := m.db.QueryRow(ctx, `SELECT coalesce(min(created_at), 0) FROM `+table).Scan(&us)
		return kernel.FromMicros(us), err
	}
}

func (m *Module) countRows(table string) func(context.Context, kernel.WorkspaceID) (int64, error) {
	return func(ctx context.Context, ws kernel.WorkspaceID) (n int64, err error) {
		if ws == "" {
			err = m.db.QueryRow(ctx, `SELECT count(*) FROM `+table).Scan(&n)
		}
		return n, err
	}
}
