package access

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"math/big"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
)

// The scopes of a key.
const (
	ScopeIngest = "ingest" // report: jobs, metrics, recordings
	ScopeRead   = "read"   // read through the API
)

// Scopes lists the scopes.
func Scopes() []string { return []string{ScopeIngest, ScopeRead} }

// A key is "kept_" and 43 base-62 digits: 256 random bits, all of them safe in headers, addresses and shells.
const (
	keyPrefix    = "kept_"
	keyDigits    = 43
	shownDigits  = 7 // stay visible, so that people tell their keys apart
	maxKeyName   = 60
	maxKeys      = 100 // living ones of a workspace
	base62Digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
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
	LastUsedAt  time.Time // coarse
	RevokedAt   time.Time // zero while it works

	workspace string // name
}

// Revoked tells whether the key works no more.
func (k Key) Revoked() bool { return !k.RevokedAt.IsZero() }

func (k Key) target() string { return "api_key:" + string(k.ID) }

// newKey makes the text of a key.
func newKey() string {
	raw := make([]byte, 32)
	rand.Read(raw)
	n, base, digit := new(big.Int).SetBytes(raw), big.NewInt(62), new(big.Int)
	out := make([]byte, keyDigits) // 62^43 is just over 2^256
	for i := range out {
		n.DivMod(n, base, digit)
		out[keyDigits-1-i] = base62Digits[digit.Int64()]
	}
	return keyPrefix + string(out)
}

// looksLikeKey keeps what cannot be a key from being looked up.
func looksLikeKey(s string) bool {
	if len(s) != len(keyPrefix)+keyDigits || !strings.HasPrefix(s, keyPrefix) {
		return false
	}
	for _, c := range []byte(s[len(keyPrefix):]) {
		if !(c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z') {
			return false
		}
	}
	return true
}

// NewKey is what a person says of a key to be made.
type NewKey struct {
	Name   string
	Scopes []string
}

func (in NewKey) clean() (NewKey, error) {
	in.Name = strings.Join(strings.Fields(strings.ToValidUTF8(in.Name, "")), " ")
	switch {
	case in.Name == "":
		return in, kernel.InvalidField("name", "Give the key a name that says where it is used.")
	case utf8.RuneCountInString(in.Name) > maxKeyName:
		return in, kernel.InvalidField("name", "Use at most 60 characters.")
	case strings.ContainsFunc(in.Name, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) }):
		return in, kernel.InvalidField("name", "A name has visible characters only.")
	case len(in.Scopes) == 0:
		return in, kernel.InvalidField("scope-"+ScopeIngest, "Choose at least one thing that the key may do.")
	}
	in.Scopes = slices.Compact(slices.Sorted(slices.Values(in.Scopes)))
	for _, s := range in.Scopes {
		if !slices.Contains(Scopes(), s) {
			return in, kernel.Errorf(kernel.Malformed, "There is no scope of that name.")
		}
	}
	return in, nil
}

// CreateKey makes a key and returns its text, which is stored nowhere and can never be shown again.
//
// What is stored is the SHA-256 of the text. A slow, salted hash such as that of passwords would add nothing: it makes
// guessing dear, and 256 random bits cannot be guessed at any price; but it would cost every request its milliseconds.
func (m *Module) CreateKey(ctx context.Context, by audit.Actor, ws kernel.WorkspaceID, in NewKey) (k Key, text string, err error) {
	if in, err = in.clean(); err != nil {
		return k, "", err
	}
	text = newKey()
	hash := sha256.Sum256([]byte(text))
	err = m.db.Tx(ctx, func(tx *db.Tx) error {
		var living int
		err := tx.QueryRow(ctx, `SELECT count(*) FROM api_keys WHERE workspace_id = $1 AND revoked_at = 0`, ws).Scan(&living)
		if err != nil {
			return err
		}
		if living >= maxKeys {
			return kernel.Errorf(kernel.Conflict, "This workspace has %d keys, which is the most it may have. Revoke one first.", living)
		}
		k = Key{ID: kernel.NewID(tx.Now()), WorkspaceID: ws, Name: in.Name, Prefix: text[:len(keyPrefix)+shownDigits], Scopes: in.Scopes,
			CreatedBy: by.Label, CreatedAt: tx.Now()}
		_, err = tx.Exec(ctx, `INSERT INTO api_keys (id, workspace_id, name, prefix, key_hash, scopes, created_by, created_at, last_used_at, revoked_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, 0)`,
			k.ID, ws, k.Name, k.Prefix, hash[:], strings.Join(k.Scopes, " "), accountOf(by), kernel.Micros(tx.Now()))
		if err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Event{WorkspaceID: ws, Actor: by, Action: "api_key.create", Target: k.target(),
			Detail: k.Name + " (" + strings.Join(k.Scopes, ", ") + ")"})
	})
	if err != nil {
		return Key{}, "", err
	}
	return k, text, nil
}

func accountOf(by audit.Actor) any {
	if by.Kind != "account" {
		return nil
	}
	return string(by.ID)
}

const keyColumns = `k.id, k.workspace_id, w.name, k.name, k.prefix, k.scopes, coalesce(nullif(a.name, ''), a.email, ''),
	k.created_at, k.last_used_at, k.revoked_at`

const keyTables = `api_keys k JOIN workspaces w ON w.id = k.workspace_id LEFT JOIN accounts a ON a.id = k.created_by`

func scanKey(row interface{ Scan(...any) error }) (k Key, err error) {
	var scopes string
	var created, used, revoked int64
	err = row.Scan(&k.ID, &k.WorkspaceID, &k.workspace, &k.Name, &k.Prefix, &scopes, &k.CreatedBy, &created, &used, &revoked)
	k.Scopes = strings.Fields(scopes)
	k.CreatedAt, k.LastUsedAt, k.RevokedAt = kernel.FromMicros(created), kernel.FromMicros(used), kernel.FromMicros(revoked)
	return k, err
}

// keyByHash finds a living key.
func (m *Module) keyByHash(ctx context.Context, hash [32]byte) (Key, error) {
	k, err := scanKey(m.db.QueryRow(ctx, `SELECT `+keyColumns+` FROM `+keyTables+` WHERE k.key_hash = $1 AND k.revoked_at = 0`, hash[:]))
	if errors.Is(err, db.ErrNoRows) {
		return Key{}, errWrongKey()
	}
	return k, err
}

// Keys lists the keys of a workspace, the newest first, revoked ones last.
func (m *Module) Keys(ctx context.Context, ws kernel.WorkspaceID) ([]Key, error) {
	rows, err := m.db.Query(ctx, `SELECT `+keyColumns+` FROM `+keyTables+` WHERE k.workspace_id = $1
		ORDER BY CASE WHEN k.revoked_at = 0 THEN 0 ELSE 1 END, k.id DESC LIMIT 500`, ws)
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
		tx.AfterCommit(func() { m.keys.forget(func(_ [32]byte, k Key) bool { return k.ID == id }) })
		return audit.Record(ctx, tx, audit.Event{WorkspaceID: ws, Actor: by, Action: "api_key.revoke", Target: k.target(), Detail: k.Name})
	})
}

// noteKeys stores when keys were used last.
func (m *Module) noteKeys(ctx context.Context, used map[kernel.ID]time.Time) error {
	return m.db.Tx(ctx, func(tx *db.Tx) error {
		for id, at := range used {
			if _, err := tx.Exec(ctx, `UPDATE api_keys SET last_used_at = $2 WHERE id = $1 AND last_used_at < $2`, id, kernel.Micros(at)); err != nil {
				return err
			}
		}
		return nil
	})
}
