package alert

import (
	"testing"
	"time"

	"github.com/prometheus/common/model"
)

var high = Rule{Kind: KindThreshold, Name: "TooHigh", Expr: "load", Compare: ">", Value: 5, Severity: "critical",
	Annotations: map[string]string{"summary": "load {{ $value }} on {{ $labels.instance }}"}}

// TestLife is an alert's whole life: nothing, pending, firing with a message, resolved with a message, history.
func TestLife(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, w *world) {
		r := high
		r.For = model.Duration(time.Minute)
		w.rule(r)
		w.start()
		w.run(2*time.Minute, 1, "__name__", "load", "instance", "a")
		if list := w.alerts(); len(list) != 0 || len(w.out.take()) != 0 {
			t.Fatalf("something fires at rest: %s", states(list))
		}
		w.run(45*time.Second, 9, "__name__", "load", "instance", "a")
		if list := w.alerts(); len(list) != 1 || list[0].State != Pending {
			t.Fatalf("not pending: %s", states(list))
		}
		w.run(2*time.Minute, 9, "__name__", "load", "instance", "a")
		list := w.alerts()
		if len(list) != 1 || list[0].State != Firing || list[0].Value != 9 || list[0].Annotations["summary"] != "load 9 on a" {
			t.Fatalf("not firing: %+v", list)
		}
		if took := list[0].FiredAt.Sub(list[0].StartedAt); took != time.Minute {
			t.Errorf("fired after %v", took)
		}
		sent := w.out.take()
		if len(sent) != 1 || len(sent[0].Firing) != 1 || sent[0].Channel != "owners" {
			t.Fatalf("messages: %+v", sent)
		}
		if late := sent[0].At.Sub(list[0].FiredAt); late > 2*time.Second {
			t.Errorf("the message came %v after the alert", late)
		}
		w.run(3*time.Minute, 1, "__name__", "load", "instance", "a")
		if list = w.alerts(); len(list) != 1 || list[0].State != Resolved {
			t.Fatalf("not resolved: %s", states(list))
		}
		if sent = w.out.take(); len(sent) != 1 || len(sent[0].Resolved) != 1 || len(sent[0].Firing) != 0 {
			t.Fatalf("messages: %+v", sent)
		}
	})
}
