package privacy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/kernel"
)

func days(n int) time.Duration { return time.Duration(n) * day }

func TestSweepFollowsPlansWhenTheClockMoves(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		w.event(t, "gone", 0, sealed()) // of a workspace that no longer exists
		w.plans[""] = w.plans[wsA]
		stories := []struct {
			after      time.Duration
			a, b, gone int64 // job events left of the free, the pro and the former workspace
		}{
			{0, 3, 1, 1},
			{days(6), 3, 1, 1}, // the oldest is exactly 7 days old
			{days(8), 0, 1, 1},
			{days(90), 0, 0, 1},
			{days(91), 0, 0, 0},
		}
		for _, s := range stories {
			w.now = worldStart.Add(s.after)
			if _, err := w.module.Sweep(t.Context()); err != nil {
				t.Fatal(err)
			}
			got := []int64{w.count(t, "job_events", wsA), w.count(t, "job_events", wsB), w.count(t, "job_events", "gone")}
			if !slices.Equal(got, []int64{s.a, s.b, s.gone}) {
				t.Errorf("after %s: %v left, want %d %d %d", s.after, got, s.a, s.b, s.gone)
			}
			if r := w.inspect(t, "RET-1"); r.Outcome != Kept {
				t.Errorf("after %s: RET-1 is %s: %+v", s.after, r.Outcome, r)
			}
		}
		var removed, failed int64
		err := w.db.QueryRow(t.Context(), `SELECT coalesce(sum(removed), 0), coalesce(sum(failed), 0) FROM retention_sweeps
			WHERE collection = 'job_events'`).Scan(&removed, &failed)
		if err != nil || removed != 5 || failed != 0 {
			t.Errorf("stored: %d removed, %d failed, %v", removed, failed, err)
		}
	})
}

func TestSweepKeepsWhatHasNoLimit(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		w.plans[""] = w.plans[wsA]
		w.plans[wsB] = Plan{Name: PlanSelfHosted} // for ever
		w.event(t, "gone", 0, sealed())
		w.now = worldStart.Add(days(3000))
		swept, err := w.module.Sweep(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if w.count(t, "job_events", wsA) != 0 || w.count(t, "job_events", wsB) != 1 || w.count(t, "job_events", "gone") != 1 {
			t.Error("a workspace's limit reached another's data")
		}
		i := slices.IndexFunc(swept, func(s Swept) bool { return s.Collection == "job_events" })
		if s := swept[i]; s.Workspaces != 1 || s.Unlimited != 1 || s.Removed != 3 {
			t.Errorf("swept: %+v", s)
		}
	})
}

func TestSweepGoesOnAfterAFailure(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		boom := errors.New("disk on fire")
		editTable("access_log", func(c *Collection) {
			c.Sweep = func(context.Context, kernel.WorkspaceID, time.Time) (int64, error) { return 0, boom }
		})(t, w)
		w.now = worldStart.Add(days(30))
		swept, err := w.module.Sweep(t.Context())
		if !errors.Is(err, boom) {
			t.Errorf("the error is %v", err)
		}
		if w.count(t, "job_events", wsA) != 0 {
			t.Error("the failure of one collection kept another from being swept")
		}
		i := slices.IndexFunc(swept, func(s Swept) bool { return s.Collection == "access_log" })
		if swept[i].Failed != 3 { // two workspaces and what belongs to none
			t.Errorf("swept: %+v", swept[i])
		}
	})
}

func TestOwnRecordsAreSwept(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		w.plans[""] = w.plans[wsB]
		if _, err := w.module.RunAll(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := w.module.Erase(t.Context(), wsA); err != nil {
			t.Fatal(err)
		}
		for _, s := range []struct {
			after            time.Duration
			checks, receipts bool
		}{{days(365), true, true}, {days(367), false, true}, {days(3*366 + 1), false, false}} {
			w.now = worldStart.Add(s.after)
			if _, err := w.module.Sweep(t.Context()); err != nil {
				t.Fatal(err)
			}
			var checks, receipts int64
			row := w.db.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM promise_checks), (SELECT count(*) FROM erasure_receipts)`)
			if err := row.Scan(&checks, &receipts); err != nil {
				t.Fatal(err)
			}
			if (checks > 0) != s.checks || (receipts > 0) != s.receipts {
				t.Errorf("after %s: %d checks, %d receipts", s.after, checks, receipts)
			}
		}
	})
}

// document is how a reader sees an export.
type document struct {
	Format, Workspace string
	Collections       []struct {
		About       struct{ Name, Purpose string }
		Items       []map[string]any
		Count       int64
		NotExported string `json:"not_exported"`
	}
}

func TestExport(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		var buf bytes.Buffer
		counts, err := w.module.Export(t.Context(), wsA, &buf)
		if err != nil {
			t.Fatal(err)
		}
		var doc document
		if err := json.Unmarshal(buf.Bytes(), &doc); err != nil {
			t.Fatalf("%v in %s", err, buf.Bytes())
		}
		if doc.Format != "kept-export/1" || doc.Workspace != string(wsA) || len(doc.Collections) != len(w.collections()) {
			t.Errorf("head: %s, %s, %d collections", doc.Format, doc.Workspace, len(doc.Collections))
		}
		for _, c := range doc.Collections {
			switch {
			case c.About.Purpose == "":
				t.Errorf("%s does not say its purpose", c.About.Name)
			case c.About.Name == "job_events" && (c.Count != 3 || len(c.Items) != 3 || c.Items[0]["table"] != "job_events"):
				t.Errorf("job_events: %d, %v", c.Count, c.Items)
			case c.About.Name == "accounts" && c.NotExported != "exported by account":
				t.Errorf("accounts: %q", c.NotExported)
			}
		}
		if !slices.Contains(counts, Exported{"job_events", 3}) {
			t.Errorf("counts: %v", counts)
		}
	})
}

func TestExportThatFailsIsNoDocument(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		boom := errors.New("gone")
		editTable("job_events", func(c *Collection) {
			c.Export = func(_ context.Context, _ kernel.WorkspaceID, item func(any) error) error {
				return errors.Join(item(1), boom)
			}
		})(t, w)
		var buf bytes.Buffer
		if _, err := w.module.Export(t.Context(), wsA, &buf); !errors.Is(err, boom) || json.Valid(buf.Bytes()) {
			t.Errorf("error %v; valid: %v", err, json.Valid(buf.Bytes()))
		}
		if _, err := w.module.Export(t.Context(), wsA, brokenPipe{}); !errors.Is(err, io.ErrClosedPipe) && !errors.Is(err, boom) {
			t.Errorf("a reader that left: %v", err)
		}
	})
}

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestEraseRemovesOneWorkspaceAndGivesAReceipt(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		r, err := w.module.Erase(t.Context(), wsA)
		if err != nil {
			t.Fatal(err)
		}
		for _, table := range []string{"job_events", "api_keys", "audit_events", "invoices"} {
			if n := w.count(t, table, wsA); n != 0 {
				t.Errorf("%s: %d rows are left", table, n)
			}
			if w.count(t, table, wsB) == 0 {
				t.Errorf("%s: the other workspace lost its rows", table)
			}
		}
		i := slices.IndexFunc(r.Collections, func(e Erased) bool { return e.Collection == "job_events" })
		if !r.Complete || !r.KeyDestroyed || r.Collections[i].Removed != 3 || !slices.Equal(w.shredded, []kernel.WorkspaceID{wsA}) {
			t.Errorf("receipt: %+v, shredded %v", r, w.shredded)
		}
		kept, err := w.module.Receipts(t.Context(), wsA)
		if err != nil || len(kept) != 1 || kept[0].ID != r.ID || !kept[0].Complete || len(kept[0].Collections) != len(r.Collections) {
			t.Errorf("stored: %+v, %v", kept, err)
		}
		hits, err := Find(t.Context(), w.sources.Databases, string(wsA))
		if err != nil || slices.ContainsFunc(hits, func(h Hit) bool { return h.Table != "erasure_receipts" }) {
			t.Errorf("traces: %v, %v", hits, err)
		}
	})
}

func TestEraseThatFailsSaysSoAndCanBeRunAgain(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		boom := errors.New("locked")
		works := w.sources.Collections
		editTable("job_events", func(c *Collection) {
			c.Erase = func(context.Context, kernel.WorkspaceID) (int64, error) { return 0, boom }
		})(t, w)
		r, err := w.module.Erase(t.Context(), wsA)
		if !errors.Is(err, boom) || r.Complete || !r.KeyDestroyed {
			t.Errorf("receipt %+v, error %v", r, err)
		}
		if w.count(t, "invoices", wsA) != 0 {
			t.Error("one failure kept the others from being erased")
		}
		w.sources.Collections, w.now = works, w.now.Add(time.Minute)
		w.build()
		if r, err = w.module.Erase(t.Context(), wsA); err != nil || !r.Complete {
			t.Errorf("again: %+v, %v", r, err)
		}
		if kept, err := w.module.Receipts(t.Context(), wsA); err != nil || len(kept) != 2 || !kept[0].Complete || kept[1].Complete {
			t.Errorf("stored: %+v, %v", kept, err)
		}
	})
}

func TestEraseNoticesWhatAnEraserLeaves(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		editTable("job_events", func(c *Collection) {
			c.Erase = func(context.Context, kernel.WorkspaceID) (int64, error) { return 0, nil }
		})(t, w)
		r, err := w.module.Erase(t.Context(), wsA)
		if err == nil || r.Complete || !strings.Contains(err.Error(), "3 items are left") {
			t.Errorf("receipt %+v, error %v", r, err)
		}
		if _, err := w.module.Erase(t.Context(), ""); kernel.CodeOf(err) != kernel.Invalid {
			t.Errorf("no workspace: %v", err)
		}
	})
}
