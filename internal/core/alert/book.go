package alert

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/rules"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
)

// book is a workspace's open alerts, as they are in the table: what a restart must not forget. One engine writes it.
type book struct {
	m  *Module
	ws kernel.WorkspaceID

	mu     sync.Mutex
	open   map[string]*Alert // pending and firing, by fingerprint
	stored time.Time         // when values were last written without a change of state
}

// The value of an alert is stored as text: it may be infinite or no number, and SQLite takes the latter for NULL.

// valuesEvery is how often the values of firing alerts are written although nothing else changed.
const valuesEvery = time.Minute

// found is what one rule has found.
type found struct {
	rule     kernel.ID
	restored bool // false while the rule still waits for its state of before the restart
	active   []*rules.Alert
}

// fingerprintOf is the same for the same rule and labels.
func fingerprintOf(rule kernel.ID, ls map[string]string) string {
	h := sha256.New()
	h.Write([]byte(rule))
	for _, name := range slices.Sorted(maps.Keys(ls)) {
		h.Write([]byte{0xff})
		h.Write([]byte(name))
		h.Write([]byte{0xfe})
		h.Write([]byte(ls[name]))
	}
	return hex.EncodeToString(h.Sum(nil)[:12])
}

func (m *Module) openBook(ctx context.Context, ws kernel.WorkspaceID) (*book, error) {
	open, err := m.openAlerts(ctx, ws)
	if err != nil {
		return nil, err
	}
	b := &book{m: m, ws: ws, open: map[string]*Alert{}}
	for i := range open {
		b.open[open[i].Fingerprint] = &open[i]
	}
	return b, nil
}

// firing lists what fires.
func (b *book) firing() (out []Alert) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, a := range b.open {
		if a.State == Firing {
			out = append(out, *a)
		}
	}
	return out
}

// find finds the open alert with these labels, of whichever rule.
func (b *book) find(ls labels.Labels) (Alert, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	want := ls.Map()
	for _, a := range b.open {
		if a.State == Firing && maps.Equal(a.Labels, want) {
			return *a, true
		}
	}
	return Alert{}, false
}

// write brings the book up to date with what rules have found, and returns what changed.
func (b *book) write(ctx context.Context, seen []found, at time.Time) ([]Alert, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	changes, values := b.compare(seen, at)
	if len(changes) == 0 && (len(values) == 0 || at.Sub(b.stored) < valuesEvery) {
		return nil, nil
	}
	for i := range changes {
		if a := &changes[i]; a.State == Firing {
			a.Facts = b.m.explain(ctx, b.ws, *a)
		}
	}
	fresh, err := b.m.sealDetails(ctx, b.ws, values)
	if err == nil {
		err = b.put(ctx, changes, func(tx *db.Tx) error {
			for i, a := range values {
				if _, err := tx.Exec(ctx, `UPDATE alerts SET value = $3, detail = $4 WHERE workspace_id = $1 AND id = $2`,
					string(b.ws), string(a.ID), number(a.Value), fresh[i]); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err != nil {
		return nil, err // nothing of it is remembered: the next round finds the same changes
	}
	b.stored = at
	for i := range changes {
		b.keep(changes[i])
	}
	return changes, nil
}

func (b *book) keep(a Alert) {
	if a.State == Resolved {
		delete(b.open, a.Fingerprint)
		return
	}
	b.open[a.Fingerprint] = &a
}

// compare finds what changed, as copies that can be thrown away, and the firing alerts whose value is new.
func (b *book) compare(seen []found, at time.Time) (changes []Alert, values []*Alert) {
	for _, f := range seen {
		here := map[string]bool{}
		for _, a := range f.active {
			ls := a.Labels.Map()
			fp := fingerprintOf(f.rule, ls)
			here[fp] = true
			was := b.open[fp]
			switch {
			case was == nil:
				changes = append(changes, begun(f.rule, fp, ls, a, at))
			case was.State == Pending && a.State == rules.StateFiring:
				now := *was
				now.State, now.FiredAt, now.Value, now.Annotations = Firing, a.FiredAt, a.Value, a.Annotations.Map()
				changes = append(changes, now)
			default:
				if was.State == Firing && was.Value != a.Value {
					was.Value, was.Annotations = a.Value, a.Annotations.Map()
					values = append(values, was)
				}
			}
		}
		if !f.restored {
			continue // what was pending or firing before the restart may be found again
		}
		for fp, was := range b.open {
			if was.RuleID == f.rule && !here[fp] {
				changes = append(changes, ended(*was, at))
			}
		}
	}
	return changes, values
}

func begun(rule kernel.ID, fp string, ls map[string]string, a *rules.Alert, at time.Time) Alert {
	out := Alert{ID: kernel.NewID(at), Fingerprint: fp, RuleID: rule, Name: ls[labels.AlertName], Severity: ls["severity"], State: Pending,
		Labels: ls, Annotations: a.Annotations.Map(), Value: a.Value, StartedAt: a.ActiveAt}
	if a.State == rules.StateFiring {
		out.State, out.FiredAt = Firing, a.FiredAt
	}
	return out
}

// ended is an alert that is over. One that never fired has no FiredAt, and leaves no trace.
func ended(a Alert, at time.Time) Alert {
	a.State, a.ResolvedAt = Resolved, at
	return a
}

// drop ends the alerts of rules that are no longer watched.
func (b *book) drop(ctx context.Context, watched map[kernel.ID]bool, at time.Time) ([]Alert, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var changes []Alert
	for _, a := range b.open {
		if !watched[a.RuleID] {
			changes = append(changes, ended(*a, at))
		}
	}
	if len(changes) == 0 {
		return nil, nil
	}
	if err := b.put(ctx, changes, func(*db.Tx) error { return nil }); err != nil {
		return nil, err
	}
	for _, a := range changes {
		b.keep(a)
	}
	return changes, nil
}

// put stores alerts, and what else belongs to the same moment.
func (b *book) put(ctx context.Context, changes []Alert, more func(tx *db.Tx) error) error {
	list := make([]*Alert, len(changes))
	for i := range changes {
		list[i] = &changes[i]
	}
	sealed, err := b.m.sealDetails(ctx, b.ws, list)
	if err != nil {
		return err
	}
	return b.m.d.DB.Tx(ctx, func(tx *db.Tx) error {
		for i, a := range list {
			if err := putAlert(ctx, tx, b.ws, a, sealed[i]); err != nil {
				return err
			}
		}
		return more(tx)
	})
}

// sealDetails seals what alerts tell.
func (m *Module) sealDetails(ctx context.Context, ws kernel.WorkspaceID, list []*Alert) (out [][]byte, err error) {
	out = make([][]byte, len(list))
	for i, a := range list {
		if out[i], err = m.seal(ctx, ws, detailAAD(a.ID), detail{a.Annotations, a.Facts}); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func encode(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return "null" // a map of texts always can be
	}
	return string(text)
}

func putAlert(ctx context.Context, tx *db.Tx, ws kernel.WorkspaceID, a *Alert, detail []byte) error {
	if a.State == Resolved && a.FiredAt.IsZero() {
		_, err := tx.Exec(ctx, `DELETE FROM alerts WHERE workspace_id = $1 AND id = $2`, string(ws), string(a.ID))
		return err
	}
	_, err := tx.Exec(ctx, `INSERT INTO alerts (id, workspace_id, fingerprint, rule_id, name, severity, state, labels, detail, value, started_at, fired_at, resolved_at, acked_at, acked_by)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, 0, NULL)
		ON CONFLICT (id) DO UPDATE SET state = excluded.state, detail = excluded.detail, value = excluded.value,
			fired_at = excluded.fired_at, resolved_at = excluded.resolved_at`,
		string(a.ID), string(ws), a.Fingerprint, string(a.RuleID), a.Name, a.Severity, a.State, encode(a.Labels), detail,
		number(a.Value), kernel.Micros(a.StartedAt), kernel.Micros(a.FiredAt), kernel.Micros(a.ResolvedAt))
	return err
}

// Limits of explanations: they must not hold the message back.
const (
	explainFor = 700 * time.Millisecond
	maxFacts   = 20
)

// explain asks everybody what stands behind an alert. Who fails or is slow adds nothing.
func (m *Module) explain(ctx context.Context, ws kernel.WorkspaceID, a Alert) []Fact {
	if len(m.explainers) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, explainFor)
	defer cancel()
	var out []Fact
	for _, e := range m.explainers {
		facts, err := e.Explain(ctx, ws, a.Labels, a.FiredAt)
		if err != nil && ctx.Err() == nil {
			m.d.Logger.Warn("alert: an explanation failed", "error", err)
		}
		out = append(out, facts...)
	}
	return out[:min(len(out), maxFacts)]
}

// factsText is an explanation in a message.
func factsText(facts []Fact) string {
	var lines []string
	for _, f := range facts {
		lines = append(lines, f.Title+": "+f.Text)
	}
	return strings.Join(lines, "\n")
}

const alertColumns = `h.id, h.fingerprint, h.rule_id, h.name, h.severity, h.state, h.labels, h.detail, h.value, h.started_at, h.fired_at, h.resolved_at,
	h.acked_at, coalesce(a.email, ''), h.ack_note, h.workspace_id`

const alertTables = `alerts h LEFT JOIN accounts a ON a.id = h.acked_by`

// sealedAlert is an alert as it was read, with what is still sealed of it.
type sealedAlert struct {
	Alert
	ws           kernel.WorkspaceID
	detail, note []byte
}

func scanAlert(row scanner) (a sealedAlert, err error) {
	var id, rule, ls, value, ws string
	var started, fired, resolved, acked int64
	if err = row.Scan(&id, &a.Fingerprint, &rule, &a.Name, &a.Severity, &a.State, &ls, &a.detail, &value, &started, &fired, &resolved, &acked, &a.AckedBy, &a.note, &ws); err != nil {
		return a, err
	}
	a.ws = kernel.WorkspaceID(ws)
	a.ID, a.RuleID = kernel.ID(id), kernel.ID(rule)
	a.StartedAt, a.FiredAt, a.ResolvedAt, a.AckedAt = kernel.FromMicros(started), kernel.FromMicros(fired), kernel.FromMicros(resolved), kernel.FromMicros(acked)
	if acked != 0 {
		a.AckedBy = cmp.Or(a.AckedBy, "an API key")
	}
	if a.Value, err = strconv.ParseFloat(value, 64); err != nil {
		return a, err
	}
	return a, json.Unmarshal([]byte(ls), &a.Labels)
}

// unseal makes an alert readable.
func (m *Module) unseal(ctx context.Context, a sealedAlert) (Alert, error) {
	var d detail
	err := errors.Join(m.open(ctx, a.ws, detailAAD(a.ID), a.detail, &d), m.open(ctx, a.ws, noteAAD(a.ID), a.note, &a.AckNote))
	a.Annotations, a.Facts = d.Annotations, d.Facts
	return a.Alert, err
}

// openAlerts lists what is pending or fires.
func (m *Module) openAlerts(ctx context.Context, ws kernel.WorkspaceID) ([]Alert, error) {
	return m.selectAlerts(ctx, `WHERE h.workspace_id = $1 AND h.state IN ('pending', 'firing')`, string(ws))
}

func (m *Module) selectAlerts(ctx context.Context, where string, args ...any) (out []Alert, err error) {
	rows, err := m.d.DB.Query(ctx, `SELECT `+alertColumns+` FROM `+alertTables+` `+where, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var sealed []sealedAlert
	for rows.Next() {
		a, err := scanAlert(rows)
		if err != nil {
			return nil, err
		}
		sealed = append(sealed, a)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	rows.Close()
	for _, s := range sealed {
		a, err := m.unseal(ctx, s)
		if err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, nil
}
