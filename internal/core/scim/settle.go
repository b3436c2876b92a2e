package scim

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/core/workspace"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
)

// defaultRole is that of a member to whom no group gives one: the least.
const defaultRole = workspace.RoleViewer

// maxSettle bounds how often settle looks again because somebody else changed the same user meanwhile.
const maxSettle = 8

// settled makes membership what the directory says, and returns the user as he is then.
func (m *Module) settled(ctx context.Context, by audit.Actor, u User, invite bool) (User, error) {
	if err := m.settle(ctx, by, u.WorkspaceID, u.ID, invite); err != nil {
		return u, err
	}
	return findUser(ctx, m.db, u.WorkspaceID, u.ID)
}

func (m *Module) settleAll(ctx context.Context, by audit.Actor, ws kernel.WorkspaceID, users []kernel.ID) error {
	var failures []error
	for _, id := range users {
		if err := m.settle(ctx, by, ws, id, false); err != nil && kernel.CodeOf(err) != kernel.NotFound {
			failures = append(failures, err)
		}
	}
	return errors.Join(failures...)
}

// settle makes an invitation or a membership what the directory says of a user. It is one step after another until there
// is nothing to do: each step reads what the directory says by then, so that of two changes at once the last one wins
// whichever is slower, and one that was cut off is made up for by the next. Only invite sends a first mail; a change of
// groups must not mail those who left.
func (m *Module) settle(ctx context.Context, by audit.Actor, ws kernel.WorkspaceID, id kernel.ID, invite bool) error {
	for range maxSettle {
		u, err := findUser(ctx, m.db, ws, id)
		if err != nil {
			return err
		}
		step := m.include
		if !u.Active {
			step = m.exclude
		}
		again, err := step(ctx, by, u, invite)
		if err != nil || !again {
			return err
		}
	}
	return kernel.Errorf(kernel.Conflict, "The user is being changed by somebody else. Try again.")
}

// exclude ends an invitation or a membership. The invitation is looked at first: once it is gone nobody can accept it,
// and whoever accepted it before is found to be a member.
func (m *Module) exclude(ctx context.Context, by audit.Actor, u User, _ bool) (again bool, err error) {
	in, err := m.d.Workspaces.InvitationTo(ctx, u.WorkspaceID, u.Email)
	if err == nil {
		return true, ignore(m.d.Workspaces.Revoke(ctx, by, u.WorkspaceID, in.ID), kernel.NotFound)
	}
	if kernel.CodeOf(err) != kernel.NotFound {
		return false, err
	}
	p, found, err := m.member(ctx, u)
	if err != nil || !found {
		return false, err
	}
	if p.Role == workspace.RoleOwner {
		return false, errOwner()
	}
	return true, ignore(m.d.Workspaces.Remove(ctx, by, u.WorkspaceID, p.AccountID), kernel.NotFound)
}

// uninvite takes back the invitation to an address that the directory has replaced.
func (m *Module) uninvite(ctx context.Context, by audit.Actor, ws kernel.WorkspaceID, email string) error {
	in, err := m.d.Workspaces.InvitationTo(ctx, ws, email)
	if err != nil || in.Source != workspace.SourceSCIM {
		return ignore(err, kernel.NotFound)
	}
	return ignore(m.d.Workspaces.Revoke(ctx, by, ws, in.ID), kernel.NotFound)
}

// include invites, or gives the role that the groups say.
func (m *Module) include(ctx context.Context, by audit.Actor, u User, invite bool) (again bool, err error) {
	role, err := m.roleOf(ctx, u)
	if err != nil {
		return false, err
	}
	in, err := m.d.Workspaces.InvitationTo(ctx, u.WorkspaceID, u.Email)
	switch {
	case err != nil && kernel.CodeOf(err) != kernel.NotFound:
		return false, err
	case err == nil && in.Open(m.d.Clock()):
		return m.changeInvitation(ctx, by, u, in, role)
	}
	p, found, err := m.member(ctx, u)
	if err != nil {
		return false, err
	}
	if found {
		return m.changeMember(ctx, by, u, p, role)
	}
	if !invite {
		return false, nil
	}
	return m.invite(ctx, by, u, role)
}

func (m *Module) changeInvitation(ctx context.Context, by audit.Actor, u User, in workspace.Invitation, role string) (again bool, err error) {
	if role == "" {
		role = defaultRole
	}
	if in.Source != workspace.SourceSCIM || in.Role == role {
		return false, nil
	}
	return true, ignore(m.d.Workspaces.ChangeInvitation(ctx, by, u.WorkspaceID, in.ID, role, in.Apps), kernel.NotFound)
}

// changeMember gives a member the role that the groups say. Owners are left alone, and so is somebody who was a member
// before the directory came and to whom no group gives a role.
func (m *Module) changeMember(ctx context.Context, by audit.Actor, u User, p workspace.Person, role string) (again bool, err error) {
	if role == "" && u.managed {
		role = defaultRole
	}
	if p.Role == workspace.RoleOwner || role == "" {
		return false, nil
	}
	if !u.managed {
		if err := m.manage(ctx, u); err != nil {
			return false, err
		}
	}
	if p.Role == role {
		return false, nil
	}
	return true, ignore(m.d.Workspaces.SetRole(ctx, by, u.WorkspaceID, p.AccountID, role, p.Apps), kernel.NotFound)
}

// manage notes that a group has given the user a role: when the last such group is gone, so is the role.
func (m *Module) manage(ctx context.Context, u User) error {
	return m.db.Tx(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE scim_users SET managed = 1 WHERE workspace_id = $1 AND id = $2`, u.WorkspaceID, u.ID)
		return err
	})
}

// invite asks the owner of the address to join. That it cannot be mailed today does not undo what the directory said: it
// stands on the page, and the next change of the user tries again.
func (m *Module) invite(ctx context.Context, by audit.Actor, u User, role string) (again bool, err error) {
	if role == "" {
		role = defaultRole
	}
	_, err = m.d.Workspaces.Invite(ctx, by, u.WorkspaceID, workspace.Invitation{Email: u.Email, Role: role, Source: workspace.SourceSCIM})
	switch kernel.CodeOf(err) {
	case "":
		return true, nil
	case kernel.Conflict, kernel.Limited:
		m.d.Logger.Info("a user of a directory is not invited", slog.String("user", string(u.ID)), slog.Any("cause", err))
		return false, nil
	}
	return false, err
}

// member is the user's membership.
func (m *Module) member(ctx context.Context, u User) (p workspace.Person, found bool, err error) {
	account := u.AccountID
	if account == "" { // somebody who became a member in another way
		err := m.db.QueryRow(ctx, accountByAddress, u.WorkspaceID, u.emailKey()).Scan(&account)
		if err != nil {
			return p, false, ignoreNoRows(err)
		}
	}
	p, err = m.d.Workspaces.Person(ctx, u.WorkspaceID, account)
	return p, err == nil, ignore(err, kernel.NotFound)
}

func ignoreNoRows(err error) error {
	if errors.Is(err, db.ErrNoRows) {
		return nil
	}
	return err
}

// ignore drops an error that says that there is nothing left to do.
func ignore(err error, code kernel.Code) error {
	if kernel.CodeOf(err) == code {
		return nil
	}
	return err
}

// roleOf is the mightiest role that the user's groups give; empty: none of them gives one.
func (m *Module) roleOf(ctx context.Context, u User) (string, error) {
	rows, err := m.db.Query(ctx, `SELECT DISTINCT g.role FROM scim_groups g JOIN scim_members m ON m.group_id = g.id
		WHERE g.workspace_id = $1 AND m.user_id = $2 AND g.role <> ''`, u.WorkspaceID, u.ID)
	if err != nil {
		return "", err
	}
	defer rows.Close()
	var given []string
	for rows.Next() {
		var role string
		if err := rows.Scan(&role); err != nil {
			return "", err
		}
		given = append(given, role)
	}
	return mightiest(given), rows.Err()
}

func mightiest(given []string) string {
	for _, r := range GroupRoles() {
		if slices.Contains(given, r.Name) {
			return r.Name
		}
	}
	return ""
}

func plural(n int) string {
	if n == 1 {
		return "1 member"
	}
	return fmt.Sprintf("%d members", n)
}
