package identity

import (
	"net/http"
	"strings"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/httpx/respond"
	"github.com/kept-dev/kept/internal/ui"
)

type accountView struct {
	Address               string
	Name, Email, Password ui.Form
	Logins                []loginView
	Others                bool
}

type loginView struct {
	Login
	Device  string
	Current bool
}

// doneTexts are what is said after a change; the address has the key only.
var doneTexts = map[string]string{
	"name":     "Your name is saved.",
	"email":    "We have mailed the new address a link. Your address changes when it is opened.",
	"password": "Your password is changed. All other browsers are signed out.",
	"login":    "That browser is signed out.",
	"logins":   "All other browsers are signed out.",
}

func (m *Module) accountPage(w http.ResponseWriter, r *http.Request) error {
	v, err := m.accountView(r)
	if err != nil {
		return err
	}
	return m.renderAccount(w, r, http.StatusOK, v)
}

func (m *Module) renderAccount(w http.ResponseWriter, r *http.Request, status int, v accountView) error {
	page := ui.Page{Title: "Account", App: "settings", Body: v}
	if text := doneTexts[r.URL.Query().Get("done")]; text != "" && status == http.StatusOK {
		page.Toasts = []ui.Toast{{Tone: ui.ToneGood, Text: text}}
	}
	return m.pages.Render(w, r, status, "account", page)
}

func (m *Module) accountView(r *http.Request) (v accountView, err error) {
	by := httpx.ActorOf(r.Context())
	a, err := m.Account(r.Context(), by.AccountID)
	if err != nil {
		return v, err
	}
	logins, err := m.Logins(r.Context(), a.ID)
	if err != nil {
		return v, err
	}
	for _, l := range logins {
		v.Logins = append(v.Logins, loginView{Login: l, Device: describeAgent(l.UserAgent), Current: l.ID == by.LoginID})
	}
	v.Address, v.Others = a.Email, len(logins) > 1
	current := ui.Field{Name: "current", Label: "Your password", Kind: "password", Autocomplete: "current-password", Required: true}
	v.Name = ui.Form{Action: pathAccount + "/name", ID: "name", Narrow: true, Submit: "Save", Fields: []ui.Field{
		{Name: "name", Label: "Name", Value: a.Name, Autocomplete: "name", MaxLength: maxName, Hint: "Your team sees it."}}}
	current.ID = "f-email-current"
	v.Email = ui.Form{Action: pathAccount + "/email", ID: "email", Narrow: true, Submit: "Change the address", Fields: []ui.Field{
		{Name: "email", Label: "New e-mail address", Kind: "email", Autocomplete: "email", Required: true, MaxLength: maxAddress}, current}}
	current.ID = "f-password-current"
	v.Password = ui.Form{Action: pathAccount + "/password", ID: "password", Narrow: true, Submit: "Change the password",
		Fields: []ui.Field{current, newPasswordField("password", "New password")}}
	return v, nil
}

// accountForm shows the account page again with what was wrong in one of its forms. pick finds that form in the view.
func (m *Module) accountForm(w http.ResponseWriter, r *http.Request, err error, pick func(*accountView) *ui.Form) error {
	v, verr := m.accountView(r)
	if verr != nil {
		return verr
	}
	form := pick(&v)
	for i, f := range form.Fields {
		if r.PostForm.Has(f.Name) {
			form.Fields[i].Value = r.PostForm.Get(f.Name)
		}
	}
	changed, status, ok := refused(w, *form, err)
	if !ok {
		return err
	}
	*form = changed
	return m.renderAccount(w, r, status, v)
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
	if err := m.ConfirmEmail(r.Context(), r.PostForm.Get("token")); err != nil {
		return m.deadLink(w, r, err, ui.Link{Label: "Go to your account", Href: pathAccount})
	}
	return respond.SeeOther(w, r, pathAccount)
}

func (m *Module) changePassword(w http.ResponseWriter, r *http.Request) error {
	if err := parseForm(r); err != nil {
		return err
	}
	f := r.PostForm
	s, err := m.ChangePassword(r.Context(), httpx.ActorOf(r.Context()), f.Get("current"), f.Get("password"), DeviceOf(r))
	if err != nil {
		return m.accountForm(w, r, err, func(v *accountView) *ui.Form { return &v.Password })
	}
	m.setSession(w, r, s)
	return respond.SeeOther(w, r, pathAccount+"?done=password")
}

func (m *Module) endLogin(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	if !kernel.ValidID(id) {
		return kernel.Errorf(kernel.NotFound, "This login has ended already.")
	}
	if err := m.EndLogin(r.Context(), httpx.ActorOf(r.Context()), kernel.ID(id)); err != nil {
		return err
	}
	return respond.SeeOther(w, r, pathAccount+"?done=login")
}

func (m *Module) endOthers(w http.ResponseWriter, r *http.Request) error {
	if _, err := m.EndOtherLogins(r.Context(), httpx.ActorOf(r.Context())); err != nil {
		return err
	}
	return respond.SeeOther(w, r, pathAccount+"?done=logins")
}

// describeAgent is a browser's header in few words. It is a hint for its owner, so a guess is enough.
func describeAgent(ua string) string {
	first := func(marks ...string) string {
		for i := 0; i < len(marks); i += 2 {
			if strings.Contains(ua, marks[i]) {
				return marks[i+1]
			}
		}
		return ""
	}
	browser := first("Edg/", "Edge", "OPR/", "Opera", "Firefox/", "Firefox", "Chrome/", "Chrome", "CriOS/", "Chrome", "Safari/", "Safari", "curl/", "curl")
	system := first("iPhone", "iPhone", "iPad", "iPad", "Android", "Android", "Windows", "Windows", "Mac OS X", "macOS", "CrOS", "ChromeOS", "Linux", "Linux")
	switch {
	case browser != "" && system != "":
		return browser + " on " + system
	case browser+system != "":
		return browser + system
	}
	return "Unknown browser"
}
