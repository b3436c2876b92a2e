package series

import (
	"math"
	"testing"

	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

// filled is an XOR2 chunk with n samples, and start times from the sample starts on; negative: none.
func filled(t *testing.T, n, starts int) chunkenc.Chunk {
	t.Helper()
	c := chunkenc.NewXOR2Chunk()
	app, err := c.Appender()
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		at, v, start := int64(i)*5000, float64(i/7), int64(0)
		switch {
		case i == 100:
			v = math.Float64frombits(value.StaleNaN)
		case i == 101:
			at += 385
		}
		if starts >= 0 && i >= starts {
			start = 4000
		}
		app.Append(start, at, v)
	}
	return c
}

type readSample struct {
	start, at int64
	v         uint64
}

func points(c chunkenc.Chunk) (out []readSample) {
	it := c.Iterator(nil)
	for it.Next() == chunkenc.ValFloat {
		at, v := it.At()
		out = append(out, readSample{it.AtST(), at, math.Float64bits(v)})
	}
	return out
}

// TestLeanChunks: a chunk of more than 127 samples without start times loses the room for them and nothing else; the others
// stay as they are.
func TestLeanChunks(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		n, starts int
		leaner    bool
	}{{1, -1, false}, {120, -1, false}, {127, -1, false}, {145, -1, true}, {239, -1, true}, {145, 0, false}, {145, 3, false}, {200, 127, false}, {200, 150, false}} {
		before := filled(t, c.n, c.starts)
		after := lean(before)
		if (after != before) != c.leaner {
			t.Errorf("%d samples, start times from %d on: changed %v", c.n, c.starts, after != before)
		}
		if c.leaner && len(after.Bytes()) > len(before.Bytes())*3/4 {
			t.Errorf("%d samples: %d bytes of %d", c.n, len(after.Bytes()), len(before.Bytes()))
		}
		was, is := points(before), points(after)
		if len(was) != c.n || len(is) != c.n {
			t.Fatalf("%d samples: %d before, %d after", c.n, len(was), len(is))
		}
		for i := range was {
			if was[i] != is[i] {
				t.Errorf("%d samples: sample %d was %v and is %v", c.n, i, was[i], is[i])
			}
		}
	}
}
