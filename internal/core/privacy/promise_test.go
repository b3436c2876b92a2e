package privacy

import (
	"strings"
	"testing"
)

func TestRegistry(t *testing.T) {
	t.Parallel()
	count := map[Section]int{}
	seen := map[string]bool{}
	for _, p := range Promises() {
		count[p.Section]++
		if seen[p.ID] {
			t.Errorf("%s is there twice", p.ID)
		}
		seen[p.ID] = true
		if p.Text == "" || strings.Contains(p.Text, "**") {
			t.Errorf("%s: text %q", p.ID, p.Text)
		}
		if len(p.By.Names()) != len(p.By) || p.By == "" {
			t.Errorf("%s: services %q", p.ID, p.By)
		}
		if (p.Check == nil) != (p.Looks == "") {
			t.Errorf("%s: what a check looks at is said where there is a check", p.ID)
		}
		if p.Check == nil && (p.NotYet.Reason == "" || p.NotYet.Area == "") {
			t.Errorf("%s has neither a check nor a reason why not", p.ID)
		}
	}
	want := map[Section]int{Collecting: 15, Use: 8, Retention: 8, Security: 9, Rights: 6}
	for section, n := range want {
		if count[section] != n {
			t.Errorf("%s has %d promises, want %d", section, count[section], n)
		}
	}
}

func TestServices(t *testing.T) {
	t.Parallel()
	if got := strings.Join(Services("JCUPT").Names(), " "); got != "Jobviz Clairvio Unimoni Jobplanr JobTrax" {
		t.Error(got)
	}
}

func TestPlansKeepWhatWasPromised(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		plan       string
		jobs, recs int // days
	}{{PlanFree, 7, 7}, {PlanPro, 90, 30}, {PlanStarter, 7, 30}, {PlanGrowth, 90, 90}, {PlanScale, 90, 365}} {
		p, ok := PlanNamed(c.plan)
		if !ok || p.JobEvents != days(c.jobs) || p.Recordings != days(c.recs) {
			t.Errorf("%s: %+v", c.plan, p)
		}
	}
	if _, ok := PlanNamed(PlanSelfHosted); ok {
		t.Error("self-hosting is sold")
	}
}
