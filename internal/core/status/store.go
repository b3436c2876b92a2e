package status

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/seal"
	"github.com/kept-dev/kept/internal/ui"
)

func errNone() error { return kernel.Errorf(kernel.NotFound, "There is no such incident.") }

// Page reads a workspace's page. One that was never set up is empty.
func (m *Module) Page(ctx context.Context, ws kernel.WorkspaceID) (p Page, err error) {
	p.WorkspaceID = ws
	err = m.d.DB.QueryRow(ctx, `SELECT slug, title, about, public FROM status_pages WHERE workspace_id = $1`, string(ws)).Scan(&p.Slug, &p.Title, &p.About, &p.Public)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return p, err
}

func (m *Module) publicPageAt(ctx context.Context, slug string) (p Page, err error) {
	var updated int64
	err = m.d.DB.QueryRow(ctx, `SELECT workspace_id, slug, title, about, updated_at FROM status_pages WHERE slug = $1 AND public <> 0`, slug).Scan(&p.WorkspaceID, &p.Slug, &p.Title, &p.About, &updated)
	if errors.Is(err, sql.ErrNoRows) {
		return p, kernel.Errorf(kernel.NotFound, "There is no status page at this address.")
	}
	p.Public, p.UpdatedAt = true, kernel.FromMicros(updated)
	return p, err
}

// SavePage changes a workspace's page.
func (m *Module) SavePage(ctx context.Context, p Page) error {
	if err := checkSlug(p.Slug); err != nil {
		return err
	}
	var err error
	if p.Title, err = checkText("title", p.Title, maxTitle); err != nil {
		return err
	}
	if len(p.About) > maxText {
		return kernel.InvalidField("about", "This is too long.")
	}
	return m.d.DB.Tx(ctx, func(tx *db.Tx) error {
		var holder string
		err := tx.QueryRow(ctx, `SELECT workspace_id FROM status_pages WHERE slug = $1`, p.Slug).Scan(&holder)
		if err == nil && holder != string(p.WorkspaceID) {
			return kernel.InvalidField("slug", "This address is taken.")
		}
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		tx.AfterCommit(m.changed)
		_, err = tx.Exec(ctx, `INSERT INTO status_pages (workspace_id, slug, title, about, public, updated_at) VALUES ($1, $2, $3, $4, $5, $6)
			ON CONFLICT (workspace_id) DO UPDATE SET slug = excluded.slug, title = excluded.title, about = excluded.about, public = excluded.public, updated_at = excluded.updated_at`,
			string(p.WorkspaceID), p.Slug, p.Title, strings.TrimSpace(p.About), db.Flag(p.Public), kernel.Micros(tx.Now()))
		return err
	})
}

// Components lists what a page names, in the order in which they were added.
func (m *Module) Components(ctx context.Context, ws kernel.WorkspaceID) (out []Component, err error) {
	rows, err := m.d.DB.Query(ctx, `SELECT id, name, created_at FROM status_components WHERE workspace_id = $1 ORDER BY created_at, id`, string(ws))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var c Component
		var at int64
		if err := rows.Scan(&c.ID, &c.Name, &at); err != nil {
			return nil, err
		}
		c.CreatedAt = kernel.FromMicros(at)
		out = append(out, c)
	}
	return out, rows.Err()
}

// AddComponent adds a part of the service.
func (m *Module) AddComponent(ctx context.Context, ws kernel.WorkspaceID, name string) (id kernel.ID, err error) {
	if name, err = checkText("name", name, maxTitle); err != nil {
		return "", err
	}
	all, err := m.Components(ctx, ws)
	if err != nil {
		return "", err
	}
	if len(all) >= maxComponents {
		return "", kernel.InvalidField("name", "There are as many parts as a page can show.")
	}
	if slices.ContainsFunc(all, func(c Component) bool { return c.Name == name }) {
		return "", kernel.InvalidField("name", "There is one of this name.")
	}
	id = kernel.NewID(m.d.Clock())
	_, err = m.exec(ctx, `INSERT INTO status_components (id, workspace_id, name, created_at) VALUES ($1, $2, $3, $4)`, string(id), string(ws), name, kernel.Micros(m.d.Clock()))
	return id, err
}

// RemoveComponent takes one off the page; incidents of it stay.
func (m *Module) RemoveComponent(ctx context.Context, ws kernel.WorkspaceID, id kernel.ID) error {
	n, err := m.exec(ctx, `DELETE FROM status_components WHERE workspace_id = $1 AND id = $2`, string(ws), string(id))
	if err == nil && n == 0 {
		return kernel.Errorf(kernel.NotFound, "There is no such part.")
	}
	return err
}

// Notices lists a workspace's incidents and maintenance since a time and those that last, the newest first, with their
// updates; those that were taken back too if deleted is set.
func (m *Module) Notices(ctx context.Context, ws kernel.WorkspaceID, since time.Time, deleted bool) (out []Notice, err error) {
	return m.notices(ctx, `workspace_id = $1 AND (starts_at >= $2 OR over_at = 0 OR over_at >= $2) AND (deleted_at = 0 OR deleted_at >= $3)`,
		string(ws), kernel.Micros(since), kernel.Micros(m.deletedSince(deleted)))
}

func (m *Module) deletedSince(deleted bool) time.Time {
	if deleted {
		return m.d.Clock().Add(-keepDeleted)
	}
	return m.d.Clock().Add(100 * 365 * 24 * time.Hour)
}

// Notice finds one.
func (m *Module) Notice(ctx context.Context, ws kernel.WorkspaceID, id kernel.ID, deleted bool) (n Notice, err error) {
	all, err := m.notices(ctx, `workspace_id = $1 AND id = $2 AND (deleted_at = 0 OR deleted_at >= $3)`, string(ws), string(id), kernel.Micros(m.deletedSince(deleted)))
	if err != nil {
		return n, err
	}
	if len(all) == 0 {
		return n, errNone()
	}
	return all[0], nil
}

// OfAlert finds the newest notice that was made from an alert.
func (m *Module) OfAlert(ctx context.Context, ws kernel.WorkspaceID, id kernel.ID) (n Notice, ok bool, err error) {
	all, err := m.notices(ctx, `workspace_id = $1 AND alert_id = $2 AND deleted_at = 0`, string(ws), string(id))
	if err != nil || len(all) == 0 {
		return n, false, err
	}
	return all[0], true, nil
}

// ToldOf implements alert.Teller.
func (m *Module) ToldOf(ctx context.Context, ws kernel.WorkspaceID, id kernel.ID) (*ui.Link, error) {
	n, ok, err := m.OfAlert(ctx, ws, id)
	if err != nil || !ok {
		return nil, err
	}
	return &ui.Link{Label: n.Title + " (" + n.State + ")", Href: noticeHref(ws, n.ID)}, nil
}

func (m *Module) notices(ctx context.Context, where string, args ...any) (out []Notice, err error) {
	rows, err := m.d.DB.Query(ctx, `SELECT id, kind, title, impact, state, components, starts_at, ends_at, over_at, deleted_at, alert_id FROM status_notices WHERE `+where+` ORDER BY starts_at DESC, id DESC`, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	at := map[kernel.ID]int{}
	for rows.Next() {
		var n Notice
		var components string
		var starts, ends, over, deleted int64
		if err := rows.Scan(&n.ID, &n.Kind, &n.Title, &n.Impact, &n.State, &components, &starts, &ends, &over, &deleted, &n.AlertID); err != nil {
			return nil, err
		}
		for id := range strings.FieldsSeq(components) {
			n.Components = append(n.Components, kernel.ID(id))
		}
		n.StartsAt, n.EndsAt, n.OverAt, n.DeletedAt = kernel.FromMicros(starts), kernel.FromMicros(ends), kernel.FromMicros(over), kernel.FromMicros(deleted)
		at[n.ID] = len(out)
		out = append(out, n)
	}
	if err := rows.Err(); err != nil || len(out) == 0 {
		return nil, err
	}
	updates, err := m.d.DB.Query(ctx, `SELECT notice_id, id, at, state, body FROM status_updates WHERE notice_id IN (SELECT id FROM status_notices WHERE `+where+`) ORDER BY at DESC, id DESC`, args...)
	if err != nil {
		return nil, err
	}
	defer updates.Close()
	for updates.Next() {
		var id kernel.ID
		var u Update
		var us int64
		if err := updates.Scan(&id, &u.ID, &us, &u.State, &u.Text); err != nil {
			return nil, err
		}
		u.At = kernel.FromMicros(us)
		if i, ok := at[id]; ok {
			out[i].Updates = append(out[i].Updates, u)
		}
	}
	return out, updates.Err()
}

// Publish makes a notice with its first update, and sends it to the subscribers.
func (m *Module) Publish(ctx context.Context, ws kernel.WorkspaceID, n Notice, text string) (Notice, error) {
	if err := m.check(ctx, ws, &n); err != nil {
		return n, err
	}
	text, err := checkText("text", text, maxText)
	if err != nil {
		return n, err
	}
	n.ID = kernel.NewID(m.d.Clock())
	box, err := m.d.Keys.Box(ctx, ws)
	if err != nil {
		return n, err
	}
	return n, m.d.DB.Tx(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO status_notices (id, workspace_id, kind, title, impact, state, components, starts_at, ends_at, over_at, created_at, deleted_at, alert_id)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, $10, 0, $11)`,
			string(n.ID), string(ws), n.Kind, n.Title, n.Impact, n.State, join(n.Components), kernel.Micros(n.StartsAt), kernel.Micros(n.EndsAt), kernel.Micros(tx.Now()), string(n.AlertID))
		if err != nil {
			return err
		}
		return m.tell(ctx, tx, box, ws, n, text)
	})
}

// Tell adds an update to a notice, which may end it or begin it again, and sends it to the subscribers.
func (m *Module) Tell(ctx context.Context, ws kernel.WorkspaceID, id kernel.ID, state, text string) error {
	n, err := m.Notice(ctx, ws, id, false)
	if err != nil {
		return err
	}
	if err := checkState(n.Kind, state); err != nil {
		return err
	}
	if text, err = checkText("text", text, maxText); err != nil {
		return err
	}
	n.State = state
	box, err := m.d.Keys.Box(ctx, ws)
	if err != nil {
		return err
	}
	return m.d.DB.Tx(ctx, func(tx *db.Tx) error { return m.tell(ctx, tx, box, ws, n, text) })
}

func (m *Module) tell(ctx context.Context, tx *db.Tx, box *seal.Box, ws kernel.WorkspaceID, n Notice, text string) error {
	var ended int64
	if n.State == over(n.Kind) {
		ended = kernel.Micros(tx.Now())
	}
	if _, err := tx.Exec(ctx, `UPDATE status_notices SET state = $3, over_at = $4 WHERE workspace_id = $1 AND id = $2`, string(ws), string(n.ID), n.State, ended); err != nil {
		return err
	}
	u := Update{ID: kernel.NewID(tx.Now()), At: tx.Now(), State: n.State, Text: text}
	_, err := tx.Exec(ctx, `INSERT INTO status_updates (id, notice_id, workspace_id, at, state, body) VALUES ($1, $2, $3, $4, $5, $6)`,
		string(u.ID), string(n.ID), string(ws), kernel.Micros(u.At), u.State, u.Text)
	if err != nil {
		return err
	}
	tx.AfterCommit(m.changed)
	if err := m.spread(ctx, tx, box, ws, n, u); err != nil {
		return err
	}
	return m.announce(ctx, tx, ws, u)
}

// Change corrects what a notice says of itself. Nobody is told: for that there are updates.
func (m *Module) Change(ctx context.Context, ws kernel.WorkspaceID, n Notice) error {
	old, err := m.Notice(ctx, ws, n.ID, false)
	if err != nil {
		return err
	}
	n.Kind, n.State, n.AlertID = old.Kind, old.State, "" // the alert may be gone by now, and stays what it was
	if err := m.check(ctx, ws, &n); err != nil {
		return err
	}
	_, err = m.exec(ctx, `UPDATE status_notices SET title = $3, impact = $4, components = $5, starts_at = $6, ends_at = $7 WHERE workspace_id = $1 AND id = $2`,
		string(ws), string(n.ID), n.Title, n.Impact, join(n.Components), kernel.Micros(n.StartsAt), kernel.Micros(n.EndsAt))
	return err
}

// Remove takes a notice off the page; Restore puts it back within 30 days.
func (m *Module) Remove(ctx context.Context, ws kernel.WorkspaceID, id kernel.ID) error {
	return m.setDeleted(ctx, ws, id, kernel.Micros(m.d.Clock()))
}

// Restore puts back what was removed.
func (m *Module) Restore(ctx context.Context, ws kernel.WorkspaceID, id kernel.ID) error {
	return m.setDeleted(ctx, ws, id, 0)
}

func (m *Module) setDeleted(ctx context.Context, ws kernel.WorkspaceID, id kernel.ID, at int64) error {
	if _, err := m.Notice(ctx, ws, id, true); err != nil {
		return err
	}
	if _, err := m.exec(ctx, `UPDATE status_notices SET deleted_at = $3 WHERE workspace_id = $1 AND id = $2`, string(ws), string(id), at); err != nil {
		return err
	}
	_, err := m.exec(ctx, `DELETE FROM status_notices WHERE deleted_at > 0 AND deleted_at < $1`, kernel.Micros(m.d.Clock().Add(-keepDeleted)))
	return err
}

func join(ids []kernel.ID) string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = string(id)
	}
	return strings.Join(out, " ")
}

func (m *Module) check(ctx context.Context, ws kernel.WorkspaceID, n *Notice) (err error) {
	if _, ok := states[n.Kind]; !ok {
		return kernel.InvalidField("kind", "Choose one of these.")
	}
	if n.Title, err = checkText("title", n.Title, maxTitle); err != nil {
		return err
	}
	if n.Kind == Incident && !slices.Contains(impacts, n.Impact) {
		return kernel.InvalidField("impact", "Choose one of these.")
	}
	if err := checkState(n.Kind, n.State); err != nil {
		return err
	}
	if n.StartsAt.IsZero() {
		return kernel.InvalidField("starts", "Write a date and a time.")
	}
	if n.Kind == Maintenance && !n.EndsAt.After(n.StartsAt) {
		return kernel.InvalidField("ends", "The end comes after the beginning.")
	}
	if n.AlertID != "" && m.d.Alerts != nil {
		if _, err := m.d.Alerts.FindAlert(ctx, ws, n.AlertID); err != nil {
			return err
		}
	}
	known, err := m.Components(ctx, ws)
	if err != nil {
		return err
	}
	n.Components = slices.DeleteFunc(n.Components, func(id kernel.ID) bool {
		return !slices.ContainsFunc(known, func(c Component) bool { return c.ID == id })
	})
	return nil
}
