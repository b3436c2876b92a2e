package metric_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/kept-dev/kept/internal/agent/metric"
	"github.com/kept-dev/kept/wire/remotewrite"
)

var (
	load = &metric.Desc{Name: "load", Help: "How much.\nReally.", Type: remotewrite.Gauge}
	hits = &metric.Desc{Name: "hits_total", Type: remotewrite.Counter}
)

func lines(points []metric.Point) (out []string) {
	for _, p := range points {
		out = append(out, metric.Text(p))
	}
	slices.Sort(out)
	return out
}

func want(t *testing.T, points []metric.Point, expected ...string) {
	t.Helper()
	if got := lines(points); !slices.Equal(got, expected) {
		t.Errorf("got  %q\nwant %q", got, expected)
	}
}

// TestRounds: what a round has not any more is marked as ended, once, and may come again.
func TestRounds(t *testing.T) {
	t.Parallel()
	s := metric.NewSet(100, "job", "node", "env", "")
	s.Begin()
	s.Add(load, 1)
	s.Add(hits, 2, "path", "/", "empty", "")
	s.Add(hits, 3, "path", "/", "empty", "") // the same again
	s.Add(hits, 4, "path", "/x", "job", "mine")
	want(t, s.End(), `hits_total{exported_job="mine",job="node",path="/x"} 4`, `hits_total{job="node",path="/"} 2`, `load{job="node"} 1`)
	s.Begin()
	s.Add(load, 5)
	points := s.End()
	if len(points) != 3 || !remotewrite.IsStale(points[1].Value) || !remotewrite.IsStale(points[2].Value) {
		t.Errorf("%q", lines(points))
	}
	s.Begin()
	s.Add(load, 6)
	want(t, s.End(), `load{job="node"} 6`)
	s.Begin()
	s.Add(hits, 7, "path", "/")
	if points := s.End(); len(points) != 2 || points[0].Value != 7 || !remotewrite.IsStale(points[1].Value) {
		t.Errorf("%q", lines(points))
	}
}

// TestDiscard: a round that was given up counts as one without the series, and new ones never were.
func TestDiscard(t *testing.T) {
	t.Parallel()
	s := metric.NewSet(100)
	s.Begin()
	s.Add(load, 1)
	s.End()
	s.Begin()
	s.Add(load, 2)
	s.Add(hits, 3)
	s.Discard()
	s.Add(hits, 4, "up", "no")
	points := s.End()
	if len(points) != 2 || points[0].Value != 4 || points[1].Series.Desc != load || !remotewrite.IsStale(points[1].Value) {
		t.Errorf("%q", lines(points))
	}
}

func TestLimit(t *testing.T) {
	t.Parallel()
	s := metric.NewSet(2)
	for round := range 3 {
		s.Begin()
		s.Add(hits, 1, "path", "a")
		s.Add(hits, 1, "path", string(rune('b'+round)))
		s.Add(load, 1)
		s.Add(load, 1, "more", "yes")
		if s.Over() == 0 {
			t.Error("nothing was over the limit")
		}
		live := slices.DeleteFunc(slices.Clone(s.End()), func(p metric.Point) bool { return remotewrite.IsStale(p.Value) })
		if len(live) > 2 {
			t.Errorf("%q", lines(live))
		}
	}
}

// TestKeepsNothingOfOthers: texts are views of buffers that change.
func TestKeepsNothingOfOthers(t *testing.T) {
	t.Parallel()
	s := metric.NewSet(100)
	buffer := []byte("eth0")
	s.Begin()
	addView(s, buffer)
	copy(buffer, "xxxx")
	want(t, s.End(), `hits_total{device="eth0"} 1`)
}

func addView(s *metric.Set, b []byte) { s.Add(hits, 1, "device", string(b)) }

// TestAddIsFree: a series that is known costs no memory, for the agent adds hundreds every few seconds.
func TestAddIsFree(t *testing.T) {
	s := metric.NewSet(100, "job", "node")
	device, mode := "eth0", "idle"
	round := func() {
		s.Begin()
		s.Add(hits, 1, "device", device, "mode", mode)
		s.Add(load, 1)
		s.End()
	}
	round()
	if n := testing.AllocsPerRun(100, round); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestWriteText(t *testing.T) {
	t.Parallel()
	s := metric.NewSet(100)
	s.Begin()
	s.Add(load, 0.5, "say", "a \"b\"\n\\")
	s.Add(hits, 3)
	var b bytes.Buffer
	if err := metric.WriteText(&b, s.End()); err != nil {
		t.Fatal(err)
	}
	const want = "# HELP hits_total \n# TYPE hits_total counter\nhits_total 3\n" +
		"# HELP load How much.\\nReally.\n# TYPE load gauge\nload{say=\"a \\\"b\\\"\\n\\\\\"} 0.5\n"
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

// TestEncodeSplits: a request has so many series and no more, and together they have all.
func TestEncodeSplits(t *testing.T) {
	t.Parallel()
	s := metric.NewSet(10_000)
	s.Begin()
	for i := range 4500 {
		s.Add(hits, float64(i), "n", string(rune(0x4000+i)))
	}
	var e metric.Encoder
	seen := map[float64]bool{}
	requests := 0
	err := e.Encode(s.End(), 42, func(w *remotewrite.Writer) error {
		requests++
		r, err := remotewrite.Read(w.Append(nil))
		if err != nil {
			return err
		}
		if len(r.Series) > 2000 || len(r.Series) != w.Len() {
			t.Errorf("%d series in a request", len(r.Series))
		}
		for _, one := range r.Series {
			if one.Samples[0].Time != 42 {
				t.Errorf("time %d", one.Samples[0].Time)
			}
			seen[one.Samples[0].Value] = true
		}
		return nil
	})
	if err != nil || requests != 3 || len(seen) != 4500 {
		t.Errorf("%d requests with %d values, %v", requests, len(seen), err)
	}
}
