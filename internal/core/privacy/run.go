package privacy

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
)

// checkTimeout bounds one check: a database that hangs must not keep the others from being run.
const checkTimeout = 10 * time.Minute

// RunAll runs every check, stores the results and returns the report. An error means that they could not be stored (or
// that ctx ended); a check that cannot be run is in the report as Failed.
func (m *Module) RunAll(ctx context.Context) (Report, error) {
	m.running.Lock()
	defer m.running.Unlock()
	now := m.clock()
	in := &Inspection{Sources: m.sources, Map: m.dataMap(), Now: now}
	results := map[string]stored{}
	for _, p := range Promises() {
		if err := ctx.Err(); err != nil {
			return Report{}, fmt.Errorf("privacy: run the checks: %w", err)
		}
		results[p.ID] = stored{Result: m.run(ctx, p, in), at: now}
	}
	if err := m.storeResults(ctx, now, results); err != nil {
		return Report{}, err
	}
	return m.report(results), nil
}

// run runs the check of one promise.
func (m *Module) run(ctx context.Context, p Promise, in *Inspection) Result {
	if p.Check == nil {
		return Result{Outcome: NoCheck, Reason: p.NotYet.Reason}
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	r, err := p.Check(ctx, in)
	if err != nil {
		// What the cause says may hold a value from a table, so it goes to the log and not into the result.
		m.log.ErrorContext(ctx, "a promise could not be checked", "promise", p.ID, "error", err)
		return Result{Outcome: Failed, Reason: "The check could not be run; the server's log says why."}
	}
	if r.Outcome == Broken {
		m.log.WarnContext(ctx, "a promise is broken", "promise", p.ID, "reason", r.Reason, "evidence", r.Evidence)
	}
	return r
}

// stored is a result and when it was found.
type stored struct {
	Result
	at time.Time
}

func (m *Module) storeResults(ctx context.Context, now time.Time, results map[string]stored) error {
	err := m.db.Tx(ctx, func(tx *db.Tx) error {
		for id, r := range results {
			if r.Outcome == NoCheck { // nothing was looked at, so there is nothing to remember
				continue
			}
			evidence, err := json.Marshal(r.Evidence)
			if err != nil {
				return err
			}
			_, err = tx.Exec(ctx, `INSERT INTO promise_checks (id, outcome, reason, evidence, checked_at)
				VALUES ($1, $2, $3, $4, $5) ON CONFLICT (id, checked_at) DO UPDATE
				SET outcome = excluded.outcome, reason = excluded.reason, evidence = excluded.evidence`,
				id, string(r.Outcome), r.Reason, string(evidence), kernel.Micros(now))
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("privacy: store the results of the checks: %w", err)
	}
	return nil
}

// Latest is the report of the newest run. A check that is newer than that run counts as NoCheck, and says so.
func (m *Module) Latest(ctx context.Context) (Report, error) {
	rows, err := m.db.Query(ctx, `SELECT id, outcome, reason, evidence, checked_at FROM promise_checks
		WHERE checked_at = (SELECT max(checked_at) FROM promise_checks)`)
	if err != nil {
		return Report{}, fmt.Errorf("privacy: read the results of the checks: %w", err)
	}
	defer rows.Close()
	results := map[string]stored{}
	for rows.Next() {
		var id, outcome, evidence string
		var r stored
		var at int64
		if err := rows.Scan(&id, &outcome, &r.Reason, &evidence, &at); err != nil {
			return Report{}, fmt.Errorf("privacy: read the results of the checks: %w", err)
		}
		if err := json.Unmarshal([]byte(evidence), &r.Evidence); err != nil {
			return Report{}, fmt.Errorf("privacy: read the results of the checks: %w", err)
		}
		r.Outcome, r.at = Outcome(outcome), kernel.FromMicros(at)
		results[id] = r
	}
	return m.report(results), rows.Err()
}
