package ui

import (
	"encoding/json"
	"net/http"
	"net/url"
)

// Shape is the frame around a page's content.
type Shape string

// The shapes of a page.
const (
	ShapeApp    Shape = ""       // top bar, sidebar, content
	ShapeCenter Shape = "center" // one narrow column: sign-in and the like
	ShapePlain  Shape = "plain"  // top bar and a readable column: policies, receipts
	ShapePublic Shape = "public" // a readable column for anybody, the same for all: no frame is asked for, so it may be cached
)

// Page is one page: what the layout needs, and the page's own view in Body,
// which is what its "content" template gets as its dot.
type Page struct {
	Title   string  // of the tab and of the heading
	Lead    string  // one sentence under the heading, optional
	App     string  // key of the current App
	Section string  // Href of the current NavItem; empty: the longest that fits the URL
	Crumbs  []Crumb // the way here, without the page itself
	Shape   Shape
	Actions []Action // right of the heading
	Live    *Live    // nil: the page does not change by itself
	Feed    string   // address of a feed (Atom) of what the page shows; empty: none
	NoHead  bool     // the page draws its own heading (there must be one h1)
	Toasts  []Toast  // in addition to those of the frame
	Body    any

	frame *Frame // of the gallery, instead of Config.Frame
}

// Frame is what surrounds a page for one viewer; see Config.Frame.
type Frame struct {
	Viewer *Viewer // nil: nobody is signed in
	Nav    []NavItem
	Toasts []Toast // messages left by the request before
	Notice *Notice // a line above everything, for maintenance or a new policy
}

// Viewer is who is looking.
type Viewer struct {
	Email         string
	Name          string
	Workspace     string // name of the current workspace
	WorkspaceHref string
	Workspaces    []Link // to switch to, without the current one
	SignOut       string // where the sign-out form is posted; empty: no form
}

// Crumb is one step of the way to a page.
type Crumb struct{ Label, Href string }

// Link is a labelled address.
type Link struct{ Label, Href string }

// Tone is the meaning that a colour stands for.
type Tone string

// The tones. Colour never carries a meaning alone: a label or icon says it too.
const (
	ToneNeutral Tone = "neutral"
	ToneGood    Tone = "good"
	ToneBad     Tone = "bad"
	ToneWarn    Tone = "warn"
	ToneActive  Tone = "active"
)

// Toast is a short message that goes away by itself unless its tone is bad.
type Toast struct {
	Tone Tone   `json:"tone"`
	Text string `json:"text"`
	Href string `json:"href,omitempty"` // where to look further, optional
	Link string `json:"link,omitempty"` // label of Href
}

// SendToast makes htmx show a toast when it has this answer. Call it before
// the body is written; the last call wins.
func SendToast(w http.ResponseWriter, t Toast) {
	// Marshalling escapes everything outside ASCII that a header cannot carry
	// except letters, which are escaped here.
	b, err := json.Marshal(map[string]Toast{"kept:toast": t})
	if err != nil {
		return
	}
	w.Header().Set("HX-Trigger", asciiJSON(b))
}

// Notice is a line across the top of every page.
type Notice struct {
	Tone Tone
	Text string
	Href string
	Link string
	Hide string // where it is hidden, by a form that also posts the page that one is on as "back"; empty: it stays
}

// Action is a button or link that stands beside a heading or in an empty state.
type Action struct {
	Label   string
	Href    string
	Icon    string
	Primary bool
	Danger  bool
	Post    bool   // a form that posts to Href instead of a link
	Opens   string // id of the Dialog that the link opens when scripts run
}

// Live keeps one element of a page up to date; see the kept-live element.
type Live struct {
	Src    string // server-sent events; any event means "look again"
	Target string // id of the element that is fetched anew
}

// layoutView is the dot of the layout.
type layoutView struct {
	Page
	Frame
	Product string
	Switch  []appLink
	Menu    []appLink
	Nav     []navLink
	Toasts  []Toast
	URL     *url.URL
	Back    string // this page, to come back to
	AppName string
}

func (u *UI) view(r *http.Request, page Page) layoutView {
	var frame Frame
	switch {
	case page.frame != nil:
		frame = *page.frame
	case page.Shape == ShapePublic:
	case u.cfg.Frame != nil:
		frame = u.cfg.Frame(r)
	}
	v := layoutView{Page: page, Frame: frame, Product: u.cfg.Product, URL: r.URL, Back: "/"}
	if r.Method == http.MethodGet {
		v.Back = r.URL.RequestURI()
	}
	v.Toasts = append(append([]Toast(nil), frame.Toasts...), page.Toasts...)
	v.Switch, v.Menu = appLinks(u.cfg.Apps, frame.Nav, page.App)
	v.Nav = navLinks(frame.Nav, page.App, page.Section, r.URL.Path)
	for _, a := range u.cfg.Apps {
		if a.Key == page.App {
			v.AppName = a.Label
		}
	}
	return v
}
