package redact

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestJSON(t *testing.T) {
	t.Parallel()
	emails := New(Full)
	emails.Emails = true
	for name, c := range map[string]struct {
		rules    *Rules
		in, want string
	}{
		"untouched":        {New(Full), `{"a":12345678901234567890,"b":[1.50,null],"c":"x"}`, `{"a":12345678901234567890,"b":[1.50,null],"c":"x"}`},
		"key":              {New(Full), `{"Password":"hunter2","x":{"API_KEY":{"a":[1]}}}`, `{"Password":"[REDACTED]","x":{"API_KEY":"[REDACTED]"}}`},
		"escaped key":      {New(Full), `{"p\u0061ssword":"hunter2"}`, `{"p\u0061ssword":"[REDACTED]"}`},
		"not a whole key":  {New(Full), `{"tokens":3,"passwordless":true}`, `{"tokens":3,"passwordless":true}`},
		"own key":          {New(Full, "IBAN"), `{"iban":"CH93"}`, `{"iban":"[REDACTED]"}`},
		"card":             {New(Full), `{"n":"pay 4111 1111 1111 1111 now","m":4111111111111111}`, `{"n":"pay [REDACTED] now","m":"[REDACTED]"}`},
		"card in an id":    {New(Full), `{"n":"job_4111111111111111"}`, `{"n":"job_4111111111111111"}`},
		"not a card":       {New(Full), `{"n":"4111111111111112","t":1772000000000,"u":1772000000000000}`, `{"n":"4111111111111112","t":1772000000000,"u":1772000000000000}`},
		"bearer":           {New(Full), `{"h":"Authorization: Bearer abcdef.123456-x"}`, `{"h":"Authorization: Bearer [REDACTED]"}`},
		"jwt":              {New(Full), `["x eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc y"]`, `["x [REDACTED] y"]`},
		"url":              {New(Full), `["postgres://app:s3cret@db:5432/x"]`, `["postgres://app:[REDACTED]@db:5432/x"]`},
		"pem":              {New(Full), `["-----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY-----"]`, `["[REDACTED]"]`},
		"service key":      {New(Full), `["key=sk_live_abcdefghijklmnop"]`, `["key=[REDACTED]"]`},
		"e-mail stays":     {New(Full), `["a@b.ch"]`, `["a@b.ch"]`},
		"e-mail taken out": {emails, `["to anna.m@example.com, please"]`, `["to [REDACTED], please"]`},
	} {
		got, _ := c.rules.JSON(nil, []byte(c.in))
		if string(got) != c.want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, c.want)
		}
	}
}

func TestEventDataFollowsThePolicy(t *testing.T) {
	t.Parallel()
	in := `{"input":{"to":"anna","n":[1,true,null]},"failedReason":"boom","log":{"message":"m","meta":{"a":"b"}}}`
	for policy, want := range map[Policy]string{
		Full:     in,
		KeysOnly: `{"input":{"to":"string(4)","n":["number","boolean",null]},"failedReason":"boom","log":{"message":"m","meta":{"a":"string(1)"}}}`,
		None:     `{"input":"[NOT KEPT]","failedReason":"boom","log":{"message":"m","meta":"[NOT KEPT]"}}`,
	} {
		if got, _ := New(policy).EventData(nil, []byte(in)); string(got) != want {
			t.Errorf("%s:\n got %s\nwant %s", policy, got, want)
		}
	}
}

func TestText(t *testing.T) {
	t.Parallel()
	got := string(New(Full).Text([]byte("dial redis://:pw@host failed for card 4111111111111111")))
	if want := "dial redis://:[REDACTED]@host failed for card [REDACTED]"; got != want {
		t.Errorf("got %q", got)
	}
}

func FuzzJSONStaysJSONAndHidesKeys(f *testing.F) {
	f.Add([]byte(`{"a":"4111 1111 1111 1111","password":[1,{"b":2}]}`))
	f.Add([]byte(`["\"Bearer abcdefgh\\"]`))
	rules := New(Full)
	rules.Emails = true
	f.Fuzz(func(t *testing.T, raw []byte) {
		if !json.Valid(raw) || len(raw) == 0 || strings.ContainsAny(string(raw[:1]), " \n\r\t") {
			return
		}
		out, _ := rules.JSON(nil, raw)
		if !json.Valid(out) {
			t.Fatalf("%q became %q", raw, out)
		}
		again, _ := rules.JSON(nil, out)
		if string(again) != string(out) {
			t.Fatalf("a second pass changes %q to %q", out, again)
		}
	})
}

func BenchmarkEventData(b *testing.B) {
	raw := []byte(`{"input":{"to":"customer7@example.com","template":"invoice-reminder","invoice":900001,"lines":[{"sku":"A-1","qty":2}],"locale":"de-CH","note":"please deliver before noon"}}`)
	rules := New(Full)
	b.SetBytes(int64(len(raw)))
	buf := make([]byte, 0, 1024)
	for b.Loop() {
		buf, _ = rules.EventData(buf[:0], raw)
	}
}
