package series

import (
	"math"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"

	"github.com/kept-dev/kept/internal/kernel"
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

// TestBlocksAreLean: two hours with a sample every 40 seconds are one chunk of 180 samples, and on disk it has no start times.
func TestBlocksAreLean(t *testing.T) {
	t.Parallel()
	store, err := OpenTSDB(Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	ws, begin := kernel.WorkspaceID(kernel.NewID(time.Now())), time.Now().Truncate(2*time.Hour).Add(-2*time.Hour)
	app := store.For(ws).AppenderV2(t.Context())
	for i := range 180 {
		if _, err := app.Append(0, labels.FromStrings("__name__", "m"), 0, begin.Add(time.Duration(i)*40*time.Second).UnixMilli(), float64(i/9), nil, nil, storage.AOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := app.Append(0, labels.FromStrings("__name__", "m"), 0, begin.Add(2*time.Hour).UnixMilli(), 1, nil, nil, storage.AOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := app.Commit(); err != nil {
		t.Fatal(err)
	}
	used, err := store.acquire(t.Context(), ws, toWrite)
	if err != nil {
		t.Fatal(err)
	}
	defer store.release(used)
	if err := store.writeHead(t.Context(), used, begin.Add(2*time.Hour).UnixMilli()); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(store.cfg.Dir, string(ws), "0*", "chunks"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	r, err := chunks.NewDirReader(files[0], nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	c, _, err := r.ChunkOrIterable(chunks.Meta{Ref: chunks.ChunkRef(chunks.SegmentHeaderSize)})
	if err != nil {
		t.Fatal(err)
	}
	if c.NumSamples() != 180 || c.Encoding() != chunkenc.EncXOR2 || c.Bytes()[2] != 0 {
		t.Errorf("%d samples in %s, with the header %x", c.NumSamples(), c.Encoding(), c.Bytes()[2])
	}
}
