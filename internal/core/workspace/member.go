package workspace

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/core/identity"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
)

// SourceSCIM marks members and invitations that a directory looks after.
const SourceSCIM = "scim"

// Person is a member of a workspace.
type Person struct {
	AccountID kernel.AccountID `json:"account_id"`
	Email     string           `json:"email"`
	Name      string           `json:"name,omitempty"`
	Role      string           `json:"role"`
	Apps      []string         `json:"apps,omitempty"` // that the access includes; none is all
	Source    string           `json:"source,omitempty"`
	Since     time.Time        `json:"since"`

	key string // of the address
}

// DisplayName is the name, or the address of somebody who gave none.
func (p Person) DisplayName() string {
	if p.Name != "" {
		return p.Name
	}
	return p.Email
}

const (
	personColumns = `a.id, a.email, a.email_key, a.name, m.role, m.apps, m.source, m.created_at`
	fromPeople    = ` FROM memberships m JOIN accounts a ON a.id = m.account_id `
)

func scanPerson(row rowScanner) (p Person, err error) {
	var since int64
	var apps string
	err = row.Scan(&p.AccountID, &p.Email, &p.key, &p.Name, &p.Role, &apps, &p.Source, &since)
	p.Apps, p.Since = splitApps(apps), kernel.FromMicros(since)
	return p, err
}

// People lists the members of a workspace.
func (m *Module) People(ctx context.Context, ws kernel.WorkspaceID) ([]Person, error) {
	rows, err := m.db.Query(ctx, `SELECT `+personColumns+fromPeople+`WHERE m.workspace_id = $1 ORDER BY m.created_at, a.id`, ws)
	if err != nil {
		return nil, err
	}
	return scanAll(rows, scanPerson)
}

// OwnersOf lists the owners of a workspace.
func (m *Module) OwnersOf(ctx context.Context, ws kernel.WorkspaceID) ([]Person, error) {
	rows, err := m.db.Query(ctx, `SELECT `+personColumns+fromPeople+`WHERE m.workspace_id = $1 AND m.role = $2 ORDER BY m.created_at, a.id`,
		ws, RoleOwner)
	if err != nil {
		return nil, err
	}
	return scanAll(rows, scanPerson)
}

// Person is one member; somebody who is none is NotFound.
func (m *Module) Person(ctx context.Context, ws kernel.WorkspaceID, account kernel.AccountID) (Person, error) {
	return foundPerson(m.db.QueryRow(ctx, selectPerson, ws, account))
}

// PersonByEmail is the member with an address; none is an error of the form field "to".
func (m *Module) PersonByEmail(ctx context.Context, ws kernel.WorkspaceID, email string) (Person, error) {
	addr, err := identity.ParseAddress(email)
	if err != nil {
		return Person{}, kernel.InvalidField("to", kernel.AsError(err).Safe)
	}
	p, err := foundPerson(m.db.QueryRow(ctx, `SELECT `+personColumns+fromPeople+`WHERE m.workspace_id = $1 AND a.email_key = $2`, ws, addr.Key))
	if kernel.CodeOf(err) == kernel.NotFound {
		err = kernel.InvalidField("to", "This is not the address of a member.")
	}
	return p, err
}

func personIn(ctx context.Context, tx *db.Tx, ws kernel.WorkspaceID, account kernel.AccountID) (Person, error) {
	return foundPerson(tx.QueryRow(ctx, selectPerson, ws, account))
}

const selectPerson = `SELECT ` + personColumns + fromPeople + `WHERE m.workspace_id = $1 AND m.account_id = $2`

func foundPerson(row rowScanner) (Person, error) {
	p, err := scanPerson(row)
	if errors.Is(err, db.ErrNoRows) {
		return Person{}, errNoMember()
	}
	return p, err
}

func errNoMember() error { return kernel.Errorf(kernel.NotFound, "There is no such member.") }

// PeopleFilter says which members to list. Empty fields do not filter.
type PeopleFilter struct {
	Search string // part of the name or the address
	Role   string
	Cursor string
	Limit  int // 100 when 0
}

type peoplePosition struct {
	Key string `json:"k"`
}

// FindPeople lists members by address, and the cursor of the next page; it is empty on the last.
func (m *Module) FindPeople(ctx context.Context, ws kernel.WorkspaceID, f PeopleFilter) ([]Person, string, error) {
	if f.Limit <= 0 || f.Limit > 1000 {
		f.Limit = 100
	}
	var after peoplePosition
	if f.Cursor != "" {
		if err := kernel.DecodeCursor(f.Cursor, &after); err != nil {
			return nil, "", err
		}
	}
	rows, err := m.db.Query(ctx, `SELECT `+personColumns+fromPeople+`WHERE m.workspace_id = $1 AND a.email_key > $2
		AND ($3 = '' OR m.role = $3) AND ($4 = '' OR a.email_key LIKE '%' || $4 || '%' ESCAPE '!' OR lower(a.name) LIKE '%' || $4 || '%' ESCAPE '!')
		ORDER BY a.email_key LIMIT $5`, ws, after.Key, f.Role, likeEscape(strings.ToLower(strings.TrimSpace(f.Search))), f.Limit+1)
	if err != nil {
		return nil, "", err
	}
	people, err := scanAll(rows, scanPerson)
	if err != nil || len(people) <= f.Limit {
		return people, "", err
	}
	people = people[:f.Limit]
	return people, kernel.EncodeCursor(peoplePosition{people[len(people)-1].key}), nil
}

func likeEscape(s string) string {
	return strings.NewReplacer("!", "!!", "%", "!%", "_", "!_").Replace(s)
}

// hold makes everybody else who changes the members of a workspace wait until the transaction ends, so that two owners
// cannot leave at once, each because the other is still there.
func hold(ctx context.Context, tx *db.Tx, ws kernel.WorkspaceID) (name string, err error) {
	err = tx.QueryRow(ctx, `UPDATE workspaces SET updated_at = updated_at WHERE id = $1 RETURNING name`, ws).Scan(&name)
	if errors.Is(err, db.ErrNoRows) {
		err = errNotFound()
	}
	return name, err
}

// authority is what may be done by whoever acts, as of today and not as of when the page was opened.
type authority struct {
	role      Role
	apps      []string
	directory bool // not a person
}

// authorityOf reads it. A key and the server itself, which act for a directory, grant what an admin may, and end what
// anybody but an owner has: who leaves an organisation is out, whatever the role was.
func authorityOf(ctx context.Context, tx *db.Tx, ws kernel.WorkspaceID, by audit.Actor) (a authority, err error) {
	name := RoleAdmin
	if a.directory = by.Kind != "account"; !a.directory {
		p, err := personIn(ctx, tx, ws, by.ID)
		if err != nil {
			return a, err
		}
		name, a.apps = p.Role, p.Apps
	}
	a.role, _ = roleNamed(name)
	if !Allows(name, "manage") {
		return a, kernel.Errorf(kernel.Forbidden, "Your role in this workspace (%s) does not allow that. Ask an owner or admin.", name)
	}
	return a, nil
}

// mayGrant refuses to give more than one has.
func (a authority) mayGrant(role string, apps []string) error {
	r, ok := roleNamed(role)
	switch {
	case !ok:
		return kernel.InvalidField("role", "Choose a role.")
	case r.Above(a.role):
		return kernel.Errorf(kernel.Forbidden, "Only an owner can make somebody %s.", article(role))
	case !includes(a.apps, apps):
		return kernel.Errorf(kernel.Forbidden, "You can give access to no more apps than you have yourself.")
	}
	return nil
}

// mayTouch refuses to change or remove whoever has, or is invited to, a role above one's own.
func (a authority) mayTouch(role string) error {
	if r, _ := roleNamed(role); r.Above(a.role) && (!a.directory || role == RoleOwner) {
		return kernel.Errorf(kernel.Forbidden, "Only an owner can change or remove %s.", article(role))
	}
	return nil
}

func article(role string) string {
	switch role {
	case RoleOwner, RoleAdmin:
		return "an " + role
	case RoleBilling:
		return "a member for billing"
	}
	return "a " + role
}

// keepOwner refuses what would leave a workspace without an owner. The caller holds the workspace.
func keepOwner(ctx context.Context, tx *db.Tx, ws kernel.WorkspaceID, p Person) error {
	if p.Role != RoleOwner {
		return nil
	}
	var others int
	err := tx.QueryRow(ctx, `SELECT count(*) FROM memberships WHERE workspace_id = $1 AND role = $2 AND account_id <> $3`,
		ws, RoleOwner, p.AccountID).Scan(&others)
	if err == nil && others == 0 {
		err = kernel.Errorf(kernel.Conflict, "A workspace has at least one owner, and %s is the last. Transfer the ownership first.", p.Email)
	}
	return err
}

// SetRole changes what a member may do and which apps the person may open (nil: all). Nobody gives more than he has,
// only owners change owners, and the last one stays.
func (m *Module) SetRole(ctx context.Context, by audit.Actor, ws kernel.WorkspaceID, account kernel.AccountID, role string, apps []string) error {
	return m.db.Tx(ctx, func(tx *db.Tx) error {
		name, err := hold(ctx, tx, ws)
		if err != nil {
			return err
		}
		a, err := authorityOf(ctx, tx, ws, by)
		if err != nil {
			return err
		}
		p, err := personIn(ctx, tx, ws, account)
		if err != nil {
			return err
		}
		return m.setRole(ctx, tx, change{by: by, authority: a, ws: ws, workspace: name, person: p}, role, apps)
	})
}

// change is somebody's change of a member.
type change struct {
	by        audit.Actor
	authority authority
	ws        kernel.WorkspaceID
	workspace string // its name
	person    Person
}

func (m *Module) setRole(ctx context.Context, tx *db.Tx, c change, role string, apps []string) error {
	apps, err := m.cleanApps(apps, c.person.Apps)
	if err != nil {
		return err
	}
	if role == RoleOwner {
		apps = nil // nobody else could give them back
	}
	if err := c.authority.mayTouch(c.person.Role); err != nil {
		return err
	}
	if err := c.authority.mayGrant(role, apps); err != nil {
		return err
	}
	if role != RoleOwner {
		if err := keepOwner(ctx, tx, c.ws, c.person); err != nil {
			return err
		}
	}
	if _, err := tx.Exec(ctx, `UPDATE memberships SET role = $3, apps = $4 WHERE workspace_id = $1 AND account_id = $2`,
		c.ws, c.person.AccountID, role, joinApps(apps)); err != nil {
		return err
	}
	if err := m.dropClaims(ctx, tx, c.ws, c.person.AccountID, role); err != nil {
		return err
	}
	m.tellChanged(tx, c.ws)
	same := role == c.person.Role && slices.Equal(apps, c.person.Apps) && (apps == nil) == (c.person.Apps == nil)
	if !same && c.by.ID != c.person.AccountID {
		if err := m.send(ctx, tx, mailChanged, c.person, changedContent(c.workspace, role, m.appLabels(apps))); err != nil {
			return err
		}
	}
	return audit.Record(ctx, tx, audit.Event{WorkspaceID: c.ws, Actor: c.by, Action: "member.change", Target: c.person.target(),
		Detail: describe(c.person.Role, c.person.Apps) + " → " + describe(role, apps)})
}

func (p Person) target() string { return "account:" + string(p.AccountID) }

// describe is a role and its limits in few words.
func describe(role string, apps []string) string {
	if apps == nil {
		return role
	}
	return fmt.Sprintf("%s (%s)", role, strings.Join(apps, ", "))
}

// dropClaims ends what somebody had under way that the person may do no more with the new role ("": none): invitations
// that he sent, and the transfer that he has offered or been offered. So who is removed leaves no door open.
func (m *Module) dropClaims(ctx context.Context, tx *db.Tx, ws kernel.WorkspaceID, account kernel.AccountID, role string) error {
	if !Allows(role, "manage") {
		if _, err := tx.Exec(ctx, `DELETE FROM invitations WHERE workspace_id = $1 AND invited_by = $2`, ws, account); err != nil {
			return err
		}
	}
	text := `DELETE FROM ownership_transfers WHERE workspace_id = $1 AND from_account = $2`
	switch role {
	case RoleOwner:
		text = `DELETE FROM ownership_transfers WHERE workspace_id = $1 AND to_account = $2` // has it already
	case "":
		text += ` OR workspace_id = $1 AND to_account = $2`
	}
	_, err := tx.Exec(ctx, text, ws, account)
	return err
}

// Remove ends a membership. Only owners remove owners, and the last one stays.
func (m *Module) Remove(ctx context.Context, by audit.Actor, ws kernel.WorkspaceID, account kernel.AccountID) error {
	return m.db.Tx(ctx, func(tx *db.Tx) error {
		name, err := hold(ctx, tx, ws)
		if err != nil {
			return err
		}
		a, err := authorityOf(ctx, tx, ws, by)
		if err != nil {
			return err
		}
		p, err := personIn(ctx, tx, ws, account)
		if err != nil {
			return err
		}
		if err := a.mayTouch(p.Role); err != nil {
			return err
		}
		if err := m.endMembership(ctx, tx, ws, p); err != nil {
			return err
		}
		if by.ID != account {
			if err := m.send(ctx, tx, mailRemoved, p, removedContent(name)); err != nil {
				return err
			}
		}
		return audit.Record(ctx, tx, audit.Event{WorkspaceID: ws, Actor: by, Action: "member.remove", Target: p.target(), Detail: p.Role})
	})
}

// Leave ends one's own membership. The last owner stays.
func (m *Module) Leave(ctx context.Context, by audit.Actor, ws kernel.WorkspaceID) error {
	return m.db.Tx(ctx, func(tx *db.Tx) error {
		if _, err := hold(ctx, tx, ws); err != nil {
			return err
		}
		p, err := personIn(ctx, tx, ws, by.ID)
		if err != nil {
			return err
		}
		if err := m.endMembership(ctx, tx, ws, p); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Event{WorkspaceID: ws, Actor: by, Action: "member.leave", Target: p.target(), Detail: p.Role})
	})
}

func (m *Module) endMembership(ctx context.Context, tx *db.Tx, ws kernel.WorkspaceID, p Person) error {
	if err := keepOwner(ctx, tx, ws, p); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `DELETE FROM memberships WHERE workspace_id = $1 AND account_id = $2`, ws, p.AccountID); err != nil {
		return err
	}
	if err := m.dropClaims(ctx, tx, ws, p.AccountID, ""); err != nil {
		return err
	}
	m.mu.Lock()
	listeners := m.left
	m.mu.Unlock()
	for _, f := range listeners {
		if err := f(ctx, tx, ws, p.AccountID); err != nil {
			return err
		}
	}
	m.tellChanged(tx, ws)
	return nil
}

// EraseAccount makes an account ready to be erased: invitations to its address and by it go, and the last owner of a workspace
// with other members is told to hand it over first.
func (m *Module) EraseAccount(ctx context.Context, tx *db.Tx, account kernel.AccountID) error {
	var stranded string
	err := tx.QueryRow(ctx, `SELECT w.name`+fromMemberships+`WHERE m.account_id = $1 AND m.role = $2
		AND NOT EXISTS (SELECT 1 FROM memberships o WHERE o.workspace_id = m.workspace_id AND o.role = $2 AND o.account_id <> $1)
		AND EXISTS (SELECT 1 FROM memberships o WHERE o.workspace_id = m.workspace_id AND o.account_id <> $1) LIMIT 1`,
		account, RoleOwner).Scan(&stranded)
	if err == nil {
		return kernel.Errorf(kernel.Conflict, "The account is the last owner of the workspace %q, which has other members. Transfer its ownership first.", stranded)
	}
	if !errors.Is(err, db.ErrNoRows) {
		return err
	}
	_, err = tx.Exec(ctx, `DELETE FROM invitations WHERE invited_by = $1 OR email_key = (SELECT email_key FROM accounts WHERE id = $1)`, account)
	return err
}
