package alert

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/kept-dev/kept/internal/core/dashboard"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
)

// query puts a statement together with its numbered arguments.
type where struct {
	text []string
	args []any
}

func (w *where) add(text string, args ...any) {
	for _, a := range args {
		w.args = append(w.args, a)
		text = strings.Replace(text, "?", fmt.Sprintf("$%d", len(w.args)), 1)
	}
	w.text = append(w.text, text)
}

func (w *where) in(column string, values []string) {
	if len(values) == 0 {
		return
	}
	var marks []string
	for _, v := range values {
		w.args = append(w.args, v)
		marks = append(marks, fmt.Sprintf("$%d", len(w.args)))
	}
	w.text = append(w.text, column+" IN ("+strings.Join(marks, ", ")+")")
}

// Alerts lists alerts, the newest first.
func (m *Module) Alerts(ctx context.Context, ws kernel.WorkspaceID, f Filter) ([]Alert, error) {
	var w where
	w.add("h.workspace_id = ?", string(ws))
	w.in("h.state", f.States)
	if len(f.Severities) > 0 {
		list := slices.Clone(f.Severities)
		if slices.Contains(list, "warning") {
			list = append(list, "") // none is a warning
		}
		w.in("h.severity", list)
	}
	for column, value := range map[string]string{"h.rule_id": string(f.RuleID), "h.fingerprint": f.Fingerprint, "h.name": f.Name} {
		if value != "" {
			w.add(column+" = ?", value)
		}
	}
	if f.Text != "" {
		w.add(`(lower(h.name) LIKE ? ESCAPE '\' OR lower(h.labels) LIKE ? ESCAPE '\')`, likeText(f.Text), likeText(f.Text))
	}
	if f.Before != "" {
		w.add("h.id < ?", string(f.Before))
	}
	if !f.From.IsZero() {
		w.add("(h.resolved_at = 0 OR h.resolved_at >= ?)", kernel.Micros(f.From))
	}
	if !f.To.IsZero() {
		w.add("h.started_at < ?", kernel.Micros(f.To))
	}
	limit := cmp.Or(f.Limit, 100)
	read := limit
	if len(f.Labels) > 0 {
		read = max(limit, 2000) // labels are compared here
	}
	out, err := m.selectAlerts(ctx, fmt.Sprintf("WHERE %s ORDER BY h.id DESC LIMIT %d", strings.Join(w.text, " AND "), read), w.args...)
	if err != nil {
		return nil, err
	}
	out = slices.DeleteFunc(out, func(a Alert) bool {
		for name, value := range f.Labels {
			if a.Labels[name] != value {
				return true
			}
		}
		return false
	})
	out = out[:min(len(out), limit)]
	return out, m.countFirings(ctx, ws, out)
}

func likeText(s string) string {
	s = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(strings.ToLower(s))
	return "%" + s + "%"
}

// countFirings says of each alert how often it fired within the last day.
func (m *Module) countFirings(ctx context.Context, ws kernel.WorkspaceID, list []Alert) error {
	if len(list) == 0 {
		return nil
	}
	var w where
	w.add("workspace_id = ?", string(ws))
	w.add("fired_at > ?", kernel.Micros(time.Now().Add(-24*time.Hour)))
	prints := map[string]bool{}
	for _, a := range list {
		prints[a.Fingerprint] = true
	}
	w.in("fingerprint", slices.Collect(maps.Keys(prints)))
	rows, err := m.d.DB.Query(ctx, `SELECT fingerprint, count(*) FROM alerts WHERE `+strings.Join(w.text, " AND ")+` GROUP BY fingerprint`, w.args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	counts := map[string]int{}
	for rows.Next() {
		var fp string
		var n int
		if err := rows.Scan(&fp, &n); err != nil {
			return err
		}
		counts[fp] = n
	}
	for i := range list {
		list[i].Fired = counts[list[i].Fingerprint]
	}
	return rows.Err()
}

// FindAlert finds one alert of a workspace.
func (m *Module) FindAlert(ctx context.Context, ws kernel.WorkspaceID, id kernel.ID) (Alert, error) {
	sealed, err := scanAlert(m.d.DB.QueryRow(ctx, `SELECT `+alertColumns+` FROM `+alertTables+` WHERE h.workspace_id = $1 AND h.id = $2`, string(ws), string(id)))
	if errors.Is(err, db.ErrNoRows) {
		return Alert{}, kernel.Errorf(kernel.NotFound, "There is no such alert.")
	}
	if err != nil {
		return Alert{}, err
	}
	a, err := m.unseal(ctx, sealed)
	if err != nil {
		return a, err
	}
	list := []Alert{a}
	err = m.countFirings(ctx, ws, list)
	return list[0], err
}

// maxNote bounds what people write to an acknowledgement or a silence, characters.
const maxNote = 1000

// Acknowledge notes that somebody takes care of an alert: nobody is reminded of it until it is resolved. It can be said
// again with another note, and taken back.
func (m *Module) Acknowledge(ctx context.Context, ws kernel.WorkspaceID, id kernel.ID, note string) error {
	if len(note) > maxNote {
		return kernel.InvalidField("note", "The note is longer than 1,000 characters.")
	}
	return m.setAck(ctx, ws, id, func(now time.Time) int64 { return kernel.Micros(now) }, note)
}

// Unacknowledge takes an acknowledgement back.
func (m *Module) Unacknowledge(ctx context.Context, ws kernel.WorkspaceID, id kernel.ID) error {
	return m.setAck(ctx, ws, id, func(time.Time) int64 { return 0 }, "")
}

func (m *Module) setAck(ctx context.Context, ws kernel.WorkspaceID, id kernel.ID, at func(time.Time) int64, note string) error {
	a, err := m.FindAlert(ctx, ws, id)
	if err != nil {
		return err
	}
	if a.State == Resolved {
		return kernel.Errorf(kernel.Conflict, "The alert is over, so there is nothing to acknowledge.")
	}
	sealed, err := m.sealText(ctx, ws, noteAAD(id), note)
	if err != nil {
		return err
	}
	return m.d.DB.Tx(ctx, func(tx *db.Tx) error {
		when := at(tx.Now())
		by := account(ctx)
		if when == 0 {
			by = nil
		}
		tx.AfterCommit(func() {
			m.changed(ws)
			m.tellTaken(ctx, ws, a, when != 0)
		})
		_, err := tx.Exec(ctx, `UPDATE alerts SET acked_at = $3, acked_by = $4, ack_note = $5 WHERE workspace_id = $1 AND id = $2`,
			string(ws), string(id), when, by, sealed)
		return err
	})
}

// similar lists past alerts that are like one: the same first, then others of the same rule.
func (m *Module) similar(ctx context.Context, ws kernel.WorkspaceID, a Alert) ([]Alert, error) {
	const most = 8
	same, err := m.Alerts(ctx, ws, Filter{Fingerprint: a.Fingerprint, Before: a.ID, Limit: most})
	if err != nil || len(same) >= most {
		return same, err
	}
	others, err := m.Alerts(ctx, ws, Filter{RuleID: a.RuleID, Before: a.ID, States: []string{Firing, Resolved}, Limit: 2 * most})
	for _, o := range others {
		if o.Fingerprint != a.Fingerprint && len(same) < most {
			same = append(same, o)
		}
	}
	return same, err
}

// Annotations implements dashboard.Annotator.
func (m *Module) Annotations(ctx context.Context, ws kernel.WorkspaceID, from, to time.Time) ([]dashboard.Annotation, error) {
	list, err := m.Alerts(ctx, ws, Filter{States: []string{Firing, Resolved}, From: from, To: to, Limit: 200})
	out := make([]dashboard.Annotation, 0, len(list))
	for _, a := range list {
		out = append(out, dashboard.Annotation{At: a.FiredAt, Until: a.ResolvedAt, Kind: "alert", Text: a.Title(), Href: alertHref(ws, a.ID), Labels: a.Labels})
	}
	return out, err
}

var _ dashboard.Annotator = (*Module)(nil)

// Title is the alert in one line: its summary, or its name with what tells it apart.
func (a Alert) Title() string {
	if s := strings.TrimSpace(a.Annotations["summary"]); s != "" {
		return s
	}
	for _, name := range []string{"instance", "host", "queue", "device", "mountpoint", "job"} {
		if v := a.Labels[name]; v != "" {
			return a.Name + " (" + v + ")"
		}
	}
	return a.Name
}
