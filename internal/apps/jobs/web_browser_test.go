package jobs

import (
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"

	"github.com/kept-dev/kept/internal/ui/uitest"
)

// One Chromium serves all tests; each tab has a profile of its own.
func TestPagesInABrowser(t *testing.T) {
	t.Parallel()
	b := uitest.Start(t)
	w := newWorldAt(t, time.Now())
	w.day(t)
	empty := newWorld(t)
	for name, path := range map[string]string{
		"list": "", "list-filtered": "?q=ECONNREFUSED&queue=mail&time=24h&over=1s", "list-failed": "?status=failed&time=custom&from=2026-03-09T09:00:00Z&under=abc",
		"none": "?queue=nowhere", "queues": "/queues", "queues-1h": "/queues?time=1h&env=staging", "settings": "/settings",
		"job": "/mail/01HV7Q2M9Z3K", "job-active": "/media/8e7c1f04-77d2-4c1b-9f0e-5f4f1f2a9b10", "job-stalled": "/reports/repeat:9f1:1772000000",
		"job-parent": "/orders/ORD-2026-00041", "job-delayed": "/mail/nl-2026-03",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b.Open(t, w.base()+path).Look(t, name)
		})
	}
	for name, url := range map[string]string{"connect": empty.base(), "queues-empty": empty.base() + "/queues"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b.Open(t, url).Look(t, name)
		})
	}
	for name, test := range map[string]func(*testing.T, *uitest.Browser){
		"filters live in the address":      testFiltersInTheAddress,
		"live rows leave typing alone":     testLiveRows,
		"the first job replaces the guide": testFirstJob,
		"a job is followed to its end":     testJobToItsEnd,
		"times are the viewer's":           testTimeFields,
		"keys walk the rows":               testRowKeys,
		"charts outlive updates":           testQueuesLive,
		"everything works without scripts": testWithoutScripts,
		"settings are saved":               testSettingsInABrowser,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, b)
		})
	}
}

const ids = `[...document.querySelectorAll(".job-id")].map(e => e.title).join()`

func testFiltersInTheAddress(t *testing.T, b *uitest.Browser) {
	page := b.Open(t, fewJobs(t).base())
	page.Run(t, `document.querySelector("#jobs-queue").value = "billing"; document.querySelector("#jobs-queue").dispatchEvent(new Event("change", {bubbles: true}))`)
	page.Wait(t, `location.search === "?queue=billing" && `+ids+` === "waiting,failed"`)
	page.Click(t, ".tabs a[href*='status=failed']")
	page.Wait(t, `new URLSearchParams(location.search).get("status") === "failed" && `+ids+` === "failed"`)
	page.Fill(t, "#jobs-over", "500ms")
	page.Wait(t, `new URLSearchParams(location.search).get("over") === "500ms"`)
	if got := uitest.Eval[string](t, page, `document.activeElement.id + new URLSearchParams(location.search).get("status")`); got != "jobs-overfailed" {
		t.Errorf("typing lost its place or the status: %s", got)
	}
	page.Run(t, "history.back()")
	page.Wait(t, `new URLSearchParams(location.search).get("over") !== "500ms" && new URLSearchParams(location.search).get("status") === "failed"`)
	page.Go(t, page.URL(t))
	page.Click(t, ".chip[href*='status=failed']") // the queue's, which keeps the status
	page.Wait(t, `location.search === "?status=failed" && `+ids+` === "failed" && !document.querySelector("#jobs-queue").value`)
	page.Click(t, ".chip")
	page.Wait(t, `location.search === "" && `+ids+` === "waiting,failed,slow,quick" && !document.querySelector(".chip")`)
}

func testLiveRows(t *testing.T, b *uitest.Browser) {
	w := fewJobs(t)
	page := b.Open(t, w.base())
	page.Wait(t, `document.querySelector("kept-live button")?.dataset.state === "live"`)
	page.Run(t, `document.querySelector("#jobs-more").checked = true; document.querySelector("#jobs-over").focus(); document.querySelector("#jobs-over").value = "5";
		window.row = document.querySelector("#jobs-rows tbody tr:last-child")`)
	w.report(t, w.job("mail", "send-receipt", "newest", time.Second).then(0, "waiting", nil).events...)
	page.Wait(t, ids+` === "newest,waiting,failed,slow,quick"`)
	got := uitest.Eval[string](t, page, `[document.activeElement.id, document.querySelector("#jobs-over").value, window.row.isConnected, document.querySelector("#jobs-more").checked].join()`)
	if got != "jobs-over,5,true,true" {
		t.Errorf("after a live update: %s", got)
	}
}

func testFirstJob(t *testing.T, b *uitest.Browser) {
	w := newWorld(t)
	page := b.Open(t, w.base())
	page.Wait(t, `document.querySelector("kept-live button")?.dataset.state === "live"`)
	w.report(t, w.job("mail", "send-receipt", "first", time.Second).then(0, "waiting", nil).events...)
	page.Wait(t, ids+` === "first" && document.querySelector("h1").textContent === "Jobs"`)
	w.report(t, w.job("mail", "send-receipt", "second", 0).then(0, "waiting", nil).events...)
	page.Wait(t, ids+` === "second,first"`)
	if n := uitest.Eval[int](t, page, `document.querySelectorAll("kept-live button").length`); n != 1 {
		t.Errorf("%d buttons for live updates", n)
	}
}

func testJobToItsEnd(t *testing.T, b *uitest.Browser) {
	w := newWorld(t)
	s := w.job("media", "transcode", "v1", 10*time.Second).then(0, "waiting", nil).then(time.Second, "active", event{"input": event{"deep": event{"deeper": event{"deepest": []int{1, 2}}}}})
	w.report(t, s.events...)
	page := b.Open(t, w.base()+"/media/v1")
	page.Wait(t, `document.querySelector("kept-live button")?.dataset.state === "live"`)
	page.Run(t, `document.querySelector(".json details").open = false`)
	w.report(t, s.then(time.Second, "progress", event{"progress": 55}).events[2])
	page.Wait(t, `document.querySelector(".progress-text")?.textContent === "55 %"`)
	if uitest.Eval[bool](t, page, `document.querySelector(".json details").open`) {
		t.Error("an update unfolded what was folded")
	}
	w.report(t, s.then(time.Second, "completed", nil).events[3])
	page.Wait(t, `document.querySelector(".job-title .badge").textContent === "completed" && !document.querySelector("kept-live")`)
}

func testTimeFields(t *testing.T, b *uitest.Browser) {
	page := b.Open(t, fewJobs(t).base()+"?from=2026-03-09T11:50:00Z") // 12:50 in Berlin
	if got := uitest.Eval[string](t, page, `document.querySelector("#jobs-from").value`); got != "2026-03-09T12:50" {
		t.Errorf("the field shows %s", got)
	}
	page.Run(t, `const to = document.querySelector("#jobs-to"); to.value = "2026-03-09T13:00"; to.dispatchEvent(new Event("change", {bubbles: true}))`)
	page.Wait(t, `new URLSearchParams(location.search).get("to") === "2026-03-09T12:00:00Z" && new URLSearchParams(location.search).get("from") === "2026-03-09T11:50:00Z"`)
	page.Wait(t, ids+` === "failed" && document.querySelector("#jobs-to").value === "2026-03-09T13:00"`)
	if got := page.Text(t, ".chips"); !strings.Contains(got, "13:00:00") {
		t.Errorf("the filters in force are %q", got)
	}
}

func testRowKeys(t *testing.T, b *uitest.Browser) {
	page := b.Open(t, fewJobs(t).base())
	focus := `document.activeElement.closest("tr")?.querySelector(".job-id").title`
	for _, step := range [][2]string{{"j", "waiting"}, {"j", "failed"}, {"k", "waiting"}, {"k", "waiting"}, {"j", "failed"}} {
		page.Press(t, step[0])
		if got := uitest.Eval[string](t, page, focus); got != step[1] {
			t.Errorf("%s leads to %s, want %s", step[0], got, step[1])
		}
	}
	// The driver types a character whatever becomes of its key, which a person's browser does not.
	page.Run(t, `document.body.dispatchEvent(new KeyboardEvent("keydown", {key: "/", bubbles: true, cancelable: true}))`)
	page.Press(t, "jk")
	if got := uitest.Eval[string](t, page, `document.querySelector("#jobs-q").value`); got != "jk" {
		t.Errorf("the search field has %q", got)
	}
	page.Go(t, page.URL(t)+"?queue=billing")
	page.Press(t, "j")
	page.Press(t, kb.Enter)
	page.Wait(t, `location.pathname.endsWith("/billing/waiting")`)
}

func testQueuesLive(t *testing.T, b *uitest.Browser) {
	w := fewJobs(t)
	page := b.Open(t, w.base()+"/queues")
	page.Wait(t, `document.querySelector("kept-chart canvas")`)
	page.Run(t, `window.canvas = document.querySelector("kept-chart canvas")`)
	w.report(t, w.job("newcomer", "n", "1", time.Minute).then(0, "active", nil).then(time.Second, "failed", event{"failedReason": "x"}).events...)
	page.Wait(t, `document.querySelector(".queues-table").textContent.includes("newcomer")`)
	if !uitest.Eval[bool](t, page, `window.canvas.isConnected && document.querySelector("kept-chart").getAttribute("role") === "group"`) {
		t.Error("an update took the chart away")
	}
	page.Axe(t)
}

func testWithoutScripts(t *testing.T, b *uitest.Browser) {
	w := fewJobs(t)
	page := b.Open(t, "about:blank")
	page.Scripts(t, false)
	page.Go(t, w.base())
	page.Run(t, `document.querySelector("#jobs-q").value = "declined"`)
	page.Click(t, ".filter-end .btn")
	// Text waits for its element, without the timers that pages do not have now.
	if chip, id := page.Text(t, ".chip b"), page.Text(t, ".jobs-table .job-id"); chip != "declined" || id != "failed" {
		t.Errorf("a search for %q finds %q", chip, id)
	}
	page.Click(t, "tbody th a")
	if got := page.Text(t, ".failure-head"); got != "card declined" {
		t.Errorf("the job failed of %q", got)
	}
	page.Go(t, w.base()+"/queues")
	page.FitsWidth(t)
	if !uitest.Eval[bool](t, page, `document.querySelector("#queues-chart-table").checkVisibility() && !document.querySelector("kept-chart").checkVisibility()`) {
		t.Error("without scripts the numbers must stand for the chart")
	}
	page.Go(t, w.base()+"?time=custom&from=2026-03-09T11:50")
	if got := page.Text(t, "label[for=jobs-from]"); got != "From (UTC)" {
		t.Errorf("the field is called %q", got)
	}
}

func testSettingsInABrowser(t *testing.T, b *uitest.Browser) {
	page := b.Open(t, newWorld(t).base()+"/settings")
	page.Click(t, "label[for=f-payloads-1]")
	page.Fill(t, "#f-keys", strings.Repeat("k", 70))
	page.Click(t, ".form-end .btn-primary")
	page.Wait(t, `document.querySelector(".form-error") && document.querySelector("#f-payloads-1").checked`)
	page.Axe(t)
	page.Fill(t, "#f-keys", "iban")
	page.Click(t, ".form-end .btn-primary")
	page.Wait(t, `location.search === "?done=saved" && document.querySelector(".toast-good")`)
}
