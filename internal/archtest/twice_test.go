package archtest

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// onePlace lists what was once written in many places and now stands in one. Letters in brackets keep this table from
// finding itself.
var onePlace = []struct {
	pattern *regexp.Regexp
	instead string
	but     map[string]string // where it may stand all the same, by the beginning of the name, and why
}{
	{
		regexp.MustCompile(`(?i)[s]elect (count\(\*\)|coalesce\(min\(\S+\), 0\)).*\$1 = ''`),
		"privacy.Table counts the rows of a workspace or of all, and finds the oldest",
		map[string]string{
			"internal/core/privacy/":            "stands here",
			"internal/core/scim/schema.go":      "its rows belong to a workspace by way of another table",
			"internal/platform/":                "knows nothing of promises",
			"internal/apps/jobs/eventlog/":      "is a log, and knows nothing of promises",
			"internal/apps/jobs/index/merge.go": "is an index, and knows nothing of promises",
		},
	},
	{
		regexp.MustCompile(`"[c]ontrol database"`),
		"privacy.ControlDB names it",
		map[string]string{"internal/core/privacy/": "stands here", "internal/app/routes.go": "tells people what is missing"},
	},
	{
		regexp.MustCompile(`[K]EPT_SHOTS"`),
		"uitest.Page.Look and Shoot take the pictures",
		map[string]string{"internal/ui/": "stands here", "internal/app/demo_test.go": "shows what is in view, and at times of its own"},
	},
	{
		regexp.MustCompile(`[u]nicode\.Bidi_Control`),
		"kernel.CleanName refuses what cannot be seen in a name",
		map[string]string{"internal/kernel/": "stands here"},
	},
	{
		regexp.MustCompile(`^func [f]lag\(\w+ bool\)`),
		"db.Flag is how a column holds a truth",
		nil,
	},
	{
		regexp.MustCompile(`^func [l]ook\(`),
		"uitest.Page.Look looks at a page: axe, widths, colours",
		nil,
	},
}

// TestThereIsOneWay keeps what was unified from being written anew.
func TestThereIsOneWay(t *testing.T) {
	t.Parallel()
	files(t, func(name string, text []byte) {
		if strings.HasSuffix(name, ".go") {
			for _, problem := range twice(name, string(text)) {
				t.Error(problem)
			}
		}
	})
}

func twice(name, text string) (problems []string) {
	n := 0
	for line := range strings.Lines(text) {
		n++
		for _, rule := range onePlace {
			if rule.pattern.MatchString(line) && !hasPrefixIn(name, rule.but) {
				problems = append(problems, fmt.Sprintf("%s:%d: %s", name, n, rule.instead))
			}
		}
	}
	return problems
}

func hasPrefixIn(name string, prefixes map[string]string) bool {
	for prefix := range prefixes {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

func TestSecondWaysAreFound(t *testing.T) {
	t.Parallel()
	for line, bad := range map[string]bool{
		"SELECT " + "coalesce(min(`+at+`), 0) FROM `+c.Name+` WHERE $1 = '' OR workspace_id = $1`": true,
		"select " + "count(*) FROM things WHERE workspace_id = $1 OR $1 = ''":                      true,
		"SELECT count(*) FROM things WHERE workspace_id = $1":                                      false,
		`Where: "control` + ` database",`:                                                          true,
		"func " + "look(t *testing.T) {":                                                           true,
	} {
		if got := len(twice("internal/core/x/x.go", line)) > 0; got != bad {
			t.Errorf("%s: found %v, want %v", line, got, bad)
		}
		if got := twice("internal/core/privacy/table.go", line); len(got) > 0 && !strings.HasPrefix(line, "func") {
			t.Errorf("found where it belongs: %s", got)
		}
	}
}
