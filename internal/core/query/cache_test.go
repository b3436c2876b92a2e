package query_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kept-dev/kept/internal/core/query"
)

// answerText is a result in full.
func answerText(a query.Answer, err error) string {
	if err != nil {
		return "error: " + err.Error()
	}
	return fmt.Sprintf("%s %v", a.Value, a.Warnings)
}

// TestCacheIsInvisible asks at random while samples arrive, some in time, some late, some hours late; what the cache
// contributes to must be what is found without it, bit for bit.
func TestCacheIsInvisible(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			r := rand.New(rand.NewPCG(seed, 7))
			all := fixture()
			var exprs []string
			for _, template := range templates {
				if !strings.Contains(template, "{__name__=~") {
					exprs = append(exprs, expand(template)...)
				}
			}
			exprs = exprs[:len(exprs)-12]
			favourites := make([]string, 8)
			for i := range favourites {
				favourites[i] = exprs[r.IntN(len(exprs))]
			}
			type late struct{ series, from, until int }
			var held []late
			written := 0
			for range 60 {
				next := min(720, written+1+r.IntN(25))
				for i := range all {
					if r.IntN(8) == 0 { // its agent is offline
						held = append(held, late{i, written, next})
						continue
					}
					load(t, w.store, testWS, all[i:i+1], at(written), at(next))
				}
				written = next
				if len(held) > 0 && r.IntN(3) == 0 {
					i := r.IntN(len(held))
					load(t, w.store, testWS, all[held[i].series:held[i].series+1], at(held[i].from), at(held[i].until))
					held = append(held[:i], held[i+1:]...)
				}
				w.now = time.UnixMilli(at(written))
				for range 6 {
					step := []time.Duration{15 * time.Second, time.Minute, 7 * time.Second}[r.IntN(3)]
					end := at(written - r.IntN(40)*r.IntN(2))
					s := query.Span{From: time.UnixMilli(end).Add(-step * time.Duration(1+r.IntN(60))), To: time.UnixMilli(end), Step: step}
					if r.IntN(5) > 0 {
						s = s.Aligned()
					}
					q := query.Question{Expr: favourites[r.IntN(len(favourites))], Span: s}
					got := answerText(w.Ask(t.Context(), testWS, q))
					q.Fresh = true
					if want := answerText(w.Ask(t.Context(), testWS, q)); got != want {
						t.Fatalf("%+v\n got %.3000s\nwant %.3000s", q, got, want)
					}
				}
			}
			if cached, evaluated := w.Cached(); cached < 200 {
				t.Errorf("%d steps from the cache, %d evaluated", cached, evaluated)
			}
		})
	}
}

// TestPartsMakeTheWhole asks for long spans, which are evaluated in parts, and compares with one evaluation.
func TestPartsMakeTheWhole(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.SetParts(4)
	all := fixture()
	for i := 0; i < 720; i += 40 {
		load(t, w.store, testWS, all, at(i), at(i+40))
	}
	s := query.Span{From: time.UnixMilli(fixtureStart).Add(-5 * time.Hour), To: time.UnixMilli(fixtureStart).Add(8 * time.Hour), Step: 7 * time.Minute}
	found := 0
	for i, template := range templates {
		for j, expr := range expand(template) {
			if (i+j)%6 > 0 {
				continue
			}
			q := query.Question{Expr: expr, Span: s}
			got := answerText(w.Ask(t.Context(), testWS, q))
			q.Fresh = true
			want := answerText(w.Ask(t.Context(), testWS, q))
			if got != want {
				t.Fatalf("%s\n got %.2000s\nwant %.2000s", expr, got, want)
			}
			if len(want) > 200 {
				found++
			}
		}
	}
	if found < 40 {
		t.Errorf("only %d expressions found anything", found)
	}
}

func at(i int) int64 { return fixtureStart + int64(i)*fixtureStep }

// TestCacheForgetsWhatIsErased: another workspace never sees it, and after erasure nobody does.
func TestCacheForgetsWhatIsErased(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	load(t, w.store, testWS, fixture(), fixtureStart, at(240))
	q := query.Question{Expr: "sum(demo_num_cpus)", Span: query.Span{From: time.UnixMilli(fixtureStart), To: time.UnixMilli(at(239)), Step: time.Minute}}
	full := answerText(w.Ask(t.Context(), testWS, q))
	if again := answerText(w.Ask(t.Context(), testWS, q)); again != full || !strings.Contains(full, "14 @") {
		t.Fatalf("%.200s, then %.200s", full, again)
	}
	if cached, _ := w.Cached(); cached == 0 {
		t.Error("the second time nothing came from the cache")
	}
	if other := answerText(w.Ask(t.Context(), otherWS, q)); strings.Contains(other, "14 @") {
		t.Errorf("another workspace sees %.200s", other)
	}
	if err := w.store.Erase(t.Context(), testWS); err != nil {
		t.Fatal(err)
	}
	if after := answerText(w.Ask(t.Context(), testWS, q)); strings.Contains(after, "14 @") {
		t.Errorf("after erasure %.200s", after)
	}
}

// TestTheSameIsEvaluatedOnce has twenty ask for the same at once, while nothing is in the cache.
func TestTheSameIsEvaluatedOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	load(t, w.store, testWS, fixture(), at(0), at(240))
	q := query.Question{Expr: "rate(demo_requests_total[5m])", Span: query.Span{From: time.UnixMilli(at(0)), To: time.UnixMilli(at(239)), Step: 15 * time.Second}}
	answers := make([]string, 20)
	var all sync.WaitGroup
	for i := range answers {
		all.Go(func() {
			q := q
			if i%2 == 0 {
				q.Expr = "topk(2, " + q.Expr + ")"
			}
			answers[i] = answerText(w.Ask(t.Context(), testWS, q))
		})
	}
	all.Wait()
	for i := range answers {
		if answers[i] != answers[i%2] || strings.Contains(answers[i], "error") {
			t.Errorf("%.300s, and %.300s", answers[i], answers[i%2])
		}
	}
	if _, evaluated := w.Cached(); evaluated != 240 {
		t.Errorf("%d steps were evaluated, not each once", evaluated)
	}
}

// TestWaitingForTheSameEnds: who goes away while another evaluates the same does not wait for that.
func TestWaitingForTheSameEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := query.NewResultCache()
		done := c.Begin(t.Context(), "x")
		ctx, cancel := context.WithCancel(t.Context())
		var left, last bool
		go func() { c.Begin(ctx, "x")(); left = true }()
		go func() { c.Begin(t.Context(), "x")(); last = true }()
		c.Begin(t.Context(), "y")()
		cancel()
		synctest.Wait()
		if !left || last {
			t.Error("who left", left, "who stayed", last)
		}
		done()
		synctest.Wait()
		if !last {
			t.Error("waits on")
		}
	})
}
