package ui

import (
	"encoding/json"
	"math"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestValue(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		v          float64
		unit, want string
	}{
		{0, "bytes", "0 B"}, {1536, "bytes", "1.5 KiB"}, {5.3e9, "bytes", "4.94 GiB"}, {-2048, "bytes", "−2 KiB"}, {1023, "bytes", "1 KiB"}, {1e6, "bytes/s", "977 KiB/s"},
		{1500, "bits/s", "1.5 kbit/s"}, {999.6, "short", "1 k"}, {1234567, "short", "1.23 M"}, {12, "short", "12"}, {0.5, "ratio", "50 %"}, {0.1234, "ratio", "12.3 %"}, {99.94, "percent", "99.9 %"},
		{0.25, "s", "250 ms"}, {90, "s", "1 min 30 s"}, {1500, "ms", "1.50 s"}, {-3, "s", "−3.00 s"}, {0, "s", "0 s"}, {1e12, "s", "1,000,000,000,000 s"}, {2.5, "/s", "2.5 /s"}, {41.26, "°C", "41.3 °C"},
		{1234.5, "", "1,235"}, {0.001234, "", "0.00123"}, {99.96, "", "100"}, {9.996, "", "10"}, {1e-9, "", "1e-09"}, {7, "jobs", "7"},
		{math.NaN(), "bytes", "–"}, {math.Inf(1), "s", "+Inf"}, {math.Inf(-1), "", "−Inf"},
	} {
		if got := Value(tc.v, tc.unit); got != tc.want {
			t.Errorf("Value(%v, %q) = %q, want %q", tc.v, tc.unit, got, tc.want)
		}
	}
	for _, u := range Units {
		if !knownUnit(u.Value) {
			t.Errorf("%q is in the menu and not known", u.Value)
		}
	}
}

func TestChartData(t *testing.T) {
	t.Parallel()
	at := time.Unix(1000, 0)
	c := Chart{At: []time.Time{at, at.Add(time.Second), at.Add(2 * time.Second)}, From: at, Bars: true, Thresholds: []Threshold{{Value: math.Inf(-1), Tone: ToneGood}},
		Marks:  []Mark{{At: at, Until: at.Add(time.Second), Label: "</script>"}},
		Series: []Series{{Label: "a", Values: []float64{1.5, math.NaN(), math.Inf(1)}}, {Label: "short", Values: []float64{1}}}}
	text, err := c.Data()
	if err != nil || !json.Valid([]byte(text)) {
		t.Fatalf("%s (%v)", text, err)
	}
	for _, want := range []string{`"at":[1000,1001,1002]`, `"values":[1.5,null,"+Inf"]`, `"values":[1,null,null]`, `"value":"-Inf"`, `"kind":"bars"`, `"until":1001`} {
		if !strings.Contains(text, want) {
			t.Errorf("%s lacks %s", text, want)
		}
	}
}

func TestChartTable(t *testing.T) {
	t.Parallel()
	c := Chart{Series: make([]Series, 5)}
	for i := range 1000 {
		c.At = append(c.At, time.Unix(int64(i), 0))
	}
	rows := c.Rows()
	if n := len(rows) * (len(c.Series) + 1); n > cells || rows[len(rows)-1].At != c.At[999] || c.Stride() < 2 {
		t.Errorf("%d cells, stride %d, the last is %v", n, c.Stride(), rows[len(rows)-1].At)
	}
	if !(Chart{Series: make([]Series, 13)}).Wide() || len((Chart{}).Rows()) != 0 {
		t.Error("the shape of the table")
	}
	one := 1.0
	r := Chart{Unit: "ratio", Max: &one, Thresholds: []Threshold{{Value: .5, Tone: ToneWarn, Label: "busy"}, {Value: .9, Tone: ToneBad}}, At: c.At[:3],
		Series: []Series{{Label: "a", Values: []float64{.1, .6, math.NaN()}}, {Label: "none", Values: []float64{math.NaN()}}}}.Readings()
	if r[0].Value != "60 %" || r[0].Tone != ToneWarn || r[0].Note != "busy" || r[0].Share != "60.0%" || r[1].Value != "–" || r[1].Tone != "" || r[1].Share != "0%" {
		t.Errorf("%+v", r)
	}
}

func TestTimeRange(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	read := func(query string) TimeRange {
		return ReadTimeRange(&url.URL{Path: "/x", RawQuery: query}, now, time.Hour)
	}
	for query, want := range map[string][2]string{
		"":                                    {"11:00", "12:00"},
		"from=now-6h":                         {"06:00", "12:00"},
		"from=now-6h&to=now-1h":               {"06:00", "11:00"},
		"from=2026-11-22T08:00&to=now-30m":    {"08:00", "11:30"},
		"from=2026-11-22T09:00:00%2B01:00":    {"08:00", "12:00"},
		"from=1795338000&to=1795341600000":    {"09:00", "10:00"},
		"from=now&to=now-1h":                  {"11:00", "12:00"},
		"from=x&to=now-1h":                    {"11:00", "12:00"},
		"from=now-900y":                       {"11:00", "12:00"},
		"from=now-99999999999999999999d":      {"11:00", "12:00"},
		"from=now1h":                          {"11:00", "12:00"},
		"from=2026-11-22T08:00&to=2026-11-22": {"11:00", "12:00"},
	} {
		r := read(query)
		if got := [2]string{r.From.Format("15:04"), r.To.Format("15:04")}; got != want || (r.Problem != "") != (query != "" && want == [2]string{"11:00", "12:00"}) {
			t.Errorf("%q: %v %q, want %v", query, got, r.Problem, want)
		}
	}
	r := read("from=now-6h&refresh=1s&expr=a&expr=b")
	if r.Refresh != 5*time.Second || r.Label() != "Last 6 hours" || len(r.Keep()) != 2 || !strings.Contains(r.Later(), "from=2026-11-22T09%3A00%3A00Z") || !strings.Contains(r.Choices()[0].Href, "expr=a&expr=b") {
		t.Errorf("%+v %s", r, r.Later())
	}
	if s := r.Step(240, time.Second); s != 2*time.Minute {
		t.Errorf("a step of %v", s)
	}
	if r := read("from=now-400d"); r.Span()/r.Step(100, time.Second) > 100 {
		t.Error("too many points")
	}
	if read("from=now-6h&to=now-1h").Seconds() != 0 || read("from=2026-01-01&to=2026-01-02&refresh=5s").Seconds() != 0 {
		t.Error("a range that stands still is refreshed")
	}
}
