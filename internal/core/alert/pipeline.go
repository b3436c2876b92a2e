package alert

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"

	amalert "github.com/prometheus/alertmanager/alert"
	amconfig "github.com/prometheus/alertmanager/config"
	amcommon "github.com/prometheus/alertmanager/config/common"
	"github.com/prometheus/alertmanager/dispatch"
	"github.com/prometheus/alertmanager/eventrecorder"
	"github.com/prometheus/alertmanager/featurecontrol"
	"github.com/prometheus/alertmanager/inhibit"
	"github.com/prometheus/alertmanager/marker"
	"github.com/prometheus/alertmanager/nflog"
	"github.com/prometheus/alertmanager/nflog/nflogpb"
	amnotify "github.com/prometheus/alertmanager/notify"
	"github.com/prometheus/alertmanager/provider/mem"
	"github.com/prometheus/alertmanager/timeinterval"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/rules"

	"github.com/kept-dev/kept/internal/core/notify"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
)

// What Alertmanager's own server uses.
const (
	noticesKept   = 5 * 24 * time.Hour
	maintainEvery = 30 * time.Second
	collectEvery  = 30 * time.Minute
	minTimeout    = amnotify.MinTimeout
)

// unregistered takes metrics and forgets them: those of each workspace would be too many to expose.
type unregistered struct{}

func (unregistered) Register(prometheus.Collector) error  { return nil }
func (unregistered) MustRegister(...prometheus.Collector) {}
func (unregistered) Unregister(prometheus.Collector) bool { return true }

func newOutcomes() *amnotify.Metrics {
	return amnotify.NewMetrics(unregistered{}, featurecontrol.NoopFlags{})
}

// pipeline is Alertmanager for one workspace: the alerts in memory, inhibition, grouping, mutes, deduplication by the log of
// notices, and the channels.
type pipeline struct {
	m       *Module
	ws      kernel.WorkspaceID
	logger  *slog.Logger
	alerts  *mem.Alerts
	notices *notices
	held    func() bool // whether it is still ours to tell
	marker  marker.GroupMarker
	cancel  context.CancelFunc

	mu        sync.Mutex
	routing   *Routing
	inhibitor *inhibit.Inhibitor
	dispatch  *dispatch.Dispatcher
}

// openPipeline makes the pipeline, with what fired before a restart in it: if it is over by now, its message still leaves.
func (m *Module) openPipeline(ctx context.Context, ws kernel.WorkspaceID, held func() bool, firing []Alert) (*pipeline, error) {
	p := &pipeline{m: m, ws: ws, held: held, logger: slog.New(&quiet{m.d.Logger.Handler()}).With("workspace", string(ws)), marker: marker.NewGroupMarker()}
	var err error
	if p.notices, err = m.openNotices(ctx, ws); err != nil {
		return nil, err
	}
	var run context.Context
	run, p.cancel = context.WithCancel(context.Background())
	if p.alerts, err = mem.NewAlerts(run, collectEvery, 0, nil, p.logger, eventrecorder.NopRecorder(), unregistered{}, nil); err != nil {
		p.cancel()
		return nil, err
	}
	var list []*amalert.Alert
	for _, a := range firing {
		list = append(list, p.convert(a, time.Now().Add(time.Hour)))
	}
	return p, p.alerts.Put(run, list...)
}

// convert is an alert as Alertmanager has it. Its annotations carry the explanation, and its link leads to its page.
func (p *pipeline) convert(a Alert, until time.Time) *amalert.Alert {
	out := &amalert.Alert{UpdatedAt: time.Now(), Alert: model.Alert{Labels: model.LabelSet{}, Annotations: model.LabelSet{}, StartsAt: a.FiredAt, EndsAt: until}}
	for name, value := range a.Labels {
		out.Labels[model.LabelName(name)] = model.LabelValue(value)
	}
	for name, value := range a.Annotations {
		out.Annotations[model.LabelName(name)] = model.LabelValue(value)
	}
	if text := factsText(a.Facts); text != "" {
		out.Annotations[notify.AnnotationWhy] = model.LabelValue(text)
	}
	if out.Annotations[notify.AnnotationValue] == "" {
		out.Annotations[notify.AnnotationValue] = model.LabelValue(strconv.FormatFloat(a.Value, 'g', 6, 64))
	}
	if a.AckedBy != "" {
		out.Annotations[notify.AnnotationAcked] = model.LabelValue(a.AckedBy)
	}
	out.GeneratorURL = p.m.d.BaseURL() + alertHref(p.ws, a.ID)
	return out
}

// put hands on what the rule manager wants sent. What is resolved comes by resolve, because the book knows more of it.
func (p *pipeline) put(b *book, list []*rules.Alert) {
	var out []*amalert.Alert
	for _, a := range list {
		if a.ResolvedAt.IsZero() {
			if open, ok := b.find(a.Labels); ok {
				out = append(out, p.convert(open, a.ValidUntil))
			}
		}
	}
	p.store(out)
}

func (p *pipeline) store(list []*amalert.Alert) {
	if len(list) == 0 {
		return
	}
	if err := p.alerts.Put(context.Background(), list...); err != nil {
		p.logger.Error("alert: cannot hand on alerts", "error", err)
	}
}

// resolve ends an alert.
func (p *pipeline) resolve(a Alert) {
	if !a.FiredAt.IsZero() {
		out := p.convert(a, a.ResolvedAt)
		out.UpdatedAt = time.Now()
		p.store([]*amalert.Alert{out})
	}
}

// idle tells whether every message has left.
func (p *pipeline) idle() bool {
	p.mu.Lock()
	d := p.dispatch
	p.mu.Unlock()
	if d == nil {
		return true
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	groups, _, err := d.Groups(ctx, func(*dispatch.Route) bool { return true }, func(*amalert.Alert, time.Time) bool { return true })
	return err == nil && len(groups) == 0
}

// configure takes a routing. One that is as it was changes nothing, so groups keep their times.
func (p *pipeline) configure(r Routing) {
	r.Rev = 0
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.routing != nil && reflect.DeepEqual(*p.routing, r) {
		return
	}
	p.stopRouting()
	p.routing = &r
	intervals := map[string][]timeinterval.TimeInterval{}
	stages := amnotify.RoutingStage{}
	var inhibits []amcommon.InhibitRule
	for _, i := range r.Inhibits {
		if c, err := i.config(); err == nil {
			inhibits = append(inhibits, c)
		}
	}
	p.inhibitor = inhibit.NewInhibitor(p.alerts, inhibits, p.logger, eventrecorder.NopRecorder())
	root := p.route(r.Default, intervals)
	for _, child := range r.Routes {
		root.Routes = append(root.Routes, p.route(child, intervals))
	}
	intervener := timeinterval.NewIntervener(intervals)
	for _, route := range append([]Route{r.Default}, r.Routes...) {
		stages[route.ID] = p.stage(route, intervener)
	}
	go p.inhibitor.Run()
	p.inhibitor.WaitForLoading()
	timeout := func(d time.Duration) time.Duration { return max(d, minTimeout) }
	p.dispatch = dispatch.NewDispatcher(p.alerts, dispatch.NewRoute(root, nil), stages, p.marker, timeout, maintainEvery, nil, p.logger, eventrecorder.NopRecorder(), nil, nil)
	go p.dispatch.Run(time.Now())
	p.dispatch.WaitForLoading()
}

// route is a route in Alertmanager's configuration.
func (p *pipeline) route(r Route, intervals map[string][]timeinterval.TimeInterval) *amconfig.Route {
	out := &amconfig.Route{Receiver: r.ID, Continue: r.Continue, GroupWait: &r.Wait, GroupInterval: &r.Interval, RepeatInterval: &r.Repeat, GroupBy: []model.LabelName{}}
	if compiled, err := compileMatchers(r.matchers()); err == nil && r.ID != "default" {
		out.Matchers = amcommon.Matchers(compiled)
	}
	for _, name := range r.GroupBy {
		if name == "..." {
			out.GroupByAll, out.GroupBy = true, nil
			break
		}
		out.GroupBy = append(out.GroupBy, model.LabelName(name))
	}
	if r.Hours != nil {
		if i, err := r.Hours.interval(); err == nil {
			intervals[r.ID] = i
			out.ActiveTimeIntervals = []string{r.ID}
		}
	}
	return out
}

// stage is what happens to a group that a route is for.
func (p *pipeline) stage(r Route, intervener *timeinterval.Intervener) amnotify.Stage {
	recv := &nflogpb.Receiver{GroupName: r.ID, Integration: "channels"}
	c := &chain{p: p, channels: r.Channels}
	integration := amnotify.NewIntegration(c, c, "channels", 0, r.ID)
	return amnotify.MultiStage{
		amnotify.NewMuteStage(p.inhibitor, p.m.outcomes),
		amnotify.NewTimeActiveStage(intervener, p.marker, p.m.outcomes),
		amnotify.StageFunc(p.mute),
		amnotify.NewDedupStage(c, p.notices, recv),
		amnotify.StageFunc(p.spare),
		amnotify.NewRetryStage(integration, r.ID, p.m.outcomes, eventrecorder.NopRecorder()),
		amnotify.NewSetNotifiesStage(p.notices, recv),
	}
}

// mute takes out what a silence or a maintenance window mutes now. They are read for each message: they are few, messages
// are rare, and so one that was made a second ago on another instance counts. If they cannot be read, nothing is muted.
func (p *pipeline) mute(ctx context.Context, _ *slog.Logger, alerts ...*amalert.Alert) (context.Context, []*amalert.Alert, error) {
	mutes, err := p.m.mutesAt(ctx, p.ws, p.m.d.Clock())
	if err != nil {
		p.logger.Error("alert: silences cannot be read, so nothing is silenced", "error", err)
		return ctx, alerts, nil
	}
	var left []*amalert.Alert
	for _, a := range alerts {
		if mutes.of(labelMap(a)) == nil {
			left = append(left, a)
		}
	}
	return ctx, left, nil
}

// spare drops a reminder of which somebody takes care already.
func (p *pipeline) spare(ctx context.Context, _ *slog.Logger, alerts ...*amalert.Alert) (context.Context, []*amalert.Alert, error) {
	if reason, ok := amnotify.NotificationReason(ctx); !ok || reason != amnotify.ReasonRepeatIntervalElapsed {
		return ctx, alerts, nil
	}
	open, err := p.m.openAlerts(ctx, p.ws)
	if err != nil {
		return ctx, alerts, nil
	}
	for _, a := range alerts {
		if !a.Resolved() && !ackedIn(open, labelMap(a)) {
			return ctx, alerts, nil
		}
	}
	return ctx, nil, nil
}

func ackedIn(open []Alert, ls map[string]string) bool {
	for _, o := range open {
		if !o.AckedAt.IsZero() && maps.Equal(o.Labels, ls) {
			return true
		}
	}
	return false
}

func labelMap(a *amalert.Alert) map[string]string {
	out := make(map[string]string, len(a.Labels))
	for name, value := range a.Labels {
		out[string(name)] = string(value)
	}
	return out
}

func (p *pipeline) stopRouting() {
	if p.dispatch != nil {
		p.dispatch.Stop()
		p.inhibitor.Stop()
	}
}

func (p *pipeline) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopRouting()
	p.alerts.Close()
	p.cancel()
}

// chain is the channels of a route: each in turn until one takes the message.
type chain struct {
	p        *pipeline
	channels []kernel.ID
}

// SendResolved implements notify.ResolvedSender; each channel decides for itself.
func (c *chain) SendResolved() bool { return true }

// oneTry is how long one channel may take before it is the next one's turn.
const oneTry = 15 * time.Second

// chosenKey is where the log of notices keeps which channel took the message about what fires: the one that it is over goes
// there too.
const chosenKey = "channel"

// Notify implements notify.Notifier.
func (c *chain) Notify(ctx context.Context, alerts ...*amalert.Alert) (retry bool, err error) {
	if len(c.channels) == 0 {
		return false, nil
	}
	if !c.p.held() {
		return false, errNotHeld
	}
	known, err := c.p.m.d.Channels.Channels(ctx, c.p.ws)
	if err != nil {
		return true, err
	}
	quiet := map[kernel.ID]bool{} // those that do not want to hear that it is over
	for _, k := range known {
		quiet[k.ID] = !k.Resolved
	}
	store, _ := amnotify.NflogStore(ctx)
	list := c.channels
	if store != nil && !anyFires(alerts) {
		if last, ok := store.GetStr(chosenKey); ok {
			list = append([]kernel.ID{kernel.ID(last)}, without(list, kernel.ID(last))...)
		}
	}
	var errs []error
	for i, id := range list {
		again, err := c.try(ctx, id, quiet[id], len(list)-i, alerts)
		if err == nil {
			if store != nil && anyFires(alerts) {
				store.SetStr(chosenKey, string(id))
			}
			return false, nil
		}
		retry = retry || again
		errs = append(errs, fmt.Errorf("channel %s: %w", id, err))
	}
	return retry, errors.Join(errs...)
}

// try hands the message to one channel. left is how many are still to be tried, which share the time that there is.
func (c *chain) try(ctx context.Context, id kernel.ID, quiet bool, left int, alerts []*amalert.Alert) (bool, error) {
	if quiet {
		var firing []*amalert.Alert
		for _, a := range alerts {
			if !a.Resolved() {
				firing = append(firing, a)
			}
		}
		if alerts = firing; len(alerts) == 0 {
			return false, nil
		}
	}
	n, err := c.p.m.d.Channels.Notifier(ctx, c.p.ws, id)
	if err != nil {
		return kernel.CodeOf(err) != kernel.NotFound, err
	}
	limit := oneTry
	if deadline, ok := ctx.Deadline(); ok && left > 1 {
		limit = min(limit, time.Until(deadline)/time.Duration(left))
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return n.Notify(ctx, alerts...)
}

func anyFires(alerts []*amalert.Alert) bool {
	for _, a := range alerts {
		if !a.Resolved() {
			return true
		}
	}
	return false
}

func without(list []kernel.ID, id kernel.ID) (out []kernel.ID) {
	for _, v := range list {
		if v != id {
			out = append(out, v)
		}
	}
	return out
}

// notices is the log of what was sent, which Alertmanager keeps in memory and writes to a file now and then. Here every entry
// is in the database before the message counts as sent: a crash repeats at most what was on its way, and another instance
// that takes over knows what was said.
type notices struct {
	log  *nflog.Log
	m    *Module
	ws   kernel.WorkspaceID
	mu   sync.Mutex
	last []byte
}

func (m *Module) openNotices(ctx context.Context, ws kernel.WorkspaceID) (*notices, error) {
	rows, err := m.d.DB.Query(ctx, `SELECT entry FROM alert_notices WHERE workspace_id = $1`, string(ws))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all bytes.Buffer
	for rows.Next() {
		var entry []byte
		if err := rows.Scan(&entry); err != nil {
			return nil, err
		}
		all.Write(entry)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	n := &notices{m: m, ws: ws}
	if n.log, err = nflog.New(nflog.Options{SnapshotReader: &all, Retention: noticesKept, Metrics: unregistered{}}); err != nil {
		return nil, fmt.Errorf("alert: the log of notices cannot be read: %w", err)
	}
	n.log.SetBroadcast(func(entry []byte) { n.last = bytes.Clone(entry) })
	return n, nil
}

// Log implements notify.NotificationLog.
func (n *notices) Log(r *nflogpb.Receiver, group string, firing, resolved []uint64, store *nflog.Store, expiry time.Duration) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.log.Log(r, group, firing, resolved, store, expiry); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	key := strings.Join([]string{r.GroupName, r.Integration, group}, "\x1f")
	return n.m.d.DB.Tx(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO alert_notices (workspace_id, notice_key, entry, created_at) VALUES ($1, $2, $3, $4)
			ON CONFLICT (workspace_id, notice_key) DO UPDATE SET entry = excluded.entry, created_at = excluded.created_at`,
			string(n.ws), hashKey(key), n.last, kernel.Micros(tx.Now()))
		return err
	})
}

// Query implements notify.NotificationLog.
func (n *notices) Query(params ...nflog.QueryParam) ([]*nflogpb.Entry, error) {
	return n.log.Query(params...)
}

// hashKey makes a key of any length one that can be indexed.
func hashKey(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:16])
}

// quiet hands on only what an operator should see of what the libraries say.
type quiet struct{ slog.Handler }

// Enabled implements slog.Handler.
func (h *quiet) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && h.Handler.Enabled(ctx, level)
}

// WithAttrs implements slog.Handler.
func (h *quiet) WithAttrs(a []slog.Attr) slog.Handler { return &quiet{h.Handler.WithAttrs(a)} }

// WithGroup implements slog.Handler.
func (h *quiet) WithGroup(name string) slog.Handler { return &quiet{h.Handler.WithGroup(name)} }
