package proof

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"github.com/kept-dev/kept/internal/core/identity"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/httpx/respond"
	"github.com/kept-dev/kept/internal/ui"
)

type passkeysView struct {
	Available bool
	Passkeys  []Passkey
	Empty     *ui.Empty
	Name      ui.Field // of the one to add
}

func (m *Module) passkeysPage(w http.ResponseWriter, r *http.Request) error {
	v := passkeysView{Available: m.PasskeysAvailable(), Name: ui.Field{Name: "name", Label: "Name", MaxLength: maxName, Autocomplete: "off",
		Placeholder: "my phone", Hint: "So that you know later which one it is."}}
	var err error
	if v.Passkeys, err = m.Passkeys(r.Context(), httpx.ActorOf(r.Context()).AccountID); err != nil {
		return err
	}
	if len(v.Passkeys) == 0 {
		v.Empty = &ui.Empty{Icon: "key", Title: "No passkeys yet", Text: "A passkey is kept by your phone, computer or password manager, and unlocked with your finger, face or PIN. It cannot be guessed, reused or phished."}
	}
	return m.renderSettings(w, r, http.StatusOK, "passkeys", ui.Page{Title: "Passkeys", Crumbs: []ui.Crumb{securityCrumb},
		Lead: "Sign in without a password. One passkey counts as two factors.", Body: v})
}

// answer is what the script sends after the browser has asked the device.
type answer struct {
	Flow       string          `json:"flow"`
	Name       string          `json:"name"` // of a new passkey
	Next       string          `json:"next"`
	Credential json.RawMessage `json:"credential"`
}

func readAnswer(r *http.Request) (a answer, err error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxAnswer+1))
	if err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			return a, err
		}
		return a, kernel.Wrap(err, kernel.Malformed, "The request could not be read.")
	}
	if len(body) > maxAnswer {
		return a, kernel.Errorf(kernel.TooLarge, "The answer of the passkey is too long.")
	}
	if err := json.Unmarshal(body, &a); err != nil {
		return a, kernel.Wrap(err, kernel.Malformed, "The request could not be read.")
	}
	return a, nil
}

// onward is where the script sends the browser.
type onward struct {
	Next string `json:"next"`
}

// arrive gives the browser its session, and the script the place to go to.
func (m *Module) arrive(w http.ResponseWriter, r *http.Request, s identity.Session, next string) error {
	m.cookie(w, r, s)
	w.Header().Set("Cache-Control", "no-store")
	return respond.JSON(w, http.StatusOK, onward{Next: httpx.SafeNext(next)})
}

func challenge(w http.ResponseWriter, c Challenge, err error) error {
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	return respond.JSON(w, http.StatusOK, c)
}

func (m *Module) passkeySignInOptions(w http.ResponseWriter, r *http.Request) error {
	c, err := m.BeginPasskeySignIn(r.Context())
	return challenge(w, c, err)
}

func (m *Module) passkeySignIn(w http.ResponseWriter, r *http.Request) error {
	in, err := readAnswer(r)
	if err != nil {
		return err
	}
	s, err := m.FinishPasskeySignIn(r.Context(), in.Flow, in.Credential, identity.DeviceOf(r))
	if err != nil {
		return err
	}
	return m.arrive(w, r, s, in.Next)
}

func (m *Module) passkeyOptions(w http.ResponseWriter, r *http.Request) error {
	c, err := m.BeginPasskey(r.Context(), httpx.ActorOf(r.Context()))
	return challenge(w, c, err)
}

func (m *Module) passkeyCreate(w http.ResponseWriter, r *http.Request) error {
	in, err := readAnswer(r)
	if err != nil {
		return err
	}
	_, s, err := m.FinishPasskey(r.Context(), httpx.ActorOf(r.Context()), in.Flow, in.Name, in.Credential)
	if err != nil {
		return err
	}
	return m.arrive(w, r, s, pathPasskeys+"?done=passkey-added")
}

func (m *Module) provePasskeyOptions(w http.ResponseWriter, r *http.Request) error {
	c, err := m.BeginPasskeyProof(r.Context(), httpx.ActorOf(r.Context()))
	return challenge(w, c, err)
}

func (m *Module) provePasskey(w http.ResponseWriter, r *http.Request) error {
	in, err := readAnswer(r)
	if err != nil {
		return err
	}
	s, err := m.ProveByPasskey(r.Context(), httpx.ActorOf(r.Context()), in.Flow, in.Credential)
	if err != nil {
		return err
	}
	return m.arrive(w, r, s, safeNext(in.Next))
}

func (m *Module) pathPasskey(r *http.Request) (Passkey, error) {
	id := r.PathValue("id")
	if !kernel.ValidID(id) {
		return Passkey{}, errNoPasskey()
	}
	return m.FindPasskey(r.Context(), httpx.ActorOf(r.Context()).AccountID, kernel.ID(id))
}

func renameForm(p Passkey, name string) ui.Form {
	return ui.Form{Action: pathPasskeys + "/" + string(p.ID) + "/rename", Narrow: true, Submit: "Save", Cancel: pathPasskeys, Fields: []ui.Field{
		{Name: "name", Label: "Name", Value: name, Required: true, Autofocus: true, MaxLength: maxName, Autocomplete: "off"}}}
}

func (m *Module) renderRename(w http.ResponseWriter, r *http.Request, status int, form ui.Form) error {
	return m.renderSettings(w, r, status, "question", ui.Page{Title: "Rename the passkey", Body: ui.Dialog{Form: form},
		Crumbs: []ui.Crumb{securityCrumb, {Label: "Passkeys", Href: pathPasskeys}}})
}

func (m *Module) passkeyRenamePage(w http.ResponseWriter, r *http.Request) error {
	p, err := m.pathPasskey(r)
	if err != nil {
		return err
	}
	return m.renderRename(w, r, http.StatusOK, renameForm(p, p.Name))
}

func (m *Module) passkeyRename(w http.ResponseWriter, r *http.Request) error {
	p, err := m.pathPasskey(r)
	if err != nil {
		return err
	}
	if err := parseForm(r); err != nil {
		return err
	}
	name := r.PostForm.Get("name")
	if err := m.RenamePasskey(r.Context(), httpx.ActorOf(r.Context()), p.ID, name); err != nil {
		form, status, ok := refused(w, renameForm(p, name), err)
		if !ok {
			return err
		}
		return m.renderRename(w, r, status, form)
	}
	return respond.SeeOther(w, r, pathPasskeys+"?done=passkey-renamed")
}

func (m *Module) renderRemove(w http.ResponseWriter, r *http.Request, status int, p Passkey, problem string) error {
	return m.renderSettings(w, r, status, "question", ui.Page{Title: "Remove " + p.Name + "?",
		Crumbs: []ui.Crumb{securityCrumb, {Label: "Passkeys", Href: pathPasskeys}},
		Body: ui.Dialog{Text: "It cannot sign in any more, and all other browsers are signed out. Your device may keep offering it until you delete it there as well.",
			Form: ui.Form{Action: pathPasskeys + "/" + string(p.ID) + "/remove", Submit: "Remove the passkey", Danger: true, Cancel: pathPasskeys, Error: problem}}})
}

func (m *Module) passkeyRemovePage(w http.ResponseWriter, r *http.Request) error {
	p, err := m.pathPasskey(r)
	if err != nil {
		return err
	}
	return m.renderRemove(w, r, http.StatusOK, p, "")
}

func (m *Module) passkeyRemove(w http.ResponseWriter, r *http.Request) error {
	p, err := m.pathPasskey(r)
	if err != nil {
		return err
	}
	err = m.RemovePasskey(r.Context(), httpx.ActorOf(r.Context()), p.ID)
	if kernel.CodeOf(err) == kernel.Conflict {
		return m.renderRemove(w, r, http.StatusConflict, p, kernel.AsError(err).Safe)
	}
	if err != nil {
		return err
	}
	return respond.SeeOther(w, r, pathPasskeys+"?done=passkey-removed")
}
