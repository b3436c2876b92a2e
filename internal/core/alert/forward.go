package alert

import (
	"context"
	"sync"
	"time"

	amalert "github.com/prometheus/alertmanager/alert"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/rules"

	"github.com/kept-dev/kept/internal/core/notify"
	"github.com/kept-dev/kept/internal/kernel"
)

const (
	forwardTimeout = 15 * time.Second
	// pageKept is how long the page of an alert is remembered: the rule manager says for a quarter of an hour that it is over.
	pageKept = 20 * time.Minute
)

// forwarder hands what the rule manager wants sent to the Alertmanagers that a workspace has of its own, past the pipeline:
// they route and silence by themselves, and take an alert that is not repeated for one that is over. The manager repeats
// what fires every minute, and what is over for a quarter of an hour, so nothing is tried again here and nothing stored.
type forwarder struct {
	m    *Module
	ws   kernel.WorkspaceID
	base string // of the pages of alerts

	mu    sync.Mutex
	due   map[model.Fingerprint]*amalert.Alert
	news  bool // one of them began or ended
	pages map[model.Fingerprint]page

	woken  chan struct{}
	cancel context.CancelFunc
	done   chan struct{}
}

type page struct {
	href string
	used time.Time
}

func (m *Module) startForwarder(ws kernel.WorkspaceID) *forwarder {
	ctx, cancel := context.WithCancel(context.Background())
	f := &forwarder{m: m, ws: ws, base: m.d.BaseURL(), due: map[model.Fingerprint]*amalert.Alert{}, pages: map[model.Fingerprint]page{},
		woken: make(chan struct{}, 1), cancel: cancel, done: make(chan struct{})}
	go f.run(ctx)
	return f
}

func (f *forwarder) close() {
	f.cancel()
	<-f.done
}

// put takes what the manager wants sent after a round, and what that round changed in the book.
func (f *forwarder) put(b *book, list []*rules.Alert, changes []Alert) {
	if len(list) == 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	for id, p := range f.pages {
		if now.Sub(p.used) > pageKept {
			delete(f.pages, id)
		}
	}
	for _, a := range changes {
		if a.State != Pending {
			f.news = true
			f.pages[labelSet(labels.FromMap(a.Labels)).Fingerprint()] = page{alertHref(f.ws, a.ID), now}
		}
	}
	for _, a := range list {
		out := &amalert.Alert{UpdatedAt: now, Alert: model.Alert{Labels: labelSet(a.Labels), Annotations: labelSet(a.Annotations), StartsAt: a.FiredAt, EndsAt: a.ValidUntil}}
		id := out.Labels.Fingerprint()
		if !a.ResolvedAt.IsZero() {
			out.EndsAt = a.ResolvedAt
		}
		if open, ok := b.find(a.Labels); ok {
			f.pages[id] = page{alertHref(f.ws, open.ID), now}
			if text := factsText(open.Facts); text != "" {
				out.Annotations[notify.AnnotationWhy] = model.LabelValue(text)
			}
		}
		out.GeneratorURL = f.base + f.page(id, now)
		f.due[id] = out
	}
	f.wake()
}

// over takes alerts whose rules are gone: the manager says no more of them.
func (f *forwarder) over(gone []Alert) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, a := range gone {
		if a.FiredAt.IsZero() {
			continue
		}
		out := &amalert.Alert{UpdatedAt: time.Now(), Alert: model.Alert{Labels: labelSet(labels.FromMap(a.Labels)), Annotations: labelSet(labels.FromMap(a.Annotations)),
			StartsAt: a.FiredAt, EndsAt: a.ResolvedAt, GeneratorURL: f.base + alertHref(f.ws, a.ID)}}
		f.due[out.Labels.Fingerprint()], f.news = out, true
		f.wake()
	}
}

func (f *forwarder) wake() {
	select {
	case f.woken <- struct{}{}:
	default:
	}
}

// page is where an alert leads to; f.mu is held.
func (f *forwarder) page(id model.Fingerprint, now time.Time) string {
	p, ok := f.pages[id]
	if !ok {
		return home(f.ws)
	}
	f.pages[id] = page{p.href, now}
	return p.href
}

func (f *forwarder) run(ctx context.Context) {
	defer close(f.done)
	for {
		select {
		case <-ctx.Done():
			return
		case <-f.woken:
		}
		f.mu.Lock()
		list, news := make([]*amalert.Alert, 0, len(f.due)), f.news
		for _, a := range f.due {
			list = append(list, a)
		}
		clear(f.due)
		f.news = false
		f.mu.Unlock()
		try, cancel := context.WithTimeout(ctx, forwardTimeout)
		if err := f.m.d.Channels.Forward(try, f.ws, list, news); err != nil && ctx.Err() == nil {
			f.m.d.Logger.Error("alert: alerts cannot be forwarded", "workspace", f.ws, "error", err)
		}
		cancel()
	}
}

func labelSet(ls labels.Labels) model.LabelSet {
	out := make(model.LabelSet, ls.Len())
	ls.Range(func(l labels.Label) { out[model.LabelName(l.Name)] = model.LabelValue(l.Value) })
	return out
}
