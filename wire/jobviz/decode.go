package jobviz

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/kept-dev/kept/wire/jsonscan"
)

// Limits of one request. The agents send at most 500 events and 15 MiB.
const (
	MaxBody   = 32 << 20 // bytes, decompressed
	MaxEvents = 20_000
	MaxData   = 8 << 20 // bytes of one event's data; an agent's whole batch has at most 5 MiB
	MaxDepth  = 64      // levels of nesting in one event
	maxID     = 512     // bytes of an id, a name or a trace id
	maxEnv    = 128
)

// maxProblems is how many bad events an answer describes; the rest is only counted.
const maxProblems = 100

// endOfDeep is how deep a rejected event may be nested so that the rest of its batch can still be read; the scanner
// recurses, so a body of nothing but brackets must not take the whole stack.
const endOfDeep = 10_000

// Millisecond timestamps outside of these are mistakes of unit: 1973 and the year 9999.
const minMillis, maxMillis = 1e11, 253402300799999

// Decoder reads bodies one after the other and reuses its memory. The zero value is ready; it is not safe for
// concurrent use.
type Decoder struct {
	events   []Event
	problems []Problem
	rejected int
	scratch  []byte
}

// Decode reads one body. Bad events are left out and described, at most a hundred of them, with their number in
// rejected; err is non-nil only when nothing could be read, and its text is for whoever runs the agent.
func (d *Decoder) Decode(body []byte) (events []Event, rejected int, problems []Problem, err error) {
	d.events, d.problems, d.rejected, d.scratch = d.events[:0], nil, 0, d.scratch[:0]
	if len(body) > MaxBody {
		return nil, 0, nil, fmt.Errorf("the body is over %d MiB", MaxBody>>20)
	}
	if !utf8.Valid(body) {
		body = bytes.ToValidUTF8(body, []byte("\uFFFD"))
	}
	found := false
	i := jsonscan.Space(body, 0)
	if i < len(body) && body[i] != '{' {
		return nil, 0, nil, errors.New(`the body must be an object with an array "events"`)
	}
	i, err = jsonscan.Object(body, i, func(key []byte, _ bool, at int) (int, error) {
		if string(key) != "events" || found {
			return jsonscan.Value(body, at, MaxDepth)
		}
		found = true
		if at < len(body) && body[at] != '[' {
			return at, errors.New(`"events" must be an array`)
		}
		return d.array(body, at)
	})
	if err != nil {
		return nil, 0, nil, err
	}
	if i = jsonscan.Space(body, i); i != len(body) {
		return nil, 0, nil, &jsonscan.Error{Offset: i, Reason: "text behind the end of the object"}
	}
	if !found {
		return nil, 0, nil, errors.New(`the body must be an object with an array "events"`)
	}
	return d.events, d.rejected, d.problems, nil
}

func (d *Decoder) array(body []byte, at int) (int, error) {
	index := 0
	return jsonscan.Array(body, at, func(at int) (int, error) {
		if index == MaxEvents {
			return at, fmt.Errorf("more than %d events in one request: send smaller batches", MaxEvents)
		}
		end, err := d.element(body, at, index)
		index++
		return end, err
	})
}

// element reads one event. A broken event of well-formed JSON is rejected by itself; broken JSON ends the request.
func (d *Decoder) element(body []byte, at, index int) (int, error) {
	if at < len(body) && body[at] != '{' {
		d.reject(index, "an event must be an object")
		return jsonscan.Value(body, at, MaxDepth)
	}
	e := Event{Index: index, AttemptsMade: -1}
	var r reading
	end, err := jsonscan.Object(body, at, func(key []byte, escaped bool, at int) (int, error) {
		if escaped {
			key = d.unescape(key)
		}
		return d.member(body, key, at, &e, &r)
	})
	if err != nil {
		var broken *jsonscan.Error
		if errors.As(err, &broken) && broken.Reason == jsonscan.ErrDepth {
			d.reject(index, fmt.Sprintf("nested deeper than %d levels", MaxDepth))
			return jsonscan.Value(body, at, endOfDeep) // only to find its end
		}
		return end, err
	}
	if note := d.finish(&e, &r); note != "" {
		d.reject(index, note)
	} else {
		d.events = append(d.events, e)
	}
	return end, nil
}

// reading is what has been seen of an event while its members are read in whatever order they came.
type reading struct {
	hasID, hasType, hasAt bool
	note                  string // the first thing wrong with it
	delay                 float64
	hasDelay              bool
}

func (r *reading) wrong(format string, args ...any) {
	if r.note == "" {
		r.note = fmt.Sprintf(format, args...)
	}
}

func (d *Decoder) member(body, key []byte, at int, e *Event, r *reading) (int, error) {
	end, err := jsonscan.Value(body, at, MaxDepth)
	if err != nil {
		return end, err
	}
	raw := body[at:end]
	switch string(key) {
	case "jobId":
		e.JobID, r.hasID = d.text(raw, "jobId", maxID, r), true
	case "jobName":
		e.JobName = d.text(raw, "jobName", maxID, r)
	case "queue":
		e.Queue = d.text(raw, "queue", maxID, r)
	case "env":
		e.Env = d.text(raw, "env", maxEnv, r)
	case "parentJobId":
		e.ParentJobID = d.text(raw, "parentJobId", maxID, r)
	case "parentQueue":
		e.ParentQueue = d.text(raw, "parentQueue", maxID, r)
	case "traceId":
		e.TraceID = d.text(raw, "traceId", maxID, r)
	case "event":
		word := d.text(raw, "event", maxEnv, r)
		e.Type, e.TypeName, r.hasType = ParseType(word), word, len(word) > 0
	case "timestamp":
		if ms, ok := number(raw); ok {
			e.At, r.hasAt = int64(math.Round(ms*1000)), true
			if !(ms >= minMillis && ms <= maxMillis) {
				r.wrong("timestamp must be Unix time in milliseconds, got %s", clip(raw))
			}
		}
	case "data":
		d.data(raw, e, r)
	}
	return end, nil
}

// finish applies the defaults and says what is wrong with the event, if anything.
func (d *Decoder) finish(e *Event, r *reading) string {
	switch {
	case r.note != "":
		return r.note
	case !r.hasID:
		return "jobId is missing"
	case !r.hasType:
		return "event is missing"
	case !r.hasAt:
		return "timestamp is missing or not a number"
	}
	if len(e.JobID) == 0 {
		e.JobID = []byte("unknown")
	}
	if len(e.Queue) == 0 {
		e.Queue = []byte("default")
	}
	if string(e.JobName) == "unknown" {
		e.JobName = nil
	}
	if e.Type == Delayed && r.hasDelay {
		e.Due = due(e.At, r.delay)
	}
	return ""
}

// due reads a delay, which means the time in epoch milliseconds from BullMQ and a duration in milliseconds from
// Symfony Messenger. Numbers that are neither are not known.
func due(at int64, delay float64) int64 {
	switch {
	case delay > minMillis && delay <= maxMillis:
		return int64(math.Round(delay * 1000))
	case delay >= 0 && delay <= minMillis:
		return at + int64(math.Round(delay*1000))
	}
	return 0
}

// data keeps the raw value and lifts out of it what decides about a job's state. Members of an odd type are left alone.
func (d *Decoder) data(raw []byte, e *Event, r *reading) {
	if string(raw) == "null" {
		return
	}
	if len(raw) > MaxData {
		r.wrong("data is %.1f MB, over the limit of %d MiB: send less, or a notice in its place", float64(len(raw))/1e6, MaxData>>20)
		return
	}
	e.Data = raw
	if raw[0] != '{' {
		return
	}
	// The text was validated by the caller: no error can come.
	jsonscan.Object(raw, 0, func(key []byte, _ bool, at int) (int, error) {
		end, err := jsonscan.Value(raw, at, MaxDepth)
		value := raw[at:end]
		switch string(key) {
		case "failedReason":
			e.FailedReason = d.inside(value)
		case "delay":
			r.delay, r.hasDelay = number(value)
		case "attemptsMade":
			if n, ok := number(value); ok && n >= 0 && n <= math.MaxInt16 {
				e.AttemptsMade = int32(n)
			}
		case "log":
			e.HasLog = value[0] == '{'
		}
		return end, err
	})
}

// text reads a member that should be a string. Numbers are taken as their text, because custom providers send ids so;
// null is as good as absent.
func (d *Decoder) text(raw []byte, field string, limit int, r *reading) []byte {
	var out []byte
	switch c := raw[0]; {
	case c == '"':
		out = d.inside(raw)
	case c == '-' || c >= '0' && c <= '9':
		out = raw
	case c == 'n':
		return nil
	default:
		r.wrong("%s must be a string, got %s", field, clip(raw))
		return nil
	}
	if len(out) > limit {
		r.wrong("%s is %d bytes long, over the limit of %d", field, len(out), limit)
		return nil
	}
	if bytes.IndexByte(out, 0) >= 0 {
		r.wrong("%s holds a NUL character", field)
		return nil
	}
	return out
}

// inside is the text of a validated string; nil for any other value.
func (d *Decoder) inside(raw []byte) []byte {
	if raw[0] != '"' {
		return nil
	}
	raw = raw[1 : len(raw)-1]
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw
	}
	return d.unescape(raw)
}

func (d *Decoder) unescape(inside []byte) []byte {
	from := len(d.scratch)
	d.scratch = jsonscan.Unescape(d.scratch, inside)
	return d.scratch[from:len(d.scratch):len(d.scratch)]
}

// number reads a number, or a string that holds one. Integers of up to 15 digits, which is what timestamps are, take a
// short cut.
func number(raw []byte) (float64, bool) {
	if len(raw) > 2 && raw[0] == '"' {
		raw = raw[1 : len(raw)-1]
	}
	if len(raw) > 0 && len(raw) <= 15 {
		n := int64(0)
		for _, c := range raw {
			if c < '0' || c > '9' {
				n = -1
				break
			}
			n = n*10 + int64(c-'0')
		}
		if n >= 0 {
			return float64(n), true
		}
	}
	f, err := strconv.ParseFloat(string(raw), 64)
	return f, err == nil && !math.IsNaN(f) && !math.IsInf(f, 0)
}

func (d *Decoder) reject(index int, note string) {
	d.rejected++
	if len(d.problems) < maxProblems {
		d.problems = append(d.problems, Problem{Index: index, Errors: []string{note}})
	}
}

// clip shortens a value for a message; its text came from the client and goes back only to it.
func clip(raw []byte) string {
	if len(raw) > 40 {
		return string(bytes.ToValidUTF8(raw[:40], nil)) + "…"
	}
	return string(raw)
}
