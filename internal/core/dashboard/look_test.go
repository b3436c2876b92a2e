package dashboard

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/ui"
)

func pointer[T any](v T) *T { return &v }

// drawn is a panel with one value of each of some series, of the query that their number says.
func drawn(p Panel, series ...string) picture {
	at := time.Date(2026, 1, 2, 3, 4, 0, 0, time.UTC)
	pic := picture{Panel: p, Title: p.Title, Step: time.Minute}
	span := ui.TimeRange{From: at, To: at}
	pic.Chart = p.chart(p.Title, span)
	var lines []line
	for _, s := range series {
		var l line
		var v float64
		var set string
		if _, err := fmt.Sscan(s, &l.target, &set, &v); err != nil {
			panic(err)
		}
		name, value, _ := strings.Cut(set, "=")
		l.labels, l.label, l.look = labels.FromStrings("__name__", "m", name, value), value, p.Targets[l.target].Look
		l.points, l.end = []promql.FPoint{{T: at.UnixMilli(), F: v}}, &v
		lines = append(lines, l)
	}
	pic.fill(lines, span)
	return pic
}

// TestLooks: a query and an override say how series are shown; the override counts more, and the last of several.
func TestLooks(t *testing.T) {
	t.Parallel()
	p := Panel{ID: "p", Kind: KindTimeSeries, Unit: "bytes", Targets: []Target{{Expr: "a"}, {Expr: "b", Look: Look{Unit: "percent", Axis: "right", Color: "teal", Decimals: pointer(0)}}},
		Overrides: []Override{
			{Name: "eth0", Look: Look{Color: "red", Below: true}}, {Match: "^eth", Look: Look{Draw: "area", Label: "port {{dev}}"}},
			{Name: "lo", Look: Look{Hide: true}}, {Match: "^(eth0|busy)$", Not: true, Look: Look{Dash: true}}, {Name: "busy", Look: Look{Color: "pink"}},
		}}
	pic := drawn(p, "0 dev=eth0 5", "0 dev=eth1 6", "0 dev=lo 7", "1 what=busy 41.6")
	var got []string
	for _, s := range pic.Chart.Series {
		got = append(got, strings.TrimSpace(fmt.Sprintf("%s %s unit=%s right=%v color=%s kind=%s dash=%v below=%v %v", s.Label, pic.Chart.Last(s), s.Unit, s.Right, s.Color, s.Kind, s.Dash, s.Below, s.Values)))
	}
	want := []string{
		"port eth0 5 B unit= right=false color=red kind=area dash=false below=true [-5]",
		"port eth1 6 B unit= right=false color= kind=area dash=true below=false [6]",
		"busy 42 % unit=percent right=true color=pink kind= dash=false below=false [42]",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestMappings: texts stand in place of values, and their tones count as limits do.
func TestMappings(t *testing.T) {
	t.Parallel()
	p := Panel{ID: "p", Kind: KindStat, Targets: []Target{{Expr: "a"}}, Mappings: []Mapping{{Value: pointer(0.0), Text: "Down", Tone: "bad"}, {From: pointer(1.0), To: pointer(9.0), Text: "Up"},
		{Match: "^4..$", Tone: "warn"}, {None: true, Text: "N/A"}},
		Overrides: []Override{{Name: "z", Look: Look{Mappings: []Mapping{{Value: pointer(0.0), Text: "Off"}}}}}}
	pic := drawn(p, "0 i=a 0", "0 i=b 5", "0 i=c 404", "0 i=d 500", "0 i=e NaN", "0 i=z 0")
	var got []string
	for _, r := range pic.Chart.Readings() {
		got = append(got, strings.TrimSpace(r.Value+" "+string(r.Tone)))
	}
	if want := "Down bad, Up, 404 warn, 500, N/A, Off"; strings.Join(got, ", ") != want {
		t.Errorf("got %s, want %s", strings.Join(got, ", "), want)
	}
	if len(pic.Wrong) != 2 || pic.Wrong[0].Value != "Down" || pic.Wrong[1].Value != "404" {
		t.Errorf("wrong are %v", pic.Wrong)
	}
}

// TestTablesOfSeveralQueries: a row for each set of labels, a column for each query with its own unit; labels can be renamed and left out.
func TestTablesOfSeveralQueries(t *testing.T) {
	t.Parallel()
	p := Panel{ID: "p", Kind: KindTable, Targets: []Target{{Expr: "a", Look: Look{Unit: "bytes", Label: "Memory"}}, {Expr: "b", Legend: "Load"}},
		Overrides: []Override{{Name: "host", Look: Look{Label: "Machine"}}}}
	pic := drawn(p, "0 host=web-1 2048", "0 host=web-2 1024", "1 host=web-1 0.5", "1 host=db-1 3")
	g := pic.Chart.Grid()
	got := fmt.Sprint(g.Labels, g.Heads)
	for _, r := range g.Rows {
		got += fmt.Sprint(" | ", r.Labels)
		for _, c := range r.Cells {
			got += " " + c.Value
		}
	}
	if want := "[Machine] [Memory Load] | [web-1] 2 KiB 0.5 | [web-2] 1 KiB – | [db-1] – 3"; got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	p.Overrides[0].Hide = true
	if g := drawn(p, "0 host=web-1 2048", "1 host=web-1 0.5").Chart.Grid(); len(g.Labels) != 0 || len(g.Rows) != 1 {
		t.Errorf("a hidden column is there: %v", g)
	}
}

// TestThePanelFormLosesNothing: what a panel says comes back from its form as it went in.
func TestThePanelFormLosesNothing(t *testing.T) {
	t.Parallel()
	full := Look{Unit: "percent", Axis: "right", Label: "{{host}}", Color: "teal", Draw: "points", Dash: true, Below: true, Stack: pointer(false), Hide: true, Decimals: pointer(2), Min: pointer(-1.5), Max: pointer(9.0),
		Thresholds: []Threshold{{Tone: "good"}, {At: pointer(80.0), Tone: "bad"}}, Mappings: []Mapping{{Value: pointer(0.0), Text: "Down", Tone: "bad"}, {From: pointer(1.0), Text: "a | b"}, {Match: "^5..$", Tone: "warn"}, {None: true, Text: "N/A"}}}
	p := Panel{ID: "p", Title: "P", Kind: KindTimeSeries, Width: 12, Height: 8, Unit: "bytes", Decimals: pointer(1), Min: pointer(0.0), Max: pointer(5.0), Thresholds: full.Thresholds, Bands: true, Mappings: full.Mappings, Log: true, OmitZero: true,
		Draw: "area", Stack: true, Reduce: "max", Repeat: "v", Description: "D", Link: "/x",
		Targets:   []Target{{Expr: "a", Legend: "L", Step: "15s", Hidden: true, Look: full}, {Expr: "b"}},
		Overrides: []Override{{Name: "n", Look: full}, {Match: "^a/b$", Not: true, Look: Look{Color: "red"}}}}
	m := &Module{}
	v := m.panelForm(frame{subject: subject{D: &Dashboard{Variables: []Variable{{Name: "v"}}, Rows: []Row{{}}}, Stored: &Stored{}}}, 0, p, 0, 0)
	form := url.Values{}
	put := func(fields []ui.Field) {
		for _, f := range fields {
			if f.Kind != "checkbox" {
				form.Set(f.Name, f.Value)
			} else if f.Checked {
				form.Set(f.Name, "on")
			}
		}
	}
	for _, fields := range [][]ui.Field{v.Main, v.Scale, v.Extra, v.Text} {
		put(fields)
	}
	for _, q := range append(v.Queries, v.Singles...) {
		put(q.Fields)
		put(q.More)
	}
	got, _, queries, singles, err := readPanel(form, "p")
	if err != nil || queries != 2 || singles != 2 {
		t.Fatal(err, queries, singles)
	}
	if a, b := string(encode(p)), string(encode(got)); a != b {
		t.Errorf("went in as\n%s\ncame out as\n%s", a, b)
	}
	form.Set("single-0-mappings", "what")
	form.Set("query-0-min", "x")
	if _, _, _, _, err := readPanel(form, "p"); len(kernel.AsError(err).Fields) != 2 {
		t.Error(err)
	}
}
