package dashboard

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
)

// The limits of a workspace's dashboards.
const (
	maxDashboards = 2000
	keptVersions  = 200                 // of one dashboard
	keptDeleted   = 30 * 24 * time.Hour // how long a deleted dashboard can be brought back
)

// Stored is a dashboard of a workspace.
type Stored struct {
	ID          kernel.ID          `json:"id"`
	WorkspaceID kernel.WorkspaceID `json:"-"`
	Title       string             `json:"title"`
	Tags        []string           `json:"tags"`
	Panels      int                `json:"panels"`
	Version     int64              `json:"version"` // counts saves
	CreatedAt   time.Time          `json:"created_at"`
	ChangedAt   time.Time          `json:"changed_at"`
	ChangedBy   kernel.AccountID   `json:"changed_by,omitempty"`
	DeletedAt   time.Time          `json:"-"`

	body string
}

// Dashboard reads the body.
func (s Stored) dashboard() (*Dashboard, error) {
	d, err := Decode([]byte(s.body))
	if err != nil { // stored by a newer server, or by hand
		return nil, fmt.Errorf("dashboard %s cannot be read: %w", s.ID, err)
	}
	return d, nil
}

var errNoDashboard = kernel.Errorf(kernel.NotFound, "There is no such dashboard.")

const storedColumns = `id, workspace_id, title, tags, panels, body, version, created_at, changed_at, changed_by, deleted_at`

func scanStored(row interface{ Scan(...any) error }) (s Stored, err error) {
	var tags string
	var by sql.NullString
	var created, changed, deleted int64
	err = row.Scan(&s.ID, &s.WorkspaceID, &s.Title, &tags, &s.Panels, &s.body, &s.Version, &created, &changed, &by, &deleted)
	s.Tags = splitTags(tags)
	s.CreatedAt, s.ChangedAt, s.DeletedAt = kernel.FromMicros(created), kernel.FromMicros(changed), kernel.FromMicros(deleted)
	s.ChangedBy = kernel.AccountID(by.String)
	return s, err
}

func splitTags(s string) []string {
	out := []string{}
	for _, t := range strings.Split(s, ",") {
		if t = strings.TrimSpace(t); t != "" {
			out = append(out, t)
		}
	}
	return out
}

// get reads a dashboard, deleted or not; one of another workspace is not found.
func (m *Module) get(ctx context.Context, ws kernel.WorkspaceID, id string) (Stored, error) {
	if !kernel.ValidID(id) {
		return Stored{}, errNoDashboard
	}
	s, err := scanStored(m.d.DB.QueryRow(ctx, `SELECT `+storedColumns+` FROM dashboards WHERE id = $1 AND workspace_id = $2`, id, ws))
	if errors.Is(err, db.ErrNoRows) {
		return s, errNoDashboard
	}
	return s, err
}

// list reads a workspace's dashboards by title; deleted ones, or those that are not.
func (m *Module) list(ctx context.Context, ws kernel.WorkspaceID, deleted bool) (out []Stored, err error) {
	condition := `deleted_at = 0`
	if deleted {
		condition = `deleted_at > 0`
	}
	rows, err := m.d.DB.Query(ctx, `SELECT `+storedColumns+` FROM dashboards WHERE workspace_id = $1 AND `+condition+` ORDER BY lower(title), id LIMIT 5000`, ws)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		s, err := scanStored(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, rows.Err()
}

// create stores a new dashboard.
func (m *Module) create(ctx context.Context, ws kernel.WorkspaceID, by kernel.AccountID, d *Dashboard, note string) (s Stored, err error) {
	err = m.d.DB.Tx(ctx, func(tx *db.Tx) error {
		var n int64
		if err := tx.QueryRow(ctx, `SELECT count(*) FROM dashboards WHERE workspace_id = $1`, ws).Scan(&n); err != nil {
			return err
		}
		if n >= maxDashboards {
			return kernel.Errorf(kernel.Invalid, "This workspace has %d dashboards, which is the limit. Delete some.", n)
		}
		s = Stored{ID: kernel.NewID(tx.Now()), WorkspaceID: ws, Version: 1, CreatedAt: tx.Now(), ChangedAt: tx.Now(), ChangedBy: by}
		s.take(d)
		if _, err := tx.Exec(ctx, `INSERT INTO dashboards (`+storedColumns+`) VALUES ($1, $2, $3, $4, $5, $6, 1, $7, $7, $8, 0)`,
			s.ID, ws, s.Title, strings.Join(s.Tags, ","), s.Panels, s.body, kernel.Micros(tx.Now()), nullable(by)); err != nil {
			return err
		}
		return addVersion(ctx, tx, s, note)
	})
	return s, err
}

// take copies what lists need from the dashboard.
func (s *Stored) take(d *Dashboard) {
	s.Title, s.Tags, s.body, s.Panels = d.Title, splitTags(strings.Join(d.Tags, ",")), string(d.Encode()), d.panelCount()
}

func (d *Dashboard) panelCount() (n int) {
	for _, r := range d.Rows {
		n += len(r.Panels)
	}
	return n
}

func nullable(id kernel.AccountID) any {
	if id == "" {
		return nil
	}
	return string(id)
}

func addVersion(ctx context.Context, tx *db.Tx, s Stored, note string) error {
	if _, err := tx.Exec(ctx, `INSERT INTO dashboard_versions (dashboard_id, version, workspace_id, body, note, saved_at, saved_by) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		s.ID, s.Version, s.WorkspaceID, s.body, clip(note, maxTitle), kernel.Micros(tx.Now()), nullable(s.ChangedBy)); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `DELETE FROM dashboard_versions WHERE dashboard_id = $1 AND version <= $2`, s.ID, s.Version-keptVersions)
	return err
}

// save stores a new version. When somebody saved since the version that the change was made from, it is a Conflict and
// nothing is written. A save that changes nothing makes no version.
func (m *Module) save(ctx context.Context, ws kernel.WorkspaceID, by kernel.AccountID, id string, from int64, d *Dashboard, note string) (s Stored, err error) {
	err = m.d.DB.Tx(ctx, func(tx *db.Tx) error {
		s, err = scanStored(tx.QueryRow(ctx, `SELECT `+storedColumns+` FROM dashboards WHERE id = $1 AND workspace_id = $2 AND deleted_at = 0`, id, ws))
		if errors.Is(err, db.ErrNoRows) {
			return errNoDashboard
		}
		if err != nil {
			return err
		}
		if s.Version != from {
			return kernel.Errorf(kernel.Conflict, "Somebody saved this dashboard meanwhile (version %d, yours was made from %d). Look at its history, and make the change again.", s.Version, from)
		}
		old := s.body
		if s.take(d); s.body == old {
			return nil
		}
		s.Version, s.ChangedAt, s.ChangedBy = s.Version+1, tx.Now(), by
		n, err := tx.Exec(ctx, `UPDATE dashboards SET title = $1, tags = $2, panels = $3, body = $4, version = $5, changed_at = $6, changed_by = $7 WHERE id = $8 AND version = $9`,
			s.Title, strings.Join(s.Tags, ","), s.Panels, s.body, s.Version, kernel.Micros(tx.Now()), nullable(by), s.ID, from)
		if err != nil {
			return err
		}
		if n == 0 {
			return kernel.Errorf(kernel.Conflict, "Somebody saved this dashboard meanwhile. Look at its history, and make the change again.")
		}
		return addVersion(ctx, tx, s, note)
	})
	return s, err
}

// remove marks a dashboard as deleted, or brings it back.
func (m *Module) remove(ctx context.Context, ws kernel.WorkspaceID, id string, deleted bool) error {
	return m.d.DB.Tx(ctx, func(tx *db.Tx) error {
		at := int64(0)
		condition := `deleted_at > 0`
		if deleted {
			at, condition = kernel.Micros(tx.Now()), `deleted_at = 0`
		}
		n, err := tx.Exec(ctx, `UPDATE dashboards SET deleted_at = $1 WHERE id = $2 AND workspace_id = $3 AND `+condition, at, id, ws)
		if err == nil && n == 0 {
			return errNoDashboard
		}
		return err
	})
}

// version is one save of a dashboard.
type version struct {
	Number  int64
	Note    string
	SavedAt time.Time
	SavedBy kernel.AccountID
	body    string
}

// versions lists the saves of a dashboard, the newest first.
func (m *Module) versions(ctx context.Context, id kernel.ID) (out []version, err error) {
	rows, err := m.d.DB.Query(ctx, `SELECT version, note, saved_at, saved_by, body FROM dashboard_versions WHERE dashboard_id = $1 ORDER BY version DESC`, id)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var v version
		var at int64
		var by sql.NullString
		if err := rows.Scan(&v.Number, &v.Note, &at, &by, &v.body); err != nil {
			return nil, err
		}
		v.SavedAt, v.SavedBy = kernel.FromMicros(at), kernel.AccountID(by.String)
		out = append(out, v)
	}
	return out, rows.Err()
}
