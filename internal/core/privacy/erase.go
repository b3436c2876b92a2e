package privacy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
)

// Receipt says what an erasure removed. It holds counts and no contents, so that it can be kept as proof.
type Receipt struct {
	ID           kernel.ID          `json:"id"`
	Workspace    kernel.WorkspaceID `json:"workspace"`
	Started      time.Time          `json:"started"`
	Finished     time.Time          `json:"finished"`
	KeyDestroyed bool               `json:"key_destroyed"`
	Complete     bool               `json:"complete"` // nothing failed and nothing is left
	Collections  []Erased           `json:"collections"`
}

// Erased is one line of a Receipt.
type Erased struct {
	Collection string `json:"collection"`
	Title      string `json:"title"`
	Where      string `json:"where"`
	Removed    int64  `json:"removed"`
	Left       int64  `json:"left"`           // what a count still finds afterwards
	Note       string `json:"note,omitempty"` // how it goes when it has no eraser of its own, or that it failed
}

// Erase destroys the workspace's key and removes everything that is held of it, then stores and returns the receipt.
// It can be run again after a failure: what is gone already counts as nothing.
//
// The key goes first. It is the one step that makes all content unreadable at once, in backups too, so whatever
// happens afterwards the content has ended. Erasers run in the reverse order of the data map, so that what refers to
// something goes before it.
func (m *Module) Erase(ctx context.Context, ws kernel.WorkspaceID) (Receipt, error) {
	if ws == "" {
		return Receipt{}, kernel.Errorf(kernel.Invalid, "Say which workspace is to be erased.")
	}
	started := m.clock()
	r := Receipt{ID: kernel.NewID(started), Workspace: ws, Started: started}
	var failures []error
	if m.sources.Keys == nil {
		failures = append(failures, errNoSource("key shredder"))
	} else if err := m.sources.Keys.Shred(ctx, ws); err != nil {
		failures = append(failures, fmt.Errorf("destroy the key: %w", err))
	} else {
		r.KeyDestroyed = true
	}
	collections := m.dataMap().Collections()
	for _, c := range slices.Backward(collections) {
		line, err := eraseCollection(ctx, c, ws)
		r.Collections = append(r.Collections, line)
		failures = append(failures, err)
	}
	// Counting comes after all erasers, because one collection may go with another by a cascade.
	for i, c := range slices.Backward(collections) {
		failures = append(failures, countLeft(ctx, c, ws, &r.Collections[len(collections)-1-i]))
	}
	err := errors.Join(failures...)
	r.Complete = err == nil
	r.Finished = m.clock()
	if err = errors.Join(err, m.storeReceipt(ctx, r)); err != nil {
		return r, fmt.Errorf("privacy: erase a workspace: %w", err)
	}
	return r, nil
}

func eraseCollection(ctx context.Context, c Collection, ws kernel.WorkspaceID) (Erased, error) {
	line := Erased{Collection: c.Name, Title: c.Title, Where: c.Where}
	if c.Erase == nil {
		line.Note = c.NoErase
		return line, nil
	}
	var err error
	if line.Removed, err = c.Erase(ctx, ws); err != nil {
		line.Note = "could not be erased"
		return line, fmt.Errorf("%s: %w", c.Name, err)
	}
	return line, nil
}

// countLeft fails when an eraser said it was done and items are still there. A collection without an eraser may say
// in NoErase why its items stay.
func countLeft(ctx context.Context, c Collection, ws kernel.WorkspaceID, line *Erased) error {
	if c.Count == nil {
		return nil
	}
	var err error
	if line.Left, err = c.Count(ctx, ws); err != nil {
		return fmt.Errorf("%s: count: %w", c.Name, err)
	}
	if line.Left > 0 && c.Erase != nil {
		return fmt.Errorf("%s: %d items are left", c.Name, line.Left)
	}
	return nil
}

func (m *Module) storeReceipt(ctx context.Context, r Receipt) error {
	text, err := json.Marshal(r.Collections)
	if err != nil {
		return fmt.Errorf("receipt: %w", err)
	}
	return m.db.Tx(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO erasure_receipts (id, workspace_id, started_at, finished_at, key_destroyed,
			complete, collections) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
			r.ID, r.Workspace, kernel.Micros(r.Started), kernel.Micros(r.Finished), db.Flag(r.KeyDestroyed), db.Flag(r.Complete),
			string(text))
		return err
	})
}

// Receipts lists the erasures of a workspace, the newest first: an erasure that failed and was run again has two.
func (m *Module) Receipts(ctx context.Context, ws kernel.WorkspaceID) ([]Receipt, error) {
	rows, err := m.db.Query(ctx, `SELECT id, started_at, finished_at, key_destroyed, complete, collections
		FROM erasure_receipts WHERE workspace_id = $1 ORDER BY started_at DESC, id DESC`, ws)
	if err != nil {
		return nil, fmt.Errorf("privacy: read receipts: %w", err)
	}
	defer rows.Close()
	var out []Receipt
	for rows.Next() {
		r := Receipt{Workspace: ws}
		var started, finished, destroyed, complete int64
		var text string
		if err := rows.Scan(&r.ID, &started, &finished, &destroyed, &complete, &text); err != nil {
			return nil, fmt.Errorf("privacy: read receipts: %w", err)
		}
		if err := json.Unmarshal([]byte(text), &r.Collections); err != nil {
			return nil, fmt.Errorf("privacy: read receipts: %w", err)
		}
		r.Started, r.Finished = kernel.FromMicros(started), kernel.FromMicros(finished)
		r.KeyDestroyed, r.Complete = destroyed != 0, complete != 0
		out = append(out, r)
	}
	return out, rows.Err()
}
