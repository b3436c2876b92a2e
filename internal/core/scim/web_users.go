package scim

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/kept-dev/kept/internal/kernel"
)

// userIn is a user as a directory sends it whole.
type userIn struct {
	UserName    string
	ExternalID  string
	Name        struct{ GivenName, FamilyName string }
	DisplayName string
	Emails      json.RawMessage
	Active      *truth
}

// put makes u what was sent. Whether a user is active is never changed by leaving it out.
func (in userIn) put(u *User) error {
	u.UserName, u.ExternalID, u.DisplayName = in.UserName, in.ExternalID, in.DisplayName
	u.GivenName, u.FamilyName, u.Email = in.Name.GivenName, in.Name.FamilyName, ""
	if in.Active != nil {
		u.Active = bool(*in.Active)
	}
	if len(in.Emails) == 0 || string(in.Emails) == "null" {
		return nil
	}
	all, err := readMailboxes(in.Emails)
	u.Email = primary(all)
	return err
}

func (m *Module) listUsers(w http.ResponseWriter, r *http.Request) error {
	p, err := readPage(r)
	if err != nil {
		return err
	}
	_, ws := who(r)
	users, err := m.findUsers(r.Context(), ws, p.filter)
	if err != nil {
		return err
	}
	groups, err := m.groupsOfUsers(r.Context(), ws, users)
	if err != nil {
		return err
	}
	return answerList(w, p, users, func(u User) object { return m.userJSON(u, groups[u.ID]) })
}

// findUsers lists the users that match. What directories ask for all the time, one user by name or number, is answered
// by an index.
func (m *Module) findUsers(ctx context.Context, ws kernel.WorkspaceID, f expr) ([]User, error) {
	if f == nil {
		return usersOf(ctx, m.db, ws)
	}
	if path, value, ok := only(f); ok && path == "username" {
		return listUsers(ctx, m.db, `SELECT `+userColumns+` FROM scim_users WHERE workspace_id = $1 AND user_key = $2`, ws, strings.ReplaceAll(key(value), "\x00", ""))
	}
	users, err := usersOf(ctx, m.db, ws)
	return slices.DeleteFunc(users, func(u User) bool { return !f.match(userAttrs(u)) }), err
}

// groupsOfUsers reads the groups of a few users one by one, and those of many at once.
func (m *Module) groupsOfUsers(ctx context.Context, ws kernel.WorkspaceID, users []User) (map[kernel.ID][]Group, error) {
	const few = 10
	if len(users) > few {
		return m.groupsByUser(ctx, ws)
	}
	out := map[kernel.ID][]Group{}
	for _, u := range users {
		var err error
		if out[u.ID], err = m.groupsOfUser(ctx, u); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (m *Module) answerUser(w http.ResponseWriter, r *http.Request, status int, u User) error {
	groups, err := m.groupsOfUser(r.Context(), u)
	if err != nil {
		return err
	}
	doc := m.userJSON(u, groups)
	if status == http.StatusCreated {
		w.Header().Set("Location", m.d.BaseURL+base+"/Users/"+string(u.ID))
	}
	shape, _ := readShape(r)
	return write(w, status, shape(doc))
}

func (m *Module) groupsOfUser(ctx context.Context, u User) ([]Group, error) {
	rows, err := m.db.Query(ctx, `SELECT `+groupColumns+` FROM scim_groups WHERE id IN (SELECT group_id FROM scim_members WHERE user_id = $1) ORDER BY name_key`, u.ID)
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

func (m *Module) createUser(w http.ResponseWriter, r *http.Request) error {
	var in userIn
	if err := read(r, &in); err != nil {
		return err
	}
	u := User{Active: true}
	if err := in.put(&u); err != nil {
		return err
	}
	by, ws := who(r)
	u, err := m.CreateUser(r.Context(), by, ws, u)
	if err != nil {
		return err
	}
	return m.answerUser(w, r, http.StatusCreated, u)
}

func (m *Module) getUser(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	_, ws := who(r)
	u, err := findUser(r.Context(), m.db, ws, id)
	if err != nil {
		return err
	}
	return m.answerUser(w, r, http.StatusOK, u)
}

func (m *Module) putUser(w http.ResponseWriter, r *http.Request) error {
	var in userIn
	if err := read(r, &in); err != nil {
		return err
	}
	return m.changeUser(w, r, in.put)
}

func (m *Module) patchUser(w http.ResponseWriter, r *http.Request) error {
	var in patchRequest
	if err := read(r, &in); err != nil {
		return err
	}
	return m.changeUser(w, r, func(u *User) error { return in.each(u.apply) })
}

func (m *Module) changeUser(w http.ResponseWriter, r *http.Request, edit func(*User) error) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	by, ws := who(r)
	u, err := m.ChangeUser(r.Context(), by, ws, id, edit)
	if err != nil {
		return err
	}
	return m.answerUser(w, r, http.StatusOK, u)
}

func (m *Module) deleteUser(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	by, ws := who(r)
	if err := m.DeleteUser(r.Context(), by, ws, id); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
