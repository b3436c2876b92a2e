package scim

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"golang.org/x/text/unicode/norm"

	"github.com/kept-dev/kept/internal/core/identity"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
)

// querier is a database or a transaction.
type querier interface {
	Query(ctx context.Context, text string, args ...any) (*sql.Rows, error)
	QueryRow(ctx context.Context, text string, args ...any) *sql.Row
}

// User is a person in an organisation's directory.
type User struct {
	ID          kernel.ID
	WorkspaceID kernel.WorkspaceID
	UserName    string
	ExternalID  string
	Email       string
	GivenName   string
	FamilyName  string
	DisplayName string
	Active      bool
	AccountID   kernel.AccountID // who accepted the invitation; empty: nobody yet
	CreatedAt   time.Time
	UpdatedAt   time.Time

	managed bool // groups decide about the role
}

const (
	maxText    = 256   // bytes of a name or number
	maxUsers   = 20000 // of a workspace
	maxGroups  = 2000
	maxMembers = 20000 // that one request may name
)

// key is how two spellings of a name are found to be one.
func key(s string) string { return strings.ToLower(norm.NFKC.String(s)) }

// clean checks what a directory says of a user. The address is the mailbox of record or, without one, the user name.
func (u *User) clean() error {
	for _, text := range []*string{&u.UserName, &u.ExternalID, &u.GivenName, &u.FamilyName, &u.DisplayName} {
		if err := cleanText(text); err != nil {
			return err
		}
	}
	if u.UserName == "" {
		return invalid("invalidValue", "userName is required.")
	}
	if u.Email == "" {
		u.Email = u.UserName
	}
	addr, err := identity.ParseAddress(u.Email)
	if err != nil {
		return invalid("invalidValue", "The user needs an e-mail address, in emails or as userName: it is invited.")
	}
	u.Email = addr.Typed
	return nil
}

func cleanText(s *string) error {
	*s = strings.TrimSpace(*s)
	if len(*s) > maxText {
		return invalid("invalidValue", "A value is longer than %d bytes.", maxText)
	}
	if strings.ContainsFunc(*s, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0xFFFD }) {
		return invalid("invalidValue", "A value has characters that are not text.")
	}
	return nil
}

func (u User) emailKey() string {
	addr, _ := identity.ParseAddress(u.Email) // was checked by clean
	return addr.Key
}

const userColumns = `id, workspace_id, user_name, external_id, email, given_name, family_name, display_name, active, managed, coalesce(account_id, ''), created_at, updated_at`

func scanUser(row interface{ Scan(...any) error }) (u User, err error) {
	var active, managed, created, updated int64
	err = row.Scan(&u.ID, &u.WorkspaceID, &u.UserName, &u.ExternalID, &u.Email, &u.GivenName, &u.FamilyName, &u.DisplayName,
		&active, &managed, &u.AccountID, &created, &updated)
	u.Active, u.managed = active != 0, managed != 0
	u.CreatedAt, u.UpdatedAt = kernel.FromMicros(created), kernel.FromMicros(updated)
	return u, err
}

func findUser(ctx context.Context, q querier, ws kernel.WorkspaceID, id kernel.ID) (User, error) {
	u, err := scanUser(q.QueryRow(ctx, `SELECT `+userColumns+` FROM scim_users WHERE workspace_id = $1 AND id = $2`, ws, id))
	if errors.Is(err, db.ErrNoRows) {
		return u, errNoUser()
	}
	return u, err
}

func errNoUser() error { return kernel.Errorf(kernel.NotFound, "There is no such user.") }

// usersOf lists the users of a workspace by name.
func usersOf(ctx context.Context, q querier, ws kernel.WorkspaceID) ([]User, error) {
	return listUsers(ctx, q, `SELECT `+userColumns+` FROM scim_users WHERE workspace_id = $1 ORDER BY user_key`, ws)
}

func listUsers(ctx context.Context, q querier, text string, args ...any) ([]User, error) {
	rows, err := q.Query(ctx, text, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []User
	for rows.Next() {
		u, err := scanUser(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, u)
	}
	return out, rows.Err()
}

// lock makes everybody else who changes what a workspace's directory says wait until the transaction ends.
func lock(ctx context.Context, tx *db.Tx, ws kernel.WorkspaceID) error {
	n, err := tx.Exec(ctx, `UPDATE workspaces SET updated_at = updated_at WHERE id = $1`, ws)
	if err == nil && n == 0 {
		err = kernel.Errorf(kernel.NotFound, "There is no such workspace.")
	}
	return err
}

// nameFree refuses a user name or an address that another user of the workspace has.
func nameFree(ctx context.Context, tx *db.Tx, u User) error {
	var n int
	err := tx.QueryRow(ctx, `SELECT count(*) FROM scim_users WHERE workspace_id = $1 AND (user_key = $2 OR email_key = $4) AND id <> $3`,
		u.WorkspaceID, key(u.UserName), u.ID, u.emailKey()).Scan(&n)
	if err == nil && n > 0 {
		err = taken("There is a user of this name or address.")
	}
	return err
}

// accountByAddress finds a member by address ($1 is the workspace, $2 the key of the address) whom no other user of the
// directory stands for.
const accountByAddress = `SELECT m.account_id FROM memberships m JOIN accounts a ON a.id = m.account_id
	WHERE m.workspace_id = $1 AND a.email_key = $2 AND NOT EXISTS (SELECT 1 FROM scim_users o WHERE o.workspace_id = $1 AND o.account_id = m.account_id)`

func insertUser(ctx context.Context, tx *db.Tx, u *User) error {
	if err := lock(ctx, tx, u.WorkspaceID); err != nil {
		return err
	}
	if err := nameFree(ctx, tx, *u); err != nil {
		return err
	}
	var n int
	if err := tx.QueryRow(ctx, `SELECT count(*) FROM scim_users WHERE workspace_id = $1`, u.WorkspaceID).Scan(&n); err != nil {
		return err
	}
	if n >= maxUsers {
		return kernel.Errorf(kernel.Conflict, "The workspace has %d users, which is the most that a directory may make.", n)
	}
	_, err := tx.Exec(ctx, `INSERT INTO scim_users (id, workspace_id, user_name, user_key, external_id, email, email_key, given_name, family_name, display_name,
		active, managed, account_id, created_at, updated_at) VALUES ($3, $1, $4, $5, $6, $7, $2, $8, $9, $10, $11, $12, (`+accountByAddress+`), $13, $13)`,
		u.WorkspaceID, u.emailKey(), u.ID, u.UserName, key(u.UserName), u.ExternalID, u.Email, u.GivenName, u.FamilyName, u.DisplayName,
		db.Flag(u.Active), db.Flag(u.managed), kernel.Micros(tx.Now()))
	return err
}

// updateUser stores what changed. A member's account stays his whatever the directory calls him; somebody who is none
// yet is looked for by the new address.
func updateUser(ctx context.Context, tx *db.Tx, u User) error {
	if err := nameFree(ctx, tx, u); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `UPDATE scim_users SET user_name = $4, user_key = $5, external_id = $6, email = $7, email_key = $2, given_name = $8, family_name = $9,
		display_name = $10, active = $11, updated_at = $12, account_id = coalesce(account_id, (`+accountByAddress+`))
		WHERE workspace_id = $1 AND id = $3`, u.WorkspaceID, u.emailKey(), u.ID, u.UserName, key(u.UserName), u.ExternalID, u.Email,
		u.GivenName, u.FamilyName, u.DisplayName, db.Flag(u.Active), kernel.Micros(tx.Now()))
	return err
}

// Group is a group of an organisation's directory.
type Group struct {
	ID          kernel.ID
	WorkspaceID kernel.WorkspaceID
	DisplayName string
	ExternalID  string
	Role        string // that its members get; empty: none
	CreatedAt   time.Time
	UpdatedAt   time.Time
}

func (g *Group) clean() error {
	if err := errors.Join(cleanText(&g.DisplayName), cleanText(&g.ExternalID)); err != nil {
		return err
	}
	if g.DisplayName == "" {
		return invalid("invalidValue", "displayName is required.")
	}
	return nil
}

const groupColumns = `id, workspace_id, display_name, external_id, role, created_at, updated_at`

func scanGroup(row interface{ Scan(...any) error }) (g Group, err error) {
	var created, updated int64
	err = row.Scan(&g.ID, &g.WorkspaceID, &g.DisplayName, &g.ExternalID, &g.Role, &created, &updated)
	g.CreatedAt, g.UpdatedAt = kernel.FromMicros(created), kernel.FromMicros(updated)
	return g, err
}

func findGroup(ctx context.Context, q querier, ws kernel.WorkspaceID, id kernel.ID) (Group, error) {
	g, err := scanGroup(q.QueryRow(ctx, `SELECT `+groupColumns+` FROM scim_groups WHERE workspace_id = $1 AND id = $2`, ws, id))
	if errors.Is(err, db.ErrNoRows) {
		return g, kernel.Errorf(kernel.NotFound, "There is no such group.")
	}
	return g, err
}

// groupsOf lists the groups of a workspace by name.
func groupsOf(ctx context.Context, q querier, ws kernel.WorkspaceID) ([]Group, error) {
	rows, err := q.Query(ctx, `SELECT `+groupColumns+` FROM scim_groups WHERE workspace_id = $1 ORDER BY name_key`, ws)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Group
	for rows.Next() {
		g, err := scanGroup(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, g)
	}
	return out, rows.Err()
}

// member is a user in a group.
type member struct {
	user kernel.ID
	name string
}

// membersOf lists the members of all groups of a workspace, by group.
func membersOf(ctx context.Context, q querier, ws kernel.WorkspaceID) (map[kernel.ID][]member, error) {
	rows, err := q.Query(ctx, `SELECT m.group_id, u.id, u.display_name, u.user_name FROM scim_members m JOIN scim_users u ON u.id = m.user_id
		WHERE u.workspace_id = $1 ORDER BY m.group_id, u.user_key`, ws)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := map[kernel.ID][]member{}
	for rows.Next() {
		var group kernel.ID
		var in member
		var userName string
		if err := rows.Scan(&group, &in.user, &in.name, &userName); err != nil {
			return nil, err
		}
		if in.name == "" {
			in.name = userName
		}
		out[group] = append(out[group], in)
	}
	return out, rows.Err()
}

// memberIDs lists the users in a group.
func memberIDs(ctx context.Context, q querier, group kernel.ID) (map[kernel.ID]bool, error) {
	rows, err := q.Query(ctx, `SELECT user_id FROM scim_members WHERE group_id = $1`, group)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := map[kernel.ID]bool{}
	for rows.Next() {
		var id kernel.ID
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		out[id] = true
	}
	return out, rows.Err()
}

func groupNameFree(ctx context.Context, tx *db.Tx, g Group) error {
	var n int
	err := tx.QueryRow(ctx, `SELECT count(*) FROM scim_groups WHERE workspace_id = $1 AND name_key = $2 AND id <> $3`, g.WorkspaceID, key(g.DisplayName), g.ID).Scan(&n)
	if err == nil && n > 0 {
		err = taken("There is a group of this name.")
	}
	return err
}

func insertGroup(ctx context.Context, tx *db.Tx, g Group) error {
	if err := lock(ctx, tx, g.WorkspaceID); err != nil {
		return err
	}
	if err := groupNameFree(ctx, tx, g); err != nil {
		return err
	}
	var n int
	if err := tx.QueryRow(ctx, `SELECT count(*) FROM scim_groups WHERE workspace_id = $1`, g.WorkspaceID).Scan(&n); err != nil {
		return err
	}
	if n >= maxGroups {
		return kernel.Errorf(kernel.Conflict, "The workspace has %d groups, which is the most that a directory may make.", n)
	}
	_, err := tx.Exec(ctx, `INSERT INTO scim_groups (id, workspace_id, display_name, name_key, external_id, role, created_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, '', $6, $6)`, g.ID, g.WorkspaceID, g.DisplayName, key(g.DisplayName), g.ExternalID, kernel.Micros(tx.Now()))
	return err
}

func updateGroup(ctx context.Context, tx *db.Tx, g Group) error {
	if err := groupNameFree(ctx, tx, g); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `UPDATE scim_groups SET display_name = $3, name_key = $4, external_id = $5, updated_at = $6 WHERE workspace_id = $1 AND id = $2`,
		g.WorkspaceID, g.ID, g.DisplayName, key(g.DisplayName), g.ExternalID, kernel.Micros(tx.Now()))
	return err
}

// setMembers makes a group's members be those of want, and returns whom that changed. A member must be a user of the
// same workspace.
func setMembers(ctx context.Context, tx *db.Tx, g Group, want map[kernel.ID]bool) (changed []kernel.ID, err error) {
	have, err := memberIDs(ctx, tx, g.ID)
	if err != nil {
		return nil, err
	}
	for id := range want {
		if have[id] {
			continue
		}
		n, err := tx.Exec(ctx, `INSERT INTO scim_members (group_id, user_id) SELECT $1, id FROM scim_users WHERE id = $2 AND workspace_id = $3`, g.ID, id, g.WorkspaceID)
		if err != nil {
			return nil, err
		}
		if n == 0 {
			return nil, invalid("invalidValue", "A member is not a user of this workspace.")
		}
		changed = append(changed, id)
	}
	for id := range have {
		if want[id] {
			continue
		}
		if _, err := tx.Exec(ctx, `DELETE FROM scim_members WHERE group_id = $1 AND user_id = $2`, g.ID, id); err != nil {
			return nil, err
		}
		changed = append(changed, id)
	}
	return changed, nil
}
