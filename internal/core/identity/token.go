package identity

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"time"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
)

// The purposes of mailed tokens. A token works for its purpose only.
const (
	forSignUp = "sign_up"
	forReset  = "reset"
	forEmail  = "email"
	forLink   = "link"
	forNobody = "none" // written where there is nobody to mail, so that the work is the same
)

// token is what a mailed link proves.
type token struct {
	purpose string
	account kernel.AccountID // empty for sign-up
	email   string           // the address that it was sent to, as typed
	next    string           // where to go afterwards
}

// newSecret makes 256 random bits in URL-safe characters, and what is stored of them. A plain SHA-256 is enough: unlike
// a password there is nothing to guess in 256 random bits, so slowness would only cost us.
func newSecret() (secret string, hash []byte) {
	raw := make([]byte, 32)
	rand.Read(raw)
	secret = base64.RawURLEncoding.EncodeToString(raw)
	return secret, hashSecret(secret)
}

func hashSecret(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}

// issue stores a new token and returns its secret, which exists nowhere else.
func issue(ctx context.Context, tx *db.Tx, t token, ttl time.Duration) (string, error) {
	secret, hash := newSecret()
	var account any
	if t.account != "" {
		account = string(t.account)
	}
	_, err := tx.Exec(ctx, `INSERT INTO identity_tokens (id, purpose, token_hash, account_id, email, next, created_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`, kernel.NewID(tx.Now()), t.purpose, hash, account, t.email, t.next,
		kernel.Micros(tx.Now()), kernel.Micros(tx.Now().Add(ttl)))
	return secret, err
}

// errDeadLink is the answer to a token that is wrong, used or too old, whichever it is.
var errDeadLink = kernel.Errorf(kernel.NotFound, "This link has been used already or is too old. Ask for a new one.")

// peek reads a token without using it up: mail programs look at links before people do.
func (m *Module) peek(ctx context.Context, purpose, secret string) (t token, err error) {
	var account *string
	err = m.db.QueryRow(ctx, `SELECT account_id, email, next FROM identity_tokens
		WHERE token_hash = $1 AND purpose = $2 AND expires_at > $3`,
		hashSecret(secret), purpose, kernel.Micros(m.d.Clock())).Scan(&account, &t.email, &t.next)
	return t.found(purpose, account, err)
}

// consume uses a token up. Of two requests with one token, one gets it.
func consume(ctx context.Context, tx *db.Tx, purpose, secret string) (t token, err error) {
	var account *string
	err = tx.QueryRow(ctx, `DELETE FROM identity_tokens WHERE token_hash = $1 AND purpose = $2 AND expires_at > $3
		RETURNING account_id, email, next`,
		hashSecret(secret), purpose, kernel.Micros(tx.Now())).Scan(&account, &t.email, &t.next)
	return t.found(purpose, account, err)
}

func (t token) found(purpose string, account *string, err error) (token, error) {
	if errors.Is(err, db.ErrNoRows) {
		return token{}, errDeadLink
	}
	t.purpose = purpose
	if account != nil {
		t.account = kernel.AccountID(*account)
	}
	return t, err
}

// dropTokens makes an account's mailed links useless, and ends what was begun with the password or the address of before.
func dropTokens(ctx context.Context, tx *db.Tx, account kernel.AccountID) error {
	for _, table := range []string{"identity_tokens", "identity_flows"} {
		if _, err := tx.Exec(ctx, `DELETE FROM `+table+` WHERE account_id = $1`, account); err != nil {
			return err
		}
	}
	return nil
}
