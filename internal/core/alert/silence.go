package alert

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/prometheus/alertmanager/pkg/labels"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
)

// Silence mutes the alerts that fit, from one moment to another. The alerts still show on the pages.
type Silence struct {
	ID        kernel.ID
	Matchers  []Matcher
	Comment   string
	From      time.Time
	Until     time.Time
	CreatedAt time.Time
	CreatedBy string // address; empty for a machine
}

// State is pending, active or expired, as Alertmanager calls it.
func (s Silence) State(now time.Time) string {
	switch {
	case now.Before(s.From):
		return "pending"
	case now.Before(s.Until):
		return "active"
	}
	return "expired"
}

func errNoSilence() error { return kernel.Errorf(kernel.NotFound, "There is no such silence.") }
func errNoWindow() error {
	return kernel.Errorf(kernel.NotFound, "There is no such maintenance window.")
}

func checkSilence(s Silence, now time.Time) error {
	if len(s.Matchers) == 0 {
		return kernel.InvalidField("matchers", "Say which alerts: at least one label, such as alertname=\"DiskFull\".")
	}
	compiled, err := compileMatchers(s.Matchers)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(compiled, func(m *labels.Matcher) bool { return !m.Matches("") }) {
		return kernel.InvalidField("matchers", "These fit everything. At least one must ask for a label that is there.")
	}
	switch {
	case !s.Until.After(s.From):
		return kernel.InvalidField("until", "The end must come after the beginning.")
	case !s.Until.After(now):
		return kernel.InvalidField("until", "The end is in the past.")
	case s.Until.Sub(s.From) > maxSilence:
		return kernel.InvalidField("until", "A silence lasts up to a year.")
	case len(s.Comment) > maxNote:
		return kernel.InvalidField("comment", "The comment is longer than 1,000 characters.")
	}
	return nil
}

// SaveSilence makes a silence, or changes one that is not over.
func (m *Module) SaveSilence(ctx context.Context, ws kernel.WorkspaceID, s Silence) (Silence, error) {
	now := m.d.Clock()
	if s.ID == "" && s.From.Before(now) {
		s.From = now // as Alertmanager has it: nothing is silenced in the past
	}
	if err := checkSilence(s, now); err != nil {
		return s, err
	}
	if s.ID == "" {
		return m.insertSilence(ctx, ws, s)
	}
	comment, err := m.sealText(ctx, ws, commentAAD(s.ID), s.Comment)
	if err != nil {
		return s, err
	}
	return s, m.d.DB.Tx(ctx, func(tx *db.Tx) error {
		tx.AfterCommit(func() { m.changed(ws) })
		n, err := tx.Exec(ctx, `UPDATE alert_silences SET matchers = $3, comment = $4, starts_at = $5, ends_at = $6 WHERE workspace_id = $1 AND id = $2 AND ends_at > $7`,
			string(ws), string(s.ID), encode(s.Matchers), comment, kernel.Micros(s.From), kernel.Micros(s.Until), kernel.Micros(now))
		if err == nil && n == 0 {
			err = errNoSilence()
		}
		return err
	})
}

func (m *Module) insertSilence(ctx context.Context, ws kernel.WorkspaceID, s Silence) (Silence, error) {
	now := m.d.Clock()
	s.ID, s.CreatedAt = kernel.NewID(now), now
	comment, err := m.sealText(ctx, ws, commentAAD(s.ID), s.Comment)
	if err != nil {
		return s, err
	}
	err = m.d.DB.Tx(ctx, func(tx *db.Tx) error {
		tx.AfterCommit(func() { m.changed(ws) })
		var n int
		if err := tx.QueryRow(ctx, `SELECT count(*) FROM alert_silences WHERE workspace_id = $1 AND ends_at > $2`, string(ws), kernel.Micros(now)).Scan(&n); err != nil {
			return err
		}
		if n >= maxSilences {
			return kernel.Errorf(kernel.Conflict, "A workspace has up to %d silences at a time.", maxSilences)
		}
		_, err := tx.Exec(ctx, `INSERT INTO alert_silences (id, workspace_id, matchers, comment, starts_at, ends_at, created_at, created_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
			string(s.ID), string(ws), encode(s.Matchers), comment, kernel.Micros(s.From), kernel.Micros(s.Until), kernel.Micros(now), account(ctx))
		return err
	})
	return s, err
}

// ExpireSilence ends a silence now. One that has not begun never will.
func (m *Module) ExpireSilence(ctx context.Context, ws kernel.WorkspaceID, id kernel.ID) error {
	return m.d.DB.Tx(ctx, func(tx *db.Tx) error {
		tx.AfterCommit(func() { m.changed(ws) })
		now := kernel.Micros(m.d.Clock())
		n, err := tx.Exec(ctx, `UPDATE alert_silences SET ends_at = $3, starts_at = CASE WHEN starts_at > $3 THEN $3 ELSE starts_at END
			WHERE workspace_id = $1 AND id = $2 AND ends_at > $3`, string(ws), string(id), now)
		if err != nil || n > 0 {
			return err
		}
		if _, err := m.FindSilence(ctx, ws, id); err != nil {
			return err
		}
		return nil // it was over already
	})
}

const silenceColumns = `s.id, s.matchers, s.comment, s.starts_at, s.ends_at, s.created_at, coalesce(a.email, '')`

const silenceTables = `alert_silences s LEFT JOIN accounts a ON a.id = s.created_by`

// scanSilence reads a row and leaves the comment sealed.
func scanSilence(row scanner) (s Silence, comment []byte, err error) {
	var id, text string
	var from, until, created int64
	if err = row.Scan(&id, &text, &comment, &from, &until, &created, &s.CreatedBy); err != nil {
		return s, nil, err
	}
	s.ID, s.From, s.Until, s.CreatedAt = kernel.ID(id), kernel.FromMicros(from), kernel.FromMicros(until), kernel.FromMicros(created)
	return s, comment, json.Unmarshal([]byte(text), &s.Matchers)
}

// FindSilence finds one silence of a workspace.
func (m *Module) FindSilence(ctx context.Context, ws kernel.WorkspaceID, id kernel.ID) (Silence, error) {
	s, comment, err := scanSilence(m.d.DB.QueryRow(ctx, `SELECT `+silenceColumns+` FROM `+silenceTables+` WHERE s.workspace_id = $1 AND s.id = $2`, string(ws), string(id)))
	if errors.Is(err, db.ErrNoRows) {
		return s, errNoSilence()
	}
	if err != nil {
		return s, err
	}
	return s, m.open(ctx, ws, commentAAD(s.ID), comment, &s.Comment)
}

// Silences lists a workspace's silences that end after a moment, those that end last first.
func (m *Module) Silences(ctx context.Context, ws kernel.WorkspaceID, after time.Time) (out []Silence, err error) {
	rows, err := m.d.DB.Query(ctx, `SELECT `+silenceColumns+` FROM `+silenceTables+` WHERE s.workspace_id = $1 AND s.ends_at > $2 ORDER BY s.ends_at DESC, s.id LIMIT $3`,
		string(ws), kernel.Micros(after), maxSilences+mutesListed)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var comments [][]byte
	for rows.Next() {
		s, comment, err := scanSilence(rows)
		if err != nil {
			return nil, err
		}
		out, comments = append(out, s), append(comments, comment)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	rows.Close()
	for i := range out {
		if err := m.open(ctx, ws, commentAAD(out[i].ID), comments[i], &out[i].Comment); err != nil {
			return nil, err
		}
	}
	return out, nil
}
