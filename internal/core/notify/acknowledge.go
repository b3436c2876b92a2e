package notify

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/alertmanager/alert"
	"github.com/prometheus/common/model"

	"github.com/kept-dev/kept/internal/kernel"
)

// ackLimit is how long telling all channels of one acknowledgement may take.
const ackLimit = time.Minute

// background is work that nobody waits for but Stop.
type background struct {
	mu      sync.Mutex
	stopped bool
	cancel  []context.CancelFunc
	work    sync.WaitGroup
}

// Stop ends what runs in the background and waits for it, at most until ctx ends. Stopping twice does nothing.
func (m *Module) Stop(ctx context.Context) error {
	b := &m.background
	b.mu.Lock()
	b.stopped = true
	for _, cancel := range b.cancel {
		cancel()
	}
	b.cancel = nil
	b.mu.Unlock()
	done := make(chan struct{})
	go func() { b.work.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (b *background) run(f func(ctx context.Context)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stopped {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), ackLimit)
	b.cancel = append(b.cancel[:len(b.cancel):len(b.cancel)], cancel)
	if len(b.cancel) > 1000 {
		b.cancel = b.cancel[500:] // those have ended long ago: each has a minute
	}
	b.work.Go(func() { defer cancel(); f(ctx) })
}

// Acknowledged tells the channels on which somebody answers alerts (PagerDuty, Opsgenie, a Slack bot's thread) that a
// person has taken one over in Kept; an empty name takes it back. It returns at once.
func (m *Module) Acknowledged(ws kernel.WorkspaceID, labels map[string]string, by string) {
	m.background.run(func(ctx context.Context) {
		if err := m.acknowledged(ctx, ws, labels, by); err != nil && ctx.Err() == nil {
			m.d.Logger.Error("channels could not be told of an acknowledgement", "workspace", ws, "error", err)
		}
	})
}

func (m *Module) acknowledged(ctx context.Context, ws kernel.WorkspaceID, labels map[string]string, by string) error {
	list, _, err := m.Deliveries(ctx, ws, DeliveryFilter{Limit: 500})
	if err != nil {
		return err
	}
	type place struct {
		channel kernel.ID
		group   string
	}
	seen := map[place]bool{}
	for _, d := range list {
		k, _ := kindNamed(d.Kind)
		at := place{d.ChannelID, d.body.Notice.Group}
		if !k.Acks || d.Reason == reasonTest || d.State != stateSent || seen[at] {
			continue
		}
		seen[at] = true // the newest of each group says how it stands
		if alerts := m.withAck(d, labels, by); alerts != nil {
			n := d.body.Notice
			n.Reason, n.At, n.ID = reasonAlert, m.d.Clock(), freshNotice(m.d.Clock())
			m.attempt(ctx, ws, d.ChannelID, n, alerts)
		}
	}
	return nil
}

// freshNotice is the id of a notification that is none of the pipeline's.
func freshNotice(now time.Time) []byte { return []byte(kernel.NewID(now))[10:] }

// withAck are the alerts of a delivery with one of them acknowledged; nil when it is not among those that fire.
func (m *Module) withAck(d Delivery, labels map[string]string, by string) []*alert.Alert {
	found := false
	out := m.rebuilt(d)
	for i, a := range out {
		if d.body.Over[i] || !sameLabels(a.Labels, labels) {
			continue
		}
		found = true
		a.Annotations = a.Annotations.Clone()
		if a.Annotations == nil {
			a.Annotations = model.LabelSet{}
		}
		if a.Annotations[AnnotationAcked] = model.LabelValue(by); by == "" {
			delete(a.Annotations, AnnotationAcked)
		}
	}
	if !found {
		return nil
	}
	return out
}

// rebuilt are the alerts of a delivery as they were: what fired then still does, though its time is over.
func (m *Module) rebuilt(d Delivery) []*alert.Alert {
	now := m.d.Clock()
	out := make([]*alert.Alert, len(d.body.Alerts))
	for i, k := range d.body.Alerts {
		if out[i] = k.alert(now); !d.body.Over[i] {
			out[i].EndsAt = time.Time{}
		}
	}
	return out
}

func sameLabels(set model.LabelSet, labels map[string]string) bool {
	if len(set) != len(labels) {
		return false
	}
	for n, v := range set {
		if got, ok := labels[string(n)]; !ok || got != string(v) {
			return false
		}
	}
	return true
}
