package status

import (
	"net/http"

	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/httpx/respond"
	"github.com/kept-dev/kept/internal/ui"
)

func (m *Module) subscribePost(w http.ResponseWriter, r *http.Request) error {
	s, err := m.public(r.Context(), r.PathValue("slug"))
	if err != nil {
		return err
	}
	form, err := httpx.ReadForm(r)
	if err != nil {
		return err
	}
	if err := m.Subscribe(r.Context(), s.page, form.Get("address")); err != nil {
		f := mailForm(s.page, form.Get("address"))
		status, err := formStatus(&f, err)
		if err != nil {
			return err
		}
		return m.renderPublic(w, r, s, f, webhookForm(s.page, ""), status)
	}
	return respond.SeeOther(w, r, publicHref(s.page)+"?done=asked")
}

func (m *Module) subscribeWebhookPost(w http.ResponseWriter, r *http.Request) error {
	s, err := m.public(r.Context(), r.PathValue("slug"))
	if err != nil {
		return err
	}
	form, err := httpx.ReadForm(r)
	if err != nil {
		return err
	}
	if err := m.SubscribeWebhook(r.Context(), s.page, form.Get("url")); err != nil {
		f := webhookForm(s.page, form.Get("url"))
		status, err := formStatus(&f, err)
		if err != nil {
			return err
		}
		return m.renderPublic(w, r, s, mailForm(s.page, ""), f, status)
	}
	return respond.SeeOther(w, r, publicHref(s.page)+"?done=posted")
}

// byToken is the page of a link, and whose link it is.
func (m *Module) byToken(r *http.Request) (p Page, s Subscriber, token string, err error) {
	page, err := m.public(r.Context(), r.PathValue("slug"))
	if err != nil {
		return p, s, "", err
	}
	token = r.PathValue("token")
	s, err = m.subscriberOf(r.Context(), page.page, token)
	return page.page, s, token, err
}

// where is what a subscriber's updates go to, in a sentence.
func (s Subscriber) where() string {
	if s.Kind == byWebhook {
		return "your webhook at " + s.Host()
	}
	return "your address"
}

type answerView struct {
	ui.Dialog        // without a button there is no form
	Secret    string // of a webhook, shown once
	Page, End string // links to the page and to the end of the subscription
}

func (m *Module) answer(w http.ResponseWriter, r *http.Request, title string, v answerView) error {
	return m.pages.Render(w, r, http.StatusOK, "answer", ui.Page{Title: title, Shape: ui.ShapeCenter, Body: v})
}

func (m *Module) confirmPage(w http.ResponseWriter, r *http.Request) error {
	p, s, token, err := m.byToken(r)
	if err != nil {
		return err
	}
	if s.On() {
		return m.subscribed(w, r, p, s, token, "")
	}
	return m.answer(w, r, "Get these updates?", answerView{Dialog: ui.Dialog{Text: "Incidents and maintenance of “" + p.Title + "” are sent to " + s.where() + ".",
		Form: ui.Form{Action: publicHref(p) + "/confirm/" + token, Submit: "Yes, send them"}}})
}

func (m *Module) confirmPost(w http.ResponseWriter, r *http.Request) error {
	p, s, token, err := m.byToken(r)
	if err != nil {
		return err
	}
	secret, _, err := m.Confirm(r.Context(), p, token)
	if err != nil {
		return err
	}
	return m.subscribed(w, r, p, s, token, secret)
}

func (m *Module) subscribed(w http.ResponseWriter, r *http.Request, p Page, s Subscriber, token, secret string) error {
	return m.answer(w, r, "You are subscribed", answerView{Secret: secret, Page: publicHref(p), End: publicHref(p) + "/unsubscribe/" + token,
		Dialog: ui.Dialog{Text: "The next update of “" + p.Title + "” goes to " + s.where() + "."}})
}

func (m *Module) unsubscribePage(w http.ResponseWriter, r *http.Request) error {
	p, s, token, err := m.byToken(r)
	if err != nil {
		return err
	}
	return m.answer(w, r, "No more of these updates?", answerView{Dialog: ui.Dialog{Text: "Nothing of “" + p.Title + "” is sent to " + s.where() + " any more, and it is forgotten.",
		Form: ui.Form{Action: publicHref(p) + "/unsubscribe/" + token, Submit: "Unsubscribe"}}})
}

func (m *Module) unsubscribePost(w http.ResponseWriter, r *http.Request) error {
	p, _, token, err := m.byToken(r)
	if err != nil {
		return err
	}
	if err := m.Unsubscribe(r.Context(), p, token); err != nil {
		return err
	}
	return respond.SeeOther(w, r, publicHref(p)+"?done=ended")
}
