// Package jobviz reads the wire protocol of the Jobviz agents (POST /api/v1/events), which Kept's own SDKs speak too.
// It is more lenient than the original in every check, because an answer of 4xx makes an agent throw its batch away.
// The protocol was read off the published agents, Node 0.1.0 and 0.1.1 and PHP 0.1.0; docs/protocols/jobviz.md has it.
package jobviz

// Type is what happened to a job.
type Type uint8

// The types of the protocol. Other is any word that is none of them: it is kept for the timeline and changes no state.
const (
	Other Type = iota
	Waiting
	Delayed
	Active
	Progress
	Stalled
	Failed
	Completed
	Deployment
)

var typeNames = [...]string{"other", "waiting", "delayed", "active", "progress", "stalled", "failed", "completed", "deployment"}

func (t Type) String() string {
	if int(t) < len(typeNames) {
		return typeNames[t]
	}
	return typeNames[Other]
}

// ParseType finds the type for a word of the wire.
func ParseType(word []byte) Type {
	for i, name := range typeNames {
		if i > 0 && string(word) == name {
			return Type(i)
		}
	}
	return Other
}

// Event is one entry of a batch. Its byte slices point into the body that was decoded, or into memory of the Decoder,
// and are valid until the Decoder is used again.
type Event struct {
	Index int // place in the batch

	Type     Type
	TypeName []byte // the word itself, for Other
	At       int64  // microseconds since the Unix epoch, by the agent's clock

	JobID       []byte // never empty: "unknown" where the agent did not know
	JobName     []byte // empty: not known
	Queue       []byte // never empty: "default" where the agent did not know
	Env         []byte
	ParentJobID []byte
	ParentQueue []byte
	TraceID     []byte

	Data []byte // raw JSON as it came; nil when absent or null

	// Lifted out of Data, because they decide about a job's state.
	FailedReason []byte // unescaped; nil when absent
	Due          int64  // of Delayed: when the job may start, microseconds; 0 is unknown
	AttemptsMade int32  // -1 is unknown
	HasLog       bool   // Data has a log line
}

// Problem is what is wrong with the event at Index, in words for whoever runs the agent.
type Problem struct {
	Index  int      `json:"index"`
	Errors []string `json:"errors"`
}

// Response is the body of an answer with status 200.
type Response struct {
	Accepted int       `json:"accepted"`
	Rejected int       `json:"rejected"`
	Errors   []Problem `json:"errors,omitempty"`
}

// ErrorResponse is the body of every other answer: the agents show its error to their users.
type ErrorResponse struct {
	Error string `json:"error"`
}
