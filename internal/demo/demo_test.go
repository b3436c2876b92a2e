package demo

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type event struct {
	JobID       string         `json:"jobId"`
	JobName     string         `json:"jobName"`
	Queue       string         `json:"queue"`
	Event       string         `json:"event"`
	Env         string         `json:"env"`
	ParentJobID string         `json:"parentJobId"`
	TraceID     string         `json:"traceId"`
	Data        map[string]any `json:"data"`
}

func (e event) text(k string) string { s, _ := e.Data[k].(string); return s }

// collector is the server of the demo: it keeps every event and serves the flaky service.
type collector struct {
	mu     sync.Mutex
	bodies strings.Builder
	events []event
	more   chan struct{}
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	raw, _ := io.ReadAll(r.Body)
	var body struct {
		Events []event `json:"events"`
	}
	d := json.NewDecoder(strings.NewReader(string(raw)))
	d.UseNumber()
	if r.URL.Path != "/api/v1/events" || d.Decode(&body) != nil {
		http.Error(w, "no", http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bodies.Write(raw)
	c.events = append(c.events, body.Events...)
	select {
	case c.more <- struct{}{}:
	default:
	}
}

func (c *collector) any(f func(event) bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.events {
		if f(e) {
			return true
		}
	}
	return false
}

func start(t *testing.T, change func(*Config)) (*Demo, *collector) {
	t.Helper()
	c := &collector{more: make(chan struct{}, 1)}
	mux := http.NewServeMux()
	mux.Handle("/api/v1/events", c)
	mux.Handle("GET "+FlakyPath, FlakyHandler(Outage{}))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	cfg := Config{
		Endpoint: server.URL, SelfURL: server.URL, APIKey: "kept_0123456789", Dir: t.TempDir(),
		Mail: func(context.Context, string, string, string) error { return nil },
	}
	change(&cfg)
	d, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Stop(context.Background()) })
	return d, c
}

func TestEveryKindOfEventHappens(t *testing.T) {
	t.Parallel()
	var mails sync.Map
	var progress []int
	d, c := start(t, func(cfg *Config) {
		cfg.History, cfg.Pause = 200, 50*time.Millisecond
		cfg.Mail = func(_ context.Context, to, subject, text string) error { mails.Store(to, text); return nil }
		cfg.OnProgress = func(done, total int, what string) {
			if total != 200 || what == "" {
				t.Errorf("progress %d of %d, %q", done, total, what)
			}
			progress = append(progress, done)
		}
	})
	<-d.Ready()
	if len(progress) == 0 || progress[len(progress)-1] != 200 {
		t.Errorf("progress %v", progress)
	}

	wanted := map[string]func(event) bool{
		"waiting":     func(e event) bool { return e.Event == "waiting" },
		"active":      func(e event) bool { return e.Event == "active" && e.Data["input"] != nil },
		"completed":   func(e event) bool { return e.Event == "completed" && e.Data["returnValue"] != nil },
		"deployment":  func(e event) bool { return e.Event == "deployment" },
		"log line":    func(e event) bool { return e.Data["log"] != nil },
		"progress":    func(e event) bool { return e.Data["progress"] != nil && e.JobName == "export-archive" },
		"scheduled":   func(e event) bool { return e.Event == "delayed" && e.Data["input"] != nil },
		"snoozed":     func(e event) bool { return e.Event == "delayed" && e.JobName == "await-payment" },
		"retry later": func(e event) bool { return e.Event == "delayed" && e.JobName == "fetch-exchange-rates" },
		"flaky": func(e event) bool {
			return strings.HasPrefix(e.text("failedReason"), "[retrying] fetch rates: rate service answered 50")
		},
		"timeout":        func(e event) bool { return strings.Contains(e.text("failedReason"), "Client.Timeout exceeded") },
		"second attempt": func(e event) bool { return e.Event == "completed" && e.Data["attemptsMade"] == json.Number("2") },
		"final failure": func(e event) bool {
			return e.Event == "failed" && e.JobName == "import-customers" && strings.HasPrefix(e.text("failedReason"), "customers-")
		},
		"stack": func(e event) bool { return strings.Contains(e.text("stack"), "internal/demo.parseAmount\n") },
		"panic": func(e event) bool {
			return strings.HasPrefix(e.text("failedReason"), "panic: ") && strings.HasPrefix(e.text("stack"), "github.com/kept-dev/kept/internal/demo.columnWidth")
		},
		"cancelled":     func(e event) bool { return e.Event == "failed" && e.Data["cancelled"] == true },
		"child":         func(e event) bool { return e.JobName == "charge-card" && e.ParentJobID != "" && e.TraceID != "" },
		"staging child": func(e event) bool { return e.JobName == "reserve-stock" && e.Env == "staging" },
		"production":    func(e event) bool { return e.Env == "production" },
		"cron":          func(e event) bool { return e.JobName == "count-storage" && e.Data["periodic"] == true },
		"queue media":   func(e event) bool { return e.Queue == "media" },
		"queue mail":    func(e event) bool { return e.Queue == "mail" },
		"queue billing": func(e event) bool { return e.Queue == "billing" },
		"redacted secret": func(e event) bool {
			b, _ := json.Marshal(e.Data["input"])
			return strings.Contains(string(b), `"api_key":"[REDACTED]","card":"[REDACTED]"`)
		},
	}
	deadline := time.After(45 * time.Second)
	for len(wanted) > 0 {
		for name, f := range wanted {
			if c.any(f) {
				delete(wanted, name)
			}
		}
		if len(wanted) == 0 {
			break
		}
		select {
		case <-c.more:
		case <-deadline:
			var missing []string
			for name := range wanted {
				missing = append(missing, name)
			}
			t.Fatalf("did not happen: %q", missing)
		}
	}
	checkExporter(t, d)
	if err := d.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	all := c.bodies.String()
	for _, secret := range []string{"s3cret", "demo-gateway-key", "4242 4242"} {
		if strings.Contains(all, secret) {
			t.Errorf("%q left the process", secret)
		}
	}
	if !strings.Contains(all, `"id":900719925`) || !strings.Contains(all, "山田 太郎") {
		t.Error("no big integer or no text beyond Latin")
	}
	if text, ok := mails.Load("taro.yamada@example.com"); !ok || !strings.Contains(text.(string), "Hello 山田 太郎") {
		t.Errorf("mail %v", text)
	}
	// After Stop every job that was active has come to an end, or the report of it.
	if st := d.client.Stats(); st.Dropped != 0 || st.Rejected != 0 || st.Buffered != 0 {
		t.Errorf("%+v", st)
	}
}

// checkExporter scrapes the shop as an agent would.
func checkExporter(t *testing.T, d *Demo) {
	t.Helper()
	res, err := http.Get(d.MetricsURL())
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`shop_work_seconds_bucket{kind="make-thumbnail",le="+Inf"}`, `shop_work_failures_total{kind="import-customers"}`,
		`shop_client_requests_total{code="503",service="rates"}`, `shop_client_requests_total{code="none",service="rates"}`,
		"shop_sales_euros_total", "go_goroutines", "process_resident_memory_bytes",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the exporter does not tell %s", want)
		}
	}
}

func TestOutageComesAndGoes(t *testing.T) {
	t.Parallel()
	o := Outage{After: time.Minute, For: 75 * time.Second, Every: 4 * time.Minute}
	for since, want := range map[time.Duration]bool{
		0: false, 59 * time.Second: false, time.Minute: true, 134 * time.Second: true, 135 * time.Second: false,
		299 * time.Second: false, 5 * time.Minute: true,
	} {
		if o.on(since) != want {
			t.Errorf("after %v: %v", since, !want)
		}
	}
	if (Outage{}).on(time.Hour) {
		t.Error("an outage that nobody asked for")
	}
}

func TestStopDuringTheBurst(t *testing.T) {
	t.Parallel()
	running := make(chan struct{}, 1000)
	d, c := start(t, func(cfg *Config) {
		cfg.OnProgress = func(int, int, string) { running <- struct{}{} }
	})
	<-running
	if err := d.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if err := d.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	open := map[string]int{}
	for _, e := range c.events {
		switch e.Event {
		case "active":
			open[e.JobID]++
		case "completed", "failed", "delayed":
			if e.Data["attemptsMade"] != nil && e.Data["input"] == nil && open[e.JobID] > 0 {
				open[e.JobID]--
			}
		}
	}
	for id, n := range open {
		if n > 0 {
			t.Errorf("job %s was left active", id)
		}
	}
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	if _, err := New(Config{Endpoint: "http://x"}); err == nil {
		t.Error("no error")
	}
	d, err := New(Config{Endpoint: "nonsense", APIKey: "kept_0123456789", Dir: t.TempDir(), SelfURL: "x", Mail: func(context.Context, string, string, string) error { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	if d.Stop(t.Context()) != nil {
		t.Error("Stop before Start")
	}
	if err := d.Start(t.Context()); err == nil {
		t.Error("started without an endpoint")
	}
}

func TestFlakySequence(t *testing.T) {
	t.Parallel()
	h := FlakyHandler(Outage{})
	for i := 1; i <= 20; i++ {
		ctx, cancel := context.WithCancel(t.Context())
		if i%10 == 9 {
			cancel() // the slow one: a client without patience
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(ctx, "GET", FlakyPath, nil))
		cancel()
		want := map[int]int{3: 503, 6: 502}[i%10]
		if want == 0 {
			want = 200
		}
		if w.Code != want || (i%10 == 9) != (w.Body.Len() == 0) {
			t.Errorf("call %d: %d", i, w.Code)
		}
	}
}
