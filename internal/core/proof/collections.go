package proof

import "github.com/kept-dev/kept/internal/core/privacy"

// Collections is the module's part of the data map. All of it goes with the account.
func (m *Module) Collections() []privacy.Collection {
	return []privacy.Collection{m.passkeysCollection(), m.handlesCollection(), m.totpCollection(), m.recoveryCollection()}
}

// ofAccounts declares a table of people's credentials; at is when one was made.
func (m *Module) ofAccounts(table, at, title, purpose, retention string, fields ...privacy.Field) privacy.Collection {
	return privacy.Table{DB: m.db, At: at}.Declare(privacy.Collection{
		Name: table, Module: "proof", Title: title, Subjects: "account holders", Purpose: purpose, LegalBasis: "contract",
		Retention: retention, Where: privacy.ControlDB, Promises: []string{"COL-1", "SEC-2"}, Fields: fields,
		NoExport: privacy.OfPerson, NoErase: privacy.OfPerson,
	})
}

func (m *Module) passkeysCollection() privacy.Collection {
	return m.ofAccounts("passkeys", "created_at", "Passkeys", "to let people sign in without a password", "until removed, as long as the account",
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
	return m.ofAccounts("passkey_users", "", "Passkey handles", "to find the account of a passkey without storing who it is on the device", "as long as the account",
		privacy.Field{Name: "account_id", Category: privacy.Technical, Note: "whose"},
		privacy.Field{Name: "handle", Category: privacy.Technical, Note: "64 random bytes"},
	)
}

func (m *Module) totpCollection() privacy.Collection {
	return m.ofAccounts("totp", "created_at", "Authenticator apps", "to ask for a second factor at sign-in", "until removed, as long as the account",
		privacy.Field{Name: "account_id", Category: privacy.Technical, Note: "whose"},
		privacy.Field{Name: "sealed", Category: privacy.Secret, Note: "the secret that the app has too, encrypted"},
		privacy.Field{Name: "last_step", Category: privacy.Technical, Note: "the half minute of the last code, so that each works once"},
		privacy.Field{Name: "created_at", Category: privacy.Technical, Note: "when it was added"},
	)
}

func (m *Module) recoveryCollection() privacy.Collection {
	return m.ofAccounts("recovery_codes", "created_at", "Recovery codes", "to sign in when the authenticator app is lost", "until replaced, as long as the authenticator app",
		privacy.Field{Name: "account_id", Category: privacy.Technical, Note: "whose"},
		privacy.Field{Name: "code_hash", Category: privacy.Secret, Note: "SHA-256 of the code's 120 random bits"},
		privacy.Field{Name: "used_at", Category: privacy.Technical, Note: "when it was used"},
		privacy.Field{Name: "created_at", Category: privacy.Technical, Note: "when it was made"},
	)
}
