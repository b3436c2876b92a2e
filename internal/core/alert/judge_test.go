package alert

import (
	"math"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
)

// judgeStep is how far the samples of TestJudgement are apart, and how often its rules look.
const judgeStep = 15 * time.Minute

// shop is what a shop's figures look like: a wave of the day, fewer on Saturdays and Sundays, noise of 4 %, now and then a
// sample that is far off. instance says what happens in the last week, of which since is the time.
func shop(noise *rand.Rand, instance string, at time.Time, since time.Duration) float64 {
	hour := float64(at.Hour()) + float64(at.Minute())/60
	v := 100 + 80*math.Sin((hour-9)/24*2*math.Pi)
	if d := at.Weekday(); d == time.Saturday || d == time.Sunday {
		v *= 0.6
	}
	v += v * 0.04 * noise.NormFloat64()
	if noise.IntN(400) == 0 {
		v *= 1.5
	}
	day := 24 * time.Hour
	switch {
	case instance == "outage" && since > 2*day+10*time.Hour && since < 2*day+12*time.Hour:
		v *= 0.05
	case instance == "step" && since > 4*day:
		v *= 1.7
	case instance == "last-week" && since > -5*day && since < -4*day:
		v = 0 // an outage that is in the baseline
	}
	return v
}

// disk is the free space of a disk, of 100: one that fills up at 11 a day, and one that is swept each night.
func disk(noise *rand.Rand, instance string, at time.Time, since time.Duration) float64 {
	if instance == "fills" {
		return max(0, 60-11*since.Hours()/24+noise.Float64()*0.3)
	}
	return 60 - 25*(float64(at.Hour())+float64(at.Minute())/60)/24 + noise.Float64()*0.3
}

// TestJudgement tries rules out on five weeks of figures as they are in life. Anomalies fire for an outage and for a step and,
// waiting 30 minutes as the form advises, for nothing else in a week; an outage of a past week does not make them blind.
// A forecast fires for a disk that fills up, in the last two days before it is full, and not for one that is swept each night.
func TestJudgement(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		noise := rand.New(rand.NewPCG(7, 11))
		end := time.Now().UTC().Truncate(time.Hour)
		begin := end.Add(-7 * 24 * time.Hour)
		app := w.store.For(w.ws).AppenderV2(t.Context())
		for at := end.Add(-5 * week); !at.After(end); at = at.Add(judgeStep) {
			put := func(name, instance string, v float64) {
				if _, err := app.Append(0, labels.FromStrings("__name__", name, "instance", instance), 0, at.UnixMilli(), v, nil, nil, storage.AOptions{}); err != nil {
					t.Fatal(err)
				}
			}
			for _, i := range []string{"usual", "outage", "step", "last-week"} {
				put("visits", i, shop(noise, i, at, at.Sub(begin)))
			}
			for _, i := range []string{"fills", "swept"} {
				put("free", i, disk(noise, i, at, at.Sub(begin)))
			}
		}
		if err := app.Commit(); err != nil {
			t.Fatal(err)
		}
		try := func(r Rule) map[string][]Would {
			t.Helper()
			b, err := w.m.Backtest(t.Context(), w.ws, r, judgeStep, week, true)
			if err != nil {
				t.Fatal(err)
			}
			if b.Chart == nil || len(b.Chart.Series) == 0 || b.Total > 0 && len(b.Chart.Marks) == 0 {
				t.Errorf("%s: no chart, or it does not show when it would have fired", r.Kind)
			}
			out := map[string][]Would{}
			for _, f := range b.Firings {
				out[f.Labels["instance"]] = append(out[f.Labels["instance"]], f)
			}
			return out
		}
		anomaly := func(deviations float64, wait time.Duration) map[string][]Would {
			return try(Rule{Kind: KindAnomaly, Name: "Odd", Expr: "visits", Direction: "either", Weeks: 4, Deviations: deviations, Ignore: 5, For: model.Duration(wait)})
		}
		if os.Getenv("KEPT_FIGURES") != "" { // those of docs/alerts.md
			for _, wait := range []time.Duration{0, 30 * time.Minute} {
				for _, deviations := range []float64{3, 5, 10} {
					got := anomaly(deviations, wait)
					t.Logf("%v deviations for %v: %.2f false alarms a day and series; the outage %d, the step %d", deviations, wait,
						float64(len(got["usual"])+len(got["last-week"]))/14, len(got["outage"]), len(got["step"]))
				}
			}
		}
		got := anomaly(5, 30*time.Minute)
		if n := len(got["usual"]) + len(got["last-week"]); n > 0 {
			t.Errorf("%d false alarms: %+v %+v", n, got["usual"], got["last-week"])
		}
		if f := got["outage"]; len(f) != 1 || f[0].From.Sub(begin) < 58*time.Hour || f[0].From.Sub(begin) > 59*time.Hour {
			t.Errorf("the outage: %+v", f)
		}
		if f := got["step"]; len(f) == 0 || f[len(f)-1].From.Sub(begin) < 96*time.Hour || f[len(f)-1].From.Sub(begin) > 102*time.Hour {
			t.Errorf("the step: %d alarms, the first after %v", len(f), f[len(f)-1].From.Sub(begin))
		}
		full := 60 * 24 * time.Hour / 11
		got = try(Rule{Kind: KindForecast, Name: "DiskFills", Expr: "free", Compare: "<", Value: 0, Window: model.Duration(24 * time.Hour), Horizon: model.Duration(36 * time.Hour), For: model.Duration(time.Hour)})
		if len(got["swept"]) > 0 {
			t.Errorf("the disk that is swept: %+v", got["swept"])
		}
		if f := got["fills"]; len(f) == 0 || full-f[len(f)-1].From.Sub(begin) < 24*time.Hour || full-f[len(f)-1].From.Sub(begin) > 48*time.Hour {
			t.Errorf("the disk that fills up, full after %v: %+v", full, f)
		}
	})
}
