package redact

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestJSON(t *testing.T) {
	t.Parallel()
	emails := New(Full)
	emails.Emails = true
	for name, c := range map[string]struct {
		rules    *Rules
		in, want string
	}{
		"untouched":          {New(Full), `{"a":12345678901234567890,"b":[1.50,null],"c":"x"}`, `{"a":12345678901234567890,"b":[1.50,null],"c":"x"}`},
		"key":                {New(Full), `{"Password":"hunter2","x":{"API_KEY":{"a":[1]}}}`, `{"Password":"[REDACTED]","x":{"API_KEY":"[REDACTED]"}}`},
		"escaped key":        {New(Full), `{"p\u0061ssword":"hunter2"}`, `{"p\u0061ssword":"[REDACTED]"}`},
		"not a whole key":    {New(Full), `{"tokens":3,"passwordless":true}`, `{"tokens":3,"passwordless":true}`},
		"own key":            {New(Full, "IBAN"), `{"iban":"CH93"}`, `{"iban":"[REDACTED]"}`},
		"card":               {New(Full), `{"n":"pay 4111 1111 1111 1111 now","m":4111111111111111}`, `{"n":"pay [REDACTED] now","m":"[REDACTED]"}`},
		"card as a number":   {New(Full), `{"n":4111111111111111,"m":12345678901234567890}`, `{"n":"[REDACTED]","m":12345678901234567890}`},
		"no patterns":        {&Rules{NoPatterns: true}, `{"n":4111111111111111,"m":"4111111111111111"}`, `{"n":4111111111111111,"m":"4111111111111111"}`},
		"not a card":         {New(Full), `{"n":"4111111111111112","t":1772000000000,"u":1772000000000000}`, `{"n":"4111111111111112","t":1772000000000,"u":1772000000000000}`},
		"bearer":             {New(Full), `{"h":"Authorization: Bearer abcdef.123456-x"}`, `{"h":"Authorization: [REDACTED]"}`},
		"jwt":                {New(Full), `["x eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc y"]`, `["x [REDACTED] y"]`},
		"url":                {New(Full), `["postgres://app:s3cret@db:5432/x"]`, `["postgres://[REDACTED]@db:5432/x"]`},
		"pem":                {New(Full), `["-----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY-----"]`, `["[REDACTED]"]`},
		"service key":        {New(Full), `["key=sk_live_abcdefghijklmnop"]`, `["key=[REDACTED]"]`},
		"behind an escape":   {New(Full), `["at:\nAKIAIOSFODNN7EXAMPLE \"x\" \u00e9"]`, `["at:\n[REDACTED] \"x\" é"]`},
		"escaped, no secret": {New(Full), `["a\nb \u00e9 \/"]`, `["a\nb \u00e9 \/"]`},
		"JSON in a string":   {New(Full), `["{\"a\":1,\"token\":\"x y\",\"b\":2}"]`, `["{\"a\":1,\"token\":\"[REDACTED]\",\"b\":2}"]`},
		"secret as a key":    {New(Full), `{"4242 4242 4242 4242" : true}`, `{"[REDACTED]" : true}`},
		"too deep":           {&Rules{Depth: 2}, `{"a":{"b":[1,{"password":"x"}],"c":1}}`, `{"a":{"b":"[TOO_DEEP]","c":1}}`},
		"deep secret":        {New(Full), `{"token":` + strings.Repeat("[", 500) + strings.Repeat("]", 500) + `,"a":1}`, `{"token":"[REDACTED]","a":1}`},
		"only":               {NewOnly(Full, "PIN"), `{"pin":1,"token":"t"}`, `{"pin":"[REDACTED]","token":"t"}`},
		"own pattern":        {&Rules{Patterns: []*regexp.Regexp{regexp.MustCompile(`KD-\d+|x*`)}}, `["customer KD-77 called"]`, `["customer [REDACTED] called"]`},
		"key not in ASCII":   {New(Full, "Schlüssel"), `{"SCHLÜSSEL":1,"schlüssel":2}`, `{"SCHLÜSSEL":"[REDACTED]","schlüssel":"[REDACTED]"}`},
		"white space":        {New(Full), " { \"token\" : 1 }\n", " { \"token\" : \"[REDACTED]\" }\n"},
		"e-mail stays":       {New(Full), `["a@b.ch"]`, `["a@b.ch"]`},
		"e-mail taken out":   {emails, `["to anna.m@example.com, please"]`, `["to [REDACTED], please"]`},
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
		KeysOnly: `{"input":{"to":"string","n":["number","boolean",null]},"failedReason":"boom","log":{"message":"m","meta":{"a":"string"}}}`,
		None:     `{"input":"[NOT KEPT]","failedReason":"boom","log":{"message":"m","meta":"[NOT KEPT]"}}`,
	} {
		if got, _ := New(policy).EventData(nil, []byte(in)); string(got) != want {
			t.Errorf("%s:\n got %s\nwant %s", policy, got, want)
		}
	}
}

// TestShapeOfAShape: an SDK may have left the values out before the server does.
func TestShapeOfAShape(t *testing.T) {
	t.Parallel()
	once, _ := New(KeysOnly).Payload(nil, []byte(`{"a":1,"b":"x","c":true,"d":null,"token":"t"}`))
	twice, _ := New(KeysOnly).Payload(nil, once)
	if want := `{"a":"number","b":"string","c":"boolean","d":null,"token":"[REDACTED]"}`; string(once) != want || string(twice) != want {
		t.Errorf("got %s, then %s", once, twice)
	}
}

const pem = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA7\nabc/def+==\n-----END RSA PRIVATE KEY-----"

func TestText(t *testing.T) {
	t.Parallel()
	jwt := "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
	for in, want := range map[string]string{
		// cards
		"card 4242424242424242.":                     "card [REDACTED].",
		"4242 4242 4242 4242, exp 12/27":             "[REDACTED], exp 12/27",
		"5555-5555-5555-4444":                        "[REDACTED]",
		"amex 378282246310005 and 3782 822463 10005": "amex [REDACTED] and [REDACTED]",
		"order 12 4242424242424242 2027":             "order 12 [REDACTED] 2027",
		"カード4242424242424242です":                      "カード[REDACTED]です",
		"pan_6011111111111117_x":                     "pan_[REDACTED]_x",
		"4242424242424243":                           "4242424242424243", // check digit
		"1772000000000 1234567890123452":             "1772000000000 1234567890123452",
		"42424242424242424242":                       "42424242424242424242", // 20 digits
		"0x4242424242424242 a4242424242424242b":      "0x4242424242424242 a4242424242424242b",
		"9007199254740993":                           "9007199254740993",
		// tokens
		"Authorization: Bearer abcdef1234":                "Authorization: [REDACTED]",
		"proxy-authorization: HMAC-SHA256 abcdef1234, x":  "proxy-authorization: [REDACTED], x",
		`{"authorization":"Basic dXNlcjpwYXNz"}`:          `{"authorization":"[REDACTED]"}`,
		`-H 'authorization: token 0123456789abcdef'`:      `-H 'authorization: [REDACTED]'`,
		"authorization: denied":                           "authorization: denied",
		"sent bearer s3cr3tvalue to host":                 "sent bearer [REDACTED] to host",
		"Bearer abcdefghijklmnop at x":                    "Bearer [REDACTED] at x",
		"the bearer of bad news":                          "the bearer of bad news",
		"a bearer certificate":                            "a bearer certificate",
		"sent Basic dXNlcjpwYXNz":                         "sent Basic [REDACTED]",
		"basic knowledge and Basic JavaScript12":          "basic knowledge and Basic JavaScript12",
		"jwt " + jwt + ";":                                "jwt [REDACTED];",
		"Cookie: id_" + jwt:                               "Cookie: id_[REDACTED]",
		"key sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc":       "key [REDACTED]",
		"ghp_" + "0123456789abcdefghij0123456789abcdef":   "[REDACTED]",
		"AKIA" + "IOSFODNN7EXAMPLE":                       "[REDACTED]",
		"AKIAlovestory and AKIAkeysaresecrets":            "AKIAlovestory and AKIAkeysaresecrets",
		"key-AIza" + strings.Repeat("x", 35):              "key-[REDACTED]",
		"xoxb-" + "1234567890-abcdefghij":                 "[REDACTED]",
		"SG." + "abcdefghijklmnopqr.abcdefghijklmnopqrst": "[REDACTED]",
		"(keptp_" + strings.Repeat("x8Fq2Lm", 6) + "1)":   "([REDACTED])",
		"kept_mails_of_the_whole_year":                    "kept_mails_of_the_whole_year",
		"550e8400-e29b-41d4-a716-446655440000":            "550e8400-e29b-41d4-a716-446655440000",
		// URLs
		"dial postgres://app:s3cret@db:5432/x failed":      "dial postgres://[REDACTED]@db:5432/x failed",
		"dial redis://:p@ss@host":                          "dial redis://[REDACTED]@host",
		"https://token@github.com/a/b":                     "https://[REDACTED]@github.com/a/b",
		"https://example.com/@user?x=a@b":                  "https://example.com/@user?x=a@b",
		`Get "https://x.example/cb?token=abc&page=2": EOF`: `Get "https://x.example/cb?token=[REDACTED]&page=2": EOF`,
		// what programs print of names and values
		"host=db password=hunter2 user=app":                  "host=db password=[REDACTED] user=app",
		`password="two words" x`:                             `password=[REDACTED] x`,
		`password="two words`:                                `password=[REDACTED]`,
		`body {"user":"u","password":"p w","n":1}`:           `body {"user":"u","password":"[REDACTED]","n":1}`,
		`{"password":"a\"b","ssn" : 123456789,"token":null}`: `{"password":"[REDACTED]","ssn" : [REDACTED],"token":null}`,
		`{\"api_key\":\"abc\",\"x\":1}`:                      `{\"api_key\":\"[REDACTED]\",\"x\":1}`,
		`{'password': 'p w', 'n': 1}`:                        `{'password': '[REDACTED]', 'n': 1}`,                // Python
		`{ password: 'hunter', dbToken: "abcd" }`:            `{ password: '[REDACTED]', dbToken: "[REDACTED]" }`, // Node
		`{"secret"=>"abc", :token=>"abcd"}`:                  `{"secret"=>"[REDACTED]", :token=>"[REDACTED]"}`,    // Ruby
		"DB_PASSWORD=abc MY_PWD=1":                           "DB_PASSWORD=[REDACTED] MY_PWD=[REDACTED]",
		"X-Api-Key: abc123 accessToken=1":                    "X-Api-Key: [REDACTED] accessToken=[REDACTED]",
		"password: hunter2":                                  "password: [REDACTED]",
		"tokens=12 monkey=1 spwd=2":                          "tokens=12 monkey=1 spwd=2",
		"unexpected token: '}' at secret: santa":             "unexpected token: '}' at secret: santa",
		// private keys
		"a " + pem + " b " + pem:        "a [REDACTED] b [REDACTED]",
		"cut " + pem[:50]:               "cut [REDACTED]",
		"-----BEGIN PUBLIC KEY-----\nx": "-----BEGIN PUBLIC KEY-----\nx",
		// nothing to do
		"": "",
		"plain text, 日本語, 3.14159265358979": "plain text, 日本語, 3.14159265358979",
	} {
		once := string(New(Full).Text([]byte(in)))
		if once != want {
			t.Errorf("%q\n got %q\nwant %q", in, once, want)
		}
		if again := string(New(Full).Text([]byte(once))); again != once {
			t.Errorf("%q: not stable: %q", in, again)
		}
	}
}

func TestKeysOfTextsFollowTheRules(t *testing.T) {
	t.Parallel()
	in := "token=abc iban=CH93 pwd=x"
	for want, r := range map[string]*Rules{
		"token=[REDACTED] iban=[REDACTED] pwd=[REDACTED]": New(Full, "IBAN"),
		"token=abc iban=[REDACTED] pwd=x":                 NewOnly(Full, "iban"),
		"token=abc iban=CH93 pwd=x":                       {NoPatterns: true},
	} {
		if got := string(r.Text([]byte(in))); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestWorkIsBounded: a text that always nearly matches must not cost more than others of its length.
func TestWorkIsBounded(t *testing.T) {
	t.Parallel()
	const size = 1 << 20
	rules := New(Full)
	rules.Emails = true
	for _, part := range []string{"-----BEGIN PRIVATE KEY-----", "-----BEGIN X", `"token":'`, `"token":"\\`, "token:  ", "1 ", "42-", "4242 ", "sk-", "sk-a ", "eyJa.", "://a", "a@", "bearer ", "_a", "aA", "'", `\`, "SG.a"} {
		start := time.Now()
		rules.Text([]byte(strings.Repeat(part, size/len(part))))
		if took := time.Since(start); took > 10*time.Second { // it is some milliseconds, without the race detector
			t.Errorf("a MiB of %q takes %v", part, took)
		}
	}
}

func FuzzText(f *testing.F) {
	for _, s := range []string{"4242 4242 4242 4242", pem, "https://a:b@c", "password='", `"token":"`, "Bearer 123456", "1-1-1-1 ", "4242-4242", "eyJhbGci.a.b", "secret=>'"} {
		f.Add(s, s)
	}
	rules := New(Full)
	rules.Emails = true
	f.Fuzz(func(t *testing.T, before, after string) {
		once := rules.Text([]byte(before + " 4242424242424242 " + after))
		if bytes.Contains(once, []byte(" 4242424242424242 ")) {
			t.Fatalf("card left in %q", once)
		}
		if again := rules.Text(once); !bytes.Equal(again, once) {
			t.Fatalf("a second pass changes %q to %q", once, again)
		}
	})
}

func FuzzJSONStaysJSONAndHidesKeys(f *testing.F) {
	f.Add([]byte(`{"a":"4111 1111 1111 1111","password":[1,{"b":2}]}`))
	f.Add([]byte(`["\"Bearer abcdefgh1\\"]`))
	f.Add([]byte(` ["\n4242424242424242", {"\u00704242424242424242":"\ud800password=1"}]`))
	rules := New(Full)
	rules.Emails = true
	f.Fuzz(func(t *testing.T, raw []byte) {
		if !json.Valid(raw) {
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
