package identity

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/httpx"
)

// Login is the session of one browser.
type Login struct {
	ID         kernel.ID
	AccountID  kernel.AccountID
	Email      string // of the account
	Name       string
	Kind       string // "browser" or "mobile"
	Method     string // how the person proved it: "password", "link", "sign-up"
	IP         string
	Country    string // ISO 3166 code of the IP's network; empty: unknown
	UserAgent  string
	CreatedAt  time.Time
	LastSeenAt time.Time // coarse: noted about once a minute
	ExpiresAt  time.Time // whatever happens
	ProvedAt   time.Time // when the person last proved who he is
	Strong     bool      // by a passkey, or by two factors
}

// Alive tells whether the login still counts at a time.
func (l Login) Alive(now time.Time) bool {
	return now.Before(l.ExpiresAt) && now.Sub(l.LastSeenAt) < LoginIdle
}

// Device is where a login comes from.
type Device struct {
	IP        string
	UserAgent string
	Token     string // of the login that the browser has now, if any: it ends when another begins
	Kind      string // "mobile"; empty: a browser
}

// Session is a login with the token that the browser is given.
type Session struct {
	Login
	Token    string
	AgeAsked bool // there is no login yet: the token is for the page that asks for the age
}

// begin makes a login, always with a new token, and ends the one that the browser had: a token that somebody planted
// in the browser before is worth nothing afterwards.
func (m *Module) begin(ctx context.Context, tx *db.Tx, a Account, p Proof, d Device) (Session, error) {
	if d.Token != "" {
		if err := m.endByToken(ctx, tx, d.Token); err != nil {
			return Session{}, err
		}
	}
	if d.Kind == "" {
		d.Kind = KindBrowser
	}
	token, hash := newSecret()
	l := Login{Kind: d.Kind, Country: country(d.IP), ProvedAt: tx.Now(), Strong: p.Strong,
		ID: kernel.NewID(tx.Now()), AccountID: a.ID, Email: a.Email, Name: a.Name, Method: clip(p.Method, 32), IP: clip(d.IP, 64),
		UserAgent: clip(d.UserAgent, 300), CreatedAt: tx.Now(), LastSeenAt: tx.Now(), ExpiresAt: tx.Now().Add(LoginLifetime)}
	_, err := tx.Exec(ctx, `INSERT INTO logins (id, account_id, token_hash, method, ip, user_agent, created_at, last_seen_at, expires_at,
			kind, country, proved_at, strong) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`, l.ID, l.AccountID, hash, l.Method, l.IP, l.UserAgent,
		kernel.Micros(l.CreatedAt), kernel.Micros(l.LastSeenAt), kernel.Micros(l.ExpiresAt),
		l.Kind, l.Country, kernel.Micros(l.ProvedAt), db.Flag(l.Strong))
	return Session{Login: l, Token: token}, err
}

func clip(s string, n int) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	if len(s) > n {
		s = strings.ToValidUTF8(s[:n], "")
	}
	return s
}

const loginColumns = `l.id, l.account_id, a.email, a.name, l.method, l.ip, l.user_agent, l.created_at, l.last_seen_at, l.expires_at,
	l.kind, l.country, l.proved_at, l.strong`

func scanLogin(row rowScanner) (l Login, err error) {
	var created, seen, expires, proved, strong int64
	err = row.Scan(&l.ID, &l.AccountID, &l.Email, &l.Name, &l.Method, &l.IP, &l.UserAgent, &created, &seen, &expires,
		&l.Kind, &l.Country, &proved, &strong)
	l.ProvedAt, l.Strong = kernel.FromMicros(proved), strong != 0
	l.CreatedAt, l.LastSeenAt, l.ExpiresAt = kernel.FromMicros(created), kernel.FromMicros(seen), kernel.FromMicros(expires)
	return l, err
}

// The kinds of logins.
const (
	KindBrowser = "browser"
	KindMobile  = "mobile" // of an app, with tokens of its own; no cookie stands for it
)

// LoginOf finds the living login of a browser's token; ok is false when there is none.
func (m *Module) LoginOf(ctx context.Context, token string) (l Login, ok bool, err error) {
	l, err = scanLogin(m.db.QueryRow(ctx, `SELECT `+loginColumns+` FROM logins l JOIN accounts a ON a.id = l.account_id
		WHERE l.token_hash = $1 AND l.kind = $2`, hashSecret(token), KindBrowser))
	if errors.Is(err, db.ErrNoRows) {
		return Login{}, false, nil
	}
	if err != nil || !l.Alive(m.d.Clock()) {
		return Login{}, false, err
	}
	return l, true, nil
}

// LoginByID finds a living login; ok is false when there is none.
func (m *Module) LoginByID(ctx context.Context, id kernel.ID) (l Login, ok bool, err error) {
	l, err = scanLogin(m.db.QueryRow(ctx, `SELECT `+loginColumns+` FROM logins l JOIN accounts a ON a.id = l.account_id WHERE l.id = $1`, id))
	if errors.Is(err, db.ErrNoRows) {
		return Login{}, false, nil
	}
	if err != nil || !l.Alive(m.d.Clock()) {
		return Login{}, false, err
	}
	return l, true, nil
}

// Logins lists an account's living logins, the one seen last first.
func (m *Module) Logins(ctx context.Context, account kernel.AccountID) ([]Login, error) {
	rows, err := m.db.Query(ctx, `SELECT `+loginColumns+` FROM logins l JOIN accounts a ON a.id = l.account_id
		WHERE l.account_id = $1 ORDER BY l.last_seen_at DESC, l.id DESC LIMIT 100`, account)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	now := m.d.Clock()
	var out []Login
	for rows.Next() {
		l, err := scanLogin(rows)
		if err != nil {
			return nil, err
		}
		if l.Alive(now) {
			out = append(out, l)
		}
	}
	return out, rows.Err()
}

// SeenLogins notes when logins were used last. It never sets a time back.
func (m *Module) SeenLogins(ctx context.Context, seen map[kernel.ID]time.Time) error {
	return m.db.Tx(ctx, func(tx *db.Tx) error {
		for id, at := range seen {
			if _, err := tx.Exec(ctx, `UPDATE logins SET last_seen_at = $2 WHERE id = $1 AND last_seen_at < $2`, id, kernel.Micros(at)); err != nil {
				return err
			}
		}
		return nil
	})
}

// SignOut ends the login of a token. A dead token is no error.
func (m *Module) SignOut(ctx context.Context, token string) error {
	return m.db.Tx(ctx, func(tx *db.Tx) error { return m.endByToken(ctx, tx, token) })
}

func (m *Module) endByToken(ctx context.Context, tx *db.Tx, token string) error {
	var id, account kernel.ID
	err := tx.QueryRow(ctx, `DELETE FROM logins WHERE token_hash = $1 RETURNING id, account_id`, hashSecret(token)).Scan(&id, &account)
	if errors.Is(err, db.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	a, err := accountIn(ctx, tx, account)
	if err != nil {
		return err
	}
	m.loginsChanged(tx, account)
	return audit.Record(ctx, tx, audit.Event{Actor: a.actor(), Action: "login.end", Target: "login:" + string(id)})
}

// EndLogin ends one login of the person who asks. Somebody else's is NotFound.
func (m *Module) EndLogin(ctx context.Context, by httpx.Actor, id kernel.ID) error {
	return m.db.Tx(ctx, func(tx *db.Tx) error {
		n, err := tx.Exec(ctx, `DELETE FROM logins WHERE id = $1 AND account_id = $2`, id, by.AccountID)
		if err != nil {
			return err
		}
		if n == 0 {
			return kernel.Errorf(kernel.NotFound, "This login has ended already.")
		}
		m.loginsChanged(tx, by.AccountID)
		return audit.Record(ctx, tx, audit.Event{Action: "login.end", Target: "login:" + string(id)})
	})
}

// EndOtherLogins ends all logins of the person who asks but the one that asks, and returns how many there were.
func (m *Module) EndOtherLogins(ctx context.Context, by httpx.Actor) (n int64, err error) {
	err = m.db.Tx(ctx, func(tx *db.Tx) error {
		if n, err = m.endAll(ctx, tx, by.AccountID, by.LoginID); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Event{Action: "login.end_others", Target: "account:" + string(by.AccountID)})
	})
	return n, err
}

// EndAllLogins ends all logins of the person who asks, also the one that asks.
func (m *Module) EndAllLogins(ctx context.Context, by httpx.Actor) error {
	return m.db.Tx(ctx, func(tx *db.Tx) error {
		if _, err := m.endAll(ctx, tx, by.AccountID, ""); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Event{Action: "login.end_all", Target: "account:" + string(by.AccountID)})
	})
}

// endAll ends an account's logins, all but one (empty: all).
func (m *Module) endAll(ctx context.Context, tx *db.Tx, account kernel.AccountID, but kernel.ID) (int64, error) {
	m.loginsChanged(tx, account)
	// Whoever gave the first factor before and waits with the second has to begin again.
	if _, err := tx.Exec(ctx, `DELETE FROM identity_flows WHERE account_id = $1 AND kind = $2`, account, FlowSecond); err != nil {
		return 0, err
	}
	return tx.Exec(ctx, `DELETE FROM logins WHERE account_id = $1 AND id <> $2`, account, but)
}
