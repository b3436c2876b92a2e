package query

import (
	"context"
	"iter"

	"github.com/kept-dev/kept/internal/kernel"
)

// Mention is something that has PromQL of its own: a dashboard, a rule. What it mentions is in use even while nobody looks.
type Mention struct {
	By   string // "Dashboard Hosts", "Rule DiskFull"
	Href string // of its page
	Text []string
}

// Mentioner knows such things of a workspace.
type Mentioner interface {
	Mentions(ctx context.Context, ws kernel.WorkspaceID) ([]Mention, error)
}

// Words are the words of a PromQL text that may be names of metrics: also those within strings, where a pattern names
// several, and those beside variables of dashboards, which PromQL's own parser would not read. Functions and labels are
// among them, so a word means something only where there is a metric of that name.
func Words(text string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := 0; i < len(text); {
			if !wordStart(text[i]) {
				i++
				continue
			}
			end := i + 1
			for end < len(text) && (wordStart(text[end]) || text[end] >= '0' && text[end] <= '9') {
				end++
			}
			if !yield(text[i:end]) {
				return
			}
			i = end
		}
	}
}

func wordStart(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c == ':' || c >= 0x80
}
