package fold

import "github.com/kept-dev/kept/wire/jobviz"

// Time spans of the rules, in microseconds of event time.
const (
	// copyWindow is how far apart the copies are that several replicas of an agent send of one event.
	copyWindow = 5_000_000
	// jitter is within how much a copy is still a copy although the job has moved on meanwhile.
	jitter = 100_000
	// reorder is how late a waiting or active may be stamped behind the final event of its run: agents that look the
	// job up before they stamp (BullMQ) overtake themselves on jobs that take a millisecond.
	reorder = 2_000_000
	// lateStamp is the same for a waiting or delayed of a run that had one before: that of a retry.
	lateStamp = 500_000
	// contradiction is within how much of one final event another one is the same end told twice (Agenda sends fail and
	// complete, Laravel two fails).
	contradiction = 5_000_000
)

// Fold sorts the events of a job into runs. The set must be sorted, as Set.Add keeps it.
func Fold(set Set) []Run { return new(Folder).Fold(set) }

// Folder folds one job after the other and uses its memory again. The zero value is ready.
type Folder struct {
	runs   []Run
	recent []seen // state events that counted, newest last
}

// Fold is Fold; the runs are valid until it is called again.
func (f *Folder) Fold(set Set) []Run {
	f.runs, f.recent = f.runs[:0], f.recent[:0]
	for _, e := range set {
		f.add(e)
	}
	for i := range f.runs {
		f.runs[i].finish()
	}
	return f.runs
}

// begin opens the next run, in the memory of one of the job before if there is any.
func (f *Folder) begin(at int64) {
	if len(f.runs) < cap(f.runs) {
		f.runs = f.runs[:len(f.runs)+1]
	} else {
		f.runs = append(f.runs, Run{})
	}
	run := f.cur()
	*run = Run{Number: len(f.runs), First: at, Steps: run.Steps[:0], Attempts: run.Attempts[:0]}
}

// seen points at a step that counted.
type seen struct{ run, step int }

func (f *Folder) cur() *Run {
	if len(f.runs) == 0 {
		return nil
	}
	return &f.runs[len(f.runs)-1]
}

func (f *Folder) add(e Event) {
	if s, dup := f.copyOf(e); dup {
		f.runs[s.run].Steps[s.step].Copies++
		return
	}
	run := f.cur()
	if run == nil || f.beginsRun(run, e) {
		f.begin(e.At)
		run = f.cur()
	}
	run.apply(e)
	if e.changesState() {
		f.recent = append(f.recent, seen{len(f.runs) - 1, len(run.Steps) - 1})
	}
}

// copyOf finds the step that e is a copy of. Numbered events are copies by their number. Of others, progress and log lines are copies only within the jitter; a state event
// is a copy up to the copy window as long as the job has not moved on since.
func (f *Folder) copyOf(e Event) (seen, bool) {
	if e.Type == jobviz.Progress || e.Type == jobviz.Other || e.Type == jobviz.Deployment {
		return f.copyOfProgress(e)
	}
	if e.Flags&Numbered != 0 {
		return f.copyOfNumbered(e)
	}
	movedOn := false
	for i := len(f.recent) - 1; i >= 0; i-- {
		at := f.recent[i]
		old := f.runs[at.run].Steps[at.step].Event
		if e.At-old.At > copyWindow {
			break
		}
		if old.Type != e.Type || old.Flags&WillRetry != e.Flags&WillRetry {
			movedOn = true
			continue
		}
		if old.Hash == e.Hash && old.Nth == e.Nth && (!movedOn || e.At-old.At <= jitter) {
			return at, true
		}
	}
	return seen{}, false
}

// copyOfNumbered finds the step with the number of e. Where replicas have come to count differently (see Streams), what
// is told within the jitter of the newest step is still the same, unless the numbers follow each other.
func (f *Folder) copyOfNumbered(e Event) (seen, bool) {
	for i := len(f.recent) - 1; i >= 0; i-- {
		old := f.runs[f.recent[i].run].Steps[f.recent[i].step].Event
		if e.At-old.At > copyWindow {
			break
		}
		if old.Type == e.Type && old.Nth == e.Nth && (old.Flags^e.Flags)&(WillRetry|Numbered) == 0 {
			return f.recent[i], true
		}
	}
	if n := len(f.recent); n > 0 {
		newest := f.recent[n-1]
		old := f.runs[newest.run].Steps[newest.step].Event
		if old.Type == e.Type && old.Hash == e.Hash && old.Nth+1 != e.Nth && e.At-old.At <= jitter {
			return newest, true
		}
	}
	return seen{}, false
}

func (f *Folder) copyOfProgress(e Event) (seen, bool) {
	run := f.cur()
	if run == nil {
		return seen{}, false
	}
	window := int64(jitter)
	if e.Flags&Numbered != 0 {
		window = copyWindow
	}
	for i := len(run.Steps) - 1; i >= 0 && e.At-run.Steps[i].At <= window; i-- {
		if old := run.Steps[i].Event; old.Type == e.Type && old.Hash == e.Hash && old.Nth == e.Nth {
			return seen{len(f.runs) - 1, i}, true
		}
	}
	return seen{}, false
}

// beginsRun tells whether e belongs to a new run after one that is over.
func (f *Folder) beginsRun(run *Run, e Event) bool {
	if !run.Status.Over() {
		return false
	}
	since := e.At - run.Finished
	switch e.Type {
	case jobviz.Waiting, jobviz.Delayed:
		return since > reorder || since > lateStamp && run.Enqueued != 0
	case jobviz.Active:
		return since > reorder || run.Started != 0
	case jobviz.Failed, jobviz.Completed:
		return since > contradiction
	}
	return false
}

func (r *Run) apply(e Event) {
	r.Last = max(r.Last, e.At)
	step := Step{Event: e, Copies: 1}
	switch e.Type {
	case jobviz.Waiting:
		r.queued(e, Waiting)
	case jobviz.Delayed:
		r.queued(e, Delayed)
		if e.Arg > 0 {
			r.Due = e.Arg
		}
	case jobviz.Active:
		r.begin(e)
	case jobviz.Stalled:
		r.stall(e)
	case jobviz.Failed:
		step.Ignored = r.fail(e)
	case jobviz.Completed:
		step.Ignored = r.complete(e)
	}
	step.Attempt = len(r.Attempts)
	r.Steps = append(r.Steps, step)
}

// open is the attempt that runs, if one does.
func (r *Run) open() *Attempt {
	if n := len(r.Attempts); n > 0 && r.Attempts[n-1].Outcome == Running {
		return &r.Attempts[n-1]
	}
	return nil
}

func (a *Attempt) end(at int64, o Outcome) {
	a.End, a.Outcome = at, o
}

func (r *Run) queued(e Event, s Status) {
	if r.Enqueued == 0 {
		r.Enqueued = e.At
	}
	if r.Status.Over() {
		return // stamped late: the run had ended already
	}
	if a := r.open(); a != nil {
		a.end(e.At, PutBack)
	}
	if n := len(r.Steps); n > 0 && r.Status == Stalled && r.Steps[n-1].At == e.At {
		return // the two halves of one stall
	}
	r.Status = s
}

func (r *Run) begin(e Event) {
	if r.Started == 0 {
		r.Started = e.At
	}
	if r.Status.Over() { // stamped late: it belongs to the attempt that has ended
		if a := &r.Attempts[len(r.Attempts)-1]; a.Start == 0 {
			a.Start = min(e.At, a.End)
		}
		return
	}
	if a := r.open(); a != nil {
		a.end(e.At, Lost)
	}
	r.Attempts = append(r.Attempts, Attempt{Number: len(r.Attempts) + 1, Start: e.At, Failure: -1, Wait: r.waited(e.At)})
	r.count(e)
	r.Status = Active
}

// waited is how long the run has been in the queue at the given time: since it was last queued or due.
func (r *Run) waited(at int64) int64 {
	for i := len(r.Steps) - 1; i >= 0; i-- {
		switch s := r.Steps[i]; s.Type {
		case jobviz.Delayed:
			from := s.At
			if s.Arg > from {
				from = s.Arg
			}
			return max(0, at-from)
		case jobviz.Waiting:
			// A delayed job is moved to waiting when it is due.
			return max(0, at-s.At)
		case jobviz.Active:
			return NotKnown
		}
	}
	return NotKnown
}

func (r *Run) count(e Event) {
	if e.Type != jobviz.Delayed && e.Arg > 0 {
		r.Tries = max(r.Tries, int(e.Arg))
	}
}

// stall notes that the worker went silent. BullMQ says waiting first and stalled second, so the attempt may have been
// closed just before.
func (r *Run) stall(e Event) {
	r.Stalls++
	if a := r.open(); a != nil {
		a.end(e.At, WentSilent)
	} else if n := len(r.Attempts); n > 0 && r.Attempts[n-1].Outcome == PutBack && e.At-r.Attempts[n-1].End <= copyWindow {
		r.Attempts[n-1].Outcome = WentSilent
	}
	if !r.Status.Over() {
		r.Status = Stalled
	}
}

// fail ends an attempt and, unless another one will follow, the run. It tells whether it changed nothing.
func (r *Run) fail(e Event) (ignored bool) {
	r.count(e)
	if a := r.open(); a != nil {
		a.end(e.At, AttemptFailed)
		a.Failure = len(r.Steps)
	} else if n := len(r.Attempts); n > 0 && (r.Attempts[n-1].Outcome == PutBack || r.sameEnd(e)) {
		// The queue told of the retry before the error, or tells of one failure twice.
		a := &r.Attempts[n-1]
		a.Outcome = AttemptFailed
		if a.Failure < 0 {
			a.Failure = len(r.Steps)
		}
	} else {
		r.Attempts = append(r.Attempts, Attempt{Number: n + 1, End: e.At, Outcome: AttemptFailed, Failure: len(r.Steps), Wait: NotKnown})
	}
	if e.Flags&WillRetry != 0 {
		if r.Status.Over() {
			return true
		}
		if r.Status != Waiting && r.Status != Delayed {
			r.Status = Retrying
		}
		return false
	}
	if r.Status != Failed { // also over a completed of the same instant: a failure is never hidden
		r.Status, r.Finished = Failed, e.At
	}
	return false
}

// sameEnd tells whether the last attempt ended just before e.
func (r *Run) sameEnd(e Event) bool {
	a := r.Attempts[len(r.Attempts)-1]
	return a.End > 0 && e.At-a.End <= contradiction
}

func (r *Run) complete(e Event) (ignored bool) {
	if r.Status == Failed {
		return true // Agenda completes a run that it has just failed
	}
	if a := r.open(); a != nil {
		a.end(e.At, Succeeded)
	} else if n := len(r.Attempts); n > 0 && r.Attempts[n-1].Outcome == PutBack && e.At-r.Attempts[n-1].End <= reorder {
		r.Attempts[n-1].end(e.At, Succeeded) // nothing ends that waits: the waiting was stamped late
	} else if n == 0 || r.Attempts[n-1].Outcome != Succeeded {
		r.Attempts = append(r.Attempts, Attempt{Number: n + 1, End: e.At, Outcome: Succeeded, Failure: -1, Wait: NotKnown})
	}
	r.count(e)
	r.Status = Completed
	if r.Finished == 0 {
		r.Finished = e.At
	}
	return false
}

// lateStart tells whether the run was queued and begun by events that were stamped behind its end.
func (r *Run) lateStart() bool {
	return r.Enqueued > 0 && r.Started > 0 && r.Enqueued <= r.Started
}

// finish computes the spans. Clocks of several hosts are in play, so a span that would be negative is zero.
func (r *Run) finish() {
	r.Wait, r.Duration, r.Total = NotKnown, NotKnown, NotKnown
	for i := range r.Attempts {
		a := &r.Attempts[i]
		a.Duration = NotKnown
		if a.Start > 0 && a.End > 0 {
			a.Duration = max(0, a.End-a.Start)
		}
	}
	if n := len(r.Attempts); n > 0 {
		r.Duration = r.Attempts[n-1].Duration
		r.Wait = r.Attempts[0].Wait
		if r.Wait == NotKnown && r.lateStart() {
			r.Wait = max(0, r.Started-r.Enqueued)
		}
		r.Tries = max(r.Tries, n)
	}
	if r.Status.Over() {
		r.Total = max(0, r.Finished-r.First)
	}
}
