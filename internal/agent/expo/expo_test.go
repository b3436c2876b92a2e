package expo_test

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"

	"github.com/kept-dev/kept/internal/agent/expo"
)

const classic = `# A comment for people
# HELP http_requests_total The total number of HTTP requests.\nWith a second line and a \\.
# TYPE http_requests_total counter
http_requests_total{method="post",code="200"} 1027 1395066363000
http_requests_total{method="post",code="400",} 3

msdos_file_access_time_seconds{path="C:\\DIR\\FILE.TXT",error="Cannot find file:\n\"FILE.TXT\""} 1.458255915e9
metric_without_labels 12.47
something_weird{problem="division by zero"} +Inf -3982045
# TYPE latency_seconds histogram
latency_seconds_bucket{le="0.05"} 24054
latency_seconds_bucket{le="+Inf"} 144320
latency_seconds_sum 53423
latency_seconds_count 144320
# TYPE rpc_seconds summary
rpc_seconds{quantile="0.5"} 4773
rpc_seconds_sum 1.7560473e+07
rpc_seconds_count 2693
  spaced   { a = "b" , c = "ü{}," }   NaN  
`

const open = `# TYPE foo_seconds counter
# UNIT foo_seconds seconds
# HELP foo_seconds Something.
foo_seconds_total{a="1"} 17.0 # {trace_id="KOO5S4vxi0o"} 0.67 1520879607.789
foo_seconds_created{a="1"} 1520430000.123
# TYPE bar histogram
bar_bucket{le="+Inf"} 4 # {} 2.0
bar_sum 8
bar_count 4
# TYPE build info
build_info{version="1"} 1
# EOF
`

func read(text string, openMetrics bool) (out []string, err error) {
	var r expo.Reader
	err = r.Read(text, openMetrics, func(s expo.Sample) error {
		line := fmt.Sprintf("%s %v %v", s.Desc.Name, s.Labels, s.Value)
		if s.Desc.Type != 0 {
			line += " " + s.Desc.Type.String()
		}
		if s.Desc.Unit != "" {
			line += " in " + s.Desc.Unit
		}
		if s.Exemplar != nil {
			line += fmt.Sprintf(" example %v %v %d", s.Exemplar.Labels, s.Exemplar.Value, s.Exemplar.Time)
		}
		out = append(out, line)
		return nil
	})
	return out, err
}

func TestClassic(t *testing.T) {
	t.Parallel()
	got, err := read(classic, false)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"http_requests_total [method post code 200] 1027 counter",
		"http_requests_total [method post code 400] 3 counter",
		"msdos_file_access_time_seconds [path C:\\DIR\\FILE.TXT error Cannot find file:\n\"FILE.TXT\"] 1.458255915e+09",
		"metric_without_labels [] 12.47",
		"something_weird [problem division by zero] +Inf",
		"latency_seconds_bucket [le 0.05] 24054 histogram",
		"latency_seconds_bucket [le +Inf] 144320 histogram",
		"latency_seconds_sum [] 53423 histogram",
		"latency_seconds_count [] 144320 histogram",
		"rpc_seconds [quantile 0.5] 4773 summary",
		"rpc_seconds_sum [] 1.7560473e+07 summary",
		"rpc_seconds_count [] 2693 summary",
		"spaced [a b c ü{},] NaN",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestOpenMetrics(t *testing.T) {
	t.Parallel()
	got, err := read(open, true)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"foo_seconds_total [a 1] 17 counter in seconds example [trace_id KOO5S4vxi0o] 0.67 1520879607789",
		"foo_seconds_created [a 1] 1.520430000123e+09 counter in seconds",
		"bar_bucket [le +Inf] 4 histogram example [] 2 0",
		"bar_sum [] 8 histogram",
		"bar_count [] 4 histogram",
		"build_info [version 1] 1 info",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"a", "a b", "a 1 2 3", "a{ 1", "a{b} 1", "a{b=c} 1", `a{b="c} 1`, `a{b="c"`, `a{b="c" d="e"} 1`, `a{b="c",b="d"} 1`, `a{__name__="x"} 1`,
		"1a 1", "a-b 1", "a 0x10", "a 1_000", "{} 1", `a{b="` + "\xff" + `"} 1`, "# TYPE a nothing", "a 1 now", `a{1b="c"} 1`,
		"a{" + strings.Repeat(`b="c",`, 100) + "} 1", strings.Repeat("a", 2000) + " 1", "a " + strings.Repeat("1", 70_000),
	} {
		if got, err := read(text+"\n", false); err == nil {
			t.Errorf("%.60q was read as %q", text, got)
		}
	}
	for _, text := range []string{"a 1\n", "a 1\n# EOF\nb 2\n", "a 1 # 2\n# EOF\n", "a 1 # {b=\"c\"}\n# EOF\n", "a 1 # {} 1 -5\n# EOF\n"} {
		if got, err := read(text, true); err == nil {
			t.Errorf("OpenMetrics %.60q was read as %q", text, got)
		}
	}
}

// TestOneNaN: a program must not end series by exposing the value that marks their end.
func TestOneNaN(t *testing.T) {
	t.Parallel()
	var r expo.Reader
	r.Read("a NaN\nb nan\n", false, func(s expo.Sample) error {
		if bits := math.Float64bits(s.Value); bits == 0x7ff0000000000002 || s.Value == s.Value {
			t.Errorf("%x", bits)
		}
		return nil
	})
}

// theirs reads with Prometheus's parser.
func theirs(text string) (out []string, err error) {
	p := textparse.NewPromParser([]byte(text), labels.NewSymbolTable(), false)
	for {
		entry, err := p.Next()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		if entry != textparse.EntrySeries {
			continue
		}
		_, _, v := p.Series()
		var l labels.Labels
		p.Labels(&l)
		if err := labels.Labels(l).Validate(func(labels.Label) error { return nil }); err == nil {
			out = append(out, fmt.Sprint(l.String(), " ", v))
		}
	}
}

// FuzzAsPrometheus: what both read, both read alike.
func FuzzAsPrometheus(f *testing.F) {
	f.Add(classic)
	f.Add("a{b=\"c\"} 1e3 12\n")
	f.Add("a 1\nb{} NaN\n")
	f.Fuzz(func(t *testing.T, text string) {
		read(text, true) // must come back
		var mine []string
		var r expo.Reader
		err := r.Read(text, false, func(s expo.Sample) error {
			b := labels.NewScratchBuilder(8)
			b.Add("__name__", s.Desc.Name)
			for i := 0; i < len(s.Labels); i += 2 {
				b.Add(s.Labels[i], s.Labels[i+1])
			}
			b.Sort()
			mine = append(mine, fmt.Sprint(b.Labels().String(), " ", s.Value))
			return nil
		})
		if err != nil {
			return
		}
		want, err := theirs(text)
		if err != nil || len(want) != len(mine) {
			return // they are stricter about some white space
		}
		if strings.Contains("\n"+text, "\n ") || strings.Contains("\n"+text, "\n\t") {
			return // they take white space before a name for a part of it
		}
		if !slices.Equal(mine, want) {
			t.Errorf("%q\nwe read %q\nthey    %q", text, mine, want)
		}
	})
}

func BenchmarkRead(b *testing.B) {
	text := strings.Repeat(classic, 50)
	var r expo.Reader
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		r.Read(text, false, func(expo.Sample) error { return nil })
	}
}
