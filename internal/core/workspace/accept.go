package workspace

import (
	"context"
	"errors"

	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
)

// InvitationBySecret is what a mailed link belongs to. It does not use it up; a dead one is NotFound. known tells whether
// the address has an account, which only the owner of the address may learn.
func (m *Module) InvitationBySecret(ctx context.Context, secret string) (in Invitation, known bool, err error) {
	in, err = foundInvitation(m.db.QueryRow(ctx, selectBySecret, hashSecret(secret), kernel.Micros(m.d.Clock())))
	if err != nil {
		return in, false, err
	}
	var n int
	err = m.db.QueryRow(ctx, `SELECT count(*) FROM accounts WHERE email_key = $1`, in.key).Scan(&n)
	return in, n > 0, err
}

const selectBySecret = `SELECT ` + invitationColumns + fromInvitations + `WHERE i.token_hash = $1 AND i.expires_at > $2`

// InvitationsFor lists the open invitations to the verified address of an account, the newest first.
func (m *Module) InvitationsFor(ctx context.Context, account kernel.AccountID) ([]Invitation, error) {
	rows, err := m.db.Query(ctx, `SELECT `+invitationColumns+fromInvitations+`JOIN accounts me ON me.email_key = i.email_key
		WHERE me.id = $1 AND me.verified_at > 0 AND i.expires_at > $2 ORDER BY i.sent_at DESC, i.id`, account, kernel.Micros(m.d.Clock()))
	if err != nil {
		return nil, err
	}
	return scanAll(rows, scanInvitation)
}

// invitee is the account that may answer an invitation: the one whose verified address was invited.
type invitee struct {
	id    kernel.AccountID
	email string
	key   string
}

func inviteeIn(ctx context.Context, tx *db.Tx, account kernel.AccountID) (who invitee, err error) {
	who.id = account
	err = tx.QueryRow(ctx, `SELECT email, email_key FROM accounts WHERE id = $1 AND verified_at > 0`, account).Scan(&who.email, &who.key)
	if errors.Is(err, db.ErrNoRows) {
		err = errNoInvitation()
	}
	return who, err
}

func (w invitee) actor() audit.Actor { return audit.Actor{Kind: "account", ID: w.id, Label: w.email} }

// mine finds an open invitation to somebody's address and holds its workspace. Somebody else's is NotFound.
func (m *Module) mine(ctx context.Context, tx *db.Tx, who invitee, id kernel.ID) (Invitation, error) {
	in, err := foundInvitation(tx.QueryRow(ctx, `SELECT `+invitationColumns+fromInvitations+`WHERE i.id = $1 AND i.email_key = $2`, id, who.key))
	if err != nil {
		return in, err
	}
	if _, err := hold(ctx, tx, in.WorkspaceID); err != nil {
		return in, err
	}
	// Read again: it may have been revoked or changed while we waited.
	if in, err = invitationIn(ctx, tx, in.WorkspaceID, id); err != nil {
		return in, err
	}
	if !in.Open(tx.Now()) {
		return in, errNoInvitation()
	}
	return in, nil
}

// Accept makes an account a member of the workspace that its verified address was invited to. Nobody else can accept,
// whoever has the link.
func (m *Module) Accept(ctx context.Context, account kernel.AccountID, id kernel.ID) (in Invitation, err error) {
	err = m.db.Tx(ctx, func(tx *db.Tx) error {
		who, err := inviteeIn(ctx, tx, account)
		if err != nil {
			return err
		}
		if in, err = m.mine(ctx, tx, who, id); err != nil {
			return err
		}
		return m.accept(ctx, tx, who, in)
	})
	return in, err
}

func (m *Module) accept(ctx context.Context, tx *db.Tx, who invitee, in Invitation) error {
	var n int
	if err := tx.QueryRow(ctx, `SELECT count(*) FROM memberships WHERE account_id = $1`, who.id).Scan(&n); err != nil {
		return err
	}
	if n >= maxWorkspaces {
		return kernel.Errorf(kernel.Conflict, "You are a member of %d workspaces, which is the most that one person may have. Leave one first.", n)
	}
	if err := dropInvitation(ctx, tx, in.ID); err != nil {
		return err
	}
	// Somebody who became a member in another way meanwhile keeps that role.
	n64, err := tx.Exec(ctx, `INSERT INTO memberships (workspace_id, account_id, role, apps, source, created_at) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (workspace_id, account_id) DO NOTHING`, in.WorkspaceID, who.id, in.Role, joinApps(in.Apps), in.Source, kernel.Micros(tx.Now()))
	if err != nil {
		return err
	}
	m.tellChanged(tx, in.WorkspaceID)
	m.mu.Lock()
	listeners := m.joined
	m.mu.Unlock()
	for _, f := range listeners {
		if err := f(ctx, tx, in.WorkspaceID, who.id); err != nil {
			return err
		}
	}
	if n64 > 0 && in.by != "" {
		inviter, err := personIn(ctx, tx, in.WorkspaceID, in.by)
		if err == nil {
			err = m.send(ctx, tx, mailAccepted, inviter, m.acceptedContent(in, who.email))
		}
		if err != nil && kernel.CodeOf(err) != kernel.NotFound {
			return err
		}
	}
	return audit.Record(ctx, tx, audit.Event{WorkspaceID: in.WorkspaceID, Actor: who.actor(), Action: "invitation.accept", Target: in.target(),
		Detail: describe(in.Role, in.Apps)})
}

// Decline removes an invitation to the verified address of an account.
func (m *Module) Decline(ctx context.Context, account kernel.AccountID, id kernel.ID) error {
	return m.db.Tx(ctx, func(tx *db.Tx) error {
		who, err := inviteeIn(ctx, tx, account)
		if err != nil {
			return err
		}
		in, err := m.mine(ctx, tx, who, id)
		if err != nil {
			return err
		}
		return decline(ctx, tx, who.actor(), in)
	})
}

// DeclineBySecret removes the invitation of a mailed link, for somebody who has no account and wants none.
func (m *Module) DeclineBySecret(ctx context.Context, secret string) error {
	return m.db.Tx(ctx, func(tx *db.Tx) error {
		in, err := foundInvitation(tx.QueryRow(ctx, selectBySecret, hashSecret(secret), kernel.Micros(tx.Now())))
		if err != nil {
			return err
		}
		return decline(ctx, tx, audit.Actor{Kind: "anonymous"}, in)
	})
}

func decline(ctx context.Context, tx *db.Tx, by audit.Actor, in Invitation) error {
	if err := dropInvitation(ctx, tx, in.ID); err != nil {
		return err
	}
	return audit.Record(ctx, tx, audit.Event{WorkspaceID: in.WorkspaceID, Actor: by, Action: "invitation.decline", Target: in.target()})
}

// StartSignUp is the path at which the owner of an invited address, who has followed the mailed link, opens an account.
func (m *Module) StartSignUp(ctx context.Context, secret string) (path string, err error) {
	if m.d.SignUps == nil {
		return "", kernel.Errorf(kernel.Forbidden, "Nobody can sign up on this server. Ask the person who runs it for an account.")
	}
	err = m.db.Tx(ctx, func(tx *db.Tx) error {
		in, err := foundInvitation(tx.QueryRow(ctx, selectBySecret, hashSecret(secret), kernel.Micros(tx.Now())))
		if err != nil {
			return err
		}
		if path, err = m.d.SignUps.SignUpFor(ctx, tx, in.Email, pathChooser); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Event{WorkspaceID: in.WorkspaceID, Actor: audit.Actor{Kind: "anonymous"}, Action: "account.sign_up", Target: in.target()})
	})
	return path, err
}
