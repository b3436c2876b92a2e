package kept

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// wireEvent is the JSON object of the protocol.
type wireEvent struct {
	JobID       string          `json:"jobId"`
	JobName     string          `json:"jobName"`
	Queue       string          `json:"queue"`
	Event       Kind            `json:"event"`
	Timestamp   millis          `json:"timestamp"`
	Env         string          `json:"env,omitempty"`
	ParentJobID string          `json:"parentJobId,omitempty"`
	ParentQueue string          `json:"parentQueue,omitempty"`
	TraceID     string          `json:"traceId,omitempty"`
	Data        json.RawMessage `json:"data,omitempty"`
}

// millis is a time in microseconds since the Unix epoch. The protocol's unit is the millisecond, as a number that may
// have a fraction: without it a job of 300 µs would seem to take no time.
type millis int64

// MarshalJSON writes milliseconds with up to three decimals.
func (m millis) MarshalJSON() ([]byte, error) {
	b := strconv.AppendInt(nil, int64(m)/1000, 10)
	if us := int64(m) % 1000; us > 0 {
		b = append(b, '.')
		b = append(b, strconv.Itoa(1000 + int(us))[1:]...)
	}
	return b, nil
}

type wireData struct {
	Input        json.RawMessage `json:"input,omitempty"`
	ReturnValue  json.RawMessage `json:"returnValue,omitempty"`
	FailedReason string          `json:"failedReason,omitempty"`
	Stack        string          `json:"stack,omitempty"`
	Progress     json.RawMessage `json:"progress,omitempty"`
	Delay        int64           `json:"delay,omitempty"` // due time, Unix milliseconds
	AttemptsMade int             `json:"attemptsMade,omitempty"`
	Log          *wireLog        `json:"log,omitempty"`
	Version      string          `json:"version,omitempty"`
	CommitHash   string          `json:"commitHash,omitempty"`
	Description  string          `json:"description,omitempty"`
}

type wireLog struct {
	Message string          `json:"message"`
	Meta    json.RawMessage `json:"meta,omitempty"`
}

const (
	maxEventBytes  = maxBodyBytes - 64 // one event must fit a request
	noticeTooLarge = `{"_notice":"[INPUT_TOO_LARGE]"}`
	noticeUnusable = `{"_notice":"[NOT_SERIALIZABLE]"}`
)

// encoder turns events into the bytes that leave the program. It holds no state and may be shared.
type encoder struct {
	env      string
	policy   PayloadPolicy
	maxValue int
	maxText  int
	redact   *redactor
	now      func() time.Time
}

// event encodes one event. It does not fail: what cannot be encoded is replaced by a notice.
func (e *encoder) event(ev Event) []byte {
	if ev.Time.IsZero() {
		ev.Time = e.now()
	}
	w := wireEvent{
		JobID:       e.name(ev.JobID),
		JobName:     e.name(ev.JobName),
		Queue:       e.name(ev.Queue),
		Event:       ev.Kind,
		Timestamp:   millis(ev.Time.UnixMicro()),
		Env:         e.label(or(ev.Env, e.env)),
		ParentJobID: e.label(ev.ParentID),
		ParentQueue: e.label(ev.ParentQueue),
		TraceID:     e.label(ev.TraceID),
		Data:        e.data(ev.Data),
	}
	raw, err := marshal(w)
	if err != nil || len(raw) > maxEventBytes {
		w.Data = e.essence(ev.Data)
		raw, _ = marshal(w)
	}
	return raw
}

// essence is the data of an event that is too large as a whole: why it failed, and no content.
func (e *encoder) essence(d Data) json.RawMessage {
	small := *e
	small.policy, small.maxText = PayloadNone, 8<<10
	return small.data(Data{
		FailedReason: d.FailedReason, Retrying: d.Retrying, Stack: d.Stack, Delay: d.Delay, AttemptsMade: d.AttemptsMade,
		Extra: map[string]any{"_notice": "[INPUT_TOO_LARGE]"},
	})
}

func (e *encoder) name(s string) string { return or(e.label(s), unknown) }

// label bounds an identifier: nothing longer names a thing.
func (e *encoder) label(s string) string { return cut(s, 1024) }

func (e *encoder) data(d Data) json.RawMessage {
	w := wireData{
		Input:        e.payload(d.Input),
		ReturnValue:  e.payload(d.ReturnValue),
		FailedReason: e.text(d.FailedReason),
		Stack:        e.text(d.Stack),
		Progress:     e.progress(d.Progress),
		AttemptsMade: d.AttemptsMade,
		Version:      e.text(d.Version),
		CommitHash:   e.text(d.CommitHash),
		Description:  e.text(d.Description),
	}
	if d.Retrying {
		w.FailedReason = retryingMark + w.FailedReason
	}
	if !d.Delay.IsZero() {
		w.Delay = d.Delay.UnixMilli()
	}
	if d.Log != nil {
		w.Log = &wireLog{Message: e.text(d.Log.Message), Meta: e.payload(d.Log.Meta)}
	}
	raw, err := marshal(w)
	if err != nil {
		raw = []byte(noticeUnusable)
	}
	raw = e.extra(raw, d.Extra)
	if string(raw) == "{}" {
		return nil
	}
	return raw
}

// extra adds further members to the object raw, in a fixed order, without overriding any.
func (e *encoder) extra(raw []byte, extra map[string]any) []byte {
	if len(extra) == 0 {
		return raw
	}
	values := e.value(extra, PayloadFull)
	var add, have map[string]json.RawMessage
	if json.Unmarshal(values, &add) != nil || json.Unmarshal(raw, &have) != nil {
		return raw
	}
	for _, k := range slices.Sorted(maps.Keys(add)) {
		if _, taken := have[k]; taken {
			continue
		}
		key, _ := marshal(k)
		sep := ","
		if string(raw) == "{}" {
			sep = ""
		}
		raw = fmt.Appendf(raw[:len(raw)-1], "%s%s:%s}", sep, key, add[k])
	}
	return raw
}

// payload encodes a value of the job under the client's policy; nil means that it is left out.
func (e *encoder) payload(v any) json.RawMessage {
	if v == nil || e.policy == PayloadNone {
		return nil
	}
	return e.value(v, e.policy)
}

// progress keeps a bare number under every policy, for it tells nothing about anybody.
func (e *encoder) progress(v any) json.RawMessage {
	if v == nil {
		return nil
	}
	raw := e.value(v, PayloadFull)
	if len(raw) > 0 && (raw[0] == '-' || raw[0] >= '0' && raw[0] <= '9') {
		return raw
	}
	return e.payload(json.RawMessage(raw))
}

func (e *encoder) value(v any, policy PayloadPolicy) []byte {
	raw, err := marshal(v)
	if err != nil {
		return []byte(noticeUnusable)
	}
	if len(raw) > e.maxValue {
		return []byte(noticeTooLarge)
	}
	raw = e.redact.json(raw, policy == PayloadKeys)
	if len(raw) > e.maxValue+e.maxValue/4 { // redaction can lengthen a value, but not without bound
		return []byte(noticeTooLarge)
	}
	return raw
}

// text redacts first and cuts then, so that a cut never hides a secret's mark from the rules.
func (e *encoder) text(s string) string {
	if len(s) > 4*e.maxText { // bound the work, too
		s = cut(s, 4*e.maxText)
	}
	s = e.redact.text(s)
	if len(s) <= e.maxText {
		return s
	}
	return cut(s, e.maxText) + "… [truncated]"
}

// cut shortens s to at most n bytes on a rune boundary and drops invalid UTF-8.
func cut(s string, n int) string {
	if len(s) > n {
		for n > 0 && !utf8.RuneStart(s[n]) {
			n--
		}
		s = s[:n]
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// marshal encodes v without HTML escapes. User code may run in here (MarshalJSON, String), so it recovers.
func marshal(v any) (raw []byte, err error) {
	defer func() {
		if r := recover(); r != nil {
			raw, err = nil, fmt.Errorf("panic while encoding %T", v)
		}
	}()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
