package scim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	"github.com/kept-dev/kept/internal/kernel"
)

// scimType is the key under which an error carries what RFC 7644 calls its scimType.
const scimType = "scimType"

// invalid is an error of the client, which SCIM answers with 400 and a type.
func invalid(kind, format string, args ...any) error {
	return &kernel.Error{Code: kernel.Invalid, Safe: fmt.Sprintf(format, args...), Fields: map[string]string{scimType: kind}}
}

func taken(text string) error {
	return &kernel.Error{Code: kernel.Conflict, Safe: text, Fields: map[string]string{scimType: "uniqueness"}}
}

// errOwner refuses to end what only people may end.
func errOwner() error {
	return &kernel.Error{Code: kernel.Conflict, Fields: map[string]string{scimType: "mutability"},
		Safe: "This user is an owner of the workspace. A directory cannot change or remove owners: an owner has to transfer the ownership first."}
}

const (
	schemaError = "urn:ietf:params:scim:api:messages:2.0:Error"
	contentType = "application/scim+json"
)

// fail answers an error in SCIM's shape.
func fail(w http.ResponseWriter, status int, e *kernel.Error, _ string) {
	if e.Code == kernel.Invalid {
		status = http.StatusBadRequest
	}
	doc := map[string]any{"schemas": []string{schemaError}, "status": strconv.Itoa(status), "detail": e.Safe}
	if kind := e.Fields[scimType]; kind != "" {
		doc[scimType] = kind
	} else if status == http.StatusBadRequest {
		doc[scimType] = "invalidSyntax"
	}
	_ = write(w, status, doc)
}

func write(w http.ResponseWriter, status int, doc any) error {
	b, err := json.Marshal(doc)
	if err != nil {
		return fmt.Errorf("scim: %w", err)
	}
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(b) // a client that left
	return nil
}
