package ui_test

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing/fstest"

	"github.com/kept-dev/kept/internal/ui"
)

// A feature package embeds its templates, parses them once, and renders one
// typed view per page. The template named "#jobs" is what htmx gets when it
// asks for the element with that id.
func Example() {
	u, err := ui.New(ui.Config{})
	if err != nil {
		panic(err)
	}
	templates := fstest.MapFS{"jobs.html": {Data: []byte(`{{define "content"}}{{template "#jobs" .}}{{end}}
{{define "#jobs"}}<div id="jobs">{{template "ui.filters" .Filters}}{{range .Names}}<p>{{.}} {{badge "completed"}}</p>{{end}}</div>{{end}}`)}}
	pages := u.MustPages(templates, "*.html")

	r := httptest.NewRequest("GET", "/jobs?q=mail", nil)
	w := httptest.NewRecorder()
	err = pages.Render(w, r, 200, "jobs", ui.Page{Title: "Jobs", Body: struct {
		Filters ui.Filters
		Names   []string
	}{ui.NewFilters(r.URL, "jobs", ui.Filter{Name: "q", Label: "Search"}), []string{"send-mail"}}})
	fmt.Println(err, strings.Contains(w.Body.String(), `value="mail"`), strings.Contains(w.Body.String(), "<p>send-mail <span"))
	// Output: <nil> true true
}
