package metrics

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/ui"
)

// trouble is one thing that is wrong with a host.
type trouble struct {
	Tone   ui.Tone
	Text   string
	weight int // what is worst comes first
	Href   string
}

// When a number is trouble. They are the thresholds of the rule pack too, so that the page and the alerts say the same.
const (
	diskBad, diskWarn    = 0.95, 0.90
	memoryBad            = 0.95 // in use
	stallBad             = 0.10 // of the time
	loadWarn             = 2.0  // for each core
	cpuWarn              = 0.95
	fullSoon             = 24 * time.Hour
	clockWarn            = 0.5 // seconds; of a hello's way there and back a good part
	skewWarn             = 10 * time.Second
	bufferedWarn         = 10 * time.Minute
	silentAfter          = 2 * time.Minute // without a sample, at least
	silentAfterIntervals = 4
	restartedLately      = time.Hour
)

// silent tells whether a host has stopped reporting. What counts are samples: an agent may say hello and send none.
func silent(h Host, v *vitals, now time.Time) bool {
	if h.Source == fromAgent && !v.HasSeries && now.Sub(h.FirstSeen) < silentAfter {
		return false // it has just been enrolled
	}
	if h.Source == fromOTLP {
		return now.Sub(latest(h.LastSeen, v.Seen)) > quietOTLP
	}
	return now.Sub(v.Seen) > max(silentAfter, silentAfterIntervals*h.Every)
}

// silence says for how long a host has been silent.
func silence(h Host, v *vitals, now time.Time) string {
	since := latest(h.LastSeen, v.Seen)
	if now.Sub(since) <= silentAfter {
		return "Its agent says hello, but sends no samples"
	}
	text, _ := ui.Duration(now.Sub(since).Round(time.Second))
	return "No samples for " + text
}

// troubles say what is wrong with a host, the worst first.
func (m *Module) troubles(ws kernel.WorkspaceID, h Host, v *vitals, now time.Time) (out []trouble) {
	add := func(weight int, tone ui.Tone, format string, args ...any) {
		out = append(out, trouble{Tone: tone, Text: fmt.Sprintf(format, args...), weight: weight})
	}
	switch {
	case silent(h, v, now):
		add(100, ui.ToneBad, "%s", silence(h, v, now))
	case v.Up == 0:
		add(98, ui.ToneBad, "Cannot be reached by whoever scrapes it")
	}
	for _, a := range v.Alerts {
		weight, tone := 60, ui.ToneWarn
		if a.Severity == "critical" {
			weight, tone = 90, ui.ToneBad
		}
		out = append(out, trouble{Tone: tone, Text: "Alert: " + a.Name, weight: weight, Href: alertHref(ws, a.ID)})
	}
	v.diskTroubles(add)
	switch {
	case v.Memory >= memoryBad:
		add(65, ui.ToneBad, "Memory %s in use", percent(v.Memory))
	case v.Stall >= stallBad:
		add(64, ui.ToneBad, "Waits for memory %s of the time", percent(v.Stall))
	}
	if v.Load >= loadWarn {
		add(50, ui.ToneWarn, "Load %s for each core", ui.Number(v.Load))
	}
	if v.CPU >= cpuWarn {
		add(45, ui.ToneWarn, "CPU %s busy", percent(v.CPU))
	}
	if len(v.Probes) > 0 {
		slices.Sort(v.Probes)
		add(55, ui.ToneBad, "Probe fails: %s", strings.Join(v.Probes[:min(3, len(v.Probes))], ", "))
	}
	if v.Units > 0 {
		text, _ := ui.Plural(v.Units, "unit has failed", "units have failed")
		add(40, ui.ToneWarn, "%s", text)
	}
	if v.ClockOff >= clockWarn || h.Skew.Abs() >= skewWarn {
		add(35, ui.ToneWarn, "Its clock is off by %s", clockText(v.ClockOff, h.Skew))
	}
	if h.Buffered >= bufferedWarn {
		text, _ := ui.Duration(h.Buffered)
		add(30, ui.ToneNeutral, "Still sends %s of samples from before", text)
	}
	if up := now.Sub(latest(h.BootedAt, v.Booted)); up >= 0 && up < restartedLately {
		text, _ := ui.Plural(max(1, int(up.Minutes())), "minute", "minutes")
		add(20, ui.ToneNeutral, "Restarted %s ago", text)
	}
	if m.outdated(h) {
		add(10, ui.ToneNeutral, "Agent %s; this server comes with %s", h.Agent, m.d.Version)
	}
	slices.SortStableFunc(out, func(a, b trouble) int { return cmp.Compare(b.weight, a.weight) })
	return out
}

func (v *vitals) diskTroubles(add func(int, ui.Tone, string, ...any)) {
	for _, d := range v.Disks {
		used, in := d.used(), d.fullIn()
		switch {
		case used >= diskBad:
			add(85, ui.ToneBad, "%s is %s full", d.Mount, percent(used))
		case in > 0 && in < fullSoon && used >= forecastFrom:
			text, _ := ui.Duration(in.Round(time.Minute))
			add(70, ui.ToneWarn, "%s is full in %s if it goes on like this", d.Mount, text)
		case used >= diskWarn:
			add(58, ui.ToneWarn, "%s is %s full", d.Mount, percent(used))
		}
	}
}

// outdated tells whether an agent is of another version than the server. Builds from a working copy are not compared.
func (m *Module) outdated(h Host) bool {
	return h.Agent != "" && m.d.Version != "" && h.Agent != m.d.Version && !strings.HasPrefix(h.Agent, "devel") && !strings.HasPrefix(m.d.Version, "devel")
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func clockText(off float64, skew time.Duration) string {
	d := skew.Abs()
	if own := time.Duration(off * float64(time.Second)); own > d {
		d = own
	}
	text, _ := ui.Duration(d)
	return text
}

func percent(v float64) string {
	text, _ := ui.Percent(v)
	return text
}
