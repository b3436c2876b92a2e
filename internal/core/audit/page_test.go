package audit_test

import (
	"strings"
	"testing"

	"github.com/kept-dev/kept/internal/core/access/accesstest"
	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/platform/db"
)

// TestAuditSearchPage finds lines by words, by address and by person, on the page and in the download.
func TestAuditSearchPage(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		account, ws, _ := s.Owner(t, "ann@example.org", "Acme")
		record := func(e audit.Event) {
			t.Helper()
			e.WorkspaceID = ws
			if err := s.DB.Tx(t.Context(), func(tx *db.Tx) error { return audit.Record(t.Context(), tx, e) }); err != nil {
				t.Fatal(err)
			}
		}
		record(audit.Event{Actor: audit.Actor{Kind: "account", ID: "01arz3ndektsv4rrffq69g5fav", Label: "bob@example.org"}, Action: "thing.change", Target: "thing:1", Detail: "blue → green", IP: "192.0.2.7"})
		record(audit.Event{Actor: audit.System, Action: "thing.sweep", Target: "thing:2", Detail: "old things"})
		b := s.Browser(t, "192.0.2.1").SignIn("ann@example.org")
		page := accesstest.Settings(ws) + "/audit"
		b.Get(page).Is(200, "thing.change", "thing.sweep", `href="?actor=`+string(account)+`"`)
		b.Get(page+"?q=GREEN+bob").Is(200, "thing:1").Lacks("thing:2")
		b.Get(page+"?ip=192.0.2.").Is(200, "thing:1").Lacks("thing:2")
		b.Get(page+"?actor=01arz3ndektsv4rrffq69g5fav").Is(200, "thing:1").Lacks("thing:2")
		b.Get(page+"?q=nowhere").Is(200, "No line matches")
		a := b.Get(page+".json?q=green").Is(200, `"thing:1"`, "head_hash").Lacks("thing:2")
		if got := a.Header.Get("Content-Disposition"); got != `attachment; filename="kept-audit-2026-03-01.json"` || !strings.HasPrefix(a.Header.Get("Content-Type"), "application/json") {
			t.Errorf("the download is called %q", got)
		}
	})
}
