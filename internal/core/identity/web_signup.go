package identity

import (
	"net/http"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/httpx/respond"
	"github.com/kept-dev/kept/internal/ui"
)

func (m *Module) signUpCard(email, next string) cardPage {
	return cardPage{title: "Open an account", lead: "We mail you a link with which you choose a password.", view: cardView{
		Form: &ui.Form{Action: pathSignUp, Submit: "Mail me the link", Hidden: hidden("next", next),
			Fields: []ui.Field{emailField(email, true)}},
		Offers: m.offers(next), Links: []ui.Link{{Label: "I have an account", Href: withNext(pathSignIn, next)}},
	}}
}

func (m *Module) signUpPage(w http.ResponseWriter, r *http.Request) error {
	if m.d.ClosedSignUp {
		return kernel.Errorf(kernel.Forbidden, "Nobody can sign up on this server. Ask the person who runs it for an account.")
	}
	next := localPath(r.URL.Query().Get("next"))
	if !httpx.ActorOf(r.Context()).Anonymous() {
		return respond.SeeOther(w, r, m.d.Start)
	}
	p := m.signUpCard("", next)
	return m.card(w, r, http.StatusOK, p.title, p.lead, p.view)
}

func (m *Module) signUp(w http.ResponseWriter, r *http.Request) error {
	if err := parseForm(r); err != nil {
		return err
	}
	email, next := r.PostForm.Get("email"), localPath(r.PostForm.Get("next"))
	if err := m.RequestSignUp(r.Context(), email, next); err != nil {
		return m.again(w, r, m.signUpCard(email, next), err)
	}
	return m.sent(w, r, pathSignUp, email, next)
}

// sent is the page after every form that may have sent a mail. It is the same whether it did. The address stays out of
// the page's own address, which is logged.
func (m *Module) sent(w http.ResponseWriter, r *http.Request, action, email, next string) error {
	form := &ui.Form{Action: action, Submit: "Mail it again", Hidden: append(hidden("email", email), hidden("next", next)...)}
	v := cardView{Form: form, Text: []string{"It may take a minute. If nothing arrives, look into the spam folder and check the address."}}
	if m.d.MailboxHref != "" {
		v.Links = append(v.Links, ui.Link{Label: "Open this server's mailbox", Href: m.d.MailboxHref})
	}
	v.Links = append(v.Links, ui.Link{Label: "Use another address", Href: action}, ui.Link{Label: "Sign in", Href: pathSignIn})
	return m.card(w, r, http.StatusOK, "Check your mail", "We have mailed "+email+" what to do next.", v)
}

func (m *Module) finishCard(secret, email, name, born string) cardPage {
	return cardPage{title: "Choose a password", lead: "Your address " + email + " is proved.", view: cardView{
		Form: &ui.Form{Action: pathSignUpFinish, Submit: "Open the account", Hidden: hidden("token", secret), Fields: append([]ui.Field{
			// Password managers store the password under the address, so it is part of the form.
			{Name: "email", Label: "E-mail address", Kind: "email", Value: email, Autocomplete: "username", Required: true, Disabled: true},
			{Name: "name", Label: "Your name", Value: name, Autocomplete: "name", MaxLength: maxName, Hint: "Your team sees it."},
			newPasswordField("password", "Password"),
		}, m.birthFields(born)...)},
	}}
}

func (m *Module) finishPage(w http.ResponseWriter, r *http.Request) error {
	secret := r.URL.Query().Get("token")
	email, err := m.SignUpAddress(r.Context(), secret)
	if err != nil {
		return m.deadLink(w, r, err, ui.Link{Label: "Start again", Href: pathSignUp})
	}
	p := m.finishCard(secret, email, "", "")
	return m.card(w, r, http.StatusOK, p.title, p.lead, p.view)
}

func (m *Module) finish(w http.ResponseWriter, r *http.Request) error {
	if err := parseForm(r); err != nil {
		return err
	}
	f := r.PostForm
	secret := f.Get("token")
	email, err := m.SignUpAddress(r.Context(), secret)
	if err != nil {
		return m.deadLink(w, r, err, ui.Link{Label: "Start again", Href: pathSignUp})
	}
	s, next, err := m.FinishSignUp(r.Context(), FinishSignUp{Secret: secret, Name: f.Get("name"), Password: f.Get("password"), Born: f.Get("born"), Device: DeviceOf(r)})
	if TooYoung(err) {
		return m.turnedAway(w, r)
	}
	if err != nil {
		return m.again(w, r, m.finishCard(secret, email, f.Get("name"), f.Get("born")), err)
	}
	return m.Give(w, r, s, next)
}
