package identity

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
)

// Guessing is slowed down by network, by address, and by the pair of both. None of the three lets a stranger lock a
// person out: the pair counts only failures from the same network, the network is the stranger's own, and the limit of
// an address, which many networks together can reach, does not hold for networks that the person has a login from.
// Besides, a reset by mail is always open.
const (
	scopeNetwork = "network" // one client address (IPv6: a /64), whatever it tries
	scopePair    = "pair"    // one client address at one account
	scopeAccount = "account" // one account, from anywhere
	scopeMail    = "mail"    // mail to one address that somebody asked for without being signed in
)

// window is when a count starts anew.
var window = map[string]time.Duration{
	scopeNetwork: 15 * time.Minute, scopePair: time.Hour, scopeAccount: 24 * time.Hour, scopeMail: time.Hour, scopeInvite: 24 * time.Hour,
}

const (
	networkFailures = 30
	pairFailures    = 5 // then each one doubles the wait
	accountFailures = 100
	pairWait        = 4 * time.Second
	pairWaitMax     = 15 * time.Minute
	mailsPerHour    = 5
)

// attempt is somebody trying to prove who he is. Unknown addresses count like known ones.
type attempt struct {
	key string // of the address
	ip  netip.Addr
}

func (a attempt) subjects() map[string][]byte {
	network := networkOf(a.ip)
	return map[string][]byte{
		scopeNetwork: subject(scopeNetwork, network),
		scopePair:    subject(scopePair, network, a.key),
		scopeAccount: subject(scopeAccount, a.key),
	}
}

// subject is what is counted, as a hash: the table need not name people or machines.
func subject(parts ...string) []byte {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return h.Sum(nil)
}

// networkOf is what one client can easily have many addresses of.
func networkOf(ip netip.Addr) string {
	if ip.Is6() && !ip.Is4In6() {
		if p, err := ip.Prefix(64); err == nil {
			return p.String()
		}
	}
	return ip.Unmap().String()
}

type count struct {
	failures    int64
	first, last time.Time
}

// querier is the database, or a transaction on it.
type querier interface {
	Query(ctx context.Context, text string, args ...any) (*sql.Rows, error)
	QueryRow(ctx context.Context, text string, args ...any) *sql.Row
}

func (m *Module) count(ctx context.Context, q querier, scope string, subject []byte) (c count, err error) {
	var first, last int64
	err = q.QueryRow(ctx, `SELECT failures, first_at, last_at FROM identity_attempts WHERE scope = $1 AND subject_hash = $2`,
		scope, subject).Scan(&c.failures, &first, &last)
	if errors.Is(err, db.ErrNoRows) {
		return count{}, nil
	}
	c.first, c.last = kernel.FromMicros(first), kernel.FromMicros(last)
	if m.d.Clock().Sub(c.first) >= window[scope] {
		return count{}, err
	}
	return c, err
}

// allow tells whether the attempt may go on; if not, the error says when.
func (m *Module) allow(ctx context.Context, q querier, a attempt) error {
	now := m.d.Clock()
	subjects := a.subjects()
	counts := map[string]count{}
	for scope, s := range subjects {
		c, err := m.count(ctx, q, scope, s)
		if err != nil {
			return err
		}
		counts[scope] = c
	}
	if c := counts[scopeNetwork]; c.failures >= networkFailures {
		return tooMany(c.first.Add(window[scopeNetwork]).Sub(now))
	}
	if c := counts[scopePair]; c.failures >= pairFailures {
		wait := min(pairWaitMax, pairWait<<min(c.failures-pairFailures, 20))
		if left := c.last.Add(wait).Sub(now); left > 0 {
			return tooMany(left)
		}
	}
	known, err := knownNetwork(ctx, q, a)
	if err != nil {
		return err
	}
	if c := counts[scopeAccount]; c.failures >= accountFailures && !known {
		return tooMany(c.first.Add(window[scopeAccount]).Sub(now))
	}
	return nil
}

func tooMany(wait time.Duration) error {
	wait = max(wait, time.Second)
	text := fmt.Sprintf("%d minutes", int((wait+time.Minute-1)/time.Minute))
	if wait <= time.Minute {
		text = "a minute"
	}
	return &kernel.Error{Code: kernel.Limited, RetryAfter: wait,
		Safe: "There were too many failed attempts. Try again in " + text + ", or reset your password by mail."}
}

// knownNetwork tells whether the person has a login from the network. It asks for an unknown address as well.
func knownNetwork(ctx context.Context, q querier, a attempt) (bool, error) {
	rows, err := q.Query(ctx, `SELECT l.ip FROM logins l JOIN accounts a ON a.id = l.account_id
		WHERE a.email_key = $1 ORDER BY l.created_at DESC LIMIT 100`, a.key)
	if err != nil {
		return false, err
	}
	defer rows.Close()
	known := false
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return false, err
		}
		if ip, err := netip.ParseAddr(text); err == nil && networkOf(ip) == networkOf(a.ip) {
			known = true
		}
	}
	return known, rows.Err()
}

// failed counts a failure.
func failed(ctx context.Context, tx *db.Tx, a attempt) error {
	s := a.subjects()
	for _, scope := range []string{scopeAccount, scopeNetwork, scopePair} { // one order, so that two do not wait for each other
		if _, err := bump(ctx, tx, scope, s[scope]); err != nil {
			return err
		}
	}
	return nil
}

// succeeded forgets the failures of the pair. Those of the account stay: they may be somebody else's.
func succeeded(ctx context.Context, tx *db.Tx, a attempt) error {
	_, err := tx.Exec(ctx, `DELETE FROM identity_attempts WHERE scope = $1 AND subject_hash = $2`, scopePair, a.subjects()[scopePair])
	return err
}

// bump adds one and returns the count in the current window.
func bump(ctx context.Context, tx *db.Tx, scope string, subject []byte) (n int64, err error) {
	now := tx.Now()
	err = tx.QueryRow(ctx, `INSERT INTO identity_attempts (scope, subject_hash, failures, first_at, last_at) VALUES ($1, $2, 1, $3, $3)
		ON CONFLICT (scope, subject_hash) DO UPDATE SET
			failures = CASE WHEN identity_attempts.first_at <= $4 THEN 1 ELSE identity_attempts.failures + 1 END,
			first_at = CASE WHEN identity_attempts.first_at <= $4 THEN $3 ELSE identity_attempts.first_at END,
			last_at = $3
		RETURNING failures`,
		scope, subject, kernel.Micros(now), kernel.Micros(now.Add(-window[scope]))).Scan(&n)
	return n, err
}

// mailAllowed counts a mail to an address and tells whether it may go out. Over the limit it is written all the same,
// but not sent, so that the answer does not differ.
func mailAllowed(ctx context.Context, tx *db.Tx, key string) (bool, error) {
	n, err := bump(ctx, tx, scopeMail, subject(scopeMail, key))
	return n <= mailsPerHour, err
}
