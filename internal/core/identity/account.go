package identity

import (
	"context"
	"errors"
	"time"

	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/core/mail"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
)

// Account is a person.
type Account struct {
	ID         kernel.AccountID
	Email      string // as typed
	Name       string // may be empty
	Location   string // may be empty
	LocatedBy  string // LocationTyped, LocationByIP or empty
	AgeMet     int    // the minimum age that the person has; 0: never asked
	VerifiedAt time.Time
	CreatedAt  time.Time

	key          string
	passwordHash string // empty: signs in another way
}

// DisplayName is the name, or the address of somebody who gave none.
func (a Account) DisplayName() string {
	if a.Name != "" {
		return a.Name
	}
	return a.Email
}

// HasPassword tells whether the account has a password; without one the person signs in another way.
func (a Account) HasPassword() bool { return a.passwordHash != "" }

func (a Account) address() Address { return Address{Typed: a.Email, Key: a.key} }

func (a Account) actor() audit.Actor {
	return audit.Actor{Kind: "account", ID: a.ID, Label: a.Email}
}

func (a Account) target() string { return "account:" + string(a.ID) }

const maxName = 100 // characters

const accountColumns = `id, email, email_key, name, password_hash, verified_at, created_at, location, location_source, age_met`

type rowScanner interface{ Scan(dest ...any) error }

func scanAccount(row rowScanner) (a Account, err error) {
	var verified, created int64
	err = row.Scan(&a.ID, &a.Email, &a.key, &a.Name, &a.passwordHash, &verified, &created, &a.Location, &a.LocatedBy, &a.AgeMet)
	a.VerifiedAt, a.CreatedAt = kernel.FromMicros(verified), kernel.FromMicros(created)
	return a, err
}

// Account finds an account by its id; an unknown one is NotFound.
func (m *Module) Account(ctx context.Context, id kernel.AccountID) (Account, error) {
	a, err := scanAccount(m.db.QueryRow(ctx, `SELECT `+accountColumns+` FROM accounts WHERE id = $1`, id))
	if errors.Is(err, db.ErrNoRows) {
		return a, kernel.Errorf(kernel.NotFound, "There is no such account.")
	}
	return a, err
}

// ByEmail finds an account by its address, however it is spelled; an unknown one is NotFound. Its answer must never
// decide what a stranger is told.
func (m *Module) ByEmail(ctx context.Context, email string) (Account, error) {
	addr, err := ParseAddress(email)
	if err != nil {
		return Account{}, err
	}
	a, found, err := m.byKey(ctx, addr.Key)
	if err == nil && !found {
		err = kernel.Errorf(kernel.NotFound, "There is no such account.")
	}
	return a, err
}

func (m *Module) byKey(ctx context.Context, key string) (Account, bool, error) {
	return foundAccount(m.db.QueryRow(ctx, selectByKey, key))
}

func byKeyIn(ctx context.Context, tx *db.Tx, key string) (Account, bool, error) {
	return foundAccount(tx.QueryRow(ctx, selectByKey, key))
}

const selectByKey = `SELECT ` + accountColumns + ` FROM accounts WHERE email_key = $1`

func foundAccount(row rowScanner) (Account, bool, error) {
	a, err := scanAccount(row)
	if errors.Is(err, db.ErrNoRows) {
		return Account{}, false, nil
	}
	return a, err == nil, err
}

func accountIn(ctx context.Context, tx *db.Tx, id kernel.AccountID) (Account, error) {
	a, err := scanAccount(tx.QueryRow(ctx, `SELECT `+accountColumns+` FROM accounts WHERE id = $1`, id))
	if errors.Is(err, db.ErrNoRows) {
		return a, kernel.Errorf(kernel.NotFound, "There is no such account.")
	}
	return a, err
}

// insertAccount makes a verified account of somebody who is old enough. An address that has one already is Conflict.
func (m *Module) insertAccount(ctx context.Context, tx *db.Tx, addr Address, name, hash string) (Account, error) {
	now := kernel.Micros(tx.Now())
	a := Account{ID: kernel.NewID(tx.Now()), Email: addr.Typed, key: addr.Key, Name: name, passwordHash: hash, AgeMet: m.d.MinAge,
		VerifiedAt: tx.Now(), CreatedAt: tx.Now()}
	n, err := tx.Exec(ctx, `INSERT INTO accounts (id, email, email_key, name, password_hash, password_changed_at, verified_at, created_at, updated_at, age_met)
		VALUES ($1, $2, $3, $4, $5, $6, $6, $6, $6, $7) ON CONFLICT (email_key) DO NOTHING`, a.ID, a.Email, a.key, a.Name, hash, now, a.AgeMet)
	if err == nil && n == 0 {
		err = kernel.Errorf(kernel.Conflict, "There is an account with this address already. Sign in, or reset its password.")
	}
	return a, err
}

// EnsureAccount returns the account of an address when it has that password, or makes it, verified. It is for the
// operator's own commands, not for strangers: with another password it is Conflict. The operator answers for the person's age.
func (m *Module) EnsureAccount(ctx context.Context, email, password string) (a Account, created bool, err error) {
	addr, err := ParseAddress(email)
	if err != nil {
		return a, false, err
	}
	a, found, err := m.byKey(ctx, addr.Key)
	if err != nil {
		return a, false, err
	}
	if found {
		return a, false, m.verifyPassword(ctx, a, password)
	}
	if err := checkPassword("password", password, addr); err != nil {
		return a, false, err
	}
	hash, err := m.hasher.hash(ctx, password)
	if err != nil {
		return a, false, err
	}
	err = m.db.Tx(ctx, func(tx *db.Tx) error {
		if a, err = m.insertAccount(ctx, tx, addr, "", hash); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Event{Actor: audit.System, Action: "account.create", Target: a.target(), Detail: a.Email})
	})
	return a, err == nil, err
}

func (m *Module) verifyPassword(ctx context.Context, a Account, password string) error {
	leave, err := m.hasher.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	match, _, err := m.hasher.check(password, a.passwordHash)
	if err == nil && !match {
		err = kernel.Errorf(kernel.Conflict, "There is an account with this address, and it has another password.")
	}
	return err
}

// EraseAccount removes an account with everything that is the person's: logins, links, mail, memberships. The audit
// log keeps that something was done, and forgets by whom.
func (m *Module) EraseAccount(ctx context.Context, id kernel.AccountID) error {
	return m.db.Tx(ctx, func(tx *db.Tx) error {
		a, err := accountIn(ctx, tx, id)
		if err != nil {
			return err
		}
		for _, e := range m.erasers {
			if err := e.EraseAccount(ctx, tx, id); err != nil {
				return err
			}
		}
		for _, table := range []string{"identity_flows", "logins", "identity_tokens", "known_devices"} {
			if _, err := tx.Exec(ctx, `DELETE FROM `+table+` WHERE account_id = $1`, id); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(ctx, `DELETE FROM accounts WHERE id = $1`, id); err != nil {
			return err
		}
		if _, err := mail.Forget(ctx, tx, id); err != nil {
			return err
		}
		m.loginsChanged(tx, id)
		if err := audit.Record(ctx, tx, audit.Event{Actor: audit.Actor{Kind: "account", ID: id}, Action: "account.erase", Target: a.target()}); err != nil {
			return err
		}
		_, err = audit.Forget(ctx, tx, id)
		return err
	})
}
