package index

import (
	"fmt"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/apps/jobs/eventlog"
	"github.com/kept-dev/kept/internal/apps/jobs/fold"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db/dbtest"
	"github.com/kept-dev/kept/wire/jobviz"
)

// benchJobs are the jobs that questions are timed with, benchApart how many microseconds they begin apart.
const (
	benchJobs  = 200_000
	benchApart = 25
)

// benchRecords makes the events of the n-th job of a benchmark. They spread over two seconds, so that many blocks of
// the log overlap in time.
func benchRecords(n int) []eventlog.Record {
	id, step := fmt.Append(nil, 1_000_000_000+n), int64(1+n%997)*1000
	kinds := [3]jobviz.Type{jobviz.Waiting, jobviz.Active, jobviz.Completed}
	out := make([]eventlog.Record, len(kinds))
	for i, kind := range kinds {
		r := eventlog.Record{Event: fold.Event{At: t0 + int64(n)*benchApart + int64(i)*step, Type: kind, Arg: -1}, ReceivedAt: t0 + int64(n)*benchApart,
			Queue: fmt.Appendf(nil, "queue-%d", n%10), JobID: id, Name: fmt.Appendf(nil, "task-%d", 10+n%20), Env: []byte("production")}
		r.Data = fmt.Appendf(nil, `{"input":{"to":"customer%s@example.com","template":"invoice-reminder","invoice":%s,"lines":[{"sku":"A-1001","qty":2},{"sku":"B-2002","qty":1}],"locale":"de-CH","note":"please deliver before noon","retry":false}}`, id, id)
		if i == 2 {
			r.Data = fmt.Appendf(nil, `{"returnValue":{"messageId":"<%s.abcdef@mail.example.com>","accepted":["customer%s@example.com"],"rejected":[],"response":"250 2.0.0 Ok: queued as %s","envelopeTime":12,"messageTime":87}}`, id, id, id)
			if n%25 == 7 {
				r.Type, r.Headline, r.Data = jobviz.Failed, []byte("connect ECONNREFUSED"), fmt.Appendf(nil, `{"failedReason":"connect ECONNREFUSED 10.0.0.12:25 while sending to customer%s"}`, id)
			}
		}
		r.Hash = uint32(n)
		r.Flags = fold.HasData
		out[i] = r
	}
	return out
}

// benchSetup fills a log and an index and lets the background work come to an end.
func benchSetup(b *testing.B, jobs int) *fixture {
	f := setup(b, dbtest.Open(b, dbtest.SQLite(b)))
	f.maxHead = maxHead
	var batch []eventlog.Record
	for n := range jobs {
		if batch = append(batch, benchRecords(n)...); len(batch) < 6000 && n < jobs-1 {
			continue
		}
		if err := f.log.Append(b.Context(), ws, batch); err != nil {
			b.Fatal(err)
		}
		batch = batch[:0]
	}
	if err := f.CatchUp(b.Context(), ws); err != nil {
		b.Fatal(err)
	}
	next, more, err := int64(0), true, error(nil)
	for more && err == nil {
		next, more, err = f.log.Compact(b.Context(), ws, next, int64(3*jobs), t0)
	}
	s, _ := f.shard(b.Context(), ws)
	for more = true; more && err == nil; {
		more, err = s.mergeOnce(b.Context())
	}
	if err != nil {
		b.Fatal(err)
	}
	return f
}

func BenchmarkQuestions(b *testing.B) {
	f := benchSetup(b, benchJobs)
	for name, filter := range map[string]func(i int) Filter{
		"list":    func(int) Filter { return Filter{} },
		"common":  func(int) Filter { return Filter{Text: "invoice-reminder"} },
		"failed":  func(int) Filter { return Filter{Text: "econnrefused"} },
		"mixed":   func(int) Filter { return Filter{Text: "econnrefused", Name: "task-12"} },
		"one":     func(i int) Filter { return Filter{Text: fmt.Sprint(1_000_000_000 + i*7919%benchJobs)} },
		"payload": func(i int) Filter { return Filter{Text: fmt.Sprint("customer", 1_000_000_000+i*7919%benchJobs)} },
		"deep": func(int) Filter {
			return Filter{Text: "invoice-reminder", After: kernel.EncodeCursor(cursor{First: t0 + benchJobs*benchApart/10})}
		},
		"no run":  func(int) Filter { return Filter{Text: "invoice-reminder", Statuses: []fold.Status{fold.Stalled}} },
		"no text": func(int) Filter { return Filter{Text: "econnrefused", Statuses: []fold.Status{fold.Completed}} },
		"nothing": func(i int) Filter { return Filter{Text: fmt.Sprint("absent", i)} },
	} {
		b.Run(name, func(b *testing.B) {
			i := 0
			for b.Loop() {
				if _, err := f.List(b.Context(), ws, filter(i)); err != nil {
					b.Fatal(err)
				}
				i++
			}
		})
	}
	b.Run("overview", func(b *testing.B) {
		i := int64(0)
		for b.Loop() {
			to := t0 + (24 * time.Hour).Microseconds() + i*12345
			if _, err := f.Overview(b.Context(), ws, to-(24*time.Hour).Microseconds()-1000, to, ""); err != nil {
				b.Fatal(err)
			}
			i++
		}
	})
}
