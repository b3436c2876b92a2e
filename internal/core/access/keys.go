package access

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
)

const (
	maxName = 60
	maxKeys = 100                       // living ones of a workspace that people made
	maxLife = 10 * 365 * 24 * time.Hour // of a key that does not live for ever
)

// Key is an API key, without what it is.
type Key struct {
	ID          kernel.ID
	WorkspaceID kernel.WorkspaceID
	Name        string
	Prefix      string // its first characters: "kept_x8Fq2Lm"
	Scopes      []string
	CreatedBy   string // name or address of whoever made it; empty when the account is gone
	CreatedAt   time.Time
	ExpiresAt   time.Time // zero: never
	LastUsedAt  time.Time // coarse
	RevokedAt   time.Time // zero while it was not
	Replaces    kernel.ID // the key that it takes over from; empty: none
	Host        bool      // it is of a host that was enrolled

	workspace string // name
}

// Revoked tells whether somebody ended the key.
func (k Key) Revoked() bool { return !k.RevokedAt.IsZero() }

// Expired tells whether the key's time is over.
func (k Key) Expired(now time.Time) bool { return !k.ExpiresAt.IsZero() && !now.Before(k.ExpiresAt) }

// Works tells whether the key lets anybody in at a time.
func (k Key) Works(now time.Time) bool { return !k.Revoked() && !k.Expired(now) }

func (k Key) target() string { return "api_key:" + string(k.ID) }

func (k Key) detail() string {
	d := k.Name + " (" + strings.Join(k.Scopes, ", ")
	if !k.ExpiresAt.IsZero() {
		d += "; until " + k.ExpiresAt.Format("2006-01-02 15:04 UTC")
	}
	return d + ")"
}

// NewKey is what a person says of a key to be made.
type NewKey struct {
	Name   string
	Scopes []string
	Lives  time.Duration // 0: for ever

	host bool // of a host that is enrolled; see CreateHostKey
}

func (in NewKey) clean() (NewKey, error) {
	var err error
	if in.Name, err = cleanName(in.Name, "Give the key a name that says where it is used."); err != nil {
		return in, err
	}
	if in.Lives < 0 || in.Lives > maxLife {
		return in, kernel.InvalidField("expires", "Choose one of the times.")
	}
	if slices.Equal(in.Scopes, []string{ScopeSCIM}) {
		return in, nil
	}
	in.Scopes, err = cleanScopes(in.Scopes, Scopes())
	return in, err
}

// CreateKey makes a key and returns its text, which is stored nowhere and can never be shown again. Only its hash is.
func (m *Module) CreateKey(ctx context.Context, by audit.Actor, ws kernel.WorkspaceID, in NewKey) (k Key, text string, err error) {
	return m.makeKey(ctx, by, ws, in, func(tx *db.Tx) error { return roomForKey(ctx, tx, ws) })
}

func (m *Module) makeKey(ctx context.Context, by audit.Actor, ws kernel.WorkspaceID, in NewKey, room func(*db.Tx) error) (k Key, text string, err error) {
	if in, err = in.clean(); err != nil {
		return k, "", err
	}
	err = m.db.Tx(ctx, func(tx *db.Tx) error {
		if err := room(tx); err != nil {
			return err
		}
		k, text, err = insertKey(ctx, tx, by, ws, in, "")
		if err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Event{WorkspaceID: ws, Actor: by, Action: "api_key.create", Target: k.target(), Detail: k.detail()})
	})
	if err != nil {
		return Key{}, "", err
	}
	return k, text, nil
}

func roomForKey(ctx context.Context, tx *db.Tx, ws kernel.WorkspaceID) error {
	living, err := countKeys(ctx, tx, ws, false)
	if err == nil && living >= maxKeys {
		return kernel.Errorf(kernel.Conflict, "This workspace has %d keys, which is the most it may have. Revoke one first.", living)
	}
	return err
}

func insertKey(ctx context.Context, tx *db.Tx, by audit.Actor, ws kernel.WorkspaceID, in NewKey, replaces kernel.ID) (Key, string, error) {
	text, hash := newSecret(keyPrefix)
	k := Key{ID: kernel.NewID(tx.Now()), WorkspaceID: ws, Name: in.Name, Prefix: shown(keyPrefix, text), Scopes: in.Scopes,
		CreatedBy: by.Label, CreatedAt: tx.Now(), Replaces: replaces}
	if in.Lives > 0 {
		k.ExpiresAt = tx.Now().Add(in.Lives)
	}
	_, err := tx.Exec(ctx, `INSERT INTO api_keys (id, workspace_id, name, prefix, key_hash, scopes, created_by, created_at, expires_at, last_used_at, revoked_at, replaces, of_host)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, 0, $10, $11)`,
		k.ID, ws, k.Name, k.Prefix, hash[:], strings.Join(k.Scopes, " "), accountOf(by), kernel.Micros(k.CreatedAt),
		kernel.Micros(k.ExpiresAt), string(replaces), db.Flag(in.host))
	return k, text, err
}

func accountOf(by audit.Actor) any {
	if by.Kind != "account" {
		return nil
	}
	return string(by.ID)
}

// RotateKey makes a key that may do the same as another, and lets the other one end after overlap, so that whoever uses
// it can change over without a gap. Overlap 0 ends it at once. The new key lives as long as the old one was to.
func (m *Module) RotateKey(ctx context.Context, by audit.Actor, ws kernel.WorkspaceID, id kernel.ID, overlap time.Duration) (k Key, text string, err error) {
	if overlap < 0 || overlap > 30*24*time.Hour {
		return k, "", kernel.InvalidField("overlap", "Choose one of the times.")
	}
	old, err := m.FindKey(ctx, ws, id)
	if err != nil {
		return k, "", err
	}
	err = m.db.Tx(ctx, func(tx *db.Tx) error {
		until := tx.Now().Add(overlap)
		if err := endForSuccessor(ctx, tx, old, until); err != nil {
			return err
		}
		if err := roomForKey(ctx, tx, ws); err != nil {
			return err
		}
		in := NewKey{Name: old.Name, Scopes: old.Scopes, host: old.Host}
		if !old.ExpiresAt.IsZero() {
			in.Lives = old.ExpiresAt.Sub(old.CreatedAt)
		}
		if k, text, err = insertKey(ctx, tx, by, ws, in, id); err != nil {
			return err
		}
		tx.AfterCommit(func() { m.forgetKey(id) })
		return audit.Record(ctx, tx, audit.Event{WorkspaceID: ws, Actor: by, Action: "api_key.rotate", Target: old.target(),
			Detail: k.detail() + ", now " + k.Prefix + "…; the old one works until " + until.Format("2006-01-02 15:04 UTC")})
	})
	if err != nil {
		return Key{}, "", err
	}
	return k, text, nil
}

// endForSuccessor sets a key's end. Of two rotations at once the second waits for the row, and then sees the first's key.
func endForSuccessor(ctx context.Context, tx *db.Tx, old Key, until time.Time) error {
	n, err := tx.Exec(ctx, `UPDATE api_keys SET expires_at = CASE WHEN expires_at = 0 OR expires_at > $4 THEN $4 ELSE expires_at END
		WHERE workspace_id = $1 AND id = $2 AND revoked_at = 0 AND (expires_at = 0 OR expires_at > $3)`,
		old.WorkspaceID, old.ID, kernel.Micros(tx.Now()), kernel.Micros(until))
	if err != nil {
		return err
	}
	if n == 0 {
		return kernel.Errorf(kernel.Conflict, "This key works no more, so nothing can take over from it. Create a new one.")
	}
	var successors int
	if err := tx.QueryRow(ctx, `SELECT count(*) FROM api_keys WHERE replaces = $1 AND workspace_id = $2`, old.ID, old.WorkspaceID).Scan(&successors); err != nil {
		return err
	}
	if successors > 0 {
		return kernel.Errorf(kernel.Conflict, "This key has been rotated already. Rotate the key that took over from it.")
	}
	return nil
}

const keyColumns = `k.id, k.workspace_id, w.name, k.name, k.prefix, k.scopes, coalesce(nullif(a.name, ''), a.email, ''),
	k.created_at, k.expires_at, k.last_used_at, k.revoked_at, k.replaces, k.of_host`

const keyTables = `api_keys k JOIN workspaces w ON w.id = k.workspace_id LEFT JOIN accounts a ON a.id = k.created_by`

func scanKey(row interface{ Scan(...any) error }) (k Key, err error) {
	var scopes string
	var created, expires, used, revoked, host int64
	err = row.Scan(&k.ID, &k.WorkspaceID, &k.workspace, &k.Name, &k.Prefix, &scopes, &k.CreatedBy, &created, &expires, &used, &revoked, &k.Replaces, &host)
	k.Scopes, k.Host = strings.Fields(scopes), host != 0
	k.CreatedAt, k.ExpiresAt = kernel.FromMicros(created), kernel.FromMicros(expires)
	k.LastUsedAt, k.RevokedAt = kernel.FromMicros(used), kernel.FromMicros(revoked)
	return k, err
}

// keyByHash finds a key that was not revoked; whether its time is over is for the caller to see, each time.
func (m *Module) keyByHash(ctx context.Context, hash [32]byte) (Key, error) {
	k, err := scanKey(m.db.QueryRow(ctx, `SELECT `+keyColumns+` FROM `+keyTables+` WHERE k.key_hash = $1 AND k.revoked_at = 0`, hash[:]))
	if errors.Is(err, db.ErrNoRows) {
		return Key{}, errWrongBearer()
	}
	return k, err
}

// Keys lists the keys of a workspace that people made, the newest first, those that work no more last.
func (m *Module) Keys(ctx context.Context, ws kernel.WorkspaceID) ([]Key, error) {
	return m.listKeys(ctx, ws, `k.of_host = 0`, 500)
}

// allKeys are the keys of people and of hosts.
func (m *Module) allKeys(ctx context.Context, ws kernel.WorkspaceID) ([]Key, error) {
	return m.listKeys(ctx, ws, `1 = 1`, math.MaxInt32)
}

func (m *Module) listKeys(ctx context.Context, ws kernel.WorkspaceID, which string, limit int) ([]Key, error) {
	rows, err := m.db.Query(ctx, `SELECT `+keyColumns+` FROM `+keyTables+` WHERE k.workspace_id = $1 AND `+which+`
		ORDER BY CASE WHEN k.revoked_at = 0 AND (k.expires_at = 0 OR k.expires_at > $2) THEN 0 ELSE 1 END, k.id DESC LIMIT $3`,
		ws, kernel.Micros(m.d.Clock()), limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Key
	for rows.Next() {
		k, err := scanKey(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, k)
	}
	return out, rows.Err()
}

// FindKey finds one key of a workspace; another workspace's is NotFound.
func (m *Module) FindKey(ctx context.Context, ws kernel.WorkspaceID, id kernel.ID) (Key, error) {
	k, err := scanKey(m.db.QueryRow(ctx, `SELECT `+keyColumns+` FROM `+keyTables+` WHERE k.workspace_id = $1 AND k.id = $2`, ws, id))
	if errors.Is(err, db.ErrNoRows) {
		return Key{}, kernel.Errorf(kernel.NotFound, "There is no such key.")
	}
	return k, err
}

// RevokeKey ends a key, here at once and in other processes within seconds. Revoking twice is no error.
func (m *Module) RevokeKey(ctx context.Context, by audit.Actor, ws kernel.WorkspaceID, id kernel.ID) error {
	k, err := m.FindKey(ctx, ws, id)
	if err != nil || k.Revoked() {
		return err
	}
	return m.db.Tx(ctx, func(tx *db.Tx) error {
		n, err := tx.Exec(ctx, `UPDATE api_keys SET revoked_at = $3 WHERE workspace_id = $1 AND id = $2 AND revoked_at = 0`, ws, id, kernel.Micros(tx.Now()))
		if err != nil || n == 0 {
			return err
		}
		tx.AfterCommit(func() { m.forgetKey(id) })
		return audit.Record(ctx, tx, audit.Event{WorkspaceID: ws, Actor: by, Action: "api_key.revoke", Target: k.target(), Detail: k.Name})
	})
}

func (m *Module) forgetKey(id kernel.ID) {
	m.keys.forget(func(_ [32]byte, k Key) bool { return k.ID == id })
}

// noteUses stores when keys or personal tokens were used last.
func (m *Module) noteUses(ctx context.Context, table string, used map[kernel.ID]time.Time) error {
	return m.db.Tx(ctx, func(tx *db.Tx) error {
		for id, at := range used {
			if _, err := tx.Exec(ctx, `UPDATE `+table+` SET last_used_at = $2 WHERE id = $1 AND last_used_at < $2`, id, kernel.Micros(at)); err != nil {
				return err
			}
		}
		return nil
	})
}
