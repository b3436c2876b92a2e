package identity_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/kept-dev/kept/internal/core/access/accesstest"
	"github.com/kept-dev/kept/internal/platform/db/dbtest"
	"github.com/kept-dev/kept/internal/ui/uitest"
)

// TestPagesInABrowser: every page of the module at a desk and on a phone: axe finds nothing, nothing scrolls sideways,
// everything is reached by keyboard, and nothing breaks the content security policy.
func TestPagesInABrowser(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	base := "http://" + l.Addr().String()
	s := accesstest.New(t, dbtest.SQLite(t), adults)
	server := &httptest.Server{Listener: l, Config: &http.Server{Handler: s.Mux}}
	server.Start()
	t.Cleanup(server.Close)
	s.Owner(t, known, "Ann's shop")
	token := newcomer(t, s, s.Browser(t, "192.0.2.1"))

	p := uitest.Start(t).Open(t, base+"/sign-in/with-link")
	p.Look(t, "with-link")
	p.Go(t, base+"/sign-up/finish?token="+token)
	p.Look(t, "finish")
	p.Go(t, base+"/sign-in")
	p.Fill(t, "#f-email", known)
	p.Fill(t, "#f-password", accesstest.Password)
	p.Click(t, "form[action='/sign-in'] button.btn-primary")
	p.Wait(t, `!location.pathname.startsWith("/sign-in") && document.readyState === "complete"`)
	signInFrom(t, s, dutch, firefox)
	signInFrom(t, s, german, safari)
	for _, page := range []string{"account", "security", "logins"} {
		path := "/account"
		if page != "account" {
			path += "/" + page
		}
		p.Go(t, base+path)
		p.Look(t, page)
		p.FocusOrder(t, 60)
		if left := p.Unreached(t); len(left) > 0 {
			t.Errorf("%s: the keyboard does not reach %q", page, left)
		}
	}
	p.Scripts(t, false)
	p.Go(t, base+"/account/logins")
	p.Click(t, "form[action='/account/logins/end-all'] button")
	p.Wait(t, `location.pathname === "/sign-in"`)
}
