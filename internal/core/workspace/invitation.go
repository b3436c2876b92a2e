package workspace

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"
	"time"

	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/core/identity"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
)

// How long things last, and how many there may be.
const (
	InvitationTTL   = 7 * 24 * time.Hour
	scimTTL         = 30 * 24 * time.Hour // a directory does not ask again
	invitationKept  = 30 * 24 * time.Hour // after it was mailed last
	maxOpen         = 50                  // invitations of one workspace
	maxOpenSCIM     = 5000
	errTooManyMails = "This address got several invitations today already. Try again tomorrow."
)

// Invitation lets the owner of an address become a member.
type Invitation struct {
	ID          kernel.ID          `json:"id"`
	WorkspaceID kernel.WorkspaceID `json:"-"`
	Workspace   string             `json:"-"` // its name
	Email       string             `json:"email"`
	Role        string             `json:"role"`
	Apps        []string           `json:"apps,omitempty"` // that the access will include; none is all
	InvitedBy   string             `json:"invited_by,omitempty"`
	Source      string             `json:"source,omitempty"` // "" or SourceSCIM
	Sent        int                `json:"sent"`             // how often it was mailed
	CreatedAt   time.Time          `json:"created_at"`
	SentAt      time.Time          `json:"sent_at"`
	ExpiresAt   time.Time          `json:"expires_at"`

	key string // of the address
	by  kernel.AccountID
}

// Open tells whether it can still be accepted.
func (in Invitation) Open(now time.Time) bool { return now.Before(in.ExpiresAt) }

func (in Invitation) target() string { return "invitation:" + string(in.ID) }

const (
	invitationColumns = `i.id, i.workspace_id, w.name, i.email, i.email_key, i.role, i.apps, i.source, i.sent,
	i.created_at, i.sent_at, i.expires_at, coalesce(i.invited_by, ''), coalesce(a.email, '')`
	fromInvitations = ` FROM invitations i JOIN workspaces w ON w.id = i.workspace_id LEFT JOIN accounts a ON a.id = i.invited_by `
)

func scanInvitation(row rowScanner) (in Invitation, err error) {
	var apps string
	var created, sent, expires int64
	err = row.Scan(&in.ID, &in.WorkspaceID, &in.Workspace, &in.Email, &in.key, &in.Role, &apps, &in.Source, &in.Sent,
		&created, &sent, &expires, &in.by, &in.InvitedBy)
	in.Apps, in.CreatedAt, in.SentAt, in.ExpiresAt = splitApps(apps), kernel.FromMicros(created), kernel.FromMicros(sent), kernel.FromMicros(expires)
	return in, err
}

func errNoInvitation() error {
	return kernel.Errorf(kernel.NotFound, "This invitation was answered, revoked or is too old. Ask whoever invited you for a new one.")
}

func foundInvitation(row rowScanner) (Invitation, error) {
	in, err := scanInvitation(row)
	if errors.Is(err, db.ErrNoRows) {
		return Invitation{}, errNoInvitation()
	}
	return in, err
}

// Invitations lists those of a workspace that were not answered, also the ones that are too old, the newest first.
func (m *Module) Invitations(ctx context.Context, ws kernel.WorkspaceID) ([]Invitation, error) {
	rows, err := m.db.Query(ctx, `SELECT `+invitationColumns+fromInvitations+`WHERE i.workspace_id = $1 ORDER BY i.sent_at DESC, i.id`, ws)
	if err != nil {
		return nil, err
	}
	return scanAll(rows, scanInvitation)
}

// Invitation is one of a workspace's; another's is NotFound.
func (m *Module) Invitation(ctx context.Context, ws kernel.WorkspaceID, id kernel.ID) (Invitation, error) {
	return foundInvitation(m.db.QueryRow(ctx, selectInvitation, ws, id))
}

// InvitationTo is a workspace's invitation to an address; none is NotFound.
func (m *Module) InvitationTo(ctx context.Context, ws kernel.WorkspaceID, email string) (Invitation, error) {
	addr, err := identity.ParseAddress(email)
	if err != nil {
		return Invitation{}, err
	}
	return foundInvitation(m.db.QueryRow(ctx, `SELECT `+invitationColumns+fromInvitations+`WHERE i.workspace_id = $1 AND i.email_key = $2`, ws, addr.Key))
}

const selectInvitation = `SELECT ` + invitationColumns + fromInvitations + `WHERE i.workspace_id = $1 AND i.id = $2`

func invitationIn(ctx context.Context, tx *db.Tx, ws kernel.WorkspaceID, id kernel.ID) (Invitation, error) {
	return foundInvitation(tx.QueryRow(ctx, selectInvitation, ws, id))
}

// newSecret makes 256 random bits for a mailed link, and what is stored of them.
func newSecret() (secret string, hash []byte) {
	raw := make([]byte, 32)
	rand.Read(raw)
	secret = base64.RawURLEncoding.EncodeToString(raw)
	return secret, hashSecret(secret)
}

func hashSecret(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}

// Invite mails an invitation to in.Email, to become a member with in.Role and in.Apps. Nobody gives more than he has, and
// nobody is invited as an owner. An address that is invited already, or is a member's, is Conflict; whether it has an
// account makes no difference. One that got three invitations within a day is Limited.
func (m *Module) Invite(ctx context.Context, by audit.Actor, ws kernel.WorkspaceID, in Invitation) (out Invitation, err error) {
	addr, err := identity.ParseAddress(in.Email)
	if err != nil {
		return out, err
	}
	if in.Apps, err = m.cleanApps(in.Apps, nil); err != nil {
		return out, err
	}
	err = m.db.Tx(ctx, func(tx *db.Tx) error {
		name, err := hold(ctx, tx, ws)
		if err != nil {
			return err
		}
		if err := mayInvite(ctx, tx, ws, by, in); err != nil {
			return err
		}
		if err := makeRoom(ctx, tx, ws, addr, in.Source); err != nil {
			return err
		}
		out = Invitation{ID: kernel.NewID(tx.Now()), WorkspaceID: ws, Workspace: name, Email: addr.Typed, key: addr.Key, Role: in.Role, Apps: in.Apps,
			Source: in.Source, CreatedAt: tx.Now()}
		if by.Kind == "account" {
			out.by, out.InvitedBy = by.ID, by.Label
		}
		if err := m.insertInvitation(ctx, tx, &out); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Event{WorkspaceID: ws, Actor: by, Action: "invitation.create", Target: out.target(),
			Detail: maskAddress(out.Email) + " as " + describe(out.Role, out.Apps)})
	})
	return out, err
}

func mayInvite(ctx context.Context, tx *db.Tx, ws kernel.WorkspaceID, by audit.Actor, in Invitation) error {
	a, err := authorityOf(ctx, tx, ws, by)
	if err != nil {
		return err
	}
	return a.mayInvite(in.Role, in.Apps)
}

func (a authority) mayInvite(role string, apps []string) error {
	if role == RoleOwner {
		return kernel.InvalidField("role", "Nobody is invited as an owner. Invite an admin, and make that member an owner.")
	}
	return a.mayGrant(role, apps)
}

// makeRoom refuses a second invitation and one too many, and removes one to the same address that is too old.
func makeRoom(ctx context.Context, tx *db.Tx, ws kernel.WorkspaceID, addr identity.Address, source string) error {
	var members int
	err := tx.QueryRow(ctx, `SELECT count(*)`+fromPeople+`WHERE m.workspace_id = $1 AND a.email_key = $2`, ws, addr.Key).Scan(&members)
	if err != nil {
		return err
	}
	if members > 0 {
		return kernel.Errorf(kernel.Conflict, "%s is a member already.", addr.Typed)
	}
	if _, err := tx.Exec(ctx, `DELETE FROM invitations WHERE workspace_id = $1 AND email_key = $2 AND expires_at <= $3`,
		ws, addr.Key, kernel.Micros(tx.Now())); err != nil {
		return err
	}
	var open, same int
	err = tx.QueryRow(ctx, `SELECT count(*), coalesce(sum(CASE WHEN email_key = $2 THEN 1 ELSE 0 END), 0) FROM invitations
		WHERE workspace_id = $1 AND (expires_at > $3 OR email_key = $2)`, ws, addr.Key, kernel.Micros(tx.Now())).Scan(&open, &same)
	limit := maxOpen
	if source == SourceSCIM {
		limit = maxOpenSCIM
	}
	switch {
	case err != nil:
		return err
	case same > 0:
		return kernel.Errorf(kernel.Conflict, "%s is invited already. You can send that invitation again, or revoke it.", addr.Typed)
	case open >= limit:
		return kernel.Errorf(kernel.Conflict, "There are %d open invitations, which is the most that a workspace may have. Revoke some that are not needed.", open)
	}
	return nil
}

// insertInvitation stores and mails it.
func (m *Module) insertInvitation(ctx context.Context, tx *db.Tx, in *Invitation) error {
	secret, hash := newSecret()
	in.Sent, in.SentAt, in.ExpiresAt = 1, tx.Now(), tx.Now().Add(ttlOf(in.Source))
	var by any
	if in.by != "" {
		by = string(in.by)
	}
	_, err := tx.Exec(ctx, `INSERT INTO invitations (id, workspace_id, email, email_key, role, apps, token_hash, invited_by, source, sent, created_at, sent_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`, in.ID, in.WorkspaceID, in.Email, in.key, in.Role, joinApps(in.Apps), hash, by,
		in.Source, in.Sent, kernel.Micros(in.CreatedAt), kernel.Micros(in.SentAt), kernel.Micros(in.ExpiresAt))
	if err != nil {
		return err
	}
	return m.mailInvitation(ctx, tx, *in, secret)
}

func ttlOf(source string) time.Duration {
	if source == SourceSCIM {
		return scimTTL
	}
	return InvitationTTL
}

// mailInvitation sends it, to whoever has the address: it is written to the address and not to an account.
func (m *Module) mailInvitation(ctx context.Context, tx *db.Tx, in Invitation, secret string) error {
	allowed, err := identity.InvitationAllowed(ctx, tx, identity.Address{Typed: in.Email, Key: in.key})
	if err != nil {
		return err
	}
	if !allowed && in.Source == "" {
		return kernel.Errorf(kernel.Limited, errTooManyMails)
	}
	if m.d.Mail == nil {
		return nil
	}
	return m.d.Mail.Send(ctx, tx, m.invitationMail(in, secret, !allowed))
}

// Resend mails an invitation again, with a new link that ends the old one, and begins its time anew.
func (m *Module) Resend(ctx context.Context, by audit.Actor, ws kernel.WorkspaceID, id kernel.ID) (in Invitation, err error) {
	err = m.db.Tx(ctx, func(tx *db.Tx) error {
		if _, err := hold(ctx, tx, ws); err != nil {
			return err
		}
		if in, err = invitationIn(ctx, tx, ws, id); err != nil {
			return err
		}
		if err := mayInvite(ctx, tx, ws, by, in); err != nil {
			return err
		}
		secret, hash := newSecret()
		in.Sent, in.SentAt, in.ExpiresAt = in.Sent+1, tx.Now(), tx.Now().Add(ttlOf(in.Source))
		if by.Kind == "account" { // the invitation is his from now on, and ends with his rights
			in.by, in.InvitedBy = by.ID, by.Label
		}
		if _, err := tx.Exec(ctx, `UPDATE invitations SET token_hash = $2, sent = $3, sent_at = $4, expires_at = $5,
			invited_by = CASE WHEN $6 = '' THEN invited_by ELSE $6 END WHERE id = $1`,
			id, hash, in.Sent, kernel.Micros(in.SentAt), kernel.Micros(in.ExpiresAt), string(in.by)); err != nil {
			return err
		}
		if err := m.mailInvitation(ctx, tx, in, secret); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Event{WorkspaceID: ws, Actor: by, Action: "invitation.resend", Target: in.target(), Detail: maskAddress(in.Email)})
	})
	return in, err
}

// ChangeInvitation changes what the invited person will be, without another mail.
func (m *Module) ChangeInvitation(ctx context.Context, by audit.Actor, ws kernel.WorkspaceID, id kernel.ID, role string, apps []string) error {
	apps, err := m.cleanApps(apps, nil)
	if err != nil {
		return err
	}
	return m.db.Tx(ctx, func(tx *db.Tx) error {
		if _, err := hold(ctx, tx, ws); err != nil {
			return err
		}
		in, err := invitationIn(ctx, tx, ws, id)
		if err != nil {
			return err
		}
		a, err := authorityOf(ctx, tx, ws, by)
		if err != nil {
			return err
		}
		if err := a.mayTouch(in.Role); err != nil {
			return err
		}
		if err := a.mayInvite(role, apps); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE invitations SET role = $2, apps = $3 WHERE id = $1`, id, role, joinApps(apps)); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Event{WorkspaceID: ws, Actor: by, Action: "invitation.change", Target: in.target(),
			Detail: describe(in.Role, in.Apps) + " → " + describe(role, apps)})
	})
}

// Revoke takes an invitation back: its link works no more.
func (m *Module) Revoke(ctx context.Context, by audit.Actor, ws kernel.WorkspaceID, id kernel.ID) error {
	return m.db.Tx(ctx, func(tx *db.Tx) error {
		if _, err := hold(ctx, tx, ws); err != nil {
			return err
		}
		a, err := authorityOf(ctx, tx, ws, by)
		if err != nil {
			return err
		}
		in, err := invitationIn(ctx, tx, ws, id)
		if err != nil {
			return err
		}
		if err := a.mayTouch(in.Role); err != nil {
			return err
		}
		if err := dropInvitation(ctx, tx, id); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Event{WorkspaceID: ws, Actor: by, Action: "invitation.revoke", Target: in.target(), Detail: maskAddress(in.Email)})
	})
}

func dropInvitation(ctx context.Context, tx *db.Tx, id kernel.ID) error {
	n, err := tx.Exec(ctx, `DELETE FROM invitations WHERE id = $1`, id)
	if err == nil && n == 0 {
		err = errNoInvitation()
	}
	return err
}

// maskAddress keeps an address recognisable without naming the person: the log outlives the invitation, and nobody but
// an account can be forgotten in it.
func maskAddress(email string) string {
	at := strings.LastIndexByte(email, '@')
	if at < 1 {
		return "…"
	}
	first := []rune(email)[0]
	return string(first) + "…" + email[at:]
}
