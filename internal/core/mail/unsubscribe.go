package mail

import (
	"encoding/base64"
	"net/http"
	"strings"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/ui"
)

const pathUnsubscribe = "/mail/unsubscribe/"

// unsubscribeURL is where one request ends mail of a type to an address; empty for mail that must come. The address and
// the type are sealed into it, so that nothing has to be stored and nobody can make one for somebody else.
func (m *Module) unsubscribeURL(address, mailType string) (string, error) {
	if !m.types[mailType].Optional {
		return "", nil
	}
	sealed, err := m.d.Seal.Seal([]byte(mailType+"\n"+address), unsubscribeAAD)
	if err != nil {
		return "", err
	}
	return m.render.baseURL + pathUnsubscribe + base64.RawURLEncoding.EncodeToString(sealed), nil
}

var unsubscribeAAD = []byte("mail/unsubscribe")

// maxUnsubscribe bounds a token: an address, the name of a type, and what sealing adds.
const maxUnsubscribe = 1024

// readUnsubscribe is the opposite of unsubscribeURL.
func (m *Module) readUnsubscribe(token string) (address string, t Type, err error) {
	dead := kernel.Errorf(kernel.NotFound, "This link works no more. Mail that you can refuse is listed in your account's settings.")
	if len(token) > maxUnsubscribe {
		return "", t, dead
	}
	sealed, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		return "", t, dead
	}
	plain, err := m.d.Seal.Open(sealed, unsubscribeAAD)
	if err != nil {
		return "", t, dead
	}
	name, address, _ := strings.Cut(string(plain), "\n")
	if t = m.types[name]; !t.Optional || address == "" {
		return "", t, dead
	}
	return address, t, nil
}

func (m *Module) unsubscribeForm(token string, want bool) ui.Form {
	f := ui.Form{Action: pathUnsubscribe + token, Submit: "Send me none of it"}
	if want {
		f.Submit, f.Hidden = "Send it again", []ui.Param{{Name: "again", Value: "1"}}
	}
	return f
}

func (m *Module) unsubscribePage(w http.ResponseWriter, r *http.Request) error {
	address, t, err := m.readUnsubscribe(r.PathValue("token"))
	if err != nil {
		return err
	}
	return m.pages.Render(w, r, http.StatusOK, "unsubscribe", ui.Page{Title: "No more mail of this kind?", Shape: ui.ShapeCenter,
		Body: ui.Dialog{Text: "“" + t.Title + "” will not be sent to " + masked(address) + " any more.", Form: m.unsubscribeForm(r.PathValue("token"), false)}})
}

// unsubscribe serves the page's form and, the same, what mail programs send by themselves (RFC 8058): a POST without
// cookie and without any question.
func (m *Module) unsubscribe(w http.ResponseWriter, r *http.Request) error {
	address, t, err := m.readUnsubscribe(r.PathValue("token"))
	if err != nil {
		return err
	}
	form, err := httpx.ReadForm(r)
	if err != nil {
		return err
	}
	want := form.Get("again") != ""
	if err := m.Choose(r.Context(), address, t.ID, want); err != nil {
		return err
	}
	page := ui.Page{Title: "You get no more of it", Shape: ui.ShapeCenter,
		Body: ui.Dialog{Text: "“" + t.Title + "” is not sent to " + masked(address) + " any more. If that was a mistake, take it back.",
			Form: m.unsubscribeForm(r.PathValue("token"), true)}}
	if want {
		page.Title, page.Body = "It is sent again", ui.Dialog{Text: "“" + t.Title + "” is sent to " + masked(address) + " as before.",
			Form: m.unsubscribeForm(r.PathValue("token"), false)}
	}
	return m.pages.Render(w, r, http.StatusOK, "unsubscribe", page)
}

// masked is an address as its owner knows it again: a link may have been passed on.
func masked(address string) string {
	local, domain, _ := strings.Cut(address, "@")
	first := ""
	for _, r := range local {
		first = string(r)
		break
	}
	return first + "…@" + domain
}
