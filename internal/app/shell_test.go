package app_test

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/kept-dev/kept/internal/app"
	"github.com/kept-dev/kept/internal/core/workspace"
	"github.com/kept-dev/kept/internal/testkit"
)

var navHref = regexp.MustCompile(`<nav [^>]*>.*?</nav>`)

// navOf are the addresses in the navigation of a page.
func navOf(t *testing.T, b *testkit.Browser, page string) (out []string) {
	t.Helper()
	body := strings.ReplaceAll(b.Get(page).Want(http.StatusOK).Body, "\n", " ")
	for _, nav := range navHref.FindAllString(body, -1) {
		for _, m := range regexp.MustCompile(`href="(/[^"]+)"`).FindAllStringSubmatch(nav, -1) {
			if !slices.Contains(out, m[1]) {
				out = append(out, m[1])
			}
		}
	}
	return out
}

// TestNavigationIsWhatOpens: what a role sees in the navigation opens, and what an owner sees and the role does not is
// refused.
func TestNavigationIsWhatOpens(t *testing.T) {
	t.Parallel()
	testkit.EachApp(t, func(t *testing.T, a *testkit.App) {
		owner := a.SignedUp(t)
		all := append(navOf(t, owner.Browser, owner.Path("/settings")), navOf(t, owner.Browser, owner.Path("/jobs"))...)
		if len(all) < 8 {
			t.Fatalf("an owner sees only %v", all)
		}
		type visitor struct {
			name string
			*testkit.Person
		}
		var visitors []visitor
		for _, r := range workspace.Roles() {
			visitors = append(visitors, visitor{r.Name, memberAs(t, a, owner.WorkspaceID, r.Name)})
		}
		outside := memberAs(t, a, owner.WorkspaceID, workspace.RoleMember)
		exec(t, a, `UPDATE memberships SET apps = 'career' WHERE account_id = $1 AND workspace_id = $2`, outside.AccountID, owner.WorkspaceID)
		visitors = append(visitors, visitor{"member without jobs", outside})
		for _, v := range visitors {
			seen := navOf(t, v.Browser, owner.Path("/settings"))
			if slices.Contains(seen, owner.Path("/jobs")) {
				seen = append(seen, navOf(t, v.Browser, owner.Path("/jobs"))...)
			}
			for _, href := range seen {
				v.Get(href).Want(http.StatusOK)
			}
			for _, href := range all {
				if !slices.Contains(seen, href) {
					v.Get(href).Want(http.StatusForbidden)
				}
			}
			t.Logf("%s sees %d of %d", v.name, len(seen), len(all))
		}
	})
}

// TestAllPagesParse finds a broken template before somebody opens its page.
func TestAllPagesParse(t *testing.T) {
	t.Parallel()
	a := testkit.Start(t, testkit.With(app.WithMailbox(), app.WithDemoPages()))
	if err := a.CheckPages(); err != nil {
		t.Error(err)
	}
}
