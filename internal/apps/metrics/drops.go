package metrics

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/kept-dev/kept/internal/apps/metrics/intake"
	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
)

// Drop is a rule that keeps series out from the moment it is made.
type Drop struct {
	ID        kernel.ID `json:"id"`
	Selector  string    `json:"selector"` // as in PromQL
	Note      string    `json:"note,omitempty"`
	CreatedBy string    `json:"created_by,omitempty"` // address; empty when the account is gone
	CreatedAt time.Time `json:"created_at"`
}

// Limits of drop rules.
const (
	maxDrops    = 100
	maxSelector = 1000
	maxNote     = 200
)

// parseDrop reads the selector of a rule.
func (m *Module) parseDrop(selector string) ([]*labels.Matcher, error) {
	selector = strings.TrimSpace(selector)
	switch {
	case selector == "":
		return nil, kernel.InvalidField("selector", "Say which series: a metric's name, or a selector such as node_cpu_seconds_total{mode=\"steal\"}.")
	case len(selector) > maxSelector:
		return nil, kernel.InvalidField("selector", "The selector is too long.")
	}
	sets, err := m.d.Query.ParseSelectors(selector)
	if err != nil {
		return nil, kernel.InvalidField("selector", "This is no selector: "+err.Error()+".")
	}
	return sets[0], nil
}

// Drops lists a workspace's rules, the newest first.
func (m *Module) Drops(ctx context.Context, ws kernel.WorkspaceID) (out []Drop, err error) {
	rows, err := m.d.DB.Query(ctx, `SELECT d.id, d.selector, d.note, coalesce(a.email, ''), d.created_at FROM metric_drops d
		LEFT JOIN accounts a ON a.id = d.created_by WHERE d.workspace_id = $1 ORDER BY d.id DESC`, ws)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var d Drop
		var at int64
		if err := rows.Scan(&d.ID, &d.Selector, &d.Note, &d.CreatedBy, &at); err != nil {
			return nil, err
		}
		d.CreatedAt = kernel.FromMicros(at)
		out = append(out, d)
	}
	return out, rows.Err()
}

// findDrop finds a rule of a workspace; another workspace's is NotFound.
func (m *Module) findDrop(ctx context.Context, ws kernel.WorkspaceID, id kernel.ID) (d Drop, err error) {
	err = m.d.DB.QueryRow(ctx, `SELECT id, selector, note FROM metric_drops WHERE workspace_id = $1 AND id = $2`, ws, id).Scan(&d.ID, &d.Selector, &d.Note)
	return d, noSuch(err, "rule")
}

// AddDrop makes a rule. It holds for what comes from now on; what is stored stays.
func (m *Module) AddDrop(ctx context.Context, by audit.Actor, ws kernel.WorkspaceID, selector, note string) (d Drop, err error) {
	if _, err := m.parseDrop(selector); err != nil {
		return d, err
	}
	d = Drop{Selector: strings.TrimSpace(selector), Note: strings.Join(strings.Fields(note), " ")}
	if len(d.Note) > maxNote {
		return d, kernel.InvalidField("note", "Use at most 200 characters.")
	}
	err = m.d.DB.Tx(ctx, func(tx *db.Tx) error {
		var n int
		if err := tx.QueryRow(ctx, `SELECT count(*) FROM metric_drops WHERE workspace_id = $1`, ws).Scan(&n); err != nil {
			return err
		}
		if n >= maxDrops {
			return kernel.InvalidField("selector", "There are 100 rules, which is the most there may be.")
		}
		d.ID, d.CreatedAt = kernel.NewID(tx.Now()), tx.Now()
		_, err := tx.Exec(ctx, `INSERT INTO metric_drops (workspace_id, id, selector, note, created_by, created_at) VALUES ($1, $2, $3, $4, $5, $6)`,
			ws, d.ID, d.Selector, d.Note, string(by.ID), kernel.Micros(tx.Now()))
		if err != nil {
			return err
		}
		tx.AfterCommit(func() { m.drops.forget(ws) })
		return audit.Record(ctx, tx, audit.Event{WorkspaceID: ws, Actor: by, Action: "metric_drop.create", Target: "metric_drop:" + string(d.ID), Detail: d.Selector})
	})
	return d, err
}

// RemoveDrop ends a rule: its series are kept again from now on.
func (m *Module) RemoveDrop(ctx context.Context, by audit.Actor, ws kernel.WorkspaceID, d Drop) error {
	return m.d.DB.Tx(ctx, func(tx *db.Tx) error {
		if _, err := tx.Exec(ctx, `DELETE FROM metric_drops WHERE workspace_id = $1 AND id = $2`, ws, d.ID); err != nil {
			return err
		}
		tx.AfterCommit(func() { m.drops.forget(ws) })
		return audit.Record(ctx, tx, audit.Event{WorkspaceID: ws, Actor: by, Action: "metric_drop.delete", Target: "metric_drop:" + string(d.ID), Detail: d.Selector})
	})
}

// dropCache keeps rules ready for the ways in. Another instance's change is noticed within its life.
type dropCache struct {
	clock kernel.Clock
	rules *kernel.Cache[kernel.WorkspaceID, timedRules]
}

type timedRules struct {
	*intake.Rules
	until time.Time
}

const dropLife = 5 * time.Second

func newDropCache(clock kernel.Clock) *dropCache {
	return &dropCache{clock: clock, rules: kernel.NewCache[kernel.WorkspaceID, timedRules](10_000)}
}

func (c *dropCache) forget(ws kernel.WorkspaceID) {
	c.rules.DeleteFunc(func(k kernel.WorkspaceID) bool { return k == ws })
}

// dropRules is what the ways in ask.
func (m *Module) dropRules(ctx context.Context, ws kernel.WorkspaceID) (*intake.Rules, error) {
	if r, ok := m.drops.rules.Get(ws); ok && m.d.Clock().Before(r.until) {
		return r.Rules, nil
	}
	list, err := m.Drops(ctx, ws)
	if err != nil {
		return nil, err
	}
	var rules []intake.Rule
	for _, d := range list {
		matchers, err := m.parseDrop(d.Selector)
		if err != nil { // one that an older version could read: samples are worth more than a rule
			m.d.Logger.LogAttrs(ctx, slog.LevelWarn, "a drop rule cannot be read", slog.String("rule", string(d.ID)))
			continue
		}
		rules = append(rules, intake.Rule{Matchers: matchers})
	}
	r := intake.NewRules(rules)
	m.drops.rules.Put(ws, timedRules{r, m.d.Clock().Add(dropLife)}, 1)
	return r, nil
}
