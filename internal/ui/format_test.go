package ui

import (
	"math"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestDuration(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		in   any
		want string
	}{
		{time.Duration(0), "0 ms"}, {800 * time.Nanosecond, "800 ns"}, {350 * time.Microsecond, "350 µs"},
		{999_499 * time.Nanosecond, "999 µs"}, {999_500 * time.Nanosecond, "1 ms"}, {1500 * time.Microsecond, "1.5 ms"},
		{350 * time.Millisecond, "350 ms"}, {999_499 * time.Microsecond, "999 ms"}, {999_500 * time.Microsecond, "1.00 s"},
		{1240 * time.Millisecond, "1.24 s"}, {9995 * time.Millisecond, "10.0 s"}, {59_949 * time.Millisecond, "59.9 s"},
		{59_950 * time.Millisecond, "1 min 00 s"}, {125 * time.Second, "2 min 05 s"}, {3600 * time.Second, "1 h 00 min"},
		{time.Hour - 400*time.Millisecond, "1 h 00 min"}, {50*time.Hour + 10*time.Minute, "2 d 2 h"},
		{-1240 * time.Millisecond, "−1.24 s"}, {time.Duration(math.MinInt64), "−106751 d 23 h"},
		{int64(1_240_000), "1.24 s"}, {(*time.Duration)(nil), "–"}, {nil, "–"},
	} {
		if got, err := Duration(tc.in); err != nil || got != tc.want {
			t.Errorf("Duration(%v) = %q, %v; want %q", tc.in, got, err, tc.want)
		}
	}
	if _, err := Duration("1s"); err == nil {
		t.Error("a string is no duration")
	}
}

func TestNumbers(t *testing.T) {
	t.Parallel()
	got := func(s string, err error) string {
		if err != nil {
			return "error"
		}
		return s
	}
	for _, tc := range []struct{ got, want string }{
		{got(Count(0)), "0"}, {got(Count(999)), "999"}, {got(Count(1000)), "1,000"}, {got(Count(int64(math.MinInt64))), "−9,223,372,036,854,775,808"},
		{got(Count(uint64(math.MaxUint64))), "18,446,744,073,709,551,615"}, {got(Count(1.5)), "error"}, {got(Count(nil)), "error"},
		{got(Bytes(0)), "0 B"}, {got(Bytes(1023)), "1023 B"}, {got(Bytes(1024)), "1.0 KiB"}, {got(Bytes(1536)), "1.5 KiB"}, {got(Bytes(20 << 20)), "20 MiB"}, {got(Bytes(1<<20 - 1)), "1.0 MiB"},
		{got(Percent(0.0)), "0 %"}, {got(Percent(0.042)), "4.2 %"}, {got(Percent(0.5)), "50 %"}, {got(Percent(1.0)), "100 %"},
		{got(Percent(1e-9)), "< 0.1 %"}, {got(Percent(0.99999)), "> 99.9 %"}, {got(Percent(math.NaN())), "–"}, {got(Percent("x")), "error"},
		{got(Plural(1, "job", "jobs")), "1 job"}, {got(Plural(0, "job", "jobs")), "0 jobs"}, {got(Plural(1234, "job", "jobs")), "1,234 jobs"},
		{Number(0), "0"}, {Number(1.234), "1.23"}, {Number(12.34), "12.3"}, {Number(-1234.5), "−1,235"}, {Number(0.00012345), "0.000123"}, {Number(math.Inf(1)), "–"},
	} {
		if tc.got != tc.want {
			t.Errorf("got %q, want %q", tc.got, tc.want)
		}
	}
}

func TestTimeElement(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 9, 14, 5, 12, 123456000, time.FixedZone("x", 3600))
	const want = `<time datetime="2026-03-09T13:05:12.123456Z" data-kept-time="full" title="2026-03-09 13:05:12.123456 UTC">2026-03-09 13:05:12 UTC</time>`
	for _, v := range []any{at, &at, at.UnixMicro()} {
		if got, err := TimeFull(v); err != nil || string(got) != want {
			t.Errorf("TimeFull(%v) = %s, %v", v, got, err)
		}
	}
	for _, v := range []any{nil, time.Time{}, (*time.Time)(nil), int64(0)} {
		if got, err := TimeAgo(v); err != nil || strings.Contains(string(got), "<time") {
			t.Errorf("TimeAgo(%v) = %s, %v", v, got, err)
		}
	}
	if _, err := TimeShort("today"); err == nil {
		t.Error("a string is no time")
	}
}

func TestWithQuery(t *testing.T) {
	t.Parallel()
	u, _ := url.Parse("http://h/w/a%20b/jobs?status=failed&cursor=x&q=a%26b")
	got, err := WithQuery(u, "cursor", "", "status", nil, "page", 2, "q", `<"&`)
	if want := "/w/a%20b/jobs?page=2&q=%3C%22%26"; err != nil || got != want {
		t.Errorf("WithQuery = %q, %v; want %q", got, err, want)
	}
	if _, err := WithQuery(u, "one"); err == nil {
		t.Error("an odd number of arguments is no error")
	}
}

func TestFiltersKeepTheAddress(t *testing.T) {
	t.Parallel()
	u, _ := url.Parse("/jobs?status=failed&q=&sort=-took&cursor=abc&env=prod")
	f := NewFilters(u, "list", Filter{Name: "q", Label: "Search"}, Filter{Name: "status", Label: "Status", Kind: "select"})
	if f.Active != 1 || f.Fields[1].Value != "failed" || f.Clear != "/jobs?env=prod&sort=-took" {
		t.Errorf("%+v", f)
	}
	if want := []Param{{"env", "prod"}, {"sort", "-took"}}; len(f.Keep) != 2 || f.Keep[0] != want[0] || f.Keep[1] != want[1] {
		t.Errorf("keeps %v, want %v", f.Keep, want)
	}
	if s := NewSorts(u, "list", "-started", "took"); s.Key != "took" || !s.Desc {
		t.Errorf("%+v", s)
	}
	bad, _ := url.Parse("/jobs?sort=-password")
	if s := NewSorts(bad, "list", "-started", "took"); s.Key != "started" || !s.Desc {
		t.Errorf("an unknown column orders the list: %+v", s)
	}
	if p := NewPager(u, "list", "def", ""); p.First != "/jobs?env=prod&q=&sort=-took&status=failed" && p.First != "/jobs?env=prod&sort=-took&status=failed" || !strings.Contains(p.Next, "cursor=def") {
		t.Errorf("%+v", p)
	}
}

func TestNavigation(t *testing.T) {
	t.Parallel()
	nav := ExpandNav([]NavItem{{App: "jobs", Label: "Queues", Href: "/w/{ws}/jobs/queues", Order: 2}, {App: "jobs", Label: "Jobs", Href: "/w/{ws}/jobs", Order: 1},
		{App: "replay", Label: "Recordings", Href: "/w/{ws}/recordings"}}, "a b")
	if nav[1].Href != "/w/a%20b/jobs" {
		t.Errorf("%+v", nav)
	}
	if got := ExpandNav([]NavItem{{Href: "/w/{ws}/x"}, {Href: "/y"}}, ""); len(got) != 1 {
		t.Errorf("without a workspace: %+v", got)
	}
	current := func(section, path string) string {
		for _, l := range navLinks(nav, "jobs", section, path) {
			if l.Current {
				return l.Label
			}
		}
		return ""
	}
	for _, tc := range [][3]string{{"", "/w/a%20b/jobs", "Jobs"}, {"", "/w/a%20b/jobs/queues/mail", "Queues"}, {"", "/w/a%20b/jobsearch", ""}, {"/w/a%20b/jobs", "/elsewhere", "Jobs"}} {
		if got := current(tc[0], tc[1]); got != tc[2] {
			t.Errorf("section %q, path %q: %q is current, want %q", tc[0], tc[1], got, tc[2])
		}
	}
	top, menu := appLinks([]App{{Key: "replay", Order: 2}, {Key: "jobs", Order: 1}, {Key: "off"}, {Key: "settings", Menu: true}}, append(nav, NavItem{App: "settings", Href: "/s"}), "jobs")
	if len(top) != 2 || top[0].Key != "jobs" || !top[0].Current || len(menu) != 1 {
		t.Errorf("switcher %+v, menu %+v", top, menu)
	}
}

func TestSendToastFitsAHeader(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	SendToast(w, Toast{Tone: ToneGood, Text: "Gelöscht – fertig 🎉\r\nX-Evil: 1"})
	got := w.Header().Get("HX-Trigger")
	for _, r := range got {
		if r > 0x7e || r < 0x20 {
			t.Fatalf("header holds %q: %s", r, got)
		}
	}
	if !strings.Contains(got, `\ud83c\udf89`) || !strings.Contains(got, `Gel\u00f6scht`) {
		t.Error(got)
	}
}
