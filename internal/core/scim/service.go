package scim

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/core/workspace"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
)

// CreateUser takes a user of a directory in, and invites the person.
func (m *Module) CreateUser(ctx context.Context, by audit.Actor, ws kernel.WorkspaceID, u User) (User, error) {
	if err := u.clean(); err != nil {
		return u, err
	}
	err := m.db.Tx(ctx, func(tx *db.Tx) (err error) {
		u.ID, u.WorkspaceID = kernel.NewID(tx.Now()), ws
		if u.managed, err = isStranger(ctx, tx, u); err != nil {
			return err
		}
		if err := insertUser(ctx, tx, &u); err != nil {
			return err
		}
		if u, err = findUser(ctx, tx, ws, u.ID); err != nil {
			return err
		}
		if err := keepOwners(ctx, tx, User{}, u); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Event{WorkspaceID: ws, Actor: by, Action: "scim_user.create", Target: "scim_user:" + string(u.ID)})
	})
	if err != nil {
		return u, err
	}
	return m.settled(ctx, by, u, true)
}

// isStranger tells whether nobody with the user's address is a member. Who was one before the directory came keeps the
// role until a group gives another.
func isStranger(ctx context.Context, tx *db.Tx, u User) (bool, error) {
	var account kernel.AccountID
	err := tx.QueryRow(ctx, accountByAddress, u.WorkspaceID, u.emailKey()).Scan(&account)
	return errors.Is(err, db.ErrNoRows), ignoreNoRows(err)
}

// keepOwners refuses to switch a user off who owns the workspace.
func keepOwners(ctx context.Context, tx *db.Tx, before, after User) error {
	if after.Active || after.AccountID == "" && before.AccountID == "" {
		return nil
	}
	account := after.AccountID
	if account == "" {
		account = before.AccountID
	}
	owner, err := isOwner(ctx, tx, after.WorkspaceID, account)
	if err == nil && owner {
		err = errOwner()
	}
	return err
}

func isOwner(ctx context.Context, q querier, ws kernel.WorkspaceID, account kernel.AccountID) (bool, error) {
	var n int
	err := q.QueryRow(ctx, `SELECT count(*) FROM memberships WHERE workspace_id = $1 AND account_id = $2 AND role = $3`, ws, account, workspace.RoleOwner).Scan(&n)
	return n > 0, err
}

// ChangeUser changes a user as edit says.
func (m *Module) ChangeUser(ctx context.Context, by audit.Actor, ws kernel.WorkspaceID, id kernel.ID, edit func(u *User) error) (u User, err error) {
	var before User
	err = m.db.Tx(ctx, func(tx *db.Tx) error {
		if err := lock(ctx, tx, ws); err != nil {
			return err
		}
		if before, err = findUser(ctx, tx, ws, id); err != nil {
			return err
		}
		u = before
		if err := edit(&u); err != nil {
			return err
		}
		if err := u.clean(); err != nil {
			return err
		}
		if err := updateUser(ctx, tx, u); err != nil {
			return err
		}
		if u, err = findUser(ctx, tx, ws, id); err != nil {
			return err
		}
		if err := keepOwners(ctx, tx, before, u); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Event{WorkspaceID: ws, Actor: by, Action: "scim_user.change", Target: "scim_user:" + string(id), Detail: changes(before, u)})
	})
	if err != nil {
		return u, err
	}
	if before.emailKey() != u.emailKey() {
		if err := m.uninvite(ctx, by, ws, before.Email); err != nil {
			return u, err
		}
	}
	return m.settled(ctx, by, u, true)
}

// changes names what changed, without the values: they are about somebody who may have no account to be forgotten with.
func changes(a, b User) string {
	var out []string
	for _, c := range []struct {
		name string
		same bool
	}{
		{"userName", a.UserName == b.UserName}, {"externalId", a.ExternalID == b.ExternalID}, {"email", a.Email == b.Email},
		{"name", a.GivenName == b.GivenName && a.FamilyName == b.FamilyName}, {"displayName", a.DisplayName == b.DisplayName},
	} {
		if !c.same {
			out = append(out, c.name)
		}
	}
	switch {
	case a.Active && !b.Active:
		out = append(out, "switched off")
	case !a.Active && b.Active:
		out = append(out, "switched on")
	}
	return strings.Join(out, ", ")
}

// DeleteUser removes a user, and with it the membership. The account, which is the person's own, stays.
func (m *Module) DeleteUser(ctx context.Context, by audit.Actor, ws kernel.WorkspaceID, id kernel.ID) error {
	if _, err := m.ChangeUser(ctx, by, ws, id, func(u *User) error { u.Active = false; return nil }); err != nil {
		return err
	}
	return m.db.Tx(ctx, func(tx *db.Tx) error {
		n, err := tx.Exec(ctx, `DELETE FROM scim_users WHERE workspace_id = $1 AND id = $2 AND active = 0`, ws, id)
		if err == nil && n == 0 {
			err = kernel.Errorf(kernel.Conflict, "The user was changed meanwhile.")
		}
		if err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Event{WorkspaceID: ws, Actor: by, Action: "scim_user.remove", Target: "scim_user:" + string(id)})
	})
}

// CreateGroup takes a group in. It gives no role until a person says which.
func (m *Module) CreateGroup(ctx context.Context, by audit.Actor, ws kernel.WorkspaceID, g Group, members []kernel.ID) (Group, error) {
	if err := g.clean(); err != nil {
		return g, err
	}
	err := m.db.Tx(ctx, func(tx *db.Tx) (err error) {
		g.ID, g.WorkspaceID = kernel.NewID(tx.Now()), ws
		if err := insertGroup(ctx, tx, g); err != nil {
			return err
		}
		if _, err := setMembers(ctx, tx, g, setOf(members)); err != nil {
			return err
		}
		if g, err = findGroup(ctx, tx, ws, g.ID); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Event{WorkspaceID: ws, Actor: by, Action: "scim_group.create", Target: "scim_group:" + string(g.ID), Detail: g.DisplayName})
	})
	return g, err
}

func setOf(ids []kernel.ID) map[kernel.ID]bool {
	out := make(map[kernel.ID]bool, len(ids))
	for _, id := range ids {
		out[id] = true
	}
	return out
}

// ChangeGroup changes a group and its members as edit says.
func (m *Module) ChangeGroup(ctx context.Context, by audit.Actor, ws kernel.WorkspaceID, id kernel.ID, edit func(c *change) error) (g Group, err error) {
	var changed []kernel.ID
	err = m.db.Tx(ctx, func(tx *db.Tx) error {
		if err := lock(ctx, tx, ws); err != nil {
			return err
		}
		before, err := findGroup(ctx, tx, ws, id)
		if err != nil {
			return err
		}
		c := &change{group: before}
		if c.members, err = memberIDs(ctx, tx, id); err != nil {
			return err
		}
		if err := edit(c); err != nil {
			return err
		}
		if err := c.group.clean(); err != nil {
			return err
		}
		if err := updateGroup(ctx, tx, c.group); err != nil {
			return err
		}
		if c.touched {
			if changed, err = setMembers(ctx, tx, c.group, c.members); err != nil {
				return err
			}
		}
		g = c.group
		return audit.Record(ctx, tx, audit.Event{WorkspaceID: ws, Actor: by, Action: "scim_group.change", Target: "scim_group:" + string(id),
			Detail: groupChanges(before, g, len(changed))})
	})
	if err != nil {
		return g, err
	}
	return g, m.settleAll(ctx, by, ws, changed)
}

func groupChanges(a, b Group, members int) string {
	var out []string
	if a.DisplayName != b.DisplayName {
		out = append(out, a.DisplayName+" → "+b.DisplayName)
	} else {
		out = append(out, b.DisplayName)
	}
	if members > 0 {
		out = append(out, plural(members)+" in or out")
	}
	return strings.Join(out, ", ")
}

// DeleteGroup removes a group. Its members stay members, with the role that is left to them.
func (m *Module) DeleteGroup(ctx context.Context, by audit.Actor, ws kernel.WorkspaceID, id kernel.ID) error {
	var members map[kernel.ID]bool
	err := m.db.Tx(ctx, func(tx *db.Tx) error {
		if err := lock(ctx, tx, ws); err != nil {
			return err
		}
		g, err := findGroup(ctx, tx, ws, id)
		if err != nil {
			return err
		}
		if members, err = memberIDs(ctx, tx, id); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `DELETE FROM scim_groups WHERE workspace_id = $1 AND id = $2`, ws, id); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Event{WorkspaceID: ws, Actor: by, Action: "scim_group.remove", Target: "scim_group:" + string(id), Detail: g.DisplayName})
	})
	if err != nil {
		return err
	}
	return m.settleAll(ctx, by, ws, keys(members))
}

func keys(set map[kernel.ID]bool) []kernel.ID {
	out := make([]kernel.ID, 0, len(set))
	for id := range set {
		out = append(out, id)
	}
	return out
}

// GroupRoles are the roles that a group may give, the mightiest first. Owners are made by owners only, and a directory
// acts with an admin's rights.
func GroupRoles() []workspace.Role { return workspace.Grantable(workspace.RoleAdmin) }

// SetGroupRole says which role the members of a group get; empty: none. It is a person's decision, not the directory's.
func (m *Module) SetGroupRole(ctx context.Context, by audit.Actor, ws kernel.WorkspaceID, id kernel.ID, role string) error {
	if role != "" && !slices.ContainsFunc(GroupRoles(), func(r workspace.Role) bool { return r.Name == role }) {
		return kernel.InvalidField("role", "Choose one of the roles.")
	}
	var members map[kernel.ID]bool
	err := m.db.Tx(ctx, func(tx *db.Tx) error {
		if err := lock(ctx, tx, ws); err != nil {
			return err
		}
		g, err := findGroup(ctx, tx, ws, id)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE scim_groups SET role = $3, updated_at = $4 WHERE workspace_id = $1 AND id = $2`, ws, id, role, kernel.Micros(tx.Now())); err != nil {
			return err
		}
		if members, err = memberIDs(ctx, tx, id); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Event{WorkspaceID: ws, Actor: by, Action: "scim_group.role", Target: "scim_group:" + string(id),
			Detail: g.DisplayName + ": " + orNone(g.Role) + " → " + orNone(role)})
	})
	if err != nil {
		return err
	}
	return m.settleAll(ctx, audit.System, ws, keys(members))
}

func orNone(role string) string {
	if role == "" {
		return "no role"
	}
	return role
}
