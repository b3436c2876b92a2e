package ui

import (
	"fmt"
	"io/fs"
	"regexp"
	"strings"
)

// rules are what no template may contain. Each would need an exception in
// the content security policy, or makes htmx compile a string.
var rules = []struct {
	pattern *regexp.Regexp
	why     string
}{
	{regexp.MustCompile(`(?i)<style[\s>]`), "inline style element; put it into assets/css"},
	{regexp.MustCompile(`(?i)\sstyle\s*=`), "style attribute; use a class"},
	{regexp.MustCompile(`(?i)[\s"']on[a-z]+\s*=`), "inline event handler; use a custom element"},
	{regexp.MustCompile(`(?i)[\s"'](data-)?hx-on[\s:=>-]`), "hx-on compiles a string"},
	{regexp.MustCompile(`(?i)[\s"'](data-)?hx-live\b`), "hx-live compiles a string"},
	{regexp.MustCompile(`(?i)=\s*["']?\s*(js|javascript):`), "js: value compiles a string"},
	{regexp.MustCompile(`(?i)[\s"'](data-)?hx-trigger\s*=\s*("[^"]*\[|'[^']*\[)`), "filter in hx-trigger compiles a string"},
	{regexp.MustCompile(`(?i)\ssrcdoc\s*=`), "srcdoc; frame a document with its own policy"},
}

var scriptTag = regexp.MustCompile(`(?is)<script\b([^>]*)>(.*?)</script>`)

// LintTemplate returns what in a template breaks the content security policy
// or makes htmx compile strings, one "file:line: why" each.
func LintTemplate(name string, text []byte) []string {
	src := string(text)
	var found []string
	report := func(at int, why string) {
		found = append(found, fmt.Sprintf("%s:%d: %s", name, 1+strings.Count(src[:at], "\n"), why))
	}
	for _, m := range scriptTag.FindAllStringSubmatchIndex(src, -1) {
		if !strings.Contains(src[m[2]:m[3]], "src=") || strings.TrimSpace(src[m[4]:m[5]]) != "" {
			report(m[0], "inline script; put it into assets/src")
		}
	}
	for _, rule := range rules {
		for _, m := range rule.pattern.FindAllStringIndex(src, -1) {
			report(m[0], rule.why)
		}
	}
	return found
}

// LintTemplates lints every .html file below fsys.
func LintTemplates(fsys fs.FS) ([]string, error) {
	var found []string
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(name, ".html") {
			return err
		}
		text, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		found = append(found, LintTemplate(name, text)...)
		return nil
	})
	return found, err
}
