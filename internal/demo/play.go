package demo

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"time"

	"github.com/riverqueue/river"

	kept "github.com/kept-dev/kept/sdk/go"
)

// worker is a function as a River worker, with retries soon enough to be watched.
type worker[T river.JobArgs] struct {
	river.WorkerDefaults[T]
	work     func(context.Context, *river.Job[T]) error
	exporter *exporter
}

func (w *worker[T]) Work(ctx context.Context, job *river.Job[T]) (err error) {
	began := time.Now()
	err = w.work(ctx, job)
	w.exporter.worked(job.Kind, began, err)
	return err
}

func (w *worker[T]) NextRetry(job *river.Job[T]) time.Time {
	attempt := 1
	if job != nil { // nil if the arguments could not be read
		attempt = job.Attempt
	}
	return time.Now().Add(time.Duration(attempt) * 1500 * time.Millisecond)
}

func add[T river.JobArgs](d *Demo, to *river.Workers, work func(context.Context, *river.Job[T]) error) {
	river.AddWorker(to, &worker[T]{work: work, exporter: d.exporter})
}

func (d *Demo) workers() *river.Workers {
	w := river.NewWorkers()
	add(d, w, d.fetchRates)
	add(d, w, d.hashFile)
	add(d, w, d.makeThumbnail)
	add(d, w, d.importCustomers)
	add(d, w, d.exportArchive)
	add(d, w, d.rollup)
	add(d, w, d.placeOrder)
	add(d, w, d.reserveStock)
	add(d, w, d.chargeCard)
	add(d, w, d.sendMail)
	add(d, w, d.awaitPayment)
	add(d, w, d.renderReport)
	return w
}

func (d *Demo) periodicJobs() []*river.PeriodicJob {
	return []*river.PeriodicJob{
		river.NewPeriodicJob(river.PeriodicInterval(30*time.Second), func() (river.JobArgs, *river.InsertOpts) {
			return rollup{Folder: "files"}, nil
		}, &river.PeriodicJobOpts{ID: "count-storage", RunOnStart: true}),
	}
}

// story is one thing that happens in the shop. weight says how often.
type story struct {
	weight int
	name   string
	jobs   func() []river.InsertManyParams
}

func one(args river.JobArgs, opts *river.InsertOpts) []river.InsertManyParams {
	return []river.InsertManyParams{{Args: args, InsertOpts: opts}}
}

func (d *Demo) stories() []story {
	s := d.shop
	return []story{
		{18, "orders", func() []river.InsertManyParams {
			return one(placeOrder{Order: s.next("ORD"), Customer: s.customer(), Items: s.items()}, nil)
		}},
		{14, "uploads", func() []river.InsertManyParams {
			file := uploadName(s.pick(uploads))
			return append(one(hashFile{File: file}, nil), one(importCustomers{File: file, Delimiter: ";"}, nil)...)
		}},
		{16, "thumbnails", func() []river.InsertManyParams {
			photo := photoName(s.pick(photos))
			return append(one(makeThumbnail{Photo: photo, Width: 160}, nil), one(makeThumbnail{Photo: photo, Width: 64}, nil)...)
		}},
		{14, "exchange rates", func() []river.InsertManyParams {
			return one(fetchRates{Base: "EUR", Currencies: []string{"USD", "JPY", "CHF"}}, nil)
		}},
		{10, "invoices", func() []river.InsertManyParams {
			c, invoice := s.customer(), s.next("INV")
			return one(sendMail{To: c.Mail, Name: c.Name, Subject: "Invoice " + invoice, Template: "invoice"}, nil)
		}},
		{5, "payments", func() []river.InsertManyParams {
			return one(awaitPayment{Invoice: s.next("INV"), Cents: 100 + s.pick(50_000)}, nil)
		}},
		{5, "reminders", func() []river.InsertManyParams {
			c := s.customer()
			due := time.Now().Add(time.Duration(10+s.pick(50)) * time.Second)
			return one(sendMail{To: c.Mail, Name: c.Name, Subject: "A reminder", Template: "payment-reminder"}, &river.InsertOpts{Queue: "mail", ScheduledAt: due})
		}},
		{4, "reports", func() []river.InsertManyParams {
			columns := []string{"売上", "orders", "returns"}[:s.pick(4)]
			return one(renderReport{Report: "monthly-sales", Columns: columns}, nil)
		}},
		{1, "exports", func() []river.InsertManyParams {
			return one(exportArchive{Reason: "requested by the accountant", Files: uploads}, nil)
		}},
	}
}

// tell lets one story happen: its jobs share a trace, and one in six is of staging.
func (d *Demo) tell(ctx context.Context, st story) {
	jobs := st.jobs()
	if d.shop.pick(6) == 0 {
		for i := range jobs {
			opts := river.InsertOpts{}
			if jobs[i].InsertOpts != nil {
				opts = *jobs[i].InsertOpts
			}
			opts.Metadata = []byte(`{"env":"staging"}`)
			jobs[i].InsertOpts = &opts
		}
	}
	if _, err := d.river.InsertMany(kept.WithTrace(ctx, newTrace()), jobs); err != nil && ctx.Err() == nil {
		d.cfg.Logger.Warn("demo: could not insert jobs", "story", st.name, "error", err)
	}
}

func newTrace() string {
	var b [16]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// startPlay begins the life of the shop: a burst, then a trickle.
func (d *Demo) startPlay(ctx context.Context) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ended, unsubscribe := d.river.SubscribeConfig(&river.SubscribeConfig{
		ChanSize: 10_000,
		Kinds:    []river.EventKind{river.EventKindJobCompleted, river.EventKindJobFailed, river.EventKindJobCancelled},
	})
	done := make(chan struct{})
	go func() {
		defer close(done)
		d.burst(ctx, ended)
		unsubscribe()
		d.trickle(ctx)
	}()
	d.onStop(func(context.Context) error { cancel(); <-done; return nil })
}

const (
	burstBeat = 40 * time.Millisecond // between two stories
	burstOpen = 40                    // at most about so many stories under way, or their jobs would only wait
	burstTime = 30 * time.Second      // on a machine that is very slow, what is there by then must do
)

// burst tells stories until Config.History jobs have come to their end.
func (d *Demo) burst(ctx context.Context, ended <-chan *river.Event) {
	late := time.NewTimer(burstTime)
	defer late.Stop()
	beat := time.NewTicker(burstBeat)
	defer beat.Stop()
	d.tellOne(ctx, "exports") // something long to look at from the start
	for told, done := 1, 0; done < d.cfg.History; {
		select {
		case e, ok := <-ended:
			if !ok {
				return
			}
			if e.Job.FinalizedAt != nil {
				done++
				d.cfg.OnProgress(done, d.cfg.History, e.Job.Kind)
			}
		case <-beat.C:
			if told-done/2 < burstOpen { // a story has two or three jobs
				d.tellAny(ctx)
				told++
			}
		case <-late.C:
			d.cfg.OnProgress(d.cfg.History, d.cfg.History, "no more time")
			done = d.cfg.History
		case <-ctx.Done():
			return
		}
	}
	d.begun.Do(func() { close(d.ready) })
}

// trickle goes on calmly until the context ends.
func (d *Demo) trickle(ctx context.Context) {
	for {
		half := d.cfg.Pause / 2
		if wait(ctx, half+time.Duration(d.shop.pick(int(2*half)+1))) != nil {
			return
		}
		d.tellAny(ctx)
	}
}

// tellAny tells a story by weight.
func (d *Demo) tellAny(ctx context.Context) {
	stories, sum := d.stories(), 0
	for _, st := range stories {
		sum += st.weight
	}
	n := d.shop.pick(sum)
	for _, st := range stories {
		if n -= st.weight; n < 0 {
			d.tell(ctx, st)
			return
		}
	}
}

func (d *Demo) tellOne(ctx context.Context, name string) {
	for _, st := range d.stories() {
		if st.name == name {
			d.tell(ctx, st)
		}
	}
}
