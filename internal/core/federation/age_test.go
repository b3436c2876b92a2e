package federation_test

import (
	"testing"

	"github.com/kept-dev/kept/internal/core/access/accesstest"
	"github.com/kept-dev/kept/internal/core/identity"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/db/dbtest"
)

// TestProviderSignUpAsksTheAge: who comes from a provider is asked as well, and of somebody too young nothing stays.
func TestProviderSignUpAsksTheAge(t *testing.T) {
	t.Parallel()
	dbtest.EachConfig(t, func(t *testing.T, cfg db.Config) {
		s := accesstest.New(t, cfg, func(d *identity.Deps) { d.MinAge = 18 })
		w := &world{Stack: s, t: t, cloud: &cloud{}}
		google := w.withGoogle()
		b := w.Browser(t, "192.0.2.1")
		arrive := func() {
			t.Helper()
			b.Get(goTo(t, b, google, "/sign-in/with/google")).To("/sign-in/finish")
		}
		arrive()
		b.Get("/sign-in/finish").Is(200, "Date of birth", "18 or older")
		b.Post("/sign-in/finish", "name", "Ann").Is(422, "day on which you were born", `value="Ann"`)
		b.Post("/sign-in/finish", "name", "Ann", "born", "2010-05-05").Is(403, "at least 18")
		b.Post("/sign-in/finish", "name", "Ann", "born", "1990-05-05").Is(404, "too long")
		if n := w.Rows(t, "accounts") + w.Rows(t, "linked_providers") + w.Rows(t, "identity_flows"); n != 0 {
			t.Fatalf("%d rows are kept of somebody who is too young", n)
		}
		arrive()
		b.Post("/sign-in/finish", "name", "Ann", "born", "1990-05-05").To("/")
		s.FindNowhere(t, "1990-05-05")
	})
}
