package alert

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	amalert "github.com/prometheus/alertmanager/alert"
	"github.com/prometheus/common/model"

	"github.com/kept-dev/kept/internal/core/notify"
	"github.com/kept-dev/kept/internal/kernel"
)

// counted are how often each channel was told that something fires, and that it is over.
func counted(list []message) (firing, resolved map[kernel.ID]int) {
	firing, resolved = map[kernel.ID]int{}, map[kernel.ID]int{}
	for _, m := range list {
		if len(m.Firing) > 0 {
			firing[m.Channel]++
		} else {
			resolved[m.Channel]++
		}
	}
	return firing, resolved
}

func (w *world) routing(r Routing) {
	w.t.Helper()
	if err := w.m.SaveRouting(w.t.Context(), w.ws, r); err != nil {
		w.t.Fatalf("%v: %v", err, kernel.AsError(err).Fields)
	}
	synctest.Wait()
}

// TestFallback: a message that the first channel does not take goes to the next within the same moment, and the word that
// it is over follows it there.
func TestFallback(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, w *world) {
		r := defaultRouting()
		r.Default.Channels = []kernel.ID{"slack", "pager"}
		w.routing(r)
		w.rule(high)
		w.out.fails["slack"] = errors.New("no such hook")
		w.start()
		w.run(time.Minute, 9, "__name__", "load", "instance", "a")
		sent := w.out.take()
		if len(sent) != 1 || sent[0].Channel != "pager" {
			t.Fatalf("messages: %+v", sent)
		}
		if late := sent[0].At.Sub(w.alerts(Firing)[0].FiredAt); late > 2*time.Second {
			t.Errorf("the second channel was told after %v", late)
		}
		delete(w.out.fails, "slack")
		w.run(2*time.Minute, 1, "__name__", "load", "instance", "a")
		if sent = w.out.take(); len(sent) != 1 || sent[0].Channel != "pager" || len(sent[0].Resolved) != 1 {
			t.Fatalf("that it is over went elsewhere: %+v", sent)
		}
		w.out.fails["slack"], w.out.fails["pager"] = errors.New("down"), errors.New("down")
		w.run(3*time.Minute, 9, "__name__", "load", "instance", "a")
		if len(w.out.take()) != 0 {
			t.Fatal("a channel that fails took a message")
		}
		delete(w.out.fails, "slack")
		w.run(2*time.Minute, 9, "__name__", "load", "instance", "a")
		if sent = w.out.take(); len(sent) != 1 || sent[0].Channel != "slack" {
			t.Fatalf("a message that nobody took is lost: %+v", sent)
		}
	})
}

// TestSeverities sends critical alerts elsewhere, mutes warnings that a critical one explains, and groups.
func TestSeverities(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, w *world) {
		r := defaultRouting()
		page := defaultRoute()
		page.ID, page.Name, page.Severities, page.Channels = "page", "Page", []string{"critical"}, []kernel.ID{"pager"}
		r.Routes = []Route{page}
		w.routing(r)
		warn := high
		warn.Value, warn.Severity = 3, "warning"
		w.rule(high)
		w.rule(warn)
		w.start()
		for range 8 {
			w.put(9, "__name__", "load", "instance", "a")
			w.put(9, "__name__", "load", "instance", "b")
			w.put(4, "__name__", "load", "instance", "c")
			time.Sleep(15 * time.Second)
		}
		synctest.Wait()
		sent := w.out.take()
		firing, _ := counted(sent)
		if firing["pager"] != 1 || firing["owners"] != 1 {
			t.Fatalf("messages: %+v", sent)
		}
		for _, m := range sent {
			switch {
			case m.Channel == "pager" && len(m.Firing) != 2:
				t.Errorf("not one message for both: %v", m.Firing)
			case m.Channel == "owners" && (len(m.Firing) != 1 || m.Firing[0] != "TooHigh/c"):
				t.Errorf("a warning is not muted by the critical alert: %v", m.Firing)
			}
		}
	})
}

// TestAcknowledged: nobody is reminded of what somebody takes care of; others still are, and that it is over is told.
func TestAcknowledged(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, w *world) {
		r := defaultRouting()
		r.Default.Repeat = model.Duration(10 * time.Minute)
		w.routing(r)
		w.rule(high)
		w.start()
		w.run(25*time.Minute, 9, "__name__", "load", "instance", "a")
		if n := len(w.out.take()); n != 3 { // at once, after 10 and after 20 minutes
			t.Fatalf("%d messages", n)
		}
		id := w.alerts(Firing)[0].ID
		if err := w.m.Acknowledge(t.Context(), w.ws, id, "on it"); err != nil {
			t.Fatal(err)
		}
		w.run(35*time.Minute, 9, "__name__", "load", "instance", "a")
		if sent := w.out.take(); len(sent) != 0 {
			t.Fatalf("reminded although somebody takes care: %+v", sent)
		}
		if err := w.m.Unacknowledge(t.Context(), w.ws, id); err != nil {
			t.Fatal(err)
		}
		w.run(2*time.Minute, 9, "__name__", "load", "instance", "a")
		if len(w.out.take()) != 1 {
			t.Fatal("nobody is reminded after the acknowledgement was taken back")
		}
		if err := w.m.Acknowledge(t.Context(), w.ws, id, "again"); err != nil {
			t.Fatal(err)
		}
		w.run(2*time.Minute, 1, "__name__", "load", "instance", "a")
		if sent := w.out.take(); len(sent) != 1 || len(sent[0].Resolved) != 1 {
			t.Fatalf("that it is over: %+v", sent)
		}
		if err := w.m.Acknowledge(t.Context(), w.ws, id, "late"); kernel.CodeOf(err) != kernel.Conflict {
			t.Errorf("what is over was acknowledged: %v", err)
		}
	})
}

// TestQuiet: a silence and a maintenance window hold messages back; when they end, what still fires is told.
func TestQuiet(t *testing.T) {
	t.Parallel()
	for name, mute := range map[string]func(w *world) error{
		"silence": func(w *world) error {
			_, err := w.m.SaveSilence(w.t.Context(), w.ws, Silence{Matchers: []Matcher{{"instance", "=", "a"}}, Until: clock().Add(30 * time.Minute)})
			return err
		},
		"once": func(w *world) error {
			_, err := w.m.SaveWindow(w.t.Context(), w.ws, Window{Name: "work", Start: clock(), Lasts: 30 * time.Minute, Zone: "UTC"})
			return err
		},
		"daily": func(w *world) error { // began three days before, in a zone of its own
			_, err := w.m.SaveWindow(w.t.Context(), w.ws, Window{Name: "work", Matchers: []Matcher{{"severity", "=~", "crit.*"}}, Start: clock().Add(-72 * time.Hour), Lasts: 30 * time.Minute,
				Rule: "FREQ=DAILY", Zone: "Asia/Tokyo"})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(t *testing.T, w *world) {
				if err := mute(w); err != nil {
					t.Fatal(err)
				}
				w.rule(high)
				w.start()
				w.run(28*time.Minute, 9, "__name__", "load", "instance", "a")
				if sent := w.out.take(); len(sent) != 0 {
					t.Fatalf("messages: %+v", sent)
				}
				if len(w.alerts(Firing)) != 1 {
					t.Fatal("a muted alert does not show")
				}
				w.run(5*time.Minute, 9, "__name__", "load", "instance", "a")
				if sent := w.out.take(); len(sent) != 1 {
					t.Fatalf("messages after the end: %+v", sent)
				}
			})
		})
	}
}

// TestHours: a route that is closed at night tells in the morning of what still fires.
func TestHours(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, w *world) { // it is Saturday, 00:00 UTC
		r := defaultRouting()
		r.Default.Hours = &Hours{From: "01:00", To: "00:30", Zone: "UTC", Days: []int{6}} // from Saturday, 01:00, half an hour into Sunday
		w.routing(r)
		w.rule(high)
		w.start()
		w.run(20*time.Minute, 9, "__name__", "load", "instance", "a")
		if len(w.out.take()) != 0 {
			t.Fatal("told outside of the hours")
		}
		for time.Now().UTC().Hour() != 1 {
			w.run(20*time.Minute, 9, "__name__", "load", "instance", "a")
		}
		w.run(5*time.Minute, 9, "__name__", "load", "instance", "a")
		if n := len(w.out.take()); n != 1 {
			t.Fatalf("%d messages when the hours began", n)
		}
	})
}

// TestRestart: a process that ends and comes back tells nobody again, keeps the time that an alert has been pending, and
// tells of what ended meanwhile.
func TestRestart(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, w *world) {
		w.rule(high)
		slow := high
		slow.Name, slow.For = "Slow", model.Duration(30*time.Minute)
		w.rule(slow)
		w.start()
		w.run(20*time.Minute, 9, "__name__", "load", "instance", "a")
		if n := len(w.out.take()); n != 1 {
			t.Fatalf("%d messages", n)
		}
		before := w.alerts(Firing)[0]
		w.restart()
		w.run(15*time.Minute, 9, "__name__", "load", "instance", "a")
		sent := w.out.take()
		if len(sent) != 1 || len(sent[0].Firing) != 1 || sent[0].Firing[0] != "Slow/a" {
			t.Fatalf("messages after the restart: %+v", sent)
		}
		for _, a := range w.alerts(Firing) {
			if a.Name == "TooHigh" && (a.ID != before.ID || !a.FiredAt.Equal(before.FiredAt)) {
				t.Errorf("another firing: %+v, was %+v", a, before)
			}
		}
		w.close()
		w.open()
		w.put(1, "__name__", "load", "instance", "a")
		w.start()
		w.run(5*time.Minute, 1, "__name__", "load", "instance", "a")
		_, resolved := counted(w.out.take())
		if resolved[notify.Owners] != 2 {
			t.Errorf("what ended while nobody looked: %v", resolved)
		}
		if list := w.alerts(Firing, Pending); len(list) != 0 {
			t.Errorf("still open: %s", states(list))
		}
	})
}

// TestRuleGoes: an alert of a rule that is turned off or deleted is over, and that is told.
func TestRuleGoes(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, w *world) {
		r := w.rule(high)
		w.start()
		w.run(time.Minute, 9, "__name__", "load", "instance", "a")
		w.out.take()
		if err := w.m.DeleteRule(t.Context(), w.ws, r.ID); err != nil {
			t.Fatal(err)
		}
		w.run(3*time.Minute, 9, "__name__", "load", "instance", "a")
		if sent := w.out.take(); len(sent) != 1 || len(sent[0].Resolved) != 1 {
			t.Fatalf("messages: %+v", sent)
		}
		w.run(3*time.Minute, 9, "__name__", "load", "instance", "a")
		if len(w.m.running()) != 0 {
			t.Error("an engine runs for nothing")
		}
		if err := w.m.RestoreRule(t.Context(), w.ws, r.ID); err != nil {
			t.Fatal(err)
		}
		w.run(2*time.Minute, 9, "__name__", "load", "instance", "a")
		if firing, _ := counted(w.out.take()); firing[notify.Owners] != 1 {
			t.Errorf("a rule that was brought back does not fire: %v", firing)
		}
	})
}

// TestNotOursToTell: a server that stood still for longer than its lease tells nobody, as another one does by now.
func TestNotOursToTell(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		for _, held := range []bool{false, true} {
			c := &chain{p: &pipeline{m: w.m, ws: w.ws, held: func() bool { return held }}, channels: []kernel.ID{"a"}}
			retry, err := c.Notify(t.Context(), &amalert.Alert{})
			if refused := errors.Is(err, errNotHeld); refused == held || refused && retry {
				t.Errorf("held %v: %v, again %v", held, err, retry)
			}
		}
		if sent := w.out.take(); len(sent) > 1 {
			t.Errorf("told %d times", len(sent))
		}
	})
}
