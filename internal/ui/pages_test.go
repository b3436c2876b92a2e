package ui

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
)

func newUI(t *testing.T, cfg Config) *UI {
	t.Helper()
	u, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func page(text string) fstest.MapFS {
	return fstest.MapFS{"p.html": {Data: []byte(text)}}
}

func TestRenderChoosesPageOrFragment(t *testing.T) {
	t.Parallel()
	u := newUI(t, Config{})
	pages, err := u.Pages(page(`{{define "content"}}<p>before</p>{{template "#list" .}}{{end}}{{define "#list"}}<ul id="list"><li>{{.}}</li></ul>{{end}}`), "*.html")
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name            string
		header          map[string]string
		want, wantNot   string
		wantReselection string
	}{
		{"page", nil, "<!doctype html>", "", ""},
		{"fragment", map[string]string{"HX-Request": "true", "HX-Target": "ul#list", "HX-Request-Type": "partial"}, `<ul id="list"><li>one &lt; two`, "doctype", ""},
		{"fragment of htmx 2", map[string]string{"HX-Request": "true", "HX-Target": "list"}, `<ul id="list">`, "doctype", ""},
		{"no such fragment", map[string]string{"HX-Request": "true", "HX-Target": "div#other", "HX-Request-Type": "partial"}, "<!doctype html>", "", "#other"},
		{"history", map[string]string{"HX-Request": "true", "HX-Target": "ul#list", "HX-History-Restore-Request": "true"}, "<!doctype html>", "", ""},
		{"hostile target", map[string]string{"HX-Request": "true", "HX-Target": "ul#a\" onload=x"}, "<!doctype html>", "onload", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/x", nil)
			for k, v := range tc.header {
				r.Header.Set(k, v)
			}
			w := httptest.NewRecorder()
			if err := pages.Render(w, r, 200, "p", Page{Title: "T", Body: "one < two"}); err != nil {
				t.Fatal(err)
			}
			body := w.Body.String()
			if !strings.Contains(body, tc.want) || tc.wantNot != "" && strings.Contains(body, tc.wantNot) {
				t.Errorf("want %q and not %q in:\n%s", tc.want, tc.wantNot, body)
			}
			if got := w.Header().Get("HX-Reselect"); got != tc.wantReselection {
				t.Errorf("HX-Reselect = %q, want %q", got, tc.wantReselection)
			}
		})
	}
}

func TestRenderErrorWritesNothing(t *testing.T) {
	t.Parallel()
	pages, err := newUI(t, Config{}).Pages(page(`{{define "content"}}{{.Missing.Field}}{{end}}`), "*.html")
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	err = pages.Render(w, httptest.NewRequest(http.MethodGet, "/", nil), 200, "p", Page{Body: struct{}{}})
	if err == nil || w.Body.Len() != 0 || len(w.Result().Header["Content-Type"]) != 0 {
		t.Errorf("err = %v, wrote %q", err, w.Body)
	}
}

func TestPagesRejectsBrokenTemplates(t *testing.T) {
	t.Parallel()
	u := newUI(t, Config{})
	for name, text := range map[string]string{
		"syntax":            `{{define "content"}}{{if}}{{end}}`,
		"no content":        `{{define "other"}}x{{end}}`,
		"unknown template":  `{{define "content"}}{{template "ui.nothing" .}}{{end}}`,
		"unknown function":  `{{define "content"}}{{nothing .}}{{end}}`,
		"broken html":       `{{define "content"}}<a href="{{if .}}x"{{else}}y{{end}}>{{end}}`,
		"broken fragment":   `{{define "content"}}x{{end}}{{define "#f"}}<a href="{{if .}}x"{{else}}y{{end}}>{{end}}`,
		"inline style":      `{{define "content"}}<p style="color:red">x</p>{{end}}`,
		"inline script":     `{{define "content"}}<script>alert(1)</script>{{end}}`,
		"handler attribute": `{{define "content"}}<p onclick="x()">x</p>{{end}}`,
	} {
		t.Run(name, func(t *testing.T) {
			pages, err := u.Pages(page(text), "*.html")
			if err != nil {
				t.Fatal(err)
			}
			if err := pages.Check(); err == nil {
				t.Errorf("accepted %s", text)
			}
		})
	}
}

func TestOwnPages(t *testing.T) {
	t.Parallel()
	if err := newUI(t, Config{}).Check(); err != nil {
		t.Error(err)
	}
}
