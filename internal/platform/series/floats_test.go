package series

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

// randomChunk is a chunk of samples that are regular, late, early, far apart, alike, wild, stale.
func randomChunk(r *rand.Rand) *chunkenc.XOR2Chunk {
	c := chunkenc.NewXOR2Chunk()
	app, err := c.Appender()
	if err != nil {
		panic(err)
	}
	t, every, v := r.Int64N(2e12)-1e11, 1+r.Int64N(60_000), 0.0
	jitter := []int64{1, 1, 30, 5000, 1e6, 1e12}[r.IntN(6)]
	kind, start := r.IntN(7), int64(0)
	if r.IntN(3) == 0 {
		start = t - r.Int64N(1e9)
	}
	for range 1 + r.IntN(130) {
		switch {
		case kind == 0 || r.IntN(20) == 0:
			v = math.Float64frombits(r.Uint64())
		case kind == 1:
			v += float64(r.IntN(1500)) / 100
		case kind == 2:
			v = float64(r.IntN(3))
		case kind == 3:
			v = 1e9 + float64(r.IntN(1e6))*4096
		case kind == 4 && r.IntN(3) == 0:
			v = math.Float64frombits(value.StaleNaN)
		}
		app.Append(start, t, v)
		t += max(1, every+r.Int64N(jitter)-jitter/2*int64(r.IntN(2)))
	}
	return c
}

// TestFloatsAreThoseOfTheChunk goes through chunks in random steps, side by side with their own iterators.
func TestFloatsAreThoseOfTheChunk(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(5, 11))
	simples := 0
	var mine chunkenc.Iterator
	for range 5_000 {
		c := randomChunk(r)
		if simple(c) {
			simples++
		}
		first, last := int64(0), int64(0)
		for it := c.Iterator(nil); it.Next() != chunkenc.ValNone; last = it.AtT() {
			if last == 0 {
				first = it.AtT()
			}
		}
		its := c.Iterator(nil)
		mine = endingChunk{c, last}.Iterator(mine)
		step := func() int64 { return r.Int64N(max(1, (last-first)/int64(1+r.IntN(40)))) }
		for at := first - 1; ; {
			var a, b chunkenc.ValueType
			if r.IntN(3) == 0 {
				a, b = its.Next(), mine.Next()
			} else {
				at += step() - step()/8
				a, b = its.Seek(at), mine.Seek(at)
			}
			if a != b {
				t.Fatalf("%v, want %v", b, a)
			}
			if a == chunkenc.ValNone {
				break
			}
			t1, v1 := its.At()
			t2, v2 := mine.At()
			if t1 != t2 || math.Float64bits(v1) != math.Float64bits(v2) || its.AtST() != mine.AtST() || mine.AtT() != t1 {
				t.Fatalf("%d %v since %d, want %d %v since %d", t2, v2, mine.AtST(), t1, v1, its.AtST())
			}
		}
		if its.Err() != nil || mine.Err() != nil || mine.Next() != chunkenc.ValNone {
			t.Fatal(its.Err(), mine.Err(), "or it goes on after its end")
		}
	}
	if simples < 2_500 {
		t.Error("only", simples, "chunks were read by floats")
	}
}

// FuzzFloats gives whatever bytes: what is not broken is read as by Prometheus, and what is comes to an end.
func FuzzFloats(f *testing.F) {
	r := rand.New(rand.NewPCG(2, 3))
	for range 20 {
		f.Add(randomChunk(r).Bytes())
	}
	f.Fuzz(func(t *testing.T, chunk []byte) {
		c := chunkenc.NewXOR2Chunk()
		if c.Reset(chunk); len(chunk) < xor2Header || !simple(c) {
			return
		}
		type sample struct {
			t int64
			v uint64
		}
		read := func(it chunkenc.Iterator) (all []sample) {
			for it.Next() != chunkenc.ValNone {
				if at, v := it.At(); len(all) <= math.MaxUint16 {
					all = append(all, sample{at, math.Float64bits(v)})
				} else {
					t.Fatal("goes on for ever")
				}
			}
			return all
		}
		its, mine := c.Iterator(nil), &floats{}
		mine.reset(chunk)
		if want, got := read(its), read(mine); its.Err() == nil && mine.err == nil && !slices.Equal(got, want) {
			t.Fatalf("%v (%v), want %v", got, mine.err, want)
		}
	})
}

// BenchmarkFloats reads a chunk of 120 samples, as Prometheus does and as we do.
func BenchmarkFloats(b *testing.B) {
	c := chunkenc.NewXOR2Chunk()
	app, _ := c.Appender()
	r, v := rand.New(rand.NewPCG(1, 1)), 0.0
	for i := range int64(120) {
		v += float64(r.IntN(1500)) / 100
		app.Append(0, 1_795_176_000_000+i*15_000, v)
	}
	for name, chunk := range map[string]chunkenc.Chunk{"theirs": c, "ours": endingChunk{c, math.MaxInt64}} {
		b.Run(name+" by seeking", func(b *testing.B) {
			var it chunkenc.Iterator
			for b.Loop() {
				it = chunk.Iterator(it)
				it.Seek(1_795_176_000_000 + 119*15_000)
			}
		})
		b.Run(name+" one by one", func(b *testing.B) {
			var it chunkenc.Iterator
			for b.Loop() {
				it = chunk.Iterator(it)
				for it.Next() != chunkenc.ValNone {
				}
			}
		})
	}
}
