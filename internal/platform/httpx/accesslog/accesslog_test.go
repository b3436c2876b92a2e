package accesslog

import (
	"context"
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/db/dbtest"
	"github.com/kept-dev/kept/internal/platform/httpx"
)

var at = time.UnixMilli(1_772_000_000_000).UTC()

// setup starts a log on a database with its schema.
func setup(t *testing.T, d *db.DB) *Log {
	t.Helper()
	if err := d.Migrate(t.Context(), db.Module{Name: "accesslog", Migrations: Migrations()}); err != nil {
		t.Fatal(err)
	}
	l := New(d, slog.New(slog.DiscardHandler))
	if err := l.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Stop(context.Background()) })
	return l
}

func entry(class httpx.RateClass, status int) httpx.Entry {
	return httpx.Entry{
		At: at, RequestID: "r1", Method: "GET", Path: "/jobs?q=x", Route: "/jobs", Class: class, Status: status, Bytes: 10,
		Duration: 3 * time.Millisecond, IP: netip.MustParseAddr("192.0.2.1"), UserAgent: "curl/8", AccountID: "a", WorkspaceID: "w1",
	}
}

func export(t *testing.T, l *Log) (out []Record) {
	t.Helper()
	if err := l.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	err := l.Export(t.Context(), "w1", func(v any) error {
		out = append(out, v.(Record))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestEntriesAreStored(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		l := setup(t, d)
		for range 120 { // more than one statement of many rows, and some of one
			l.Write(entry(httpx.RatePage, 200))
		}
		got := export(t, l)
		want := Record{At: at, RequestID: "r1", Method: "GET", Path: "/jobs?q=x", Status: 200, Bytes: 10, DurationUS: 3000, Route: "/jobs",
			Requests: 1, IP: "192.0.2.1", UserAgent: "curl/8", AccountID: "a", WorkspaceID: "w1"}
		for i := range got {
			got[i].id = ""
		}
		if len(got) != 120 || got[0] != want || got[119] != want {
			t.Fatalf("%d rows, the first %+v", len(got), got[0])
		}
	})
}

func TestMachinesAreSummedUp(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		l := setup(t, d)
		for range 1000 {
			l.Write(entry(httpx.RateIngest, 200))
		}
		for range 3 {
			l.Write(entry(httpx.RateIngest, 401))
		}
		var sums, refused int64
		for _, r := range export(t, l) {
			switch {
			case r.Status == 200 && r.Requests == 1000 && r.Bytes == 10_000 && r.DurationUS == 3_000_000:
				sums++
			case r.Status == 401 && r.Requests == 1:
				refused++
			default:
				t.Errorf("unexpected row %+v", r)
			}
		}
		if sums != 1 || refused != 3 {
			t.Errorf("%d sums and %d refusals, want 1 and 3", sums, refused)
		}
	})
}

func TestSweepAndErase(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		l := setup(t, d)
		old, other := entry(httpx.RatePage, 200), entry(httpx.RatePage, 200)
		old.At, other.WorkspaceID, other.AccountID = at.Add(-time.Hour), "w2", "b"
		for _, e := range []httpx.Entry{old, entry(httpx.RatePage, 200), other} {
			l.Write(e)
		}
		if err := l.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx := t.Context()
		if oldest, err := l.Oldest(ctx, ""); err != nil || !oldest.Equal(old.At) {
			t.Errorf("oldest is %v, %v", oldest, err)
		}
		if oldest, err := l.Oldest(ctx, "w3"); err != nil || !oldest.IsZero() {
			t.Errorf("oldest of nobody is %v, %v", oldest, err)
		}
		if n, err := l.Sweep(ctx, "", at); err != nil || n != 1 {
			t.Errorf("swept %d, %v", n, err)
		}
		if n, err := l.Erase(ctx, "w1"); err != nil || n != 1 {
			t.Errorf("erased %d, %v", n, err)
		}
		if n, err := l.EraseAccount(ctx, "b"); err != nil || n != 1 {
			t.Errorf("erased %d of the account, %v", n, err)
		}
		if n, err := l.Count(ctx, ""); err != nil || n != 0 {
			t.Errorf("%d rows are left, %v", n, err)
		}
	})
}

func TestWriteNeverBlocks(t *testing.T) {
	t.Parallel()
	l := New(nil, slog.New(slog.DiscardHandler)) // not started: nobody takes entries out
	for range queueLength + 7 {
		l.Write(entry(httpx.RatePage, 200))
	}
	if l.Dropped() != 7 {
		t.Errorf("%d are counted as dropped, want 7", l.Dropped())
	}
}

func TestStopWritesWhatIsQueued(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		l := setup(t, d)
		l.Write(entry(httpx.RateIngest, 200))
		l.Write(entry(httpx.RatePage, 200))
		for range 2 {
			if err := l.Stop(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if n, err := l.Count(t.Context(), ""); err != nil || n != 2 {
			t.Errorf("%d rows, %v", n, err)
		}
	})
	if err := New(nil, nil).Stop(t.Context()); err != nil {
		t.Errorf("stopping what was not started: %v", err)
	}
}

func TestUnwritableBatchIsCounted(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		l := setup(t, d)
		if _, err := d.Writer().ExecContext(t.Context(), "DROP TABLE access_log"); err != nil {
			t.Fatal(err)
		}
		l.Write(entry(httpx.RatePage, 200))
		if err := l.Flush(t.Context()); err == nil || l.Dropped() != 1 {
			t.Errorf("%v, %d dropped", err, l.Dropped())
		}
	})
}
