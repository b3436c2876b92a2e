// Package uitest drives a real Chromium in tests: it opens pages, checks them
// with axe, takes pictures, and fails a test on any violation of the content
// security policy and on any uncaught exception, whether or not the test
// asked.
//
// Without Chromium a test is skipped, except under CI=true, where it fails.
package uitest

import (
	"context"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// patience bounds every single step, so that a page that never gets ready
// fails its test and not the whole run.
const patience = 60 * time.Second

// Browser is one headless Chromium with an empty profile.
type Browser struct {
	ctx context.Context
}

// Start starts Chromium and stops it with the test.
func Start(t testing.TB) *Browser {
	t.Helper()
	path := find()
	if path == "" {
		if os.Getenv("CI") == "true" {
			t.Fatal("no Chromium found; install it (apt-get install chromium) or set KEPT_CHROMIUM")
		}
		t.Skip("no Chromium found; set KEPT_CHROMIUM to its path")
	}
	alloc, stop := chromedp.NewExecAllocator(context.Background(), flags(path, t.TempDir())...)
	t.Cleanup(stop)
	ctx, cancel := chromedp.NewContext(alloc)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start %s: %v", path, err)
	}
	return &Browser{ctx: ctx}
}

func find() string {
	if path := os.Getenv("KEPT_CHROMIUM"); path != "" {
		return path
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

func flags(path, profile string) []chromedp.ExecAllocatorOption {
	return []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(path), chromedp.UserDataDir(profile), chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck,
		chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.Flag("disable-extensions", true),
		chromedp.Flag("hide-scrollbars", true), chromedp.Flag("lang", "en-US"),
		chromedp.WSURLReadTimeout(patience),
	}
}

// Page is one tab.
type Page struct {
	ctx   context.Context
	still bool // scripts are off: nothing moves

	mu         sync.Mutex
	violations []string
	exceptions []string
}

// Open opens an address in a new tab, with a profile of its own, of 1280 × 900 in light colours, and
// waits until it has loaded. When the test ends it fails if there was a
// policy violation or an uncaught exception.
func (b *Browser) Open(t testing.TB, url string) *Page {
	t.Helper()
	ctx, cancel := chromedp.NewContext(b.ctx, chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	p := &Page{ctx: ctx}
	// The first run opens the tab, which lives as long as its context, so it
	// has no limit of its own.
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("open a tab: %v", err)
	}
	if err := chromedp.Listen(ctx, p.listen); err != nil {
		t.Fatal(err)
	}
	call(t, p, runtime.AddBinding, runtime.AddBindingParams{Name: bindingName})
	call(t, p, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: watcher})
	call(t, p, emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: "Europe/Berlin"})
	p.Size(t, 1280, 900)
	p.Dark(t, false)
	p.Go(t, url)
	t.Cleanup(func() { p.report(t) })
	return p
}

const bindingName = "keptViolation"

// watcher reports violations through a binding, so that they outlive the
// document in which they happened.
const watcher = `addEventListener("securitypolicyviolation", e => ` + bindingName +
	`(e.violatedDirective + " blocked " + (e.blockedURI || "inline") + " " + (e.sample || "") + " at " + e.sourceFile + ":" + e.lineNumber))`

func (p *Page) listen(event any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventBindingCalled:
		if e.Name == bindingName {
			p.violations = append(p.violations, e.Payload)
		}
	case *runtime.EventExceptionThrown:
		p.exceptions = append(p.exceptions, describe(e.ExceptionDetails))
	}
}

// Violations are the content security policy violations so far.
func (p *Page) Violations() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.violations...)
}

// AllowViolations forgets the violations so far, for a test that provokes one.
func (p *Page) AllowViolations() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.violations = nil
}

func (p *Page) report(t testing.TB) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, v := range p.violations {
		t.Errorf("content security policy: %s", v)
	}
	for _, e := range p.exceptions {
		t.Errorf("uncaught exception: %s", e)
	}
}

func describe(d *runtime.ExceptionDetails) string {
	text := d.Text
	if d.Exception != nil {
		text += " " + d.Exception.Description
	}
	return text
}

// Do runs actions of chromedp and fails the test when one fails or takes too
// long.
func (p *Page) Do(t testing.TB, actions ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		t.Fatal(err)
	}
}

// Get runs one action of chromedp and returns its value.
func Get[T any](t testing.TB, p *Page, action chromedp.Action[T]) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, action)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func call[P, R any](t testing.TB, p *Page, cmd cdp.Command[P, R], params P) {
	t.Helper()
	p.Do(t, chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, cmd, params)
		return err
	}))
}
