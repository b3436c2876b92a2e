package federation

import (
	"embed"
	"errors"
	"net/http"
	"strings"

	"github.com/kept-dev/kept/internal/core/identity"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/httpx/respond"
	"github.com/kept-dev/kept/internal/ui"
)

//go:embed templates/*.html
var templates embed.FS

// The addresses of the module's pages.
const (
	pathWith      = "/sign-in/with/{provider}"
	pathCallback  = "/sign-in/with/{provider}/callback"
	pathFinish    = "/sign-in/finish"
	pathProviders = "/account/providers"
	pathAdopt     = "/account/providers/adopt"
)

func callbackPath(key string) string { return "/sign-in/with/" + key + "/callback" }

// Routes is the module's part of the route table.
func (m *Module) Routes() []httpx.Route {
	page := func(path string, access httpx.Access, h httpx.Handler) httpx.Route {
		return httpx.Route{Method: "GET", Path: path, Handler: h, Access: access, Rate: httpx.RatePage}
	}
	form := func(path string, access httpx.Access, rate httpx.RateClass, audit string, h httpx.Handler) httpx.Route {
		return httpx.Route{Method: "POST", Path: path, Handler: h, Access: access, Rate: rate, Audit: audit, StepUp: access == httpx.SignedIn, MaxBody: 64 << 10}
	}
	routes := []httpx.Route{
		// These two change something although they are GETs: a form must not lead to another site (form-action), and
		// providers send people back with a GET. What makes that safe is the flow, which works once and in one browser.
		{Method: "GET", Path: pathWith, Handler: m.begin, Access: httpx.Public, Rate: httpx.RateAuth},
		{Method: "GET", Path: pathCallback, Handler: m.callback, Access: httpx.Public, Rate: httpx.RateAuth, Audit: "login.create"},
		page(pathFinish, httpx.Public, m.finishPage),
		form(pathFinish, httpx.Public, httpx.RateAuth, "account.create", m.finishForm),
		page(pathProviders, httpx.SignedIn, m.providersPage),
		form(pathProviders+"/{provider}/link", httpx.SignedIn, httpx.RateWrite, "provider.link", m.link),
		page(pathProviders+"/{id}/unlink", httpx.SignedIn, m.unlinkPage),
		form(pathProviders+"/{id}/unlink", httpx.SignedIn, httpx.RateWrite, "provider.unlink", m.unlink),
		page(pathAdopt, httpx.SignedIn, m.adoptPage),
		form(pathAdopt, httpx.SignedIn, httpx.RateWrite, "provider.link", m.adoptForm),
	}
	for i, r := range routes {
		if r.Access == httpx.SignedIn && r.Path != pathProviders {
			routes[i].StepUp = true // also the questions, so that a form that was filled in is not lost
		}
	}
	return routes
}

// SignInOffers are the links of the sign-in page.
func (m *Module) SignInOffers(next string) (out []ui.Link) {
	for _, p := range m.order {
		href := "/sign-in/with/" + p.Key
		if next != "" {
			if with, err := ui.WithQuery(href, "next", next); err == nil {
				href = with
			}
		}
		out = append(out, ui.Link{Label: "Continue with " + p.Label, Href: href})
	}
	return out
}

// cardView is the body of the narrow pages.
type cardView struct {
	Text  []string
	Form  *ui.Form
	Links []ui.Link
}

func (m *Module) card(w http.ResponseWriter, r *http.Request, status int, title, lead string, v cardView) error {
	w.Header().Set("Cache-Control", "no-store")
	return m.pages.Render(w, r, status, "card", ui.Page{Title: title, Lead: lead, Shape: ui.ShapeCenter, Body: v})
}

// localNext is a path on this server to go to afterwards, or empty.
func localNext(next string) string {
	if next = httpx.SafeNext(next); next == "/" || len(next) > 2000 {
		return ""
	}
	return next
}

// begin sends a browser in which nobody is signed in to the provider. It is a link and no form, because a form's answer
// must not lead to another site.
func (m *Module) begin(w http.ResponseWriter, r *http.Request) error {
	p, err := m.provider(r.PathValue("provider"))
	if err != nil {
		return err
	}
	next := localNext(r.URL.Query().Get("next"))
	if !httpx.ActorOf(r.Context()).Anonymous() {
		return respond.SeeOther(w, r, httpx.SafeNext(next))
	}
	to, cookie, err := m.beginSignIn(r.Context(), p, next)
	if err != nil {
		return m.failed(w, r, p, err)
	}
	httpx.SetSession(w, r, cookie, awayTTL)
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, to, http.StatusFound)
	return nil
}

// callback is where the provider sends people back to.
func (m *Module) callback(w http.ResponseWriter, r *http.Request) error {
	p, err := m.provider(r.PathValue("provider"))
	if err != nil {
		return err
	}
	by, q := httpx.ActorOf(r.Context()), r.URL.Query()
	out, err := m.comeBack(r.Context(), p, by, httpx.SessionToken(r), q.Get("state"))
	if err != nil {
		return m.failed(w, r, p, err)
	}
	in, err := readAnswer(q)
	if err != nil {
		return m.failed(w, r, p, errUnproved(p.Label, err))
	}
	if in.Error != "" {
		return m.failed(w, r, p, refusal(p, in.Error))
	}
	person, g, err := p.source.who(r.Context(), out.Attempt, in)
	if err != nil {
		return m.failed(w, r, p, err)
	}
	n := newcomer{Provider: p.Key, Person: person, Grant: g, Next: out.Next}
	became, err := m.arrive(r.Context(), by, n, identity.DeviceOf(r))
	if err != nil {
		return m.failed(w, r, p, err)
	}
	return m.welcome(w, r, p, n, became)
}

// refusal is why a provider sent somebody back without a code, by the words of RFC 6749.
func refusal(p *provider, code string) error {
	switch code {
	case "access_denied", "consent_required", "login_required", "interaction_required", "account_selection_required":
		return kernel.Errorf(kernel.Malformed, "%s says that you did not agree to sign in here. Nothing was changed.", p.Label)
	case "server_error", "temporarily_unavailable":
		return errDown(p.Label, errors.New(code))
	}
	return errUnproved(p.Label, errors.New("the provider answered with an error"))
}

// welcome shows somebody who came back what has become of it.
func (m *Module) welcome(w http.ResponseWriter, r *http.Request, p *provider, n newcomer, out outcome) error {
	back := ui.Link{Label: "Back to sign-in", Href: "/sign-in"}
	switch {
	case out.step != nil:
		return m.d.Identity.GoOn(w, r, *out.step, n.Next)
	case out.linked:
		return respond.SeeOther(w, r, pathProviders+"?done=linked")
	case out.finish != "":
		httpx.SetSession(w, r, out.finish, finishTTL)
		return respond.SeeOther(w, r, pathFinish)
	case out.prove != "":
		return m.askForOwner(w, r, p, n, out.prove)
	case out.mailed:
		return m.card(w, r, http.StatusOK, "Look into your mail", "", cardView{Links: []ui.Link{back}, Text: []string{
			p.Label + " does not vouch for the address " + n.Person.Email + ", so we have mailed it a link.",
			"Once you are signed in, you can link " + p.Label + " under Account, Sign-in providers."}})
	}
	return m.card(w, r, http.StatusOK, "Which address is yours?", "", cardView{Links: []ui.Link{{Label: "Sign up with an address", Href: "/sign-up"}, back}, Text: []string{
		p.Label + " did not tell us an e-mail address of yours, and an account needs one.",
		"Sign up with your address, or sign in; then link " + p.Label + " under Account, Sign-in providers."}})
}

// askForOwner asks the owner of an account to sign in to it, and to link then.
func (m *Module) askForOwner(w http.ResponseWriter, r *http.Request, p *provider, n newcomer, token string) error {
	httpx.ClearSession(w, r)
	href, err := ui.WithQuery("/sign-in", "next", pathAdopt+"?token="+token)
	if err != nil {
		return err
	}
	return m.card(w, r, http.StatusOK, "You have an account already", "", cardView{
		Text: []string{"There is an account with the address " + n.Person.Email + ". To be sure that it is yours, sign in to it once in the way you did so far.",
			"Then " + p.Label + " is linked to it, and you can sign in with either."},
		Links: []ui.Link{{Label: "Sign in and link " + p.Label, Href: href}, {Label: "Forgot the password?", Href: "/reset-password"}},
	})
}

// maxLogged bounds what is logged of an error, which may quote a provider's answer; in bytes.
const maxLogged = 300

func clip(s string, n int) string {
	if len(s) > n {
		s = strings.ToValidUTF8(s[:n], "") + "…"
	}
	return s
}

// failed shows what went wrong on the way to a provider and back, with a way on. What is no one's fault but ours passes.
func (m *Module) failed(w http.ResponseWriter, r *http.Request, p *provider, err error) error {
	var e *kernel.Error
	if !errors.As(err, &e) {
		return err
	}
	switch e.Code {
	case kernel.Malformed, kernel.Unavailable, kernel.Conflict, kernel.Forbidden, kernel.Limited:
	default:
		return err
	}
	if e.Cause != nil {
		m.d.Logger.Warn("a sign-in with a provider did not work", "provider", p.Key, "request_id", httpx.RequestID(r.Context()), "error", clip(e.Cause.Error(), maxLogged))
	}
	respond.SetRetryAfter(w.Header(), e)
	links := []ui.Link{{Label: "Start again with " + p.Label, Href: "/sign-in/with/" + p.Key}, {Label: "Sign in another way", Href: "/sign-in"}}
	if !httpx.ActorOf(r.Context()).Anonymous() {
		links = []ui.Link{{Label: "Back to sign-in providers", Href: pathProviders}}
	}
	return m.card(w, r, respond.Status(e.Code), "That did not work", "", cardView{Text: []string{e.Safe}, Links: links})
}
