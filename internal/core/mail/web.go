package mail

import (
	"net/http"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/httpx/respond"
	"github.com/kept-dev/kept/internal/ui"
)

const pathChoices = "/account/mail"

// Routes is the module's part of the route table: what people choose, what providers report and, where mail goes to a
// mailbox, its pages.
func (m *Module) Routes() []httpx.Route {
	const counted = "another machine's report: what comes of it is audited, the rest is counted"
	hooks := []httpx.Route{
		{Method: "POST", Path: "/hooks/mail/mailgun", Handler: m.hook("mailgun", m.readMailgun), Access: httpx.Handled, Rate: httpx.RateWrite, NoAudit: counted, MaxBody: maxReport},
		{Method: "POST", Path: "/hooks/mail/ses", Handler: m.hook("ses", m.readSES), Access: httpx.Handled, Rate: httpx.RateWrite, NoAudit: counted, MaxBody: maxReport},
	}
	if m.pages == nil {
		return hooks
	}
	const maxForm = 64 << 10
	secret := []string{"token"}
	return append(append(hooks,
		httpx.Route{Method: "GET", Path: pathUnsubscribe + "{token}", Handler: m.unsubscribePage, Access: httpx.Public, Rate: httpx.RatePage, Secrets: secret},
		httpx.Route{Method: "POST", Path: pathUnsubscribe + "{token}", Handler: m.unsubscribe, Access: httpx.Public, Rate: httpx.RateWrite, Audit: "mail.unsubscribe", Secrets: secret, MaxBody: maxForm},
		httpx.Route{Method: "GET", Path: pathChoices, Handler: m.choicesPage, Access: httpx.SignedIn, Rate: httpx.RatePage},
		httpx.Route{Method: "POST", Path: pathChoices, Handler: m.choose, Access: httpx.SignedIn, Rate: httpx.RateWrite, Audit: "mail.choose", MaxBody: maxForm},
		httpx.Route{Method: "POST", Path: pathChoices + "/retry", Handler: m.retry, Access: httpx.SignedIn, Rate: httpx.RateWrite, Audit: "mail.retry", MaxBody: maxForm},
	), m.mailboxRoutes()...)
}

// Nav is the module's part of the navigation.
func (m *Module) Nav() []ui.NavItem {
	if m.pages == nil {
		return nil
	}
	return []ui.NavItem{{App: "settings", Group: "Account", Label: "Mail", Href: pathChoices, Icon: "mail", Order: 14}}
}

type choicesView struct {
	Address string
	Mark    Mark
	Retry   ui.Form
	Form    *ui.Form // nil: there is no mail that can be refused
	Always  []Type
}

// choicesPage shows which mail a person gets, and whether it arrives.
func (m *Module) choicesPage(w http.ResponseWriter, r *http.Request) error {
	address := httpx.ActorOf(r.Context()).Email
	marks, err := m.marks(r.Context(), address)
	if err != nil {
		return err
	}
	v := choicesView{Address: address, Mark: marks[everyType], Retry: ui.Form{Action: pathChoices + "/retry", Submit: "Try this address again"}}
	form := ui.Form{Action: pathChoices, Submit: "Save", Narrow: true}
	for _, t := range m.Types() {
		_, refused := marks[t.ID]
		switch {
		case !t.Optional:
			v.Always = append(v.Always, t)
		case t.Kind == Transactional:
			form.Fields = append(form.Fields, ui.Field{Name: "type-" + t.ID, Label: t.Title, Kind: "checkbox", Checked: !refused})
		}
	}
	if len(form.Fields) > 0 {
		v.Form = &form
	}
	page := ui.Page{Title: "Mail", App: "settings", Lead: "What Kept sends to " + address + ".", Body: v}
	switch r.URL.Query().Get("done") {
	case "saved":
		page.Toasts = []ui.Toast{{Tone: ui.ToneGood, Text: "Your choice is saved."}}
	case "retry":
		page.Toasts = []ui.Toast{{Tone: ui.ToneGood, Text: "The next mail is tried again."}}
	}
	return m.pages.Render(w, r, http.StatusOK, "choices", page)
}

// choose saves what is ticked.
func (m *Module) choose(w http.ResponseWriter, r *http.Request) error {
	form, err := httpx.ReadForm(r)
	if err != nil {
		return err
	}
	address := httpx.ActorOf(r.Context()).Email
	marks, err := m.marks(r.Context(), address)
	if err != nil {
		return err
	}
	for _, t := range m.Types() {
		_, refused := marks[t.ID]
		if want := form.Has("type-" + t.ID); t.Optional && t.Kind == Transactional && want == refused {
			if err := m.Choose(r.Context(), address, t.ID, want); err != nil {
				return err
			}
		}
	}
	return respond.SeeOther(w, r, pathChoices+"?done=saved")
}

func (m *Module) retry(w http.ResponseWriter, r *http.Request) error {
	if err := m.Retry(r.Context(), httpx.ActorOf(r.Context()).Email); err != nil {
		return err
	}
	return respond.SeeOther(w, r, pathChoices+"?done=retry")
}

type typesView struct{ Types []Type }

// typeList lists every mail that can be sent, for whoever wants to see how it looks.
func (m *Module) typeList(w http.ResponseWriter, r *http.Request) error {
	return m.pages.Render(w, r, http.StatusOK, "types", ui.Page{Title: "Mail types", Shape: ui.ShapePlain,
		Lead: "Every mail that Kept can send, with made-up contents.", Crumbs: []ui.Crumb{{Label: "Mailbox", Href: "/mailbox"}}, Body: typesView{m.Types()}})
}

// preview is a type's sample as it would be sent.
func (m *Module) preview(r *http.Request) (t Type, msg Message, err error) {
	t, ok := m.types[r.PathValue("type")]
	if !ok {
		return t, msg, kernel.Errorf(kernel.NotFound, "There is no mail of this kind.")
	}
	const reader = "reader@example.org"
	unsubscribe, err := m.unsubscribeURL(reader, t.ID)
	if err == nil {
		msg, err = m.render.message(reader, unsubscribe, t.Sample)
	}
	return t, msg, err
}

type typeView struct {
	Type
	Message Message
	Frame   string
}

func (m *Module) typePage(w http.ResponseWriter, r *http.Request) error {
	t, msg, err := m.preview(r)
	if err != nil {
		return err
	}
	return m.pages.Render(w, r, http.StatusOK, "type", ui.Page{Title: t.Title, Shape: ui.ShapePlain,
		Crumbs: []ui.Crumb{{Label: "Mailbox", Href: "/mailbox"}, {Label: "Mail types", Href: "/mail/types"}},
		Body:   typeView{Type: t, Message: msg, Frame: "/mail/types/" + t.ID + "/html"}})
}

func (m *Module) typeHTML(w http.ResponseWriter, r *http.Request) error {
	_, msg, err := m.preview(r)
	if err != nil {
		return err
	}
	return writeMailHTML(w, msg.HTML)
}
