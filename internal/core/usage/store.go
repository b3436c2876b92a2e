package usage

import (
	"context"
	"errors"
	"time"

	"github.com/kept-dev/kept/internal/core/privacy"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
)

// Counts are kept in slots of five minutes, after two days in slots of an hour.
const (
	slot     = 5 * time.Minute
	longSlot = time.Hour
	fineFor  = 48 * time.Hour
	keptFor  = 400 * 24 * time.Hour
)

func slotOf(t time.Time) int64 { return kernel.Micros(t.UTC().Truncate(slot)) }

// Migrations are the module's tables.
func (m *Module) Migrations() []db.Migration { return Migrations() }

// Migrations is the schema, for tests of other modules. It refers to workspaces.
func Migrations() []db.Migration {
	return []db.Migration{{Name: "what workspaces use", SQL: `
CREATE TABLE usage_slots (
	workspace_id TEXT_C NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
	at INTEGER NOT NULL,
	span INTEGER NOT NULL,
	samples INTEGER NOT NULL,
	refused INTEGER NOT NULL,
	job_events INTEGER NOT NULL,
	ingests INTEGER NOT NULL,
	requests INTEGER NOT NULL,
	series INTEGER NOT NULL,
	bytes INTEGER NOT NULL,
	hosts INTEGER NOT NULL,
	PRIMARY KEY (workspace_id, at, span)
) END_TABLE;
CREATE INDEX usage_slots_span ON usage_slots (span, at);
`}}
}

// merge adds the counts of two writers of one slot. Of what a workspace has, the larger is kept; -1 is not known.
const merge = ` ON CONFLICT (workspace_id, at, span) DO UPDATE SET samples = usage_slots.samples + excluded.samples,
	refused = usage_slots.refused + excluded.refused, job_events = usage_slots.job_events + excluded.job_events,
	ingests = usage_slots.ingests + excluded.ingests, requests = usage_slots.requests + excluded.requests,
	series = CASE WHEN excluded.series > usage_slots.series THEN excluded.series ELSE usage_slots.series END,
	bytes = CASE WHEN excluded.bytes > usage_slots.bytes THEN excluded.bytes ELSE usage_slots.bytes END,
	hosts = CASE WHEN excluded.hosts > usage_slots.hosts THEN excluded.hosts ELSE usage_slots.hosts END`

const slotColumns = `workspace_id, at, span, samples, refused, job_events, ingests, requests, series, bytes, hosts`

// store adds to a slot. A workspace that is gone uses nothing.
func (m *Module) store(ctx context.Context, ws kernel.WorkspaceID, at int64, c Counts, has Holdings) error {
	return m.d.DB.Tx(ctx, func(tx *db.Tx) error {
		var one int
		err := tx.QueryRow(ctx, `SELECT 1 FROM workspaces WHERE id = $1`, ws).Scan(&one)
		if errors.Is(err, db.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `INSERT INTO usage_slots (`+slotColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`+merge,
			ws, at, slot.Microseconds(), c.Samples, c.Refused, c.JobEvents, c.Ingests, c.Requests, has.Series, has.Bytes, has.Hosts)
		return err
	})
}

// condense makes slots of an hour of those that are old.
func (m *Module) condense(ctx context.Context) error {
	before := kernel.Micros(m.d.Clock().UTC().Add(-fineFor).Truncate(longSlot))
	var old int
	err := m.d.DB.QueryRow(ctx, `SELECT count(*) FROM (SELECT 1 FROM usage_slots WHERE span = $1 AND at < $2 LIMIT 1) AS x`, slot.Microseconds(), before).Scan(&old)
	if err != nil || old == 0 {
		return err
	}
	return m.d.DB.Tx(ctx, func(tx *db.Tx) error {
		if _, err := tx.Exec(ctx, `INSERT INTO usage_slots (`+slotColumns+`)
			SELECT workspace_id, at / 3600000000 * 3600000000, 3600000000, CAST(sum(samples) AS BIGINT), CAST(sum(refused) AS BIGINT), CAST(sum(job_events) AS BIGINT), CAST(sum(ingests) AS BIGINT),
				CAST(sum(requests) AS BIGINT), max(series), max(bytes), max(hosts) FROM usage_slots WHERE span = $1 AND at < $2 GROUP BY 1, 2`+merge, slot.Microseconds(), before); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `DELETE FROM usage_slots WHERE span = $1 AND at < $2`, slot.Microseconds(), before)
		return err
	})
}

// Slot is what was counted in a stretch of time.
type Slot struct {
	At   time.Time
	Span time.Duration
	Counts
	Holdings // -1: not known
}

// slots reads the slots of a workspace that overlap a span, in order, and what was counted before them.
func (m *Module) slots(ctx context.Context, ws kernel.WorkspaceID, from, to time.Time) (before Counts, out []Slot, err error) {
	first := kernel.Micros(from.Add(-longSlot))
	err = m.d.DB.QueryRow(ctx, `SELECT CAST(coalesce(sum(samples), 0) AS BIGINT), CAST(coalesce(sum(refused), 0) AS BIGINT), CAST(coalesce(sum(job_events), 0) AS BIGINT),
		CAST(coalesce(sum(ingests), 0) AS BIGINT), CAST(coalesce(sum(requests), 0) AS BIGINT)
		FROM usage_slots WHERE workspace_id = $1 AND at < $2`, ws, first).Scan(&before.Samples, &before.Refused, &before.JobEvents, &before.Ingests, &before.Requests)
	if err != nil {
		return before, nil, err
	}
	rows, err := m.d.DB.Query(ctx, `SELECT at, span, samples, refused, job_events, ingests, requests, series, bytes, hosts FROM usage_slots
		WHERE workspace_id = $1 AND at >= $2 AND at <= $3 ORDER BY at, span`, ws, first, kernel.Micros(to))
	if err != nil {
		return before, nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var s Slot
		var at, span int64
		if err := rows.Scan(&at, &span, &s.Samples, &s.Refused, &s.JobEvents, &s.Ingests, &s.Requests, &s.Series, &s.Bytes, &s.Hosts); err != nil {
			return before, nil, err
		}
		s.At, s.Span = kernel.FromMicros(at), time.Duration(span)*time.Microsecond
		out = append(out, s)
	}
	return before, out, rows.Err()
}

// Collections declares the counts.
func (m *Module) Collections() []privacy.Collection {
	number := func(name, note string) privacy.Field {
		return privacy.Field{Name: name, Category: privacy.Telemetry, Note: note}
	}
	table := privacy.Table{DB: m.d.DB, Of: "workspace_id", At: "at", Erasing: func(_ *db.Tx, ws kernel.WorkspaceID) { m.forget(ws) }}
	return []privacy.Collection{table.Declare(privacy.Collection{
		Name: "usage_slots", Module: m.Name(), Title: "Usage counts", Subjects: "nobody", Purpose: "to show a workspace what it uses, and how near it is to its limits",
		LegalBasis: "contract", Retention: "400 days; by five minutes for two days, then by the hour", Where: privacy.ControlDB, Promises: []string{"COL-7"},
		Fields: []privacy.Field{{Name: "workspace_id", Category: privacy.Technical, Note: "whose it is"}, number("at", "when, to five minutes or an hour"),
			number("span", "for how many microseconds"), number("samples", "that came"), number("refused", "samples that were not stored"), number("job_events", "that came"),
			number("ingests", "requests that reported"), number("requests", "other requests to the API"), number("series", "active; -1 is not known, here and below"),
			number("bytes", "of metrics on disk"), number("hosts", "that are known")},
		MaxAge: privacy.Fixed(keptFor),
	})}
}
