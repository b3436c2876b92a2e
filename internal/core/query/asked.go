package query

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"

	"github.com/kept-dev/kept/internal/core/privacy"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
)

// Bounds of what is kept of which metric was last asked for.
const (
	maxAsked    = 20_000      // metrics of a workspace
	maxAskedLen = 256         // bytes of a name
	askedEvery  = time.Minute // how often it is written
	askedGrain  = time.Hour   // how exact it is
	askedMaxAge = 400 * 24 * time.Hour
)

// Migrations are the module's tables.
func (m *Module) Migrations() []db.Migration {
	return []db.Migration{{Name: "when which metric was last asked for", SQL: `
CREATE TABLE metric_queries (
	workspace_id TEXT_C NOT NULL,
	metric TEXT_C NOT NULL,
	asked_at INTEGER NOT NULL,
	PRIMARY KEY (workspace_id, metric)
) END_TABLE;
CREATE INDEX metric_queries_asked ON metric_queries (workspace_id, asked_at);
`}}
}

// askedNames remembers which metrics were asked for. Noting one costs a look into a map; what is new goes to the
// database now and then.
type askedNames struct {
	db    *db.DB
	clock kernel.Clock

	mu    sync.Mutex
	known map[kernel.WorkspaceID]map[string]int64 // when last noted, microseconds
	fresh map[kernel.WorkspaceID]map[string]int64 // of those, what is not written yet

	loop kernel.Loop
}

func newAskedNames(d *db.DB, clock kernel.Clock) *askedNames {
	return &askedNames{db: d, clock: clock, known: map[kernel.WorkspaceID]map[string]int64{}, fresh: map[kernel.WorkspaceID]map[string]int64{}}
}

func (a *askedNames) note(ws kernel.WorkspaceID, metric string) {
	if a.db == nil || metric == "" || len(metric) > maxAskedLen {
		return
	}
	now := kernel.Micros(a.clock())
	a.mu.Lock()
	defer a.mu.Unlock()
	known := a.known[ws]
	if known == nil {
		known = map[string]int64{}
		a.known[ws] = known
	}
	before, ok := known[metric]
	if ok && now-before < askedGrain.Microseconds() || !ok && len(known) >= maxAsked {
		return
	}
	known[metric] = now
	if a.fresh[ws] == nil {
		a.fresh[ws] = map[string]int64{}
	}
	a.fresh[ws][metric] = now
}

// noteSelected notes the metrics that matchers select by their names: one, or one of several. Who looks for whatever there
// is, as {__name__=~".+"} does, has asked for none in particular.
func (q *querier) noteSelected(hints *storage.SelectHints, matchers []*labels.Matcher) {
	if hints != nil && hints.Func == lookupFunc || q.m.asked.db == nil {
		return
	}
	var names []string
	for _, m := range matchers {
		if of := namesOf(m); of != nil {
			names = of
		}
	}
	for _, name := range names {
		if !slices.ContainsFunc(matchers, func(m *labels.Matcher) bool { return m.Name == model.MetricNameLabel && !m.Matches(name) }) {
			q.m.asked.note(q.ws, name)
		}
	}
}

// namesOf is the names of metrics of which a matcher allows no others; nil: it is about something else, or open.
func namesOf(m *labels.Matcher) []string {
	switch {
	case m.Name != model.MetricNameLabel:
		return nil
	case m.Type == labels.MatchEqual:
		return []string{m.Value}
	case m.Type == labels.MatchRegexp:
		return m.SetMatches()
	}
	return nil
}

// flush writes what was noted since.
func (a *askedNames) flush(ctx context.Context) error {
	a.mu.Lock()
	fresh := a.fresh
	a.fresh = map[kernel.WorkspaceID]map[string]int64{}
	a.mu.Unlock()
	if len(fresh) == 0 || a.db == nil {
		return nil
	}
	err := a.db.Tx(ctx, func(tx *db.Tx) error {
		for ws, names := range fresh {
			if err := writeAsked(ctx, tx, ws, names); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		a.putBack(fresh)
	}
	return err
}

func writeAsked(ctx context.Context, tx *db.Tx, ws kernel.WorkspaceID, names map[string]int64) error {
	for name, at := range names {
		if _, err := tx.Exec(ctx, `INSERT INTO metric_queries (workspace_id, metric, asked_at) VALUES ($1, $2, $3)
			ON CONFLICT (workspace_id, metric) DO UPDATE SET asked_at = $3 WHERE metric_queries.asked_at < $3`, ws, name, at); err != nil {
			return err
		}
	}
	_, err := tx.Exec(ctx, `DELETE FROM metric_queries WHERE workspace_id = $1 AND asked_at < coalesce((SELECT asked_at FROM metric_queries
		WHERE workspace_id = $1 ORDER BY asked_at DESC LIMIT 1 OFFSET $2), 0)`, ws, maxAsked)
	return err
}

// putBack keeps what could not be written for the next time.
func (a *askedNames) putBack(names map[kernel.WorkspaceID]map[string]int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for ws, list := range names {
		if a.fresh[ws] == nil {
			a.fresh[ws] = map[string]int64{}
		}
		for name, at := range list {
			a.fresh[ws][name] = max(at, a.fresh[ws][name])
		}
	}
}

// forget drops what memory has of a workspace.
func (a *askedNames) forget(ws kernel.WorkspaceID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.known, ws)
	delete(a.fresh, ws)
}

// Start begins to write down, now and then, which metrics were asked for.
func (m *Module) Start(context.Context) error {
	m.asked.loop.Start(askedEvery, func(ctx context.Context) {
		if err := m.asked.flush(ctx); err != nil && ctx.Err() == nil {
			m.d.Logger.Warn("query: which metrics were asked for could not be written and will be again", "error", err)
		}
	})
	return nil
}

// Stop writes what is left.
func (m *Module) Stop(ctx context.Context) error {
	m.asked.loop.Stop()
	return m.asked.flush(ctx)
}

// LastQueried is when each metric was last asked for: by people, dashboards, rules or other programs, to the hour. A
// metric that is not in it has not been asked for within 400 days. Lists of labels and series do not count, nor do questions
// that name no metrics.
func (m *Module) LastQueried(ctx context.Context, ws kernel.WorkspaceID) (map[string]time.Time, error) {
	out := map[string]time.Time{}
	if m.d.DB == nil {
		return out, nil
	}
	err := m.eachAsked(ctx, ws, func(name string, at int64) error {
		out[name] = kernel.FromMicros(at)
		return nil
	})
	m.asked.mu.Lock()
	defer m.asked.mu.Unlock()
	for name, at := range m.asked.fresh[ws] {
		if at := kernel.FromMicros(at); at.After(out[name]) {
			out[name] = at
		}
	}
	return out, err
}

func (m *Module) eachAsked(ctx context.Context, ws kernel.WorkspaceID, f func(name string, at int64) error) error {
	rows, err := m.d.DB.Query(ctx, `SELECT metric, asked_at FROM metric_queries WHERE workspace_id = $1 ORDER BY metric`, ws)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		var at int64
		if err := rows.Scan(&name, &at); err != nil {
			return err
		}
		if err := f(name, at); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Collections declares what the module stores.
func (m *Module) Collections() []privacy.Collection {
	rows := privacy.Table{DB: m.d.DB, Of: "workspace_id", At: "asked_at", Erasing: func(_ *db.Tx, ws kernel.WorkspaceID) {
		m.asked.forget(ws)
		m.cache.forget(ws)
	}}
	return []privacy.Collection{rows.Declare(privacy.Collection{
		Name: "metric_queries", Module: m.Name(), Title: "Metrics that were asked for", Subjects: "nobody", Where: privacy.ControlDB,
		Purpose:    "To show which metrics nobody looks at.",
		LegalBasis: "contract", Retention: "400 days after a metric was last asked for", Promises: []string{"COL-8"},
		Fields: []privacy.Field{
			{Name: "workspace_id", Category: privacy.Technical, Note: "whose it is"},
			{Name: "metric", Category: privacy.Telemetry, Note: "name of the metric"},
			{Name: "asked_at", Category: privacy.Technical, Note: "when a page, a rule or a client last asked for it, to the hour"},
		},
		MaxAge: privacy.Fixed(askedMaxAge),
	})}
}
