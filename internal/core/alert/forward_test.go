package alert

import (
	"testing"
	"time"

	amalert "github.com/prometheus/alertmanager/alert"
)

// takeForwarded gives what Alertmanagers were told since the last call.
func (f *fakeChannels) takeForwarded() []forwarding {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := f.forwarded
	f.forwarded = nil
	return out
}

// TestForwardedDespiteRoutes: an alert that no route is for and that a silence mutes goes to Alertmanagers all the same, with
// its own page as its source; that its rule was deleted ends it there.
func TestForwardedDespiteRoutes(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, w *world) {
		routing := defaultRouting()
		routing.Default.Channels = nil
		if err := w.m.SaveRouting(t.Context(), w.ws, routing); err != nil {
			t.Fatal(err)
		}
		r := w.rule(high)
		w.start()
		w.run(3*time.Minute, 9, "__name__", "load", "instance", "a")
		if sent := w.out.take(); len(sent) != 0 {
			t.Errorf("told although there is no channel: %+v", sent)
		}
		open := w.alerts(Firing)
		if len(open) != 1 {
			t.Fatal(states(open))
		}
		var last *amalert.Alert
		for i, f := range w.out.takeForwarded() {
			last = f.Alerts[0]
			if len(f.Alerts) != 1 || f.News != (i == 0) || !last.StartsAt.Truncate(time.Microsecond).Equal(open[0].FiredAt) || last.EndsAt.Before(f.At.Add(time.Minute)) ||
				last.GeneratorURL != "https://kept.example"+alertHref(w.ws, open[0].ID) || last.Annotations["summary"] != "load 9 on a" || last.Labels["severity"] != "critical" {
				t.Errorf("%d: %+v", i, f)
			}
		}
		if last == nil {
			t.Fatal("nothing was forwarded")
		}
		if err := w.m.DeleteRule(t.Context(), w.ws, r.ID); err != nil {
			t.Fatal(err)
		}
		w.run(time.Minute, 9, "__name__", "load", "instance", "a")
		gone := w.out.takeForwarded()
		if len(gone) != 1 || !gone[0].News || gone[0].Alerts[0].Fingerprint() != last.Fingerprint() || gone[0].Alerts[0].EndsAt.After(gone[0].At) {
			t.Errorf("after the rule was deleted: %+v", gone)
		}
	})
}
