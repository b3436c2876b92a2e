package jobs

import (
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kept-dev/kept/wire/redact"
)

var jobIDs = regexp.MustCompile(`class="job-id mono" title="([^"]*)"`)

// listed are the ids on a list page, newest first.
func listed(body string) (ids []string) {
	for _, m := range jobIDs.FindAllStringSubmatch(body, -1) {
		ids = append(ids, html.UnescapeString(m[1]))
	}
	return ids
}

func (w *world) page(t testing.TB, path string) string {
	t.Helper()
	status, body := w.get(t, path)
	if status != http.StatusOK {
		t.Fatalf("%s answers %d", path, status)
	}
	return body
}

func wants(t *testing.T, body string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(body, text) {
			t.Errorf("the page lacks %q", text)
		}
	}
}

func wantsNot(t *testing.T, body string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if strings.Contains(body, text) {
			t.Errorf("the page has %q", text)
		}
	}
}

func fewJobs(t *testing.T) *world {
	w := newWorld(t)
	quick := w.job("mail", "send-receipt", "quick", time.Hour+time.Minute).then(0, "waiting", nil).then(time.Second, "active", event{"input": event{"order": "ORD-77"}}).then(100*time.Millisecond, "completed", nil)
	slow := w.job("mail", "send-newsletter", "slow", 30*time.Minute).with("env", "staging").with("traceId", "trace-77").then(0, "active", nil).then(5*time.Second, "completed", nil)
	failed := w.job("billing", "charge-card", "failed", 20*time.Minute).with("parentJobId", "quick").with("parentQueue", "mail").then(0, "active", nil).then(time.Second, "failed", event{"failedReason": "card declined"})
	waiting := w.job("billing", "charge-card", "waiting", 10*time.Minute).then(0, "waiting", nil)
	w.report(t, slices.Concat(quick.events, slow.events, failed.events, waiting.events)...)
	return w
}

func TestListPageFilters(t *testing.T) {
	t.Parallel()
	w := fewJobs(t)
	for query, want := range map[string]string{
		"":                        "waiting failed slow quick",
		"status=failed":           "failed",
		"status=failed,waiting":   "waiting failed",
		"status=nonsense":         "waiting failed slow quick",
		"queue=mail":              "slow quick",
		"name=charge-card":        "waiting failed",
		"env=staging":             "slow",
		"time=1h":                 "waiting failed slow",
		"over=2s":                 "slow",
		"under=2+s&queue=mail":    "quick",
		"waited=500ms":            "quick",
		"q=declined":              "failed",
		"q=ORD-77":                "quick",
		"trace=trace-77":          "slow",
		"parent=mail%2Fquick":     "failed",
		"from=2026-03-09T11:50":   "failed waiting",
		"to=2026-03-09T11:50:00Z": "slow quick",
		"from=2026-03-09T12:40:00%2B01:00&to=2026-03-09T12:50:00%2B01:00": "slow",
		"queue=nowhere": "",
	} {
		t.Run(query, func(t *testing.T) {
			t.Parallel()
			got, words := listed(w.page(t, "/jobs?"+query)), strings.Fields(want)
			slices.Sort(got)
			slices.Sort(words)
			if !slices.Equal(got, words) {
				t.Errorf("lists %v, want %v", got, words)
			}
		})
	}
}

func TestListPageShowsFiltersAndHowToRemoveThem(t *testing.T) {
	t.Parallel()
	body := fewJobs(t).page(t, "/jobs?status=failed&queue=billing&over=500ms&trace=nothing")
	list := "/w/" + string(testWS) + "/jobs"
	wants(t, body,
		`href="`+list+`?over=500ms&amp;queue=billing&amp;trace=nothing"`, // without the status
		`href="`+list+`?over=500ms&amp;status=failed&amp;trace=nothing"`, // without the queue
		`href="`+list+`?queue=billing&amp;status=failed&amp;trace=nothing"`,
		`href="`+list+`?over=500ms&amp;queue=billing&amp;status=failed"`,
		`<input type="hidden" name="status" value="failed">`, `<input type="hidden" name="trace" value="nothing">`,
		`<option value="billing" selected>`, "Took longer than", "500 ms", "Clear all", "No job matches", "Clear filters")
}

func TestListPageSaysWhatItCannotRead(t *testing.T) {
	t.Parallel()
	w := fewJobs(t)
	body := w.page(t, "/jobs?over=5&from=yesterday&under=10x")
	wants(t, body, "Longer than: Write a time with its unit", "From: That is no date", "Shorter than: Write", `value="5"`, `aria-describedby="jobs-over-error"`)
	if n := len(listed(body)); n != 4 {
		t.Errorf("%d jobs are listed: a filter that cannot be read must not filter", n)
	}
	wants(t, w.page(t, "/jobs?q=x"), "Search: Type at least two", `value="x"`)
	if status, _ := w.get(t, "/jobs?cursor=broken"); status != http.StatusBadRequest {
		t.Errorf("a broken cursor answers %d", status)
	}
}

func TestListPagePages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var events []event
	for i := range 120 {
		events = append(events, w.job("mail", "send", fmt.Sprintf("job-%03d", i), time.Duration(i)*time.Second).then(0, "waiting", nil).events...)
	}
	w.report(t, events...)
	next := regexp.MustCompile(`href="([^"]*)" rel="next"`)
	path, pages := "/jobs?queue=mail", 0
	var got []string
	for path != "" {
		body := w.page(t, path)
		got = append(got, listed(body)...)
		if live := strings.Contains(body, "<kept-live"); live != (pages == 0) {
			t.Errorf("page %d is live: %v", pages, live)
		}
		if first := strings.Contains(body, "First page"); first != (pages > 0) {
			t.Errorf("page %d leads back: %v", pages, first)
		}
		path = ""
		if m := next.FindStringSubmatch(body); m != nil {
			path = strings.TrimPrefix(html.UnescapeString(m[1]), "/w/"+string(testWS))
		}
		pages++
	}
	want := slices.Sorted(slices.Values(got))
	if len(got) != 120 || pages != 3 || !slices.Equal(got, slices.Compact(want)) {
		t.Errorf("%d pages with %d jobs: %v", pages, len(got), got)
	}
}

func TestListPageOfNoJobsSaysHowToConnect(t *testing.T) {
	t.Parallel()
	body := newWorld(t).page(t, "/jobs")
	wants(t, body, "Connect your first worker", "https://kept.example.com/api/v1/events", "Authorization: Bearer YOUR_API_KEY",
		"initJobviz", "kept.New(kept.Config{", `href="/w/`+string(testWS)+`/settings/api-keys"`, "<kept-live")
	wantsNot(t, body, `role="search"`)
}

func TestListPageAnswersPartsOfItself(t *testing.T) {
	t.Parallel()
	w := fewJobs(t)
	_, rows := w.get(t, "/jobs", "HX-Request", "true", "HX-Request-Type", "partial", "HX-Target", "div#jobs-rows")
	wants(t, rows, `id="jobs-rows"`)
	wantsNot(t, rows, "<html", `role="search"`)
	_, all := w.get(t, "/jobs", "HX-Request", "true", "HX-Request-Type", "partial", "HX-Target", "div#jobs")
	wants(t, all, `id="jobs"`, `role="search"`)
	wantsNot(t, all, "<html")
}

func TestJobPageTellsEverything(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.reportAsItHappens(t, w.failing().events)
	body := html.UnescapeString(w.page(t, "/jobs/mail/01HV7Q2M9Z3K"))
	wants(t, body, "send-receipt", "01HV7Q2M9Z3K", "Failed for good", "attempts 1, 2 and 3", "connect ECONNREFUSED 10.0.4.17:25",
		"/srv/app/src/mail/transport.ts:88:13", "90071992547409931234", "9007199254740993", "山田 太郎", "[REDACTED]", "19.90",
		"Waited 4.20 s in the queue", "Retry after 30.0 s", "rendering template order-confirmation", "Nothing was heard for 29.0 s",
		"/jobs?trace=a3ce929d0e0e47364bf92f3577b34da6", "/jobs/orders/ORD-2026-00040", "kept-go/0.1.0", "production")
	wantsNot(t, body, "tok_very_secret", "<kept-live", "copies received", "ahead of this server")
}

func TestJobPageIsLiveUntilTheEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.job("media", "transcode", "v1", time.Minute).then(0, "waiting", nil).then(time.Second, "active", nil).then(time.Second, "progress", event{"progress": .4})
	w.report(t, s.events...)
	body := w.page(t, "/jobs/media/v1")
	wants(t, body, "<kept-live", "40 %", "so far", "Nothing was heard for 58.0 s so far")
	w.report(t, s.then(2*time.Second, "completed", event{"returnValue": "ok"}).events[3])
	body = w.page(t, "/jobs/media/v1")
	wants(t, body, "Completed", "3.00 s", "ok")
	wantsNot(t, body, "<kept-live")
}

func TestJobPageShowsRunsAndCopies(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.job("reports", "nightly", "r1", 3*time.Hour).then(0, "active", nil).then(time.Second, "failed", event{"failedReason": "no disk"})
	second := w.job("reports", "nightly", "r1", time.Hour).then(0, "active", nil).then(time.Second, "completed", nil)
	replica := w.job("reports", "nightly", "r1", time.Hour-time.Millisecond).then(0, "active", nil)
	w.report(t, slices.Concat(first.events, second.events)...)
	w.report(t, replica.events...)
	newest := w.page(t, "/jobs/reports/r1")
	wants(t, newest, "Run 1", "Run 2", "2 copies received", "Several copies of some events came", "after it happened")
	wantsNot(t, newest, "no disk", "an earlier run")
	wants(t, w.page(t, "/jobs/reports/r1?run=1"), "no disk", "an earlier run")
	for _, bad := range []string{"/jobs/reports/r1?run=3", "/jobs/reports/r1?run=x", "/jobs/reports/r1?run=-1", "/jobs/reports/nothing", "/jobs/nothing/r1", "/jobs/reports/"} {
		if status, _ := w.get(t, bad); status != http.StatusNotFound {
			t.Errorf("%s answers %d", bad, status)
		}
	}
}

func TestJobPageWarnsOfAClockThatIsAhead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.report(t, w.job("mail", "send", "ahead", -40*time.Second).then(0, "active", nil).events...)
	wants(t, w.page(t, "/jobs/mail/ahead"), "at least 40.0 s ahead of this server")
}

func TestJobPageListsChildrenAndParent(t *testing.T) {
	t.Parallel()
	w := fewJobs(t)
	wants(t, w.page(t, "/jobs/mail/quick"), "Jobs it started", "charge-card", "/jobs/billing/failed?run=1")
	wants(t, w.page(t, "/jobs/billing/failed"), "Started by", "/jobs/mail/quick")
}

func TestOddNamesHaveAPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	names := []string{"a/b", "https://example.com//x?y=1#z", "100%", "%2F", "売上", "a b", "<script>alert(1)</script>", `"'&`, "repeat:9f1:1772000000", "a..b", "+"}
	for _, name := range names {
		w.report(t, w.job(name, name, name, time.Minute).then(0, "failed", event{"failedReason": name}).events...)
	}
	body := w.page(t, "/jobs")
	wantsNot(t, body, "<script>alert")
	hrefs := regexp.MustCompile(`class="cell-main" href="([^"]*)"`).FindAllStringSubmatch(body, -1)
	if len(hrefs) != len(names) {
		t.Fatalf("%d links for %d jobs", len(hrefs), len(names))
	}
	for _, m := range hrefs {
		job := w.page(t, strings.TrimPrefix(html.UnescapeString(m[1]), "/w/"+string(testWS)))
		wantsNot(t, job, "<script>alert")
	}
	for _, name := range names {
		ids := listed(w.page(t, "/jobs?"+url.Values{"queue": {name}}.Encode()))
		if !slices.Equal(ids, []string{name}) {
			t.Errorf("queue %q lists %v", name, ids)
		}
	}
}

func TestPagesOfOtherWorkspacesAreNotFound(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, r := range w.pageRoutes() {
		path := strings.NewReplacer("{ws}", "01arz3ndektsv4rrffq69g5fzz", "{queue}", "mail", "{id...}", "1").Replace(r.Path)
		req, _ := http.NewRequest(r.Method, w.url+path, nil)
		if status, _ := w.do(t, req); status != http.StatusNotFound {
			t.Errorf("%s %s answers %d", r.Method, path, status)
		}
	}
}

func TestQueuesPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	wants(t, w.page(t, "/jobs/queues"), "No queue yet", "Connect a worker")
	w = fewJobs(t)
	body := w.page(t, "/jobs/queues?time=24h")
	billing, mail := strings.Index(body, ">billing</a>"), strings.Index(body, ">mail</a>")
	if billing < 0 || mail < billing {
		t.Errorf("the queue in trouble is not first: %d, %d", billing, mail)
	}
	wants(t, body, "33 %", "1 of 3 finished", "100 %", "10 min 00 s", "/jobs?queue=billing&amp;status=failed&amp;time=24h", "data-chart", "<kept-live")
	staging := w.page(t, "/jobs/queues?env=staging&time=1h")
	wants(t, staging, ">mail</a>", "0 of 1 finished", `value="staging" selected`)
	wantsNot(t, staging, ">billing</a>")
	wants(t, w.page(t, "/jobs/queues?env=moon"), "Nothing ran in moon")
}

func TestQueuesPageMarksDeployments(t *testing.T) {
	t.Parallel()
	w := fewJobs(t)
	w.report(t, event{"jobId": "deploy-1", "jobName": "deployment", "queue": "__system", "event": "deployment", "env": "staging",
		"timestamp": w.now().Add(-25 * time.Minute).UnixMilli(), "data": event{"version": "1.4.2", "commitHash": "0b1c9d2e5f6a7b8c9d", "description": "New <mail> transport"}})
	body := html.UnescapeString(w.page(t, "/jobs/queues"))
	wants(t, body, `"marks":[{"at":1773057000,"label":"1.4.2"}]`, "0b1c9d2e5f6a", "New <mail> transport")
	wantsNot(t, body, ">__system</a>")
	wantsNot(t, w.page(t, "/jobs/queues?env=production"), "1.4.2")
}

func (w *world) post(t *testing.T, path string, form url.Values) (int, string) {
	t.Helper()
	req, err := http.NewRequest("POST", w.url+"/w/"+string(testWS)+path, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return w.do(t, req)
}

func TestSettingsPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	wants(t, w.page(t, "/jobs/settings"), "What would be stored", "taro.yamada@example.com", "9007199254740993", "string", "card [REDACTED]")
	status, body := w.post(t, "/jobs/settings", url.Values{"payloads": {"keys"}, "keys": {" iban \r\ncents, Note\n\n"}, "emails": {"on"}})
	if status != http.StatusOK || !strings.Contains(body, "It holds for what arrives from now on") {
		t.Fatalf("saving answers %d", status)
	}
	s, err := w.ReadSettings(t.Context(), testWS)
	if err != nil || s.Payloads != redact.KeysOnly || !s.Emails || !slices.Equal(s.Keys, []string{"iban", "cents", "Note"}) {
		t.Errorf("saved %+v, %v", s, err)
	}
	body = w.page(t, "/jobs/settings")
	wants(t, body, "iban\ncents\nNote</textarea>", "checked")
	wantsNot(t, body, "taro.yamada@example.com", "card [REDACTED]")

	status, body = w.post(t, "/jobs/settings", url.Values{"payloads": {"full"}, "keys": {strings.Repeat("k", 65)}})
	if status != http.StatusUnprocessableEntity || !strings.Contains(body, strings.Repeat("k", 65)) {
		t.Errorf("a key that is too long answers %d", status)
	}
	wants(t, body, "A key may have 64 characters.")
	if status, _ := w.post(t, "/jobs/settings", url.Values{"payloads": {"some"}}); status != http.StatusUnprocessableEntity {
		t.Errorf("a policy that does not exist answers %d", status)
	}
}

func TestSettingsAreForOwnersToChange(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.mu.Lock()
	w.role = "member"
	w.mu.Unlock()
	body := w.page(t, "/jobs/settings")
	wants(t, body, "In full", "ask an owner")
	wantsNot(t, body, "<textarea")
	if status, _ := w.post(t, "/jobs/settings", url.Values{"payloads": {"none"}}); status != http.StatusForbidden {
		t.Errorf("a member's change answers %d", status)
	}
}

func TestPayloadsThatAreNotKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if err := w.SaveSettings(t.Context(), testWS, Settings{Payloads: redact.None}); err != nil {
		t.Fatal(err)
	}
	w.report(t, w.job("mail", "send", "1", time.Minute).then(0, "active", event{"input": event{"a": "canary"}}).then(time.Second, "completed", event{"returnValue": "canary"}).events...)
	body := w.page(t, "/jobs/mail/1")
	wants(t, body, "Payloads are not kept")
	wantsNot(t, body, "canary", "NOT KEPT")
}
