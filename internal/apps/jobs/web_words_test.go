package jobs

import (
	"html"
	"html/template"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/apps/jobs/fold"
)

func TestParseSpan(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{
		"500ms": 500_000, "2s": 2_000_000, "2 s": 2_000_000, "1.5s": 1_500_000, "1,5 s": 1_500_000, "1m": 60_000_000, "2 min 30 s": 150_000_000,
		"1h30m": 5_400_000_000, "250µs": 250, "1d": 86_400_000_000, "2MIN": 120_000_000,
		"": 0, "5": 0, "ms": 0, "5 parsecs": 0, "-5s": 0, "1e9s": 0, "0s": 0, "1..5s": 0, "s5": 0, "9999d": 0, "5s5": 0, strings.Repeat("9", 400) + "s": 0,
	} {
		if got, ok := parseSpan(text); got != want || ok != (want > 0) {
			t.Errorf("%q is %d, %v; want %d", text, got, ok, want)
		}
	}
}

func FuzzReadFilters(f *testing.F) {
	for _, seed := range []string{"status=failed&q=x", "over=2s&under=1m&waited=5ms", "from=2026-03-09T12:00&to=2026-03-09&time=custom", "parent=a%252Fb/c&cursor=x", "%zz", "time=1h"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		u := &url.URL{Path: "/w/x/jobs", RawQuery: query}
		got := readFilters(u, worldStart)
		if got.MinTook < 0 || got.MaxTook < 0 || got.MinWait < 0 || got.From < 0 || got.To < 0 {
			t.Errorf("%q gives a span or time below zero: %+v", query, got.Filter)
		}
		for _, c := range got.Chips {
			if !strings.HasPrefix(c.Href, "/w/x/jobs") {
				t.Errorf("%q: a filter is removed by going to %q", query, c.Href)
			}
		}
	})
}

func TestProgressBar(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"40": "40 %", "0": "0 %", "100": "100 %", "0.4": "40 %", "1.0": "100 %", "1": "1 %", "37.5": "37.5 %",
		`{"done":3,"total":12}`: "3 of 12", `{"total":12}`: "", `{"done":1,"total":0}`: "", `"half"`: "", "101": "", "-1": "", "": "", "null": "",
	} {
		text := ""
		if bar, ok := progressBar([]byte(raw)); ok && raw != "null" {
			text = bar.Text
			if bar.Value < 0 || bar.Value > bar.Max {
				t.Errorf("%s is %d of %d", raw, bar.Value, bar.Max)
			}
		}
		if text != want {
			t.Errorf("%s is %q, want %q", raw, text, want)
		}
	}
}

func TestFailureTextHasTheReasonOnce(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		Failure
		want string
	}{
		{Failure{Reason: "boom"}, "boom"},
		{Failure{Reason: "boom", Stack: "Error: boom\n at x"}, "Error: boom\n at x"},
		{Failure{Reason: "boom", Stack: "main.work()\n\tx.go:1"}, "boom\nmain.work()\n\tx.go:1"},
		{Failure{Reason: "boom\nmore", Stack: "Error: boom\n at x"}, "Error: boom\n at x"},
	} {
		if got := failureText(c.Failure); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
	if got := attemptNumbers([]int{3, 2, 1}); got != "attempts 1, 2 and 3" {
		t.Errorf("%q", got)
	}
}

var tags = regexp.MustCompile(`<[^>]*>`)

// told is a timeline as text: "label (detail)", gaps in brackets.
func told(t *testing.T, w *world, queue, id string) []string {
	t.Helper()
	d, err := w.Detail(t.Context(), testWS, queue, id, 0)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, s := range newTimeline(d, w.now().UnixMicro()).Steps {
		line := s.Label
		if s.Detail != nil {
			line += " (" + html.UnescapeString(tags.ReplaceAllString(textOf(s.Detail), "")) + ")"
		}
		if s.Gap {
			line = "[" + line + "]"
		}
		out = append(out, line)
	}
	return out
}

func TestTimelineTellsInWords(t *testing.T) {
	t.Parallel()
	const soon, second, minute = 5 * time.Millisecond, time.Second, time.Minute
	failed := func(reason string) event { return event{"failedReason": reason} }
	for name, c := range map[string]struct {
		story func(s *story, w *world)
		want  []string
	}{
		"simple": {func(s *story, _ *world) {
			s.then(0, "waiting", nil).then(4200*time.Millisecond, "active", nil).then(second, "completed", nil)
		}, []string{"Added to the queue", "[Waited 4.20 s in the queue]", "Began to run", "Completed"}},
		"no time to wait": {func(s *story, _ *world) {
			s.then(0, "waiting", nil).then(soon, "active", nil).then(second, "failed", failed("boom\nmore"))
		},
			[]string{"Added to the queue", "Began to run", "Failed (boom)"}},
		"delayed": {func(s *story, _ *world) {
			s.then(0, "delayed", event{"delay": s.at.Add(5 * minute).UnixMilli()}).then(5*minute+2*second, "active", nil).then(second, "completed", nil)
		}, []string{"Added, to start later (for 5 min 00 s, until 11:20:00.000 UTC)", "[Delayed for 5 min 00 s (until 11:20:00.000 UTC)]", "[Waited 2.00 s for a worker]", "Began to run", "Completed"}},
		"delayed, then queued": {func(s *story, _ *world) {
			s.then(0, "delayed", event{"delay": s.at.Add(minute).UnixMilli()}).then(minute, "waiting", nil).then(3*second, "active", nil)
		}, []string{"Added, to start later (for 1 min 00 s, until 11:16:00.000 UTC)", "[Delayed for 1 min 00 s (until 11:16:00.000 UTC)]", "Came due", "[Waited 3.00 s in the queue]", "Began to run", "[Nothing was heard for 58 min 57 s so far]"}},
		"retried": {func(s *story, _ *world) {
			s.then(0, "active", nil).then(second, "failed", failed("[retrying] boom")).then(30*second, "active", nil).then(second, "failed", failed("bang"))
		}, []string{"Attempt 1 began", "Attempt 1 failed (boom)", "[Retry after 30.0 s]", "Attempt 2 began", "Failed for good (bang)"}},
		"stalled": {func(s *story, _ *world) {
			s.then(0, "active", nil).then(29*second, "waiting", nil).then(0, "stalled", nil).then(2*second, "active", nil).then(second, "completed", nil)
		}, []string{"Attempt 1 began", "[The worker went silent for 29.0 s]", "Back in the queue", "Stalled (the worker went silent; the queue took the job back)", "[Waited 2.00 s in the queue]", "Attempt 2 began", "Completed"}},
		"silent": {func(s *story, _ *world) {
			s.then(0, "active", nil).then(second, "progress", event{"log": event{"message": "begun"}}).then(12*second, "completed", nil)
		}, []string{"Began to run", "begun", "[Nothing was heard for 12.0 s]", "Completed"}},
		"long but not silent": {func(s *story, _ *world) { s.then(0, "active", nil).then(12*second, "completed", nil) }, []string{"Began to run", "Completed"}},
		"progress": {func(s *story, _ *world) {
			s.then(0, "active", nil).then(second, "progress", event{"progress": 10}).then(second, "progress", event{"progress": 20}).then(second, "progress", event{"progress": event{"x": 1}}).
				then(second, "progress", event{"log": event{"message": ""}}).then(second, "tea-break", nil).then(second, "completed", nil)
		}, []string{"Began to run", "Progress", "(an empty line)", "Reported “tea-break”", "Completed"}},
		"lost": {func(s *story, _ *world) {
			s.then(0, "active", nil).then(minute, "active", event{"attemptsMade": 2}).then(second, "completed", nil)
		},
			[]string{"Attempt 1 began", "[Nothing was heard for 1 min 00 s (how the attempt before ended is not known)]", "Attempt 2 began", "Completed"}},
		"waiting now": {func(s *story, w *world) { s.then(0, "waiting", nil) }, []string{"Added to the queue", "[In the queue for 1 h 00 min so far]"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			s := w.job("mail", "send", "1", time.Hour)
			c.story(s, w)
			w.reportAsItHappens(t, s.events)
			if got := told(t, w, "mail", "1"); !slices.Equal(got, c.want) {
				t.Errorf("told:\n %s\nwant:\n %s", strings.Join(got, "\n "), strings.Join(c.want, "\n "))
			}
		})
	}
}

func TestTimelineSaysWhatArrivedLate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.job("mail", "send", "1", time.Hour).then(0, "active", nil).then(5*time.Minute, "completed", nil)
	w.setNow(worldStart.Add(-55 * time.Minute))
	w.report(t, s.events...)
	if got := told(t, w, "mail", "1"); !slices.Contains(got, "Began to run (arrived 5 min 00 s later)") || !slices.Contains(got, "Completed") {
		t.Errorf("told %q", got)
	}
}

func TestUnfinishedRunsSayWhatTheyWaitFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.report(t, w.job("q", "n", "due", time.Minute).then(0, "delayed", event{"delay": w.now().Add(time.Hour).UnixMilli()}).events...)
	w.report(t, w.job("q", "n", "over", time.Hour).then(0, "delayed", event{"delay": w.now().Add(-time.Minute).UnixMilli()}).events...)
	w.report(t, w.job("q", "n", "retry", time.Minute).then(0, "active", nil).then(time.Second, "failed", event{"failedReason": "[retrying] x"}).events...)
	for id, want := range map[string]string{"due": "[Starts in 1 h 00 min]", "over": "[Due for 1 min 00 s, and not begun]", "retry": "[Next attempt not begun after 59.0 s]"} {
		if got := told(t, w, "q", id); !slices.Contains(got, want) {
			t.Errorf("%s: %q lacks %q", id, got, want)
		}
	}
}

func TestOutcomesHaveTones(t *testing.T) {
	t.Parallel()
	if outcomeTone(fold.Succeeded) != "good" || outcomeTone(fold.AttemptFailed) != "bad" || outcomeTone(fold.WentSilent) != "warn" {
		t.Error("a bar has the wrong tone")
	}
}

func textOf(v any) string {
	if h, ok := v.(template.HTML); ok {
		return string(h)
	}
	return ""
}
