package eventlog

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/kept-dev/kept/internal/apps/jobs/fold"
	"github.com/kept-dev/kept/wire/jobviz"
)

// someRecords makes records as ingest would.
func someRecords(n int, seed uint64) []Record {
	r := rand.New(rand.NewPCG(seed, 7))
	out := make([]Record, n)
	for i := range out {
		out[i] = Record{
			Event: fold.Event{At: 1772000000000000 + int64(i)*1000 - r.Int64N(5_000_000), Offset: int64(i), Hash: r.Uint32(),
				Type: jobviz.Type(r.IntN(9)), Flags: fold.Flags(r.IntN(16)), Nth: uint8(r.IntN(3)), Arg: -1},
			ReceivedAt: 1772000001000000, Queue: []byte(fmt.Sprintf("queue-%d", r.IntN(3))),
			JobID: []byte(fmt.Sprint(100000 + i)), Agent: []byte("kept-go/0.1.0"),
		}
		if out[i].Type == jobviz.Delayed {
			out[i].Arg = out[i].At + 5_000_000
		}
		if r.IntN(2) == 0 {
			out[i].Name, out[i].Env, out[i].TraceID = []byte("send-email"), []byte("production"), []byte("4bf92f3577b34da6")
			out[i].Data = []byte(fmt.Sprintf(`{"input":{"to":"customer%d@example.com","n":%d}}`, i, r.Int64()))
		}
		if r.IntN(9) == 0 {
			out[i].ParentID, out[i].ParentQueue, out[i].Headline = []byte("77"), []byte("orders"), []byte("connection refused")
		}
	}
	return out
}

func TestBlockRoundTrip(t *testing.T) {
	t.Parallel()
	var enc encoder
	for _, n := range []int{0, 1, 2, 100, 5000} {
		want := someRecords(n, uint64(n))
		meta, bodies := enc.encode(want)
		got, err := decodeMeta(meta, 0, nil)
		if err == nil {
			err = decodeBodies(bodies, got)
		}
		if err != nil {
			t.Fatalf("%d records: %v", n, err)
		}
		for i := range want {
			if !reflect.DeepEqual(got[i], want[i]) {
				t.Fatalf("%d records, record %d\n got %+v\nwant %+v", n, i, got[i], want[i])
			}
		}
	}
}

func FuzzDecodeBlock(f *testing.F) {
	var enc encoder
	meta, bodies := enc.encode(someRecords(20, 1))
	f.Add(append([]byte(nil), meta...), append([]byte(nil), bodies...))
	f.Fuzz(func(t *testing.T, meta, bodies []byte) {
		records, err := decodeMeta(meta, 0, nil)
		if err == nil {
			decodeBodies(bodies, records)
		}
	})
}

func BenchmarkEncode(b *testing.B) {
	records := someRecords(1000, 1)
	var enc encoder
	var bytes int
	for b.Loop() {
		meta, bodies := enc.encode(records)
		bytes = len(meta) + len(bodies)
	}
	b.ReportMetric(float64(bytes)/1000, "B/event")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/event")
}

func TestLowerASCII(t *testing.T) {
	t.Parallel()
	var all []byte
	for c := range 256 {
		all = append(all, byte(c))
	}
	text := append([]byte("@AZ[`az{0ÄÉ"), all...)
	for from := range 9 {
		want := make([]byte, 0, len(text))
		for _, c := range text[from:] {
			if c >= 'A' && c <= 'Z' {
				c += 32
			}
			want = append(want, c)
		}
		if got := lowerASCII(bytes.Clone(text[from:])); string(got) != string(want) {
			t.Fatalf("from %d:\n got %q\nwant %q", from, got, want)
		}
	}
}
