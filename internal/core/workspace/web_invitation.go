package workspace

import (
	"net/http"

	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/httpx/respond"
	"github.com/kept-dev/kept/internal/ui"
)

// cardView is the body of a narrow page: text, forms and links, in that order.
type cardView struct {
	Text  []string
	Forms []ui.Form
	Links []ui.Link
}

func (m *Module) card(w http.ResponseWriter, r *http.Request, status int, title, lead string, v cardView) error {
	return m.pages.Render(w, r, status, "card", ui.Page{Title: title, Lead: lead, Shape: ui.ShapeCenter, Body: v})
}

func hidden(name, value string) []ui.Param { return []ui.Param{{Name: name, Value: value}} }

// invitationPage is where a mailed link leads. Looking at it changes nothing: mail programs look before people do.
func (m *Module) invitationPage(w http.ResponseWriter, r *http.Request) error {
	secret, a := r.URL.Query().Get("token"), httpx.ActorOf(r.Context())
	if secret == "" && !a.Anonymous() {
		return respond.SeeOther(w, r, pathChooser)
	}
	w.Header().Set("Cache-Control", "no-store")
	in, known, err := m.InvitationBySecret(r.Context(), secret)
	if err != nil {
		return m.deadInvitation(w, r, err)
	}
	lead := who(in.InvitedBy, in.Workspace) + " invites " + in.Email + " to become " + article(in.Role) + " of this workspace."
	v, err := m.invitationCard(r, in, secret, known)
	if err != nil {
		return err
	}
	return m.card(w, r, http.StatusOK, "Join "+in.Workspace, lead, v)
}

// deadInvitation is the page of a link that works no more.
func (m *Module) deadInvitation(w http.ResponseWriter, r *http.Request, err error) error {
	if kernel.CodeOf(err) != kernel.NotFound {
		return err
	}
	return m.card(w, r, http.StatusNotFound, "This invitation works no more", "It was answered or revoked, or it is too old.",
		cardView{Text: []string{"Ask whoever invited you for a new one."}, Links: []ui.Link{{Label: "Go to your workspaces", Href: pathChooser}}})
}

func (m *Module) invitationCard(r *http.Request, in Invitation, secret string, known bool) (v cardView, err error) {
	a := httpx.ActorOf(r.Context())
	decline := ui.Form{Action: pathInvitation + "/decline", Submit: "Decline", Danger: true, Hidden: hidden("token", secret)}
	switch {
	case !a.Anonymous():
		mine, err := m.isFor(r, in)
		if err != nil {
			return v, err
		}
		if !mine {
			return cardView{
				Text:  []string{"You are signed in as " + a.Email + ". The invitation is for " + in.Email + " only: sign out, and open its link again."},
				Forms: []ui.Form{{Action: "/sign-out", Submit: "Sign out"}},
				Links: []ui.Link{{Label: "Stay signed in", Href: pathChooser}},
			}, nil
		}
		v.Forms = []ui.Form{{Action: pathInvitation + "/accept", Submit: "Accept", Hidden: hidden("id", string(in.ID))}}
	case known:
		v.Text = []string{"Sign in as " + in.Email + ", and accept it on the next page."}
		v.Links = []ui.Link{{Label: "Sign in", Href: "/sign-in?next=" + pathChooser}}
	default:
		v.Text = []string{"There is no account with this address yet. Open one, and accept the invitation afterwards."}
		v.Forms = []ui.Form{{Action: pathInvitation + "/sign-up", Submit: "Open an account", Hidden: hidden("token", secret)}}
	}
	v.Forms = append(v.Forms, decline)
	return v, nil
}

func (m *Module) isFor(r *http.Request, in Invitation) (bool, error) {
	all, err := m.InvitationsFor(r.Context(), httpx.ActorOf(r.Context()).AccountID)
	for _, i := range all {
		if i.ID == in.ID {
			return true, nil
		}
	}
	return false, err
}

// signUp sends the owner of the invited address, which the link proves, to where an account is opened.
func (m *Module) signUp(w http.ResponseWriter, r *http.Request) error {
	if err := parseForm(r); err != nil {
		return err
	}
	path, err := m.StartSignUp(r.Context(), r.PostForm.Get("token"))
	if err != nil {
		return m.deadInvitation(w, r, err)
	}
	return respond.SeeOther(w, r, path)
}

func formID(r *http.Request) (kernel.ID, error) {
	if err := parseForm(r); err != nil {
		return "", err
	}
	id := r.PostForm.Get("id")
	if !kernel.ValidID(id) {
		return "", errNoInvitation()
	}
	return kernel.ID(id), nil
}

func (m *Module) acceptInvitation(w http.ResponseWriter, r *http.Request) error {
	id, err := formID(r)
	if err != nil {
		return m.deadInvitation(w, r, err)
	}
	in, err := m.Accept(r.Context(), httpx.ActorOf(r.Context()).AccountID, id)
	if err != nil {
		return m.deadInvitation(w, r, err)
	}
	return respond.SeeOther(w, r, "/w/"+string(in.WorkspaceID))
}

// declineInvitation is for whoever has the link, and for the account with the address.
func (m *Module) declineInvitation(w http.ResponseWriter, r *http.Request) error {
	if err := parseForm(r); err != nil {
		return err
	}
	a := httpx.ActorOf(r.Context())
	if secret := r.PostForm.Get("token"); secret != "" {
		if err := m.DeclineBySecret(r.Context(), secret); err != nil {
			return m.deadInvitation(w, r, err)
		}
		return m.card(w, r, http.StatusOK, "Declined", "You were not made a member of anything.", cardView{Links: []ui.Link{{Label: "Go to the start page", Href: "/"}}})
	}
	id, err := formID(r)
	if err == nil && a.Anonymous() {
		err = errNoInvitation()
	}
	if err == nil {
		err = m.Decline(r.Context(), a.AccountID, id)
	}
	if err != nil {
		return m.deadInvitation(w, r, err)
	}
	return respond.SeeOther(w, r, pathChooser+"?done=declined")
}

type handOverView struct {
	Transfer *Transfer
	Withdraw string
	Form     *ui.Form
}

func (m *Module) renderHandOver(w http.ResponseWriter, r *http.Request, status int, v handOverView) error {
	ws := httpx.ActorOf(r.Context()).WorkspaceID
	return m.pages.Render(w, r, status, "handover", ui.Page{Title: "Transfer the ownership", App: "settings", Section: settingsHref(ws),
		Crumbs: []ui.Crumb{{Label: "Workspace", Href: settingsHref(ws)}}, Body: v, Toasts: done(r),
		Lead: "The member you choose becomes the owner, and you an admin, once that member accepts."})
}

func handOverForm(ws kernel.WorkspaceID, email string) *ui.Form {
	return &ui.Form{Action: handOverHref(ws), Narrow: true, Submit: "Offer the ownership", Danger: true, Cancel: settingsHref(ws), Fields: []ui.Field{
		{Name: "to", Label: "E-mail address of the member", Kind: "email", Value: email, Required: true, MaxLength: 254, Autocomplete: "off",
			Hint: "Somebody who is no member yet is invited first."}}}
}

func (m *Module) handOverPage(w http.ResponseWriter, r *http.Request) error {
	ws := httpx.ActorOf(r.Context()).WorkspaceID
	t, open, err := m.TransferOf(r.Context(), ws)
	if err != nil {
		return err
	}
	if open {
		return m.renderHandOver(w, r, http.StatusOK, handOverView{Transfer: &t, Withdraw: handOverHref(ws) + "/withdraw"})
	}
	email := ""
	if id := r.URL.Query().Get("to"); kernel.ValidID(id) {
		p, err := m.Person(r.Context(), ws, kernel.AccountID(id))
		if err != nil && kernel.CodeOf(err) != kernel.NotFound {
			return err
		}
		email = p.Email
	}
	return m.renderHandOver(w, r, http.StatusOK, handOverView{Form: handOverForm(ws, email)})
}

func (m *Module) handOver(w http.ResponseWriter, r *http.Request) error {
	if err := parseForm(r); err != nil {
		return err
	}
	a, email := httpx.ActorOf(r.Context()), r.PostForm.Get("to")
	p, err := m.PersonByEmail(r.Context(), a.WorkspaceID, email)
	if err == nil {
		err = m.OfferOwnership(r.Context(), audit.ActorOf(a), a.WorkspaceID, p.AccountID)
	}
	if err != nil {
		form, status, ok := refused(*handOverForm(a.WorkspaceID, email), err)
		if !ok {
			return err
		}
		return m.renderHandOver(w, r, status, handOverView{Form: &form})
	}
	return respond.SeeOther(w, r, handOverHref(a.WorkspaceID)+"?done=offered")
}

func (m *Module) withdraw(w http.ResponseWriter, r *http.Request) error {
	a := httpx.ActorOf(r.Context())
	if err := m.WithdrawOffer(r.Context(), audit.ActorOf(a), a.WorkspaceID); err != nil {
		return err
	}
	return respond.SeeOther(w, r, settingsHref(a.WorkspaceID)+"?done=withdrawn")
}

func (m *Module) pathTransfer(r *http.Request) (Transfer, error) {
	ws, err := pathID(r, "ws", errNoTransfer())
	if err != nil {
		return Transfer{}, err
	}
	return m.TransferTo(r.Context(), ws, httpx.ActorOf(r.Context()).AccountID)
}

func (m *Module) transferPage(w http.ResponseWriter, r *http.Request) error {
	t, err := m.pathTransfer(r)
	if err != nil {
		return err
	}
	href := transferHref(t.WorkspaceID)
	return m.card(w, r, http.StatusOK, "Own "+t.Workspace+"?", t.FromEmail+" wants to hand this workspace over to you.", cardView{
		Text: []string{"As its owner you may do everything in it, and answer for it: members, plan, and its end. " + t.FromEmail + " becomes an admin."},
		Forms: []ui.Form{
			{Action: href, Submit: "Become the owner"},
			{Action: href + "/decline", Submit: "Decline", Danger: true},
		},
		Links: []ui.Link{{Label: "Decide later", Href: pathChooser}},
	})
}

func (m *Module) acceptTransfer(w http.ResponseWriter, r *http.Request) error {
	t, err := m.pathTransfer(r)
	if err != nil {
		return err
	}
	if err := m.AcceptOwnership(r.Context(), httpx.ActorOf(r.Context()), t.WorkspaceID); err != nil {
		return err
	}
	return respond.SeeOther(w, r, settingsHref(t.WorkspaceID)+"?done=owner")
}

func (m *Module) declineTransfer(w http.ResponseWriter, r *http.Request) error {
	t, err := m.pathTransfer(r)
	if err != nil {
		return err
	}
	if err := m.DeclineOwnership(r.Context(), audit.ActorOf(httpx.ActorOf(r.Context())), t.WorkspaceID); err != nil {
		return err
	}
	return respond.SeeOther(w, r, pathChooser+"?done=refused")
}
