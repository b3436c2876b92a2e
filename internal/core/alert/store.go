package alert

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/httpx"
)

// deletedFor is how long a deleted rule can be brought back.
const deletedFor = 30 * 24 * time.Hour

func errNoRule() error { return kernel.Errorf(kernel.NotFound, "There is no such rule.") }

// nullable is an account for a column that refers to accounts.
func nullable(id kernel.ID) any {
	if id == "" {
		return nil
	}
	return string(id)
}

// account is who makes the request; empty for a machine.
func account(ctx context.Context) any { return nullable(httpx.ActorOf(ctx).AccountID) }

// touch notes that a workspace's rules or routing have changed, and tells all instances after the commit.
func (m *Module) touch(ctx context.Context, tx *db.Tx, ws kernel.WorkspaceID) error {
	_, err := tx.Exec(ctx, `INSERT INTO alert_workspaces (workspace_id, rev, rules, routing, updated_at, holder, lease_until)
		VALUES ($1, 1, (SELECT count(*) FROM alert_rules WHERE workspace_id = $1 AND enabled = 1 AND deleted_at = 0), '', $2, '', 0)
		ON CONFLICT (workspace_id) DO UPDATE SET rev = alert_workspaces.rev + 1, rules = excluded.rules, updated_at = excluded.updated_at`,
		string(ws), kernel.Micros(tx.Now()))
	tx.AfterCommit(func() { m.tellInstances(); m.changed(ws) })
	return err
}

const ruleColumns = `r.id, r.group_name, r.body, r.pack, r.enabled, r.version, r.created_at, r.updated_at, coalesce(a.email, ''), r.deleted_at`

const ruleTables = `alert_rules r LEFT JOIN accounts a ON a.id = r.updated_by`

type scanner interface{ Scan(...any) error }

func scanRule(row scanner) (r Rule, err error) {
	var body string
	var enabled, created, updated, deleted int64
	var id, by string
	if err = row.Scan(&id, &r.Group, &body, &r.Pack, &enabled, &r.Version, &created, &updated, &by, &deleted); err != nil {
		return r, err
	}
	r.ID, r.Enabled, r.UpdatedBy = kernel.ID(id), enabled == 1, by
	r.CreatedAt, r.UpdatedAt, r.DeletedAt = kernel.FromMicros(created), kernel.FromMicros(updated), kernel.FromMicros(deleted)
	return r, json.Unmarshal([]byte(body), &r)
}

// Rules lists a workspace's rules in the order in which they are evaluated: by group, then by place.
func (m *Module) Rules(ctx context.Context, ws kernel.WorkspaceID) ([]Rule, error) {
	return m.selectRules(ctx, `WHERE r.workspace_id = $1 AND r.deleted_at = 0 ORDER BY r.group_name, r.position, r.id`, string(ws))
}

// DeletedRules lists what can be brought back, the newest first.
func (m *Module) DeletedRules(ctx context.Context, ws kernel.WorkspaceID) ([]Rule, error) {
	return m.selectRules(ctx, `WHERE r.workspace_id = $1 AND r.deleted_at > $2 ORDER BY r.deleted_at DESC, r.id LIMIT 50`,
		string(ws), kernel.Micros(m.d.Clock().Add(-deletedFor)))
}

func (m *Module) selectRules(ctx context.Context, where string, args ...any) (out []Rule, err error) {
	rows, err := m.d.DB.Query(ctx, `SELECT `+ruleColumns+` FROM `+ruleTables+` `+where, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		r, err := scanRule(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, rows.Err()
}

// FindRule finds a rule of a workspace, deleted ones included.
func (m *Module) FindRule(ctx context.Context, ws kernel.WorkspaceID, id kernel.ID) (Rule, error) {
	r, err := scanRule(m.d.DB.QueryRow(ctx, `SELECT `+ruleColumns+` FROM `+ruleTables+` WHERE r.workspace_id = $1 AND r.id = $2`, string(ws), string(id)))
	if errors.Is(err, db.ErrNoRows) {
		return r, errNoRule()
	}
	return r, err
}

// Groups are the settings of a workspace's groups by name.
func (m *Module) Groups(ctx context.Context, ws kernel.WorkspaceID) (map[string]Group, error) {
	rows, err := m.d.DB.Query(ctx, `SELECT name, body FROM alert_groups WHERE workspace_id = $1`, string(ws))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := map[string]Group{}
	for rows.Next() {
		var name, body string
		if err := rows.Scan(&name, &body); err != nil {
			return nil, err
		}
		var g Group
		if err := json.Unmarshal([]byte(body), &g); err != nil {
			return nil, err
		}
		g.Name = name
		out[name] = g
	}
	return out, rows.Err()
}

func putGroup(ctx context.Context, tx *db.Tx, ws kernel.WorkspaceID, g Group, position int) error {
	body, err := json.Marshal(g)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO alert_groups (workspace_id, name, position, body) VALUES ($1, $2, $3, $4)
		ON CONFLICT (workspace_id, name) DO UPDATE SET body = excluded.body`, string(ws), g.Name, position, string(body))
	return err
}

// SetInterval says how often a group is evaluated.
func (m *Module) setInterval(ctx context.Context, tx *db.Tx, ws kernel.WorkspaceID, name string, every time.Duration) error {
	var body string
	err := tx.QueryRow(ctx, `SELECT body FROM alert_groups WHERE workspace_id = $1 AND name = $2`, string(ws), name).Scan(&body)
	if err != nil && !errors.Is(err, db.ErrNoRows) {
		return err
	}
	g := Group{}
	if body != "" {
		if err := json.Unmarshal([]byte(body), &g); err != nil {
			return err
		}
	}
	g.Name, g.Interval = name, modelDuration(every)
	return putGroup(ctx, tx, ws, g, 0)
}

// SaveRule checks and stores a rule: a new one without an id, else a new version. every is the interval of its group; zero
// leaves it. A rule that was changed since version is a Conflict; version 0 does not ask.
func (m *Module) SaveRule(ctx context.Context, ws kernel.WorkspaceID, r Rule, every time.Duration, version int) (Rule, error) {
	r.Name, r.Group, r.Expr = strings.TrimSpace(r.Name), strings.TrimSpace(r.Group), strings.TrimSpace(r.Expr)
	if _, err := m.check(r); err != nil {
		return r, err
	}
	if every != 0 && (every < minInterval || every > maxInterval) {
		return r, kernel.InvalidField("interval", "Choose between 5 seconds and a day.")
	}
	err := m.d.DB.Tx(ctx, func(tx *db.Tx) (err error) {
		if r.ID == "" {
			r, err = insertRule(ctx, tx, ws, r, 1<<20)
		} else {
			r, err = updateRule(ctx, tx, ws, r, version)
		}
		if err != nil {
			return err
		}
		if every != 0 {
			if err := m.setInterval(ctx, tx, ws, r.Group, every); err != nil {
				return err
			}
		}
		return m.touch(ctx, tx, ws)
	})
	return r, err
}

func insertRule(ctx context.Context, tx *db.Tx, ws kernel.WorkspaceID, r Rule, position int) (Rule, error) {
	var n int
	if err := tx.QueryRow(ctx, `SELECT count(*) FROM alert_rules WHERE workspace_id = $1 AND deleted_at = 0`, string(ws)).Scan(&n); err != nil {
		return r, err
	}
	if n >= maxRules {
		return r, kernel.Errorf(kernel.Conflict, "A workspace has up to %d rules.", maxRules)
	}
	body, err := json.Marshal(r)
	if err != nil {
		return r, err
	}
	r.ID, r.Version, r.CreatedAt, r.UpdatedAt = kernel.NewID(tx.Now()), 1, tx.Now(), tx.Now()
	if _, err = tx.Exec(ctx, `INSERT INTO alert_rules (id, workspace_id, group_name, position, name, body, pack, enabled, version, created_at, updated_at, updated_by, deleted_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 1, $9, $9, $10, 0)`,
		string(r.ID), string(ws), r.Group, position, r.Name, string(body), r.Pack, db.Flag(r.Enabled), kernel.Micros(tx.Now()), account(ctx)); err != nil {
		return r, err
	}
	return r, addVersion(ctx, tx, ws, r, string(body))
}

func updateRule(ctx context.Context, tx *db.Tx, ws kernel.WorkspaceID, r Rule, version int) (Rule, error) {
	var now int
	err := tx.QueryRow(ctx, `SELECT version FROM alert_rules WHERE workspace_id = $1 AND id = $2 AND deleted_at = 0`, string(ws), string(r.ID)).Scan(&now)
	if errors.Is(err, db.ErrNoRows) {
		return r, errNoRule()
	}
	if err != nil {
		return r, err
	}
	if version != 0 && version != now {
		return r, kernel.Errorf(kernel.Conflict, "Somebody changed the rule meanwhile. Open it again and repeat your change.")
	}
	body, err := json.Marshal(r)
	if err != nil {
		return r, err
	}
	r.Version = now + 1
	if _, err = tx.Exec(ctx, `UPDATE alert_rules SET group_name = $3, name = $4, body = $5, enabled = $6, version = $7, updated_at = $8, updated_by = $9
		WHERE workspace_id = $1 AND id = $2`, string(ws), string(r.ID), r.Group, r.Name, string(body), db.Flag(r.Enabled), r.Version, kernel.Micros(tx.Now()), account(ctx)); err != nil {
		return r, err
	}
	return r, addVersion(ctx, tx, ws, r, string(body))
}

func addVersion(ctx context.Context, tx *db.Tx, ws kernel.WorkspaceID, r Rule, body string) error {
	_, err := tx.Exec(ctx, `INSERT INTO alert_rule_versions (rule_id, version, workspace_id, body, created_at, created_by) VALUES ($1, $2, $3, $4, $5, $6)`,
		string(r.ID), r.Version, string(ws), body, kernel.Micros(tx.Now()), account(ctx))
	return err
}

// Version is one state of a rule in the past.
type Version struct {
	Rule
	By string
	At time.Time
}

// Versions lists the states of a rule, the newest first.
func (m *Module) Versions(ctx context.Context, ws kernel.WorkspaceID, id kernel.ID) (out []Version, err error) {
	rows, err := m.d.DB.Query(ctx, `SELECT v.version, v.body, v.created_at, coalesce(a.email, '') FROM alert_rule_versions v
		LEFT JOIN accounts a ON a.id = v.created_by WHERE v.workspace_id = $1 AND v.rule_id = $2 ORDER BY v.version DESC LIMIT 50`, string(ws), string(id))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var v Version
		var body string
		var at int64
		if err := rows.Scan(&v.Version, &body, &at, &v.By); err != nil {
			return nil, err
		}
		number := v.Version
		if err := json.Unmarshal([]byte(body), &v.Rule); err != nil {
			return nil, err
		}
		v.Version, v.At = number, kernel.FromMicros(at)
		out = append(out, v)
	}
	return out, rows.Err()
}

// EnableRule turns a rule on or off.
func (m *Module) EnableRule(ctx context.Context, ws kernel.WorkspaceID, id kernel.ID, on bool) error {
	return m.changeRule(ctx, ws, `UPDATE alert_rules SET enabled = $3, updated_at = $4, updated_by = $5 WHERE workspace_id = $1 AND id = $2 AND deleted_at = 0`,
		id, db.Flag(on))
}

// DeleteRule takes a rule away; for a while it can be brought back.
func (m *Module) DeleteRule(ctx context.Context, ws kernel.WorkspaceID, id kernel.ID) error {
	return m.changeRule(ctx, ws, `UPDATE alert_rules SET deleted_at = $3, updated_at = $4, updated_by = $5 WHERE workspace_id = $1 AND id = $2 AND deleted_at = 0`,
		id, kernel.Micros(m.d.Clock()))
}

// RestoreRule brings a deleted rule back.
func (m *Module) RestoreRule(ctx context.Context, ws kernel.WorkspaceID, id kernel.ID) error {
	return m.changeRule(ctx, ws, `UPDATE alert_rules SET deleted_at = $3, updated_at = $4, updated_by = $5 WHERE workspace_id = $1 AND id = $2 AND deleted_at > 0`, id, 0)
}

func (m *Module) changeRule(ctx context.Context, ws kernel.WorkspaceID, text string, id kernel.ID, value int64) error {
	return m.d.DB.Tx(ctx, func(tx *db.Tx) error {
		n, err := tx.Exec(ctx, text, string(ws), string(id), value, kernel.Micros(tx.Now()), account(ctx))
		if err != nil {
			return err
		}
		if n == 0 {
			return errNoRule()
		}
		return m.touch(ctx, tx, ws)
	})
}

// replaceRules puts groups of rules in place of others: where a pack is named, of those that it brought; else of those in
// groups of the same names, or with all of every rule that no pack brought. The rules are checked before anything is changed.
func (m *Module) replaceRules(ctx context.Context, ws kernel.WorkspaceID, groups []Group, rules []Rule, pack string, all bool) error {
	names := map[string]bool{}
	for _, g := range groups {
		names[g.Name] = true
	}
	for _, r := range rules {
		if _, err := m.check(r); err != nil {
			return fmt.Errorf("%s: %w", cmp.Or(r.Name, "rule"), err)
		}
	}
	old, err := m.Rules(ctx, ws)
	if err != nil {
		return err
	}
	known, err := m.Groups(ctx, ws)
	if err != nil {
		return err
	}
	return m.d.DB.Tx(ctx, func(tx *db.Tx) error {
		keep := map[int]bool{}
		for i, o := range old {
			mine := names[o.Group] || all && o.Pack == ""
			if pack != "" {
				mine = o.Pack == pack
			}
			keep[i] = !mine
		}
		for position, r := range rules {
			if i := sameRule(old, keep, r); i >= 0 { // as it was: its alerts and its history go on
				keep[i] = true
				if _, err := tx.Exec(ctx, `UPDATE alert_rules SET position = $3 WHERE workspace_id = $1 AND id = $2`, string(ws), string(old[i].ID), position); err != nil {
					return err
				}
				if m.equal(old[i], r) {
					continue
				}
				r.ID = old[i].ID
				if _, err := updateRule(ctx, tx, ws, r, 0); err != nil {
					return err
				}
				continue
			}
			if _, err := insertRule(ctx, tx, ws, r, position); err != nil {
				return err
			}
		}
		for i, o := range old {
			if keep[i] {
				continue
			}
			if _, err := tx.Exec(ctx, `UPDATE alert_rules SET deleted_at = $3, updated_at = $3, updated_by = $4 WHERE workspace_id = $1 AND id = $2`,
				string(ws), string(o.ID), kernel.Micros(tx.Now()), account(ctx)); err != nil {
				return err
			}
		}
		for i, g := range groups {
			if known[g.Name].Name != "" && pack != "" {
				continue // the group is somebody's already, with an interval of its own
			}
			if err := putGroup(ctx, tx, ws, g, i); err != nil {
				return err
			}
		}
		return m.touch(ctx, tx, ws)
	})
}

// sameRule finds the rule that a new one takes the place of: of the same group, name and labels.
func sameRule(old []Rule, taken map[int]bool, r Rule) int {
	return slices.IndexFunc(slices.Collect(indexes(old)), func(i int) bool {
		o := old[i]
		return !taken[i] && o.Group == r.Group && o.Name == r.Name && o.IsAlert() == r.IsAlert() && o.Severity == r.Severity && fmt.Sprint(o.Labels) == fmt.Sprint(r.Labels)
	})
}

func indexes(rules []Rule) func(yield func(int) bool) {
	return func(yield func(int) bool) {
		for i := range rules {
			if !yield(i) {
				return
			}
		}
	}
}

// equal tells whether two rules come to the same.
func (m *Module) equal(a, b Rule) bool {
	x, errX := m.compile(a)
	y, errY := m.compile(b)
	left, _ := json.Marshal(x)
	right, _ := json.Marshal(y)
	return errX == nil && errY == nil && string(left) == string(right) && a.Enabled == b.Enabled
}
