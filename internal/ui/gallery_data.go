package ui

import (
	"cmp"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

type galleryJob struct {
	ID, Name, Queue, Status string
	Started                 time.Time
	Took                    time.Duration
	Attempts                int
}

func newGalleryView(r *http.Request, now time.Time) galleryView {
	path := r.URL.Path
	span := ReadTimeRange(r.URL, now, 4*time.Hour)
	rows, next, total := galleryRows(r, now)
	v := galleryView{
		Path:  path,
		Stats: galleryStats(now),
		Filters: NewFilters(r.URL, "gallery-list",
			Filter{Name: "q", Label: "Search", Placeholder: "Name or id", Wide: true},
			Filter{Name: "status", Label: "Status", Kind: "select", Options: []Option{
				{Value: "completed", Label: "Completed"}, {Value: "failed", Label: "Failed"}, {Value: "active", Label: "Active"}, {Value: "waiting", Label: "Waiting"}}},
			Filter{Name: "queue", Label: "Queue", Kind: "text", List: []string{"mail", "images", "billing"}}),
		Sorts: NewSorts(r.URL, "gallery-list", "-started", "name", "took"), Rows: rows,
		Pager:   NewPager(r.URL, "gallery-list", next, fmt.Sprintf("%d of %d example jobs", len(rows), total)),
		NoMatch: Empty{Icon: "search", Title: "No job matches", Text: "Take a filter away, or look at a longer time.", Action: &Action{Label: "Clear filters", Href: path}},
		Range:   span, Charts: galleryCharts(now), Panels: galleryPanels(span, path), Timeline: galleryTimeline(now),
		JSON:    []byte(galleryJSON),
		NotJSON: "{\"cut\": \"off in the mid",
		Stack:   galleryStack, Command: "curl -H \"Authorization: Bearer $KEPT_KEY\" http://localhost:7480/api/v1/jobs?status=failed",
		Terms: []Term{{"Job", "send-receipt"}, {"Queue", "mail"}, {"Worker", "web-2 · pid 4121"}, {"Trace", "4bf92f3577b34da6a3ce929d0e0e4736"}},
		Tabs: Tabs{Label: "Job", Items: []Tab{{Label: "Overview", Href: path + "#tabs", Current: true}, {Label: "Attempts", Href: path + "?tab=attempts#tabs", Count: "3"},
			{Label: "Payload", Href: path + "?tab=payload#tabs"}, {Label: "Log", Href: path + "?tab=log#tabs", Count: "1,204"}}},
		BadForm: galleryBadForm(path), Buttons: galleryButtons(path), Dialog: galleryDialog(path),
		Badges:     []string{"completed", "failed", "active", "waiting", "delayed", "stalled", "retrying", "late", "paused", "cancelled", "not applicable", "something else"},
		Values:     galleryValues(now),
		Progress:   []Progress{{Label: "Preparing the export", Value: 7, Max: 12, Text: "7 of 12 parts"}, {Label: "Counting", Text: "unknown length"}},
		ToastKinds: []Option{{Value: "good", Label: "Good news"}, {Value: "neutral", Label: "News"}, {Value: "bad", Label: "Bad news"}},
		Empty: Empty{Icon: "inbox", Title: "No jobs yet", Text: "Send the first event from a terminal. It appears here within a second.",
			Command: "curl -H 'Authorization: Bearer jv_example' -d '{\"events\":[]}' http://localhost:7480/api/v1/events",
			Action:  &Action{Label: "How to connect a worker", Href: path + "#empty", Icon: "external"}},
		Icons: IconNames(),
	}
	return v
}

func galleryStats(now time.Time) []Stat {
	wave := make([]float64, 40)
	for i := range wave {
		wave[i] = 40 + 14*math.Sin(float64(i)/4) + 5*math.Sin(float64(i)*1.7)
	}
	return []Stat{
		{Label: "Throughput", Value: "1,248", Unit: "jobs/min", Hint: "1,190 an hour ago", Spark: Spark(wave, "Throughput of the last hour, between 22 and 58 jobs a second")},
		{Label: "Failure rate", Value: "2.4 %", Tone: ToneBad, Hint: "31 of 1,284", Href: "?status=failed"},
		{Label: "Run time, p95", Value: "1.24", Unit: "s", Hint: "p50 350 ms"},
		{Label: "Oldest waiting", Value: "4 min 05 s", Tone: ToneWarn, Hint: "queue mail"},
		{Label: "Drawn at", Value: now.Format("15:04:05"), Unit: "UTC", Hint: "changes while you look"},
	}
}

// galleryRows makes 120 jobs and really filters, orders and pages them.
func galleryRows(r *http.Request, now time.Time) (rows []galleryJob, next string, total int) {
	q := r.URL.Query()
	for _, j := range galleryJobs(now) {
		if s := q.Get("status"); s != "" && s != j.Status {
			continue
		}
		if s := q.Get("queue"); s != "" && s != j.Queue {
			continue
		}
		if s := strings.ToLower(q.Get("q")); s != "" && !strings.Contains(j.Name+j.ID, s) {
			continue
		}
		rows = append(rows, j)
	}
	sortGallery(rows, NewSorts(r.URL, "", "-started", "name", "took"))
	const size = 10
	from, err := strconv.Atoi(q.Get("cursor"))
	if err != nil || from < 0 || from > len(rows) {
		from = 0
	}
	total = len(rows)
	to := min(from+size, total)
	if to < total {
		next = strconv.Itoa(to)
	}
	return rows[from:to], next, total
}

func sortGallery(rows []galleryJob, s Sorts) {
	slices.SortStableFunc(rows, func(a, b galleryJob) int {
		if s.Desc {
			a, b = b, a
		}
		switch s.Key {
		case "name":
			return cmp.Compare(a.Name, b.Name)
		case "took":
			return cmp.Compare(a.Took, b.Took)
		}
		return a.Started.Compare(b.Started)
	})
}

func galleryJobs(now time.Time) []galleryJob {
	names := []string{"send-receipt", "resize-image", "charge-card", "sync-contacts", "nightly-report"}
	queues := []string{"mail", "images", "billing", "mail", "reports"}
	states := []string{"completed", "completed", "active", "completed", "failed", "completed", "waiting"}
	jobs := make([]galleryJob, 0, 120)
	for i := range 120 {
		jobs = append(jobs, galleryJob{
			ID: fmt.Sprintf("%08x", uint32(i*2654435761)), Name: names[i%5], Queue: queues[i%5], Status: states[i%7],
			Started: now.Add(-time.Duration(i*i*13+i*7) * time.Second), Took: time.Duration(i%9+1) * 137 * time.Millisecond * time.Duration(1+i%4), Attempts: 1 + i%3,
		})
	}
	return jobs
}

func galleryTimeline(now time.Time) Timeline {
	t0 := now.Add(-10 * time.Minute)
	at := func(s float64) time.Time { return t0.Add(time.Duration(s * float64(time.Second))) }
	return Timeline{Label: "What happened to the job", Start: t0, End: at(14.2), Steps: []Step{
		{At: at(0), Label: "Added", Detail: "by web-1, priority 5"},
		{At: at(0), Took: 2800 * time.Millisecond, Label: "Waited for a worker", Detail: "all 4 workers of mail were busy", Gap: true},
		{At: at(2.8), Took: 1240 * time.Millisecond, Label: "Attempt 1 failed", Detail: "ECONNRESET: socket hang up", Tone: ToneBad},
		{At: at(4.04), Took: 8 * time.Second, Label: "Waited before the next attempt", Detail: "exponential backoff, 8 s", Gap: true},
		{At: at(12.04), Took: 1900 * time.Millisecond, Label: "Attempt 2 ran", Detail: "web-2, pid 4121", Tone: ToneActive},
		{At: at(13.94), Label: "Completed", Detail: "result of 412 B", Tone: ToneGood},
	}}
}

func galleryForm(path string) Form {
	return Form{Action: path + "#forms", ID: "gallery-form", Submit: "Create account", Cancel: path, Fields: []Field{
		{Name: "email", Label: "E-mail", Kind: "email", Required: true, Autocomplete: "email", Hint: "We send a link to confirm it."},
		{Name: "password", Label: "Password", Kind: "password", Required: true, Autocomplete: "new-password", Hint: "At least 12 characters."},
		{Name: "workspace", Label: "Workspace", Placeholder: "Acme", Autocomplete: "organization"},
		{Name: "keep", Label: "Keep job payloads", Kind: "radio", Value: "keys", Options: []Option{
			{"full", "In full", "Encrypted with the key of the workspace."}, {"keys", "Keys only", "Names of fields without their values."}, {"none", "Not at all", ""}}},
		{Name: "days", Label: "Keep for", Kind: "number", Value: "7", Unit: "days", InputMode: "numeric"},
		{Name: "news", Label: "Mail me about new versions", Kind: "checkbox", Hint: "You can take this back with one click."},
	}}
}

func galleryBadForm(path string) Form {
	return Form{Action: path + "#forms", ID: "gallery-form-bad", Submit: "Save rule", Fields: []Field{
		{Name: "rule", ID: "bad-rule", Label: "Name", Value: "Mail is late", Required: true},
		{Name: "channel", ID: "bad-channel", Label: "Channel", Kind: "select", Placeholder: "Choose", Required: true, Options: []Option{{Value: "mail", Label: "Mail"}, {Value: "hook", Label: "Webhook"}}},
		{Name: "expr", ID: "bad-expr", Label: "Condition", Kind: "promql", Value: "rate(jobs_failed_total[5m) > 0.1", API: path + "/api", Required: true, Hint: "PromQL. It fires while the result is not empty."},
	}}.WithErrors(map[string]string{"expr": "Position 28: expected “]”, found “)”.", "channel": "Choose where to send it."})
}

func galleryButtons(path string) []Action {
	return []Action{
		{Label: "New key", Href: path + "#buttons", Icon: "plus", Primary: true}, {Label: "Export", Href: path + "#buttons", Icon: "download"},
		{Label: "Delete workspace…", Href: path + "?question=1", Icon: "trash", Danger: true, Opens: "gallery-dialog"},
	}
}

func galleryDialog(path string) Dialog {
	return Dialog{ID: "gallery-dialog", Title: "Delete the workspace Acme?", Text: "Jobs, recordings and metrics go with it. Its key is destroyed, so backups cannot be read either. You get a receipt by mail.",
		Form: Form{Action: path, Submit: "Delete workspace", Danger: true, Cancel: path, Fields: []Field{{Name: "confirm", ID: "dialog-confirm", Label: "Type “Acme” to confirm", Required: true, Autocomplete: "off"}}}}
}

func galleryValues(now time.Time) []Term {
	at := now.Add(-95 * time.Minute)
	text := func(s string, _ error) string { return s }
	full, _ := TimeFull(at)
	short, _ := TimeShort(at.Add(-72 * time.Hour))
	ago, _ := TimeAgo(at)
	clock, _ := TimeClock(at)
	return []Term{
		{"Time", full}, {"Time in lists", short}, {"Distance", ago}, {"Clock", clock},
		{"Durations", strings.Join([]string{text(Duration(830 * time.Microsecond)), text(Duration(350 * time.Millisecond)), text(Duration(1240 * time.Millisecond)), text(Duration(125 * time.Second)), text(Duration(50 * time.Hour))}, " · ")},
		{"Counts", text(Count(7)) + " · " + text(Count(12345678)) + " · " + text(Plural(1, "job", "jobs")) + " · " + text(Plural(2, "job", "jobs"))},
		{"Sizes", text(Bytes(812)) + " · " + text(Bytes(1536)) + " · " + text(Bytes(20<<20))},
		{"Shares", text(Percent(0.0421)) + " · " + text(Percent(0.00001)) + " · " + text(Percent(0.99999))},
		{"Sparkline", Spark([]float64{3, 5, 4, 8, 6, 9, 7, 12}, "Rising from 3 to 12")},
	}
}

const galleryJSON = `{"order": 90071992547409931234, "customer": {"email": "ada@example.com", "name": "Ada Lovelace", "vip": true, "referrer": null},
"lines": [{"sku": "A-1", "count": 2, "price": 19.90}, {"sku": "B-7", "count": 1, "price": 1e400}],
"note": "A long text is folded. It is shown in full when it is opened, up to a limit, and the copy button always has all of it. Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor incididunt ut labore et dolore magna aliqua.",
"binary": "a\u0000b", "empty": {}, "deep": {"a": {"b": {"c": {"d": [1, 2, 3]}}}}}`

const galleryStack = `Error: connect ECONNREFUSED 10.0.4.17:25
    at SmtpTransport.send (/srv/app/src/mail/transport.ts:88:13)
    at sendReceipt (/srv/app/src/jobs/send-receipt.ts:31:5)
    at Worker.processJob (/srv/app/node_modules/bullmq/dist/cjs/classes/worker.js:518:28)
    at process.processTicksAndRejections (node:internal/process/task_queues:95:5)`
