package httpx

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/kernel"
)

type thing struct {
	base
	ID       kernel.ID         `json:"id" doc:"Its name."`
	At       time.Time         `json:"at"`
	Until    *time.Time        `json:"until"`
	Size     int64             `json:"size,omitempty"`
	Rate     float64           `json:"rate"`
	Tags     map[string]string `json:"tags"`
	Payload  json.RawMessage   `json:"payload"`
	Children []thing           `json:"children"`
	Blob     []byte            `json:"blob"`
	Hidden   string            `json:"-"`
	Untagged bool
	private  int
}

type base struct {
	Kind string `json:"kind"`
}

func TestOpenAPI(t *testing.T) {
	t.Parallel()
	_ = thing{private: 1}.private
	routes := []Route{page, {
		Method: "GET", Path: "/api/v1/things/{id}/{rest...}", Handler: ok, Access: APIKey, Needs: MayView, Scope: "read", Rate: RatePage,
		API: &Operation{
			Summary: "One thing.", Responses: map[int]any{200: thing{}, 204: nil},
			Query: []Param{{Name: "limit", Schema: "integer", Description: "At most so many."}, {Name: "state", Enum: []string{"a", "b"}}},
		},
	}}
	got, err := OpenAPI(Info{Title: "T", Version: "v1"}, routes)
	if err != nil {
		t.Fatal(err)
	}
	var doc any
	if err := json.Unmarshal(got, &doc); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"openapi": `"3.1.0"`,
		"paths./api/v1/things/{id}/{rest}.get.operationId":                                               `"get_api_v1_things_id_rest"`,
		"paths./api/v1/things/{id}/{rest}.get.security":                                                  `[{"key":[]}]`,
		"paths./api/v1/things/{id}/{rest}.get.parameters.0":                                              `{"in":"path","name":"id","required":true,"schema":{"type":"string"}}`,
		"paths./api/v1/things/{id}/{rest}.get.parameters.2.schema":                                       `{"type":"integer"}`,
		"paths./api/v1/things/{id}/{rest}.get.parameters.3.schema":                                       `{"enum":["a","b"],"type":"string"}`,
		"paths./api/v1/things/{id}/{rest}.get.responses.200.content.application/json.schema":             `{"$ref":"#/components/schemas/Thing"}`,
		"paths./api/v1/things/{id}/{rest}.get.responses.204":                                             `{"description":"No Content"}`,
		"paths./api/v1/things/{id}/{rest}.get.responses.default.content.application/problem+json.schema": `{"$ref":"#/components/schemas/ProblemDetails"}`,
		"components.schemas.Thing.required":                                                              `["kind","id","at","until","rate","tags","payload","children","blob","Untagged"]`,
		"components.schemas.Thing.properties.id":                                                         `{"description":"Its name.","type":"string"}`,
		"components.schemas.Thing.properties.at":                                                         `{"format":"date-time","type":"string"}`,
		"components.schemas.Thing.properties.until":                                                      `{"anyOf":[{"format":"date-time","type":"string"},{"type":"null"}]}`,
		"components.schemas.Thing.properties.size":                                                       `{"type":"integer"}`,
		"components.schemas.Thing.properties.tags":                                                       `{"additionalProperties":{"type":"string"},"type":"object"}`,
		"components.schemas.Thing.properties.children":                                                   `{"items":{"$ref":"#/components/schemas/Thing"},"type":"array"}`,
		"components.schemas.Thing.properties.blob":                                                       `{"contentEncoding":"base64","type":"string"}`,
		"components.schemas.Thing.properties.Hidden":                                                     `null`,
		"paths./page": `null`,
	} {
		if b, _ := json.Marshal(lookUp(doc, path)); string(b) != want {
			t.Errorf("%s is %s, want %s", path, b, want)
		}
	}
}

// lookUp follows dots, of which the keys on the way to a component have none but "." in paths that are no keys.
func lookUp(v any, path string) any {
	for path != "" && v != nil {
		switch node := v.(type) {
		case []any:
			key, rest, _ := strings.Cut(path, ".")
			v, path = node[int(key[0]-'0')], rest
		case map[string]any:
			best := ""
			for key := range node {
				if (path == key || strings.HasPrefix(path, key+".")) && len(key) > len(best) {
					best = key
				}
			}
			v, path = node[best], strings.TrimPrefix(strings.TrimPrefix(path, best), ".")
			if best == "" {
				return nil
			}
		default:
			return nil
		}
	}
	return v
}

func TestOpenAPIRefusesTwoTypesOfOneName(t *testing.T) {
	t.Parallel()
	type thing struct{ Other int }
	route := readAPI
	other := readAPI
	other.Path = "/api/v1/other"
	route.API = &Operation{Summary: "A.", Responses: map[int]any{200: thing{}}}
	other.API = &Operation{Summary: "B.", Responses: map[int]any{200: []any{}, 201: outerThing()}}
	if _, err := OpenAPI(Info{}, []Route{route, other}); err == nil || !strings.Contains(err.Error(), "rename") {
		t.Errorf("got %v", err)
	}
}

func outerThing() any { return thing{} }
