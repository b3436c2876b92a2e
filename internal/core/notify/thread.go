package notify

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
)

// thread is what a channel must know of what it posted about a group before.
type thread struct {
	ID    string `json:"id"`             // of the first message
	Place string `json:"place"`          // where it was posted; a changed setting begins anew
	More  string `json:"more,omitempty"` // what the kind needs besides
}

func threadAAD(c kernel.ID, key string) []byte {
	return []byte("notify/thread/" + string(c) + "/" + key)
}

// findThread reads what was posted about the group to a place; nil when nothing was.
func (s *shot) findThread(ctx context.Context, place string) error {
	group, _ := hex.DecodeString(s.key)
	var sealed []byte
	err := s.m.db.QueryRow(ctx, `SELECT sealed FROM notify_threads WHERE channel_id = $1 AND group_tag = $2`, s.c.ID, group).Scan(&sealed)
	if errors.Is(err, db.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("notify: %w", err)
	}
	var t thread
	if err := s.m.open(ctx, s.c.ws, sealed, threadAAD(s.c.ID, s.key), &t); err != nil {
		return err
	}
	if t.Place == place {
		s.thread = &t
	}
	return nil
}

// keepThread notes what was posted. It must not fail the attempt: the message is out.
func (s *shot) keepThread(ctx context.Context, t thread) {
	ctx = context.WithoutCancel(ctx)
	s.thread = &t
	group, _ := hex.DecodeString(s.key)
	sealed, err := s.m.seal(ctx, s.c.ws, t, threadAAD(s.c.ID, s.key))
	if err == nil {
		err = s.m.db.Tx(ctx, func(tx *db.Tx) error {
			_, err := tx.Exec(ctx, `INSERT INTO notify_threads (channel_id, group_tag, workspace_id, sealed, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $5)
				ON CONFLICT (channel_id, group_tag) DO UPDATE SET sealed = excluded.sealed, updated_at = excluded.updated_at`,
				s.c.ID, group, s.c.ws, sealed, kernel.Micros(tx.Now()))
			return err
		})
	}
	if err != nil {
		s.m.d.Logger.Error("a thread could not be noted", "channel", s.c.ID, "error", err)
	}
}

// endThread forgets what was posted: the group is over, and what comes next opens a new one.
func (s *shot) endThread(ctx context.Context) {
	ctx = context.WithoutCancel(ctx)
	group, _ := hex.DecodeString(s.key)
	err := s.m.db.Tx(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM notify_threads WHERE channel_id = $1 AND group_tag = $2`, s.c.ID, group)
		return err
	})
	if err != nil {
		s.m.d.Logger.Error("a thread could not be ended", "channel", s.c.ID, "error", err)
	}
}
