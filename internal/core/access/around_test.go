package access_test

import (
	"testing"

	"github.com/kept-dev/kept/internal/core/access/accesstest"
)

// TestOnesOwnPagesKeepTheNavigation looks at a page that is in no workspace.
func TestOnesOwnPagesKeepTheNavigation(t *testing.T) {
	t.Parallel()
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		_, first, _ := s.Owner(t, owner, "Alpha")
		_, foreign, _ := s.Owner(t, "bob@example.org", "Beta")
		b := s.Browser(t, "192.0.2.1").SignIn(owner)
		b.Get("/account").Is(200, accesstest.Settings(first)+"/members", ">Alpha<")

		_, second, _ := s.Owner(t, owner, "Gamma")
		b.Get("/account").Is(200).Lacks("/settings/members")
		for ws, from := range map[string]string{
			string(second): "https://kept.example/w/" + string(second) + "/settings",
			string(first):  "https://kept.example/w/" + string(first),
		} {
			b.From = from
			b.Get("/account").Is(200, "/w/"+ws+"/settings/members")
		}
		for _, from := range []string{
			"https://kept.example/w/" + string(foreign) + "/settings", "https://elsewhere.example/w/" + string(first), "https://kept.example/w/", "%",
		} {
			b.From = from
			b.Get("/account").Is(200).Lacks("/settings/members", string(foreign))
		}
	})
}
