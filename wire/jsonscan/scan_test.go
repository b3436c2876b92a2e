package jsonscan

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

var cases = []string{
	`{}`, `[]`, `null`, `true`, `false`, `0`, `-0`, `1.5e-3`, `"a"`, `"\u00e9\n\"\\"`, `{"a":[1,{"b":null}],"c":"d"}`,
	` { "a" : 1 , "b" : [ ] } `, `[1,2`, `{"a"}`, `{"a":}`, `{,}`, `[,]`, `[1,]`, `{"a":1,}`, `01`, `1.`, `.5`, `1e`, `+1`, `-`,
	`"abc`, `"\x"`, `"\u12"`, "\"a\x00b\"", "\"\x1f\"", `tru`, `nul`, `{"a":1}}`, `"12345678901234567890\\"`, `"😀\ud83d\ude00\ud83d"`,
	"\"\u00e9\u4e2d\u6587 long enough for the fast path\"", `{"a":1 "b":2}`, "\"tab\there in a long string\"",
}

func valid(b []byte) bool {
	end, err := Value(b, Space(b, 0), 10_000)
	return err == nil && Space(b, end) == len(b)
}

func TestValueAgreesWithTheStandardLibrary(t *testing.T) {
	t.Parallel()
	for _, c := range cases {
		if got, want := valid([]byte(c)), json.Valid([]byte(c)); got != want {
			t.Errorf("valid(%q) = %v, encoding/json says %v", c, got, want)
		}
	}
}

func FuzzValueAgreesWithTheStandardLibrary(f *testing.F) {
	for _, c := range cases {
		f.Add([]byte(c))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if got, want := valid(b), json.Valid(b); got != want {
			t.Fatalf("valid(%q) = %v, encoding/json says %v", b, got, want)
		}
		if len(b) == 0 || b[0] != '"' || !utf8.Valid(b) {
			return
		}
		var want string
		if json.Unmarshal(b, &want) != nil {
			return
		}
		end, _, err := String(b, 0)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(Unescape(nil, b[1:end-1])); got != want {
			t.Fatalf("Unescape(%q) = %q, encoding/json says %q", b, got, want)
		}
	})
}

func TestDepthIsLimited(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("[", 100) + strings.Repeat("]", 100)
	if _, err := Value([]byte(deep), 0, 100); err != nil {
		t.Errorf("100 levels of 100: %v", err)
	}
	if _, err := Value([]byte(deep), 0, 99); err == nil || !strings.Contains(err.Error(), ErrDepth) {
		t.Errorf("100 levels of 99: %v", err)
	}
}

func BenchmarkValue(b *testing.B) {
	text := []byte(`{"to":"somebody@example.com","template":"invoice-reminder","invoice":9007199254740993,"lines":[{"sku":"A-1","qty":2},{"sku":"B-7","qty":1}],"note":"please deliver before noon, ring twice"}`)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := Value(text, 0, 64); err != nil {
			b.Fatal(err)
		}
	}
}
