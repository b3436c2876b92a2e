package archtest

import (
	"io/fs"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"
)

var markdownLink = regexp.MustCompile(`\]\(([^)\s]+)\)`)

// TestDocumentsLinkToWhatIsThere follows the relative links of all documents.
func TestDocumentsLinkToWhatIsThere(t *testing.T) {
	t.Parallel()
	files(t, func(name string, text []byte) {
		if path.Ext(name) != ".md" {
			return
		}
		for _, match := range markdownLink.FindAllSubmatch(text, -1) {
			target, _, _ := strings.Cut(string(match[1]), "#")
			if target == "" || strings.Contains(target, ":") {
				continue // a place in the same page, or another site
			}
			target = path.Join(path.Dir(name), target)
			if _, err := fs.Stat(os.DirFS(root), target); err != nil {
				t.Errorf("%s links to %s: %v", name, match[1], err)
			}
		}
	})
}

var decisionName = regexp.MustCompile(`^(\d{4})-[a-z0-9-]+\.md$`)

// TestDecisionsAreListed keeps the index of docs/adr whole and its numbers apart.
func TestDecisionsAreListed(t *testing.T) {
	t.Parallel()
	const folder = root + "/docs/adr"
	index, err := os.ReadFile(folder + "/README.md")
	if err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	numbers := map[string]string{}
	for _, e := range entries {
		match := decisionName.FindStringSubmatch(e.Name())
		switch {
		case e.Name() == "README.md":
		case match == nil:
			t.Errorf("docs/adr/%s: name it NNNN-few-words.md", e.Name())
		case numbers[match[1]] != "":
			t.Errorf("docs/adr/%s and %s have the same number", e.Name(), numbers[match[1]])
		case !strings.Contains(string(index), "("+e.Name()+")"):
			t.Errorf("docs/adr/README.md does not list %s", e.Name())
		default:
			numbers[match[1]] = e.Name()
		}
	}
}
