package notify

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/prometheus/alertmanager/alert"
	"github.com/prometheus/alertmanager/notify"
	"github.com/prometheus/common/model"

	"github.com/kept-dev/kept/internal/kernel"
)

// Why something is sent.
const (
	reasonAlert  = "alert"
	reasonTest   = "test"
	reasonResend = "resend"
)

// disableAfter is how many notifications in a row may be refused for good before a channel is turned off.
const disableAfter = 5

// notifier is a channel in Alertmanager's pipeline.
type notifier struct {
	m      *Module
	ws     kernel.WorkspaceID
	id     kernel.ID
	reason string
}

var _ notify.Notifier = (*notifier)(nil)

// Notify makes one attempt and says whether another makes sense. Alertmanager calls it again until its context ends; an
// attempt before the time that a provider asked for waits here.
func (n *notifier) Notify(ctx context.Context, alerts ...*alert.Alert) (retry bool, err error) {
	_, f := n.m.attempt(ctx, n.ws, n.id, n.noticeOf(ctx, alerts), alerts)
	if f == nil {
		return false, nil
	}
	return f.retry, f
}

// notice is what the pipeline says about a notification.
type notice struct {
	Reason   string            `json:"-"`
	Receiver string            `json:"receiver"`
	Group    string            `json:"group"` // Alertmanager's key
	Labels   map[string]string `json:"labels"`
	ID       []byte            `json:"-"` // the same for all attempts
	At       time.Time         `json:"at"`

	routine bool // not worth a line in the log when it works
}

func (n *notifier) noticeOf(ctx context.Context, alerts []*alert.Alert) notice {
	out := notice{Reason: n.reason, At: n.m.d.Clock()}
	out.Group, _ = notify.GroupKey(ctx)
	out.Receiver, _ = notify.ReceiverName(ctx)
	labels, _ := notify.GroupLabels(ctx)
	out.Labels = map[string]string{}
	for k, v := range labels {
		out.Labels[string(k)] = string(v)
	}
	flush, _ := notify.Now(ctx)
	prints := make([]string, 0, len(alerts))
	for _, a := range alerts {
		prints = append(prints, fmt.Sprint(a.Fingerprint(), a.StartsAt.UnixNano(), a.ResolvedAt(out.At)))
	}
	slices.Sort(prints)
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\n%s\n%s\n%d\n%q", n.reason, n.id, out.Group, flush.UnixNano(), prints))
	out.ID = sum[:16]
	return out
}

// attempt makes one attempt and notes it. The failure is nil when it worked.
func (m *Module) attempt(ctx context.Context, ws kernel.WorkspaceID, id kernel.ID, n notice, alerts []*alert.Alert) (delivery kernel.ID, f *failure) {
	c, err := m.Channel(ctx, ws, id)
	if kernel.CodeOf(err) == kernel.NotFound {
		return "", &failure{text: "the channel was deleted"}
	}
	if err != nil {
		m.d.Logger.Error("a channel could not be read", "workspace", ws, "channel", id, "error", err)
		return "", &failure{text: "the channel could not be read", retry: true}
	}
	if c.Disabled() && n.Reason != reasonTest {
		return "", &failure{text: "the channel is off"}
	}
	if n.Reason == reasonAlert && !c.Resolved {
		if alerts = slices.DeleteFunc(slices.Clone(alerts), func(a *alert.Alert) bool { return a.ResolvedAt(n.At) }); len(alerts) == 0 {
			return "", nil
		}
	}
	if f := m.leaveAlone(ctx, c); f != nil {
		return "", f
	}
	s := m.aim(ctx, c, n, alerts)
	began := time.Now()
	f = s.fire(ctx)
	took := time.Since(began)
	if f != nil {
		f.text = s.hide(f.text)
	}
	m.report(s, n, f, took)
	if f == nil && n.routine {
		return "", nil
	}
	delivery, err = m.record(context.WithoutCancel(ctx), s, n, f, took)
	if err != nil {
		m.d.Logger.Error("a delivery could not be noted", "workspace", ws, "channel", id, "error", err)
	}
	return delivery, f
}

// leaveAlone waits until the time that a provider asked for. When that is later than the attempt may take, the attempt is
// over without having bothered anybody.
func (m *Module) leaveAlone(ctx context.Context, c Channel) *failure {
	d := c.notBefore.Sub(m.d.Clock())
	if d <= 0 {
		return nil
	}
	deadline, ok := ctx.Deadline()
	if ok && time.Until(deadline) < d || m.wait(ctx, d) != nil {
		return &failure{text: "the provider asked to be left alone for a while", retry: true}
	}
	return nil
}

func (m *Module) aim(ctx context.Context, c Channel, n notice, alerts []*alert.Alert) *shot {
	k, _ := kindNamed(c.Kind)
	sum := sha256.Sum256([]byte(string(c.ws) + "\n" + n.Group))
	now := m.d.Clock()
	return &shot{m: m, c: c, k: k, msg: m.compose(ctx, c.ws, now, alerts), alerts: alerts, labels: n.Labels, group: n.Group,
		key: hex.EncodeToString(sum[:]), notice: hex.EncodeToString(n.ID), recv: n.Receiver, now: now}
}

// fire makes the attempt. A panic in it is our fault and nobody else's.
func (s *shot) fire(ctx context.Context) (f *failure) {
	defer func() {
		if p := recover(); p != nil {
			s.m.d.Logger.Error("a channel panicked", "channel", s.c.ID, "kind", s.c.Kind, "panic", fmt.Sprint(p))
			f = &failure{text: "it failed on our side"}
		}
	}()
	if s.k.send == nil {
		return &failure{text: "there are no channels of this kind any more"}
	}
	return asFailure(s.k.send(ctx, s))
}

// report writes to the server's log what went wrong, without what the provider said.
func (m *Module) report(s *shot, n notice, f *failure, took time.Duration) {
	if f == nil {
		return
	}
	m.d.Logger.Info("a notification was not delivered", slog.String("workspace", string(s.c.ws)), slog.String("channel", string(s.c.ID)),
		slog.String("kind", s.c.Kind), slog.String("reason", n.Reason), slog.Int("status", s.status), slog.Bool("again", f.retry), slog.Duration("took", took))
}

// kept is an alert as the delivery log has it, to send it once more.
type kept struct {
	Labels      model.LabelSet `json:"labels"`
	Annotations model.LabelSet `json:"annotations"`
	StartsAt    time.Time      `json:"starts_at"`
	EndsAt      time.Time      `json:"ends_at"`
	URL         string         `json:"url,omitempty"`
}

const maxKept = 200 // alerts of one delivery

func keep(alerts []*alert.Alert) []kept {
	out := make([]kept, 0, min(len(alerts), maxKept))
	for i, a := range alerts {
		if i == maxKept {
			break
		}
		out = append(out, kept{a.Labels, a.Annotations, a.StartsAt, a.EndsAt, a.GeneratorURL})
	}
	return out
}

func (k kept) alert(now time.Time) *alert.Alert {
	return &alert.Alert{UpdatedAt: now, Alert: model.Alert{Labels: k.Labels, Annotations: k.Annotations, StartsAt: k.StartsAt, EndsAt: k.EndsAt, GeneratorURL: k.URL}}
}

// Test sends a sample to a channel, also to one that is off, and returns the delivery with the provider's answer. What a
// provider would keep open is closed again.
func (m *Module) Test(ctx context.Context, ws kernel.WorkspaceID, id kernel.ID) (kernel.ID, error) {
	c, err := m.Channel(ctx, ws, id)
	if err != nil {
		return "", err
	}
	now := m.d.Clock()
	a := &alert.Alert{UpdatedAt: now, Alert: model.Alert{
		Labels: model.LabelSet{model.AlertNameLabel: "TestOfChannel", "severity": info, "channel": model.LabelValue(c.Name)},
		Annotations: model.LabelSet{"summary": "This is a test of the channel “" + model.LabelValue(c.Name) + "”. Nothing is wrong.",
			AnnotationValue: "42"},
		StartsAt: now.Add(-2 * time.Minute), EndsAt: now.Add(time.Hour),
	}}
	n := notice{Reason: reasonTest, Receiver: c.Name, Group: "test/" + string(id), Labels: map[string]string{model.AlertNameLabel: "TestOfChannel"}, At: now}
	n.ID = freshNotice(now)
	delivery, f := m.attempt(ctx, ws, id, n, []*alert.Alert{a})
	if k, _ := kindNamed(c.Kind); f == nil && k.Pages > 0 {
		a.EndsAt = now
		delivery, f = m.attempt(ctx, ws, id, n, []*alert.Alert{a})
	}
	return delivery, asDelivered(delivery, f)
}

// asDelivered is the error of an attempt that is not even in the log; what is in the log is shown from there.
func asDelivered(delivery kernel.ID, f *failure) error {
	if f != nil && delivery == "" {
		return kernel.Errorf(kernel.Unavailable, "It could not be sent: %s.", f.text)
	}
	return nil
}

// Resend sends a delivery once more, as it was.
func (m *Module) Resend(ctx context.Context, ws kernel.WorkspaceID, id kernel.ID) (kernel.ID, error) {
	d, err := m.Delivery(ctx, ws, id)
	if err != nil {
		return "", err
	}
	if d.Reason == reasonTest {
		return m.Test(ctx, ws, d.ChannelID)
	}
	now := m.d.Clock()
	n := d.body.Notice
	n.Reason, n.At, n.ID = reasonResend, now, freshNotice(now)
	alerts := m.rebuilt(d)
	if len(alerts) == 0 {
		return "", kernel.Errorf(kernel.Conflict, "There is nothing in this delivery that could be sent again.")
	}
	delivery, f := m.attempt(ctx, ws, d.ChannelID, n, alerts)
	return delivery, asDelivered(delivery, f)
}
