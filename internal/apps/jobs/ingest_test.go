package jobs

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/db/dbtest"
	"github.com/kept-dev/kept/wire/redact"
)

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
			redact.KeysOnly: `{"password":"[REDACTED]","n":"number","name":"string","iban":"[REDACTED]","mail":"string"}`,
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
