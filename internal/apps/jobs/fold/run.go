package fold

// Status is where a run stands.
type Status uint8

// The states. A run in the last two is over.
const (
	Unknown   Status = iota // only log lines or progress were seen
	Waiting                 // in the queue
	Delayed                 // in the queue, not before its due time
	Active                  // being worked on
	Retrying                // an attempt failed and another will follow
	Stalled                 // its worker went silent; the queue took it back
	Failed                  // given up
	Completed               // done
)

var statusNames = [...]string{"unknown", "waiting", "delayed", "active", "retrying", "stalled", "failed", "completed"}

// Statuses lists the names of all states, in the order of a job's life.
func Statuses() []string { return statusNames[:] }

func (s Status) String() string {
	if int(s) < len(statusNames) {
		return statusNames[s]
	}
	return statusNames[0]
}

// ParseStatus finds a status by its name.
func ParseStatus(name string) (Status, bool) {
	for i, n := range statusNames {
		if n == name {
			return Status(i), true
		}
	}
	return 0, false
}

// Over tells whether nothing more is expected of a run.
func (s Status) Over() bool { return s == Failed || s == Completed }

// NotKnown stands for a time span that cannot be known, because an event that begins or ends it was never seen.
const NotKnown int64 = -1

// Run is one execution of a job from its first event to its last, with all attempts. Times are microseconds since the
// Unix epoch and 0 when not known; spans are microseconds and NotKnown when not known, never negative otherwise.
type Run struct {
	Number   int // the first run of a job is 1
	Status   Status
	First    int64 // the first event
	Last     int64 // the last event
	Enqueued int64 // the first waiting or delayed
	Due      int64 // when a delayed run may start
	Started  int64 // the first active
	Finished int64
	Attempts []Attempt
	Tries    int // how many attempts there were; more than len(Attempts) when the agent counted ones that were not seen
	Stalls   int
	Wait     int64 // from enqueued, or due, to started
	Duration int64 // of the last attempt
	Total    int64 // from first to finished
	Steps    []Step
}

// Outcome says how an attempt ended.
type Outcome uint8

// The outcomes.
const (
	Running       Outcome = iota
	Succeeded             // the job completed
	AttemptFailed         // it raised an error
	PutBack               // it went back into the queue, and no error was reported
	WentSilent            // it stalled
	Lost                  // another attempt began and nothing said how this one ended
)

var outcomeNames = [...]string{"running", "succeeded", "failed", "put back", "stalled", "lost"}

func (o Outcome) String() string { return outcomeNames[o] }

// Attempt is one try to run the job.
type Attempt struct {
	Number   int
	Wait     int64 // in the queue before it, or NotKnown
	Start    int64 // 0 when no active event was seen
	End      int64 // 0 while it runs
	Outcome  Outcome
	Failure  int // index in Steps of the failed event; -1 when there is none
	Duration int64
}

// Step is an event that counted, with how many copies of it came.
type Step struct {
	Event
	Copies  int
	Attempt int  // number of the attempt it belongs to; 0 before the first
	Ignored bool // it contradicts what came before and changed nothing
}
