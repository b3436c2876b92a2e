package proof

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"strings"

	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/httpx"
)

const (
	recoveryCodes  = 10
	recoveryLength = 24 // characters of five bits: 120 bits, too many to guess from a plain hash
)

// recoveryAlphabet is without the letters that look like digits.
const recoveryAlphabet = "0123456789abcdefghjkmnpqrstvwxyz"

func newRecoveryCode() string {
	raw := make([]byte, recoveryLength)
	rand.Read(raw)
	var b strings.Builder
	for i, c := range raw {
		if i > 0 && i%4 == 0 {
			b.WriteByte('-')
		}
		b.WriteByte(recoveryAlphabet[c%32])
	}
	return b.String()
}

// hashRecovery is what is stored of a code, however it was typed. ok is false for what cannot be one.
func hashRecovery(typed string) (hash []byte, ok bool) {
	if len(typed) > 4*recoveryLength {
		return nil, false
	}
	code := strings.NewReplacer("-", "", " ", "", "\u2013", "", "o", "0", "i", "1", "l", "1").Replace(strings.ToLower(strings.TrimSpace(typed)))
	if len(code) != recoveryLength || strings.Trim(code, recoveryAlphabet) != "" {
		return nil, false
	}
	sum := sha256.Sum256([]byte(code))
	return sum[:], true
}

// replaceRecoveryCodes gives an account new codes and makes the old ones worthless. They are returned this once.
func replaceRecoveryCodes(ctx context.Context, tx *db.Tx, account kernel.AccountID) (codes []string, err error) {
	if _, err := tx.Exec(ctx, `DELETE FROM recovery_codes WHERE account_id = $1`, account); err != nil {
		return nil, err
	}
	for range recoveryCodes {
		code := newRecoveryCode()
		hash, _ := hashRecovery(code)
		if _, err := tx.Exec(ctx, `INSERT INTO recovery_codes (account_id, code_hash, used_at, created_at) VALUES ($1, $2, 0, $3)`,
			account, hash, kernel.Micros(tx.Now())); err != nil {
			return nil, err
		}
		codes = append(codes, code)
	}
	return codes, nil
}

// useRecoveryCode uses a code up. Of two requests with one code, one gets it.
func useRecoveryCode(ctx context.Context, tx *db.Tx, account kernel.AccountID, typed string) (bool, error) {
	hash, ok := hashRecovery(typed)
	if !ok {
		return false, nil
	}
	n, err := tx.Exec(ctx, `UPDATE recovery_codes SET used_at = $3 WHERE account_id = $1 AND code_hash = $2 AND used_at = 0`,
		account, hash, kernel.Micros(tx.Now()))
	return n == 1, err
}

// RecoveryCodesLeft is how many unused recovery codes an account has.
func (m *Module) RecoveryCodesLeft(ctx context.Context, account kernel.AccountID) (n int, err error) {
	err = m.db.QueryRow(ctx, `SELECT count(*) FROM recovery_codes WHERE account_id = $1 AND used_at = 0`, account).Scan(&n)
	return n, err
}

// NewRecoveryCodes gives the person who asks new recovery codes; the old ones work no more. Only somebody with an
// authenticator app has use for them.
func (m *Module) NewRecoveryCodes(ctx context.Context, by httpx.Actor) (codes []string, err error) {
	err = m.db.Tx(ctx, func(tx *db.Tx) error {
		enrolled, err := enrolledIn(ctx, tx, by.AccountID)
		if err != nil {
			return err
		}
		if !enrolled {
			return errNoApp()
		}
		if codes, err = replaceRecoveryCodes(ctx, tx, by.AccountID); err != nil {
			return err
		}
		if err := m.d.Identity.Notice(ctx, tx, by.AccountID, "New recovery codes", "New recovery codes were made for your account. The old ones work no more."); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Event{Action: "recovery.create", Target: "account:" + string(by.AccountID)})
	})
	return codes, err
}
