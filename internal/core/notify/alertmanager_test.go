package notify

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/alertmanager/alert"
)

// TestForward: all Alertmanagers that are on get every alert in pieces of the size that Prometheus sends; the log has what
// began or ended and what went wrong until it worked, and not each time that something is said again.
func TestForward(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.connect(t)
		w.make(t, "slack", settingsFor(w.p)["slack"])
		c := w.make(t, "alertmanager", settingsFor(w.p)["alertmanager"])
		off, err := w.Create(t.Context(), w.ws, "alertmanager", Edit{Name: "another", Set: settingsFor(w.p)["alertmanager"]})
		if err == nil {
			err = w.Turn(t.Context(), w.ws, off.ID, false)
		}
		if err != nil {
			t.Fatal(err)
		}
		var many []*alert.Alert
		for i := range 300 {
			a := w.firing("HostDown", "host", fmt.Sprint("web-", i))
			a.EndsAt = w.Clock.Now().Add(4 * time.Minute)
			many = append(many, a)
		}
		forward := func(news bool, alerts ...*alert.Alert) {
			t.Helper()
			w.Clock.Add(time.Minute)
			if err := w.Forward(t.Context(), w.ws, alerts, news); err != nil {
				t.Fatal(err)
			}
		}
		forward(true, many...)
		var fires []string
		for _, m := range w.p.all() {
			fires = append(fires, m.Priority)
		}
		if !slices.Equal(fires, []string{"256", "44"}) {
			t.Errorf("sent %v", fires)
		}
		if first := w.p.all()[0].Text; !strings.Contains(first, `"endsAt":"`+many[0].EndsAt.Format(time.RFC3339)) {
			t.Errorf("no end in %.300s", first)
		}
		log := func(want ...string) {
			t.Helper()
			var got []string
			for _, d := range w.deliveries(t, c) {
				got = append(got, fmt.Sprint(d.State, " ", d.Tries))
			}
			slices.Reverse(got)
			if !slices.Equal(got, want) {
				t.Errorf("the log has %q, want %q", got, want)
			}
		}
		log("sent 1")
		forward(false, many[:2]...)
		log("sent 1")
		w.p.set(503, "")
		forward(false, many[:2]...)
		forward(true, many[:3]...)
		log("sent 1", "retrying 2")
		w.p.set(0, "")
		forward(false, many[:2]...)
		forward(false, many[:2]...)
		log("sent 1", "sent 3")
		forward(true, w.over(many[0]))
		log("sent 1", "sent 3", "sent 1")
		if got := w.p.all(); got[len(got)-1].Title != "Resolved: HostDown (1)" {
			t.Errorf("%+v", got[len(got)-1])
		}
	})
}
