package federation

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/core/identity"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/httpx"
)

// Link says that an account at a provider and an account here are one person's.
type Link struct {
	ID         kernel.ID
	AccountID  kernel.AccountID
	Provider   string // its key
	Email      string // the address there; may be empty
	CreatedAt  time.Time
	LastUsedAt time.Time // of the sign-in with it; zero: never
}

// maxLinks bounds how many a person may have.
const maxLinks = 20

const linkColumns = `id, account_id, provider, email, created_at, last_used_at`

type rowScanner interface{ Scan(dest ...any) error }

func scanLink(row rowScanner) (l Link, err error) {
	var created, used int64
	err = row.Scan(&l.ID, &l.AccountID, &l.Provider, &l.Email, &created, &used)
	l.CreatedAt, l.LastUsedAt = kernel.FromMicros(created), kernel.FromMicros(used)
	return l, err
}

// Links are the links of an account, the oldest first.
func (m *Module) Links(ctx context.Context, account kernel.AccountID) (out []Link, err error) {
	rows, err := m.db.Query(ctx, `SELECT `+linkColumns+` FROM linked_providers WHERE account_id = $1 ORDER BY created_at, id`, account)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		l, err := scanLink(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, l)
	}
	return out, rows.Err()
}

// FindLink is one link of an account. Somebody else's is NotFound.
func (m *Module) FindLink(ctx context.Context, account kernel.AccountID, id kernel.ID) (Link, error) {
	l, err := scanLink(m.db.QueryRow(ctx, `SELECT `+linkColumns+` FROM linked_providers WHERE id = $1 AND account_id = $2`, id, account))
	if errors.Is(err, db.ErrNoRows) {
		return l, errNoLink()
	}
	return l, err
}

func errNoLink() error { return kernel.Errorf(kernel.NotFound, "There is no such link.") }

// linkOf finds the link of a person of a provider.
func (m *Module) linkOf(ctx context.Context, p Person) (Link, bool, error) {
	l, err := scanLink(m.db.QueryRow(ctx, selectByPerson, p.Issuer, p.Subject))
	if errors.Is(err, db.ErrNoRows) {
		return Link{}, false, nil
	}
	return l, err == nil, err
}

const selectByPerson = `SELECT ` + linkColumns + ` FROM linked_providers WHERE issuer = $1 AND subject = $2`

// newcomer is who came back from a provider, while it is not decided yet whose account that is.
type newcomer struct {
	Provider string `json:"provider"`
	Person   Person `json:"person"`
	Grant    grant  `json:"grant"`
	Next     string `json:"next"`
}

// insertLink links a person of a provider to an account. A person who is linked to another account is Conflict; one that is
// linked to this account stays so.
func (m *Module) insertLink(ctx context.Context, tx *db.Tx, account kernel.AccountID, n newcomer) error {
	if err := lockAccount(ctx, tx, account); err != nil {
		return err
	}
	var owned int
	if err := tx.QueryRow(ctx, `SELECT count(*) FROM linked_providers WHERE account_id = $1`, account).Scan(&owned); err != nil {
		return err
	}
	if owned >= maxLinks {
		return kernel.Errorf(kernel.Conflict, "You have as many links as one account can have. End one first.")
	}
	id := kernel.NewID(tx.Now())
	added, err := tx.Exec(ctx, `INSERT INTO linked_providers (id, account_id, provider, issuer, subject, email, sealed, sealed_at, sealed_until, created_at, last_used_at)
		VALUES ($1, $2, $3, $4, $5, $6, NULL, 0, 0, $7, 0) ON CONFLICT (issuer, subject) DO NOTHING`,
		id, account, n.Provider, n.Person.Issuer, n.Person.Subject, n.Person.Email, kernel.Micros(tx.Now()))
	if err != nil {
		return err
	}
	if added == 0 {
		known, err := scanLink(tx.QueryRow(ctx, selectByPerson, n.Person.Issuer, n.Person.Subject))
		if err != nil {
			return err
		}
		if known.AccountID != account {
			return kernel.Errorf(kernel.Conflict, "This %s account is linked to another account here. Sign in with it, end the link there, and come back.", m.label(n.Provider))
		}
		id = known.ID
	}
	if err := m.keepGrant(ctx, tx, id, n.Grant); err != nil {
		return err
	}
	if added > 0 {
		if err := m.d.Identity.Notice(ctx, tx, account, "You can sign in with "+m.label(n.Provider),
			"Your account was linked to an account at "+m.label(n.Provider)+described(n.Person.Email)+". Whoever can sign in there can sign in here."); err != nil {
			return err
		}
	}
	return audit.Record(ctx, tx, audit.Event{Action: "provider.link", Target: "account:" + string(account), Detail: n.Provider})
}

func described(email string) string {
	if email == "" {
		return ""
	}
	return " (" + email + ")"
}

// lockAccount makes changes of how one person signs in stand in line.
func lockAccount(ctx context.Context, tx *db.Tx, account kernel.AccountID) error {
	_, err := tx.Exec(ctx, `UPDATE accounts SET updated_at = updated_at WHERE id = $1`, account)
	return err
}

// used notes a sign-in with a link.
func (m *Module) used(ctx context.Context, tx *db.Tx, id kernel.ID, n newcomer) error {
	changed, err := tx.Exec(ctx, `UPDATE linked_providers SET last_used_at = $2, email = $3 WHERE id = $1`, id, kernel.Micros(tx.Now()), n.Person.Email)
	if err != nil {
		return err
	}
	if changed == 0 { // ended meanwhile
		return errNoLink()
	}
	return m.keepGrant(ctx, tx, id, n.Grant)
}

// keepGrant seals a provider's token beside its link, in place of an earlier one.
func (m *Module) keepGrant(ctx context.Context, tx *db.Tx, id kernel.ID, g grant) error {
	if g.Access == "" {
		return nil
	}
	until := tx.Now().Add(tokenLife)
	if !g.Expires.IsZero() && g.Expires.Before(until) {
		until = g.Expires
	}
	plain, err := json.Marshal(g)
	if err != nil {
		return err
	}
	sealed, err := m.d.Seal.Seal(plain, grantAAD(id))
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `UPDATE linked_providers SET sealed = $2, sealed_at = $3, sealed_until = $4 WHERE id = $1`,
		id, sealed, kernel.Micros(tx.Now()), kernel.Micros(until))
	return err
}

func grantAAD(id kernel.ID) []byte { return []byte("provider/" + string(id)) }

// EndLink ends a link of the person who asks: signing in with that account of the provider is over, here and in all other
// browsers. The last way of signing in stays.
func (m *Module) EndLink(ctx context.Context, by httpx.Actor, id kernel.ID) error {
	return m.db.Tx(ctx, func(tx *db.Tx) error {
		if err := lockAccount(ctx, tx, by.AccountID); err != nil {
			return err
		}
		ways, err := m.d.Identity.WaysOf(ctx, tx, by.AccountID)
		if err != nil {
			return err
		}
		held, err := removeLinks(ctx, tx, `id = $1 AND account_id = $2`, id, by.AccountID)
		switch {
		case err != nil:
			return err
		case len(held) == 0:
			return errNoLink()
		case ways < 2:
			return kernel.Errorf(kernel.Conflict, "This is the only way in which you can sign in. Choose a password or add a passkey first.")
		}
		m.revokeAfter(ctx, tx, held)
		if err := m.d.Identity.EndLogins(ctx, tx, by.AccountID, by.LoginID); err != nil {
			return err
		}
		label := m.label(held[0].provider)
		if err := m.d.Identity.Notice(ctx, tx, by.AccountID, "You no longer sign in with "+label,
			"The link of your account to an account at "+label+" was ended, and all other browsers were signed out."); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Event{Action: "provider.unlink", Target: "account:" + string(by.AccountID), Detail: held[0].provider})
	})
}

// heldGrant is what is left of a link that was removed.
type heldGrant struct {
	id       kernel.ID
	provider string
	sealed   []byte
}

func removeLinks(ctx context.Context, tx *db.Tx, where string, args ...any) (out []heldGrant, err error) {
	rows, err := tx.Query(ctx, `DELETE FROM linked_providers WHERE `+where+` RETURNING id, provider, sealed`, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var h heldGrant
		if err := rows.Scan(&h.id, &h.provider, &h.sealed); err != nil {
			return nil, err
		}
		out = append(out, h)
	}
	return out, rows.Err()
}

// revokeTimeout bounds how long ending a link may wait for a provider.
const revokeTimeout = 5 * time.Second

// revokeAfter tells the providers, once the links are gone, that their tokens are needed no more. One that cannot be told
// changes nothing here: the token ends by itself.
func (m *Module) revokeAfter(ctx context.Context, tx *db.Tx, held []heldGrant) {
	tx.AfterCommit(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), revokeTimeout)
		defer cancel()
		for _, h := range held {
			known, ok := m.providers[h.provider]
			if !ok || h.sealed == nil {
				continue
			}
			if err := m.revoke(ctx, known, h); err != nil {
				m.d.Logger.Info("a provider could not be told that a token is needed no more", "provider", h.provider, "error", err)
			}
		}
	})
}

func (m *Module) revoke(ctx context.Context, known *provider, h heldGrant) error {
	plain, err := m.d.Seal.Open(h.sealed, grantAAD(h.id))
	if err != nil {
		return err
	}
	var g grant
	if err := json.Unmarshal(plain, &g); err != nil {
		return err
	}
	return known.source.revoke(ctx, g)
}

var (
	_ identity.Ways    = (*Module)(nil)
	_ identity.Eraser  = (*Module)(nil)
	_ identity.Offerer = (*Module)(nil)
	_ identity.Carder  = (*Module)(nil)
)

// Ways is how many links an account has with providers that are still configured.
func (m *Module) Ways(ctx context.Context, tx *db.Tx, account kernel.AccountID) (n int, err error) {
	rows, err := tx.Query(ctx, `SELECT provider FROM linked_providers WHERE account_id = $1`, account)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	for rows.Next() {
		var key string
		if err := rows.Scan(&key); err != nil {
			return 0, err
		}
		if m.providers[key] != nil {
			n++
		}
	}
	return n, rows.Err()
}

// EraseAccount removes an account's links.
func (m *Module) EraseAccount(ctx context.Context, tx *db.Tx, account kernel.AccountID) error {
	held, err := removeLinks(ctx, tx, `account_id = $1`, account)
	if err == nil {
		m.revokeAfter(ctx, tx, held)
	}
	return err
}
