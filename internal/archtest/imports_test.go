package archtest

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// layer says what one part of the tree must leave alone. An import points down.
type layer struct {
	folder string
	not    []string // folders of ours that it must not import
	third  []string // other modules' packages that it may import; nil means any
	why    string
}

var none = []string{} // as a layer's third: the standard library only

var layers = []layer{
	{"internal/kernel", []string{"internal/ui", "internal/platform", "internal/core", "internal/apps", "internal/app", "internal/demo", "internal/bench", "wire", "sdk", "cmd", "tools"}, none,
		"everything stands on kernel, so it stands on nothing"},
	{"internal/ui", []string{"internal/platform", "internal/core", "internal/apps", "internal/app", "internal/demo", "internal/bench", "wire", "sdk", "cmd", "tools"}, none,
		"pages are drawn from plain values; ui knows neither storage nor rules"},
	{"internal/platform", []string{"internal/ui", "internal/core", "internal/apps", "internal/app", "internal/demo", "internal/bench", "wire", "sdk", "cmd", "tools"}, nil,
		"platform is technology without business words"},
	{"internal/core", []string{"internal/apps", "internal/app", "internal/demo", "internal/bench", "sdk", "cmd", "tools"}, nil,
		"core is what all apps share; knowing one of them would tie it to the others"},
	{"internal/apps", []string{"internal/app", "internal/demo", "internal/bench", "sdk", "cmd", "tools"}, nil,
		"apps are put together by internal/app and do not know it"},
	{"internal/demo", []string{"internal", "wire", "cmd", "tools"}, nil,
		"the demo's shop is a customer's program: it knows Kept by the SDK and an address"},
	{"internal/app", []string{"internal/bench", "cmd", "tools"}, nil, "commands start the app, not the other way round"},
	{"internal/bench", []string{"internal/apps", "internal/demo", "cmd", "tools"}, nil,
		"the benchmark starts a whole server and measures it from outside"},
	{"internal/agent", []string{"internal/kernel", "internal/ui", "internal/platform", "internal/core", "internal/apps", "internal/app", "internal/demo", "internal/bench", "sdk", "cmd", "tools"},
		[]string{"github.com/klauspost/compress/s2", "github.com/shirou/gopsutil/v4", "golang.org/x/sys"},
		"the agent runs on every host: it is small because it links nothing of the server"},
	{"cmd/kept-agent", []string{"internal/kernel", "internal/ui", "internal/platform", "internal/core", "internal/apps", "internal/app", "internal/demo", "internal/bench", "sdk", "tools"},
		[]string{"golang.org/x/sys"},
		"the agent runs on every host: it is small because it links nothing of the server"},
	{"wire", []string{"internal", "sdk", "cmd", "tools"}, none,
		"wire formats are used by servers, agents and SDKs; anyone may link them at no cost"},
	{"sdk/go", []string{"internal", "cmd", "tools"}, []string{"github.com/riverqueue/river"},
		"other people's programs link the SDK; it brings them nothing they did not ask for"},
	{"tools", []string{"internal/app", "internal/apps", "internal/core", "internal/platform", "cmd"}, nil,
		"tools run before the product compiles"},
}

// TestImportsPointDown also keeps apps and their parts from one another.
func TestImportsPointDown(t *testing.T) {
	t.Parallel()
	used := map[string]bool{}
	for _, p := range ours(t) {
		for _, l := range layers {
			if within(p.ImportPath, l.folder) {
				used[l.folder] = true
			}
		}
		for _, problem := range misplaced(p) {
			t.Error(problem)
		}
	}
	for _, l := range layers {
		if !used[l.folder] {
			t.Errorf("layer %s has no package: take the row out", l.folder)
		}
	}
}

func misplaced(p pkg) (problems []string) {
	if forTests(p.ImportPath) {
		return nil
	}
	for _, imported := range p.Imports {
		if forTests(imported) && !within(p.ImportPath, "tools") {
			problems = append(problems, p.ImportPath+" imports "+imported+": what users run contains nothing that is for tests")
		}
		if a, b := appOf(p.ImportPath), appOf(imported); a != "" && b != "" && a != b {
			problems = append(problems, p.ImportPath+" imports "+imported+": apps meet on the bus or in a core module, never directly")
		}
		for _, l := range layers {
			if within(p.ImportPath, l.folder) && !l.allows(imported) {
				problems = append(problems, p.ImportPath+" imports "+imported+": "+l.why)
			}
		}
	}
	return problems
}

// appOf returns the name of the app that a package is part of.
func appOf(importPath string) string {
	rest, ok := strings.CutPrefix(importPath, "internal/apps/")
	if !ok {
		return ""
	}
	name, _, _ := strings.Cut(rest, "/")
	return name
}

func (l layer) allows(imported string) bool {
	in := func(folder string) bool { return within(imported, folder) }
	if isOurs(imported) {
		return !slices.ContainsFunc(l.not, in)
	}
	return isStd(imported) || l.third == nil || slices.ContainsFunc(l.third, in)
}

// TestSDKCore keeps third-party code in the SDK to the package made for it.
func TestSDKCore(t *testing.T) {
	t.Parallel()
	for _, p := range ours(t) {
		if p.ImportPath != "sdk/go" {
			continue
		}
		for _, imported := range p.Imports {
			if !isStd(imported) && !within(imported, "wire") {
				t.Errorf("sdk/go imports %s: only its sub-packages may need more than the standard library and wire", imported)
			}
		}
	}
}

// home says where alone a package may be imported, tests aside.
type home struct {
	imported string
	at       []string
	why      string
}

var homes = []home{
	{"modernc.org/sqlite", []string{"internal/platform/db", "internal/demo"}, "one place knows how SQLite is opened"},
	{"github.com/jackc/pgx/v5", []string{"internal/platform", "internal/testkit/pgtest"}, "one SQL text for both databases: nothing above platform sees a driver"},
	{"github.com/tink-crypto/tink-go/v2", []string{"internal/platform/seal", "internal/platform/blob"}, "what encrypts is in one place, so that destroying a key is enough"},
	{"github.com/wneessen/go-mail", []string{"internal/core/mail"}, "mail leaves by one door, which knows the declared types"},
	{"github.com/riverqueue/river", []string{"internal/platform/queue", "sdk/go/keptriver", "internal/demo", "internal/app", "cmd/kept"}, "background work goes through platform/queue; the demo runs a queue of its own to report on"},
	{"github.com/evanw/esbuild", []string{"tools/assets"}, "the build of the pages is committed; the product does not bundle"},
	{"github.com/go-webauthn/webauthn", []string{"internal/core/proof"}, "what a passkey is worth is decided in one place"},
	{"rsc.io/qr", []string{"internal/core/proof"}, "one picture, of a secret"},
	{"github.com/coreos/go-oidc/v3", []string{"internal/core/federation"}, "what a provider says is checked in one place"},
	{"golang.org/x/oauth2", []string{"internal/core/federation"}, "what a provider says is checked in one place"},
	{"github.com/phuslu/iploc", []string{"internal/platform/geo"}, "its table is large, and its licence wants a line where it shows"},
	{"github.com/prometheus/alertmanager", []string{"internal/core/alert", "internal/core/notify"}, "who is told what is decided in two places; others see their types"},
	{"github.com/alecthomas/kong", []string{"cmd", "internal/platform/config"}, "flags are read once, in the command"},
}

// never lists what nothing of ours may import. The rows need not be in use.
var never = map[string]string{
	"log":                         "log/slog, handed in, with values and not sentences",
	"math/rand":                   "crypto/rand for secrets, math/rand/v2 for jitter",
	"github.com/google/uuid":      "kernel has the ids",
	"github.com/mattn/go-sqlite3": "needs a C compiler, and binds $N by name (see internal/platform/db)",
	"github.com/lib/pq":           "pgx is the PostgreSQL driver",
	"golang.org/x/exp":            "no promise of compatibility",
	"io/ioutil":                   "io and os have it",
}

func TestEveryImportIsAtHome(t *testing.T) {
	t.Parallel()
	list := ours(t)
	for _, h := range homes {
		used := 0
		for _, p := range list {
			for _, imported := range p.Imports {
				if !within(imported, h.imported) || forTests(p.ImportPath) {
					continue
				}
				used++
				if !slices.ContainsFunc(h.at, func(folder string) bool { return within(p.ImportPath, folder) }) {
					t.Errorf("%s imports %s, which belongs in %v: %s", p.ImportPath, imported, h.at, h.why)
				}
			}
		}
		if used == 0 {
			t.Errorf("nothing imports %s any more: take the row out", h.imported)
		}
	}
	for _, p := range list {
		for _, imported := range p.Imports {
			for banned, why := range never {
				if within(imported, banned) && imported != "log/slog" && imported != "math/rand/v2" {
					t.Errorf("%s imports %s: %s", p.ImportPath, imported, why)
				}
			}
		}
	}
}

// TestProductDoesNotLinkTests looks at everything that ends up in the binaries. River's own packages bring testing along;
// since Go 1.13 that registers no flags unless it is asked to.
func TestProductDoesNotLinkTests(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("go", "list", "-deps", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "./cmd/...")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		if fields[0] == "net/http/pprof" {
			t.Error("the product links net/http/pprof: it registers handlers for all to see")
		}
		if !strings.HasPrefix(fields[0], module) {
			continue
		}
		for _, dep := range fields[1:] {
			if dep == "testing" || dep == "net/http/httptest" {
				t.Errorf("%s imports %s, and users run it", fields[0], dep)
			}
		}
	}
}

// agentLinks are the modules that kept-agent consists of on Linux, besides ours.
var agentLinks = []string{"github.com/klauspost/compress", "golang.org/x/sys"}

// TestAgentStaysSmall looks at all that ends up in the agent, which has promised to be small.
func TestAgentStaysSmall(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", "./cmd/kept-agent")
	cmd.Dir, cmd.Env = root, append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	linked := map[string]bool{}
	for line := range strings.Lines(string(out)) {
		imported := strings.TrimPrefix(strings.TrimSpace(line), module)
		if imported == "" || within(imported, "wire") || within(imported, "internal/agent") || imported == "cmd/kept-agent" {
			continue
		}
		i := slices.IndexFunc(agentLinks, func(m string) bool { return within(imported, m) })
		if i < 0 {
			t.Errorf("kept-agent links %s: it runs on every host and stays small", imported)
			continue
		}
		linked[agentLinks[i]] = true
	}
	for _, m := range agentLinks {
		if !linked[m] {
			t.Errorf("kept-agent does not link %s any more: take it out", m)
		}
	}
}

func TestPackagesAreDocumented(t *testing.T) {
	t.Parallel()
	for _, p := range ours(t) {
		want := "Package " + p.Name + " "
		if p.Name == "main" {
			want = "Command "
		}
		if len(p.GoFiles) > 0 && !strings.HasPrefix(p.Doc, want) {
			t.Errorf("%s has no comment that begins with %q: say what it is for and what it leaves to others", p.ImportPath, want)
		}
	}
}

func TestMisplacedImportsAreFound(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		from, to string
		bad      bool
	}{
		{"internal/kernel", "strings", false},
		{"internal/kernel", "github.com/x/y", true},
		{"internal/kernel/sub", "internal/ui", true},
		{"internal/ui", "internal/kernel", false},
		{"internal/ui", "internal/platform/db", true},
		{"internal/platform/db", "github.com/x/y", false},
		{"internal/platform/db", "internal/core/mail", true},
		{"internal/core/mail", "internal/apps/jobs", true},
		{"internal/core/mail", "internal/ui", false},
		{"internal/apps/jobs", "internal/apps/jobs/fold", false},
		{"internal/apps/jobs", "internal/apps/replay", true},
		{"internal/apps/jobs", "internal/app", true},
		{"internal/app", "internal/apps/jobs", false},
		{"internal/app", "internal/testkit/pgtest", true},
		{"internal/apps/jobs/jobstest", "internal/testkit/pgtest", false},
		{"wire/jobviz", "wire/jsonscan", false},
		{"wire/jobviz", "internal/kernel", true},
		{"sdk/go/keptriver", "github.com/riverqueue/river/rivertype", false},
		{"sdk/go/keptriver", "github.com/x/y", true},
		{"sdk/go", "wire/redact", false},
		{"sdk/go", "internal/kernel", true},
		{"internal/agent/host", "golang.org/x/sys/unix", false},
		{"internal/agent", "github.com/prometheus/prometheus/prompb", true},
		{"internal/agent", "internal/platform/db", true},
		{"internal/app", "internal/agent", false},
		{"cmd/kept-agent", "internal/app", true},
		{"tools/check", "internal/testkit/external", false},
	} {
		problems := misplaced(pkg{ImportPath: c.from, Imports: []string{c.to}})
		if (len(problems) > 0) != c.bad {
			t.Errorf("%s imports %s: problems = %q, want some: %v", c.from, c.to, problems, c.bad)
		}
	}
}
