package jobs

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/kept-dev/kept/internal/apps/jobs/eventlog"
	"github.com/kept-dev/kept/internal/apps/jobs/fold"
	"github.com/kept-dev/kept/internal/apps/jobs/index"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/wire/jobviz"
)

// Detail is all that is known of one run of a job, with what its events carried.
type Detail struct {
	index.Row
	Runs     []index.Row // all runs of the job, newest first
	Run      fold.Run
	Steps    []Step
	Input    json.RawMessage // the payload; nil when none was sent or kept
	Result   json.RawMessage // what the job returned
	Progress json.RawMessage // the newest progress
	Failure  *Failure        // of the newest failed attempt
	Failures map[int]Failure // by number of the attempt
	Ahead    time.Duration   // how far the agent's clock ran ahead of ours at least; 0 when that cannot be told
}

// Step is an entry of the timeline.
type Step struct {
	fold.Step
	Word       string // what the agent called it
	ReceivedAt int64
	Data       json.RawMessage // as it was kept; nil when none was
	Log        *LogLine        // set when the step is a log line
	Gap        int64           // microseconds since the step before
}

// LogLine is a line that a job wrote.
type LogLine struct {
	Message string          `json:"message"`
	Meta    json.RawMessage `json:"meta,omitempty"`
}

// Failure is why an attempt failed.
type Failure struct {
	Reason string
	Stack  string
	Will   bool // the job would be tried again
}

// eventData are the members of an event's data that have a meaning.
type eventData struct {
	Input        json.RawMessage `json:"input"`
	ReturnValue  json.RawMessage `json:"returnValue"`
	Progress     json.RawMessage `json:"progress"`
	FailedReason json.RawMessage `json:"failedReason"`
	Stack        json.RawMessage `json:"stack"`
	Log          json.RawMessage `json:"log"`
	Notice       json.RawMessage `json:"_notice"`
}

// maxSteps bounds how many steps of a run are shown with their data.
const maxSteps = 1000

// Detail reads a run of a job; run 0 is the newest. NotFound when there is none.
func (m *Module) Detail(ctx context.Context, ws kernel.WorkspaceID, queue, id string, run int) (*Detail, error) {
	_, runs, rows, err := m.index.Get(ctx, ws, queue, id)
	if err != nil {
		return nil, err
	}
	if run == 0 {
		run = len(runs)
	}
	if run < 1 || run > len(runs) {
		return nil, kernel.Errorf(kernel.NotFound, "This job has %d runs, and this is none of them.", len(runs))
	}
	d := &Detail{Row: rows[run-1], Run: runs[run-1], Failures: map[int]Failure{}}
	d.Runs = slices.Clone(rows)
	slices.Reverse(d.Runs)
	records, err := m.records(ctx, ws, d.Run.Steps)
	if err != nil {
		return nil, err
	}
	d.read(records)
	return d, nil
}

// records reads what the log has of steps, by offset.
func (m *Module) records(ctx context.Context, ws kernel.WorkspaceID, steps []fold.Step) (map[int64]*eventlog.Record, error) {
	offsets := make([]int64, 0, len(steps))
	for _, s := range steps[:min(len(steps), maxSteps)] {
		offsets = append(offsets, s.Offset)
	}
	slices.Sort(offsets)
	records, err := m.log.ReadRecords(ctx, ws, offsets)
	if err != nil {
		return nil, err
	}
	out := make(map[int64]*eventlog.Record, len(records))
	for i := range records {
		out[records[i].Offset] = &records[i]
	}
	return out, nil
}

func (d *Detail) read(records map[int64]*eventlog.Record) {
	last := d.Run.First
	for i, s := range d.Run.Steps {
		step := Step{Step: s, Word: s.Type.String(), Gap: max(0, s.At-last)}
		last = max(last, s.At)
		if r := records[s.Offset]; r != nil {
			step.ReceivedAt = r.ReceivedAt
			if len(r.TypeName) > 0 {
				step.Word = string(r.TypeName)
			}
			step.Data = r.Data
			d.readData(&step, i)
			d.Ahead = max(d.Ahead, time.Duration(s.At-r.ReceivedAt)*time.Microsecond)
		}
		d.Steps = append(d.Steps, step)
	}
	if d.Ahead < time.Second {
		d.Ahead = 0
	}
}

// readData takes from a step's data what belongs to the run as a whole.
func (d *Detail) readData(s *Step, i int) {
	var data eventData
	if len(s.Data) == 0 || json.Unmarshal(s.Data, &data) != nil {
		return // data may be any JSON; it is shown as it is
	}
	if has(data.Input) && (d.Input == nil || s.Type == jobviz.Active) {
		d.Input = data.Input
	}
	if has(data.ReturnValue) {
		d.Result = data.ReturnValue
	}
	if has(data.Progress) {
		d.Progress = data.Progress
	}
	if has(data.Log) {
		var line LogLine
		if json.Unmarshal(data.Log, &line) == nil {
			if !has(line.Meta) || string(line.Meta) == "[]" || string(line.Meta) == "{}" {
				line.Meta = nil
			}
			s.Log = &line
		}
	}
	if s.Type == jobviz.Failed {
		d.fail(s, &data, i)
	}
}

func has(raw json.RawMessage) bool { return len(raw) > 0 && string(raw) != "null" }

func (d *Detail) fail(s *Step, data *eventData, i int) {
	reason, _ := headlineText(text(data.FailedReason))
	f := Failure{Reason: cmp.Or(reason, text(data.Notice), "No reason was given."), Stack: text(data.Stack), Will: s.Flags&fold.WillRetry != 0}
	old, seen := d.Failures[s.Attempt]
	if !seen || len(f.Reason)+len(f.Stack) > len(old.Reason)+len(old.Stack) {
		d.Failures[s.Attempt] = f // of a failure that is told twice, the fuller account
		d.Failure = &f
	}
}

// text is a JSON string's text, or the JSON itself where it is something else.
func text(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return string(raw)
	}
	return s
}

// Deployment is a release, with what the agent told of it.
type Deployment struct {
	At          int64
	Version     string `json:"version"`
	CommitHash  string `json:"commitHash"`
	Description string `json:"description"`
	Env         string
}

// Deployments lists the releases of a span of time, oldest first.
func (m *Module) Deployments(ctx context.Context, ws kernel.WorkspaceID, from, to int64) ([]Deployment, error) {
	marks, err := m.index.Deployments(ctx, ws, from, to)
	if err != nil {
		return nil, err
	}
	var out []Deployment
	for _, mark := range marks {
		records, err := m.log.ReadRecords(ctx, ws, []int64{mark.Offset})
		if err != nil {
			return nil, err
		}
		d := Deployment{At: mark.At}
		for _, r := range records {
			_ = json.Unmarshal(r.Data, &d) // of another shape: the time alone is worth showing
			d.Env = string(r.Env)
		}
		out = append(out, d)
	}
	return out, nil
}
