package jobs

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/bus"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/db/dbtest"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/seal"
	"github.com/kept-dev/kept/internal/ui"
	"github.com/kept-dev/kept/wire/jobviz"
	"github.com/kept-dev/kept/wire/redact"
)

const (
	testWS  = kernel.WorkspaceID("01arz3ndektsv4rrffq69g5fav")
	testKey = "kept_test_key_1234567890"
)

// server is the app behind the real edge.
type server struct {
	*Module
	url string
	db  *db.DB
}

func serve(t testing.TB, d *db.DB) *server {
	t.Helper()
	ctx := context.Background()
	instance, _, err := seal.LoadInstanceKey(filepath.Join(t.TempDir(), "instance.key"), "")
	if err != nil {
		t.Fatal(err)
	}
	keys := seal.New(d, instance)
	shell, err := ui.New(ui.Config{})
	if err != nil {
		t.Fatal(err)
	}
	memory := bus.NewMemory()
	actor := httpx.Actor{KeyID: "k", WorkspaceID: testWS, Scopes: []string{"ingest", "read"}}
	m, err := New(Deps{DB: d, Keys: keys, Bus: memory, UI: shell, Clock: kernel.SystemClock, Logger: slog.New(slog.DiscardHandler),
		BaseURL: func() string { return "http://kept.test" },
		MaxAge:  func(context.Context, kernel.WorkspaceID) (time.Duration, error) { return 0, nil },
		KeyByToken: func(_ context.Context, token string) (httpx.Actor, error) {
			if token == testKey {
				return actor, nil
			}
			if token == "kept_read_only_key" {
				return httpx.Actor{KeyID: "r", WorkspaceID: testWS, Scopes: []string{"read"}}, nil
			}
			return httpx.Actor{}, kernel.Errorf(kernel.Unauthenticated, "This API key is wrong or was revoked.")
		}})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Migrate(ctx, db.Module{Name: "seal", Migrations: keys.Migrations()}, db.Module{Name: "jobs", Migrations: m.Migrations()}); err != nil {
		t.Fatal(err)
	}
	mux, err := httpx.NewMux(httpx.Config{Auth: keyAuth{m.d.KeyByToken}, Logger: slog.New(slog.DiscardHandler)})
	if err == nil {
		err = mux.Add(m.apiRoutes()...)
	}
	if err == nil {
		err = m.Start(ctx)
	}
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(mux)
	t.Cleanup(func() {
		web.Close()
		m.Stop(context.Background())
		memory.Close()
	})
	return &server{Module: m, url: web.URL, db: d}
}

type keyAuth struct {
	byToken func(context.Context, string) (httpx.Actor, error)
}

func (a keyAuth) Login(*http.Request) (httpx.Actor, error) { return httpx.Actor{}, nil }
func (a keyAuth) Key(r *http.Request) (httpx.Actor, error) {
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	if token == "" {
		return httpx.Actor{}, nil
	}
	return a.byToken(r.Context(), token)
}
func (a keyAuth) Membership(_ context.Context, actor httpx.Actor, _ kernel.WorkspaceID) (httpx.Actor, error) {
	return actor, kernel.Errorf(kernel.NotFound, "no")
}

// answer is what a client got.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (a answer) String() string { return fmt.Sprintf("%d %s", a.status, a.body) }

func (s *server) do(t testing.TB, method, path string, body []byte, headers ...string) answer {
	t.Helper()
	r, err := http.NewRequest(method, s.url+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+testKey)
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i+1] == "" {
			r.Header.Del(headers[i])
			continue
		}
		r.Header.Set(headers[i], headers[i+1])
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, b}
}

// post sends events and waits until they are visible.
func (s *server) post(t testing.TB, body string) jobviz.Response {
	t.Helper()
	a := s.do(t, "POST", "/api/v1/events", []byte(body))
	var out jobviz.Response
	if err := json.Unmarshal(a.body, &out); err != nil || a.status != 200 {
		t.Fatalf("%v", a)
	}
	if err := s.index.CatchUp(t.Context(), testWS); err != nil {
		t.Fatal(err)
	}
	return out
}

func (s *server) list(t testing.TB, query string) JobListJSON {
	t.Helper()
	a := s.do(t, "GET", "/api/v1/jobs?"+query, nil)
	var out JobListJSON
	if err := json.Unmarshal(a.body, &out); err != nil || a.status != 200 {
		t.Fatalf("%v", a)
	}
	return out
}

func (s *server) job(t testing.TB, path string) JobDetailJSON {
	t.Helper()
	a := s.do(t, "GET", "/api/v1/jobs/"+path, nil)
	var out JobDetailJSON
	if err := json.Unmarshal(a.body, &out); err != nil || a.status != 200 {
		t.Fatalf("%v", a)
	}
	return out
}

// vectors are events as the agents send them; see docs/protocols/jobviz.md.
const vectors = `{"events":[
 {"jobId":"1","jobName":"send-email","queue":"emails","env":"production","event":"waiting","timestamp":1772000000000},
 {"jobId":"1","jobName":"send-email","queue":"emails","env":"production","event":"active","timestamp":1772000000120,"data":{"input":{"to":"a@b.c"}},"traceId":"t1"},
 {"jobId":"1","jobName":"","queue":"emails","event":"progress","timestamp":1772000000200,"data":{"log":{"message":"step","meta":[]}}},
 {"jobId":"1","jobName":"unknown","queue":"emails","event":"delayed","timestamp":1772000000300,"data":{"delay":1772000005300}},
 {"jobId":"9","jobName":"App\\Msg","queue":"async","event":"delayed","timestamp":1772000000300.0,"data":{"input":null,"delay":5000}},
 {"jobId":"7","jobName":"q","queue":"q","event":"failed","timestamp":1.772e12,"data":{"failedReason":"[retrying] boom"}},
 {"jobId":"8","jobName":"x","queue":"q","event":"failed","timestamp":1772000000400,"data":{"_notice":"[INPUT_TOO_LARGE]"}},
 {"jobId":"deploy-0b1c","jobName":"deployment","queue":"__system","event":"deployment","timestamp":1772000000500,"data":{"version":"1.4.2","commitHash":null,"description":null}}
]}`

// state writes what lists and details say of all jobs, to compare.
func (s *server) state(t testing.TB) string {
	t.Helper()
	var lines []string
	for _, j := range s.list(t, "limit=500").Jobs {
		b, _ := json.Marshal(j)
		lines = append(lines, string(b))
	}
	return strings.Join(lines, "\n")
}

func TestVectors(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := serve(t, d)
		if got := s.post(t, vectors); got.Accepted != 8 || got.Rejected != 0 {
			t.Fatalf("%+v", got)
		}
		want := map[string]string{"emails/1": "delayed send-email production t1", "async/9": `delayed App\Msg  `, "q/7": "retrying q  ", "q/8": "failed x  "}
		for _, j := range s.list(t, "").Jobs {
			id := j.Queue + "/" + j.ID
			if got := fmt.Sprintf("%s %s %s %s", j.Status, j.Name, j.Env, j.TraceID); got != want[id] {
				t.Errorf("%s is %q, want %q", id, got, want[id])
			}
			delete(want, id)
		}
		if len(want) > 0 {
			t.Errorf("not listed: %v", want)
		}
		run := s.job(t, "emails/1").Runs[0]
		if string(run.Input) != `{"to":"a@b.c"}` || run.DueAt == nil || run.DueAt.UnixMilli() != 1772000005300 {
			t.Errorf("%+v", run.JobJSON)
		}
		if len(run.Timeline) != 4 || run.Timeline[2].Log == nil || run.Timeline[2].Log.Message != "step" || run.Timeline[2].Log.Meta != nil {
			t.Errorf("timeline %+v", run.Timeline)
		}
		if got := s.job(t, "q/7").Runs[0].Failure.Reason; got != "boom" {
			t.Errorf("reason %q", got)
		}
		releases, err := s.Deployments(t.Context(), testWS, 0, 1<<60)
		if err != nil || len(releases) != 1 || releases[0].Version != "1.4.2" {
			t.Errorf("deployments %+v, %v", releases, err)
		}
	})
}

// TestHarmlessRepeats sends what retries, replicas and disorder make of a stream.
func TestHarmlessRepeats(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := serve(t, d)
		s.post(t, vectors)
		once := s.state(t)
		s.post(t, vectors)
		if got := s.state(t); got != once {
			t.Errorf("the same batch twice changes the state\n got %s\nwant %s", got, once)
		}
		var batch struct {
			Events []map[string]any `json:"events"`
		}
		json.Unmarshal([]byte(vectors), &batch)
		for _, e := range batch.Events {
			e["timestamp"] = e["timestamp"].(float64) + 3
		}
		shifted, _ := json.Marshal(batch)
		s.post(t, string(shifted))
		// A copy may move the time of the last event; nothing else.
		for i, j := range s.list(t, "").Jobs {
			var old JobJSON
			json.Unmarshal([]byte(strings.Split(once, "\n")[i]), &old)
			if j.ID != old.ID || j.Status != old.Status || j.Attempts != old.Attempts || j.FirstAt.Sub(*old.FirstAt) != 0 {
				t.Errorf("a replica's copies change the state\n got %+v\nwant %+v", j, old)
			}
		}
		if n := s.job(t, "emails/1").Runs[0].Timeline[0].Copies; n != 2 {
			t.Errorf("%d copies are told of, want 2", n)
		}
	})
}

func TestReversedEventsGiveTheSameState(t *testing.T) {
	t.Parallel()
	var events []json.RawMessage
	for i := range 40 {
		for j, kind := range []string{"waiting", "active", "completed"} {
			events = append(events, json.RawMessage(fmt.Sprintf(`{"jobId":"%d","jobName":"n","queue":"q","event":%q,"timestamp":%d}`, i, kind, 1772000000000+i*1000+j*20)))
		}
	}
	states := map[string]bool{}
	for _, order := range []string{"as sent", "reversed", "shuffled, one by one"} {
		s := serve(t, dbtest.Open(t, dbtest.SQLite(t)))
		r := rand.New(rand.NewPCG(1, 2))
		list := append([]json.RawMessage(nil), events...)
		size := len(list)
		switch order {
		case "reversed":
			for i := range len(list) / 2 {
				list[i], list[len(list)-1-i] = list[len(list)-1-i], list[i]
			}
		case "shuffled, one by one":
			r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
			size = 1
		}
		for i := 0; i < len(list); i += size {
			body, _ := json.Marshal(map[string]any{"events": list[i:min(len(list), i+size)]})
			s.post(t, string(body))
		}
		states[s.state(t)] = true
	}
	if len(states) != 1 {
		t.Errorf("%d different states", len(states))
	}
}

func TestServedWithoutRedirect(t *testing.T) {
	t.Parallel()
	s := serve(t, dbtest.Open(t, dbtest.SQLite(t)))
	for _, path := range []string{"/api/v1/events", "//api/v1/events", "/some/prefix/api/v1/events", "/api/v1/events/"} {
		for _, accept := range []string{"", "*/*", "text/html", "application/json"} {
			a := s.do(t, "POST", path, []byte(vectors), "Accept", accept)
			if a.status != 200 || !strings.HasPrefix(a.header.Get("Content-Type"), "application/json") || !bytes.Contains(a.body, []byte(`"accepted":8`)) {
				t.Errorf("%s, Accept %q: %v", path, accept, a)
			}
		}
	}
}

func TestBadInputGetsAClearError(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := serve(t, d)
		one := func(event string) []byte { return []byte(`{"events":[` + event + `]}`) }
		var bomb bytes.Buffer
		zip := gzip.NewWriter(&bomb)
		zeros := bytes.Repeat([]byte(" "), 1<<20)
		for range 200 {
			zip.Write(zeros)
		}
		zip.Close()
		for name, c := range map[string]struct {
			body   []byte
			header []string
			status int
			want   string
		}{
			"broken JSON":       {[]byte(`{"events":[{"jobId":`), nil, 400, "cannot be read"},
			"no events":         {[]byte(`{}`), nil, 400, "events"},
			"empty":             {nil, nil, 400, "cannot be read"},
			"a NUL":             {[]byte("{\"events\":[{\"jobId\":\"a\x00\"}]}"), nil, 400, "control character"},
			"an escaped NUL":    {one(`{"jobId":"a\u0000","event":"active","timestamp":1772000000000}`), nil, 200, "NUL"},
			"no key":            {[]byte(vectors), []string{"Authorization", ""}, 401, "API key"},
			"wrong key":         {[]byte(vectors), []string{"Authorization", "Bearer nonsense123"}, 401, "API key"},
			"key without scope": {[]byte(vectors), []string{"Authorization", "Bearer kept_read_only_key"}, 403, "scope ingest"},
			"gzip bomb":         {bomb.Bytes(), []string{"Content-Encoding", "gzip"}, 413, "smaller batches"},
			"not gzip":          {[]byte(vectors), []string{"Content-Encoding", "gzip"}, 400, "Content-Encoding"},
			"unknown encoding":  {[]byte(vectors), []string{"Content-Encoding", "br"}, 400, "Content-Encoding"},
			"100 levels":        {one(`{"jobId":"1","event":"active","timestamp":1772000000000,"data":{"input":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}}`), nil, 200, "nested deeper"},
			"a million levels":  {one(`{"jobId":"1","event":"active","timestamp":1772000000000,"data":` + strings.Repeat("[", 1<<20)), nil, 400, "nested"},
			"10 MB id":          {one(`{"jobId":"` + strings.Repeat("x", 10<<20) + `","event":"active","timestamp":1772000000000}`), nil, 200, "over the limit"},
			"10 MB payload":     {one(`{"jobId":"1","event":"active","timestamp":1772000000000,"data":{"input":{"a":"` + strings.Repeat("x", 10<<20) + `"}}}`), nil, 200, "over the limit"},
			"too large":         {bytes.Repeat([]byte(" "), jobviz.MaxBody+1), nil, 413, "smaller batches"},
		} {
			a := s.do(t, "POST", "/api/v1/events", c.body, c.header...)
			if a.status != c.status || !json.Valid(a.body) || !bytes.Contains(a.body, []byte(c.want)) {
				t.Errorf("%s: %.300v", name, a)
			}
		}
		if got := s.post(t, vectors); got.Accepted != 8 {
			t.Errorf("afterwards: %+v", got)
		}
	})
}

func TestOneBadEventAmongGoodOnes(t *testing.T) {
	t.Parallel()
	s := serve(t, dbtest.Open(t, dbtest.SQLite(t)))
	got := s.post(t, `{"events":[{"jobId":"1","queue":"q","event":"active","timestamp":1772000000000},{"jobId":"2"},{"jobId":"3","queue":"q","event":"active","timestamp":1772000000000}]}`)
	if got.Accepted != 2 || got.Rejected != 1 || len(got.Errors) != 1 || got.Errors[0].Index != 1 {
		t.Errorf("%+v", got)
	}
}

func TestLargeLegalBatch(t *testing.T) {
	t.Parallel()
	s := serve(t, dbtest.Open(t, dbtest.SQLite(t)))
	var b strings.Builder
	b.WriteString(`{"events":[`)
	for i := range 500 { // 15 MiB of three-byte characters, as the Node agent may send
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"jobId":"%d","jobName":"漢字","queue":"q","event":"active","timestamp":1772000000000,"data":{"input":{"text":"%s"}}}`, i, strings.Repeat("漢", 10_000))
	}
	b.WriteString(`]}`)
	if got := s.post(t, b.String()); got.Accepted != 500 {
		t.Errorf("%+v", got)
	}
	if got := len(s.list(t, "q=漢漢&limit=500").Jobs); got != 500 {
		t.Errorf("found %d", got)
	}
}

func TestClocksThatAreWrong(t *testing.T) {
	t.Parallel()
	s := serve(t, dbtest.Open(t, dbtest.SQLite(t)))
	now := time.Now()
	ms := func(d time.Duration) int64 { return now.Add(d).UnixMilli() }
	s.post(t, fmt.Sprintf(`{"events":[
		{"jobId":"old","queue":"q","event":"completed","timestamp":%d},
		{"jobId":"new","queue":"q","event":"active","timestamp":%d},
		{"jobId":"back","queue":"q","event":"active","timestamp":%d},{"jobId":"back","queue":"q","event":"completed","timestamp":%d}]}`,
		ms(-24*time.Hour), ms(24*time.Hour), ms(-time.Minute), ms(-time.Minute-50*time.Millisecond)))
	for _, j := range s.list(t, "").Jobs {
		for _, span := range []*float64{j.WaitMS, j.DurationMS, j.TotalMS} {
			if span != nil && *span < 0 {
				t.Errorf("%s: a negative span: %+v", j.ID, j)
			}
		}
	}
	d, err := s.Detail(t.Context(), testWS, "q", "new", 0)
	if err != nil || d.Ahead < 23*time.Hour {
		t.Errorf("a clock a day ahead: %v, %v", d.Ahead, err)
	}
	if j := s.job(t, "q/back").Runs; len(j) != 1 || j[0].Status != "completed" {
		t.Errorf("an end that is stamped before its beginning: %+v", j)
	}
}

func TestPayloadsAreRedactedBeforeStorage(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := serve(t, d)
		body := func(id string) string {
			return fmt.Sprintf(`{"events":[{"jobId":%q,"queue":"q","event":"failed","timestamp":1772000000000,"data":{
			"input":{"password":"hunter2hunter2","n":12345678901234567890,"name":"M\u00fcller","iban":"CH9300762011623852957","mail":"anna@example.com"},
			"failedReason":"card 4111 1111 1111 1111 was refused","stack":"Bearer abcdefghijklmnop at x"}}]}`, id)
		}
		s.post(t, body("full"))
		run := s.job(t, "q/full").Runs[0]
		if string(run.Input) != `{"password":"[REDACTED]","n":12345678901234567890,"name":"Müller","iban":"CH9300762011623852957","mail":"anna@example.com"}` {
			t.Errorf("input %s", run.Input)
		}
		if run.Error != "card [REDACTED] was refused" || run.Failure.Stack != "Bearer [REDACTED] at x" {
			t.Errorf("error %q, stack %q", run.Error, run.Failure.Stack)
		}
		for _, secret := range []string{"hunter2hunter2", "4111 1111"} {
			if got := s.list(t, "q="+strings.ReplaceAll(secret, " ", "+")).Jobs; len(got) > 0 {
				t.Errorf("the search finds %q", secret)
			}
		}
		for policy, want := range map[redact.Policy]string{
			redact.KeysOnly: `{"password":"[REDACTED]","n":"number","name":"string(7)","iban":"[REDACTED]","mail":"string(16)"}`,
			redact.None:     `"[NOT KEPT]"`,
		} {
			if err := s.SaveSettings(t.Context(), testWS, Settings{Payloads: policy, Keys: []string{"iban"}}); err != nil {
				t.Fatal(err)
			}
			s.post(t, body(string(policy)))
			if got := s.job(t, "q/"+string(policy)).Runs[0].Input; string(got) != want {
				t.Errorf("%s: %s, want %s", policy, got, want)
			}
		}
	})
}

func TestAPIFilterErrors(t *testing.T) {
	t.Parallel()
	s := serve(t, dbtest.Open(t, dbtest.SQLite(t)))
	for query, want := range map[string]string{
		"status=lost": "no status", "from=yesterday": "Write a time", "limit=0": "limit", "limit=x": "limit",
		"min_duration=fast": "duration", "cursor=nonsense": "cursor", "q=%3F": "two letters",
	} {
		a := s.do(t, "GET", "/api/v1/jobs?"+query, nil)
		if a.status != 400 && a.status != 422 || !bytes.Contains(a.body, []byte(want)) || a.header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %v %s", query, a, a.header.Get("Content-Type"))
		}
	}
	if a := s.do(t, "GET", "/api/v1/jobs/q/nobody", nil); a.status != 404 {
		t.Errorf("a job that is not: %v", a)
	}
}

func TestQueuesAPI(t *testing.T) {
	t.Parallel()
	s := serve(t, dbtest.Open(t, dbtest.SQLite(t)))
	now := time.Now().UnixMilli()
	s.post(t, fmt.Sprintf(`{"events":[{"jobId":"1","queue":"a b/c","event":"active","timestamp":%d},{"jobId":"1","queue":"a b/c","event":"completed","timestamp":%d},{"jobId":"x/y","queue":"a b/c","event":"waiting","timestamp":%d}]}`, now-500, now-400, now-300))
	a := s.do(t, "GET", "/api/v1/queues?from=1h", nil)
	var out QueueListJSON
	if err := json.Unmarshal(a.body, &out); err != nil || len(out.Queues) != 1 || out.Queues[0].Runs != 2 || out.Queues[0].Waiting != 1 || out.Queues[0].OldestWaitingAt == nil {
		t.Fatalf("%v", a)
	}
	if j := s.job(t, "a%20b%2Fc/x/y"); j.Queue != "a b/c" || j.ID != "x/y" {
		t.Errorf("%+v", j)
	}
}

func BenchmarkIngest(b *testing.B) {
	for _, mode := range []string{"store", "decode only"} {
		b.Run(mode, func(b *testing.B) {
			s := serve(b, dbtest.Open(b, dbtest.SQLite(b)))
			s.d.DecodeOnly = mode == "decode only"
			body := []byte(strings.Replace(vectors, "\n", "", -1))
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					s.do(b, "POST", "/api/v1/events", body)
				}
			})
		})
	}
}
