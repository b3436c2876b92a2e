package jobs

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kept-dev/kept/internal/apps/jobs/fold"
	"github.com/kept-dev/kept/internal/apps/jobs/index"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/httpx/respond"
	"github.com/kept-dev/kept/wire/jobviz"
)

// JobJSON is a run in the read API. Times are RFC 3339 in UTC; spans are milliseconds; what is not known is null.
type JobJSON struct {
	Queue      string     `json:"queue"`
	ID         string     `json:"id" doc:"Unique within its queue."`
	Run        int        `json:"run" doc:"Number of the run; a job id that is used again has several."`
	Name       string     `json:"name"`
	Env        string     `json:"env"`
	Status     string     `json:"status" doc:"unknown, waiting, delayed, active, retrying, stalled, failed or completed."`
	FirstAt    *time.Time `json:"first_at" doc:"The first event of the run."`
	LastAt     *time.Time `json:"last_at"`
	DueAt      *time.Time `json:"due_at"`
	StartedAt  *time.Time `json:"started_at"`
	FinishedAt *time.Time `json:"finished_at"`
	WaitMS     *float64   `json:"wait_ms" doc:"From enqueued, or due, to started."`
	DurationMS *float64   `json:"duration_ms" doc:"Of the last attempt."`
	TotalMS    *float64   `json:"total_ms" doc:"From the first event to the end."`
	Attempts   int        `json:"attempts"`
	Stalls     int        `json:"stalls"`
	Error      string     `json:"error,omitempty" doc:"First line of the newest failure."`
	TraceID    string     `json:"trace_id,omitempty"`
	Parent     *ParentRef `json:"parent,omitempty"`
	Agent      string     `json:"agent,omitempty"`
}

// ParentRef names the job that another one belongs to.
type ParentRef struct {
	Queue string `json:"queue"`
	ID    string `json:"id"`
}

// JobListJSON is a page of runs, newest first.
type JobListJSON struct {
	Jobs []JobJSON `json:"jobs"`
	Next *string   `json:"next" doc:"Pass it as cursor to go on; null at the end."`
}

// RunJSON is a run with what its events carried.
type RunJSON struct {
	JobJSON
	AttemptList []AttemptJSON   `json:"attempt_list"`
	Timeline    []StepJSON      `json:"timeline"`
	Input       json.RawMessage `json:"input,omitempty" doc:"The payload as it was kept, every digit of its numbers included."`
	Result      json.RawMessage `json:"result,omitempty"`
	Progress    json.RawMessage `json:"progress,omitempty"`
	Failure     *FailureJSON    `json:"failure,omitempty"`
}

// AttemptJSON is one try to run a job.
type AttemptJSON struct {
	Number     int          `json:"number"`
	StartedAt  *time.Time   `json:"started_at"`
	EndedAt    *time.Time   `json:"ended_at"`
	WaitMS     *float64     `json:"wait_ms"`
	DurationMS *float64     `json:"duration_ms"`
	Outcome    string       `json:"outcome" doc:"running, succeeded, failed, put back, stalled or lost."`
	Failure    *FailureJSON `json:"failure,omitempty"`
}

// FailureJSON is why an attempt failed.
type FailureJSON struct {
	Reason string `json:"reason"`
	Stack  string `json:"stack,omitempty"`
}

// StepJSON is an entry of a run's timeline.
type StepJSON struct {
	At         *time.Time      `json:"at" doc:"By the agent's clock."`
	ReceivedAt *time.Time      `json:"received_at" doc:"By our clock."`
	Event      string          `json:"event"`
	Attempt    int             `json:"attempt"`
	Copies     int             `json:"copies" doc:"How often the event was received."`
	Log        *LogLine        `json:"log,omitempty"`
	Data       json.RawMessage `json:"data,omitempty"`
}

// JobDetailJSON is a job with all of its runs, newest first.
type JobDetailJSON struct {
	Queue string    `json:"queue"`
	ID    string    `json:"id"`
	Runs  []RunJSON `json:"runs" doc:"The newest 20."`
	Total int       `json:"runs_total"`
}

// QueueJSON tells how a queue does.
type QueueJSON struct {
	Queue           string         `json:"queue"`
	Runs            int            `json:"runs" doc:"Runs that began in the window."`
	ByStatus        map[string]int `json:"by_status"`
	PerMinute       float64        `json:"finished_per_minute"`
	FailureRate     *float64       `json:"failure_rate" doc:"Failed part of the finished runs, 0 to 1."`
	WaitMS          QuantilesJSON  `json:"wait_ms"`
	DurationMS      QuantilesJSON  `json:"duration_ms"`
	Waiting         int            `json:"waiting_now" doc:"Runs that wait for a worker."`
	Later           int            `json:"later_now" doc:"Runs that start later: delayed, or between two attempts."`
	Active          int            `json:"active_now"`
	OldestWaitingAt *time.Time     `json:"oldest_waiting_at"`
}

// QuantilesJSON are spans in milliseconds, within a sixteenth.
type QuantilesJSON struct {
	P50 *float64 `json:"p50"`
	P95 *float64 `json:"p95"`
	P99 *float64 `json:"p99"`
}

// QueueListJSON is the state of all queues.
type QueueListJSON struct {
	From   time.Time   `json:"from"`
	To     time.Time   `json:"to"`
	Queues []QueueJSON `json:"queues"`
}

// Routes are the app's endpoints.
func (m *Module) Routes() []httpx.Route {
	return append(m.apiRoutes(), m.pageRoutes()...)
}

func (m *Module) apiRoutes() []httpx.Route {
	key := func(method, path string, h httpx.Handler, op *httpx.Operation) httpx.Route {
		return httpx.Route{Method: method, Path: path, Handler: h, Access: httpx.APIKey, Needs: httpx.MayView, Scope: "read", Rate: httpx.RatePage, API: op}
	}
	return []httpx.Route{
		{Method: "POST", Path: "/api/v1/events", Handler: m.postEvents, Access: httpx.Handled, Rate: httpx.RateIngest, MaxBody: jobviz.MaxBody,
			AnyPrefix: true, Fail: failAsAgent, NoAudit: "job events are counted, not audited", API: &httpx.Operation{
				Summary:     "Report job events.",
				Description: "The Jobviz protocol. Takes a key with the scope ingest. Bad events are described by their index and the others kept. Nothing is answered before it is stored.",
				Request:     eventsRequest{}, Responses: map[int]any{200: jobviz.Response{}, 400: jobviz.ErrorResponse{}, 401: jobviz.ErrorResponse{}, 403: jobviz.ErrorResponse{}, 413: jobviz.ErrorResponse{}, 429: jobviz.ErrorResponse{}, 503: jobviz.ErrorResponse{}},
			}},
		key("GET", "/api/v1/jobs", m.apiList, &httpx.Operation{Summary: "List runs of jobs, newest first.", Query: listParams, Responses: map[int]any{200: JobListJSON{}}}),
		key("GET", "/api/v1/jobs/{queue}/{id...}", m.apiJob, &httpx.Operation{Summary: "Read a job with its runs, attempts and timeline.", Responses: map[int]any{200: JobDetailJSON{}}}),
		key("GET", "/api/v1/queues", m.apiQueues, &httpx.Operation{Summary: "Read how the queues do.", Query: windowParams, Responses: map[int]any{200: QueueListJSON{}}}),
	}
}

// eventsRequest is the protocol's body, for the API's description.
type eventsRequest struct {
	Events []struct {
		JobID       string         `json:"jobId"`
		JobName     string         `json:"jobName"`
		Queue       string         `json:"queue"`
		Event       string         `json:"event" doc:"waiting, active, completed, failed, delayed, stalled, progress or deployment."`
		Timestamp   float64        `json:"timestamp" doc:"Unix time in milliseconds."`
		Env         string         `json:"env,omitempty"`
		ParentJobID string         `json:"parentJobId,omitempty"`
		ParentQueue string         `json:"parentQueue,omitempty"`
		TraceID     string         `json:"traceId,omitempty"`
		Data        map[string]any `json:"data,omitempty"`
	} `json:"events"`
}

var windowParams = []httpx.Param{
	{Name: "from", Description: "RFC 3339, a date, Unix milliseconds, or an age such as 24h or 7d.", Example: "24h", Schema: "string"},
	{Name: "to", Description: "As from, exclusive.", Schema: "string"},
	{Name: "env", Description: "Only this environment.", Schema: "string"},
}

var listParams = append([]httpx.Param{
	{Name: "status", Description: "One or more, separated by commas.", Example: "failed,stalled", Schema: "string"},
	{Name: "queue", Schema: "string"},
	{Name: "name", Schema: "string"},
	{Name: "q", Description: "Text in ids, names, errors, trace ids and payloads, without regard to case. In jobs beyond the newest it finds whole words.", Schema: "string"},
	{Name: "min_duration", Description: "Such as 500ms or 2s.", Example: "2s", Schema: "string"},
	{Name: "max_duration", Schema: "string"},
	{Name: "min_wait", Schema: "string"},
	{Name: "trace", Description: "A trace id.", Schema: "string"},
	{Name: "limit", Description: "1 to 500; 50 if absent.", Schema: "integer"},
	{Name: "cursor", Description: "next of the page before.", Schema: "string"},
}, windowParams...)

func (m *Module) apiList(w http.ResponseWriter, r *http.Request) error {
	f, err := ReadFilter(r.URL.Query(), m.d.Clock())
	if err != nil {
		return err
	}
	page, err := m.index.List(r.Context(), httpx.ActorOf(r.Context()).WorkspaceID, f)
	if err != nil {
		return err
	}
	out := JobListJSON{Jobs: make([]JobJSON, len(page.Rows))}
	for i := range page.Rows {
		out.Jobs[i] = jobJSON(&page.Rows[i])
	}
	if page.Next != "" {
		out.Next = &page.Next
	}
	return respond.JSON(w, http.StatusOK, out)
}

// ReadFilter reads a list's filter from a query: that of the API and that of the page are the same.
func ReadFilter(q url.Values, now time.Time) (f index.Filter, err error) {
	f = index.Filter{Queue: q.Get("queue"), Name: q.Get("name"), Env: q.Get("env"), Trace: q.Get("trace"),
		Text: strings.TrimSpace(q.Get("q")), After: q.Get("cursor")}
	for _, word := range strings.Split(strings.Join(q["status"], ","), ",") {
		if word == "" {
			continue
		}
		s, ok := fold.ParseStatus(word)
		if !ok {
			return f, kernel.InvalidField("status", "There is no status "+strconv.Quote(word)+". There are: "+strings.Join(fold.Statuses(), ", ")+".")
		}
		f.Statuses = append(f.Statuses, s)
	}
	if queue, id, ok := strings.Cut(q.Get("parent"), "/"); ok {
		f.Parent = index.Key(queue, id)
	}
	for field, into := range map[string]*int64{"min_duration": &f.MinTook, "max_duration": &f.MaxTook, "min_wait": &f.MinWait} {
		if v := q.Get(field); v != "" {
			d, err := time.ParseDuration(strings.ReplaceAll(v, " ", ""))
			if err != nil || d < 0 {
				return f, kernel.InvalidField(field, "Write a duration such as 500ms, 2s or 1m30s.")
			}
			*into = d.Microseconds()
		}
	}
	if f.From, f.To, err = readWindow(q, now); err != nil {
		return f, err
	}
	if v := q.Get("limit"); v != "" {
		if f.Limit, err = strconv.Atoi(v); err != nil || f.Limit < 1 || f.Limit > index.MaxLimit {
			return f, kernel.InvalidField("limit", "The limit is a number from 1 to 500.")
		}
	}
	return f, nil
}

func readWindow(q url.Values, now time.Time) (from, to int64, err error) {
	for field, into := range map[string]*int64{"from": &from, "to": &to} {
		if v := q.Get(field); v != "" {
			t, err := ParseTime(v, now)
			if err != nil {
				return 0, 0, kernel.InvalidField(field, "Write a time such as 2026-03-01T12:00:00Z, a date, or an age such as 24h or 7d.")
			}
			*into = kernel.Micros(t)
		}
	}
	return from, to, nil
}

// ParseTime reads a time as people and programs write it: RFC 3339, a date with or without a time in UTC, Unix
// milliseconds, or an age (90m, 24h, 7d) before now.
func ParseTime(v string, now time.Time) (time.Time, error) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02"} {
		if t, err := time.Parse(layout, v); err == nil {
			return t.UTC(), nil
		}
	}
	if ms, err := strconv.ParseInt(v, 10, 64); err == nil && ms > 1e11 {
		return time.UnixMilli(ms).UTC(), nil
	}
	age := strings.TrimPrefix(v, "-")
	if days, ok := strings.CutSuffix(age, "d"); ok {
		n, err := strconv.ParseFloat(days, 64)
		return now.Add(-time.Duration(n * 24 * float64(time.Hour))), err
	}
	d, err := time.ParseDuration(age)
	return now.Add(-d), err
}

// maxRuns is how many runs of a job the API gives.
const maxRuns = 20

func (m *Module) apiJob(w http.ResponseWriter, r *http.Request) error {
	ws := httpx.ActorOf(r.Context()).WorkspaceID
	newest, err := m.Detail(r.Context(), ws, r.PathValue("queue"), r.PathValue("id"), 0)
	if err != nil {
		return err
	}
	out := JobDetailJSON{Queue: newest.Queue, ID: newest.ID, Runs: []RunJSON{runJSON(newest)}, Total: len(newest.Runs)}
	for _, row := range newest.Runs[1:min(len(newest.Runs), maxRuns)] {
		d, err := m.Detail(r.Context(), ws, newest.Queue, newest.ID, row.Run)
		if err != nil {
			return err
		}
		out.Runs = append(out.Runs, runJSON(d))
	}
	return respond.JSON(w, http.StatusOK, out)
}

func (m *Module) apiQueues(w http.ResponseWriter, r *http.Request) error {
	now := m.d.Clock()
	from, to, err := readWindow(r.URL.Query(), now)
	if err != nil {
		return err
	}
	if from == 0 {
		from = kernel.Micros(now.Add(-24 * time.Hour))
	}
	if to == 0 {
		to = kernel.Micros(now)
	}
	if from >= to {
		return kernel.InvalidField("from", "The window must begin before it ends.")
	}
	o, err := m.index.Overview(r.Context(), httpx.ActorOf(r.Context()).WorkspaceID, from, to, r.URL.Query().Get("env"))
	if err != nil {
		return err
	}
	out := QueueListJSON{From: kernel.FromMicros(from), To: kernel.FromMicros(to), Queues: []QueueJSON{}}
	for i := range o.Queues {
		out.Queues = append(out.Queues, queueJSON(&o.Queues[i], to-from))
	}
	return respond.JSON(w, http.StatusOK, out)
}

func queueJSON(q *index.QueueStats, window int64) QueueJSON {
	out := QueueJSON{Queue: q.Queue, Runs: q.Runs, ByStatus: map[string]int{}, Waiting: q.Waiting, Later: q.Later, Active: q.Running,
		PerMinute: float64(q.Finished()) / (float64(window) / 60e6), OldestWaitingAt: at(q.OldestWaiting),
		WaitMS: quantiles(&q.Wait), DurationMS: quantiles(&q.Took)}
	for s, n := range q.ByStatus {
		if n > 0 {
			out.ByStatus[fold.Status(s).String()] = n
		}
	}
	if rate := q.FailureRate(); rate == rate { // not NaN
		out.FailureRate = &rate
	}
	return out
}

func quantiles(s *index.Spans) QuantilesJSON {
	return QuantilesJSON{millis(s.Quantile(0.5)), millis(s.Quantile(0.95)), millis(s.Quantile(0.99))}
}

func at(us int64) *time.Time {
	if us == 0 {
		return nil
	}
	t := kernel.FromMicros(us)
	return &t
}

func millis(us int64) *float64 {
	if us < 0 {
		return nil
	}
	ms := float64(us) / 1000
	return &ms
}

func jobJSON(r *index.Row) JobJSON {
	out := JobJSON{Queue: r.Queue, ID: r.ID, Run: r.Run, Name: r.Name, Env: r.Env, Status: r.Status.String(),
		FirstAt: at(r.First), LastAt: at(r.Last), DueAt: at(r.Due), StartedAt: at(r.Started), FinishedAt: at(r.Finished),
		WaitMS: millis(r.Wait), DurationMS: millis(r.Duration), TotalMS: millis(r.Total), Attempts: r.Tries, Stalls: r.Stalls,
		Error: r.Error, TraceID: r.TraceID, Agent: r.Agent}
	if r.ParentID != "" {
		out.Parent = &ParentRef{r.ParentQueue, r.ParentID}
	}
	return out
}

func runJSON(d *Detail) RunJSON {
	out := RunJSON{JobJSON: jobJSON(&d.Row), Input: d.Input, Result: d.Result, Progress: d.Progress, Timeline: []StepJSON{}, AttemptList: []AttemptJSON{}}
	if d.Failure != nil {
		out.Failure = &FailureJSON{d.Failure.Reason, d.Failure.Stack}
	}
	for _, a := range d.Run.Attempts {
		j := AttemptJSON{Number: a.Number, StartedAt: at(a.Start), EndedAt: at(a.End), WaitMS: millis(a.Wait), DurationMS: millis(a.Duration), Outcome: a.Outcome.String()}
		if f, ok := d.Failures[a.Number]; ok {
			j.Failure = &FailureJSON{f.Reason, f.Stack}
		}
		out.AttemptList = append(out.AttemptList, j)
	}
	for _, s := range d.Steps {
		out.Timeline = append(out.Timeline, StepJSON{At: at(s.At), ReceivedAt: at(s.ReceivedAt), Event: s.Word, Attempt: s.Attempt,
			Copies: s.Copies, Log: s.Log, Data: slices.Clone(s.Data)})
	}
	return out
}
