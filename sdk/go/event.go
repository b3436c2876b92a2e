package kept

import "time"

// Kind is what happened to a job.
type Kind string

// The kinds of event of the protocol.
const (
	Waiting   Kind = "waiting"    // enqueued, ready to run
	Delayed   Kind = "delayed"    // will run at Data.Delay
	Active    Kind = "active"     // a worker took it
	Completed Kind = "completed"  // it succeeded
	Failed    Kind = "failed"     // an attempt failed; for good unless Data.Retrying
	Stalled   Kind = "stalled"    // its worker disappeared
	Progress  Kind = "progress"   // Data.Progress or Data.Log
	Deployed  Kind = "deployment" // see [Client.Deployment]
)

const (
	unknown      = "unknown"     // the protocol's word for a missing id or name
	retryingMark = "[retrying] " // begins the reason of an attempt that is not the last
)

// Event is one thing that happened to one job.
type Event struct {
	Kind    Kind
	JobID   string // unique within the queue
	JobName string // type of the job, such as "send-invoice"
	Queue   string
	Time    time.Time // when it happened; zero is now

	Env         string // default Config.Env
	ParentID    string // the job that enqueued this one
	ParentQueue string
	TraceID     string // ties the job to what caused it in other systems

	Data Data
}

// Data is what an event tells beyond its kind. Everything is optional.
type Data struct {
	Input        any            // the job's payload; with Waiting, Delayed and Active
	ReturnValue  any            // with Completed
	FailedReason string         // with Failed: the error's text
	Retrying     bool           // with Failed: the job will be tried again
	Stack        string         // with Failed
	Progress     any            // with Progress: a number from 0 to 100, or any value
	Log          *LogLine       // with Progress: a line the job wrote
	Delay        time.Time      // with Delayed: when the job is due
	AttemptsMade int            // number of this attempt; the first is 1
	Version      string         // with Deployed
	CommitHash   string         // with Deployed
	Description  string         // with Deployed
	Extra        map[string]any // further members, kept by the server as they are
}

// LogLine is a line that a job wrote while it ran.
type LogLine struct {
	Message string
	Meta    any // usually a map; nil is none
}
