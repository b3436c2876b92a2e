package archtest

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	testFunc     = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)[A-Z]\w*)\(`)
	testName     = regexp.MustCompile("`((?:Test|Fuzz)[A-Z]\\w*)`")
	anchor       = regexp.MustCompile(`\]\(#([^)]+)\)`)
	requirement  = regexp.MustCompile(`^\d+\.\d+\.\d+$`)
	answerWords  = []string{"yes", "part", "no", "doc", "n/a"}
	headingSigns = regexp.MustCompile(`[^a-z0-9 -]`)
)

// answer is a row of docs/security.md.
type answer struct {
	ids              []string
	word, how, tests string
}

// TestSecurityDocument reads docs/security.md: each requirement of OWASP ASVS 5.0.0 up to level 2 is answered once, in
// its chapter; a yes names a test; what falls short is listed; and every test that is named exists.
func TestSecurityDocument(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(root + "/docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	list, err := os.ReadFile("testdata/asvs-5.0.0-level-2.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range securityProblems(string(text), strings.Fields(string(list)), existingTests(t)) {
		t.Errorf("docs/security.md: %s", problem)
	}
}

// existingTests are the names of all tests in the tree.
func existingTests(t *testing.T) map[string]bool {
	out := map[string]bool{}
	files(t, func(name string, text []byte) {
		if strings.HasSuffix(name, "_test.go") && !strings.Contains(name, "/testdata/") {
			for _, m := range testFunc.FindAllSubmatch(text, -1) {
				out[string(m[1])] = true
			}
		}
	})
	return out
}

func securityProblems(doc string, asked []string, tests map[string]bool) (problems []string) {
	for _, m := range testName.FindAllStringSubmatch(doc, -1) {
		if !tests[m[1]] {
			problems = append(problems, "there is no test "+m[1])
		}
	}
	places := headings(doc)
	for _, m := range anchor.FindAllStringSubmatch(doc, -1) {
		if !places[m[1]] {
			problems = append(problems, "there is no heading #"+m[1])
		}
	}
	_, short, _ := strings.Cut(doc, "\n## Where we fall short\n")
	answered := map[string]int{}
	for chapter, rows := range answers(doc) {
		for _, row := range rows {
			problems = append(problems, row.problems(chapter, short)...)
			for _, id := range row.ids {
				answered[id]++
			}
		}
	}
	for _, id := range asked {
		if answered[id] != 1 {
			problems = append(problems, "requirement "+id+" is not answered exactly once")
		}
		delete(answered, id)
	}
	for id := range answered {
		problems = append(problems, "requirement "+id+" is none of level 1 or 2")
	}
	slices.Sort(problems)
	return problems
}

// headings are the anchors of a document's headings.
func headings(doc string) map[string]bool {
	out := map[string]bool{}
	for line := range strings.Lines(doc) {
		if title := strings.TrimLeft(line, "#"); title != line {
			out[strings.ReplaceAll(headingSigns.ReplaceAllString(strings.ToLower(strings.TrimSpace(title)), ""), " ", "-")] = true
		}
	}
	return out
}

// answers are the rows of the chapters' tables, by the number of the chapter.
func answers(doc string) map[string][]answer {
	out := map[string][]answer{}
	chapter := ""
	for line := range strings.Lines(doc) {
		if title, ok := strings.CutPrefix(line, "### V"); ok {
			chapter, _, _ = strings.Cut(title, " ")
		} else if strings.HasPrefix(line, "#") {
			chapter = ""
		}
		cells := strings.Split(strings.TrimSpace(line), "|")
		if chapter == "" || len(cells) != 6 || !strings.Contains(cells[1], chapter+".") {
			continue
		}
		row := answer{word: strings.TrimSpace(cells[2]), how: strings.TrimSpace(cells[3]), tests: strings.TrimSpace(cells[4])}
		for id := range strings.SplitSeq(cells[1], ",") {
			row.ids = append(row.ids, strings.TrimSpace(id))
		}
		out[chapter] = append(out[chapter], row)
	}
	return out
}

func (a answer) problems(chapter, short string) (problems []string) {
	say := func(what string) { problems = append(problems, strings.Join(a.ids, ", ")+": "+what) }
	for _, id := range a.ids {
		if !requirement.MatchString(id) || !strings.HasPrefix(id, chapter+".") {
			say("this is no requirement of chapter " + chapter)
		}
		if (a.word == "part" || a.word == "no") && !listed(short, id) {
			say("where does it fall short? " + id + " is not in the list")
		}
		if a.word != "part" && a.word != "no" && listed(short, id) {
			say("it is in the list of what falls short")
		}
	}
	switch {
	case !slices.Contains(answerWords, a.word):
		say("the answer is " + a.word)
	case a.word == "yes" && !testName.MatchString(a.tests):
		say("a yes without a test")
	case a.word == "doc" && !strings.Contains(a.how, "]("):
		say("where is it written?")
	case a.word == "n/a" && a.how == "":
		say("why is it not applicable?")
	}
	return problems
}

// listed tells whether a requirement stands in bold at the head of an item.
func listed(short, id string) bool {
	for line := range strings.Lines(short) {
		if head, ok := strings.CutPrefix(line, "- **"); ok {
			head, _, _ = strings.Cut(head, "**")
			if slices.Contains(strings.Split(head, ", "), id) {
				return true
			}
		}
	}
	return false
}

// TestSecurityDocumentIsRead gives the reader documents with one fault each.
func TestSecurityDocumentIsRead(t *testing.T) {
	t.Parallel()
	asked, tests := []string{"1.1.1", "1.1.2"}, map[string]bool{"TestA": true}
	page := func(rows, short string) string {
		return "# S\n\n### V1 Encoding\n\n| r | | how | tests |\n| --- | --- | --- | --- |\n" + rows + "\n## Where we fall short\n" + short
	}
	const good = "| 1.1.1 | yes | so | `TestA` |\n| 1.1.2 | part | so [there](#s) | |\n"
	for name, tc := range map[string]struct {
		doc, want string
	}{
		"good":          {page(good, "- **1.1.2** Why.\n"), ""},
		"unknown test":  {page(strings.Replace(good, "TestA", "TestB", 1), "- **1.1.2** Why.\n"), "there is no test TestB"},
		"missing":       {page("| 1.1.1 | yes | so | `TestA` |\n", ""), "requirement 1.1.2 is not answered exactly once"},
		"twice":         {page(good+"| 1.1.1 | n/a | so | |\n", "- **1.1.2** Why.\n"), "requirement 1.1.1 is not answered exactly once"},
		"made up":       {page(good+"| 1.9.9 | n/a | so | |\n", "- **1.1.2** Why.\n"), "requirement 1.9.9 is none of level 1 or 2"},
		"yes, untested": {page(strings.Replace(good, "`TestA`", "", 1), "- **1.1.2** Why.\n"), "1.1.1: a yes without a test"},
		"not listed":    {page(good, ""), "1.1.2: where does it fall short? 1.1.2 is not in the list"},
		"dead link":     {page(strings.Replace(good, "#s", "#t", 1), "- **1.1.2** Why.\n"), "there is no heading #t"},
		"odd word":      {page(strings.Replace(good, "| yes |", "| maybe |", 1), "- **1.1.2** Why.\n"), "1.1.1: the answer is maybe"},
	} {
		if got := strings.Join(securityProblems(tc.doc, asked, tests), "; "); got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}

var browserStore = regexp.MustCompile(`localStorage|sessionStorage|indexedDB|document\.cookie|caches\.open|serviceWorker`)

// TestBrowserStoresTheThemeOnly: what a page keeps in a browser outlives the login, so it is light or dark and no more.
func TestBrowserStoresTheThemeOnly(t *testing.T) {
	t.Parallel()
	used := 0
	files(t, func(name string, text []byte) {
		if !strings.HasPrefix(name, "internal/ui/assets/src/") {
			return
		}
		if found := browserStore.Find(text); found != nil && !strings.Contains(name, "theme") {
			t.Errorf("%s uses %s: nothing but the theme is kept in a browser", name, found)
		} else if found != nil {
			used++
		}
	})
	if used == 0 {
		t.Error("not even the theme is kept: this test looks in the wrong place")
	}
}
