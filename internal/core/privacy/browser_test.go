package privacy

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/platform/db/dbtest"
	"github.com/kept-dev/kept/internal/ui"
	"github.com/kept-dev/kept/internal/ui/uitest"
)

// servePage serves the page of a world in which one promise is broken.
func servePage(t *testing.T) string {
	t.Helper()
	w := newWorld(t, dbtest.Open(t, dbtest.SQLite(t)))
	shell, err := ui.New(ui.Config{})
	if err != nil {
		t.Fatal(err)
	}
	w.auditBad = 1
	w.module = New(Deps{DB: w.db, Sources: w.sources, UI: shell, Clock: func() time.Time { return w.now }})
	if _, err := w.module.RunAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /assets/", shell.Assets())
	for _, r := range w.module.Routes() {
		mux.HandleFunc(r.Method+" "+r.Path, func(w http.ResponseWriter, req *http.Request) {
			w.Header().Set("Content-Security-Policy", ui.ContentSecurityPolicy)
			if err := r.Handler(w, req); err != nil {
				t.Errorf("%s: %v", r.Path, err)
			}
		})
	}
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

func TestPageInABrowser(t *testing.T) {
	t.Parallel()
	page := uitest.Start(t).Open(t, servePage(t)+"/privacy#SEC-6")
	if row := page.Text(t, "#SEC-6"); !strings.Contains(row, "broken") || !strings.Contains(row, "tampered") {
		t.Errorf("SEC-6 reads %q", row)
	}
	if !uitest.Eval[bool](t, page, `document.querySelector("#SEC-6").getBoundingClientRect().top < innerHeight`) {
		t.Error("the link to a promise does not lead to it")
	}
	page.Look(t, "privacy")
}
