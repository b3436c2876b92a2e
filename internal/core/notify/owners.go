package notify

import (
	"context"
	"errors"
	"fmt"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
)

// Owners is the channel that every workspace has before anybody has set one up: mail to its owners and admins. Notifier
// knows it; Channels does not list it.
const Owners kernel.ID = "owners"

const ownersName = "Owners and admins"

// ownersID is the row of the channel Owners; it is made when it is used first, so that deliveries and settings have a
// place. Empty: there is none yet.
func (m *Module) ownersID(ctx context.Context, ws kernel.WorkspaceID) (id kernel.ID, err error) {
	err = m.db.QueryRow(ctx, `SELECT id FROM notify_channels WHERE workspace_id = $1 AND kind = $2 ORDER BY id LIMIT 1`, ws, kindOwners).Scan(&id)
	if errors.Is(err, db.ErrNoRows) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("notify: %w", err)
	}
	return id, nil
}

// ownersChannel finds or makes the row. Its name_key is one that nobody can type.
func (m *Module) ownersChannel(ctx context.Context, ws kernel.WorkspaceID) (kernel.ID, error) {
	id, err := m.ownersID(ctx, ws)
	if err != nil || id != "" {
		return id, err
	}
	now := m.d.Clock()
	fresh := kernel.NewID(now)
	sealed, err := m.seal(ctx, ws, settings{}, channelAAD(fresh))
	if err != nil {
		return "", err
	}
	err = m.db.Tx(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO notify_channels (id, workspace_id, name, name_key, kind, resolved, sealed, failures, disabled_at, disabled_why, not_before, created_at, updated_at)
			VALUES ($1, $2, $3, ' owners', $4, 1, $5, 0, 0, '', 0, $6, $6) ON CONFLICT (workspace_id, name_key) DO NOTHING`,
			fresh, ws, ownersName, kindOwners, sealed, kernel.Micros(now))
		return err
	})
	if err != nil {
		return "", fmt.Errorf("notify: %w", err)
	}
	return m.ownersID(ctx, ws)
}

// ownersSeen is the channel Owners for lists, which write nothing: under that id while it has not been used.
func (m *Module) ownersSeen(ctx context.Context, ws kernel.WorkspaceID) (Channel, error) {
	id, err := m.ownersID(ctx, ws)
	if err != nil {
		return Channel{}, err
	}
	if id == "" {
		return Channel{ID: Owners, Name: ownersName, Kind: kindOwners, Resolved: true, ws: ws}, nil
	}
	return m.Channel(ctx, ws, id)
}
