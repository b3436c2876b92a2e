package alert

import (
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/db/dbtest"
)

// TestSealed writes a word that is nowhere else into every text that people write to alerts and alerts tell, and looks for it
// in all tables: it is found where it is asked for, and lies nowhere in clear (SEC-4).
func TestSealed(t *testing.T) {
	t.Parallel()
	dbtest.EachConfig(t, func(t *testing.T, cfg db.Config) {
		const canary = "canary-3c81"
		s := newSite(t, cfg)
		a := s.seed(t, Alert{Name: "HighLoad", RuleID: "01jzzzzzzzzzzzzzzzzzzzzzzz", State: Firing, Labels: map[string]string{"instance": "web-1"},
			Annotations: map[string]string{"summary": "summary " + canary}, Facts: []Fact{{Title: "Top process", Text: "fact " + canary}}, StartedAt: time.Now(), FiredAt: time.Now()})
		page := alertHref(s.ws, a.ID)
		o := s.owner
		o.Post(page+"/ack", "note", "note "+canary).To(page + "?done=acked")
		o.Post(s.path("/silences"), "matchers", `instance="web-1"`, "lasts", "1h", "comment", "comment "+canary).To(s.path("/silences?done=saved"))
		o.Post(s.path("/maintenance"), "name", "window "+canary, "matchers", "", "start", time.Now().UTC().Add(time.Hour).Format(localTime), "lasts", "2h", "zone", "UTC", "repeat", "", "rule", "").To(s.path("/maintenance?done=saved"))
		list, err := s.m.Silences(t.Context(), s.ws, time.Now())
		if err != nil || len(list) != 1 {
			t.Fatal(list, err)
		}
		o.Post(s.path("/silences/"+string(list[0].ID)), "matchers", `instance="web-1"`, "lasts", "2h", "comment", "changed "+canary).To(s.path("/silences?done=saved"))

		o.Get(page).Is(200, "summary "+canary, "fact "+canary, "note "+canary, "changed "+canary)
		o.Get(s.path("/maintenance")).Is(200, "window "+canary)
		e := &engine{m: s.m, ws: s.ws}
		sealed, err := s.m.seal(t.Context(), e.ws, statusAAD(e.ws), []promGroup{{Name: canary}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.m.remove(t.Context(), `INSERT INTO alert_workspaces (workspace_id, rev, rules, routing, updated_at, holder, lease_until, status) VALUES ($1, 1, 1, '', 0, '', 0, $2)`, string(s.ws), sealed); err != nil {
			t.Fatal(err)
		}
		if groups, err := s.m.status(t.Context(), s.ws); err != nil || len(groups) != 1 || groups[0].Name != canary {
			t.Errorf("the status of another instance: %v, %v", groups, err)
		}
		s.FindNowhere(t, canary)

		// What is sealed for one thing does not open as another.
		if err := s.m.open(t.Context(), s.ws, noteAAD(a.ID), sealed, new(string)); err == nil {
			t.Error("the status opens as a note")
		}
	})
}
