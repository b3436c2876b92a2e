package identity

import (
	"context"
	"errors"

	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/core/mail"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/httpx"
)

// Rename sets the name of the person who asks; empty removes it.
func (m *Module) Rename(ctx context.Context, by httpx.Actor, name string) error {
	name, err := kernel.CleanName("name", name, maxName)
	if err != nil {
		return err
	}
	return m.db.Tx(ctx, func(tx *db.Tx) error {
		if _, err := tx.Exec(ctx, `UPDATE accounts SET name = $2, updated_at = $3 WHERE id = $1`, by.AccountID, name, kernel.Micros(tx.Now())); err != nil {
			return err
		}
		m.loginsChanged(tx, by.AccountID)
		return audit.Record(ctx, tx, audit.Event{Action: "account.rename", Target: "account:" + string(by.AccountID)})
	})
}

// confirmPassword asks a signed-in person for the password again, throttled like sign-in.
func (m *Module) confirmPassword(ctx context.Context, by httpx.Actor, field, password string) (Account, error) {
	a, err := m.Account(ctx, by.AccountID)
	if err != nil {
		return a, err
	}
	if password == "" {
		return a, kernel.InvalidField(field, "Enter your password.")
	}
	p, err := m.prove(ctx, attempt{key: a.key, ip: httpx.ClientIP(ctx)}, password, audit.Event{Action: "password.confirm"})
	if err != nil {
		return a, err
	}
	if p.match {
		return p.account, nil
	}
	return a, kernel.InvalidField(field, "This is not your password.")
}

// confirmKnown is confirmPassword for somebody who has a password; who has none has proved himself in another way, which
// the edge sees to.
func (m *Module) confirmKnown(ctx context.Context, by httpx.Actor, current string) (Account, error) {
	a, err := m.Account(ctx, by.AccountID)
	if err != nil || !a.HasPassword() {
		return a, err
	}
	return m.confirmPassword(ctx, by, "current", current)
}

// ChangePassword sets a new password, or the first, for the person who asks, ends all logins and begins a new one for this
// browser.
func (m *Module) ChangePassword(ctx context.Context, by httpx.Actor, current, password string, d Device) (s Session, err error) {
	a, err := m.confirmKnown(ctx, by, current)
	if err != nil {
		return s, err
	}
	if err := checkPassword("password", password, a.address()); err != nil {
		return s, err
	}
	hash, err := m.hasher.hash(ctx, password)
	if err != nil {
		return s, err
	}
	err = m.db.Tx(ctx, func(tx *db.Tx) error {
		if err := m.setPassword(ctx, tx, a, hash, ""); err != nil {
			return err
		}
		d.Token = "" // that login has just ended
		if s, err = m.begin(ctx, tx, a, Proof{Method: "password", Strong: by.Strong}, d); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Event{Action: "password.change", Target: a.target()})
	})
	return s, err
}

// RequestEmailChange mails a link to the new address. The old one stays until the link is opened. An address that
// somebody else has is mailed nothing, which the person who asks does not see.
func (m *Module) RequestEmailChange(ctx context.Context, by httpx.Actor, email, current string) error {
	addr, err := ParseAddress(email)
	if err != nil {
		return err
	}
	a, err := m.confirmKnown(ctx, by, current)
	if err != nil {
		return err
	}
	if addr.Typed == a.Email {
		return kernel.InvalidField("email", "This is your address already.")
	}
	return m.db.Tx(ctx, func(tx *db.Tx) error {
		other, found, err := byKeyIn(ctx, tx, addr.Key)
		if err != nil {
			return err
		}
		allowed, err := mailAllowed(ctx, tx, addr.Key)
		if err != nil {
			return err
		}
		secret, err := issue(ctx, tx, token{purpose: forEmail, account: a.ID, email: addr.Typed}, emailTTL)
		if err != nil {
			return err
		}
		taken := found && other.ID != a.ID
		err = m.d.Mail.Send(ctx, tx, mail.Mail{Type: mailEmailChange, To: addr.Typed, AccountID: a.ID,
			Content: m.emailChangeContent(secret), Void: taken || !allowed})
		if err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Event{Action: "email.change_request", Target: a.target()})
	})
}

// NewEmail is the address that a mailed link confirms. It does not use the link up.
func (m *Module) NewEmail(ctx context.Context, secret string) (string, error) {
	t, err := m.peek(ctx, forEmail, secret)
	return t.email, err
}

// ConfirmEmail uses the link up and gives the account its new address. The old address is told, and all logins end but that
// of the browser that confirms, if it has one: it gets a new token, which is returned.
func (m *Module) ConfirmEmail(ctx context.Context, secret string, d Device) (s *Session, err error) {
	err = m.db.Tx(ctx, func(tx *db.Tx) error {
		t, err := consume(ctx, tx, forEmail, secret)
		if err != nil {
			return err
		}
		addr, err := ParseAddress(t.email)
		if err != nil {
			return err
		}
		a, err := accountIn(ctx, tx, t.account)
		if err != nil {
			return err
		}
		if err := m.setEmail(ctx, tx, a, addr); err != nil {
			return err
		}
		s, err = m.keepOnly(ctx, tx, a.ID, d.Token)
		return err
	})
	if db.IsUniqueViolation(err) {
		return nil, errDeadLink // somebody else proved the address first
	}
	return s, err
}

// keepOnly ends an account's logins but that of a token, which gets a new one. It is nil when the token is not the account's.
func (m *Module) keepOnly(ctx context.Context, tx *db.Tx, account kernel.AccountID, token string) (*Session, error) {
	l, err := scanLogin(tx.QueryRow(ctx, `SELECT `+loginColumns+` FROM logins l JOIN accounts a ON a.id = l.account_id
		WHERE l.token_hash = $1 AND l.account_id = $2`, hashSecret(token), account))
	if errors.Is(err, db.ErrNoRows) {
		_, err := m.endAll(ctx, tx, account, "")
		return nil, err
	}
	if err != nil {
		return nil, err
	}
	if _, err := m.endAll(ctx, tx, account, l.ID); err != nil {
		return nil, err
	}
	s, err := m.rotate(ctx, tx, l)
	return &s, err
}

func (m *Module) setEmail(ctx context.Context, tx *db.Tx, a Account, addr Address) error {
	_, err := tx.Exec(ctx, `UPDATE accounts SET email = $2, email_key = $3, verified_at = $4, updated_at = $4 WHERE id = $1`,
		a.ID, addr.Typed, addr.Key, kernel.Micros(tx.Now()))
	if err != nil {
		return err
	}
	if err := dropTokens(ctx, tx, a.ID); err != nil { // links that were mailed to the old address
		return err
	}
	m.loginsChanged(tx, a.ID)
	err = m.d.Mail.Send(ctx, tx, mail.Mail{Type: mailEmailChanged, To: a.Email, AccountID: a.ID, Content: m.emailChangedContent()})
	if err != nil {
		return err
	}
	return audit.Record(ctx, tx, audit.Event{Actor: a.actor(), Action: "email.change", Target: a.target()})
}
