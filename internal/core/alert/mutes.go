package alert

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/alertmanager/pkg/labels"
	"github.com/teambition/rrule-go"

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

// Limits of mutes.
const (
	maxSilences   = 1000
	maxSilence    = 366 * 24 * time.Hour
	maxWindow     = 7 * 24 * time.Hour
	maxRRule      = 500
	maxFrequency  = 400 // occurrences that are looked at to find the one of now
	mutesListed   = 500
	endOfNever    = int64(1) << 62 // of a window that recurs without end, microseconds
	muteKept      = 90 * 24 * time.Hour
	windowPreview = 5
)

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
	o.Dtstart = w.Start.In(zone)
	r, err := rrule.NewRRule(*o)
	if err != nil {
		return nil, kernel.InvalidField("rule", "Write a rule of RFC 5545, such as FREQ=WEEKLY;BYDAY=SU or FREQ=MONTHLY;BYDAY=1SA.")
	}
	return r, nil
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

// Mute says what mutes an alert.
type Mute struct {
	Kind  string // "silence", "maintenance"
	ID    kernel.ID
	Text  string
	Until time.Time
}

// mutes are all that mute at one moment.
type mutes struct {
	silences []Silence
	windows  []Window
	spans    []Span
}

// mutesAt reads what mutes at a moment.
func (m *Module) mutesAt(ctx context.Context, ws kernel.WorkspaceID, now time.Time) (out mutes, err error) {
	silences, err := m.Silences(ctx, ws, now)
	if err != nil {
		return out, err
	}
	for _, s := range silences {
		if s.State(now) == "active" {
			out.silences = append(out.silences, s)
		}
	}
	windows, err := m.Windows(ctx, ws, now)
	for _, w := range windows {
		if span, ok := w.At(now); ok {
			out.windows, out.spans = append(out.windows, w), append(out.spans, span)
		}
	}
	return out, err
}

// of is what mutes an alert; nil: nothing does.
func (s mutes) of(ls map[string]string) *Mute {
	for _, silence := range s.silences {
		if matches(silence.Matchers, ls) {
			return &Mute{"silence", silence.ID, silence.Comment, silence.Until}
		}
	}
	for i, w := range s.windows {
		if len(w.Matchers) == 0 || matches(w.Matchers, ls) {
			return &Mute{"maintenance", w.ID, w.Name, s.spans[i].Until}
		}
	}
	return nil
}
