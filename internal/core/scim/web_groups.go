package scim

import (
	"encoding/json"
	"net/http"
	"slices"

	"github.com/kept-dev/kept/internal/kernel"
)

// groupIn is a group as a directory sends it whole.
type groupIn struct {
	DisplayName string
	ExternalID  string
	Members     json.RawMessage
}

// named tells whether the members were sent, be it as none.
func (in groupIn) named() bool { return len(in.Members) > 0 && string(in.Members) != "null" }

func (m *Module) listGroups(w http.ResponseWriter, r *http.Request) error {
	p, err := readPage(r)
	if err != nil {
		return err
	}
	_, ws := who(r)
	groups, err := groupsOf(r.Context(), m.db, ws)
	if err != nil {
		return err
	}
	var members map[kernel.ID][]member
	if p.members || p.filter != nil {
		if members, err = membersOf(r.Context(), m.db, ws); err != nil {
			return err
		}
	}
	if p.filter != nil {
		groups = slices.DeleteFunc(groups, func(g Group) bool { return !p.filter.match(groupAttrs(g, members[g.ID])) })
	}
	return answerList(w, p, groups, func(g Group) object { return m.groupJSON(g, members[g.ID]) })
}

func (m *Module) answerGroup(w http.ResponseWriter, r *http.Request, status int, g Group) error {
	shape, withMembers := readShape(r)
	var members map[kernel.ID][]member
	if withMembers {
		var err error
		if members, err = membersOf(r.Context(), m.db, g.WorkspaceID); err != nil {
			return err
		}
	}
	if status == http.StatusCreated {
		w.Header().Set("Location", m.d.BaseURL+base+"/Groups/"+string(g.ID))
	}
	return write(w, status, shape(m.groupJSON(g, members[g.ID])))
}

func (m *Module) createGroup(w http.ResponseWriter, r *http.Request) error {
	var in groupIn
	if err := read(r, &in); err != nil {
		return err
	}
	var members []kernel.ID
	if in.named() {
		var err error
		if members, err = readMembers(in.Members); err != nil {
			return err
		}
	}
	by, ws := who(r)
	g, err := m.CreateGroup(r.Context(), by, ws, Group{DisplayName: in.DisplayName, ExternalID: in.ExternalID}, members)
	if err != nil {
		return err
	}
	return m.answerGroup(w, r, http.StatusCreated, g)
}

func (m *Module) getGroup(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	_, ws := who(r)
	g, err := findGroup(r.Context(), m.db, ws, id)
	if err != nil {
		return err
	}
	return m.answerGroup(w, r, http.StatusOK, g)
}

// putGroup replaces a group. Members that were not sent stay: who leaves them out cannot mean that everybody goes.
func (m *Module) putGroup(w http.ResponseWriter, r *http.Request) error {
	var in groupIn
	if err := read(r, &in); err != nil {
		return err
	}
	return m.changeGroup(w, r, func(c *change) error {
		c.group.DisplayName, c.group.ExternalID = in.DisplayName, in.ExternalID
		if !in.named() {
			return nil
		}
		c.touched = true
		return c.applyMembers("replace", target{attr: "members"}, in.Members)
	})
}

func (m *Module) patchGroup(w http.ResponseWriter, r *http.Request) error {
	var in patchRequest
	if err := read(r, &in); err != nil {
		return err
	}
	return m.changeGroup(w, r, func(c *change) error { return in.each(c.apply) })
}

func (m *Module) changeGroup(w http.ResponseWriter, r *http.Request, edit func(*change) error) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	by, ws := who(r)
	g, err := m.ChangeGroup(r.Context(), by, ws, id, edit)
	if err != nil {
		return err
	}
	return m.answerGroup(w, r, http.StatusOK, g)
}

func (m *Module) deleteGroup(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	by, ws := who(r)
	if err := m.DeleteGroup(r.Context(), by, ws, id); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
