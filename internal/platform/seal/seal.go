// Package seal encrypts customer content with one data key per workspace. Data keys lie in the database, wrapped by
// the instance key, which does not: it comes from a file or the environment. Destroying a workspace's data key
// (Keys.Shred) makes everything that was sealed with it unreadable, wherever copies of the sealed bytes are.
//
// Sealing is Tink's AES-256-GCM. Package seal does not compress (do that before) and does not store what it seals.
package seal

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
)

var (
	// ErrShredded says that the workspace's key was destroyed: nothing of it can be opened or sealed ever again.
	ErrShredded = errors.New("seal: the workspace's key was destroyed")
	// ErrWrongInstanceKey says that a workspace's key exists but this instance key does not open it.
	ErrWrongInstanceKey = errors.New("seal: the instance key does not open the workspace's key: " +
		"use the key file that this database was created with")
	// ErrNoKey says that the workspace has no key yet, where one is not made on demand.
	ErrNoKey = errors.New("seal: the workspace has no key")
)

const (
	cacheSize = 4096        // workspaces whose key is kept in memory, a few KB each
	cacheLife = time.Minute // how long another instance's Shred or Rotate may go unnoticed here
)

// Keys hands out the boxes of workspaces. It is safe for concurrent use.
type Keys struct {
	db       *db.DB
	instance *InstanceKey

	mu    sync.Mutex
	cache *lru
}

// New makes the keys of a database. Its tables must have been migrated before the first use.
func New(database *db.DB, key *InstanceKey) *Keys {
	return &Keys{db: database, instance: key, cache: newLRU(cacheSize, cacheLife, time.Now)}
}

// Migrations is the schema of this package.
func (k *Keys) Migrations() []db.Migration {
	return []db.Migration{{
		Name: "workspace keys",
		// wrapped is NULL once the key was shredded: the row stays, so that a new key is never silently made.
		SQL: `CREATE TABLE workspace_keys (
			workspace   TEXT_C  NOT NULL PRIMARY KEY,
			wrapped     BYTES,
			created_at  INTEGER NOT NULL,
			rotated_at  INTEGER NOT NULL DEFAULT 0,
			shredded_at INTEGER NOT NULL DEFAULT 0
		) END_TABLE;`,
	}}
}

// Instance is the box for secrets of the instance itself, such as the mail password. Its key is derived from the
// instance key and does not depend on the database.
func (k *Keys) Instance() *Box { return k.instance.box }

// Box is the workspace's box; its key is made on first use. The workspace must exist: Box does not check. Do not call
// it inside of a db.Tx, because it may need the writer. Errors: ErrShredded, ErrWrongInstanceKey.
func (k *Keys) Box(ctx context.Context, ws kernel.WorkspaceID) (*Box, error) {
	if box := k.cached(ws); box != nil {
		return box, nil
	}
	generation := k.generation()
	wrapped, err := readWrapped(k.db.QueryRow(ctx, selectWrapped, ws))
	if errors.Is(err, ErrNoKey) {
		wrapped, err = k.create(ctx, ws)
	}
	if err != nil {
		return nil, err
	}
	box, err := k.instance.unwrap(ws, wrapped)
	if err != nil {
		return nil, err
	}
	k.remember(ws, box, generation)
	return box, nil
}

// create makes the workspace's key, or reads the one that another caller made at the same time.
func (k *Keys) create(ctx context.Context, ws kernel.WorkspaceID) (wrapped []byte, err error) {
	fresh, err := newSecret()
	if err != nil {
		return nil, err
	}
	offer, err := k.instance.wrap(ws, fresh)
	if err != nil {
		return nil, err
	}
	err = k.db.Tx(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO workspace_keys (workspace, wrapped, created_at) VALUES ($1, $2, $3)
			ON CONFLICT (workspace) DO NOTHING`, ws, offer, kernel.Micros(tx.Now()))
		if err != nil {
			return err
		}
		wrapped, err = readWrapped(tx.QueryRow(ctx, selectWrapped, ws))
		return err
	})
	return wrapped, err
}

// Rotate gives the workspace a new primary key. What was sealed before stays readable, and tags do not change.
func (k *Keys) Rotate(ctx context.Context, ws kernel.WorkspaceID) error {
	err := k.db.Tx(ctx, func(tx *db.Tx) error {
		// The no-op update locks the row, so that two rotations do not overwrite each other's key.
		if _, err := tx.Exec(ctx, `UPDATE workspace_keys SET rotated_at = $2 WHERE workspace = $1 AND wrapped IS NOT NULL`,
			ws, kernel.Micros(tx.Now())); err != nil {
			return err
		}
		wrapped, err := readWrapped(tx.QueryRow(ctx, selectWrapped, ws))
		if err != nil {
			return err
		}
		old, err := k.instance.unwrap(ws, wrapped)
		if err != nil {
			return err
		}
		next, err := old.secret.rotated()
		if err != nil {
			return err
		}
		if wrapped, err = k.instance.wrap(ws, next); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE workspace_keys SET wrapped = $2 WHERE workspace = $1`, ws, wrapped)
		return err
	})
	k.Forget(ws)
	return err
}

// Shred destroys the workspace's key for good. Shredding twice, or a workspace that never had a key, is no error.
// Boxes that were handed out before keep working until they are let go; other instances forget theirs within a minute,
// or when Forget is called there.
//
// On SQLite the old page is overwritten and the write-ahead log emptied. PostgreSQL keeps the dead row until its next
// vacuum, and copies of the database made before keep the wrapped key until they are rotated out: it is of no use
// without the instance key.
func (k *Keys) Shred(ctx context.Context, ws kernel.WorkspaceID) error {
	err := k.db.Tx(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO workspace_keys (workspace, created_at, shredded_at) VALUES ($1, $2, $2)
			ON CONFLICT (workspace) DO UPDATE SET wrapped = NULL, shredded_at = excluded.shredded_at
			WHERE workspace_keys.wrapped IS NOT NULL`, ws, kernel.Micros(tx.Now()))
		return err
	})
	k.Forget(ws)
	if err != nil {
		return err
	}
	if k.db.Dialect() == db.SQLite {
		// A reader may hold the log open; then it is emptied by a later checkpoint. The key is gone either way.
		_, err = k.db.Writer().ExecContext(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`)
	}
	return err
}

// Forget drops the workspace's key from memory, so that the next Box reads it anew. Call it when another instance says
// that it shredded or rotated the key.
func (k *Keys) Forget(ws kernel.WorkspaceID) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.cache.remove(string(ws))
}

func (k *Keys) cached(ws kernel.WorkspaceID) *Box {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.cache.get(string(ws))
}

func (k *Keys) generation() uint64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.cache.removals
}

// remember caches a box, unless something was forgotten since its row was read: the box might be what was forgotten.
func (k *Keys) remember(ws kernel.WorkspaceID, box *Box, generation uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.cache.removals == generation {
		k.cache.put(string(ws), box)
	}
}

const selectWrapped = `SELECT wrapped FROM workspace_keys WHERE workspace = $1`

func readWrapped(row *sql.Row) ([]byte, error) {
	var wrapped []byte
	switch err := row.Scan(&wrapped); {
	case errors.Is(err, db.ErrNoRows):
		return nil, ErrNoKey
	case err != nil:
		return nil, fmt.Errorf("seal: read the workspace's key: %w", err)
	case wrapped == nil:
		return nil, ErrShredded
	}
	return wrapped, nil
}

func newSecret() (*secret, error) {
	handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, fmt.Errorf("seal: make a key: %w", err)
	}
	s := &secret{handle: handle}
	rand.Read(s.tagKey[:])
	return s, nil
}
