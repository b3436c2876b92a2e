package ui

import (
	"strings"
	"testing"
)

func TestJSONKeepsEveryDigit(t *testing.T) {
	t.Parallel()
	got := string(JSON([]byte(`{"id": 90071992547409931234, "x": -0.10, "e": 1E400, "z": 1e+2}`)))
	for _, want := range []string{">90071992547409931234<", ">-0.10<", ">1E400<", ">1e+2<"} {
		if !strings.Contains(got, want) {
			t.Errorf("%s is missing in %s", want, got)
		}
	}
}

func TestJSONShowsWhatIsThere(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, in      string
		want, wantNot []string
	}{
		{"duplicate keys", `{"a":1,"a":2}`, []string{"{2 keys}", ">1<", ">2<"}, nil},
		{"order", `{"b":1,"a":2}`, []string{`>b</span><span class="j-num">1</span></div><div class="j-row"><span class="j-key">a<`}, nil},
		{"nul", `["a\u0000b"]`, []string{`a\u0000b`}, []string{"\x00"}},
		{"markup", `{"<b>":"</pre><script>x</script>"}`, []string{"&lt;b&gt;", "&lt;script&gt;"}, []string{"<script"}},
		{"reordering marks", "[\"a\u202eb\"]", []string{`a\u202eb`}, []string{"a\u202eb"}},
		{"scalar", `"x"`, []string{"&#34;x&#34;"}, nil},
		{"null", `null`, []string{">null<"}, nil},
		{"empty containers", `{"a":{},"b":[]}`, []string{"{ }", "[ ]"}, nil},
		{"nothing", ` `, []string{"Empty"}, nil},
		{"not json", "{\"a\": <b>\x00", []string{"Not valid JSON", "&lt;b&gt;", `\u0000`}, []string{"<b>"}},
		{"two values", `1 2`, []string{"Not valid JSON"}, nil},
		{"not utf-8", "[\"\xff\"]", []string{`\ufffd`}, nil},
	} {
		got := string(JSON([]byte(tc.in)))
		for _, want := range tc.want {
			if !strings.Contains(got, want) {
				t.Errorf("%s: %q is missing in %s", tc.name, want, got)
			}
		}
		for _, not := range tc.wantNot {
			if strings.Contains(got, not) {
				t.Errorf("%s: %q is in %s", tc.name, not, got)
			}
		}
	}
}

func TestJSONHasLimits(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat(`{"k":[`, 50) + "7" + strings.Repeat("]}", 50)
	if got := string(JSON(deep)); strings.Count(got, "<details") != jsonMaxDepth || !strings.Contains(got, "7") {
		t.Errorf("100 levels: %d folds", strings.Count(got, "<details"))
	}
	abyss := strings.Repeat("[", 9000) + strings.Repeat("]", 9000)
	if got := string(JSON(abyss)); strings.Count(got, "<details") > jsonMaxDepth+1 {
		t.Errorf("9,000 levels: %d folds", strings.Count(got, "<details"))
	}
	wide := "[" + strings.Repeat("1,", 49_999) + "1]"
	if got := string(JSON(wide)); strings.Count(got, "j-num") > jsonMaxNodes || !strings.Contains(got, "48,001 more not shown") {
		t.Errorf("50,000 items: %d drawn; %s", strings.Count(got, "j-num"), got[len(got)-200:])
	}
	huge := `{"s":"` + strings.Repeat("ä", 5<<20) + `"}`
	got := string(JSON(huge))
	if len(got) > 3*jsonMaxString || !strings.Contains(got, "10 MiB") || strings.Contains(got, `\ufffd`) {
		t.Errorf("a string of 10 MiB became %d bytes", len(got))
	}
	if got := string(JSON(strings.Repeat("x", 1<<20))); len(got) > 2*jsonMaxText {
		t.Errorf("1 MiB of text became %d bytes", len(got))
	}
}

// The viewer must never emit markup that it was given, nor run away.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{`{"a":[1,2,{"b":null}]}`, `"<script>"`, "\x00", `[[[[`, `{"a":1e999}`, strings.Repeat("[", 200) + strings.Repeat("]", 200)} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		got := string(JSON(in))
		if strings.Contains(got, "<script") || strings.ContainsRune(got, 0) {
			t.Errorf("%q became %q", in, got)
		}
		for _, tag := range []string{"div", "details", "span", "pre"} {
			if strings.Count(got, "<"+tag) != strings.Count(got, "</"+tag) {
				t.Errorf("%q: <%s> is not balanced", in, tag)
			}
		}
	})
}

func TestStack(t *testing.T) {
	t.Parallel()
	got := string(Stack("Error: <b>\n  at own (/srv/app.ts:1)\n  at x (/srv/node_modules/y.js:2)\n"))
	for _, want := range []string{`f-head">Error: &lt;b&gt;`, `f-own">  at own`, `f-lib">  at x`} {
		if !strings.Contains(got, want) {
			t.Errorf("%s is missing in %s", want, got)
		}
	}
	if got := string(Stack(strings.Repeat("at x\n", 5000))); strings.Count(got, "<span class=\"f-") != maxStackLines+1 || !strings.Contains(got, "4600 more lines") {
		t.Errorf("a long trace has %d lines", strings.Count(got, "<span class=\"f-"))
	}
	if Stack("") != "" {
		t.Error("no trace is drawn as something")
	}
}
