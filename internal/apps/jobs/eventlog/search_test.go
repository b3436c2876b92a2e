package eventlog

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/kept-dev/kept/internal/platform/db/dbtest"
)

// glanceOf reads records back as searches do.
func glanceOf(t testing.TB, records []Record) *glance {
	t.Helper()
	var enc encoder
	meta, bodies := enc.encode(records)
	g, err := glanceAt(bytes.Clone(meta), 0)
	if err == nil {
		err = g.withData(bytes.Clone(bodies))
	}
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// naive tells whether a record has the needle, in the simplest way.
func naive(r *Record, needle string, whole bool) bool {
	isWord := func(c byte) bool {
		return c == '_' || c >= 0x80 || c >= '0' && c <= '9' || c >= 'a' && c <= 'z'
	}
	for _, text := range r.searched() {
		text := strings.ToLower(string(text))
		for i := range len(text) - len(needle) + 1 {
			if text[i:i+len(needle)] != needle {
				continue
			}
			end := i + len(needle)
			cutsFront := i > 0 && isWord(needle[0]) && isWord(text[i-1]) && !(i > 1 && text[i-2] == '\\')
			cutsBack := end < len(text) && isWord(needle[len(needle)-1]) && isWord(text[end])
			if !whole || !cutsFront && !cutsBack {
				return true
			}
		}
	}
	return false
}

// TestGlanceFindsWhatRecordsHold uses few letters, so that needles are in words, across them and across rows.
func TestGlanceFindsWhatRecordsHold(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 9))
	text := func() []byte {
		b := make([]byte, r.IntN(7))
		for i := range b {
			b[i] = `aAbB \n`[r.IntN(7)]
		}
		return b
	}
	for round := range 300 {
		records := make([]Record, r.IntN(40))
		for i := range records {
			records[i] = Record{Queue: text(), JobID: text(), Name: text(), Env: text(), ParentID: text(), TraceID: text(), Headline: text(), Data: text()}
			records[i].At = int64(i)
		}
		g := glanceOf(t, records)
		needle := strings.ToLower(string(text()))
		n, ok := NewNeedle(needle)
		if !ok {
			continue
		}
		for _, whole := range []bool{false, true} {
			var rows []int
			var want []Match
			for i := range records {
				if i%3 > 0 {
					rows = append(rows, i)
				}
				if naive(&records[i], needle, whole) {
					want = append(want, Match{At: int64(i), Queue: records[i].Queue, JobID: records[i].JobID})
				}
			}
			same := func(a, b Match) bool {
				return a.At == b.At && bytes.Equal(a.Queue, b.Queue) && bytes.Equal(a.JobID, b.JobID)
			}
			if got := g.find(n, whole); !slices.EqualFunc(got, want, same) {
				t.Fatalf("round %d, %q, whole %v:\n got %v\nwant %v", round, needle, whole, got, want)
			}
			want = slices.DeleteFunc(want, func(m Match) bool { return m.At%3 == 0 })
			if got := g.findIn(rows, n, whole); !slices.EqualFunc(got, want, same) {
				t.Fatalf("round %d, %q, whole %v, some rows:\n got %v\nwant %v", round, needle, whole, got, want)
			}
		}
	}
}

func TestSearchOfSomeJobs(t *testing.T) {
	t.Parallel()
	l := start(t, dbtest.Open(t, dbtest.SQLite(t)), nil)
	for block := range 4 {
		var records []Record
		for i := range 10 {
			r := someRecords(1, 1)[0]
			r.At, r.Queue, r.JobID, r.Data = int64(100*block+i), []byte("Q"), fmt.Append(nil, "job", block, "-", i), []byte(`"some word"`)
			records = append(records, r)
		}
		if err := l.Append(t.Context(), ws, records); err != nil {
			t.Fatal(err)
		}
	}
	n, _ := NewNeedle("word")
	s, err := l.Search(t.Context(), ws, n, 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	found := func(s *Search, jobs ...string) (at []int64) {
		only := NewJobSet()
		for _, j := range jobs {
			only.Add(j)
		}
		for s.More(0) {
			matches, err := s.Next(t.Context(), only)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range matches {
				at = append(at, m.At)
			}
		}
		return at
	}
	jobs := []string{"Q\x00job3-9", "Q\x00job1-3", "Q\x00job2-0", "R\x00job2-1", "Q\x00JOB2-2"}
	for span, want := range map[[2]int64][]int64{
		{0, 1000}:  {309, 200, 103},
		{109, 200}: {200, 103}, // blocks that touch the span
		{110, 199}: nil,
		{300, 300}: {309},
	} {
		if got := found(s.Within(span[0], span[1]), jobs...); !slices.Equal(got, want) {
			t.Errorf("within %v: %v, want %v", span, got, want)
		}
	}
	if got := found(s, "Q\x00job0-5"); !slices.Equal(got, []int64{5}) {
		t.Errorf("the search itself found %v", got)
	}
}

func TestErasedEventsAreNotFoundAgain(t *testing.T) {
	t.Parallel()
	l := start(t, dbtest.Open(t, dbtest.SQLite(t)), nil)
	r := someRecords(10, 1)
	r[3].Data = []byte(`"secret"`)
	if err := l.Append(t.Context(), ws, r); err != nil {
		t.Fatal(err)
	}
	if got := find(t, l, "secret"); len(got) != 1 {
		t.Fatalf("found %v", got)
	}
	if _, err := l.Erase(t.Context(), ws); err != nil {
		t.Fatal(err)
	}
	if err := l.Append(t.Context(), ws, someRecords(10, 1)); err != nil { // offsets begin at 0 again
		t.Fatal(err)
	}
	if got := find(t, l, "secret"); len(got) != 0 {
		t.Errorf("erased, and found in %v", got)
	}
}

func TestJobSetCounts(t *testing.T) {
	t.Parallel()
	s := NewJobSet()
	s.Add("q\x00a")
	s.Add("q\x00a")
	s.Remove("q\x00a")
	s.Remove("q\x00b")
	if !s.has([]byte("q"), []byte("a")) || s.Len() != 1 {
		t.Error("a job that was added twice and removed once is gone")
	}
	if s.Remove("q\x00a"); s.has([]byte("q"), []byte("a")) || s.Len() != 0 {
		t.Error("a job that was removed is still there")
	}
}

// FuzzGlance compares with what projections read.
func FuzzGlance(f *testing.F) {
	var enc encoder
	meta, bodies := enc.encode(someRecords(20, 1))
	f.Add(bytes.Clone(meta), bytes.Clone(bodies))
	f.Fuzz(func(t *testing.T, meta, bodies []byte) {
		records, err := decodeMeta(bytes.Clone(meta), 7, nil)
		if err == nil {
			err = decodeBodies(bytes.Clone(bodies), records)
		}
		g, glanceErr := glanceAt(bytes.Clone(meta), 7)
		if glanceErr == nil {
			glanceErr = g.withData(bytes.Clone(bodies))
		}
		if (err == nil) != (glanceErr == nil) {
			t.Fatalf("one is an error: %v, %v", err, glanceErr)
		}
		if err != nil {
			return
		}
		n, _ := NewNeedle("send-email")
		g.find(n, true)
		for i := range records {
			r := &records[i]
			got := [...]string{string(g.match(i).Queue), string(g.match(i).JobID), string(g.words[g.names[i]]), string(g.texts[3].text(i)), string(g.data.text(i))}
			want := [...]string{string(r.Queue), string(r.JobID), string(r.Name), string(lowerASCII(r.Headline)), string(lowerASCII(r.Data))}
			if got != want || g.at[i] != r.At {
				t.Fatalf("row %d: %v at %d, want %v at %d", i, got, g.at[i], want, r.At)
			}
		}
	})
}
