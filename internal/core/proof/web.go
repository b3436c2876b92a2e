package proof

import (
	"embed"
	"errors"
	"net/http"

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
	pathSignIn   = "/sign-in"
	pathSecond   = "/sign-in/second"
	pathSecurity = "/account/security"
	pathProve    = "/account/prove"
	pathApp      = "/account/authenticator"
	pathRecovery = "/account/recovery-codes"
	pathPasskeys = "/account/passkeys"
	pathPasskey  = "/sign-in/passkey"
)

const maxForm = 64 << 10

// Routes is the module's part of the route table.
func (m *Module) Routes() []httpx.Route {
	page := func(path string, access httpx.Access, h httpx.Handler) httpx.Route {
		return httpx.Route{Method: "GET", Path: path, Handler: h, Access: access, Rate: httpx.RatePage}
	}
	form := func(path string, access httpx.Access, rate httpx.RateClass, audit string, h httpx.Handler) httpx.Route {
		return httpx.Route{Method: "POST", Path: path, Handler: h, Access: access, Rate: rate, Audit: audit, MaxBody: maxForm}
	}
	careful := func(r httpx.Route) httpx.Route {
		r.StepUp = true
		return r
	}
	const in = httpx.SignedIn
	// start begins what only its answer finishes. There is nothing to guess, and each page with a passkey button asks once.
	start := func(path string, access httpx.Access, h httpx.Handler) httpx.Route {
		return httpx.Route{Method: "POST", Path: path, Handler: h, Access: access, Rate: httpx.RateWrite, MaxBody: 1 << 10,
			NoAudit: "nothing has changed before it is answered, and that is audited"}
	}
	answered := func(r httpx.Route) httpx.Route {
		r.MaxBody = maxAnswer
		return r
	}
	// A page that asks for a proof must not ask for one first: none of pathProve is careful.
	return []httpx.Route{
		page(pathSecond, httpx.Public, m.secondPage),
		form(pathSecond, httpx.Public, httpx.RateAuth, "login.create", m.second),
		start(pathPasskey+"/options", httpx.Public, m.passkeySignInOptions),
		answered(form(pathPasskey, httpx.Public, httpx.RateAuth, "login.create", m.passkeySignIn)),

		page(pathProve, in, m.provePage),
		form(pathProve+"/password", in, httpx.RateAuth, actProve, m.provePassword),
		form(pathProve+"/code", in, httpx.RateAuth, actProve, m.proveCode),
		form(pathProve+"/mail", in, httpx.RateMail, "identity.prove_mail", m.proveMail),
		form(pathProve+"/mail-code", in, httpx.RateAuth, actProve, m.proveMailCode),
		start(pathProve+"/passkey/options", in, m.provePasskeyOptions),
		answered(form(pathProve+"/passkey", in, httpx.RateAuth, actProve, m.provePasskey)),

		page(pathPasskeys, in, m.passkeysPage),
		careful(start(pathPasskeys+"/options", in, m.passkeyOptions)),
		careful(answered(form(pathPasskeys, in, httpx.RateAuth, "passkey.create", m.passkeyCreate))),
		page(pathPasskeys+"/{id}/rename", in, m.passkeyRenamePage),
		form(pathPasskeys+"/{id}/rename", in, httpx.RateWrite, "passkey.rename", m.passkeyRename),
		careful(page(pathPasskeys+"/{id}/remove", in, m.passkeyRemovePage)),
		careful(form(pathPasskeys+"/{id}/remove", in, httpx.RateWrite, "passkey.remove", m.passkeyRemove)),

		page(pathApp, in, m.appPage),
		careful(start(pathApp, in, m.appStart)),
		careful(form(pathApp+"/confirm", in, httpx.RateAuth, "totp.create", m.appConfirm)),
		careful(page(pathApp+"/remove", in, m.appRemovePage)),
		careful(form(pathApp+"/remove", in, httpx.RateWrite, "totp.remove", m.appRemove)),
		page(pathRecovery, in, m.recoveryPage),
		careful(form(pathRecovery, in, httpx.RateWrite, "recovery.create", m.recoveryNew)),
	}
}

func parseForm(r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return kernel.Wrap(err, kernel.Malformed, "The form could not be read.")
	}
	return nil
}

// cookie gives the browser a session in an answer that is a page and no redirect.
func (m *Module) cookie(w http.ResponseWriter, r *http.Request, s identity.Session) {
	httpx.SetSession(w, r, s.Token, s.ExpiresAt.Sub(m.d.Clock()))
}

// refused puts an error into a form. ok is false for errors that are not about what was typed.
func refused(w http.ResponseWriter, form ui.Form, err error) (_ ui.Form, status int, ok bool) {
	var e *kernel.Error
	if !errors.As(err, &e) || e.Code != kernel.Invalid && e.Code != kernel.Limited && e.Code != kernel.Conflict {
		return form, 0, false
	}
	respond.SetRetryAfter(w.Header(), e)
	if form = form.WithErrors(e.Fields); len(form.Invalid()) == 0 {
		form.Error = e.Safe
	}
	return form, respond.Status(e.Code), true
}

// goneView is the page of something that was begun and is over.
type goneView struct {
	Text string
	Link ui.Link
}

// gone shows that a flow is over and where to begin anew; other errors pass.
func (m *Module) gone(w http.ResponseWriter, r *http.Request, err error, again ui.Link) error {
	if kernel.CodeOf(err) != kernel.NotFound {
		return err
	}
	return m.pages.Render(w, r, http.StatusNotFound, "gone", ui.Page{Title: "Start again", Shape: ui.ShapeCenter,
		Body: goneView{Text: kernel.AsError(err).Safe, Link: again}})
}

func hidden(pairs ...string) (out []ui.Param) {
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			out = append(out, ui.Param{Name: pairs[i], Value: pairs[i+1]})
		}
	}
	return out
}

// codeField is where a code of so many digits is typed; phones offer one that came by message, and digits to type.
func codeField(label, hint string) ui.Field {
	return ui.Field{Name: "code", Label: label, Required: true, Autocomplete: "one-time-code", InputMode: "numeric", MaxLength: 16, Mono: true, Hint: hint}
}
