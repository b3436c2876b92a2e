package workspace

import (
	"context"
	"strings"

	"github.com/kept-dev/kept/internal/core/mail"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
)

// The mail types of this module.
const (
	mailInvitation = "invitation"
	mailAccepted   = "invitation_accepted"
	mailChanged    = "member_changed"
	mailRemoved    = "member_removed"
	mailOffered    = "ownership_offered"
	mailTaken      = "ownership_accepted"
)

// MailTypes are the mails that the module sends.
func MailTypes() []mail.Type {
	m := &Module{d: Deps{BaseURL: "https://kept.example"}}
	sample := Invitation{WorkspaceID: "01jexample", Workspace: "Acme", Email: "bob@example.org", Role: RoleMember, InvitedBy: "ann@example.org"}
	return []mail.Type{
		{ID: mailInvitation, Kind: mail.Transactional, Title: "Invitation to a workspace", MaxAge: InvitationTTL, Optional: true,
			Sample: m.invitationContent(sample, "EXAMPLE")},
		{ID: mailAccepted, Kind: mail.Transactional, Title: "Somebody accepted your invitation", Sample: m.acceptedContent(sample, sample.Email)},
		{ID: mailChanged, Kind: mail.Transactional, Title: "Notice: your role changed", Security: true, Sample: changedContent("Acme", RoleAdmin, "")},
		{ID: mailRemoved, Kind: mail.Transactional, Title: "Notice: you are no longer a member", Security: true, Sample: removedContent("Acme")},
		{ID: mailOffered, Kind: mail.Transactional, Title: "Ownership of a workspace is offered to you", MaxAge: transferTTL,
			Sample: m.offeredContent("01jexample", "Acme", "ann@example.org")},
		{ID: mailTaken, Kind: mail.Transactional, Title: "Notice: ownership handed over", Security: true, Sample: takenContent("Acme", "bob@example.org")},
	}
}

// send writes to a member.
func (m *Module) send(ctx context.Context, tx *db.Tx, kind string, to Person, c mail.Content) error {
	if m.d.Mail == nil {
		return nil
	}
	return m.d.Mail.Send(ctx, tx, mail.Mail{Type: kind, To: to.Email, AccountID: to.AccountID, Content: c})
}

func (m *Module) invitationMail(in Invitation, secret string, void bool) mail.Mail {
	return mail.Mail{Type: mailInvitation, To: in.Email, Content: m.invitationContent(in, secret), Void: void}
}

// who names whoever acted in a sentence: a person by the address, a directory as the workspace.
func who(email, workspace string) string {
	if email == "" {
		return "The directory of “" + workspace + "”"
	}
	return email
}

func (m *Module) invitationContent(in Invitation, secret string) mail.Content {
	life := "7"
	if in.Source == SourceSCIM {
		life = "30"
	}
	return mail.Content{
		Subject: "Invitation to the workspace “" + in.Workspace + "” on Kept",
		Text: []string{who(in.InvitedBy, in.Workspace) + " invites you to work together in the workspace “" + in.Workspace + "”, as " + article(in.Role) + ".",
			"You need an account with this address; if you have none, you can open one behind the link."},
		Action: &mail.Action{Label: "See the invitation", URL: m.d.BaseURL + pathInvitation + "?token=" + secret},
		After:  []string{"The link works for " + life + " days. If you do not know them, decline behind the link, or do nothing: without your answer nothing happens."},
		Why:    "You get this because a member of that workspace entered your address.",
	}
}

func (m *Module) acceptedContent(in Invitation, email string) mail.Content {
	return mail.Content{
		Subject: email + " joined “" + in.Workspace + "”",
		Text:    []string{email + " accepted your invitation and is a member of the workspace “" + in.Workspace + "” now, as " + article(in.Role) + "."},
		Action:  &mail.Action{Label: "See the members", URL: m.d.BaseURL + membersHref(in.WorkspaceID)},
		Why:     "You get this because you sent the invitation.",
	}
}

func changedContent(workspace, role, apps string) mail.Content {
	text := "In the workspace “" + workspace + "” you are " + article(role) + " now."
	if apps != "" {
		text += " You can open: " + apps + "."
	}
	return mail.Content{
		Subject: "Your role in “" + workspace + "” changed",
		Text:    []string{text},
		Why:     "You get this because it concerns what you may do.",
	}
}

func removedContent(workspace string) mail.Content {
	return mail.Content{
		Subject: "You are no longer a member of “" + workspace + "”",
		Text:    []string{"You were removed from the workspace “" + workspace + "”. Your account and your other workspaces stay as they are."},
		Why:     "You get this because it concerns what you may do.",
	}
}

func (m *Module) offeredContent(ws kernel.WorkspaceID, workspace, from string) mail.Content {
	return mail.Content{
		Subject: "The workspace “" + workspace + "” is offered to you",
		Text:    []string{from + " wants to hand the ownership of the workspace “" + workspace + "” over to you. If you accept, you become its owner, and " + from + " an admin."},
		Action:  &mail.Action{Label: "Answer the offer", URL: m.d.BaseURL + transferHref(ws)},
		After:   []string{"The offer stands for 7 days. If you do nothing, nothing changes."},
		Why:     "You get this because you are a member of that workspace.",
	}
}

func takenContent(workspace, by string) mail.Content {
	return mail.Content{
		Subject: by + " is the owner of “" + workspace + "” now",
		Text:    []string{by + " accepted the ownership of the workspace “" + workspace + "”. You are an admin of it now."},
		After:   []string{"If you did not offer it, tell the person who runs this server at once."},
		Why:     "You get this because it concerns what you may do.",
	}
}

// appLabels are the names of apps in a row; empty for all.
func (m *Module) appLabels(apps []string) string {
	var labels []string
	for _, key := range apps {
		label := key
		for _, a := range m.d.Apps {
			if a.Key == key {
				label = a.Label
			}
		}
		labels = append(labels, label)
	}
	return strings.Join(labels, ", ")
}
