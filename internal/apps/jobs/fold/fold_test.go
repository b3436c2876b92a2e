package fold

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/kept-dev/kept/wire/jobviz"
)

const t0 = 1772000000000 // ms

// story makes events from words such as "waiting@0 active@120 failed~@200": ms behind t0; ~ is [retrying], #n a content
// hash, >ms the due time of a delayed.
func story(text string) []Event {
	var out []Event
	var occ Occurrences
	for i, word := range strings.Fields(text) {
		name, rest, _ := strings.Cut(word, "@")
		e := Event{Offset: int64(i), Arg: -1}
		if strings.HasSuffix(name, "~") {
			name, e.Flags = strings.TrimSuffix(name, "~"), WillRetry
		}
		if at, due, ok := strings.Cut(rest, ">"); ok {
			rest = at
			fmt.Sscan(due, &e.Arg)
			e.Arg = (t0 + e.Arg) * 1000
		}
		if at, hash, ok := strings.Cut(rest, "#"); ok {
			rest = at
			fmt.Sscan(hash, &e.Hash)
		}
		fmt.Sscan(rest, &e.At)
		e.At = (t0 + e.At) * 1000
		e.Type = jobviz.ParseType([]byte(name))
		e.Nth = occ.Next(e)
		out = append(out, e)
	}
	return out
}

func set(events ...Event) Set {
	var s Set
	for _, e := range events {
		s, _ = s.Add(e)
	}
	return s
}

// tell writes runs as one line each.
func tell(runs []Run) string {
	var lines []string
	for _, r := range runs {
		ms := func(us int64) string {
			if us == NotKnown {
				return "?"
			}
			return fmt.Sprint(us / 1000)
		}
		line := fmt.Sprintf("%s tries=%d wait=%s run=%s total=%s", r.Status, r.Tries, ms(r.Wait), ms(r.Duration), ms(r.Total))
		for _, a := range r.Attempts {
			line += fmt.Sprintf(" [%s %s]", a.Outcome, ms(a.Duration))
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, " | ")
}

func TestFold(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ story, want string }{
		"plain":                    {"waiting@0 active@120 completed@300", "completed tries=1 wait=120 run=180 total=300 [succeeded 180]"},
		"in the queue":             {"waiting@0", "waiting tries=0 wait=? run=? total=?"},
		"running":                  {"waiting@0 active@5", "active tries=1 wait=5 run=? total=? [running ?]"},
		"only the end (bee-queue)": {"completed@300", "completed tries=1 wait=? run=? total=0 [succeeded ?]"},
		"only a log line":          {"progress@5#1", "unknown tries=0 wait=? run=? total=?"},
		"delayed until due (BullMQ)": {"delayed@0>5000 waiting@5001 active@5003 completed@5010",
			"completed tries=1 wait=2 run=7 total=5010 [succeeded 7]"},
		"delayed and never waiting": {"delayed@0>5000 active@5200 completed@5210", "completed tries=1 wait=200 run=10 total=5210 [succeeded 10]"},
		"retry with backoff (BullMQ)": {"waiting@0 active@10 delayed@20>1020 waiting@1021 active@1022 completed@1030",
			"completed tries=2 wait=10 run=8 total=1030 [put back 10] [succeeded 8]"},
		"retry at once (BullMQ)": {"waiting@0 active@1 waiting@3 active@4 waiting@6 active@7 failed@9",
			"failed tries=3 wait=1 run=2 total=9 [put back 2] [put back 2] [failed 2]"},
		"retry within one millisecond": {"waiting@0 active@0 waiting@0 active@0 failed@0",
			"failed tries=2 wait=0 run=0 total=0 [put back 0] [failed 0]"},
		"retry (bee-queue)": {"failed~@100 failed~@7000 completed@14000", "completed tries=3 wait=? run=? total=13900 [failed ?] [failed ?] [succeeded ?]"},
		"retry (Laravel)": {"waiting@0 active@10 failed~@20 active@3000 failed@3010#1 failed@3011#2",
			"failed tries=2 wait=10 run=10 total=3010 [failed 10] [failed 10]"},
		"retry (Symfony)":                 {"active@0 failed~@10 delayed@11>1011 active@1012 completed@1020", "completed tries=2 wait=? run=8 total=1020 [failed 10] [succeeded 8]"},
		"stall (BullMQ)":                  {"waiting@0 active@1 waiting@30000 stalled@30000 active@30005 completed@30010", "completed tries=2 wait=1 run=5 total=30010 [stalled 29999] [succeeded 5]"},
		"stalled for good":                {"waiting@0 active@1 waiting@30000 stalled@30000", "stalled tries=1 wait=1 run=29999 total=? [stalled 29999]"},
		"Agenda completes what it failed": {"active@0 failed@10 completed@10", "failed tries=1 wait=? run=10 total=10 [failed 10]"},
		"Agenda runs again":               {"active@0 completed@10 active@60000 completed@60020", "completed tries=1 wait=? run=10 total=10 [succeeded 10] | completed tries=1 wait=? run=20 total=20 [succeeded 20]"},
		"run again after a failure":       {"waiting@0 active@1 failed@2 waiting@9000 active@9001 completed@9002", "failed tries=1 wait=1 run=1 total=2 [failed 1] | completed tries=1 wait=1 run=1 total=2 [succeeded 1]"},
		"an agent that overtakes itself":  {"completed@100 waiting@101 active@102", "completed tries=1 wait=1 run=0 total=0 [succeeded 0]"},
		"a retry's waiting that is stamped behind the end (BullMQ)": {"waiting@0 active@1 waiting@3 active@5 completed@6 waiting@10",
			"completed tries=2 wait=1 run=1 total=6 [put back 2] [succeeded 1]"},
		"a retry's waiting that is stamped behind its active (BullMQ)": {"waiting@0 active@1 delayed@5>205 active@206 waiting@210 completed@211",
			"completed tries=2 wait=1 run=5 total=211 [put back 4] [succeeded 5]"},
		"an id that is used again at once": {"waiting@0 active@1 completed@6 waiting@700 active@701 completed@702",
			"completed tries=1 wait=1 run=5 total=6 [succeeded 5] | completed tries=1 wait=1 run=1 total=2 [succeeded 1]"},
		"replicas": {"waiting@0 waiting@3 active@120 active@123 completed@300 completed@303", "completed tries=1 wait=120 run=180 total=300 [succeeded 180]"},
		"a second active after long is an attempt": {"waiting@0 active@10 active@20000 completed@20010", "completed tries=2 wait=10 run=10 total=20010 [lost 19990] [succeeded 10]"},
	} {
		if got := tell(Fold(set(story(c.story)...))); got != c.want {
			t.Errorf("%s: %s\n got %s\nwant %s", name, c.story, got, c.want)
		}
	}
}

func TestFoldIsBlindToReplicasInTheirOwnRequests(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"waiting@0 active@1 waiting@3 active@4 waiting@6 active@7 failed@9",
		"waiting@0 active@10 delayed@20>1020 waiting@1021 active@1022 completed@1030",
		"waiting@0 active@5 progress@7#1 progress@9#2 completed@30",
	} {
		one := story(text)
		two := story(text)
		for i := range two {
			two[i].At += 3000
			two[i].Offset += 100
		}
		want, got := tell(Fold(set(one...))), tell(Fold(set(append(one, two...)...)))
		if got != want {
			t.Errorf("%s\n got %s\nwant %s", text, got, want)
		}
	}
}

func TestFoldKeepsDifferentLogLines(t *testing.T) {
	t.Parallel()
	runs := Fold(set(story("active@0 progress@1#1 progress@1#2 progress@2#1 progress@500#1")...))
	if n := len(runs[0].Steps); n != 4 { // the line at 2 ms is a copy of that at 1 ms
		t.Errorf("%d steps, want 4", n)
	}
}

func TestOccurrencesSeeARepeatedStream(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"waiting@0 active@0 completed@0", "waiting@0 active@5 progress@6", "waiting@0 active@1 waiting@2 active@3 failed@4"} {
		twice := set(story(text + " " + text)...)
		if once := set(story(text)...); len(twice) != len(once) {
			t.Errorf("%s: repeated in one request, %d events become %d", text, len(once), len(twice))
		}
	}
}

// randomStory makes a plausible mess: several runs, retries, replicas and missing steps.
func randomStory(r *rand.Rand) []Event {
	words := []string{"waiting", "active", "completed", "failed", "failed~", "delayed", "stalled", "progress"}
	var b strings.Builder
	at := 0
	for range 1 + r.IntN(25) {
		at += []int{0, 0, 1, 3, 50, 900, 6000}[r.IntN(7)]
		fmt.Fprintf(&b, "%s@%d#%d ", words[r.IntN(len(words))], at, r.IntN(2))
	}
	return story(b.String())
}

func TestFoldIsOrderFreeAndIdempotent(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 1))
		events := randomStory(r)
		want := fmt.Sprint(Fold(set(events...)))

		mess := slices.Concat(events, events[:r.IntN(len(events)+1)]) // repeated in part
		r.Shuffle(len(mess), func(i, j int) { mess[i], mess[j] = mess[j], mess[i] })
		cut := r.IntN(len(mess) + 1)
		merged := Union(set(mess[:cut]...), set(mess[cut:]...)) // split over two parts
		if got := fmt.Sprint(Fold(merged)); got != want {
			t.Fatalf("seed %d\n got %s\nwant %s", seed, got, want)
		}
	}
}

func TestFoldNeverTellsNegativeSpans(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3000) {
		for _, run := range Fold(set(randomStory(rand.New(rand.NewPCG(seed, 2)))...)) {
			for _, span := range []int64{run.Wait, run.Duration, run.Total} {
				if span < NotKnown {
					t.Fatalf("seed %d: %+v", seed, run)
				}
			}
			for _, a := range run.Attempts {
				if a.Duration < NotKnown || a.Failure >= len(run.Steps) {
					t.Fatalf("seed %d: %+v", seed, a)
				}
			}
			if run.Status.Over() && run.Finished == 0 {
				t.Fatalf("seed %d: over without an end: %+v", seed, run)
			}
		}
	}
}

func TestTrimCommutesWithUnion(t *testing.T) {
	t.Parallel()
	var a, b Set
	for i := range 3 * MaxProgress {
		e := Event{At: int64(i), Type: jobviz.Progress, Hash: uint32(i)}
		if i%2 == 0 {
			a, _ = a.Add(e)
		} else {
			b, _ = b.Add(e)
		}
	}
	whole := Union(slices.Clone(a), b).Trim()
	parts := Union(slices.Clone(a).Trim(), slices.Clone(b).Trim()).Trim()
	if !slices.Equal(whole, parts) {
		t.Fatalf("%d events trimmed as a whole, %d in parts", len(whole), len(parts))
	}
}

func BenchmarkFold(b *testing.B) {
	s := set(story("waiting@0 active@120 progress@130 completed@300")...)
	for b.Loop() {
		Fold(s)
	}
}
