package jobviz

import (
	"fmt"
	"strings"
	"testing"
)

// vectors are the events that real agents are known to send.
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

func decode(t *testing.T, body string) ([]Event, int, []Problem) {
	t.Helper()
	var d Decoder
	events, rejected, problems, err := d.Decode([]byte(body))
	if err != nil {
		t.Fatalf("Decode: %v", err)
	}
	return events, rejected, problems
}

func TestDecodeVectors(t *testing.T) {
	t.Parallel()
	events, rejected, _ := decode(t, vectors)
	if len(events) != 8 || rejected != 0 {
		t.Fatalf("%d events, %d rejected", len(events), rejected)
	}
	var got []string
	for _, e := range events {
		got = append(got, fmt.Sprintf("%s/%s %s name=%q env=%q trace=%q at=%d due=%d reason=%q log=%v",
			e.Queue, e.JobID, e.Type, e.JobName, e.Env, e.TraceID, e.At, e.Due, e.FailedReason, e.HasLog))
	}
	want := []string{
		`emails/1 waiting name="send-email" env="production" trace="" at=1772000000000000 due=0 reason="" log=false`,
		`emails/1 active name="send-email" env="production" trace="t1" at=1772000000120000 due=0 reason="" log=false`,
		`emails/1 progress name="" env="" trace="" at=1772000000200000 due=0 reason="" log=true`,
		`emails/1 delayed name="" env="" trace="" at=1772000000300000 due=1772000005300000 reason="" log=false`,
		`async/9 delayed name="App\\Msg" env="" trace="" at=1772000000300000 due=1772000005300000 reason="" log=false`,
		`q/7 failed name="q" env="" trace="" at=1772000000000000 due=0 reason="[retrying] boom" log=false`,
		`q/8 failed name="x" env="" trace="" at=1772000000400000 due=0 reason="" log=false`,
		`__system/deploy-0b1c deployment name="deployment" env="" trace="" at=1772000000500000 due=0 reason="" log=false`,
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("event %d\n got %s\nwant %s", i, got[i], want[i])
		}
	}
}

func TestDecodeTakesOddShapes(t *testing.T) {
	t.Parallel()
	base := `"event":"active","timestamp":1772000000000`
	for name, c := range map[string]struct{ event, want string }{
		"numeric id":              {`{"jobId":12345678901234567890,"queue":"q",` + base + `}`, "q/12345678901234567890"},
		"empty id":                {`{"jobId":"","queue":"q",` + base + `}`, "q/unknown"},
		"no queue":                {`{"jobId":"1",` + base + `}`, "default/1"},
		"data is a list":          {`{"jobId":"1","queue":"q","data":[],` + base + `}`, "q/1"},
		"data is a string":        {`{"jobId":"1","queue":"q","data":"x",` + base + `}`, "q/1"},
		"null everywhere":         {`{"jobId":"1","queue":"q","env":null,"data":null,"traceId":null,` + base + `}`, "q/1"},
		"escaped key":             {`{"job\u0049d":"1","queue":"q",` + base + `}`, "q/1"},
		"members reversed":        {`{"timestamp":1772000000000,"event":"active","queue":"q","jobId":"1"}`, "q/1"},
		"unknown members":         {`{"jobId":"1","queue":"q","shard":{"a":[1]},` + base + `}`, "q/1"},
		"an event we do not know": {`{"jobId":"1","queue":"q","event":"paused","timestamp":1772000000000}`, "q/1"},
	} {
		events, rejected, problems := decode(t, `{"events":[`+c.event+`]}`)
		if len(events) != 1 || rejected != 0 {
			t.Errorf("%s: rejected: %v", name, problems)
			continue
		}
		if got := fmt.Sprintf("%s/%s", events[0].Queue, events[0].JobID); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestDecodeRejectsOneEventByItself(t *testing.T) {
	t.Parallel()
	good := `{"jobId":"1","queue":"q","event":"active","timestamp":1772000000000}`
	for bad, want := range map[string]string{
		`7`: "must be an object",
		`{"queue":"q","event":"active","timestamp":1772000000000}`:                                                                    "jobId is missing",
		`{"jobId":"1","event":"active"}`:                                                                                              "timestamp is missing",
		`{"jobId":"1","timestamp":1772000000000}`:                                                                                     "event is missing",
		`{"jobId":"1","event":"active","timestamp":1772000000}`:                                                                       "milliseconds",
		`{"jobId":{"a":1},"event":"active","timestamp":1772000000000}`:                                                                "jobId must be a string",
		`{"jobId":"a\u0000b","event":"active","timestamp":1772000000000}`:                                                             "NUL",
		`{"jobId":"` + strings.Repeat("x", 10<<20) + `","event":"a","timestamp":1772000000000}`:                                       "over the limit",
		`{"jobId":"1","event":"active","timestamp":1772000000000,"data":{"s":"` + strings.Repeat("x", 10<<20) + `"}}`:                 "over the limit",
		`{"jobId":"1","event":"active","timestamp":1772000000000,"data":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`: "nested deeper",
	} {
		events, rejected, problems := decode(t, `{"events":[`+good+`,`+bad+`,`+good+`]}`)
		if len(events) != 2 || rejected != 1 || len(problems) != 1 || problems[0].Index != 1 || !strings.Contains(problems[0].Errors[0], want) {
			t.Errorf("%.60s: %d events, %d rejected, %v; want %q", bad, len(events), rejected, problems, want)
		}
	}
}

func TestDecodeRefusesWhatCannotBeRead(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		``:                     "expected an object",
		`[]`:                   `"events"`,
		`{}`:                   `"events"`,
		`{"events":{}}`:        `"events" must be an array`,
		`{"events":[{"jobId":`: "expected a value",
		`{"events":[` + strings.Repeat("[", 1<<20):              "nested too deep",
		`{"events":[]} trailing`:                                "behind the end",
		"{\"events\":[\"\x00\"]}":                               "control character",
		`{"events":[` + strings.Repeat("1,", MaxEvents) + `1]}`: "smaller batches",
	} {
		var d Decoder
		if _, _, _, err := d.Decode([]byte(body)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %q", body, err, want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(vectors))
	f.Add([]byte(`{"events":[{"jobId":1,"event":"x","timestamp":"1772000000000","data":[[]]}]}`))
	var d Decoder
	f.Fuzz(func(t *testing.T, body []byte) {
		events, rejected, problems, err := d.Decode(body)
		if err != nil {
			return
		}
		if len(problems) > rejected || rejected > 0 && len(problems) == 0 {
			t.Fatalf("%d problems for %d rejected events", len(problems), rejected)
		}
		for _, e := range events {
			if len(e.JobID) == 0 || len(e.Queue) == 0 || e.At < minMillis*1000 {
				t.Fatalf("accepted %+v", e)
			}
		}
	})
}

// Batch makes a body of n events as an agent would send it, with payloads of about 200 bytes.
func batch(n int) []byte {
	var b strings.Builder
	b.WriteString(`{"events":[`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"jobId":"%d","jobName":"send-email","queue":"emails","env":"production","event":"active","timestamp":%d,"data":{"input":{"to":"customer%d@example.com","template":"invoice-reminder","invoice":%d,"lines":[{"sku":"A-1","qty":2}],"locale":"de-CH","note":"please deliver before noon"}},"traceId":"4bf92f3577b34da6a3ce929d0e0e47%02d"}`,
			i, 1772000000000+i, i, 900000+i, i%100)
	}
	b.WriteString(`]}`)
	return []byte(b.String())
}

func BenchmarkDecode100(b *testing.B) {
	body := batch(100)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	var d Decoder
	for b.Loop() {
		if _, rejected, _, err := d.Decode(body); err != nil || rejected > 0 {
			b.Fatal(err, rejected)
		}
	}
}
