package dashboard

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
)

// embedding is how a workspace shows panels on pages of others.
type embedding struct {
	Generation int64    // of the key; 0: embedding is off
	Origins    []string // scheme://host[:port] of the pages that may show panels
	ChangedAt  time.Time
	key        []byte
}

const maxOrigins = 50

func embedAAD(ws kernel.WorkspaceID) []byte { return []byte("dashboard/embedding/" + string(ws)) }

// embedding reads a workspace's settings; the zero value is off.
func (m *Module) embedding(ctx context.Context, ws kernel.WorkspaceID) (e embedding, err error) {
	var sealed []byte
	var origins string
	var changed int64
	err = m.d.DB.QueryRow(ctx, `SELECT signing_key, generation, origins, changed_at FROM dashboard_embedding WHERE workspace_id = $1`, ws).
		Scan(&sealed, &e.Generation, &origins, &changed)
	if errors.Is(err, db.ErrNoRows) {
		return embedding{}, nil
	}
	if err != nil {
		return e, err
	}
	e.Origins, e.ChangedAt = strings.Fields(origins), kernel.FromMicros(changed)
	box, err := m.d.Keys.Box(ctx, ws)
	if err != nil {
		return e, err
	}
	e.key, err = box.Open(sealed, embedAAD(ws))
	return e, err
}

// setOrigins stores which pages may show panels, and makes the key when there is none yet.
func (m *Module) setOrigins(ctx context.Context, ws kernel.WorkspaceID, origins []string) error {
	sealed, err := m.newKey(ctx, ws)
	if err != nil {
		return err
	}
	return m.d.DB.Tx(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO dashboard_embedding (workspace_id, signing_key, generation, origins, created_at, changed_at) VALUES ($1, $2, 1, $3, $4, $4)
			ON CONFLICT (workspace_id) DO UPDATE SET origins = excluded.origins, changed_at = excluded.changed_at`,
			ws, sealed, strings.Join(origins, "\n"), kernel.Micros(tx.Now()))
		return err
	})
}

// rotateKey makes every token that was given out worthless.
func (m *Module) rotateKey(ctx context.Context, ws kernel.WorkspaceID) error {
	sealed, err := m.newKey(ctx, ws)
	if err != nil {
		return err
	}
	return m.d.DB.Tx(ctx, func(tx *db.Tx) error {
		n, err := tx.Exec(ctx, `UPDATE dashboard_embedding SET signing_key = $1, generation = generation + 1, changed_at = $2 WHERE workspace_id = $3`,
			sealed, kernel.Micros(tx.Now()), ws)
		if err == nil && n == 0 {
			return kernel.Errorf(kernel.Conflict, "Embedding is off: allow a site first.")
		}
		return err
	})
}

// newKey is a fresh signing key, sealed.
func (m *Module) newKey(ctx context.Context, ws kernel.WorkspaceID) ([]byte, error) {
	box, err := m.d.Keys.Box(ctx, ws)
	if err != nil {
		return nil, err
	}
	key := make([]byte, 32)
	rand.Read(key)
	return box.Seal(key, embedAAD(ws))
}

// readOrigins reads sites, one on each line.
func readOrigins(text string) ([]string, error) {
	var out []string
	for _, line := range strings.Fields(text) {
		origin, err := cleanOrigin(line)
		if err != nil {
			return nil, kernel.InvalidField("origins", fmt.Sprintf("%q is no site; write https://www.example.com", clip(line, 80)))
		}
		if !slices.Contains(out, origin) {
			out = append(out, origin)
		}
	}
	if len(out) > maxOrigins {
		return nil, kernel.InvalidField("origins", fmt.Sprintf("At most %d sites.", maxOrigins))
	}
	return out, nil
}

// cleanOrigin is a site the way browsers write it in the header Origin.
func cleanOrigin(s string) (string, error) {
	u, err := url.Parse(strings.ToLower(strings.TrimSuffix(s, "/")))
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.Path != "" || u.RawQuery != "" || u.User != nil || u.Fragment != "" || strings.ContainsAny(u.Host, "*\"'<>") {
		return "", errors.New("not an origin")
	}
	if u.Scheme == "https" && u.Port() == "443" || u.Scheme == "http" && u.Port() == "80" {
		u.Host = strings.TrimSuffix(u.Host, ":"+u.Port())
	}
	return u.Scheme + "://" + u.Host, nil
}
