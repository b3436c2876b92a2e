package proof

import (
	"bytes"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"rsc.io/qr"

	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/httpx/respond"
	"github.com/kept-dev/kept/internal/ui"
)

var securityCrumb = ui.Crumb{Label: "Security", Href: pathSecurity}

type appView struct {
	Since time.Time // zero: there is none
	Left  int       // recovery codes
}

func (m *Module) appPage(w http.ResponseWriter, r *http.Request) error {
	account := httpx.ActorOf(r.Context()).AccountID
	since, err := m.AppSince(r.Context(), account)
	if err != nil {
		return err
	}
	left, err := m.RecoveryCodesLeft(r.Context(), account)
	if err != nil {
		return err
	}
	return m.renderSettings(w, r, http.StatusOK, "app", ui.Page{Title: "Authenticator app", Crumbs: []ui.Crumb{securityCrumb},
		Lead: "A second factor: a code that changes every 30 seconds, from an app on your phone.", Body: appView{since, left}})
}

var doneTexts = map[string]string{
	"app-removed":     "The authenticator app is removed. Signing in no longer asks for a code.",
	"passkey-added":   "The passkey is added. You can sign in with it from now on.",
	"passkey-renamed": "The new name is saved.",
	"passkey-removed": "The passkey is removed.",
}

// renderSettings shows one of the pages below the account's security page.
func (m *Module) renderSettings(w http.ResponseWriter, r *http.Request, status int, name string, page ui.Page) error {
	page.App, page.Section = "settings", pathSecurity
	if text := doneTexts[r.URL.Query().Get("done")]; text != "" && status == http.StatusOK {
		page.Toasts = []ui.Toast{{Tone: ui.ToneGood, Text: text}}
	}
	return m.pages.Render(w, r, status, name, page)
}

type enrolView struct {
	QR     qrView
	Secret string
	URI    template.URL // opens the app on a phone
	Form   ui.Form
}

func newEnrolView(e Enrolment) (v enrolView, err error) {
	v.Secret = grouped(base32Secret.EncodeToString(e.Secret))
	v.URI = template.URL(e.URI) // made by totpURI, of the scheme otpauth
	v.Form = ui.Form{Action: pathApp + "/confirm", ID: "confirm", Narrow: true, Submit: "Turn it on", Cancel: pathApp, Hidden: hidden("flow", e.Flow), Fields: []ui.Field{
		codeField("Code", "Six digits that the app shows now.")}}
	v.QR, err = newQR(e.URI)
	return v, err
}

// renderEnrol shows the secret in the answer to a form: it is in no address, no cookie and, in clear, in no table.
func (m *Module) renderEnrol(w http.ResponseWriter, r *http.Request, status int, v enrolView) error {
	return m.renderSettings(w, r, status, "enrol", ui.Page{Title: "Add an authenticator app", Body: v,
		Crumbs: []ui.Crumb{securityCrumb, {Label: "Authenticator app", Href: pathApp}}})
}

func (m *Module) appStart(w http.ResponseWriter, r *http.Request) error {
	e, err := m.StartApp(r.Context(), httpx.ActorOf(r.Context()))
	if err != nil {
		return err
	}
	v, err := newEnrolView(e)
	if err != nil {
		return err
	}
	return m.renderEnrol(w, r, http.StatusOK, v)
}

func (m *Module) appConfirm(w http.ResponseWriter, r *http.Request) error {
	if err := parseForm(r); err != nil {
		return err
	}
	e, codes, s, err := m.ConfirmApp(r.Context(), httpx.ActorOf(r.Context()), r.PostForm.Get("flow"), r.PostForm.Get("code"))
	if err == nil {
		m.cookie(w, r, s)
		return m.renderCodes(w, r, "The authenticator app is on", codes)
	}
	if e.Flow == "" {
		return m.gone(w, r, err, ui.Link{Label: "Add an authenticator app", Href: pathApp})
	}
	v, verr := newEnrolView(e)
	if verr != nil {
		return verr
	}
	form, status, ok := refused(w, v.Form, err)
	if !ok {
		return err
	}
	v.Form = form
	return m.renderEnrol(w, r, status, v)
}

func (m *Module) appRemovePage(w http.ResponseWriter, r *http.Request) error {
	enrolled, err := m.Enrolled(r.Context(), httpx.ActorOf(r.Context()).AccountID)
	if err != nil {
		return err
	}
	if !enrolled {
		return respond.SeeOther(w, r, pathApp)
	}
	return m.renderSettings(w, r, http.StatusOK, "question", ui.Page{Title: "Remove the authenticator app?",
		Crumbs: []ui.Crumb{securityCrumb, {Label: "Authenticator app", Href: pathApp}},
		Body: ui.Dialog{Text: "Signing in will no longer ask for a code, your recovery codes stop working, and all other browsers are signed out. A workspace that demands a second factor shuts you out at your next sign-in, unless you sign in with a passkey.",
			Form: ui.Form{Action: pathApp + "/remove", Submit: "Remove it", Danger: true, Cancel: pathApp}}})
}

func (m *Module) appRemove(w http.ResponseWriter, r *http.Request) error {
	if err := m.RemoveApp(r.Context(), httpx.ActorOf(r.Context())); err != nil {
		return err
	}
	return respond.SeeOther(w, r, pathApp+"?done=app-removed")
}

type recoveryView struct {
	Enrolled bool
	Left, Of int
}

func (m *Module) recoveryPage(w http.ResponseWriter, r *http.Request) error {
	account := httpx.ActorOf(r.Context()).AccountID
	enrolled, err := m.Enrolled(r.Context(), account)
	if err != nil {
		return err
	}
	left, err := m.RecoveryCodesLeft(r.Context(), account)
	if err != nil {
		return err
	}
	return m.renderSettings(w, r, http.StatusOK, "recovery", ui.Page{Title: "Recovery codes", Crumbs: []ui.Crumb{securityCrumb},
		Lead: "They let you in when the authenticator app is lost. Each works once.", Body: recoveryView{enrolled, left, recoveryCodes}})
}

func (m *Module) recoveryNew(w http.ResponseWriter, r *http.Request) error {
	codes, err := m.NewRecoveryCodes(r.Context(), httpx.ActorOf(r.Context()))
	if err != nil {
		return err
	}
	return m.renderCodes(w, r, "New recovery codes", codes)
}

type codesView struct {
	Codes []string
	Text  string       // all of them, to copy
	File  template.URL // all of them, to download
	Name  string
}

// renderCodes shows recovery codes, this once.
func (m *Module) renderCodes(w http.ResponseWriter, r *http.Request, title string, codes []string) error {
	text := strings.Join(codes, "\n") + "\n"
	file := fmt.Sprintf("Recovery codes of %s for %s. Each works once.\n\n%s", httpx.ActorOf(r.Context()).Email, m.issuer, text)
	w.Header().Set("Cache-Control", "no-store")
	return m.renderSettings(w, r, http.StatusOK, "codes", ui.Page{Title: title, Lead: "Save these recovery codes now: they cannot be shown again.",
		Crumbs: []ui.Crumb{securityCrumb, {Label: "Recovery codes", Href: pathRecovery}},
		Body:   codesView{Codes: codes, Text: text, File: template.URL("data:text/plain;charset=utf-8," + url.PathEscape(file)), Name: "kept-recovery-codes.txt"}})
}

// qrView is a QR code as one path of an SVG picture: the policy of the pages allows no styles, and needs none.
type qrView struct {
	Size int    // modules, quiet zone included
	Path string // black
}

const quietZone = 4 // modules, which readers need around the code

func newQR(text string) (v qrView, err error) {
	code, err := qr.Encode(text, qr.M)
	if err != nil {
		return v, err
	}
	v.Size = code.Size + 2*quietZone
	var b bytes.Buffer
	for y := range code.Size {
		for x := 0; x < code.Size; {
			run := 0
			for x+run < code.Size && code.Black(x+run, y) {
				run++
			}
			if run > 0 {
				b.WriteString("M" + strconv.Itoa(x+quietZone) + " " + strconv.Itoa(y+quietZone) + "h" + strconv.Itoa(run) + "v1h-" + strconv.Itoa(run) + "z")
			}
			x += max(run, 1)
		}
	}
	v.Path = b.String()
	return v, nil
}
