package jobs

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/cespare/xxhash/v2"
	"github.com/klauspost/compress/zstd"

	"github.com/kept-dev/kept/internal/apps/jobs/eventlog"
	"github.com/kept-dev/kept/internal/apps/jobs/fold"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/httpx/respond"
	"github.com/kept-dev/kept/wire/jobviz"
	"github.com/kept-dev/kept/wire/jsonscan"
	"github.com/kept-dev/kept/wire/redact"
)

// maxHeadline is how many bytes of a failure's reason lists show.
const maxHeadline = 160

// ingest is one request's memory, used again by the next.
type ingest struct {
	decoder jobviz.Decoder
	body    []byte
	records []eventlog.Record
	arena   []byte // data that was rewritten
	jobs    map[uint64]int
	seen    []fold.Occurrences
	answer  []byte
}

// maxPooled is the largest body buffer that is kept for the next request.
const maxPooled = 4 << 20

var ingestPool = sync.Pool{New: func() any { return &ingest{jobs: map[uint64]int{}} }}

// postEvents takes a batch in the Jobviz protocol. Whatever happens the answer is JSON in that protocol's shape, which
// the agents show to their users; they retry on 429 and 5xx and throw the batch away on any other 4xx.
func (m *Module) postEvents(w http.ResponseWriter, r *http.Request) error {
	in := ingestPool.Get().(*ingest)
	defer func() {
		if cap(in.body) <= maxPooled && cap(in.arena) <= maxPooled {
			ingestPool.Put(in)
		}
	}()
	result, err := m.accept(r, in)
	if err != nil {
		m.refuse(w, r, err)
		return nil
	}
	in.answer = appendResponse(in.answer[:0], result)
	h := w.Header()
	h["Content-Type"] = jsonType
	h["Content-Length"] = []string{strconv.Itoa(len(in.answer))}
	h["Keep-Alive"] = keepAlive
	w.WriteHeader(http.StatusOK)
	w.Write(in.answer) // a client that left: its events are stored
	return nil
}

// keepAlive asks Node's fetch, which else closes a connection after four quiet seconds, to keep it: replicas are told
// apart by it. It is less than what the server waits.
var keepAlive = []string{"timeout=100"}

var jsonType = []string{"application/json; charset=utf-8"}

func appendResponse(b []byte, r jobviz.Response) []byte {
	if len(r.Errors) > 0 {
		text, err := json.Marshal(r)
		if err == nil {
			return append(b, text...)
		}
	}
	b = append(b, `{"accepted":`...)
	b = strconv.AppendInt(b, int64(r.Accepted), 10)
	b = append(b, `,"rejected":`...)
	b = strconv.AppendInt(b, int64(r.Rejected), 10)
	return append(b, '}')
}

func (m *Module) refuse(w http.ResponseWriter, r *http.Request, err error) {
	e := kernel.AsError(err)
	status := respond.Status(e.Code)
	if status >= 500 && r.Context().Err() == nil {
		m.d.Logger.Error("jobs: events were not stored", "error", err)
	}
	failAsAgent(w, status, e, "")
}

// failAsAgent answers what the edge refuses in the protocol's shape.
func failAsAgent(w http.ResponseWriter, status int, e *kernel.Error, _ string) {
	respond.SetRetryAfter(w.Header(), e)
	_ = respond.JSON(w, status, jobviz.ErrorResponse{Error: e.Safe}) // a client that left
}

// accept reads, checks, redacts and stores a batch.
func (m *Module) accept(r *http.Request, in *ingest) (out jobviz.Response, err error) {
	actor, err := m.ingestKey(r)
	if err != nil {
		return out, err
	}
	if in.body, err = readBody(r, in.body[:0]); err != nil {
		return out, err
	}
	events, rejected, problems, err := in.decoder.Decode(in.body)
	if err != nil {
		return out, kernel.Wrap(err, kernel.Malformed, "The body cannot be read: "+err.Error()+".")
	}
	rules, err := m.settings.get(r.Context(), actor.WorkspaceID)
	if err != nil {
		return out, err
	}
	in.build(events, rules, agentName(r.Header), kernel.Micros(m.d.Clock()), actor.WorkspaceID, m.replica(r, in.body))
	if !m.d.DecodeOnly {
		if err := m.log.Append(r.Context(), actor.WorkspaceID, in.records); err != nil {
			return out, storeError(err)
		}
	}
	if m.d.Used != nil {
		m.d.Used(actor.WorkspaceID, len(events))
	}
	return jobviz.Response{Accepted: len(events), Rejected: rejected, Errors: problems}, nil
}

// storeError makes agents try again whatever went wrong below.
func storeError(err error) error {
	if kernel.CodeOf(err) != kernel.Internal {
		return err
	}
	return &kernel.Error{Code: kernel.Unavailable, Safe: "The events could not be stored. Send them again.", RetryAfter: 1e9, Cause: err}
}

func (m *Module) ingestKey(r *http.Request) (actor httpx.Actor, err error) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return actor, kernel.Errorf(kernel.Unauthenticated, "Send an API key as Authorization: Bearer <key>.")
	}
	if actor, err = m.d.KeyByToken(r.Context(), strings.TrimSpace(token)); err != nil {
		return actor, err
	}
	httpx.Identify(r.Context(), actor)
	if !slices.Contains(actor.Scopes, "ingest") {
		return actor, kernel.Errorf(kernel.Forbidden, "This API key may not send events. Make one with the scope ingest.")
	}
	return actor, nil
}

// readBody reads a body, compressed or not, up to the protocol's limit.
func readBody(r *http.Request, into []byte) ([]byte, error) {
	if r.ContentLength > jobviz.MaxBody {
		// Read, up to the route's limit, but not kept: a client that is still sending would not see the answer.
		io.Copy(io.Discard, r.Body)
		return into, errTooLarge()
	}
	body, err := plainBody(r)
	if err != nil {
		return into, err
	}
	if n := r.ContentLength; n > 0 && int64(cap(into)) < n+512 {
		into = make([]byte, 0, n+512)
	}
	buf := bytes.NewBuffer(into)
	n, err := buf.ReadFrom(io.LimitReader(body, jobviz.MaxBody+1))
	var tooLarge *http.MaxBytesError
	switch {
	case n > jobviz.MaxBody || errors.As(err, &tooLarge):
		return buf.Bytes(), errTooLarge()
	case err != nil:
		return buf.Bytes(), kernel.Wrap(err, kernel.Malformed, "The body could not be read to its end.")
	}
	return buf.Bytes(), nil
}

func errTooLarge() error {
	return kernel.Errorf(kernel.TooLarge, "The body is over %d MiB. Send smaller batches.", jobviz.MaxBody>>20)
}

func plainBody(r *http.Request) (body io.Reader, err error) {
	switch encoding := strings.ToLower(strings.TrimSpace(r.Header.Get("Content-Encoding"))); encoding {
	case "", "identity":
		return r.Body, nil
	case "gzip", "x-gzip":
		body, err = gzip.NewReader(r.Body)
	case "deflate":
		body, err = zlib.NewReader(r.Body)
	case "zstd":
		body, err = zstd.NewReader(r.Body, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(jobviz.MaxBody*2))
	default:
		return nil, kernel.Errorf(kernel.Malformed, "The Content-Encoding %.40q is not known. Send gzip, zstd or none.", encoding)
	}
	if err != nil {
		return nil, kernel.Wrap(err, kernel.Malformed, "The body is not what its Content-Encoding says.")
	}
	return body, nil
}

// agentName is who reports: the protocol's headers for its agents, the User-Agent for our own SDKs.
func agentName(h http.Header) string {
	version := h.Get("X-Jobviz-Agent-Version")
	agent := h.Get("User-Agent")
	switch {
	case strings.HasPrefix(version, "kept-"):
		agent = version
	case strings.HasPrefix(agent, "kept-"):
	case version != "" && h.Get("X-Jobviz-Agent-Meta") != "":
		agent = "jobviz-node/" + version
	case version != "":
		agent = "jobviz-php/" + version
	}
	if len(agent) > 80 || !utf8.ValidString(agent) {
		return ""
	}
	return agent
}

// build turns events into records: redacted, with their numbers among equals of one job.
func (in *ingest) build(events []jobviz.Event, rules *redact.Rules, agent string, now int64, ws kernel.WorkspaceID, replica *fold.Request) {
	in.records, in.arena, in.seen = in.records[:0], in.arena[:0], in.seen[:0]
	clear(in.jobs)
	agentBytes := []byte(agent)
	for i := range events {
		e := &events[i]
		r := eventlog.Record{ReceivedAt: now, Queue: e.Queue, JobID: e.JobID, Name: e.JobName, Env: e.Env, TraceID: e.TraceID,
			ParentID: e.ParentJobID, ParentQueue: e.ParentQueue, Agent: agentBytes}
		r.At, r.Type, r.Arg = e.At, e.Type, int64(e.AttemptsMade)
		switch e.Type {
		case jobviz.Delayed:
			r.Arg = e.Due
		case jobviz.Failed:
			r.Headline, r.Flags = headline(e.FailedReason, rules)
		case jobviz.Other:
			r.TypeName = e.TypeName
		}
		if e.HasLog {
			r.Flags |= fold.HasLog
		}
		if len(e.Data) > 0 {
			r.Data = in.clean(e.Data, rules)
			r.Flags |= fold.HasData
			r.Hash = uint32(xxhash.Sum64(r.Data))
		}
		if replica != nil && string(r.Queue) != agendaQueue && replica.Numbers(r.Event) {
			r.Flags |= fold.Numbered
			r.Nth = replica.Next(jobHash(&r)^xxhash.Sum64String(string(ws)), r.Event)
		} else {
			r.Nth = in.number(&r)
		}
		in.records = append(in.records, r)
	}
}

// clean redacts an event's data and writes its text plainly.
func (in *ingest) clean(data []byte, rules *redact.Rules) []byte {
	from := len(in.arena)
	if jsonscan.NeedsPlain(data) {
		in.arena = jsonscan.Plain(in.arena, data)
		data = in.arena[from:len(in.arena):len(in.arena)]
		from = len(in.arena)
	}
	var taken int
	if in.arena, taken = rules.EventData(in.arena, data); taken == 0 {
		in.arena = in.arena[:from]
		return data
	}
	return in.arena[from:len(in.arena):len(in.arena)]
}

// number tells the record's events of one kind in this request apart; see fold.Occurrences.
func (in *ingest) number(r *eventlog.Record) uint8 {
	key := jobHash(r)
	i, ok := in.jobs[key]
	if !ok {
		i = len(in.seen)
		in.seen = append(in.seen, fold.Occurrences{})
		in.jobs[key] = i
	}
	return in.seen[i].Next(r.Event)
}

func jobHash(r *eventlog.Record) uint64 { return xxhash.Sum64(r.JobID) ^ 31*xxhash.Sum64(r.Queue) }

// headlineText takes the marks off that PHP agents and bee-queue's put before a failure's reason.
func headlineText(reason string) (rest string, flags fold.Flags) {
	rest, marked := strings.CutPrefix(reason, "[retrying] ")
	if marked {
		flags |= fold.WillRetry
	}
	if rest, marked = strings.CutPrefix(rest, "[moved to failure transport] "); marked {
		flags |= fold.MovedOut
	}
	return strings.TrimSpace(rest), flags
}

// headline takes the marks off a failure's reason and shortens it to a line.
func headline(reason []byte, rules *redact.Rules) ([]byte, fold.Flags) {
	unmarked, flags := headlineText(string(reason))
	reason = []byte(unmarked)
	if i := bytes.IndexByte(reason, '\n'); i >= 0 {
		reason = bytes.TrimSpace(reason[:i])
	}
	reason = rules.Text(reason)
	if len(reason) > maxHeadline {
		cut := maxHeadline
		for cut > 0 && !utf8.RuneStart(reason[cut]) {
			cut--
		}
		reason = fmt.Appendf(nil, "%s…", reason[:cut])
	}
	return reason, flags
}
