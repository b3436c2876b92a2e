package uitest

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// The harness itself must be able to find fault.
func TestFaultsAreFound(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", "default-src 'none'")
		_, _ = w.Write([]byte(`<!doctype html><html lang="en"><title>x</title><main><h1 style="color:red">x</h1>` +
			`<input><a href="#x" tabindex="-1">hidden from the keyboard</a><pre>` + strings.Repeat("wide", 500) + `</pre></main>`))
	}))
	t.Cleanup(srv.Close)
	page := Start(t).Open(t, srv.URL)

	if v := page.Violations(); len(v) != 1 || !strings.Contains(v[0], "style-src") {
		t.Errorf("violations: %v", v)
	}
	page.AllowViolations()
	var ids []string
	for _, v := range page.axe(t) {
		ids = append(ids, v.ID)
	}
	if !slices.Contains(ids, "label") {
		t.Errorf("axe did not miss the label: %v", ids)
	}
	if wide := page.sideways(t); len(wide) == 0 {
		t.Error("the wide text was not noticed")
	}
	if order := page.FocusOrder(t, 9); len(order) != 1 {
		t.Errorf("focus order: %v", order)
	}
	if missed := page.Unreached(t); len(missed) != 1 {
		t.Errorf("unreached: %v", missed)
	}
}
