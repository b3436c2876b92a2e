package jsonscan

import (
	"encoding/json"
	"reflect"
	"testing"
)

func TestPlain(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`{"a":"x\/y"}`:                   `{"a":"x/y"}`,
		`["M\u00fcller \u4e2d\u6587"]`:   `["Müller 中文"]`,
		`["\ud83d\ude00"]`:               `["😀"]`,
		`["\u0022\u005c\u0000\n\ud83d"]`: `["\u0022\u005c\u0000\n\ud83d"]`,
		`["\\u00fc"]`:                    `["\\u00fc"]`,
	} {
		if got := string(Plain(nil, []byte(in))); got != want {
			t.Errorf("Plain(%s) = %s, want %s", in, got, want)
		}
	}
}

func FuzzPlainKeepsTheValue(f *testing.F) {
	f.Add([]byte(`{"a":["\/\u00fc\ud83d\ude00\u0022","\\/"]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var want, got any
		if json.Unmarshal(raw, &want) != nil {
			return
		}
		out := Plain(nil, raw)
		if err := json.Unmarshal(out, &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%q became %q", raw, out)
		}
	})
}
