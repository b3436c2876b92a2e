package scim

import (
	"encoding/json"
	"strings"

	"github.com/kept-dev/kept/internal/kernel"
)

// patchRequest is a PATCH of RFC 7644, section 3.5.2. Directories speak it in two dialects: Okta names a path and gives
// the value; Entra writes the operations in capitals, booleans as text, and often an object of attributes without a path,
// whose names may have dots.
type patchRequest struct {
	Schemas    []string
	Operations []operation
}

type operation struct {
	Op    string
	Path  string
	Value json.RawMessage
}

const (
	schemaPatch   = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
	maxOperations = 1000
)

// target is what an operation is about: attr, attr.sub, attr[where] or attr[where].sub, all in lower case.
type target struct {
	attr, sub string
	where     expr
}

func parseTarget(path string) (t target, err error) {
	if len(path) > maxFilter {
		return t, invalid("invalidPath", "The path is too long.")
	}
	head, rest := path, ""
	if i := strings.IndexByte(path, '['); i >= 0 {
		j := strings.LastIndexByte(path, ']')
		if j < i {
			return t, invalid("invalidPath", "A bracket is not closed.")
		}
		if t.where, err = parseFilter(path[i+1 : j]); err != nil {
			return t, err
		}
		head, rest = path[:i], path[j+1:]
		if rest != "" && rest[0] != '.' {
			return t, invalid("invalidPath", "The path cannot be read.")
		}
	}
	head, ok := attributePath(head)
	if !ok {
		return t, invalid("invalidPath", "The path cannot be read.")
	}
	t.attr = head
	if t.where != nil {
		t.sub = strings.ToLower(strings.TrimPrefix(rest, "."))
	} else if !strings.Contains(head, ":") { // an extension's name has dots of its own
		t.attr, t.sub, _ = strings.Cut(head, ".")
	}
	return t, nil
}

// each calls apply for every change that the request asks for: an operation without a path is one for each attribute of
// its object.
func (r patchRequest) each(apply func(op string, t target, v json.RawMessage) error) error {
	if len(r.Operations) == 0 || len(r.Operations) > maxOperations {
		return invalid("invalidSyntax", "Send 1 to %d operations.", maxOperations)
	}
	for _, o := range r.Operations {
		op := strings.ToLower(o.Op)
		if op != "add" && op != "replace" && op != "remove" {
			return invalid("invalidSyntax", "An operation is add, replace or remove.")
		}
		if o.Path != "" {
			t, err := parseTarget(o.Path)
			if err == nil {
				err = apply(op, t, o.Value)
			}
			if err != nil {
				return err
			}
			continue
		}
		if op == "remove" {
			return invalid("noTarget", "Removing needs a path.")
		}
		if err := eachAttribute(op, o.Value, apply); err != nil {
			return err
		}
	}
	return nil
}

func eachAttribute(op string, value json.RawMessage, apply func(string, target, json.RawMessage) error) error {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(value, &object); err != nil || object == nil {
		return invalid("invalidValue", "Without a path the value must be an object.")
	}
	for name, v := range object {
		if strings.EqualFold(name, "schemas") || strings.EqualFold(name, "id") || strings.EqualFold(name, "meta") {
			continue // said again, not changed
		}
		t, err := parseTarget(name)
		if err == nil {
			err = apply(op, t, v)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// text reads a string. Null is the empty one, and so is what a removal leaves.
func text(op string, v json.RawMessage) (s string, err error) {
	if op == "remove" || string(v) == "null" {
		return "", nil
	}
	if json.Unmarshal(v, &s) != nil {
		return "", invalid("invalidValue", "The value must be a text.")
	}
	return s, nil
}

// truth is a boolean, which some directories write as text, and some as a list of one.
type truth bool

func (t *truth) UnmarshalJSON(b []byte) error {
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		return err
	}
	if list, ok := v.([]any); ok && len(list) == 1 {
		if object, ok := list[0].(map[string]any); ok {
			v = object["value"]
		} else {
			v = list[0]
		}
	}
	switch v := v.(type) {
	case bool:
		*t = truth(v)
		return nil
	case string:
		if strings.EqualFold(v, "true") || strings.EqualFold(v, "false") {
			*t = truth(strings.EqualFold(v, "true"))
			return nil
		}
	}
	return invalid("invalidValue", "The value must be true or false.")
}

// apply changes a user as one operation says. What Kept does not keep is accepted and not stored.
func (u *User) apply(op string, t target, v json.RawMessage) (err error) {
	switch t.attr {
	case "username":
		if op == "remove" {
			return invalid("mutability", "A user cannot be without a userName.")
		}
		before := u.UserName
		if u.UserName, err = text(op, v); err == nil && key(u.Email) == key(before) {
			u.Email = "" // it was taken from the name, and is again
		}
	case "externalid":
		u.ExternalID, err = text(op, v)
	case "displayname":
		u.DisplayName, err = text(op, v)
	case "name":
		err = u.applyName(op, t, v)
	case "emails":
		err = u.applyEmails(op, t, v)
	case "active":
		var active truth
		if op == "remove" {
			return invalid("mutability", "Set active to false instead.")
		}
		if json.Unmarshal(v, &active) != nil {
			return invalid("invalidValue", "active is true or false.")
		}
		u.Active = bool(active)
	}
	return err
}

func (u *User) applyName(op string, t target, v json.RawMessage) (err error) {
	switch t.sub {
	case "givenname":
		u.GivenName, err = text(op, v)
	case "familyname":
		u.FamilyName, err = text(op, v)
	case "":
		if op == "remove" {
			u.GivenName, u.FamilyName = "", ""
			return nil
		}
		var in struct{ GivenName, FamilyName *string }
		if json.Unmarshal(v, &in) != nil {
			return invalid("invalidValue", "name must be an object.")
		}
		if in.GivenName != nil {
			u.GivenName = *in.GivenName
		}
		if in.FamilyName != nil {
			u.FamilyName = *in.FamilyName
		}
	}
	return err
}

// mailbox is one of a user's addresses.
type mailbox struct {
	Value   string
	Type    string
	Primary truth
}

// primary chooses the address to keep: the one that is marked, else the one for work, else the first.
func primary(all []mailbox) string {
	for _, fits := range []func(mailbox) bool{
		func(m mailbox) bool { return bool(m.Primary) },
		func(m mailbox) bool { return strings.EqualFold(m.Type, "work") },
		func(mailbox) bool { return true },
	} {
		for _, m := range all {
			if m.Value != "" && fits(m) {
				return m.Value
			}
		}
	}
	return ""
}

// applyEmails changes the one address that is kept. A path that names another kind of address than it is one for is
// about an address that is not kept.
func (u *User) applyEmails(op string, t target, v json.RawMessage) error {
	if t.where != nil && !t.where.match(attrs{"type": {"work"}, "primary": {true}, "value": {u.Email}}) {
		return nil
	}
	if op == "remove" {
		u.Email = ""
		return nil
	}
	switch t.sub {
	case "value":
		address, err := text(op, v)
		if err == nil && address != "" {
			u.Email = address
		}
		return err
	case "":
		all, err := readMailboxes(v)
		if address := primary(all); address != "" {
			u.Email = address
		}
		return err
	}
	return nil // type, display, primary
}

func readMailboxes(v json.RawMessage) (all []mailbox, err error) {
	if json.Unmarshal(v, &all) == nil {
		return all, nil
	}
	var one mailbox
	if json.Unmarshal(v, &one) != nil {
		return nil, invalid("invalidValue", "emails is a list of objects with a value.")
	}
	return []mailbox{one}, nil
}

// change is what a PATCH makes of a group.
type change struct {
	group   Group
	members map[kernel.ID]bool
	touched bool // members were named
}

func (c *change) apply(op string, t target, v json.RawMessage) (err error) {
	switch t.attr {
	case "displayname":
		if op == "remove" {
			return invalid("mutability", "A group cannot be without a displayName.")
		}
		c.group.DisplayName, err = text(op, v)
	case "externalid":
		c.group.ExternalID, err = text(op, v)
	case "members":
		c.touched = true
		err = c.applyMembers(op, t, v)
	}
	return err
}

func (c *change) applyMembers(op string, t target, v json.RawMessage) error {
	if t.sub != "" {
		return invalid("invalidPath", "Members are added and removed, not changed.")
	}
	if t.where != nil {
		if op != "remove" {
			return invalid("noTarget", "Members are added and removed, not changed.")
		}
		for id := range c.members {
			if t.where.match(attrs{"value": {string(id)}, "type": {"User"}}) {
				delete(c.members, id)
			}
		}
		return nil
	}
	named, err := readMembers(v)
	if err != nil {
		return err
	}
	switch {
	case op == "remove" && len(named) == 0, op == "replace":
		clear(c.members)
	case op == "remove":
		for _, id := range named {
			delete(c.members, id)
		}
		return nil
	}
	for _, id := range named {
		c.members[id] = true
	}
	return nil
}

// readMembers reads a list of members, or one. Nothing at all is none.
func readMembers(v json.RawMessage) ([]kernel.ID, error) {
	type named struct{ Value string }
	var all []named
	if len(v) > 0 && json.Unmarshal(v, &all) != nil {
		var one named
		if json.Unmarshal(v, &one) != nil {
			return nil, invalid("invalidValue", "members is a list of objects with a value.")
		}
		all = []named{one}
	}
	if len(all) > maxMembers {
		return nil, invalid("tooMany", "Name at most %d members at once.", maxMembers)
	}
	out := make([]kernel.ID, len(all))
	for i, in := range all {
		if !kernel.ValidID(in.Value) {
			return nil, invalid("invalidValue", "A member is not a user of this workspace.")
		}
		out[i] = kernel.ID(in.Value)
	}
	return out, nil
}
