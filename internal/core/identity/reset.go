package identity

import (
	"context"

	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/core/mail"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
)

// RequestReset mails a link for choosing a new password to an address that has an account. For every other address the
// same is written, and dropped instead of sent.
func (m *Module) RequestReset(ctx context.Context, email string) error {
	addr, err := ParseAddress(email)
	if err != nil {
		return err
	}
	return m.db.Tx(ctx, func(tx *db.Tx) error {
		a, found, err := byKeyIn(ctx, tx, addr.Key)
		if err != nil {
			return err
		}
		allowed, err := mailAllowed(ctx, tx, addr.Key)
		if err != nil {
			return err
		}
		t := token{purpose: forNobody}
		to := addr.Typed
		if found {
			t = token{purpose: forReset, account: a.ID, email: a.Email}
			to = a.Email
		}
		secret, err := issue(ctx, tx, t, resetTTL)
		if err != nil {
			return err
		}
		err = m.d.Mail.Send(ctx, tx, mail.Mail{Type: mailReset, To: to, AccountID: a.ID, Content: m.resetContent(secret), Void: !found || !allowed})
		if err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Event{Action: "password.reset_request"})
	})
}

// ResetAddress is whose password a mailed link resets. It does not use the link up.
func (m *Module) ResetAddress(ctx context.Context, secret string) (string, error) {
	t, err := m.peek(ctx, forReset, secret)
	return t.email, err
}

// Reset uses the link up, sets the password and ends all logins: whoever else had one must prove himself again.
func (m *Module) Reset(ctx context.Context, secret, password string) error {
	t, err := m.peek(ctx, forReset, secret)
	if err != nil {
		return err
	}
	addr, err := ParseAddress(t.email)
	if err != nil {
		return err
	}
	if err := checkPassword("password", password, addr); err != nil {
		return err
	}
	hash, err := m.hasher.hash(ctx, password)
	if err != nil {
		return err
	}
	return m.db.Tx(ctx, func(tx *db.Tx) error {
		t, err := consume(ctx, tx, forReset, secret)
		if err != nil {
			return err
		}
		a, err := accountIn(ctx, tx, t.account)
		if err != nil {
			return err
		}
		if err := m.setPassword(ctx, tx, a, hash, ""); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Event{Actor: a.actor(), Action: "password.reset", Target: a.target()})
	})
}

// setPassword changes the hash, ends the logins but one (empty: all), makes mailed links useless and tells the person.
func (m *Module) setPassword(ctx context.Context, tx *db.Tx, a Account, hash string, keep kernel.ID) error {
	_, err := tx.Exec(ctx, `UPDATE accounts SET password_hash = $2, password_changed_at = $3, updated_at = $3 WHERE id = $1`,
		a.ID, hash, kernel.Micros(tx.Now()))
	if err != nil {
		return err
	}
	if _, err := m.endAll(ctx, tx, a.ID, keep); err != nil {
		return err
	}
	if err := dropTokens(ctx, tx, a.ID); err != nil {
		return err
	}
	return m.d.Mail.Send(ctx, tx, mail.Mail{Type: mailPasswordChanged, To: a.Email, AccountID: a.ID, Content: m.passwordChangedContent()})
}
