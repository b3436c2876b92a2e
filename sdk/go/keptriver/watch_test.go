package keptriver

import (
	"context"
	"database/sql"
	"testing"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
)

func TestTransactions(t *testing.T) {
	t.Parallel()
	b := setup(t, nil, nil)
	stop := b.hook.Watch(b.client)
	insert := func(ctx context.Context, do string) (*sql.Tx, int64) {
		tx, err := b.db.Begin()
		must(t, err)
		res, err := b.client.InsertTx(ctx, tx, args{Do: do}, nil)
		must(t, err)
		return tx, res.Job.ID
	}
	tx, gone := insert(t.Context(), "rolled back")
	must(t, tx.Rollback())
	tx, there := insert(t.Context(), "committed")
	must(t, tx.Commit())
	if gone != there {
		t.Logf("the id was not used again (%d, %d)", gone, there)
	}
	stop()
	must(t, b.kept.Close(t.Context()))
	wantEvents(t, b.events, `waiting input={"do":"committed"}`)

	// Without Watch, a program that knows says so itself.
	b = setup(t, nil, nil)
	ctx, _ := Hold(t.Context())
	tx, _ = insert(ctx, "rolled back")
	must(t, tx.Rollback())
	ctx, committed := Hold(t.Context())
	tx, _ = insert(ctx, "committed")
	must(t, b.kept.Flush(t.Context()))
	if len(b.events) != 0 {
		t.Errorf("reported before the commit: %v", b.events)
	}
	must(t, tx.Commit())
	committed()
	committed()
	must(t, b.kept.Close(t.Context()))
	wantEvents(t, b.events, `waiting input={"do":"committed"}`)
}

// The watch sees a commit by looking at the table, long before the job starts.
func TestWatchLooks(t *testing.T) {
	t.Parallel()
	b := setup(t, nil, nil)
	b.hook.ledger.watch(true)
	tx, err := b.db.Begin()
	must(t, err)
	_, err = b.client.InsertTx(t.Context(), tx, args{Do: "a"}, nil)
	must(t, err)
	must(t, tx.Commit())
	tx, err = b.db.Begin()
	must(t, err)
	_, err = b.client.InsertTx(t.Context(), tx, args{Do: "b"}, nil)
	must(t, err)
	must(t, tx.Rollback())

	now := time.Now()
	for _, at := range []time.Duration{firstLook / 2, firstLook, firstLook, 2 * firstLook, forgetAfter + firstLook} {
		b.hook.look(b.client, now.Add(at+time.Millisecond), false)
		b.kept.Flush(t.Context())
		if want := min(1, int(at/firstLook)); len(b.of(1)) != want || len(b.of(2)) != 0 {
			t.Errorf("after %v: %v", at, b.events)
		}
	}
	if b.hook.ledger.anyHeld() {
		t.Error("a job that was rolled back is remembered for ever")
	}
}

func TestWatchOfAnInsertOnlyClient(t *testing.T) {
	t.Parallel()
	b := setup(t, nil, func(c *river.Config) { c.Queues, c.Workers = nil, nil })
	stop := b.hook.Watch(b.client)
	_, err := b.client.Insert(t.Context(), args{Do: "x"}, nil)
	must(t, err)
	stop()
	stop()
	must(t, b.kept.Close(t.Context()))
	wantEvents(t, b.events, `waiting input={"do":"x"}`)
}

func TestLedgerIsBounded(t *testing.T) {
	t.Parallel()
	var l ledger
	l.watch(true)
	for i := range int64(3 * maxHeld) {
		row := &rivertype.JobRow{ID: i, CreatedAt: time.Unix(i, 0)}
		l.hold(row)
		l.retrying(row)
		if i%2 == 0 && (!l.first(row) || l.first(row)) {
			t.Fatal("first is true once")
		}
	}
	if len(l.held) > maxHeld || len(l.retry) > maxHeld || len(l.now)+len(l.old) > 2*generation {
		t.Errorf("%d, %d, %d", len(l.held), len(l.retry), len(l.now)+len(l.old))
	}
	if !l.first(&rivertype.JobRow{ID: 4, CreatedAt: time.Unix(99, 0)}) {
		t.Error("an id that is used again is a new job")
	}
}

func TestFoundRowMustBeTheHeldOne(t *testing.T) {
	t.Parallel()
	var l ledger
	l.watch(true)
	row := &rivertype.JobRow{ID: 1, Kind: "a", CreatedAt: time.Unix(1, 0)}
	l.hold(row)
	for _, other := range []*rivertype.JobRow{{ID: 1, Kind: "a", CreatedAt: time.Unix(2, 0)}, {ID: 1, Kind: "b", CreatedAt: time.Unix(1, 0)}, {ID: 2}} {
		if l.heldAs(other) != nil {
			t.Errorf("%+v is not the job that was inserted", other)
		}
	}
	if l.heldAs(&rivertype.JobRow{ID: 1, Kind: "a", CreatedAt: time.Unix(1, 0).UTC()}) != row {
		t.Error("the row of the job itself")
	}
}
