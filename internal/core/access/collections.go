package access

import (
	"time"

	"github.com/kept-dev/kept/internal/core/privacy"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
)

// Collections is the module's part of the data map.
func (m *Module) Collections() []privacy.Collection {
	rows := privacy.Table{DB: m.db, Of: "workspace_id", At: "created_at"}
	keys, tokens := rows, rows
	keys.Erasing = func(tx *db.Tx, ws kernel.WorkspaceID) {
		tx.AfterCommit(func() { m.keys.forget(func(_ [32]byte, k Key) bool { return k.WorkspaceID == ws }) })
	}
	tokens.Ended, tokens.EndedFor = `expires_at < $3 OR revoked_at > 0 AND revoked_at < $3`, endedTokens
	certificates := rows
	certificates.Ended = `expires_at < $3`
	people := privacy.Table{DB: m.db, At: "created_at"}
	return []privacy.Collection{keys.Declare(m.keysCollection()), certificates.Declare(certificateCollection()), tokens.Declare(m.personalCollection()), people.Declare(mobileCollection())}
}

func (m *Module) keysCollection() privacy.Collection {
	return privacy.Collection{
		Name: "api_keys", Module: "access", Title: "API keys", Subjects: "nobody",
		Purpose: "to let machines report to a workspace and read from it", LegalBasis: "contract",
		Retention: "until the workspace is erased", Where: privacy.ControlDB, Promises: []string{"SEC-3", "COL-7", "COL-8"},
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
			{Name: "of_host", Category: privacy.Technical, Note: "whether it is of a host that was enrolled"},
		},
		Export: privacy.EachAs(m.allKeys, exportKey),
	}
}

func certificateCollection() privacy.Collection {
	return privacy.Collection{
		Name: "key_certificates", Module: "access", Title: "Client certificates of hosts", Subjects: "nobody",
		Purpose: "to let agents show who they are without a secret that could be copied from the wire or from a file of the server", LegalBasis: "contract",
		Retention: "30 days; agents renew theirs after ten", Where: privacy.ControlDB, Promises: []string{"SEC-4", "COL-8"},
		Fields: []privacy.Field{
			{Name: "pin", Category: privacy.Technical, Note: "SHA-256 of the public key, in hex"},
			{Name: "workspace_id", Category: privacy.Technical, Note: "of which workspace"},
			{Name: "key_id", Category: privacy.Technical, Note: "the API key that it stands for"},
			{Name: "created_at", Category: privacy.Technical, Note: "when it was shown first"},
			{Name: "expires_at", Category: privacy.Technical, Note: "when it ends"},
		},
		MaxAge: privacy.Fixed(CertificateLife), NoExport: "a hash of a public key, of use to nobody; the host's list has what it belongs to",
	}
}

func (m *Module) personalCollection() privacy.Collection {
	return privacy.Collection{
		Name: "personal_tokens", Module: "access", Title: "Personal access tokens", Subjects: "account holders",
		Purpose: "to let people's own programs act for them in a workspace", LegalBasis: "contract",
		Retention: "until 30 days after the token ended, one year and 30 days at most, or until the person leaves the workspace",
		Where:     privacy.ControlDB, Promises: []string{"SEC-3", "SEC-8"},
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
		Export: privacy.EachAs(m.WorkspaceTokens, exportToken), NoErase: "goes with the membership, and with the account",
		MaxAge: privacy.Fixed(maxTokenLife + endedTokens),
	}
}

func mobileCollection() privacy.Collection {
	ofLogin := "it belongs to a login of a person, and goes with it"
	return privacy.Collection{
		Name: "mobile_tokens", Module: "access", Title: "Tokens of mobile apps", Subjects: "account holders",
		Purpose: "to keep a person's mobile app signed in, and to notice when its tokens were copied", LegalBasis: "contract",
		Retention: "until the login ends, 90 days at most", Where: privacy.ControlDB, Promises: []string{"SEC-7"},
		Fields: []privacy.Field{
			{Name: "refresh_hash", Category: privacy.Secret, Note: "SHA-256 of the refresh token's 256 random bits"},
			{Name: "login_id", Category: privacy.Technical, Note: "of which login"},
			{Name: "access_hash", Category: privacy.Secret, Note: "SHA-256 of the access token's 256 random bits"},
			{Name: "access_until", Category: privacy.Technical, Note: "when the access token ends"},
			{Name: "used_at", Category: privacy.Technical, Note: "when the refresh token was used up"},
			{Name: "created_at", Category: privacy.Technical, Note: "when"},
		},
		NoExport: ofLogin, NoErase: ofLogin,
	}
}

// exported is a key or token as an export has it: everything but the hash, which is of no use to anybody.
type exported struct {
	ID         kernel.ID `json:"id"`
	Owner      string    `json:"owner,omitempty"` // of a personal token
	Name       string    `json:"name"`
	Prefix     string    `json:"prefix"`
	Scopes     []string  `json:"scopes"`
	CreatedBy  string    `json:"created_by,omitempty"`
	CreatedAt  time.Time `json:"created_at"`
	ExpiresAt  time.Time `json:"expires_at,omitzero"`
	LastUsedAt time.Time `json:"last_used_at,omitzero"`
	RevokedAt  time.Time `json:"revoked_at,omitzero"`
	Replaces   kernel.ID `json:"replaces,omitempty"`
}

func exportKey(k Key) any {
	return exported{ID: k.ID, Name: k.Name, Prefix: k.Prefix, Scopes: k.Scopes, CreatedBy: k.CreatedBy, CreatedAt: k.CreatedAt,
		ExpiresAt: k.ExpiresAt, LastUsedAt: k.LastUsedAt, RevokedAt: k.RevokedAt, Replaces: k.Replaces}
}

func exportToken(t Token) any {
	return exported{ID: t.ID, Owner: t.Owner, Name: t.Name, Prefix: t.Prefix, Scopes: t.Scopes, CreatedAt: t.CreatedAt,
		ExpiresAt: t.ExpiresAt, LastUsedAt: t.LastUsedAt, RevokedAt: t.RevokedAt}
}
