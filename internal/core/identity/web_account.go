package identity

import (
	"net/http"

	"github.com/kept-dev/kept/internal/platform/geo"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/httpx/respond"
	"github.com/kept-dev/kept/internal/ui"
)

type accountView struct {
	Address               string
	Name, Email, Location ui.Form
	Located               string // the location, empty when none is known
	ByNetwork             bool   // it was taken from the network
	Network               string // the country of the network that the person uses now, empty when it is not known
	Attribution           geo.Credit
}

// doneTexts are what is said after a change; the address has the key only.
var doneTexts = map[string]string{
	"name":      "Your name is saved.",
	"location":  "Your location is saved.",
	"unlocated": "Your location is removed.",
	"email":     "We have mailed the new address a link. Your address changes when it is opened.",
	"changed":   "You have a new address. All other browsers are signed out.",
	"password":  "Your password is changed. All other browsers are signed out.",
	"login":     "That browser is signed out.",
	"logins":    "All other browsers are signed out.",
}

// done is the toast after a change, if the page is shown after one.
func done(r *http.Request, status int) []ui.Toast {
	if text := doneTexts[r.URL.Query().Get("done")]; text != "" && status == http.StatusOK {
		return []ui.Toast{{Tone: ui.ToneGood, Text: text}}
	}
	return nil
}

func (m *Module) accountPage(w http.ResponseWriter, r *http.Request) error {
	v, err := m.accountView(r)
	if err != nil {
		return err
	}
	return m.renderAccount(w, r, http.StatusOK, v)
}

func (m *Module) renderAccount(w http.ResponseWriter, r *http.Request, status int, v accountView) error {
	return m.pages.Render(w, r, status, "account", ui.Page{Title: "Profile", App: "settings", Section: pathAccount, Toasts: done(r, status), Body: v})
}

func (m *Module) accountView(r *http.Request) (v accountView, err error) {
	a, err := m.Account(r.Context(), httpx.ActorOf(r.Context()).AccountID)
	if err != nil {
		return v, err
	}
	v.Address, v.Located, v.ByNetwork, v.Attribution = a.Email, a.Location, a.LocatedBy == LocationByIP, geo.Attribution
	v.Network = geo.Name(geo.Country(httpx.ClientIP(r.Context())))
	v.Name = ui.Form{Action: pathAccount + "/name", ID: "name", Narrow: true, Submit: "Save", Fields: []ui.Field{
		{Name: "name", Label: "Name", Value: a.Name, Autocomplete: "name", MaxLength: maxName, Hint: "Your team sees it."}}}
	v.Location = ui.Form{Action: pathAccount + "/location", ID: "location", Narrow: true, Submit: "Save", Fields: []ui.Field{
		{Name: "location", Label: "City or country", Value: a.Location, Autocomplete: "country-name", MaxLength: maxLocation,
			Hint: "A city or a country, as exactly as you like. Leave it empty to say nothing."}}}
	v.Email = ui.Form{Action: pathAccount + "/email", ID: "email", Narrow: true, Submit: "Change the address", Fields: []ui.Field{
		{Name: "email", Label: "New e-mail address", Kind: "email", Autocomplete: "email", Required: true, MaxLength: maxAddress}}}
	if a.HasPassword() {
		v.Email.Fields = append(v.Email.Fields, currentField("f-email-current"))
	}
	return v, nil
}

func currentField(id string) ui.Field {
	return ui.Field{Name: "current", ID: id, Label: "Your password", Kind: "password", Autocomplete: "current-password", Required: true}
}

// accountForm shows the account page again with what was wrong in one of its forms. pick finds that form in the view.
func (m *Module) accountForm(w http.ResponseWriter, r *http.Request, err error, pick func(*accountView) *ui.Form) error {
	v, verr := m.accountView(r)
	if verr != nil {
		return verr
	}
	status, ok := refill(w, r, pick(&v), err)
	if !ok {
		return err
	}
	return m.renderAccount(w, r, status, v)
}

// refill puts what was typed and what was wrong into a form. ok is false for errors that are not about what was typed.
func refill(w http.ResponseWriter, r *http.Request, form *ui.Form, err error) (status int, ok bool) {
	for i, f := range form.Fields {
		if r.PostForm.Has(f.Name) {
			form.Fields[i].Value = r.PostForm.Get(f.Name)
		}
	}
	changed, status, ok := refused(w, *form, err)
	if ok {
		*form = changed
	}
	return status, ok
}

func (m *Module) rename(w http.ResponseWriter, r *http.Request) error {
	if err := parseForm(r); err != nil {
		return err
	}
	if err := m.Rename(r.Context(), httpx.ActorOf(r.Context()), r.PostForm.Get("name")); err != nil {
		return m.accountForm(w, r, err, func(v *accountView) *ui.Form { return &v.Name })
	}
	return respond.SeeOther(w, r, pathAccount+"?done=name")
}

// setLocation saves what was typed, takes the country of the network, or removes the location; the button says which.
func (m *Module) setLocation(w http.ResponseWriter, r *http.Request) error {
	if err := parseForm(r); err != nil {
		return err
	}
	by, location, said := httpx.ActorOf(r.Context()), r.PostForm.Get("location"), "location"
	var err error
	switch r.PostForm.Get("from") {
	case "network":
		err = m.LocateByNetwork(r.Context(), by)
	default:
		err = m.Locate(r.Context(), by, location)
		if location == "" {
			said = "unlocated"
		}
	}
	if err != nil {
		return m.accountForm(w, r, err, func(v *accountView) *ui.Form { return &v.Location })
	}
	return respond.SeeOther(w, r, pathAccount+"?done="+said)
}

func (m *Module) changeEmail(w http.ResponseWriter, r *http.Request) error {
	if err := parseForm(r); err != nil {
		return err
	}
	f := r.PostForm
	if err := m.RequestEmailChange(r.Context(), httpx.ActorOf(r.Context()), f.Get("email"), f.Get("current")); err != nil {
		return m.accountForm(w, r, err, func(v *accountView) *ui.Form { return &v.Email })
	}
	return respond.SeeOther(w, r, pathAccount+"?done=email")
}

func (m *Module) confirmPage(w http.ResponseWriter, r *http.Request) error {
	secret := r.URL.Query().Get("token")
	email, err := m.NewEmail(r.Context(), secret)
	if err != nil {
		return m.deadLink(w, r, err, ui.Link{Label: "Go to your account", Href: pathAccount})
	}
	return m.card(w, r, http.StatusOK, "Confirm your new address", "From now on you sign in with "+email+".",
		cardView{Form: &ui.Form{Action: pathEmailConfirm, Submit: "Use this address", Hidden: hidden("token", secret)}})
}

func (m *Module) confirm(w http.ResponseWriter, r *http.Request) error {
	if err := parseForm(r); err != nil {
		return err
	}
	s, err := m.ConfirmEmail(r.Context(), r.PostForm.Get("token"), DeviceOf(r))
	if err != nil {
		return m.deadLink(w, r, err, ui.Link{Label: "Go to your account", Href: pathAccount})
	}
	if s != nil {
		m.setSession(w, r, *s)
	}
	return respond.SeeOther(w, r, pathAccount+"?done=changed")
}
