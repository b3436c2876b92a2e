package scim

import (
	"net/http"

	"github.com/kept-dev/kept/internal/kernel"
)

const (
	schemaConfig   = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"
	schemaResource = "urn:ietf:params:scim:schemas:core:2.0:ResourceType"
	schemaSchema   = "urn:ietf:params:scim:schemas:core:2.0:Schema"
)

// serviceProviderConfig says what a directory may use.
func (m *Module) serviceProviderConfig(w http.ResponseWriter, _ *http.Request) error {
	return write(w, http.StatusOK, object{
		"schemas": []string{schemaConfig}, "documentationUri": m.d.BaseURL + "/",
		"patch":          object{"supported": true},
		"bulk":           object{"supported": false, "maxOperations": 0, "maxPayloadSize": 0},
		"filter":         object{"supported": true, "maxResults": maxCount},
		"changePassword": object{"supported": false},
		"sort":           object{"supported": false},
		"etag":           object{"supported": false},
		"authenticationSchemes": []object{{"type": "oauthbearertoken", "name": "Bearer token", "primary": true,
			"description": "A key of the workspace that was made on its page about provisioning."}},
		"meta": object{"resourceType": "ServiceProviderConfig", "location": m.d.BaseURL + base + "/ServiceProviderConfig"},
	})
}

func (m *Module) allResourceTypes() []object {
	kind := func(name, endpoint, schema, about string) object {
		return object{"schemas": []string{schemaResource}, "id": name, "name": name, "endpoint": endpoint, "description": about, "schema": schema,
			"meta": object{"resourceType": "ResourceType", "location": m.d.BaseURL + base + "/ResourceTypes/" + name}}
	}
	return []object{kind("User", "/Users", schemaUser, "A person who is to be a member"), kind("Group", "/Groups", schemaGroup, "People who get the same role")}
}

// attribute describes one attribute of a schema.
func attribute(name, kind string, more object) object {
	a := object{"name": name, "type": kind, "multiValued": false, "required": false, "caseExact": false, "mutability": "readWrite", "returned": "default", "uniqueness": "none"}
	for k, v := range more {
		a[k] = v
	}
	return a
}

func (m *Module) allSchemas() []object {
	schema := func(id, name, about string, attributes ...object) object {
		return object{"schemas": []string{schemaSchema}, "id": id, "name": name, "description": about, "attributes": attributes,
			"meta": object{"resourceType": "Schema", "location": m.d.BaseURL + base + "/Schemas/" + id}}
	}
	list := func(sub ...object) object { return object{"multiValued": true, "subAttributes": sub} }
	readOnly := object{"mutability": "readOnly"}
	return []object{
		schema(schemaUser, "User", "A person who is to be a member",
			attribute("userName", "string", object{"required": true, "uniqueness": "server"}),
			attribute("externalId", "string", object{"caseExact": true}),
			attribute("name", "complex", object{"subAttributes": []object{attribute("givenName", "string", nil), attribute("familyName", "string", nil), attribute("formatted", "string", readOnly)}}),
			attribute("displayName", "string", nil),
			attribute("emails", "complex", list(attribute("value", "string", nil), attribute("type", "string", nil), attribute("primary", "boolean", nil))),
			attribute("active", "boolean", nil),
			attribute("groups", "complex", object{"multiValued": true, "mutability": "readOnly", "subAttributes": []object{attribute("value", "string", readOnly), attribute("display", "string", readOnly)}})),
		schema(schemaGroup, "Group", "People who get the same role",
			attribute("displayName", "string", object{"required": true, "uniqueness": "server"}),
			attribute("externalId", "string", object{"caseExact": true}),
			attribute("members", "complex", list(attribute("value", "string", object{"mutability": "immutable"}), attribute("display", "string", readOnly), attribute("type", "string", object{"mutability": "immutable"})))),
	}
}

func answerAll(w http.ResponseWriter, all []object) error {
	return write(w, http.StatusOK, object{"schemas": []string{schemaList}, "totalResults": len(all), "startIndex": 1, "itemsPerPage": len(all), "Resources": all})
}

func answerOne(w http.ResponseWriter, r *http.Request, all []object) error {
	for _, doc := range all {
		if doc["id"] == r.PathValue("id") {
			return write(w, http.StatusOK, doc)
		}
	}
	return kernel.Errorf(kernel.NotFound, "There is nothing of this id.")
}

func (m *Module) resourceTypes(w http.ResponseWriter, _ *http.Request) error {
	return answerAll(w, m.allResourceTypes())
}

func (m *Module) resourceType(w http.ResponseWriter, r *http.Request) error {
	return answerOne(w, r, m.allResourceTypes())
}

func (m *Module) schemas(w http.ResponseWriter, _ *http.Request) error {
	return answerAll(w, m.allSchemas())
}

func (m *Module) schema(w http.ResponseWriter, r *http.Request) error {
	return answerOne(w, r, m.allSchemas())
}
