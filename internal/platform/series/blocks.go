package series

import (
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
)

// queryBlock opens a querier for a block. What is on disk is read by chunks that know when they end: who seeks beyond that
// need not read them to find out. What is in memory is read as it is.
func queryBlock(b tsdb.BlockReader, mint, maxt int64) (storage.Querier, error) {
	if _, onDisk := b.(*tsdb.Block); onDisk {
		b = block{b}
	}
	return tsdb.NewBlockQuerier(b, mint, maxt)
}

type block struct{ tsdb.BlockReader }

// Chunks implements tsdb.BlockReader.
func (b block) Chunks() (tsdb.ChunkReader, error) {
	r, err := b.BlockReader.Chunks()
	if err != nil {
		return nil, err
	}
	return chunkReader{r}, nil
}

type chunkReader struct{ tsdb.ChunkReader }

// ChunkOrIterable implements tsdb.ChunkReader.
func (r chunkReader) ChunkOrIterable(meta chunks.Meta) (chunkenc.Chunk, chunkenc.Iterable, error) {
	c, i, err := r.ChunkReader.ChunkOrIterable(meta)
	if c != nil {
		c = endingChunk{c, meta.MaxTime}
	}
	return c, i, err
}

// endingChunk is a chunk of which is known when its last sample is.
type endingChunk struct {
	chunkenc.Chunk
	last int64
}

// Iterator implements chunkenc.Iterable.
func (c endingChunk) Iterator(it chunkenc.Iterator) chunkenc.Iterator {
	e, ok := it.(*endingIterator)
	if !ok {
		e = &endingIterator{}
	}
	e.last, e.over = c.last, false
	if simple(c.Chunk) {
		e.floats.reset(c.Bytes())
		e.Iterator = &e.floats
	} else {
		e.other = c.Chunk.Iterator(e.other)
		e.Iterator = e.other
	}
	return e
}

// endingIterator goes through a chunk, but not to its end to see that there is nothing after it.
type endingIterator struct {
	chunkenc.Iterator // floats, or the other
	floats            floats
	other             chunkenc.Iterator
	last              int64
	over              bool
}

// Next implements chunkenc.Iterator.
func (e *endingIterator) Next() chunkenc.ValueType {
	if e.over {
		return chunkenc.ValNone
	}
	return e.Iterator.Next()
}

// Seek implements chunkenc.Iterator.
func (e *endingIterator) Seek(t millis) chunkenc.ValueType {
	if e.over = e.over || t > e.last; e.over {
		return chunkenc.ValNone
	}
	return e.Iterator.Seek(t)
}
