package index

import (
	"fmt"
	"testing"
)

func TestKnownNeverForgetsAndSeldomErrs(t *testing.T) {
	t.Parallel()
	var k known
	var segments []*segment
	for s := range 40 {
		seg := &segment{}
		for i := range 2000 {
			seg.addKey(keyHash(fmt.Append(nil, "q\x00", s, "-", i)))
		}
		segments = append(segments, seg)
		k.add(seg, segments)
	}
	for _, seg := range segments {
		for _, h := range seg.hashes {
			if !k.has(uint64(h) << 32) {
				t.Fatal("a job of a segment is not known")
			}
		}
	}
	wrong := 0
	for i := range 100_000 {
		if k.has(keyHash(fmt.Append(nil, "other\x00", i))) {
			wrong++
		}
	}
	if wrong > 5_000 {
		t.Errorf("%d of 100000 strangers seem known", wrong)
	}
}
