package jobs

import (
	"cmp"
	"html/template"
	"strconv"
	"strings"

	"github.com/kept-dev/kept/internal/apps/jobs/fold"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/ui"
	"github.com/kept-dev/kept/wire/jobviz"
)

// When a gap is worth a line of its own, microseconds.
const (
	waitShown    = 10_000     // in the queue
	silenceShown = 10_000_000 // of a job that otherwise reports
)

// maxLogSteps is how many log lines stand in the timeline; with more they stand in their own list alone.
const maxLogSteps = 100

// maxLabel bounds a log line in the timeline, bytes.
const maxLabel = 300

// timeline tells what happened in a run, and in words why nothing happened between.
type timeline struct {
	d      *Detail
	now    int64
	logs   bool // log lines stand in it
	steps  []ui.Step
	prev   *Step // the step before, whatever it was
	queued *Step // the newest step that put the job into the queue
	heard  bool  // the attempt under way has reported something

	someLate bool // some steps arrived late and others did not: worth a word at each
}

func newTimeline(d *Detail, now int64) ui.Timeline {
	n := 0
	for i := range d.Steps {
		if d.Steps[i].Log != nil {
			n++
		}
	}
	t := &timeline{d: d, now: now, logs: n <= maxLogSteps, someLate: someLate(d)}
	for i := range d.Steps {
		t.add(i)
	}
	end := d.Run.Last
	if !d.Run.Status.Over() {
		end = max(end, now)
		t.open()
	}
	return ui.Timeline{Label: "What happened", Start: kernel.FromMicros(d.Run.First), End: kernel.FromMicros(end), Steps: t.steps}
}

func someLate(d *Detail) bool {
	late := 0
	for _, s := range d.Steps {
		if s.ReceivedAt-s.At > lateAfter {
			late++
		}
	}
	return late > 0 && late < len(d.Steps)
}

func (t *timeline) put(s *Step, label string, tone ui.Tone, details ...any) *ui.Step {
	if s.Copies > 1 {
		details = append(details, strconv.Itoa(s.Copies)+" copies received")
	}
	if s.Ignored {
		details = append(details, "contradicts what came before; not counted")
	}
	if t.someLate && s.ReceivedAt-s.At > lateAfter && s.ReceivedAt > 0 {
		details = append(details, "arrived "+spanText(s.ReceivedAt-s.At)+" later")
	}
	t.steps = append(t.steps, ui.Step{At: kernel.FromMicros(s.At), Label: label, Tone: tone, Detail: sentence(details...)})
	return &t.steps[len(t.steps)-1]
}

// gap adds a line for a span in which nothing happened.
func (t *timeline) gap(from, to int64, label string, details ...any) {
	if to-from < waitShown {
		return
	}
	t.steps = append(t.steps, ui.Step{At: kernel.FromMicros(from), Took: kernel.FromMicros(to).Sub(kernel.FromMicros(from)), Label: label, Gap: true, Detail: sentence(details...)})
}

// sentence joins details, texts or HTML of package ui, to one line; nil when there are none.
func sentence(details ...any) any {
	var parts []string
	for _, d := range details {
		switch d := d.(type) {
		case template.HTML:
			parts = append(parts, string(d))
		case string:
			if d != "" {
				parts = append(parts, template.HTMLEscapeString(d))
			}
		}
	}
	if len(parts) == 0 {
		return nil
	}
	return template.HTML(strings.Join(parts, " · "))
}

func clock(us int64) template.HTML {
	text, _ := ui.TimeClock(us) // an int64 always is a time
	return text
}

func (t *timeline) add(i int) {
	s := &t.d.Steps[i]
	switch s.Type {
	case jobviz.Waiting, jobviz.Delayed:
		t.addQueued(s)
	case jobviz.Active:
		t.addActive(s)
	case jobviz.Stalled:
		t.silence(s, true)
		t.put(s, "Stalled", ui.ToneWarn, "the worker went silent; the queue took the job back")
		t.queued = s
	case jobviz.Failed:
		t.addFailed(s)
	case jobviz.Completed:
		t.silence(s, false)
		t.put(s, "Completed", ui.ToneGood)
	default:
		if !t.addReport(i) {
			return
		}
	}
	t.prev = s
}

func (t *timeline) addQueued(s *Step) {
	stalls := t.stallFollows(s)
	t.silence(s, stalls)
	switch {
	case s.Type == jobviz.Delayed:
		label := "Added, to start later"
		if t.prev != nil {
			label = "Put off"
		}
		if s.Arg > s.At {
			t.put(s, label, ui.ToneNeutral, template.HTML("for "+spanText(s.Arg-s.At)+", until ")+clock(s.Arg))
		} else {
			t.put(s, label, ui.ToneNeutral)
		}
	case t.prev == nil:
		t.put(s, "Added to the queue", ui.ToneNeutral)
	case t.queued != nil && t.queued.Type == jobviz.Delayed && t.prev == t.queued:
		t.delay(t.queued, s.At)
		t.put(s, "Came due", ui.ToneNeutral)
	default:
		t.put(s, "Back in the queue", ui.ToneNeutral)
	}
	t.queued = s
}

// stallFollows tells whether s is the half of a stall that comes before the word for it.
func (t *timeline) stallFollows(s *Step) bool {
	for i := range t.d.Steps {
		if o := &t.d.Steps[i]; o.Type == jobviz.Stalled && o.At >= s.At && o.At-s.At < 1_000_000 {
			return true
		}
	}
	return false
}

// delay explains the time until a delayed job was due, and returns from when on it waited for a worker.
func (t *timeline) delay(s *Step, until int64) int64 {
	if s.Arg <= s.At {
		return s.At
	}
	due := min(s.Arg, until)
	t.gap(s.At, due, "Delayed for "+spanText(due-s.At), "until "+clock(due))
	return due
}

func (t *timeline) addActive(s *Step) {
	t.waited(s)
	t.heard = false
	a := t.attempt(s)
	label, tone := "Attempt "+strconv.Itoa(max(1, s.Attempt))+" began", ui.ToneActive
	if len(t.d.Run.Attempts) == 1 {
		label = "Began to run"
	}
	step := t.put(s, label, tone)
	if a != nil && a.Start == s.At {
		end := cmp.Or(a.End, max(t.now, a.Start))
		step.Took = kernel.FromMicros(end).Sub(kernel.FromMicros(a.Start))
		step.Tone = outcomeTone(a.Outcome)
	}
}

func outcomeTone(o fold.Outcome) ui.Tone {
	switch o {
	case fold.Succeeded:
		return ui.ToneGood
	case fold.AttemptFailed:
		return ui.ToneBad
	case fold.WentSilent, fold.Lost:
		return ui.ToneWarn
	}
	return ui.ToneActive
}

func (t *timeline) attempt(s *Step) *fold.Attempt {
	if s.Attempt < 1 || s.Attempt > len(t.d.Run.Attempts) {
		return nil
	}
	return &t.d.Run.Attempts[s.Attempt-1]
}

// waited explains what lay between the step before and the beginning of an attempt.
func (t *timeline) waited(s *Step) {
	if t.prev == nil {
		return
	}
	took := func(from int64) string { return spanText(max(0, s.At-from)) }
	switch {
	case t.prev == t.queued && t.prev.Type == jobviz.Delayed:
		from := t.delay(t.queued, s.At)
		t.gap(from, s.At, "Waited "+took(from)+" for a worker")
	case t.prev == t.queued:
		t.gap(t.prev.At, s.At, "Waited "+took(t.prev.At)+" in the queue")
	case t.prev.Type == jobviz.Failed:
		t.gap(t.prev.At, s.At, "Retry after "+took(t.prev.At))
	case t.prev.Type == jobviz.Active || t.prev.Type == jobviz.Progress:
		t.gap(t.prev.At, s.At, "Nothing was heard for "+took(t.prev.At), "how the attempt before ended is not known")
	default:
		t.gap(t.prev.At, s.At, took(t.prev.At)+" passed")
	}
}

// silence explains a long quiet time within an attempt: of one that stalled, and of one that had reported before.
func (t *timeline) silence(s *Step, stalled bool) {
	if t.prev == nil || s.At-t.prev.At < silenceShown || t.prev.Type != jobviz.Active && t.prev.Type != jobviz.Progress && t.prev.Type != jobviz.Other {
		return
	}
	span := spanText(s.At - t.prev.At)
	switch {
	case stalled:
		t.gap(t.prev.At, s.At, "The worker went silent for "+span)
	case t.heard:
		t.gap(t.prev.At, s.At, "Nothing was heard for "+span)
	}
}

func (t *timeline) addFailed(s *Step) {
	t.silence(s, false)
	f := t.d.Failures[s.Attempt]
	reason := clipText(firstLine(f.Reason), maxLabel)
	label := "Failed"
	switch {
	case s.Flags&fold.WillRetry != 0:
		label = "Attempt " + strconv.Itoa(max(1, s.Attempt)) + " failed"
	case len(t.d.Run.Attempts) > 1:
		label = "Failed for good"
	}
	if s.Flags&fold.MovedOut != 0 {
		t.put(s, label, ui.ToneBad, reason, "moved to the failure transport")
		return
	}
	t.put(s, label, ui.ToneBad, reason)
}

// addReport adds progress, a log line or a word that the protocol does not know, and tells whether it did.
func (t *timeline) addReport(i int) bool {
	s := &t.d.Steps[i]
	if s.Log != nil {
		if t.logs {
			t.silence(s, false)
			t.put(s, clipText(cmp.Or(s.Log.Message, "(an empty line)"), maxLabel), ui.ToneNeutral)
		}
		t.heard = true
		return t.logs
	}
	t.silence(s, false)
	t.heard = true
	if s.Type != jobviz.Progress {
		t.put(s, "Reported “"+clipText(s.Word, 80)+"”", ui.ToneNeutral)
		return true
	}
	label := "Progress"
	if bar, ok := progressBar(progressOf(s)); ok {
		label += " " + bar.Text
	}
	// Of a row of reports the newest is worth a line.
	if n := len(t.steps); n > 0 && t.prev != nil && t.prev.Type == jobviz.Progress && t.prev.Log == nil && !t.steps[n-1].Gap {
		t.steps = t.steps[:n-1]
	}
	t.put(s, label, ui.ToneActive)
	return true
}

// open explains what an unfinished run is doing now.
func (t *timeline) open() {
	run := &t.d.Run
	since := func(from int64) string { return spanText(max(0, t.now-from)) }
	last := run.Last
	switch run.Status {
	case fold.Waiting:
		t.gap(last, t.now, "In the queue for "+since(last)+" so far")
	case fold.Delayed:
		if run.Due > t.now {
			t.gap(last, t.now, "Starts in "+spanText(run.Due-t.now))
		} else {
			t.gap(last, t.now, "Due for "+since(max(run.Due, last))+", and not begun")
		}
	case fold.Retrying:
		t.gap(last, t.now, "Next attempt not begun after "+since(last))
	case fold.Stalled:
		t.gap(last, t.now, "Not begun again after "+since(last))
	case fold.Active:
		if t.now-last >= silenceShown {
			t.gap(last, t.now, "Nothing was heard for "+since(last)+" so far")
		}
	}
}

func clipText(s string, most int) string {
	if len(s) <= most {
		return s
	}
	cut := most
	for cut > 0 && s[cut]&0xc0 == 0x80 {
		cut--
	}
	return s[:cut] + "…"
}
