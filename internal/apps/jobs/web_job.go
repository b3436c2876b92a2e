package jobs

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kept-dev/kept/internal/apps/jobs/fold"
	"github.com/kept-dev/kept/internal/apps/jobs/index"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/ui"
	"github.com/kept-dev/kept/wire/redact"
)

// jobView is the page of one run of a job.
type jobView struct {
	*Detail
	Title        string
	ListHref     string
	QueueHref    string
	TraceHref    string
	ParentHref   string
	Live         *ui.Live // until the run is over
	Runs         *ui.Tabs // when there are several
	NewerHref    string   // the newest run, when this is another one
	Notes        []string // what one should know before trusting the figures
	Stats        []ui.Stat
	Errors       []failureView // the newest first
	Attempts     []attemptView // when there are several
	Unseen       int           // attempts that the agent counted and nothing else told of
	Bar          *ui.Progress
	Input        payload
	Result       payload
	Progress     json.RawMessage // one that is no number
	Logs         []Step
	Timeline     ui.Timeline
	Cut          bool // not all steps have their data
	Children     []rowView
	ChildHref    string
	ChildrenLate bool // looking for them took too long: only the link is shown
}

// payload is what a job was given or gave back.
type payload struct {
	JSON    json.RawMessage
	NotKept bool // the settings kept it out
}

// failureView is why attempts failed; attempts that failed in the same way share one.
type failureView struct {
	Attempts string // "attempt 3", "attempts 1 and 2"
	Text     string // reason and stack
	Headline string
	Open     bool
}

// attemptView is one attempt beside the others.
type attemptView struct {
	fold.Attempt
	Headline string
	now      int64
}

// Waited and Took are spans for templates: nil is a dash.
func (a attemptView) Waited() any { return shown(a.Wait) }

// Took is how long it ran; while it runs, so far.
func (a attemptView) Took() any {
	if a.Outcome == fold.Running && a.Start > 0 {
		return max(0, a.now-a.Start)
	}
	return shown(a.Duration)
}

// Runs tells whether it has not ended.
func (a attemptView) Runs() bool { return a.Outcome == fold.Running }

func (m *Module) jobPage(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	ws := httpx.ActorOf(ctx).WorkspaceID
	run, err := pathRun(r)
	if err != nil {
		return err
	}
	d, err := m.Detail(ctx, ws, r.PathValue("queue"), r.PathValue("id"), run)
	if err != nil {
		return err
	}
	settings, err := m.ReadSettings(ctx, ws)
	if err != nil {
		return err
	}
	v := newJobView(ws, d, kernel.Micros(m.d.Clock()), settings)
	if err := m.findChildren(ctx, ws, v); err != nil {
		return err
	}
	return m.pages.Render(w, r, http.StatusOK, "job", ui.Page{Title: v.Title, App: appKey, Section: listHref(ws), NoHead: true, Body: v})
}

func pathRun(r *http.Request) (int, error) {
	text := r.URL.Query().Get("run")
	if text == "" {
		return 0, nil
	}
	run, err := strconv.Atoi(text)
	if err != nil || run < 1 {
		return 0, kernel.Errorf(kernel.NotFound, "There is no such run of this job.")
	}
	return run, nil
}

func newJobView(ws kernel.WorkspaceID, d *Detail, now int64, settings Settings) *jobView {
	v := &jobView{Detail: d, Title: cmp.Or(d.Name, d.ID), ListHref: listHref(ws), QueueHref: listWith(ws, "queue", d.Queue),
		ChildHref: listWith(ws, "parent", parentParam(d.Queue, d.ID)), Cut: len(d.Steps) > maxSteps}
	if d.TraceID != "" {
		v.TraceHref = listWith(ws, "trace", d.TraceID)
	}
	if d.ParentID != "" {
		v.ParentHref = jobHref(ws, cmp.Or(d.ParentQueue, d.Queue), d.ParentID, 0)
	}
	if !d.Run.Status.Over() {
		v.Live = livePage(ws, "job")
	}
	v.Runs, v.NewerHref = runTabs(ws, d)
	v.Notes = notes(d)
	v.Stats = jobStats(d, now)
	v.Errors = failures(d)
	if len(d.Run.Attempts) > 1 {
		v.Attempts = attempts(d, now)
	}
	v.Unseen = max(0, d.Run.Tries-len(d.Run.Attempts))
	v.Input, v.Result = readPayload(d.Input, settings), readPayload(d.Result, settings)
	if bar, ok := progressBar(d.Progress); ok {
		v.Bar = bar
	} else {
		v.Progress = d.Progress
	}
	for _, s := range d.Steps {
		if s.Log != nil {
			v.Logs = append(v.Logs, s)
		}
	}
	v.Timeline = newTimeline(d, now)
	return v
}

// maxRunTabs bounds the row of runs: the newest, and always the one that is shown.
const maxRunTabs = 12

func runTabs(ws kernel.WorkspaceID, d *Detail) (tabs *ui.Tabs, newer string) {
	if len(d.Runs) < 2 {
		return nil, ""
	}
	tabs = &ui.Tabs{Label: "Runs of this job"}
	for i, row := range d.Runs {
		if i >= maxRunTabs && row.Run != d.Run.Number {
			continue
		}
		tabs.Items = append(tabs.Items, ui.Tab{Label: "Run " + strconv.Itoa(row.Run), Count: row.Status.String(),
			Href: jobHref(ws, d.Queue, d.ID, row.Run), Current: row.Run == d.Run.Number})
	}
	if d.Runs[0].Run != d.Run.Number {
		newer = jobHref(ws, d.Queue, d.ID, 0)
	}
	return tabs, newer
}

// lateAfter is how long after it happened an event may arrive without a word about it.
const lateAfter = int64(60 * 1_000_000)

func notes(d *Detail) (out []string) {
	if d.Ahead > 0 {
		out = append(out, "The clock of the machine that reported this is at least "+spanText(d.Ahead.Microseconds())+
			" ahead of this server's: compare its times with each other, not with yours.")
	}
	latest, copies := int64(0), false
	for _, s := range d.Steps {
		if s.ReceivedAt > 0 {
			latest = max(latest, s.ReceivedAt-s.At)
		}
		copies = copies || s.Copies > 1
	}
	if latest > lateAfter {
		out = append(out, "Some of this arrived up to "+spanText(latest)+" after it happened: the agent was cut off, or sends late.")
	}
	if copies {
		out = append(out, "Several copies of some events came, as from an agent that runs more than once or sends again. Each is counted once.")
	}
	return out
}

func spanText(us int64) string {
	text, _ := ui.Duration(us) // an int64 always is a duration
	return text
}

// spanOr is a span in words; what is not known is a dash.
func spanOr(us int64) string {
	if us == fold.NotKnown {
		return "–"
	}
	return spanText(us)
}

func jobStats(d *Detail, now int64) []ui.Stat {
	run := &d.Run
	waited := ui.Stat{Label: "Waited", Value: spanOr(run.Wait), Hint: "in the queue"}
	if run.Wait == fold.NotKnown {
		waited.Hint = "when it was queued is not known"
	}
	if run.Status == fold.Waiting && run.Started == 0 {
		waited.Value, waited.Hint = spanText(max(0, now-run.First)), "so far"
	}
	if run.Status == fold.Delayed && run.Due > now {
		waited = ui.Stat{Label: "Starts in", Value: spanText(run.Due - now)}
	}
	took := ui.Stat{Label: "Took", Value: spanOr(run.Duration)}
	if n := len(run.Attempts); n > 0 && run.Attempts[n-1].Outcome == fold.Running {
		took.Value, took.Hint = spanText(max(0, now-run.Attempts[n-1].Start)), "so far"
	}
	if len(run.Attempts) > 1 {
		took.Label = "Last attempt took"
	}
	tries := ui.Stat{Label: "Attempts", Value: strconv.Itoa(run.Tries)}
	if run.Stalls > 0 {
		tries.Hint, _ = ui.Plural(run.Stalls, "stall", "stalls")
	}
	total := ui.Stat{Label: "In all", Value: spanOr(run.Total), Hint: "from the first event to the end"}
	if !run.Status.Over() {
		total.Value, total.Hint = spanText(max(0, now-run.First)), "since the first event"
	}
	return []ui.Stat{waited, took, tries, total}
}

// failures groups the attempts that failed by how they did, the newest first. That of a run that failed is open.
func failures(d *Detail) []failureView {
	var order []Failure
	by := map[Failure][]int{}
	for n := len(d.Run.Attempts) + 1; n >= 0; n-- {
		f, ok := d.Failures[n]
		if !ok {
			continue
		}
		f.Will = false
		if by[f] == nil {
			order = append(order, f)
		}
		by[f] = append(by[f], max(1, n))
	}
	var out []failureView
	for i, f := range order {
		out = append(out, failureView{Attempts: attemptNumbers(by[f]), Headline: firstLine(f.Reason), Text: failureText(f),
			Open: i == 0 && d.Run.Status != fold.Completed})
	}
	return out
}

// attemptNumbers names attempts, given newest first: "attempts 1 and 2".
func attemptNumbers(numbers []int) string {
	slices.Sort(numbers)
	if len(numbers) == 1 {
		return "attempt " + strconv.Itoa(numbers[0])
	}
	words := make([]string, len(numbers))
	for i, n := range numbers {
		words[i] = strconv.Itoa(n)
	}
	last := len(words) - 1
	return "attempts " + strings.Join(words[:last], ", ") + " and " + words[last]
}

// failureText is the reason and the stack behind it, with the reason once: most stacks begin with it.
func failureText(f Failure) string {
	if f.Stack == "" {
		return f.Reason
	}
	if strings.Contains(firstLine(f.Stack), firstLine(f.Reason)) {
		return f.Stack
	}
	return f.Reason + "\n" + f.Stack
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return strings.TrimSpace(line)
}

func attempts(d *Detail, now int64) []attemptView {
	out := make([]attemptView, len(d.Run.Attempts))
	for i, a := range d.Run.Attempts {
		out[i] = attemptView{Attempt: a, now: now}
		if before := i - 1; a.Wait == fold.NotKnown && a.Start > 0 && before >= 0 && d.Run.Attempts[before].End > 0 {
			out[i].Wait = max(0, a.Start-d.Run.Attempts[before].End) // the queue told nothing of the retry
		}
		if f, ok := d.Failures[a.Number]; ok {
			out[i].Headline = firstLine(f.Reason)
		}
	}
	return out
}

// notKept is what package redact leaves of a payload that the settings keep out.
var notKept = func() []byte { b, _ := redact.New(redact.None).Payload(nil, []byte(`0`)); return b }()

func readPayload(raw json.RawMessage, settings Settings) payload {
	if bytes.Equal(raw, notKept) {
		return payload{NotKept: true}
	}
	return payload{JSON: raw, NotKept: raw == nil && settings.Payloads == redact.None}
}

// progressBar reads a progress that is a number (a percentage, or with a point a part of one) or says how many of how
// many are done.
func progressBar(raw json.RawMessage) (*ui.Progress, bool) {
	if len(raw) == 0 {
		return nil, false
	}
	var of struct {
		Done, Total *float64
	}
	if json.Unmarshal(raw, &of) == nil && of.Done != nil && of.Total != nil && *of.Total > 0 && *of.Done >= 0 {
		const fine = 1000
		return &ui.Progress{Label: "Progress", Value: int64(fine * min(1, *of.Done / *of.Total)), Max: fine,
			Text: ui.Number(*of.Done) + " of " + ui.Number(*of.Total)}, true
	}
	n, ok := percentage(raw)
	if !ok {
		return nil, false
	}
	return &ui.Progress{Label: "Progress", Value: int64(n * 10), Max: 1000, Text: ui.Number(n) + " %"}, true
}

func percentage(raw json.RawMessage) (float64, bool) {
	var n float64
	if json.Unmarshal(raw, &n) != nil || n < 0 || n > 100 {
		return 0, false
	}
	if n <= 1 && bytes.ContainsRune(raw, '.') {
		n *= 100
	}
	return n, true
}

const (
	maxChildren  = 25
	childrenTime = 300 * time.Millisecond // for the search, which the page can do without
	childrenLead = int64(60 * 1_000_000)  // children of a flow may be stamped before their parent
)

// findChildren lists the jobs that name this one as their parent.
func (m *Module) findChildren(ctx context.Context, ws kernel.WorkspaceID, v *jobView) error {
	ctx, cancel := context.WithTimeout(ctx, childrenTime)
	defer cancel()
	page, err := m.index.List(ctx, ws, index.Filter{Parent: index.Key(v.Queue, v.ID), From: v.First - childrenLead, Limit: maxChildren})
	switch {
	case err != nil && ctx.Err() != nil: // whatever a driver makes of an end of time
		v.ChildrenLate = true
		return nil
	case kernel.CodeOf(err) == kernel.Invalid: // an id that cannot be searched for
		return nil
	case err != nil:
		return err
	}
	v.Children = m.rowViews(ws, page.Rows)
	slices.SortFunc(v.Children, func(a, b rowView) int { return cmp.Or(cmp.Compare(a.First, b.First), cmp.Compare(a.ID, b.ID)) })
	if page.Next == "" {
		v.ChildHref = ""
	}
	return nil
}
