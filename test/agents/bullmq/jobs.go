package bullmq

// Job is what a server must know of one job when the fleet is done.
type Job struct {
	Queue, ID, Name string
	State           string // completed or failed
	Attempts        int    // distinct starts, at least: a server may see none of a stalled one's
	Env             string
	TraceID         string
	ParentQueue     string
	ParentID        string
	Error           string   // part of the reason of failure
	Stack           string   // part of the stack of a failed job
	Input           string   // part of the payload, as JSON text
	Result          string   // part of the result, as JSON text
	Logs            []string // messages, in order
	Progress        []string // values, in order, as JSON text
	Delays          int      // times it was put off
	Stalls          int
}

// Jobs lists what the fleet runs; app.mjs has the same list.
func Jobs() []Job {
	const production = "production"
	return []Job{
		{
			Queue: "emails", ID: "mail-ok", Name: "send-email", State: "completed", Attempts: 1, Env: production,
			TraceID: "trace-mail-ok",
			Input:   `"to":"客户@例え.jp","order":"9007199254740993","total":"12345678901234567890.01"`,
			Result:  `"messageId":"<mail-ok@example.com>","order":"9007199254740993"`,
		},
		{
			Queue: "emails", ID: "mail-bounce", Name: "bounce", State: "failed", Attempts: 3, Env: production,
			Input: `"to":"nobody@example.com"`,
			Error: "JSON at position 2", Stack: "app.mjs",
		},
		{
			Queue: "emails", ID: "mail-retry", Name: "flaky", State: "completed", Attempts: 3, Env: production,
			TraceID: "trace-mail-retry", Delays: 2, Result: `"sent"`,
		},
		{
			Queue: "reports", ID: "report-steps", Name: "monthly-report", State: "completed", Attempts: 1, Env: production,
			Logs: []string{"reading rows", "writing 報告"}, Progress: []string{`40`, `{"page":2,"of":2}`},
			Result: `"pages":2`,
		},
		{
			Queue: "reports", ID: "report-later", Name: "reminder", State: "completed", Attempts: 1, Env: production,
			Delays: 1, Result: `null`,
		},
		{
			Queue: "imports", ID: "import-stalled", Name: "import", State: "completed", Attempts: 2, Env: production,
			Stalls: 1, Result: "imported by the second worker",
		},
		{
			Queue: "albums", ID: "album-1", Name: "album", State: "completed", Attempts: 1, Env: production,
			Input: `"title":"夏"`, Result: `2`,
		},
		{
			Queue: "thumbnails", ID: "thumb-1", Name: "thumbnail", State: "completed", Attempts: 1, Env: production,
			ParentQueue: "albums", ParentID: "album-1", Result: `"width":120`,
		},
		{
			Queue: "thumbnails", ID: "thumb-2", Name: "thumbnail", State: "completed", Attempts: 1, Env: production,
			ParentQueue: "albums", ParentID: "album-1", Result: `"width":240`,
		},
	}
}
