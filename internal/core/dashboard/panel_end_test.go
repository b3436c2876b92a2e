package dashboard

import (
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/kept-dev/kept/internal/core/access/accesstest"
	"github.com/kept-dev/kept/internal/ui"
)

// TestNowIsNow: over a day the points of a panel are many minutes apart, but its figures, and what it says is beyond a limit,
// are those of the end: what is gone is gone, and what has just begun is there.
func TestNowIsNow(t *testing.T) {
	t.Parallel()
	w := newWorld(t, accesstest.New(t, sqliteConfig(t)))
	w.Clock.Add(7*time.Minute + 11*time.Second) // far from a multiple of any step
	now := w.Clock.Now()
	app := w.store.For(w.ws).Appender(t.Context())
	add := func(host string, from, until time.Duration, v func(ago time.Duration) float64) {
		for ago := from; ago >= until; ago -= time.Minute {
			if _, err := app.Append(0, labels.FromStrings("__name__", "fill", "instance", host), now.Add(-ago).UnixMilli(), v(ago)); err != nil {
				t.Fatal(err)
			}
		}
	}
	add("gone", 5*time.Hour, 20*time.Minute, func(time.Duration) float64 { return 0.99 })
	add("new", time.Minute, 0, func(time.Duration) float64 { return 0.5 })
	add("risen", 5*time.Hour, 0, func(ago time.Duration) float64 {
		if ago > 2*time.Minute {
			return 0.1
		}
		return 0.9
	})
	if err := app.Commit(); err != nil {
		t.Fatal(err)
	}
	span := ui.TimeRange{From: now.Add(-24 * time.Hour), To: now}
	limit := 0.8
	p := Panel{ID: "p", Title: "Fill", Kind: KindStat, Targets: []Target{{Expr: "fill", Legend: "{{instance}}"}}, Thresholds: []Threshold{{At: &limit, Tone: "bad"}}}
	draw := func(p Panel) picture {
		t.Helper()
		pic := w.m.draw(t.Context(), scope{ws: w.ws, span: span}, env{}, p, 0)
		if pic.Chart.Error != "" {
			t.Fatal(pic.Chart.Error)
		}
		return pic
	}
	wrong := func(pic picture) (out []string) {
		for _, x := range pic.Wrong {
			out = append(out, x.Label+" "+x.Value)
		}
		return out
	}

	stat := draw(p)
	got := map[string]float64{}
	for _, s := range stat.Chart.Series {
		got[s.Label] = s.Values[len(s.Values)-1]
	}
	if len(got) != 2 || got["new"] != 0.5 || got["risen"] != 0.9 {
		t.Errorf("the figures are %v", got)
	}
	if at := stat.Chart.At; !at[len(at)-1].Equal(now) {
		t.Errorf("the last moment is %v before the end", now.Sub(at[len(at)-1]))
	}
	if list := wrong(stat); len(list) != 1 || list[0] != "risen 0.9" {
		t.Errorf("beyond the limit: %q", list)
	}

	p.Kind = KindTimeSeries
	lines := draw(p)
	if list := wrong(lines); len(list) != 1 || list[0] != "risen 0.9" {
		t.Errorf("beyond the limit, of lines: %q", list)
	}
	if at := lines.Chart.At; len(at) > 1 && at[len(at)-1].Sub(at[len(at)-2]) != at[1].Sub(at[0]) {
		t.Error("the points of lines are not equally far apart")
	}

	p.Kind, p.Reduce = KindStat, "max"
	if pic := draw(p); len(pic.Chart.Series) != 3 {
		t.Errorf("the greatest of a day are %d", len(pic.Chart.Series))
	}
}
