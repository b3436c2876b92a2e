package kept

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/kept-dev/kept/wire/redact"
)

func TestRedactJSON(t *testing.T) {
	t.Parallel()
	deep := func(n int, leaf string) string { return strings.Repeat(`{"a":`, n) + leaf + strings.Repeat(`}`, n) }
	tests := map[string]struct {
		r        Redaction
		in, want string
	}{
		"keys":            {in: `{"Password":"p","user":"u","API_KEY":12,"nested":[{"ssn":{"a":[1,"}"]},"x":1}]}`, want: `{"Password":"[REDACTED]","user":"u","API_KEY":"[REDACTED]","nested":[{"ssn":"[REDACTED]","x":1}]}`},
		"exact keys only": {in: `{"passwords":1,"my_token":"t","tokens":null}`, want: `{"passwords":1,"my_token":"t","tokens":null}`},
		"escaped key":     {in: `{"p\u0061ssword":"p"}`, want: `{"p\u0061ssword":"[REDACTED]"}`},
		"numbers":         {in: `[9007199254740993,-0.10e-400,1E+30,18446744073709551616,0]`, want: `[9007199254740993,-0.10e-400,1E+30,18446744073709551616,0]`},
		"card as number":  {in: `{"card":4242424242424242,"id":4242424242424243}`, want: `{"card":"[REDACTED]","id":4242424242424243}`},
		"order and space": {in: ` { "b" : [ 1 , 2 ] , "a" : { } } `, want: ` { "b" : [ 1 , 2 ] , "a" : { } } `},
		"unicode":         {in: `{"名前":"山田 😀 é"}`, want: `{"名前":"山田 😀 é"}`},
		"secret as key":   {in: `{"4242 4242 4242 4242":true}`, want: `{"[REDACTED]":true}`},
		"20 levels":       {in: deep(20, `1`), want: deep(20, `1`)},
		"21 levels":       {in: deep(21, `1`), want: deep(20, `"[TOO_DEEP]"`)},
		"array too deep":  {in: strings.Repeat("[", 22) + `"]",{"x":"}"}` + strings.Repeat("]", 22), want: strings.Repeat("[", 20) + `"[TOO_DEEP]"` + strings.Repeat("]", 20)},
		"scalar":          {in: `"Bearer abc123def456"`, want: `"Bearer [REDACTED]"`},
		"more keys":       {r: Redaction{Keys: []string{"Email"}}, in: `{"email":"a","token":"t"}`, want: `{"email":"[REDACTED]","token":"[REDACTED]"}`},
		"except":          {r: Redaction{Except: []string{"TOKEN"}}, in: `{"token":"t","secret":"s"}`, want: `{"token":"t","secret":"[REDACTED]"}`},
		"only":            {r: Redaction{Only: []string{"pin"}}, in: `{"token":"t","PIN":1}`, want: `{"token":"t","PIN":"[REDACTED]"}`},
		"in a text":       {r: Redaction{Keys: []string{"pin"}, Except: []string{"token"}}, in: `"pin=1 token=t secret=s"`, want: `"pin=[REDACTED] token=t secret=[REDACTED]"`},
		"off":             {r: Redaction{Off: true}, in: `{"token":"4242424242424242"}`, want: `{"token":"4242424242424242"}`},
		"no patterns":     {r: Redaction{NoPatterns: true}, in: `{"a":"4242424242424242","token":"t"}`, want: `{"a":"4242424242424242","token":"[REDACTED]"}`},
		"own pattern":     {r: Redaction{Patterns: []*regexp.Regexp{regexp.MustCompile(`KD-\d+`)}}, in: `{"a":"customer KD-77 called"}`, want: `{"a":"customer [REDACTED] called"}`},
		"invalid UTF-8":   {in: "{\"a\":\"x\xff\"}", want: "{\"a\":\"x\uFFFD\"}"},
		"broken":          {in: `{"a":`, want: noticeUnusable},
	}
	for name, tt := range tests {
		if got := string(newRedactor(tt.r).json([]byte(tt.in), false)); got != tt.want {
			t.Errorf("%s\n got %s\nwant %s", name, got, tt.want)
		}
	}
}

func TestKeysOnly(t *testing.T) {
	t.Parallel()
	in := `{"name":"Ada","n":12.5,"ok":true,"none":null,"list":[1,"a",{"token":"t"}]}`
	want := `{"name":"string","n":"number","ok":"boolean","none":null,"list":["number","string",{"token":"[REDACTED]"}]}`
	for _, r := range []Redaction{{}, {NoPatterns: true}} {
		if got := string(newRedactor(r).json([]byte(in), true)); got != want {
			t.Errorf("got %s", got)
		}
	}
}

const pem = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA7\nabc/def+==\n-----END RSA PRIVATE KEY-----"

// Every secret in every place of an event must be gone from the bytes that leave the program.
func TestNoSecretLeavesInAnyField(t *testing.T) {
	t.Parallel()
	secrets := []string{"4242424242424242", "sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc", "hunter2hunter2", "MIIEpAIBAAKCAQEA7"}
	text := "card 4242424242424242 key " + secrets[1] + " url https://u:hunter2hunter2@h/ " + pem
	val := map[string]any{"text": text, text: 1, "list": []any{text, map[string]any{"token": "hunter2hunter2"}}}
	enc := testEncoder(Config{})
	raw := string(enc.event(Event{Kind: Failed, Data: Data{
		Input: val, ReturnValue: val, FailedReason: text, Stack: text, Progress: val,
		Log: &LogLine{text, val}, Version: text, CommitHash: text, Description: text, Extra: map[string]any{"more": val, "token": "hunter2hunter2"},
	}}))
	for _, s := range secrets {
		if strings.Contains(raw, s) {
			t.Errorf("%s is in %s", s, raw)
		}
	}
	if n := strings.Count(raw, redact.Placeholder); n < 30 {
		t.Errorf("only %d marks", n)
	}
}

func testEncoder(cfg Config) *encoder {
	cfg.Endpoint, cfg.APIKey = "http://x", testKey
	cfg, err := cfg.withDefaults()
	if err != nil {
		panic(err)
	}
	return &encoder{env: cfg.Env, policy: cfg.Payload, maxValue: cfg.MaxPayloadBytes, maxText: cfg.MaxTextBytes, redact: newRedactor(cfg.Redact), now: cfg.Now}
}

func TestPayloadPolicy(t *testing.T) {
	t.Parallel()
	d := Data{
		Input: map[string]any{"to": "a@b.c"}, ReturnValue: "done", Progress: map[string]any{"step": "x"},
		Log: &LogLine{"line", map[string]any{"k": true}}, FailedReason: "why",
	}
	for policy, want := range map[PayloadPolicy]string{
		PayloadFull: `{"input":{"to":"a@b.c"},"returnValue":"done","failedReason":"why","progress":{"step":"x"},"log":{"message":"line","meta":{"k":true}}}`,
		PayloadKeys: `{"input":{"to":"string"},"returnValue":"string","failedReason":"why","progress":{"step":"string"},"log":{"message":"line","meta":{"k":"boolean"}}}`,
		PayloadNone: `{"failedReason":"why","log":{"message":"line"}}`,
	} {
		if got := string(testEncoder(Config{Payload: policy}).data(d)); got != want {
			t.Errorf("%s\n got %s\nwant %s", policy, got, want)
		}
		if got := string(testEncoder(Config{Payload: policy}).data(Data{Progress: 50})); got != `{"progress":50}` {
			t.Errorf("%s: a number is no payload: %s", policy, got)
		}
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	enc := testEncoder(Config{MaxPayloadBytes: 100, MaxTextBytes: 10})
	long := strings.Repeat("あ", 100)
	if got := string(enc.data(Data{Input: long})); got != `{"input":{"_notice":"[INPUT_TOO_LARGE]"}}` {
		t.Error(got)
	}
	if got := string(enc.data(Data{FailedReason: long})); got != `{"failedReason":"あああ… [truncated]"}` {
		t.Error(got)
	}
	// All fields at their limits still fit a request.
	enc = testEncoder(Config{MaxPayloadBytes: 1 << 30, MaxTextBytes: 1 << 30})
	v, s := strings.Repeat("x", maxBodyBytes/4-2), strings.Repeat("\x01", maxBodyBytes)
	raw := enc.event(Event{Data: Data{Input: v, ReturnValue: v, FailedReason: s, Stack: "s", Log: &LogLine{"m", v}}})
	if len(raw) > maxEventBytes || !bytes.Contains(raw, []byte(`"_notice":"[INPUT_TOO_LARGE]"`)) || !bytes.Contains(raw, []byte(`"stack":"s"`)) {
		t.Errorf("%d bytes: %.300s", len(raw), raw)
	}
}

type (
	panics   struct{}
	panicsP  struct{ p *int }
	badJSON  struct{}
	recursed struct{ Next *recursed }
)

func (panics) MarshalJSON() ([]byte, error)    { panic("mine") }
func (p panicsP) MarshalText() ([]byte, error) { return []byte{byte(*p.p)}, nil }
func (badJSON) MarshalJSON() ([]byte, error)   { return []byte("{"), nil }

func TestWhatCannotBeEncoded(t *testing.T) {
	t.Parallel()
	loop := &recursed{}
	loop.Next = loop
	for _, v := range []any{panics{}, panicsP{}, badJSON{}, loop, math.NaN(), make(chan int), func() {}, json.RawMessage("{"), map[string]any{"a": panics{}}} {
		raw := testEncoder(Config{}).event(Event{Kind: Active, JobID: "1", Data: Data{Input: v, AttemptsMade: 1}})
		if !json.Valid(raw) || !bytes.Contains(raw, []byte(`"data":{"input":`+noticeUnusable+`,"attemptsMade":1}`)) {
			t.Errorf("%T: %s", v, raw)
		}
	}
	raw := testEncoder(Config{}).event(Event{JobID: "\xff\x00\"", Data: Data{FailedReason: "\xc3\x28"}})
	if !json.Valid(raw) || !utf8.Valid(raw) {
		t.Errorf("%q", raw)
	}
}

func TestBigIntegersSurvive(t *testing.T) {
	t.Parallel()
	type order struct {
		ID     int64
		Max    uint64
		Raw    json.RawMessage
		Number json.Number
	}
	in := order{math.MaxInt64, math.MaxUint64, json.RawMessage(`123456789012345678901234567890.5`), "9007199254740993"}
	got := string(testEncoder(Config{}).data(Data{Input: in}))
	if got != `{"input":{"ID":9223372036854775807,"Max":18446744073709551615,"Raw":123456789012345678901234567890.5,"Number":9007199254740993}}` {
		t.Error(got)
	}
}

// structure gives the shape of a JSON text, its numbers as written, and its strings by length 0.
func structure(t *testing.T, raw []byte) (numbers []string, valid bool) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	for {
		tok, err := d.Token()
		if err != nil {
			return numbers, err.Error() == "EOF"
		}
		if n, ok := tok.(json.Number); ok {
			numbers = append(numbers, n.String())
		}
	}
}

func FuzzRedactJSON(f *testing.F) {
	for _, s := range []string{
		`{"password":"x","a":[1,2.50,{"b":null}]}`, `"4242424242424242"`, `[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]`, ` [ ] `,
		`{"":{"token":[{"x":"}]"}]},"z":-1e5}`, "\"\xff\"", `"\ud800"`, `{"a":"Bearer abc123def"}`, `{`, `{"x":"\\\"password\\\":\\\"a\\\""}`,
	} {
		f.Add([]byte(s), "hunter2hunter2")
	}
	r := newRedactor(Redaction{})
	f.Fuzz(func(t *testing.T, src []byte, secret string) {
		for _, keys := range []bool{false, true} {
			out := r.json(src, keys)
			if !json.Valid(out) || !utf8.Valid(out) {
				t.Fatalf("%q became %q", src, out)
			}
			if again := r.json(out, false); !bytes.Equal(again, out) && !keys {
				t.Fatalf("not stable: %q, then %q", out, again)
			}
		}
		if !json.Valid(src) {
			return
		}
		// A value under a redacted key never shows, wherever the key is.
		name, _ := json.Marshal("zq" + fmt.Sprintf("%x", secret) + "qz")
		wrapped := fmt.Appendf(nil, `{"v":%s,"list":[{"PassWord":{"deep":[%s]}}]}`, src, name)
		if out := r.json(wrapped, false); bytes.Contains(out, name) && !bytes.Contains(src, name) {
			t.Fatalf("leaks %s: %s", name, out)
		}
		// Numbers are the same, except where a whole value was replaced.
		if out := newRedactor(Redaction{Only: []string{"\x00none"}, NoPatterns: true}).json(src, false); !bytes.Contains(out, []byte(redact.TooDeep)) {
			was, _ := structure(t, src)
			is, ok := structure(t, out)
			if !ok || strings.Join(was, " ") != strings.Join(is, " ") {
				t.Fatalf("numbers %v became %v", was, is)
			}
		}
	})
}

func BenchmarkRedact(b *testing.B) {
	raw, _ := json.Marshal(map[string]any{
		"to": "customer@example.com", "subject": "Invoice 2026-0042 for your order", "order": 12345678901234567,
		"items": []string{"one", "two", "three"}, "url": "https://shop.example.com/o/1?page=2", "password": "x",
	})
	r := newRedactor(Redaction{})
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		r.json(raw, false)
	}
}

func BenchmarkRedactStack(b *testing.B) {
	stack := ErrorStack(WithStack(errors.New("boom"))) + strings.Repeat("\ngithub.com/acme/shop/billing.(*Service).Charge\n\tgithub.com/acme/shop/billing/charge.go:123", 40)
	r := newRedactor(Redaction{})
	b.SetBytes(int64(len(stack)))
	for b.Loop() {
		r.text(stack)
	}
}
