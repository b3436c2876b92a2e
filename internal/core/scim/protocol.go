package scim

import (
	"context"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
)

// The names that SCIM gives to what it sends.
const (
	schemaUser  = "urn:ietf:params:scim:schemas:core:2.0:User"
	schemaGroup = "urn:ietf:params:scim:schemas:core:2.0:Group"
	schemaList  = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
	base        = "/scim/v2"
)

// object is a JSON object on its way out.
type object = map[string]any

// userJSON is a user as SCIM shows it.
func (m *Module) userJSON(u User, groups []Group) object {
	doc := object{
		"schemas": []string{schemaUser}, "id": u.ID, "userName": u.UserName, "active": u.Active,
		"emails": []object{{"value": u.Email, "type": "work", "primary": true}},
		"meta":   m.meta("User", "/Users/", u.ID, u.CreatedAt, u.UpdatedAt),
	}
	setText(doc, "externalId", u.ExternalID)
	setText(doc, "displayName", u.DisplayName)
	if formatted := strings.TrimSpace(u.GivenName + " " + u.FamilyName); formatted != "" {
		name := object{"formatted": formatted}
		setText(name, "givenName", u.GivenName)
		setText(name, "familyName", u.FamilyName)
		doc["name"] = name
	}
	if len(groups) > 0 {
		in := make([]object, len(groups))
		for i, g := range groups {
			in[i] = object{"value": g.ID, "display": g.DisplayName, "$ref": m.d.BaseURL + base + "/Groups/" + string(g.ID)}
		}
		doc["groups"] = in
	}
	return doc
}

func setText(doc object, name, value string) {
	if value != "" {
		doc[name] = value
	}
}

func (m *Module) meta(kind, path string, id kernel.ID, created, updated time.Time) object {
	return object{"resourceType": kind, "created": stamp(created), "lastModified": stamp(updated), "location": m.d.BaseURL + base + path + string(id)}
}

// stamp has as many digits for each time, so that texts compare as times do.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

func (m *Module) groupJSON(g Group, members []member) object {
	in := make([]object, len(members))
	for i, who := range members {
		in[i] = object{"value": who.user, "display": who.name, "type": "User", "$ref": m.d.BaseURL + base + "/Users/" + string(who.user)}
	}
	doc := object{
		"schemas": []string{schemaGroup}, "id": g.ID, "displayName": g.DisplayName, "members": in,
		"meta": m.meta("Group", "/Groups/", g.ID, g.CreatedAt, g.UpdatedAt),
	}
	setText(doc, "externalId", g.ExternalID)
	return doc
}

// userAttrs is what a filter sees of a user.
func userAttrs(u User) attrs {
	return attrs{
		"id": {string(u.ID)}, "username": {u.UserName}, "externalid": {u.ExternalID}, "displayname": {u.DisplayName}, "active": {u.Active},
		"name.givenname": {u.GivenName}, "name.familyname": {u.FamilyName}, "name.formatted": {strings.TrimSpace(u.GivenName + " " + u.FamilyName)},
		"emails": {attrs{"value": {u.Email}, "type": {"work"}, "primary": {true}}}, "emails.value": {u.Email}, "emails.type": {"work"}, "emails.primary": {true},
		"meta.created": {stamp(u.CreatedAt)}, "meta.lastmodified": {stamp(u.UpdatedAt)}, "meta.resourcetype": {"User"},
	}
}

func groupAttrs(g Group, members []member) attrs {
	a := attrs{
		"id": {string(g.ID)}, "displayname": {g.DisplayName}, "externalid": {g.ExternalID},
		"meta.created": {stamp(g.CreatedAt)}, "meta.lastmodified": {stamp(g.UpdatedAt)}, "meta.resourcetype": {"Group"},
	}
	for _, who := range members {
		a["members"] = append(a["members"], attrs{"value": {string(who.user)}, "type": {"User"}})
		a["members.value"] = append(a["members.value"], string(who.user))
	}
	return a
}

// Routes is the module's part of the route table.
func (m *Module) Routes() []httpx.Route {
	const maxBody = 2 << 20
	route := func(method, path, auditAction string, h httpx.Handler) httpx.Route {
		r := httpx.Route{Method: method, Path: base + path, Handler: h, Access: httpx.APIKey, Scope: "scim", Needs: httpx.MayManage, Rate: httpx.RatePage, Fail: fail}
		if method != "GET" {
			r.Rate, r.Audit, r.MaxBody = httpx.RateWrite, auditAction, maxBody
		}
		return r
	}
	return append([]httpx.Route{
		route("GET", "/ServiceProviderConfig", "", m.serviceProviderConfig),
		route("GET", "/ResourceTypes", "", m.resourceTypes),
		route("GET", "/ResourceTypes/{id}", "", m.resourceType),
		route("GET", "/Schemas", "", m.schemas),
		route("GET", "/Schemas/{id}", "", m.schema),
		route("GET", "/Users", "", m.listUsers),
		route("POST", "/Users", "scim_user.create", m.createUser),
		route("GET", "/Users/{id}", "", m.getUser),
		route("PUT", "/Users/{id}", "scim_user.change", m.putUser),
		route("PATCH", "/Users/{id}", "scim_user.change", m.patchUser),
		route("DELETE", "/Users/{id}", "scim_user.remove", m.deleteUser),
		route("GET", "/Groups", "", m.listGroups),
		route("POST", "/Groups", "scim_group.create", m.createGroup),
		route("GET", "/Groups/{id}", "", m.getGroup),
		route("PUT", "/Groups/{id}", "scim_group.change", m.putGroup),
		route("PATCH", "/Groups/{id}", "scim_group.change", m.patchGroup),
		route("DELETE", "/Groups/{id}", "scim_group.remove", m.deleteGroup),
	}, m.pageRoutes()...)
}

// who is the key that asks, and its workspace.
func who(r *http.Request) (audit.Actor, kernel.WorkspaceID) {
	a := httpx.ActorOf(r.Context())
	return audit.ActorOf(a), a.WorkspaceID
}

func pathID(r *http.Request) (kernel.ID, error) {
	id := r.PathValue("id")
	if !kernel.ValidID(id) {
		return "", kernel.Errorf(kernel.NotFound, "There is nothing of this id.")
	}
	return kernel.ID(id), nil
}

// read reads a JSON body. What Kept does not know of a resource is left out, as the protocol wants it.
func read(r *http.Request, v any) error {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != contentType && media != "application/json" {
		return invalid("invalidSyntax", "Send JSON, with Content-Type: %s.", contentType)
	}
	err = json.NewDecoder(r.Body).Decode(v)
	var known *kernel.Error
	var large *http.MaxBytesError
	switch {
	case err == nil, errors.As(err, &known), errors.As(err, &large):
		return err
	}
	return invalid("invalidSyntax", "The body is not JSON of the right shape.")
}

// page is what a list was asked for.
type page struct {
	filter  expr
	start   int // from 1
	count   int
	shape   func(object) object
	members bool // groups with their members
}

const (
	defaultCount = 100
	maxCount     = 500
)

func readPage(r *http.Request) (p page, err error) {
	q := r.URL.Query()
	if f := q.Get("filter"); f != "" {
		if p.filter, err = parseFilter(f); err != nil {
			return p, err
		}
	}
	p.start, p.count = 1, defaultCount
	if s := q.Get("startIndex"); s != "" {
		if p.start, err = strconv.Atoi(s); err != nil {
			return p, invalid("invalidValue", "startIndex is a number.")
		}
		p.start = max(p.start, 1)
	}
	if s := q.Get("count"); s != "" {
		if p.count, err = strconv.Atoi(s); err != nil {
			return p, invalid("invalidValue", "count is a number.")
		}
		p.count = min(max(p.count, 0), maxCount)
	}
	p.shape, p.members = readShape(r)
	return p, nil
}

// readShape reads which attributes are wanted, at the top level.
func readShape(r *http.Request) (shape func(object) object, members bool) {
	split := func(name string) (out []string) {
		for s := range strings.SplitSeq(r.URL.Query().Get(name), ",") {
			if path, ok := attributePath(strings.TrimSpace(s)); ok {
				top, _, _ := strings.Cut(path, ".")
				out = append(out, top)
			}
		}
		return out
	}
	with, without := split("attributes"), split("excludedAttributes")
	wanted := func(name string) bool {
		name = strings.ToLower(name)
		if name == "id" || name == "schemas" {
			return true
		}
		return (len(with) == 0 || slices.Contains(with, name)) && !slices.Contains(without, name)
	}
	return func(doc object) object {
		for name := range doc {
			if !wanted(name) {
				delete(doc, name)
			}
		}
		return doc
	}, wanted("members")
}

// answerList writes the part of a list that was asked for.
func answerList[T any](w http.ResponseWriter, p page, all []T, doc func(T) object) error {
	total := len(all)
	from := min(p.start-1, total)
	all = all[from:min(from+p.count, total)]
	resources := make([]object, len(all))
	for i, item := range all {
		resources[i] = p.shape(doc(item))
	}
	return write(w, http.StatusOK, object{"schemas": []string{schemaList}, "totalResults": total, "startIndex": p.start,
		"itemsPerPage": len(resources), "Resources": resources})
}

// groupsByUser tells of each user in which groups he is.
func (m *Module) groupsByUser(ctx context.Context, ws kernel.WorkspaceID) (map[kernel.ID][]Group, error) {
	groups, err := groupsOf(ctx, m.db, ws)
	if err != nil {
		return nil, err
	}
	members, err := membersOf(ctx, m.db, ws)
	if err != nil {
		return nil, err
	}
	out := map[kernel.ID][]Group{}
	for _, g := range groups {
		for _, in := range members[g.ID] {
			out[in.user] = append(out[in.user], g)
		}
	}
	return out, nil
}
