package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/db/dbtest"
	"github.com/kept-dev/kept/internal/platform/httpx"
)

type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func each(t *testing.T, f func(t *testing.T, m *Module, c *clock)) {
	dbtest.EachConfig(t, func(t *testing.T, cfg db.Config) {
		c := &clock{at: start}
		cfg.Clock = c.now
		m, err := New(Deps{DB: dbtest.Open(t, cfg, db.Module{Name: "audit", Migrations: Migrations()}), Clock: c.now})
		if err != nil {
			t.Fatal(err)
		}
		f(t, m, c)
	})
}

func (m *Module) mustRecord(t *testing.T, events ...Event) {
	t.Helper()
	for _, e := range events {
		if err := m.db.Tx(t.Context(), func(tx *db.Tx) error { return Record(t.Context(), tx, e) }); err != nil {
			t.Fatal(err)
		}
	}
}

func (m *Module) mustExec(t *testing.T, text string, args ...any) {
	t.Helper()
	err := m.db.Tx(t.Context(), func(tx *db.Tx) error {
		n, err := tx.Exec(t.Context(), text, args...)
		if err == nil && n == 0 {
			err = errors.New("changed nothing")
		}
		return err
	})
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}

func (m *Module) mustVerify(t *testing.T) Report {
	t.Helper()
	r, err := m.Verify(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func sample(ws kernel.WorkspaceID, n int) []Event {
	var out []Event
	for i := range n {
		out = append(out, Event{WorkspaceID: ws, Action: fmt.Sprintf("thing.do%d", i%3), Target: fmt.Sprintf("thing:%d", i),
			Actor: Actor{Kind: "account", ID: "a1", Label: "Ann@example.org"}, IP: "192.0.2.7", Detail: "by hand"})
	}
	return out
}

func TestChainHolds(t *testing.T) {
	each(t, func(t *testing.T, m *Module, c *clock) {
		m.mustRecord(t, sample("ws1", 5)...)
		m.mustRecord(t, sample("", 2)...)
		r := m.mustVerify(t)
		if r.Chains != 2 || r.Events != 7 || len(r.Broken) != 0 {
			t.Fatalf("got %+v", r)
		}
	})
}

func TestChainDetectsTampering(t *testing.T) {
	cases := map[string]struct {
		sql  string
		args []any
		seq  int64
	}{
		"action changed":        {`UPDATE audit_events SET action = 'thing.other' WHERE chain = 'ws1' AND seq = 3`, nil, 3},
		"result changed":        {`UPDATE audit_events SET result = 'denied' WHERE chain = 'ws1' AND seq = 1`, nil, 1},
		"time changed":          {`UPDATE audit_events SET at = at + 1 WHERE chain = 'ws1' AND seq = 5`, nil, 5},
		"address changed":       {`UPDATE audit_events SET actor_label = 'bob@example.org' WHERE chain = 'ws1' AND seq = 2`, nil, 2},
		"IP changed":            {`UPDATE audit_events SET ip = '198.51.100.1' WHERE chain = 'ws1' AND seq = 2`, nil, 2},
		"line removed":          {`DELETE FROM audit_events WHERE chain = 'ws1' AND seq = 4`, nil, 4},
		"first line removed":    {`DELETE FROM audit_events WHERE chain = 'ws1' AND seq = 1`, nil, 1},
		"newest line removed":   {`DELETE FROM audit_events WHERE chain = 'ws1' AND seq = 6`, nil, 6},
		"newest and head moved": {`UPDATE audit_chains SET seq = 5 WHERE chain = 'ws1'`, nil, 5},
		"line of another chain": {`UPDATE audit_events SET chain = 'ws1', seq = 7 WHERE chain = 'ws2' AND seq = 2`, nil, 0},
		"person put in later":   {`UPDATE audit_events SET salt = NULL WHERE chain = 'ws1' AND seq = 6`, nil, 6},
		"beginning forged":      {`UPDATE audit_chains SET base_hash = $1 WHERE chain = 'ws1'`, []any{bytes.Repeat([]byte{1}, 32)}, 0},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, m *Module, c *clock) {
				m.mustRecord(t, sample("ws1", 6)...)
				m.mustRecord(t, sample("ws2", 2)...)
				m.mustExec(t, tc.sql, tc.args...)
				r := m.mustVerify(t)
				if len(r.Broken) != 1 {
					t.Fatalf("want one broken chain, got %+v", r)
				}
				if tc.seq != 0 && r.Broken[0].Seq != tc.seq {
					t.Errorf("want line %d, got %s", tc.seq, r.Broken[0])
				}
			})
		})
	}
}

func TestChainWithoutHeadIsBroken(t *testing.T) {
	each(t, func(t *testing.T, m *Module, c *clock) {
		m.mustRecord(t, sample("ws1", 2)...)
		if m.db.Dialect() == db.SQLite { // the foreign key would remove the lines too, which an attacker avoids
			if _, err := m.db.Writer().ExecContext(t.Context(), `PRAGMA foreign_keys = OFF`); err != nil {
				t.Fatal(err)
			}
		} else if _, err := m.db.Writer().ExecContext(t.Context(), `ALTER TABLE audit_events DROP CONSTRAINT audit_events_chain_fkey`); err != nil {
			t.Fatal(err)
		}
		m.mustExec(t, `DELETE FROM audit_chains WHERE chain = 'ws1'`)
		if r := m.mustVerify(t); len(r.Broken) != 1 {
			t.Fatalf("got %+v", r)
		}
	})
}

func TestRolledBackChangeLeavesNoLine(t *testing.T) {
	each(t, func(t *testing.T, m *Module, c *clock) {
		m.mustRecord(t, sample("ws1", 1)...)
		failed := errors.New("the change failed")
		err := m.db.Tx(t.Context(), func(tx *db.Tx) error {
			if err := Record(t.Context(), tx, sample("ws1", 1)[0]); err != nil {
				return err
			}
			return failed
		})
		if !errors.Is(err, failed) {
			t.Fatal(err)
		}
		m.mustRecord(t, sample("ws1", 1)...)
		if r := m.mustVerify(t); r.Events != 2 || len(r.Broken) != 0 {
			t.Fatalf("got %+v", r)
		}
	})
}

func TestConcurrentRecordsMakeOneChain(t *testing.T) {
	each(t, func(t *testing.T, m *Module, c *clock) {
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for _, e := range sample("ws1", 10) {
					if err := m.db.Tx(t.Context(), func(tx *db.Tx) error { return Record(t.Context(), tx, e) }); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		if r := m.mustVerify(t); r.Events != 80 || len(r.Broken) != 0 {
			t.Fatalf("got %+v", r)
		}
	})
}

func TestSweepKeepsTheChainVerifiable(t *testing.T) {
	each(t, func(t *testing.T, m *Module, c *clock) {
		m.mustRecord(t, sample("ws1", 3)...)
		c.add(Retention)
		m.mustRecord(t, sample("ws1", 2)...)
		n, err := m.Sweep(t.Context(), "ws1", c.now().Add(-Retention+time.Second))
		if err != nil || n != 3 {
			t.Fatalf("swept %d, %v", n, err)
		}
		if r := m.mustVerify(t); r.Events != 2 || len(r.Broken) != 0 {
			t.Fatalf("after the sweep: %+v", r)
		}
		if n, err := m.Sweep(t.Context(), "", c.now().Add(-Retention+time.Second)); err != nil || n != 0 {
			t.Fatalf("second sweep: %d, %v", n, err)
		}
		c.add(2 * Retention)
		if n, err := m.Sweep(t.Context(), "", c.now().Add(-Retention)); err != nil || n != 2 {
			t.Fatalf("sweep of all: %d, %v", n, err)
		}
		m.mustRecord(t, sample("ws1", 1)...)
		r := m.mustVerify(t)
		if r.Events != 1 || len(r.Broken) != 0 {
			t.Fatalf("after a sweep of all: %+v", r)
		}
		m.mustExec(t, `UPDATE audit_chains SET base_seq = base_seq - 1 WHERE chain = 'ws1'`)
		if r := m.mustVerify(t); len(r.Broken) != 1 {
			t.Fatal("a forged checkpoint went unnoticed")
		}
	})
}

func TestForgetErasesThePersonAndKeepsTheChain(t *testing.T) {
	each(t, func(t *testing.T, m *Module, c *clock) {
		m.mustRecord(t, sample("ws1", 2)...)
		m.mustRecord(t, Event{WorkspaceID: "ws1", Action: "x", Actor: Actor{Kind: "account", ID: "a2", Label: "bob@example.org"}})
		err := m.db.Tx(t.Context(), func(tx *db.Tx) error {
			n, err := Forget(t.Context(), tx, "a1")
			if err == nil && n != 2 {
				err = fmt.Errorf("forgot %d lines", n)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if r := m.mustVerify(t); r.Events != 3 || len(r.Broken) != 0 {
			t.Fatalf("got %+v", r)
		}
		entries, _, err := m.List(t.Context(), Filter{WorkspaceID: "ws1"})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries[1:] {
			if !e.Forgotten || e.Actor+e.IP+e.Detail != "" {
				t.Errorf("not forgotten: %+v", e)
			}
		}
		if entries[0].Actor != "bob@example.org" {
			t.Errorf("the other person went too: %+v", entries[0])
		}
	})
}

func TestListFiltersAndPages(t *testing.T) {
	each(t, func(t *testing.T, m *Module, c *clock) {
		for _, e := range sample("ws1", 9) {
			m.mustRecord(t, e)
			c.add(time.Minute)
		}
		m.mustRecord(t, Event{WorkspaceID: "ws1", Action: "user_x", Target: "100%", Result: Denied})
		m.mustRecord(t, sample("ws2", 4)...)
		count := func(f Filter) int {
			t.Helper()
			f.WorkspaceID = "ws1"
			entries, _, err := m.List(t.Context(), f)
			if err != nil {
				t.Fatal(err)
			}
			return len(entries)
		}
		for _, tc := range []struct {
			name string
			f    Filter
			want int
		}{
			{"all", Filter{}, 10},
			{"action", Filter{Action: "thing.do0"}, 3},
			{"beginning of the action", Filter{Action: "thing."}, 9},
			{"wildcards are literal", Filter{Action: "user%."}, 0},
			{"actor in another case", Filter{Actor: "ann@EXAMPLE"}, 9},
			{"actor id", Filter{Actor: "a1"}, 9},
			{"underscore is literal", Filter{Actor: "a_n"}, 0},
			{"target", Filter{Target: "thing:1"}, 1},
			{"percent is literal", Filter{Target: "0%"}, 1},
			{"result", Filter{Result: Denied}, 1},
			{"from", Filter{From: start.Add(5 * time.Minute)}, 5},
			{"to", Filter{To: start.Add(5 * time.Minute)}, 5},
			{"words", Filter{Search: "thing:1 ANN@example"}, 1},
			{"words of which one is nowhere", Filter{Search: "thing:1 nowhere"}, 0},
			{"a word of the action", Filter{Search: "user_"}, 1},
			{"a word with a percent", Filter{Search: "0%"}, 1},
			{"no words", Filter{Search: "  "}, 10},
			{"network", Filter{IP: "192.0.2."}, 9},
			{"another network", Filter{IP: "192.0.3."}, 0},
			{"an address as a word", Filter{Search: "192.0.2"}, 9},
			{"between", Filter{From: start.Add(time.Minute), To: start.Add(2 * time.Minute)}, 1},
		} {
			if got := count(tc.f); got != tc.want {
				t.Errorf("%s: want %d, got %d", tc.name, tc.want, got)
			}
		}
		var seen []int64
		f := Filter{WorkspaceID: "ws1", Limit: 4}
		for {
			entries, next, err := m.List(t.Context(), f)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range entries {
				seen = append(seen, e.Seq)
			}
			if f.Cursor = next; next == "" {
				break
			}
		}
		if fmt.Sprint(seen) != "[10 9 8 7 6 5 4 3 2 1]" {
			t.Errorf("pages gave %v", seen)
		}
		if _, _, err := m.List(t.Context(), Filter{WorkspaceID: "ws1", Cursor: "made up"}); kernel.CodeOf(err) != kernel.Malformed {
			t.Errorf("a made-up cursor: %v", err)
		}
	})
}

// TestExportCanBeRecomputed checks an export with nothing but what it contains.
func TestExportCanBeRecomputed(t *testing.T) {
	each(t, func(t *testing.T, m *Module, c *clock) {
		m.mustRecord(t, sample("01hzzzzzzzzzzzzzzzzzzzzzzz", verifyPage+3)...)
		r := httptest.NewRequest("GET", "/w/01hzzzzzzzzzzzzzzzzzzzzzzz/settings/audit.json", nil)
		r = r.WithContext(httpx.WithActor(t.Context(), httpx.Actor{AccountID: "a1", WorkspaceID: "01hzzzzzzzzzzzzzzzzzzzzzzz"}))
		w := httptest.NewRecorder()
		if err := m.download(w, r); err != nil {
			t.Fatal(err)
		}
		var doc struct {
			exportHead
			Events []Entry
		}
		if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil {
			t.Fatal(err)
		}
		if len(doc.Events) != verifyPage+3 {
			t.Fatalf("%d events", len(doc.Events))
		}
		prev := unhex(t, doc.BaseHash)
		for _, e := range doc.Events {
			l := &line{chain: doc.Chain, seq: e.Seq, at: kernel.Micros(e.At), actorKind: e.ActorKind, actorID: e.ActorID,
				actorLabel: e.Actor, action: e.Action, target: e.Target, detail: e.Detail, ip: e.IP, result: e.Result,
				salt: unhex(t, e.Salt), prev: prev}
			if l.seal(); !bytes.Equal(l.hash, unhex(t, e.Hash)) {
				t.Fatalf("line %d does not recompute", e.Seq)
			}
			prev = l.hash
		}
		if !bytes.Equal(prev, unhex(t, doc.HeadHash)) {
			t.Error("the head does not match")
		}
	})
}

func TestExportNeedsAWorkspace(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest("GET", "/", nil)
	if _, err := readFilter(r); kernel.CodeOf(err) != kernel.NotFound {
		t.Errorf("without a workspace the instance's chain would be shown: %v", err)
	}
}

func TestEraseRemovesOneWorkspaceOnly(t *testing.T) {
	each(t, func(t *testing.T, m *Module, c *clock) {
		m.mustRecord(t, sample("ws1", 2)...)
		m.mustRecord(t, sample("", 2)...)
		if n, err := m.erase(t.Context(), "ws1"); err != nil || n != 2 {
			t.Fatalf("%d, %v", n, err)
		}
		if n, err := m.erase(t.Context(), ""); err != nil || n != 0 {
			t.Fatalf("the instance's chain: %d, %v", n, err)
		}
		if r := m.mustVerify(t); r.Chains != 1 || r.Events != 2 || len(r.Broken) != 0 {
			t.Fatalf("got %+v", r)
		}
	})
}

// TestCanonicalEncoding holds the hash fast: a change of it would break every chain out there.
func TestCanonicalEncoding(t *testing.T) {
	t.Parallel()
	l := &line{chain: "ws", seq: 1, at: 1767225600000000, actorKind: "account", actorID: "a", actorLabel: "a@b.c",
		action: "x.y", target: "t", detail: "d", ip: "192.0.2.1", result: "ok", salt: make([]byte, 32), prev: genesis("ws")}
	l.seal()
	moved := *l
	moved.action, moved.target = "x.yt", ""
	moved.seal()
	if bytes.Equal(moved.hash, l.hash) {
		t.Error("two different lines have one encoding")
	}
	const want = "5a90da0a89887f618cbc6fbc951a60bf67d2031bca4659e85fea9ff771419878"
	if got := fmt.Sprintf("%x", l.hash); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestRecordCleansTexts(t *testing.T) {
	each(t, func(t *testing.T, m *Module, c *clock) {
		m.mustRecord(t, Event{WorkspaceID: "ws1", Action: "x", Detail: "a\x00b\n" + strings.Repeat("é", 2000) + "\xff"})
		if r := m.mustVerify(t); len(r.Broken) != 0 {
			t.Fatalf("got %+v", r)
		}
		entries, _, err := m.List(t.Context(), Filter{WorkspaceID: "ws1"})
		if err != nil || !strings.HasPrefix(entries[0].Detail, "a b é") || len(entries[0].Detail) > 1000 {
			t.Fatalf("%v %q", err, entries[0].Detail)
		}
	})
}

func TestRecordTakesTheActorOfTheRequest(t *testing.T) {
	each(t, func(t *testing.T, m *Module, c *clock) {
		ctx := httpx.WithActor(t.Context(), httpx.Actor{AccountID: "a9", Email: "zoe@example.org"})
		record := func(ctx context.Context) error {
			return m.db.Tx(ctx, func(tx *db.Tx) error { return Record(ctx, tx, Event{WorkspaceID: "ws1", Action: "x"}) })
		}
		if err := record(ctx); err != nil {
			t.Fatal(err)
		}
		entries, _, err := m.List(t.Context(), Filter{WorkspaceID: "ws1"})
		if err != nil || entries[0].Actor != "zoe@example.org" || entries[0].ActorKind != "account" {
			t.Fatalf("%v %+v", err, entries)
		}
	})
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	var b []byte
	if _, err := fmt.Sscanf(s, "%x", &b); err != nil {
		t.Fatal(err)
	}
	return b
}
