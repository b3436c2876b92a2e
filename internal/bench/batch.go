package bench

import (
	"bytes"
	"fmt"
	"strconv"
	"time"
)

// The shape of the events: three per job, each with about 200 bytes of data, as agents send that report the payload
// when a job is queued and when it begins.
const (
	eventsPerJob = 3
	queues       = 10
	firstID      = 1_000_000_000 // so that all have the same number of digits
)

// batch is a request body whose numbers are written over before each use, so that every job is new and making the body
// costs the client next to nothing.
type batch struct {
	body   []byte
	events int
	jobs   int
	ids    [][]int // of each job, where its number stands
	queues []int
	times  []int
	names  []int
}

const (
	idDigits   = 10
	timeDigits = 13
)

func newBatch(events int) *batch {
	b := &batch{events: events}
	var body bytes.Buffer
	body.WriteString(`{"events":[`)
	for i := range events {
		if i > 0 {
			body.WriteByte(',')
		}
		job := i / eventsPerJob
		if job == b.jobs {
			b.jobs++
			b.ids = append(b.ids, nil)
		}
		b.event(&body, job, i%eventsPerJob)
	}
	body.WriteString(`]}`)
	b.body = body.Bytes()
	return b
}

func (b *batch) event(w *bytes.Buffer, job, step int) {
	id := func() {
		b.ids[job] = append(b.ids[job], w.Len())
		w.WriteString("0000000000")
	}
	kind := []string{"waiting", "active", "completed"}[step]
	if step == 2 && job%25 == 7 {
		kind = "failed"
	}
	w.WriteString(`{"jobId":"`)
	id()
	w.WriteString(`","jobName":"task-`)
	b.names = append(b.names, w.Len())
	w.WriteString(`00","queue":"queue-`)
	b.queues = append(b.queues, w.Len())
	fmt.Fprintf(w, `0","env":"production","event":"%s","timestamp":`, kind)
	b.times = append(b.times, w.Len())
	w.WriteString(`0000000000000,"data":`)
	switch {
	case step < 2:
		w.WriteString(`{"input":{"to":"customer`)
		id()
		w.WriteString(`@example.com","template":"invoice-reminder","invoice":`)
		id()
		w.WriteString(`,"lines":[{"sku":"A-1001","qty":2},{"sku":"B-2002","qty":1}],"locale":"de-CH","note":"please deliver before noon","retry":false}}`)
	case kind == "completed":
		w.WriteString(`{"returnValue":{"messageId":"<`)
		id()
		w.WriteString(`.abcdef@mail.example.com>","accepted":["customer`)
		id()
		w.WriteString(`@example.com"],"rejected":[],"response":"250 2.0.0 Ok: queued as `)
		id()
		w.WriteString(`","envelopeTime":12,"messageTime":87}}`)
	default:
		w.WriteString(`{"failedReason":"connect ECONNREFUSED 10.0.0.12:25 while sending to customer`)
		id()
		w.WriteString(`","stack":"Error: connect ECONNREFUSED\n    at TCPConnectWrap.afterConnect (node:net:1555:16)\n    at send (/srv/app/mail.js:42:11)"}`)
	}
	w.WriteByte('}')
}

// number gives the batch's jobs the numbers up to last, and its events times up to now.
func (b *batch) number(last int64, now time.Time) {
	first := last - int64(b.jobs)
	ms := now.UnixMilli()
	for j, places := range b.ids {
		n := first + int64(j) + 1
		for _, at := range places {
			putNumber(b.body[at:at+idDigits], firstID+n)
		}
	}
	for i := range b.times {
		n := first + int64(i/eventsPerJob) + 1
		b.body[b.queues[i]] = byte('0' + n%queues)
		putNumber(b.body[b.names[i]:b.names[i]+2], 10+n%20)
		putNumber(b.body[b.times[i]:b.times[i]+timeDigits], ms-1000+int64(i%eventsPerJob)*(1+n%997))
	}
}

// putNumber writes a number that has as many digits as dst.
func putNumber(dst []byte, n int64) {
	var buf [20]byte
	copy(dst, strconv.AppendInt(buf[:0], n, 10))
}
