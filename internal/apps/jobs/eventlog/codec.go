package eventlog

import (
	"context"
	"fmt"
	"runtime"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"

	"github.com/kept-dev/kept/internal/apps/jobs/column"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/seal"
)

// Keys gives the sealing key of a workspace.
type Keys interface {
	Box(ctx context.Context, ws kernel.WorkspaceID) (*seal.Box, error)
}

// codec says how a part is compressed below its seal.
type codec int

const (
	codecS2   codec = 1 // fast: what ingest waits for
	codecZstd codec = 2 // dense: what stays
)

// maxPart bounds what one part may decompress to.
const maxPart = 256 << 20

// Packer compresses and seals parts of blocks, and the reverse. It is safe for concurrent use.
type Packer struct {
	enc   *zstd.Encoder
	quick *zstd.Encoder // for what is soon packed again
	dec   *zstd.Decoder
}

// NewPacker makes a Packer.
func NewPacker() *Packer {
	encoder := func(level zstd.EncoderLevel) *zstd.Encoder {
		enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(level), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20), zstd.WithEncoderCRC(false))
		if err != nil {
			panic("eventlog: options of zstd: " + err.Error())
		}
		return enc
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(runtime.GOMAXPROCS(0)), zstd.WithDecoderMaxMemory(maxPart))
	if err != nil {
		panic("eventlog: options of zstd: " + err.Error())
	}
	return &Packer{enc: encoder(zstd.SpeedDefault), quick: encoder(zstd.SpeedFastest), dec: dec}
}

// Pack compresses densely and seals. The label names the kind of part and is authenticated with it.
func (p *Packer) Pack(box *seal.Box, label string, plain []byte) ([]byte, error) {
	return box.Seal(p.enc.EncodeAll(plain, make([]byte, 0, len(plain)/3)), []byte(label))
}

// PackQuick is Pack for what is soon read and packed again: less dense, in less time.
func (p *Packer) PackQuick(box *seal.Box, label string, plain []byte) ([]byte, error) {
	return box.Seal(p.quick.EncodeAll(plain, make([]byte, 0, len(plain)/2)), []byte(label))
}

// Unpack is the inverse of Pack and PackQuick.
func (p *Packer) Unpack(box *seal.Box, label string, sealed []byte) ([]byte, error) {
	return p.unpack(box, label, codecZstd, sealed)
}

func packFast(box *seal.Box, label string, plain []byte) ([]byte, error) {
	return box.Seal(s2.Encode(nil, plain), []byte(label))
}

func (p *Packer) unpack(box *seal.Box, label string, c codec, sealed []byte) ([]byte, error) {
	packed, err := box.Open(sealed, []byte(label))
	if err != nil {
		return nil, fmt.Errorf("eventlog: open %s: %w", label, err)
	}
	var plain []byte
	switch c {
	case codecS2:
		var n int
		if n, err = s2.DecodedLen(packed); err == nil && n > maxPart {
			err = column.ErrBroken
		}
		if err == nil {
			plain, err = s2.Decode(nil, packed)
		}
	case codecZstd:
		plain, err = p.dec.DecodeAll(packed, nil)
	default:
		err = fmt.Errorf("unknown codec %d", c)
	}
	if err != nil {
		return nil, fmt.Errorf("eventlog: decompress %s: %w", label, err)
	}
	return plain, nil
}

// The labels of a log block's parts.
const (
	labelMeta   = "job_log.meta"
	labelBodies = "job_log.bodies"
	labelWords  = "job_log.words"
)
