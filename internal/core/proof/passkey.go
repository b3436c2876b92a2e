package proof

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/httpx"
)

const (
	maxPasskeys = 20 // of one account
	maxName     = 60 // characters
)

// Passkey is a key pair on a person's device, or in a password manager, of which Kept has the public half.
type Passkey struct {
	ID         kernel.ID
	Name       string
	Synced     bool // it is, or can be, on several devices
	CreatedAt  time.Time
	LastUsedAt time.Time // zero: never
}

// PasskeysAvailable tells whether people can use passkeys here: browsers want a name and, but for localhost, TLS.
func (m *Module) PasskeysAvailable() bool { return m.party != nil }

func (m *Module) errNoPasskeys() error {
	return kernel.Errorf(kernel.NotFound, "Passkeys do not work at the address of this server.")
}

// Passkeys lists an account's passkeys, the oldest first.
func (m *Module) Passkeys(ctx context.Context, account kernel.AccountID) (out []Passkey, err error) {
	rows, err := m.db.Query(ctx, `SELECT id, name, flags, created_at, last_used_at FROM passkeys WHERE account_id = $1 ORDER BY created_at, id`, account)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var p Passkey
		var flags, created, used int64
		if err := rows.Scan(&p.ID, &p.Name, &flags, &created, &used); err != nil {
			return nil, err
		}
		p.Synced = protocol.AuthenticatorFlags(flags).HasBackupEligible()
		p.CreatedAt, p.LastUsedAt = kernel.FromMicros(created), kernel.FromMicros(used)
		out = append(out, p)
	}
	return out, rows.Err()
}

// FindPasskey finds one passkey of an account; somebody else's is NotFound.
func (m *Module) FindPasskey(ctx context.Context, account kernel.AccountID, id kernel.ID) (Passkey, error) {
	all, err := m.Passkeys(ctx, account)
	if err != nil {
		return Passkey{}, err
	}
	for _, p := range all {
		if p.ID == id {
			return p, nil
		}
	}
	return Passkey{}, errNoPasskey()
}

func errNoPasskey() error { return kernel.Errorf(kernel.NotFound, "There is no such passkey.") }

// RenamePasskey gives a passkey of the person who asks another name.
func (m *Module) RenamePasskey(ctx context.Context, by httpx.Actor, id kernel.ID, name string) error {
	name, err := kernel.CleanName("name", name, maxName)
	if err != nil {
		return err
	}
	if name == "" {
		return kernel.InvalidField("name", "Give it a name.")
	}
	return m.db.Tx(ctx, func(tx *db.Tx) error {
		n, err := tx.Exec(ctx, `UPDATE passkeys SET name = $3 WHERE id = $1 AND account_id = $2`, id, by.AccountID, name)
		if err != nil {
			return err
		}
		if n == 0 {
			return errNoPasskey()
		}
		return audit.Record(ctx, tx, audit.Event{Action: "passkey.rename", Target: "passkey:" + string(id)})
	})
}

// RemovePasskey removes a passkey of the person who asks and signs out all other browsers. The last way of signing in
// stays.
func (m *Module) RemovePasskey(ctx context.Context, by httpx.Actor, id kernel.ID) error {
	return m.db.Tx(ctx, func(tx *db.Tx) error {
		// Removals of one account stand in line: two at once must not each leave the other's way.
		if _, err := tx.Exec(ctx, `UPDATE accounts SET updated_at = updated_at WHERE id = $1`, by.AccountID); err != nil {
			return err
		}
		n, err := tx.Exec(ctx, `DELETE FROM passkeys WHERE id = $1 AND account_id = $2`, id, by.AccountID)
		if err != nil {
			return err
		}
		if n == 0 {
			return errNoPasskey()
		}
		ways, err := m.d.Identity.WaysOf(ctx, tx, by.AccountID)
		if err != nil {
			return err
		}
		if ways == 0 {
			return kernel.Errorf(kernel.Conflict, "This passkey is your only way to sign in. Add another one, or set a password first.")
		}
		if err := m.d.Identity.EndLogins(ctx, tx, by.AccountID, by.LoginID); err != nil { // whoever has the device may be in
			return err
		}
		if err := m.d.Identity.Notice(ctx, tx, by.AccountID, "Passkey removed", "A passkey was removed from your account. It cannot sign in any more."); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Event{Action: "passkey.remove", Target: "passkey:" + string(id)})
	})
}

// holderOf is the person of an account with all passkeys.
func (m *Module) holderOf(ctx context.Context, account kernel.AccountID) (h *holder, err error) {
	a, err := m.d.Identity.Account(ctx, account)
	if err != nil {
		return nil, err
	}
	h = &holder{account: account, email: a.Email}
	err = m.db.QueryRow(ctx, `SELECT handle FROM passkey_users WHERE account_id = $1`, account).Scan(&h.handle)
	if err != nil && !errors.Is(err, db.ErrNoRows) {
		return nil, err
	}
	h.credentials, err = m.credentials(ctx, account)
	return h, err
}

func (m *Module) credentials(ctx context.Context, account kernel.AccountID) (out []webauthn.Credential, err error) {
	rows, err := m.db.Query(ctx, `SELECT credential_id, public_key, aaguid, transports, flags, sign_count FROM passkeys WHERE account_id = $1`, account)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var c webauthn.Credential
		var transports string
		var flags, count int64
		if err := rows.Scan(&c.ID, &c.PublicKey, &c.Authenticator.AAGUID, &transports, &flags, &count); err != nil {
			return nil, err
		}
		for t := range strings.FieldsSeq(transports) {
			c.Transport = append(c.Transport, protocol.AuthenticatorTransport(t))
		}
		c.Flags = webauthn.NewCredentialFlags(protocol.AuthenticatorFlags(flags))
		c.Authenticator.SignCount = uint32(count)
		out = append(out, c)
	}
	return out, rows.Err()
}
