package ui

import (
	"fmt"
	"io"
	"math"
	"net/http"
	"time"
)

func galleryCharts(now time.Time) []Chart {
	n := 48
	at := make([]time.Time, n)
	done, failed, p50, p95 := make([]float64, n), make([]float64, n), make([]float64, n), make([]float64, n)
	start := now.Truncate(5 * time.Minute).Add(-time.Duration(n) * 5 * time.Minute)
	for i := range n {
		x := float64(i)
		at[i] = start.Add(time.Duration(i) * 5 * time.Minute)
		done[i] = math.Round(180 + 60*math.Sin(x/6) + 20*math.Sin(x*1.3))
		failed[i] = math.Round(max(0, 14*math.Sin(x/5)))
		p50[i] = math.Round(340 + 60*math.Sin(x/7))
		p95[i] = math.Round(1150 + 340*math.Sin(x/7) + 120*math.Sin(x*1.9))
	}
	p50[20], p95[20], p50[21], p95[21] = math.NaN(), math.NaN(), math.NaN(), math.NaN()
	return []Chart{
		{ID: "chart-count", Title: "Finished jobs", Unit: "jobs in 5 min", At: at, Bars: true, Stack: true, Series: []Series{{Label: "Failed", Tone: ToneBad, Values: failed}, {Label: "Completed", Tone: ToneActive, Values: done}}},
		{ID: "chart-time", Title: "Run time", Unit: "ms", At: at, Series: []Series{{Label: "p50", Tone: ToneActive, Values: p50}, {Label: "p95", Tone: ToneWarn, Values: p95}}},
	}
}

// wave is a made-up line around a middle.
func wave(at []time.Time, middle, swing, phase float64) []float64 {
	v := make([]float64, len(at))
	for i, t := range at {
		x := float64(t.Unix()) / 600
		v[i] = middle + swing*math.Sin(x/3+phase) + swing*.3*math.Sin(x*2.1+phase*3)
	}
	return v
}

func galleryTimes(r TimeRange) []time.Time {
	step := r.Step(120, time.Second)
	var at []time.Time
	for t := r.From.Truncate(step).Add(step); !t.After(r.To); t = t.Add(step) {
		at = append(at, t)
	}
	return at
}

// galleryPanels are the other views, over the time of the picker.
func galleryPanels(r TimeRange, path string) []Chart {
	at := galleryTimes(r)
	base := Chart{At: at, From: r.From, To: r.To, Zoom: true}
	with := func(c Chart) Chart {
		c.At, c.From, c.To, c.Zoom = base.At, base.From, base.To, base.Zoom
		return c
	}
	cpu, limit := wave(at, .62, .2, 1), wave(at, 41, 3, 2)
	if n := len(at); n > 50 {
		cpu[n/3], cpu[n/3+1], cpu[n/3+2], cpu[n/2] = math.NaN(), math.NaN(), math.NaN(), math.Inf(1)
	}
	span := r.Span()
	return []Chart{
		with(Chart{ID: "chart-units", Title: "Processor and temperature", Unit: "ratio", Max: new(1.0),
			Series:     []Series{{Label: "web-1", Values: cpu}, {Label: "web-2", Values: wave(at, .35, .1, 2)}, {Label: "temperature", Unit: "°C", Dash: true, Values: limit}},
			Thresholds: []Threshold{{Value: .8, Tone: ToneWarn, Label: "busy", Band: true}, {Value: .9, Tone: ToneBad, Label: "overloaded"}},
			Marks:      []Mark{{At: r.From.Add(span / 4), Label: "v2.3", Href: path + "#charts"}, {At: r.From.Add(span * 6 / 10), Until: r.From.Add(span * 7 / 10), Label: "Backup", Tone: ToneWarn}}}),
		with(Chart{ID: "chart-stack", Title: "Memory", Unit: "bytes", Kind: KindArea, Stack: true, Legend: LegendTable,
			Series: []Series{{Label: "used", Values: wave(at, 6.2e9, 4e8, 0)}, {Label: "buffers", Values: wave(at, 9e8, 2e8, 1)}, {Label: "cached", Values: wave(at, 4.1e9, 7e8, 2)}, {Label: "free", Values: wave(at, 5e9, 6e8, 4)}}}),
		with(Chart{ID: "chart-many", Title: "Requests by route", Unit: "/s", Legend: LegendTable, Series: galleryMany(at)}),
		with(Chart{ID: "chart-heat", Title: "Response times", View: ViewHeat, Unit: "", Series: galleryBuckets(at)}),
		with(Chart{ID: "chart-points", Title: "Backups", Unit: "s", Kind: KindPoints, Log: true, Series: []Series{{Label: "took", Values: wave(at, 900, 700, 1)}}}),
		{ID: "chart-fetched", Title: "Fetched", Unit: "bytes/s", Src: path + "?chart=1", Every: 2 * time.Second},
		with(Chart{ID: "chart-stat", Title: "Figures", View: ViewStat, Unit: "ratio", Thresholds: []Threshold{{Value: math.Inf(-1), Tone: ToneGood}, {Value: .5, Tone: ToneWarn, Label: "busy"}, {Value: .9, Tone: ToneBad, Label: "overloaded"}},
			Series: []Series{{Label: "Processor of web-1", Values: append(wave(at, .4, .1, 1), .83)}, {Label: "Processor of web-2", Values: wave(at, .2, .05, 2)}}}),
		{ID: "chart-gauge", Title: "Disks", View: ViewGauge, Unit: "ratio", Thresholds: []Threshold{{Value: .8, Tone: ToneWarn, Label: "filling up"}, {Value: .95, Tone: ToneBad, Label: "full"}}, At: []time.Time{r.To},
			Series: []Series{{Label: "/", Values: []float64{.43}}, {Label: "/var/lib/postgresql", Values: []float64{.86}}, {Label: "/boot", Values: []float64{.97}}}},
		{ID: "chart-table", Title: "Filesystems", View: ViewTable, Unit: "bytes", At: []time.Time{r.To},
			Series: []Series{{Values: []float64{2.1e10}, Labels: []Param{{"host", "web-1"}, {"mountpoint", "/"}}}, {Values: []float64{9.4e11}, Labels: []Param{{"host", "db-1"}, {"mountpoint", "/var/lib/postgresql"}}}}},
		{ID: "chart-empty", Title: "Nothing", Empty: "Nothing has been sent in this time."},
		{ID: "chart-error", Title: "Broken", Error: "1:14: parse error: unclosed left parenthesis"},
	}
}

func galleryMany(at []time.Time) []Series {
	series := make([]Series, 16)
	for i := range series {
		series[i] = Series{Label: fmt.Sprintf("GET /api/%c", 'a'+i), Values: wave(at, float64(5+i*7), 3, float64(i))}
	}
	return series
}

func galleryBuckets(at []time.Time) []Series {
	bounds := []string{"5 ms", "10 ms", "25 ms", "50 ms", "100 ms", "250 ms", "500 ms", "1 s", "2.5 s", "5 s"}
	series := make([]Series, len(bounds))
	for i := range bounds {
		v := make([]float64, len(at))
		for j, t := range at {
			middle := 3.5 + 2*math.Sin(float64(t.Unix())/4000)
			v[j] = math.Floor(90 * math.Exp(-(float64(i)-middle)*(float64(i)-middle)/2))
		}
		series[i] = Series{Label: bounds[i], Values: v}
	}
	return series
}

// galleryChart answers the numbers of the chart that fetches them.
func galleryChart(w http.ResponseWriter) error {
	now := time.Now().UTC().Truncate(time.Second)
	at, in, out := make([]time.Time, 120), make([]float64, 120), make([]float64, 120)
	for i := range at {
		at[i] = now.Add(time.Duration(i-119) * time.Second)
		x := float64(at[i].Unix())
		in[i], out[i] = 4e6+9e5*math.Sin(x/3), 9e5+2e5*math.Sin(x/5)
	}
	text, err := Chart{Unit: "bytes/s", At: at, Series: []Series{{Label: "received", Values: in}, {Label: "sent", Values: out}}}.Data()
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	_, err = io.WriteString(w, text)
	return err
}
