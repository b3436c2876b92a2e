package mail

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/ui"
)

// mailboxSize is how many mails a Mailbox keeps; the oldest go first.
const mailboxSize = 200

// Mailbox keeps mail in memory and shows it on a page, where there is no mail server: in a demo. It is safe for
// concurrent use.
type Mailbox struct {
	clock kernel.Clock
	mu    sync.Mutex
	mails []Received // oldest first
}

// Received is a mail in the mailbox.
type Received struct {
	Message
	At time.Time
}

// NewMailbox makes an empty mailbox.
func NewMailbox(clock kernel.Clock) *Mailbox {
	if clock == nil {
		clock = kernel.SystemClock
	}
	return &Mailbox{clock: clock}
}

// Send puts the message into the mailbox.
func (b *Mailbox) Send(_ context.Context, msg Message) (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mails = append(b.mails, Received{Message: msg, At: b.clock()})
	if over := len(b.mails) - mailboxSize; over > 0 {
		b.mails = slices.Delete(b.mails, 0, over)
	}
	return "", nil
}

// All lists the mails, newest first.
func (b *Mailbox) All() []Received {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := slices.Clone(b.mails)
	slices.Reverse(out)
	return out
}

// To lists the mails to an address, newest first.
func (b *Mailbox) To(address string) []Received {
	return slices.DeleteFunc(b.All(), func(r Received) bool { return !strings.EqualFold(r.To, address) })
}

func (b *Mailbox) find(id string) (Received, bool) {
	all := b.All()
	i := slices.IndexFunc(all, func(r Received) bool { return r.ID == id })
	if i < 0 {
		return Received{}, false
	}
	return all[i], true
}

// mailboxRoutes are the pages of the mailbox and of how each mail looks.
func (m *Module) mailboxRoutes() []httpx.Route {
	if m.mailbox == nil {
		return nil
	}
	page := func(path string, h httpx.Handler) httpx.Route {
		return httpx.Route{Method: "GET", Path: path, Handler: m.mailboxOnly(h), Access: httpx.Public, Rate: httpx.RatePage}
	}
	return []httpx.Route{
		page("/mailbox", m.mailboxList),
		page("/mailbox/{id}", m.mailboxMail),
		page("/mailbox/{id}/html", m.mailboxHTML),
		page("/mail/types", m.typeList),
		page("/mail/types/{type}", m.typePage),
		page("/mail/types/{type}/html", m.typeHTML),
	}
}

// mailboxOnly lets people in who use the machine that the server runs on, or are signed in: the mails have links that
// let anybody sign in.
func (m *Module) mailboxOnly(h httpx.Handler) httpx.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		ctx := r.Context()
		if ip := httpx.ClientIP(ctx); !ip.IsLoopback() && httpx.ActorOf(ctx).Anonymous() {
			return kernel.Errorf(kernel.NotFound, "There is nothing at this address.")
		}
		return h(w, r)
	}
}

type mailboxView struct {
	Mails []Received
	Empty *ui.Empty
}

func (m *Module) mailboxList(w http.ResponseWriter, r *http.Request) error {
	v := mailboxView{Mails: m.mailbox.All()}
	if len(v.Mails) == 0 {
		v.Empty = &ui.Empty{Icon: "mail", Title: "No mail yet", Text: "Sign up, or ask for a password reset, and the mail appears here.",
			Action: &ui.Action{Label: "Sign up", Href: "/sign-up", Primary: true}}
	}
	return m.pages.Render(w, r, http.StatusOK, "mailbox", ui.Page{
		Title: "Mailbox", Lead: "This server has no mail server, so its mail stays here, in memory.", Shape: ui.ShapePlain, Body: v,
	})
}

type mailView struct {
	Received
	Links []string
	Frame string
}

var linkPattern = regexp.MustCompile(`https?://[^\s<>"]+`)

func (m *Module) mailboxMail(w http.ResponseWriter, r *http.Request) error {
	mail, ok := m.mailbox.find(r.PathValue("id"))
	if !ok {
		return kernel.Errorf(kernel.NotFound, "This mail is gone: the mailbox keeps the newest %d, until the server ends.", mailboxSize)
	}
	v := mailView{Received: mail, Links: linkPattern.FindAllString(mail.Text, 10)}
	if mail.HTML != "" {
		v.Frame = fmt.Sprintf("/mailbox/%s/html", mail.ID)
	}
	return m.pages.Render(w, r, http.StatusOK, "mail", ui.Page{
		Title: mail.Subject, Shape: ui.ShapePlain, Crumbs: []ui.Crumb{{Label: "Mailbox", Href: "/mailbox"}}, Body: v,
	})
}

// mailPolicy is the framed document's own: nothing runs, nothing loads, and a link opens in the whole window when a
// person clicks it. Mail programs want inline styles, so it allows those.
const mailPolicy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; " +
	"frame-ancestors 'self'; sandbox allow-top-navigation-by-user-activation"

func (m *Module) mailboxHTML(w http.ResponseWriter, r *http.Request) error {
	mail, ok := m.mailbox.find(r.PathValue("id"))
	if !ok {
		return kernel.Errorf(kernel.NotFound, "This mail is gone.")
	}
	return writeMailHTML(w, mail.HTML)
}

func writeMailHTML(w http.ResponseWriter, html string) error {
	h := w.Header()
	h.Set("Content-Security-Policy", mailPolicy)
	h.Set("X-Frame-Options", "SAMEORIGIN")
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	_, err := w.Write([]byte(strings.Replace(html, "<head>", `<head><base target="_top">`, 1)))
	return err
}
