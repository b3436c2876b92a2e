package e2e_test

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/app"
	"github.com/kept-dev/kept/internal/apps/jobs"
	"github.com/kept-dev/kept/internal/platform/config"
	"github.com/kept-dev/kept/internal/testkit/external"
	"github.com/kept-dev/kept/internal/testkit/pgtest"
)

const (
	killRounds = 6   // on SQLite, unless KEPT_KILL_ROUNDS says otherwise; a third of it on PostgreSQL
	killAfter  = 50  // acknowledged requests in a round, at most
	inDetail   = 200 // jobs that are looked at one by one, unless KEPT_KILL_ROUNDS is set: then all
	earlyKill  = 400 * time.Millisecond
)

// TestKill kills the server again and again while clients report to it. Whatever was acknowledged must be there in the
// end, and once. Clients do what agents do: they send a batch again until it is acknowledged, and then never again.
func TestKill(t *testing.T) {
	t.Parallel()
	rounds, most := killRounds, inDetail
	if n, err := strconv.Atoi(os.Getenv("KEPT_KILL_ROUNDS")); err == nil {
		rounds, most = n, math.MaxInt
	}
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		killAndCount(t, &place{data: t.TempDir()}, rounds, most)
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		killAndCount(t, &place{data: t.TempDir(), database: pgtest.URL(t)}, rounds/3, most)
	})
}

func killAndCount(t *testing.T, p *place, rounds, most int) {
	f := newReporters(t, p.setup(t))
	for i := range rounds {
		s := p.serve(t)
		var moment <-chan time.Time
		if i%5 == 4 {
			moment = time.After(rand.N(earlyKill))
		}
		f.killAt(s, 1+rand.IntN(killAfter), moment)
	}
	s := p.serve(t)
	f.reportUntil(s, killAfter, nil)
	f.finish()
	url := s.url(t)
	want := f.jobs()
	t.Logf("%d kills, %d requests acknowledged, %d had to be sent again, %d jobs of %d events",
		rounds, f.acknowledged.Load(), f.again.Load(), len(want), f.events())
	visible(t, url, f.key, want)
	before := list(t, url, f.key)
	listed(t, before, want)
	details(t, p, want, most)

	p.run(t, "jobs", "rebuild")
	same(t, "after a rebuild beside the server", before, list(t, url, f.key))
	s.kill(t)
	s = p.serve(t)
	url = s.url(t)
	visible(t, url, f.key, want)
	same(t, "after a rebuild and another kill", before, list(t, url, f.key))
	s.kill(t)
}

// visible waits until the counts of the queues are those of the jobs.
func visible(t *testing.T, url, key string, want map[string]expected) {
	t.Helper()
	counts := map[string]map[string]int{}
	for _, e := range want {
		if counts[e.queue] == nil {
			counts[e.queue] = map[string]int{}
		}
		counts[e.queue][e.status]++
	}
	deadline := time.After(patience)
	look := time.NewTicker(100 * time.Millisecond) // what was acknowledged before a kill is folded at the next start
	defer look.Stop()
	for {
		got := map[string]map[string]int{}
		var page jobs.QueueListJSON
		get(t, url+"/api/v1/queues", key, &page)
		for _, q := range page.Queues {
			got[q.Queue] = q.ByStatus
		}
		if fmt.Sprint(got) == fmt.Sprint(counts) {
			return
		}
		select {
		case <-look.C:
		case <-deadline:
			t.Fatalf("after %v the queues have\n%v, want\n%v", patience, got, counts)
		}
	}
}

// list reads all runs, as JSON texts in the order of the list.
func list(t *testing.T, url, key string) (all []string) {
	t.Helper()
	for cursor := ""; ; {
		var page struct {
			Jobs []rawJob
			Next *string
		}
		get(t, url+"/api/v1/jobs?limit=500&cursor="+cursor, key, &page)
		for _, j := range page.Jobs {
			all = append(all, string(j))
		}
		if page.Next == nil {
			return all
		}
		cursor = *page.Next
	}
}

// listed checks that each job is in the list once, as it must be.
func listed(t *testing.T, rows []string, want map[string]expected) {
	t.Helper()
	seen := map[string]bool{}
	for _, text := range rows {
		var row jobs.JobJSON
		decode(t, text, &row)
		e, known := want[row.ID]
		switch {
		case !known:
			t.Errorf("nobody reported %s", text)
		case seen[row.ID]:
			t.Errorf("listed twice: %s", text)
		case row.Queue != e.queue || row.Status != e.status || row.Run != 1 || row.Attempts != 1:
			t.Errorf("%s in %s, attempt 1, was acknowledged; listed is %s", e.status, e.queue, text)
		}
		seen[row.ID] = true
	}
	if lost := len(want) - len(seen); lost != 0 {
		t.Errorf("%d of %d jobs are lost", lost, len(want))
	}
}

// details looks at jobs by themselves: one run, each step once, and the payload. It reads beside the server, which would
// not let one client ask so much.
func details(t *testing.T, p *place, want map[string]expected, most int) {
	t.Helper()
	cfg := config.Default()
	cfg.Data, cfg.Database = p.data, config.Secret(p.database)
	beside, err := app.Open(t.Context(), cfg, app.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { external.Check(t, beside.Stop(context.WithoutCancel(t.Context()))) }()
	for _, id := range chosen(want, most) {
		e := want[id]
		job, err := beside.Jobs().Detail(t.Context(), p.workspace, e.queue, id, 0)
		if err != nil {
			t.Errorf("%s: %v", id, err)
			continue
		}
		if len(job.Runs) != 1 || len(job.Steps) != e.steps || string(job.Input) != e.input {
			t.Errorf("%s has %d runs, %d steps and %s; want 1, %d and %s", id, len(job.Runs), len(job.Steps), job.Input, e.steps, e.input)
		}
	}
}

// chosen are some jobs, in no order. Three of four, if there are so many, had events sent more than once: with those it
// can go wrong.
func chosen(want map[string]expected, most int) []string {
	var unsure, calm []string
	for id, e := range want {
		if e.unsure {
			unsure = append(unsure, id)
		} else {
			calm = append(calm, id)
		}
	}
	calm = calm[:min(len(calm), max(most/4, most-len(unsure)))]
	return append(calm, unsure[:min(len(unsure), most-len(calm))]...)
}

func same(t *testing.T, when string, before, after []string) {
	t.Helper()
	if len(before) != len(after) {
		t.Errorf("%s %d runs are listed, before %d", when, len(after), len(before))
		return
	}
	for i := range before {
		if before[i] != after[i] {
			t.Errorf("%s row %d is\n%s, before\n%s", when, i, after[i], before[i])
			return
		}
	}
}
