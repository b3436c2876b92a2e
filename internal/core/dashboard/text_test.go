package dashboard

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/promql/parser"
)

func testEnv() env {
	list := func(name string, multi bool, values ...string) choice {
		return choice{Variable: Variable{Name: name, Kind: VarQuery, Multi: multi}, Values: values}
	}
	e := env{choices: map[string]choice{}, builtin: map[string]string{}}
	e.sampleTimes()
	for _, c := range []choice{list("one", false, "web-1.x"), list("many", true, "a", "b.c"), list("evil", true, `x"} or up{a="`, `\`, "`"), list("none", true),
		{Variable: Variable{Name: "all", Kind: VarQuery, Multi: true, All: true}, IsAll: true},
		{Variable: Variable{Name: "allre", Kind: VarQuery, All: true, AllValue: "web.*"}, IsAll: true},
		{Variable: Variable{Name: "label", Kind: VarList, Options: []string{"job, instance"}}, Values: []string{"job, instance"}},
		{Variable: Variable{Name: "text", Kind: VarText}, Values: []string{"web.*"}}} {
		e.choices[c.Name] = c
	}
	return e
}

// TestInterpolation: where a variable stands decides how its value is written.
func TestInterpolation(t *testing.T) {
	t.Parallel()
	e := testEnv()
	for _, x := range []struct{ in, want string }{
		{`up{i="$one"}`, `up{i="web-1.x"}`}, {`up{i=~"$one"}`, `up{i=~"web-1\\.x"}`}, {`up{i=~"${one}:.*"}`, `up{i=~"web-1\\.x:.*"}`}, {`up{i=~"[[one]]"}`, `up{i=~"web-1\\.x"}`},
		{`up{i=~"$many"}`, `up{i=~"(a|b\\.c)"}`}, {`up{i!~"${many:regex}"}`, `up{i!~"(a|b\\.c)"}`}, {`up{i=~'$many'}`, `up{i=~'(a|b\\.c)'}`},
		{`up{i=~"$all"}`, `up{i=~".*"}`}, {`up{i=~"$allre"}`, `up{i=~"web.*"}`}, {`up{i=~"$text"}`, `up{i=~"web.*"}`}, {`up{i="$none"}`, `up{i=""}`},
		{`rate(x[$__rate_interval])`, `rate(x[5m])`}, {`sum by ($label) (up)`, `sum by (job, instance) (up)`}, {`label_replace(up, "a", "$1", "b", "(.*)")`, `label_replace(up, "a", "$1", "b", "(.*)")`},
		{`up{a=~"foo$"}`, `up{a=~"foo$"}`}, {`up # of $nothing "`, `up # of $nothing "`}, {`up{a="\"$one"}`, `up{a="\"web-1.x"}`}, {`up{a="$unknown"}`, `up{a="$unknown"}`},
	} {
		got, err := e.query(x.in)
		if err != nil || got != x.want {
			t.Errorf("%s: %q, want %q (%v)", x.in, got, x.want, err)
		}
	}
	for _, in := range []string{`up{i="$many"}`, `up{i="$allre"}`, `rate(x[$one])`, `up{i=~"x"} or $evil`, `$nothing`, "up{i=~`$evil`}", `up[$none]`} {
		if got, err := e.query(in); err == nil {
			t.Errorf("%s: %q, want an error", in, got)
		}
	}
}

// FuzzInterpolation: whatever a value is, the query keeps its shape: one selector with one matcher, whose value has the text.
func FuzzInterpolation(f *testing.F) {
	for _, s := range []string{"a", `"`, `\`, `\"`, "`", "'", "$x", "${x}", "\n", "x\"} or up{a=\"", "(", "é", "\x00", `\\"`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if len(value) > 200 || strings.ToValidUTF8(value, "") != value {
			return
		}
		for _, multi := range []bool{false, true} {
			c := choice{Variable: Variable{Name: "v", Kind: VarQuery, Multi: multi}, Values: []string{value}}
			e := env{choices: map[string]choice{"v": c}, builtin: map[string]string{}}
			for _, in := range []string{`up{a="$v"}`, `up{a=~"$v"}`, `up{a!~'${v}'}`, "up{a=~`$v`}", `up{a="x$v"}`} {
				text, err := e.query(in)
				if err != nil {
					continue
				}
				expr, err := parser.NewParser(parser.Options{}).ParseExpr(text)
				if err != nil {
					t.Fatalf("%q in %s: %s: %v", value, in, text, err)
				}
				vs, ok := expr.(*parser.VectorSelector)
				if !ok || len(vs.LabelMatchers) != 2 {
					t.Fatalf("%q changed the shape of %s: %s", value, in, text)
				}
				for _, m := range vs.LabelMatchers {
					want := strings.NewReplacer("$v", value, "${v}", value).Replace(strings.Trim(in[strings.IndexAny(in, "\"'`"):], "}\"'`"))
					if m.Name == "a" && !strings.Contains(in, "~") && m.Value != want {
						t.Fatalf("%q became %q", want, m.Value)
					}
					if m.Name == "a" && strings.Contains(in, "=~") && !m.Matches(value) {
						t.Fatalf("%s does not match %q", m, value)
					}
				}
			}
			if text, err := e.query(`sum by ($v) (up)`); err == nil && !word.MatchString(value) {
				t.Fatalf("%q stands outside of quotes: %s", value, text)
			}
		}
	})
}

// FuzzDecode: no text makes the decoder fail other than with an error, and what it accepts it writes and reads again alike.
func FuzzDecode(f *testing.F) {
	f.Add(example().Encode())
	for _, s := range []string{"{}", "[", `{"version":1,"title":"x","rows":[]}`, `{"version":1,"title":"x","rows":[{"panels":[{"id":"a","kind":"text"}]}]}`, strings.Repeat("[", 5000)} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		d, err := Decode(text)
		if err != nil {
			return
		}
		again, err := Decode(d.Encode())
		if err != nil || string(again.Encode()) != string(d.Encode()) {
			t.Fatalf("%s\n%v", d.Encode(), err)
		}
	})
}

// FuzzImport: no text of anybody's makes the importer fail other than with an error; what it makes is a dashboard.
func FuzzImport(f *testing.F) {
	f.Add([]byte(`{"panels":[{"type":"row","panels":[{"type":"graph","span":6,"targets":[{"expr":"up"}]}]}],"templating":{"list":[{"type":"query","name":"a","query":{"query":"label_values(up)"}}]}}`))
	f.Add([]byte(`{"rows":[{"height":"250px","panels":[{"type":"singlestat","thresholds":"1,2","colorValue":true,"colors":["#f00","green"]}]}],"annotations":{"list":[{"name":"x","expr":"up"}]}}`))
	f.Add([]byte(`{"schemaVersion":1,"panels":[{"type":"stat","fieldConfig":{"defaults":{"thresholds":{"steps":[{"value":null},{"value":1}]},"unit":"bytes","decimals":1e9}}}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		d, _, err := Import(text)
		if err != nil {
			return
		}
		if faults := d.check(); len(faults) > 0 {
			t.Fatal(faults)
		}
	})
}

// TestDecodeNamesTheLine: each fault with its line and its place.
func TestDecodeNamesTheLine(t *testing.T) {
	t.Parallel()
	for _, x := range []struct{ in, want string }{
		{"{\n\"version\": 2, \"title\": \"x\", \"rows\": []}", "Line 2: version: this server reads version 1"},
		{"{\"version\": 1,\n\"title\": \"\",\n\"rows\": []}", "Line 2: title: give it a title"},
		{"{\"version\": 1, \"title\": \"x\",\n\"rows\": [\n{\"panels\": [\n{\"id\": \"a\", \"kind\": \"text\"},\n{\"id\": \"a\", \"kind\": \"text\"}]}]}", "Line 5: rows[0].panels[1].id: another panel has the id a too"},
		{"{\"version\": 1, \"title\": \"x\",\n\"rows\": [{\"panels\": [{\"id\": \"a\",\n\"kind\": \"stat\", \"link\": \"javascript:alert(1)\"}]}]}", "Line 3: rows[0].panels[0].link"},
		{"{\"version\": 1, \"title\": 3, \"rows\": []}", "title must be a text, not a number"},
		{"{\"version\": 1, \"title\": \"x\", \"rows\": []} {}", "there is something behind"},
		{"{\"version\": 1, \"title\": \"x\",\n\n\"row\": []}", "Line 3: there is no field \"row\""},
		{"{\"version\": 1", "the JSON ends too early"},
	} {
		_, err := Decode([]byte(x.in))
		if err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s:\n%v, want %q", x.in, err, x.want)
		}
	}
	if _, err := Decode([]byte(strings.Repeat(" ", MaxSize+1))); err == nil || !strings.Contains(err.Error(), "too large") {
		t.Error(err)
	}
}

// TestMarkdownIsSafe: no tag and no address comes through that is not ours to allow.
func TestMarkdownIsSafe(t *testing.T) {
	t.Parallel()
	got := string(Markdown("# A *b*\n\n<s>x</s> **y** <u>z</u>\n\ntext `c<d` **e** [f](https://x.example/?a=1&b=\"2) [g](javascript:alert(1)) [h](//evil.example) [i](/w/1)\n<img src=x onerror=alert(1)>\n\n- one\n- two\n\n1. three\n\n```\n<b>\n```\n---\n[j](data:text/html,x) [k](https://x\" onclick=\"y)"))
	for _, want := range []string{"<h4>A <em>b</em></h4>", "<code>c&lt;d</code>", "<strong>e</strong>", `href="https://x.example/?a=1&amp;b=&#34;2"`, "<ul><li>one</li><li>two</li></ul>", "<ol><li>three</li></ol>", "<pre tabindex=\"0\">&lt;b&gt;", "<hr>", `<a href="/w/1"`} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in %s", want, got)
		}
	}
	for _, bad := range []string{"<img", "href=\"javascript", "href=\"//", "href=\"data", " onclick=\"y", "<b>", "<s>", "<u>"} {
		if strings.Contains(got, bad) {
			t.Errorf("%q in %s", bad, got)
		}
	}
	tags := regexp.MustCompile(`<[^/][^ >]*`).FindAllString(got, -1)
	slices.Sort(tags)
	for _, tag := range slices.Compact(tags) {
		if !slices.Contains([]string{"<h4", "<em", "<p", "<br", "<code", "<strong", "<a", "<ul", "<ol", "<li", "<pre", "<hr"}, tag) {
			t.Errorf("the tag %s", tag)
		}
	}
}
