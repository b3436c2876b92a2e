package dashboard

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/httpx/respond"
	"github.com/kept-dev/kept/internal/ui"
)

type jsonView struct {
	frame
	Text   string
	Errors []string // one on each line, with line numbers
	Saves  int64
}

// Places are the errors with their lines, as JSON for the editor; empty where none has one.
func (v jsonView) Places() string {
	type place struct {
		Line int    `json:"line"`
		Text string `json:"text"`
	}
	var out []place
	for _, text := range v.Errors {
		var n int
		if _, err := fmt.Sscanf(text, "Line %d:", &n); err == nil {
			_, rest, _ := strings.Cut(text, ": ")
			out = append(out, place{n, rest})
		}
	}
	if out == nil {
		return ""
	}
	return string(encode(out))
}

// Lines is how high the editor is.
func (v jsonView) Lines() int { return min(40, max(16, strings.Count(v.Text, "\n")+2)) }

func (m *Module) jsonPage(w http.ResponseWriter, r *http.Request) error {
	f, err := m.stored(r)
	if err != nil {
		return err
	}
	return m.renderJSON(w, r, http.StatusOK, jsonView{frame: f, Text: string(f.D.Encode()), Saves: f.Version()})
}

func (m *Module) renderJSON(w http.ResponseWriter, r *http.Request, status int, v jsonView) error {
	return m.pages.Render(w, r, status, "json", ui.Page{Title: "JSON of " + v.D.Title, App: appKey, Section: homeHref(v.WS), Crumbs: editCrumbs(v.frame), Body: v,
		Lead: "The whole dashboard as text. It is checked when you save it."})
}

func (m *Module) saveJSON(w http.ResponseWriter, r *http.Request) error {
	f, err := m.stored(r)
	if err != nil {
		return err
	}
	form, err := httpx.ReadForm(r)
	if err != nil {
		return err
	}
	text := strings.ReplaceAll(form.Get("json"), "\r\n", "\n")
	d, err := Decode([]byte(text))
	if err == nil {
		if err = d.newQueries(f.D); err != nil {
			err = faultsError([]byte(text), faultsOf(err)) // with the lines of this text, not of ours
		}
	}
	if err == nil {
		if _, err = m.commit(r, f, readVersion(form), d, "JSON"); err == nil {
			return respond.SeeOther(w, r, f.Base+"?done=saved")
		}
	}
	e := kernel.AsError(err)
	v := jsonView{frame: f, Text: text, Saves: readVersion(form), Errors: strings.Split(e.Safe, "\n")}
	switch e.Code {
	case kernel.Invalid:
	case kernel.Conflict:
		v.Saves = f.Version()
		v.Errors = []string{fmt.Sprintf("Somebody saved this dashboard meanwhile: it is at version %d now. Look at its history. Saving again replaces what was saved by this text; that can be undone.", f.Version())}
	default:
		return err
	}
	return m.renderJSON(w, r, http.StatusUnprocessableEntity, v)
}

// faultsOf are the faults that an error was made of.
func faultsOf(err error) (out []fault) {
	fields := kernel.AsError(err).Fields
	for path, text := range fields {
		out = append(out, fault{path, text})
	}
	sortFaults(out)
	return out
}
