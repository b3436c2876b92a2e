package alert

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/teambition/rrule-go"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
)

// Window is planned work: it mutes the alerts that fit, once or again and again.
type Window struct {
	ID        kernel.ID     `json:"-"`
	Name      string        `json:"-"`
	Matchers  []Matcher     `json:"-"` // none: everything
	Start     time.Time     `json:"start"`
	Lasts     time.Duration `json:"lasts"`
	Rule      string        `json:"rule,omitempty"` // RFC 5545, FREQ=WEEKLY;BYDAY=SU; empty: once
	Zone      string        `json:"zone"`
	CreatedAt time.Time     `json:"-"`
	CreatedBy string        `json:"-"`
	DeletedAt time.Time     `json:"-"` // zero: it counts
}

// Span is one occurrence of a window.
type Span struct{ From, Until time.Time }

// set is the recurrence of a window; nil for one that happens once.
func (w Window) set() (*rrule.RRule, error) {
	if w.Rule == "" {
		return nil, nil
	}
	if len(w.Rule) > maxRRule {
		return nil, kernel.InvalidField("rule", "The rule is longer than 500 characters.")
	}
	zone, err := time.LoadLocation(w.Zone)
	if err != nil || w.Zone == "" {
		return nil, kernel.InvalidField("zone", "Name a time zone such as Europe/Berlin or UTC.")
	}
	text := strings.TrimPrefix(strings.TrimSpace(w.Rule), "RRULE:")
	if strings.ContainsAny(text, "\r\n") || strings.Contains(strings.ToUpper(text), "DTSTART") {
		return nil, kernel.InvalidField("rule", "Write one rule, such as FREQ=WEEKLY;BYDAY=SU. The beginning stands above.")
	}
	o, err := rrule.StrToROptionInLocation(text, zone)
	if err != nil {
		return nil, kernel.InvalidField("rule", "Write a rule of RFC 5545, such as FREQ=WEEKLY;BYDAY=SU or FREQ=MONTHLY;BYDAY=1SA.")
	}
	if o.Freq > rrule.DAILY {
		return nil, kernel.InvalidField("rule", "A window recurs by the day, week, month or year.")
	}
	if len(o.Byhour)+len(o.Byminute)+len(o.Bysecond) > 0 {
		return nil, kernel.InvalidField("rule", "The time of day is that of the beginning: leave BYHOUR, BYMINUTE and BYSECOND out.")
	}
	if err := checkOrdinals(o); err != nil {
		return nil, err
	}
	o.Dtstart = w.Start.In(zone)
	r, err := rrule.NewRRule(*o)
	if err != nil {
		return nil, kernel.InvalidField("rule", "Write a rule of RFC 5545, such as FREQ=WEEKLY;BYDAY=SU or FREQ=MONTHLY;BYDAY=1SA.")
	}
	return r, nil
}

// checkOrdinals refuses days that never come, such as the ninth Friday of a month: the library would look for them beyond the
// end of the year.
func checkOrdinals(o *rrule.ROption) error {
	most := 53
	if o.Freq != rrule.YEARLY || len(o.Bymonth) > 0 {
		most = 5
	}
	for _, day := range o.Byweekday {
		if n := day.N(); n > most || n < -most {
			return kernel.InvalidField("rule", "A month has five of a weekday at most, a year 53.")
		}
	}
	return nil
}

// At is the occurrence that a moment lies in.
func (w Window) At(now time.Time) (Span, bool) {
	for _, s := range w.Next(now, 1) {
		return s, !now.Before(s.From)
	}
	return Span{}, false
}

// Next lists up to n occurrences that end after a moment.
func (w Window) Next(after time.Time, n int) (out []Span) {
	r, err := w.set()
	if err != nil {
		return nil
	}
	if r == nil {
		if s := (Span{w.Start, w.Start.Add(w.Lasts)}); s.Until.After(after) {
			out = append(out, s)
		}
		return out
	}
	for at := r.After(after.Add(-w.Lasts), false); !at.IsZero() && len(out) < n; at = r.After(at, false) {
		out = append(out, Span{at, at.Add(w.Lasts)})
	}
	return out
}

func checkWindow(w Window, now time.Time) error {
	if name := strings.TrimSpace(w.Name); name == "" || len(name) > maxName {
		return kernel.InvalidField("name", "Give it a name of up to 200 characters.")
	}
	if _, err := compileMatchers(w.Matchers); err != nil {
		return err
	}
	if _, err := time.LoadLocation(w.Zone); err != nil || w.Zone == "" {
		return kernel.InvalidField("zone", "Name a time zone such as Europe/Berlin or UTC.")
	}
	switch {
	case w.Start.IsZero():
		return kernel.InvalidField("start", "Say when it begins.")
	case w.Lasts < time.Minute || w.Lasts > maxWindow:
		return kernel.InvalidField("lasts", "Choose between 1m and 7d.")
	}
	if _, err := w.set(); err != nil {
		return err
	}
	if len(w.Next(now, 1)) == 0 {
		return kernel.InvalidField("start", "It is over: it never happens again.")
	}
	return nil
}

// end is when the last occurrence ends, microseconds.
func (w Window) end() int64 {
	r, err := w.set()
	switch {
	case err != nil:
		return 0
	case r == nil:
		return kernel.Micros(w.Start.Add(w.Lasts))
	case !r.OrigOptions.Until.IsZero():
		return kernel.Micros(r.OrigOptions.Until.Add(w.Lasts))
	case r.OrigOptions.Count > 0 && r.OrigOptions.Count <= maxFrequency:
		all := r.All()
		if len(all) > 0 {
			return kernel.Micros(all[len(all)-1].Add(w.Lasts))
		}
	}
	return endOfNever
}

// SaveWindow makes a maintenance window, or changes one.
func (m *Module) SaveWindow(ctx context.Context, ws kernel.WorkspaceID, w Window) (Window, error) {
	now := m.d.Clock()
	if err := checkWindow(w, now); err != nil {
		return w, err
	}
	fresh := w.ID == ""
	if fresh {
		w.ID, w.CreatedAt = kernel.NewID(now), now
	}
	name, err := m.sealText(ctx, ws, windowAAD(w.ID), w.Name)
	if err != nil {
		return w, err
	}
	err = m.d.DB.Tx(ctx, func(tx *db.Tx) error {
		tx.AfterCommit(func() { m.changed(ws) })
		if !fresh {
			n, err := tx.Exec(ctx, `UPDATE alert_windows SET name = $3, matchers = $4, body = $5, ends_at = $6 WHERE workspace_id = $1 AND id = $2 AND deleted_at = 0`,
				string(ws), string(w.ID), name, encode(w.Matchers), encode(w), w.end())
			if err == nil && n == 0 {
				err = errNoWindow()
			}
			return err
		}
		var n int
		if err := tx.QueryRow(ctx, `SELECT count(*) FROM alert_windows WHERE workspace_id = $1 AND deleted_at = 0`, string(ws)).Scan(&n); err != nil {
			return err
		}
		if n >= mutesListed {
			return kernel.Errorf(kernel.Conflict, "A workspace has up to %d maintenance windows.", mutesListed)
		}
		_, err := tx.Exec(ctx, `INSERT INTO alert_windows (id, workspace_id, name, matchers, body, ends_at, created_at, created_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
			string(w.ID), string(ws), name, encode(w.Matchers), encode(w), w.end(), kernel.Micros(now), account(ctx))
		return err
	})
	return w, err
}

// EndWindow ends work that goes on now. One that recurs cannot be ended by itself: that would change the others.
func (m *Module) EndWindow(ctx context.Context, ws kernel.WorkspaceID, id kernel.ID) error {
	w, err := m.FindWindow(ctx, ws, id)
	if err != nil {
		return err
	}
	now := m.d.Clock()
	if _, goesOn := w.At(now); !goesOn || !w.DeletedAt.IsZero() {
		return kernel.Errorf(kernel.Conflict, "This maintenance does not go on at the moment.")
	}
	if w.Rule != "" {
		return kernel.Errorf(kernel.Conflict, "This maintenance recurs. Change how long it lasts, or delete it.")
	}
	w.Lasts = now.Sub(w.Start)
	return m.setWindow(ctx, ws, id, `UPDATE alert_windows SET body = $3, ends_at = $4 WHERE workspace_id = $1 AND id = $2 AND deleted_at = 0`, encode(w), w.end())
}

// DeleteWindow takes a maintenance window away; for a while it can be brought back.
func (m *Module) DeleteWindow(ctx context.Context, ws kernel.WorkspaceID, id kernel.ID) error {
	return m.setWindow(ctx, ws, id, `UPDATE alert_windows SET deleted_at = $3 WHERE workspace_id = $1 AND id = $2 AND deleted_at = 0`, kernel.Micros(m.d.Clock()))
}

// RestoreWindow brings a deleted maintenance window back.
func (m *Module) RestoreWindow(ctx context.Context, ws kernel.WorkspaceID, id kernel.ID) error {
	return m.setWindow(ctx, ws, id, `UPDATE alert_windows SET deleted_at = 0 WHERE workspace_id = $1 AND id = $2 AND deleted_at > 0`)
}

func (m *Module) setWindow(ctx context.Context, ws kernel.WorkspaceID, id kernel.ID, text string, values ...any) error {
	return m.d.DB.Tx(ctx, func(tx *db.Tx) error {
		tx.AfterCommit(func() { m.changed(ws) })
		n, err := tx.Exec(ctx, text, append([]any{string(ws), string(id)}, values...)...)
		if err == nil && n == 0 {
			err = errNoWindow()
		}
		return err
	})
}

const windowColumns = `s.id, s.name, s.matchers, s.body, s.created_at, coalesce(a.email, ''), s.deleted_at`

const windowTables = `alert_windows s LEFT JOIN accounts a ON a.id = s.created_by`

// scanWindow reads a row and leaves the name sealed.
func scanWindow(row scanner) (w Window, name []byte, err error) {
	var id, text, body string
	var created, deleted int64
	if err = row.Scan(&id, &name, &text, &body, &created, &w.CreatedBy, &deleted); err != nil {
		return w, nil, err
	}
	w.ID, w.CreatedAt, w.DeletedAt = kernel.ID(id), kernel.FromMicros(created), kernel.FromMicros(deleted)
	return w, name, errors.Join(json.Unmarshal([]byte(text), &w.Matchers), json.Unmarshal([]byte(body), &w))
}

// FindWindow finds one maintenance window of a workspace, deleted ones included.
func (m *Module) FindWindow(ctx context.Context, ws kernel.WorkspaceID, id kernel.ID) (Window, error) {
	w, name, err := scanWindow(m.d.DB.QueryRow(ctx, `SELECT `+windowColumns+` FROM `+windowTables+` WHERE s.workspace_id = $1 AND s.id = $2`, string(ws), string(id)))
	if errors.Is(err, db.ErrNoRows) {
		return w, errNoWindow()
	}
	if err != nil {
		return w, err
	}
	return w, m.open(ctx, ws, windowAAD(w.ID), name, &w.Name)
}

// Windows lists a workspace's maintenance windows that are not over by a moment, by name.
func (m *Module) Windows(ctx context.Context, ws kernel.WorkspaceID, after time.Time) ([]Window, error) {
	return m.selectWindows(ctx, ws, `s.ends_at > $2 AND s.deleted_at = 0`, kernel.Micros(after))
}

// DeletedWindows lists what can be brought back, by name.
func (m *Module) DeletedWindows(ctx context.Context, ws kernel.WorkspaceID) ([]Window, error) {
	return m.selectWindows(ctx, ws, `s.deleted_at > $2`, kernel.Micros(m.d.Clock().Add(-deletedFor)))
}

func (m *Module) selectWindows(ctx context.Context, ws kernel.WorkspaceID, where string, args ...any) (out []Window, err error) {
	rows, err := m.d.DB.Query(ctx, fmt.Sprintf(`SELECT %s FROM %s WHERE s.workspace_id = $1 AND %s ORDER BY s.id LIMIT %d`, windowColumns, windowTables, where, 2*mutesListed),
		append([]any{string(ws)}, args...)...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var names [][]byte
	for rows.Next() {
		w, name, err := scanWindow(rows)
		if err != nil {
			return nil, err
		}
		out, names = append(out, w), append(names, name)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	rows.Close()
	for i := range out {
		if err := m.open(ctx, ws, windowAAD(out[i].ID), names[i], &out[i].Name); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(out, func(a, b Window) int { return strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)) })
	return out, nil
}
