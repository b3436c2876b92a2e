package identity

import (
	"embed"
	"errors"
	"net/http"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/httpx/respond"
	"github.com/kept-dev/kept/internal/ui"
)

//go:embed templates/*.html
var templates embed.FS

// The addresses of the module's pages. Mails have some of them.
const (
	pathSignIn       = "/sign-in"
	pathLink         = "/sign-in/link"
	pathWithLink     = "/sign-in/with-link"
	pathAge          = "/sign-in/age"
	pathSecond       = "/sign-in/second" // of whoever keeps the second factor
	pathSignOut      = "/sign-out"
	pathSignUp       = "/sign-up"
	pathSignUpFinish = "/sign-up/finish"
	pathReset        = "/reset-password"
	pathResetNew     = "/reset-password/new"
	pathAccount      = "/account"
	pathLogins       = "/account/logins"
	pathSecurity     = "/account/security"
	pathEmailConfirm = "/account/email/confirm"
)

// Routes is the module's part of the route table.
func (m *Module) Routes() []httpx.Route {
	page := func(path string, access httpx.Access, h httpx.Handler) httpx.Route {
		return httpx.Route{Method: "GET", Path: path, Handler: h, Access: access, Rate: httpx.RatePage}
	}
	form := func(path string, access httpx.Access, rate httpx.RateClass, audit string, h httpx.Handler) httpx.Route {
		return httpx.Route{Method: "POST", Path: path, Handler: h, Access: access, Rate: rate, Audit: audit, MaxBody: 64 << 10}
	}
	return []httpx.Route{
		page(pathSignIn, httpx.Public, m.signInPage),
		form(pathSignIn, httpx.Public, httpx.RateAuth, "login.create", m.signIn),
		page(pathLink, httpx.Public, m.linkPage),
		form(pathLink, httpx.Public, httpx.RateAuth, "login.create", m.signInByLink),
		page(pathWithLink, httpx.Public, m.withLinkPage),
		form(pathWithLink, httpx.Public, httpx.RateMail, "link.request", m.withLink),
		page(pathAge, httpx.Public, m.agePage),
		form(pathAge, httpx.Public, httpx.RateAuth, "login.create", m.tellAge),
		form(pathSignOut, httpx.Public, httpx.RateWrite, "login.end", m.signOut),
		page(pathSignUp, httpx.Public, m.signUpPage),
		form(pathSignUp, httpx.Public, httpx.RateMail, "account.sign_up", m.signUp),
		page(pathSignUpFinish, httpx.Public, m.finishPage),
		form(pathSignUpFinish, httpx.Public, httpx.RateAuth, "account.create", m.finish),
		page(pathReset, httpx.Public, m.resetPage),
		form(pathReset, httpx.Public, httpx.RateMail, "password.reset_request", m.reset),
		page(pathResetNew, httpx.Public, m.resetNewPage),
		form(pathResetNew, httpx.Public, httpx.RateAuth, "password.reset", m.resetNew),
		page(pathAccount, httpx.SignedIn, m.accountPage),
		form(pathAccount+"/name", httpx.SignedIn, httpx.RateWrite, "account.rename", m.rename),
		form(pathAccount+"/location", httpx.SignedIn, httpx.RateWrite, "account.locate", m.setLocation),
		careful(form(pathAccount+"/email", httpx.SignedIn, httpx.RateMail, "email.change_request", m.changeEmail)),
		page(pathEmailConfirm, httpx.Public, m.confirmPage),
		form(pathEmailConfirm, httpx.Public, httpx.RateAuth, "email.change", m.confirm),
		page(pathSecurity, httpx.SignedIn, m.securityPage),
		careful(form(pathAccount+"/password", httpx.SignedIn, httpx.RateAuth, "password.change", m.changePassword)),
		page(pathLogins, httpx.SignedIn, m.loginsPage),
		form(pathLogins+"/{id}/end", httpx.SignedIn, httpx.RateWrite, "login.end", m.endLogin),
		form(pathLogins+"/end-others", httpx.SignedIn, httpx.RateWrite, "login.end_others", m.endOthers),
		form(pathLogins+"/end-all", httpx.SignedIn, httpx.RateWrite, "login.end_all", m.endEverywhere),
	}
}

// careful asks for a fresh proof before the form is accepted.
func careful(r httpx.Route) httpx.Route {
	r.StepUp = true
	return r
}

// Nav is the module's part of the navigation.
func (m *Module) Nav() []ui.NavItem {
	return []ui.NavItem{
		{App: "settings", Group: "Account", Label: "Profile", Href: pathAccount, Icon: "user", Order: 10},
		{App: "settings", Group: "Account", Label: "Security", Href: pathSecurity, Icon: "shield", Order: 11},
		{App: "settings", Group: "Account", Label: "Logins", Href: pathLogins, Icon: "clock", Order: 12},
	}
}

// cardView is the body of the narrow pages: one form, and what stands around it.
type cardView struct {
	Text   []string
	Form   *ui.Form
	Offers []ui.Link // other ways to do the same
	Links  []ui.Link

	Passkey *passkeyButton // nil: none
}

func (m *Module) card(w http.ResponseWriter, r *http.Request, status int, title, lead string, v cardView) error {
	return m.pages.Render(w, r, status, "card", ui.Page{Title: title, Lead: lead, Shape: ui.ShapeCenter, Body: v})
}

// cardPage is what shows a card again after a refused form: its title, its lead and the form with the values kept.
type cardPage struct {
	title, lead string
	view        cardView
}

// again shows the card with what was wrong, when that is something that the person can mend; any other error passes.
func (m *Module) again(w http.ResponseWriter, r *http.Request, p cardPage, err error) error {
	form, status, ok := refused(w, *p.view.Form, err)
	if !ok {
		return err
	}
	p.view.Form = &form
	return m.card(w, r, status, p.title, p.lead, p.view)
}

// refused puts an error into a form. ok is false for errors that are not about what was typed.
func refused(w http.ResponseWriter, form ui.Form, err error) (_ ui.Form, status int, ok bool) {
	var e *kernel.Error
	if !errors.As(err, &e) {
		return form, 0, false
	}
	switch e.Code {
	case kernel.Invalid, kernel.Limited, kernel.Conflict:
	default:
		return form, 0, false
	}
	respond.SetRetryAfter(w.Header(), e)
	if form = form.WithErrors(e.Fields); len(form.Invalid()) == 0 {
		form.Error = e.Safe
	}
	return form, respond.Status(e.Code), true
}

// deadLink is the page of a mailed link that works no more.
func (m *Module) deadLink(w http.ResponseWriter, r *http.Request, err error, again ui.Link) error {
	if !errors.Is(err, errDeadLink) {
		return err
	}
	return m.card(w, r, http.StatusNotFound, "This link works no more", "It has been used already, or it is too old.",
		cardView{Links: []ui.Link{again, {Label: "Sign in", Href: pathSignIn}}})
}

func parseForm(r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return kernel.Wrap(err, kernel.Malformed, "The form could not be read.")
	}
	return nil
}

// DeviceOf is where a request comes from, with the token of the login that the browser has now.
func DeviceOf(r *http.Request) Device {
	d := Device{UserAgent: r.UserAgent(), Token: httpx.SessionToken(r)}
	if ip := httpx.ClientIP(r.Context()); ip.IsValid() {
		d.IP = ip.String()
	}
	return d
}

// Give gives the browser its login and sends it on; next is a path on this server, anything else is the front page.
func (m *Module) Give(w http.ResponseWriter, r *http.Request, s Session, next string) error {
	m.setSession(w, r, s)
	if s.AgeAsked {
		return respond.SeeOther(w, r, withNext(pathAge, localPath(next)))
	}
	if next = localPath(next); next == "" {
		next = m.d.Start
	}
	return respond.SeeOther(w, r, next)
}

// setSession sets the cookie for as long as the login can live.
func (m *Module) setSession(w http.ResponseWriter, r *http.Request, s Session) {
	httpx.SetSession(w, r, s.Token, s.ExpiresAt.Sub(m.d.Clock()))
}

func hidden(name, value string) []ui.Param {
	if value == "" {
		return nil
	}
	return []ui.Param{{Name: name, Value: value}}
}

func emailField(value string, focus bool) ui.Field {
	return ui.Field{Name: "email", Label: "E-mail address", Kind: "email", Value: value, Autocomplete: "username",
		Required: true, Autofocus: focus, MaxLength: maxAddress}
}

func newPasswordField(name, label string) ui.Field {
	return ui.Field{Name: name, Label: label, Kind: "password", Autocomplete: "new-password", Required: true,
		MinLength: MinPassword, Hint: "At least 10 characters. A few words with spaces are easy to remember."}
}
