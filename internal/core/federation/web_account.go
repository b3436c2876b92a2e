package federation

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/kept-dev/kept/internal/core/identity"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/httpx/respond"
	"github.com/kept-dev/kept/internal/ui"
)

// SecurityCards is the module's line of the security page.
func (m *Module) SecurityCards(ctx context.Context, account kernel.AccountID) ([]identity.SecurityCard, error) {
	links, err := m.Links(ctx, account)
	if err != nil || len(m.order) == 0 && len(links) == 0 {
		return nil, err
	}
	c := identity.SecurityCard{Title: "Sign-in providers", Text: "Sign in with an account that you have elsewhere.", Href: pathProviders}
	switch n := len(links); n {
	case 0:
	case 1:
		c.State = m.label(links[0].Provider)
	default:
		c.State = fmt.Sprintf("%d linked", n)
	}
	return []identity.SecurityCard{c}, nil
}

type providersView struct {
	Links []linkView
	Offer []ui.Action // what can be linked
	Empty *ui.Empty
}

type linkView struct {
	Link
	Label string
	Gone  bool // the operator took the provider away
	Href  string
}

func (m *Module) providersPage(w http.ResponseWriter, r *http.Request) error {
	links, err := m.Links(r.Context(), httpx.ActorOf(r.Context()).AccountID)
	if err != nil {
		return err
	}
	var v providersView
	for _, l := range links {
		v.Links = append(v.Links, linkView{Link: l, Label: m.label(l.Provider), Gone: m.providers[l.Provider] == nil,
			Href: pathProviders + "/" + string(l.ID) + "/unlink"})
	}
	for _, p := range m.order {
		v.Offer = append(v.Offer, ui.Action{Label: "Link " + p.Label, Href: pathProviders + "/" + p.Key + "/link", Post: true})
	}
	if len(v.Links) == 0 {
		v.Empty = &ui.Empty{Icon: "shield", Title: "Nothing is linked", Text: "Link an account that you have elsewhere, and you can sign in with it."}
		if len(m.order) == 0 {
			v.Empty.Text = "This server has no sign-in providers. Whoever runs it can name some with --oidc-providers."
		}
	}
	page := ui.Page{Title: "Sign-in providers", App: "settings", Section: "/account/security", Body: v,
		Lead: "Accounts that you have elsewhere and can sign in with.", Crumbs: []ui.Crumb{{Label: "Security", Href: "/account/security"}}}
	if text := doneTexts[r.URL.Query().Get("done")]; text != "" {
		page.Toasts = []ui.Toast{{Tone: ui.ToneGood, Text: text}}
	}
	return m.pages.Render(w, r, http.StatusOK, "providers", page)
}

// doneTexts are what is said after a change; the address has the key only.
var doneTexts = map[string]string{
	"linked":   "Linked. You can sign in with it from now on.",
	"unlinked": "The link is ended, and all other browsers are signed out.",
}

// link answers with a page that leads on: the answer to a form must not be a redirect to another site (form-action).
func (m *Module) link(w http.ResponseWriter, r *http.Request) error {
	p, err := m.provider(r.PathValue("provider"))
	if err != nil {
		return err
	}
	to, err := m.beginLink(r.Context(), p, httpx.ActorOf(r.Context()))
	if err != nil {
		return m.failed(w, r, p, err)
	}
	w.Header().Set("Refresh", "0; url="+to)
	return m.card(w, r, http.StatusOK, "On to "+p.Label, "", cardView{
		Text: []string{"You are sent to " + hostOf(to) + ", to say there that this account is yours."}, Links: []ui.Link{{Label: "Continue to " + p.Label, Href: to}}})
}

func (m *Module) pathLink(r *http.Request) (Link, error) {
	id := r.PathValue("id")
	if !kernel.ValidID(id) {
		return Link{}, errNoLink()
	}
	return m.FindLink(r.Context(), httpx.ActorOf(r.Context()).AccountID, kernel.ID(id))
}

func (m *Module) unlinkPage(w http.ResponseWriter, r *http.Request) error {
	l, err := m.pathLink(r)
	if err != nil {
		return err
	}
	return m.askUnlink(w, r, http.StatusOK, l, "")
}

func (m *Module) askUnlink(w http.ResponseWriter, r *http.Request, status int, l Link, problem string) error {
	label := m.label(l.Provider)
	return m.pages.Render(w, r, status, "unlink", ui.Page{
		Title: "End the link with " + label + "?", App: "settings", Section: "/account/security",
		Crumbs: []ui.Crumb{{Label: "Security", Href: "/account/security"}, {Label: "Sign-in providers", Href: pathProviders}},
		Body: ui.Dialog{Text: "You can no longer sign in with " + label + described(l.Email) + ", and all other browsers are signed out. Your account there stays as it is.",
			Form: ui.Form{Action: pathProviders + "/" + string(l.ID) + "/unlink", Submit: "End the link", Danger: true, Cancel: pathProviders, Error: problem}},
	})
}

func (m *Module) unlink(w http.ResponseWriter, r *http.Request) error {
	l, err := m.pathLink(r)
	if err != nil {
		return err
	}
	err = m.EndLink(r.Context(), httpx.ActorOf(r.Context()), l.ID)
	var e *kernel.Error
	if errors.As(err, &e) && e.Code == kernel.Conflict {
		return m.askUnlink(w, r, respond.Status(e.Code), l, e.Safe)
	}
	if err != nil {
		return err
	}
	return respond.SeeOther(w, r, pathProviders+"?done=unlinked")
}

// adoptPage asks the owner of an account, who has just signed in, whether to link what came from a provider.
func (m *Module) adoptPage(w http.ResponseWriter, r *http.Request) error {
	token := r.URL.Query().Get("token")
	f, n, err := m.peek(r.Context(), flowProve, token)
	if err != nil {
		return m.notBegun(w, r, err)
	}
	if f.Account != httpx.ActorOf(r.Context()).AccountID {
		return m.notBegun(w, r, errNotFound())
	}
	label := m.label(n.Provider)
	return m.card(w, r, http.StatusOK, "Link "+label+"?", "", cardView{
		Text: []string{"From now on you can also sign in here with the account " + n.Person.Email + " at " + label + "."},
		Form: &ui.Form{Action: pathAdopt, Submit: "Link " + label, Cancel: pathProviders, Hidden: []ui.Param{{Name: "token", Value: token}}}})
}

func (m *Module) adoptForm(w http.ResponseWriter, r *http.Request) error {
	if err := parseForm(r); err != nil {
		return err
	}
	next, err := m.adopt(r.Context(), httpx.ActorOf(r.Context()), r.PostForm.Get("token"))
	if err != nil {
		return m.notBegun(w, r, err)
	}
	if next == "" {
		next = pathProviders + "?done=linked"
	}
	return respond.SeeOther(w, r, next)
}
