package uitest

import (
	_ "embed"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// The test-only copy of axe-core; thirdparty/manifest.json has its version.
//
//go:embed axe/axe.min.js
var axeSource string

type axeResult struct {
	ID     string   `json:"id"`
	Impact string   `json:"impact"`
	Help   string   `json:"help"`
	Nodes  []string `json:"nodes"`
}

// Axe fails the test with everything that axe finds on the page as it is now,
// best practices included.
func (p *Page) Axe(t testing.TB) {
	t.Helper()
	for _, v := range p.axe(t) {
		t.Errorf("axe: %s (%s): %s\n  %s", v.ID, v.Impact, v.Help, strings.Join(v.Nodes, "\n  "))
	}
}

func (p *Page) axe(t testing.TB) []axeResult {
	t.Helper()
	if !Eval[bool](t, p, `typeof axe === "object"`) {
		Get(t, p, chromedp.Evaluate[int](axeSource+"\n;0"))
	}
	return Eval[[]axeResult](t, p, `axe.run(document, {resultTypes: ["violations"]}).then(r => r.violations.map(v => ({
		id: v.id, impact: v.impact || "", help: v.help,
		nodes: v.nodes.map(n => n.target.join(" ") + "\n    " + n.html.slice(0, 160) + "\n    " + (n.failureSummary || "").replace(/\s+/g, " "))})))`)
}
