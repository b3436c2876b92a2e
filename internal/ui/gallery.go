package ui

import (
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// galleryView is everything the living page of components shows. Its values
// are examples, and the page says so.
type galleryView struct {
	Path       string
	Stats      []Stat
	Filters    Filters
	Sorts      Sorts
	Rows       []galleryJob
	Pager      Pager
	NoMatch    Empty
	Range      TimeRange
	Charts     []Chart
	Panels     []Chart
	Timeline   Timeline
	JSON       []byte
	NotJSON    string
	Stack      string
	Command    string
	Terms      []Term
	Tabs       Tabs
	Form       Form
	BadForm    Form
	Buttons    []Action
	Dialog     Dialog
	Badges     []string
	Values     []Term
	Progress   []Progress
	ToastKinds []Option
	Empty      Empty
	Icons      []string
}

// Gallery is the living page of all components with example values. Mount it
// for GET and POST at one path. Besides the page it answers, at the same path,
// what the components need: ?events=1 (server-sent events), ?question=1 (the
// page behind the dialog), ?chart=1 (numbers of a chart), ?error=404 (an error
// page).
func (u *UI) Gallery(w http.ResponseWriter, r *http.Request) {
	if err := u.gallery(w, r); err != nil {
		http.Error(w, "the gallery could not be drawn: "+err.Error(), http.StatusInternalServerError)
	}
}

func (u *UI) gallery(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	switch {
	case r.Method == http.MethodPost:
		return u.galleryPost(w, r)
	case q.Has("events"):
		return galleryEvents(w, r)
	case q.Has("chart"):
		return galleryChart(w)
	case q.Has("question"):
		view := galleryDialog(r.URL.Path)
		return u.own.Render(w, r, http.StatusOK, "question", Page{Title: view.Title, Shape: ShapeCenter, Body: view})
	case q.Has("error"):
		status, err := strconv.Atoi(q.Get("error"))
		if err != nil || status < 400 || status > 599 {
			status = http.StatusNotFound
		}
		return u.Error(w, r, ErrorView{Status: status, RequestID: "req_0example"})
	}
	return u.galleryPage(w, r, http.StatusOK, galleryForm(r.URL.Path), nil)
}

func (u *UI) galleryPage(w http.ResponseWriter, r *http.Request, status int, form Form, toasts []Toast) error {
	now := time.Now().UTC()
	view := newGalleryView(r, now)
	view.Form = form
	return u.own.Render(w, r, status, "gallery", Page{
		Title: "Components", Lead: "Every part that pages are made of, with example values.",
		App: "ui", Crumbs: []Crumb{{"Kept", "/"}, {"Interface", ""}},
		Live:    &Live{Src: r.URL.Path + "?events=1", Target: "gallery-stats"},
		Actions: []Action{{Label: "Error page", Href: r.URL.Path + "?error=404", Icon: "alert"}},
		Toasts:  toasts, Body: view, frame: u.galleryFrame(r),
	})
}

// galleryFrame adds a sidebar with the sections to the frame of the viewer.
func (u *UI) galleryFrame(r *http.Request) *Frame {
	var f Frame
	if u.cfg.Frame != nil {
		f = u.cfg.Frame(r)
	}
	nav := append([]NavItem(nil), f.Nav...)
	for _, s := range [][3]string{{"lists", "Lists", "list"}, {"charts", "Charts", "chart"}, {"timelines", "Timelines", "flow"},
		{"data", "Data", "database"}, {"tabs", "Tabs", "copy"}, {"forms", "Forms", "edit"}, {"buttons", "Buttons", "plus"},
		{"badges", "Badges", "check"}, {"values", "Values", "clock"}, {"progress", "Progress", "refresh"},
		{"toasts-demo", "Messages", "bell"}, {"empty", "Empty", "inbox"}, {"icons", "Icons", "eye"}} {
		nav = append(nav, NavItem{App: "ui", Label: s[1], Href: "#" + s[0], Icon: s[2]})
	}
	f.Nav = nav
	return &f
}

func (u *UI) galleryPost(w http.ResponseWriter, r *http.Request) error {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	if err := r.ParseForm(); err != nil {
		return u.Error(w, r, ErrorView{Status: http.StatusBadRequest})
	}
	if kind := r.PostForm.Get("toast"); kind != "" {
		toast := galleryToast(kind)
		if r.Header.Get("HX-Request") == "true" {
			SendToast(w, toast)
			w.WriteHeader(http.StatusNoContent)
			return nil
		}
		return u.galleryPage(w, r, http.StatusOK, galleryForm(r.URL.Path), []Toast{toast})
	}
	form := galleryForm(r.URL.Path)
	errs := map[string]string{}
	for i, f := range form.Fields {
		form.Fields[i].Value = r.PostForm.Get(f.Name)
		if f.Required && form.Fields[i].Value == "" {
			errs[f.Name] = "Fill this in."
		}
	}
	if len(errs) > 0 {
		return u.galleryPage(w, r, http.StatusUnprocessableEntity, form.WithErrors(errs), nil)
	}
	return u.galleryPage(w, r, http.StatusOK, galleryForm(r.URL.Path), []Toast{{Tone: ToneGood, Text: "Nothing was saved: this is an example."}})
}

func galleryToast(kind string) Toast {
	switch Tone(kind) {
	case ToneBad:
		return Toast{Tone: ToneBad, Text: "The job could not be retried: its queue is gone.", Href: "#lists", Link: "Show the list"}
	case ToneGood:
		return Toast{Tone: ToneGood, Text: "The key was created."}
	}
	return Toast{Tone: ToneNeutral, Text: "The export has begun. You will get a mail."}
}

// galleryEvents says "changed" every few seconds until the browser leaves.
func galleryEvents(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no")
	control := http.NewResponseController(w)
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	for {
		if _, err := fmt.Fprint(w, "event: changed\ndata: 1\n\n"); err != nil {
			return nil
		}
		if err := control.Flush(); err != nil {
			return nil
		}
		select {
		case <-r.Context().Done():
			return nil
		case <-tick.C:
		}
	}
}
