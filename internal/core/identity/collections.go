package identity

import (
	"time"

	"github.com/kept-dev/kept/internal/core/privacy"
)

// Collections is the module's part of the data map. All of it is about people, not about workspaces, so a workspace's
// export and erasure leave it alone.
func (m *Module) Collections() []privacy.Collection {
	return []privacy.Collection{m.accountsCollection(), m.loginsCollection(), m.tokensCollection(), m.attemptsCollection(),
		m.devicesCollection(), m.flowsCollection()}
}

const (
	tokenAge   = 48 * time.Hour // the longest link lives 24 hours
	attemptAge = 48 * time.Hour
	deviceAge  = 365 * 24 * time.Hour
)

func (m *Module) accountsCollection() privacy.Collection {
	return privacy.Table{DB: m.db, At: "created_at"}.Declare(privacy.Collection{
		Name: "accounts", Module: "identity", Title: "Accounts", Subjects: "account holders",
		Purpose: "to let people sign in and be reached about their account", LegalBasis: "contract",
		Retention: "as long as the account; there is none before its address is verified", Where: privacy.ControlDB,
		Processor: "the mail server that the operator configured", Promises: []string{"COL-1", "SEC-1", "RET-6", "RGT-2"},
		Fields: []privacy.Field{
			{Name: "id", Category: privacy.Technical, Note: "which account"},
			{Name: "email", Category: privacy.Identity, Note: "the address, as typed"},
			{Name: "email_key", Category: privacy.Identity, Note: "the address in small letters, to find it"},
			{Name: "name", Category: privacy.Identity, Note: "the name, if the person gave one"},
			{Name: "age_met", Category: privacy.Technical, Note: "the minimum age that the person has, not the date of birth"},
			{Name: "location", Category: privacy.Identity, Note: "where the person is, if given, or the country of the network at sign-up"},
			{Name: "location_source", Category: privacy.Technical, Note: "whether the location was typed or comes from the IP address"},
			{Name: "password_hash", Category: privacy.Secret, Note: "salted argon2id hash of the password"},
			{Name: "password_changed_at", Category: privacy.Technical, Note: "when the password was chosen"},
			{Name: "verified_at", Category: privacy.Technical, Note: "when the address was proved"},
			{Name: "created_at", Category: privacy.Technical, Note: "when the account was made"},
			{Name: "updated_at", Category: privacy.Technical, Note: "when it was changed last"},
		},
		NoExport: privacy.OfPerson, NoErase: privacy.OfPerson,
	})
}

func (m *Module) loginsCollection() privacy.Collection {
	c := m.timed("logins", "created_at", LoginLifetime, `last_seen_at <= $3`, LoginIdle)
	c.Title, c.Subjects = "Logins", "account holders"
	c.Purpose, c.LegalBasis = "to keep people signed in, and to show them where they are", "contract"
	c.Retention = "until signing out, 14 days without use, 90 days at most"
	c.Promises = []string{"COL-1", "COL-15"}
	c.Fields = []privacy.Field{
		{Name: "id", Category: privacy.Technical, Note: "which login"},
		{Name: "account_id", Category: privacy.Technical, Note: "whose"},
		{Name: "token_hash", Category: privacy.Secret, Note: "SHA-256 of the cookie's 256 random bits"},
		{Name: "method", Category: privacy.Technical, Note: "how the person signed in"},
		{Name: "ip", Category: privacy.Network, Note: "from where"},
		{Name: "user_agent", Category: privacy.Network, Note: "with which browser"},
		{Name: "created_at", Category: privacy.Technical, Note: "when"},
		{Name: "last_seen_at", Category: privacy.Technical, Note: "when it was used last, to the minute"},
		{Name: "kind", Category: privacy.Technical, Note: "browser or app"},
		{Name: "country", Category: privacy.Network, Note: "country of the IP address, from a table on this server (IP2Location LITE)"},
		{Name: "proved_at", Category: privacy.Technical, Note: "when the person last proved who he is"},
		{Name: "strong", Category: privacy.Technical, Note: "whether that was by a passkey or by two factors"},
		{Name: "expires_at", Category: privacy.Technical, Note: "when it ends at the latest"},
	}
	return c
}

func (m *Module) tokensCollection() privacy.Collection {
	c := m.timed("identity_tokens", "created_at", tokenAge, `expires_at <= $3`, 0)
	c.Title, c.Subjects = "Mailed links", "account holders and people who sign up"
	c.Purpose, c.LegalBasis = "to prove an address: sign-up, password reset, change of address, one-time sign-in", "contract"
	c.Retention = "until used, 24 hours at most"
	c.Promises = []string{"COL-1"}
	c.Fields = []privacy.Field{
		{Name: "id", Category: privacy.Technical, Note: "which link"},
		{Name: "purpose", Category: privacy.Technical, Note: "what for"},
		{Name: "token_hash", Category: privacy.Secret, Note: "SHA-256 of the link's 256 random bits"},
		{Name: "account_id", Category: privacy.Technical, Note: "whose; nobody's before sign-up is finished"},
		{Name: "email", Category: privacy.Identity, Note: "the address that it was mailed to"},
		{Name: "next", Category: privacy.Technical, Note: "the page to go to afterwards"},
		{Name: "created_at", Category: privacy.Technical, Note: "when"},
		{Name: "expires_at", Category: privacy.Technical, Note: "until when it works"},
	}
	return c
}

func (m *Module) attemptsCollection() privacy.Collection {
	c := m.timed("identity_attempts", "first_at", attemptAge, `first_at <= $3`, 24*time.Hour)
	c.Title, c.Subjects = "Failed sign-ins", "account holders and whoever guesses"
	c.Purpose, c.LegalBasis = "to slow down guessing of passwords and sending of mail", "legitimate interest"
	c.Retention = "24 hours"
	c.Promises = []string{"USE-7", "SEC-5"}
	c.Fields = []privacy.Field{
		{Name: "scope", Category: privacy.Technical, Note: "what is counted"},
		{Name: "subject_hash", Category: privacy.Network, Note: "SHA-256 of a client address, an address or both"},
		{Name: "failures", Category: privacy.Technical, Note: "how many"},
		{Name: "first_at", Category: privacy.Technical, Note: "since when"},
		{Name: "last_at", Category: privacy.Technical, Note: "until when"},
	}
	return c
}

func (m *Module) devicesCollection() privacy.Collection {
	c := m.timed("known_devices", "last_at", deviceAge, `last_at <= $3`, deviceAge)
	c.Title, c.Subjects = "Known devices", "account holders"
	c.Purpose, c.LegalBasis = "to tell people when their account is used from a device that is new", "legitimate interest"
	c.Retention = "one year after the last sign-in from it"
	c.Promises = []string{"USE-7"}
	c.Fields = []privacy.Field{
		{Name: "account_id", Category: privacy.Technical, Note: "whose"},
		{Name: "device_hash", Category: privacy.Network, Note: "keyed hash of the browser's family and the network's country"},
		{Name: "country", Category: privacy.Network, Note: "country of the network"},
		{Name: "first_at", Category: privacy.Technical, Note: "first sign-in"},
		{Name: "last_at", Category: privacy.Technical, Note: "last sign-in"},
	}
	return c
}

func (m *Module) flowsCollection() privacy.Collection {
	c := m.timed("identity_flows", "created_at", tokenAge, `expires_at <= $3`, 0)
	c.Title, c.Subjects = "Unfinished proofs of identity", "account holders and people who sign up"
	c.Purpose, c.LegalBasis = "to finish what was begun: a second factor, a passkey, a sign-in at a provider, a mailed code", "contract"
	c.Retention = "until finished, 24 hours at most"
	c.Promises = []string{"COL-1"}
	c.Fields = []privacy.Field{
		{Name: "id", Category: privacy.Technical, Note: "which one"},
		{Name: "kind", Category: privacy.Technical, Note: "what for"},
		{Name: "token_hash", Category: privacy.Secret, Note: "SHA-256 of the browser's 256 random bits"},
		{Name: "account_id", Category: privacy.Technical, Note: "whose, where somebody is known"},
		{Name: "login_id", Category: privacy.Technical, Note: "of which login, where there is one"},
		{Name: "sealed", Category: privacy.Secret, Note: "the challenge and what goes with it, encrypted"},
		{Name: "tries", Category: privacy.Technical, Note: "how often a code was tried"},
		{Name: "created_at", Category: privacy.Technical, Note: "when"},
		{Name: "expires_at", Category: privacy.Technical, Note: "until when"},
	}
	return c
}

// timed declares a table that is swept by age, and of rows that ended earlier: ended is SQL about $3, a time that lies
// by the given distance before now.
func (m *Module) timed(table, at string, age time.Duration, ended string, distance time.Duration) privacy.Collection {
	return privacy.Table{DB: m.db, At: at, Ended: ended, EndedFor: distance}.Declare(privacy.Collection{
		Name: table, Module: "identity", Where: privacy.ControlDB, NoExport: privacy.OfPerson, NoErase: privacy.OfPerson,
		MaxAge: privacy.Fixed(age),
	})
}
