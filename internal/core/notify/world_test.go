package notify

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/alertmanager/alert"
	"github.com/prometheus/alertmanager/notify"
	"github.com/prometheus/common/model"

	"github.com/kept-dev/kept/internal/core/access/accesstest"
	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/core/identity"
	"github.com/kept-dev/kept/internal/core/mail"
	"github.com/kept-dev/kept/internal/core/workspace"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/db/dbtest"
	"github.com/kept-dev/kept/internal/platform/egress"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/seal"
	"github.com/kept-dev/kept/internal/ui"
)

const owner = "ann@example.org"

// world is a workspace with channels, its mail and its log.
type world struct {
	*accesstest.Stack
	*Module
	ws      kernel.WorkspaceID
	account kernel.AccountID
	mail    *mail.Module
	box     *mail.Mailbox
	log     *lines
	waited  []time.Duration
	p       *provider
}

// lines are what the server's log says.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func each(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	dbtest.EachConfig(t, func(t *testing.T, cfg db.Config) { f(t, newWorld(t, cfg)) })
}

func newWorld(t testing.TB, cfg db.Config) *world {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	w := &world{Stack: accesstest.New(t, cfg), log: &lines{}}
	key, err := seal.NewInstanceKey()
	must(err)
	keys := seal.New(w.DB, key)
	must(w.DB.Migrate(t.Context(), db.Module{Name: "seal", Migrations: keys.Migrations()}))
	must(w.DB.Migrate(t.Context(), db.Module{Name: "notify", Migrations: Migrations()}))
	w.account, w.ws, _ = w.Owner(t, owner, "Acme")
	w.box = mail.NewMailbox(w.Clock.Now)
	types := append(append(identity.MailTypes(), workspace.MailTypes()...), MailTypes()...)
	w.mail, err = mail.New(mail.Deps{DB: w.DB, Seal: keys.Instance(), Sender: w.box, Types: types, From: "kept@kept.example", BaseURL: accesstest.BaseURL, Clock: w.Clock.Now})
	must(err)
	u, err := ui.New(ui.Config{Apps: []ui.App{{Key: "alerts", Label: "Alerts", Icon: "bell"}}, Frame: func(r *http.Request) ui.Frame {
		a := w.Access.Around(r)
		if a.Anonymous() {
			return ui.Frame{}
		}
		return ui.Frame{Nav: ui.ExpandNav(w.Nav(), string(a.WorkspaceID)), Viewer: &ui.Viewer{Email: a.Email, Workspace: a.Workspace}}
	}})
	must(err)
	w.Module, err = New(Deps{DB: w.DB, UI: u, Keys: keys, Mail: w.mail, Out: egress.New(egress.Config{AllowPrivate: true}), Clock: w.Clock.Now,
		BaseURL: func() string { return accesstest.BaseURL }, Logger: slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Audit: func(ctx context.Context, action, target, detail string) error {
			return w.DB.Tx(ctx, func(tx *db.Tx) error {
				return audit.Record(ctx, tx, audit.Event{WorkspaceID: httpx.ActorOf(ctx).WorkspaceID, Action: action, Target: target, Detail: detail})
			})
		}})
	must(err)
	w.Module.wait = func(ctx context.Context, d time.Duration) error {
		w.waited = append(w.waited, d)
		w.Clock.Add(d)
		return ctx.Err()
	}
	w.Module.UseLinks(func(_ context.Context, ws kernel.WorkspaceID, a *alert.Alert) Links {
		base := accesstest.BaseURL + "/w/" + string(ws) + "/alerts/" + a.Fingerprint().String()
		return Links{Page: base, Silence: base + "/silence", Ack: base + "/ack"}
	})
	must(w.Mux.Add(w.Module.Routes()...))
	return w
}

// firing is an alert; pairs are labels.
func (w *world) firing(name string, pairs ...string) *alert.Alert {
	now := w.Clock.Now()
	a := &alert.Alert{UpdatedAt: now, Alert: model.Alert{Labels: model.LabelSet{model.AlertNameLabel: model.LabelValue(name), "severity": "critical"},
		Annotations: model.LabelSet{"summary": "web-1 has not reported <b>for</b> 5 minutes & counting @everyone", AnnotationValue: "93.2 %"}, StartsAt: now.Add(-5 * time.Minute)}}
	for i := 0; i+1 < len(pairs); i += 2 {
		a.Labels[model.LabelName(pairs[i])] = model.LabelValue(pairs[i+1])
	}
	return a
}

func (w *world) over(a *alert.Alert) *alert.Alert {
	b := *a
	b.EndsAt = w.Clock.Now()
	return &b
}

// pipeline is the context in which Alertmanager calls a notifier.
func (w *world) pipeline(t testing.TB, group string) context.Context {
	ctx := notify.WithGroupKey(t.Context(), group)
	ctx = notify.WithReceiverName(ctx, "on-call")
	ctx = notify.WithGroupLabels(ctx, model.LabelSet{model.AlertNameLabel: "HostDown"})
	return notify.WithNow(ctx, w.Clock.Now())
}

// make makes a channel with settings that the provider takes.
func (w *world) make(t testing.TB, kindKey string, set map[string]string) Channel {
	t.Helper()
	c, err := w.Create(t.Context(), w.ws, kindKey, Edit{Name: "On-call " + kindKey, Resolved: true, Set: set})
	if err != nil {
		t.Fatal(kindKey, err)
	}
	return c
}

func (w *world) notifier(t testing.TB, id kernel.ID) notify.Notifier {
	t.Helper()
	n, err := w.Notifier(t.Context(), w.ws, id)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func (w *world) deliveries(t testing.TB, c Channel) []Delivery {
	t.Helper()
	list, _, err := w.Deliveries(t.Context(), w.ws, DeliveryFilter{Channel: c.ID})
	if err != nil {
		t.Fatal(err)
	}
	for i := range list {
		if list[i], err = w.Delivery(t.Context(), w.ws, list[i].ID); err != nil {
			t.Fatal(err)
		}
	}
	return list
}

// strictOut lets nothing out to private addresses, as a server does by default.
func strictOut(w *world) { w.d.Out = egress.New(egress.Config{}) }
