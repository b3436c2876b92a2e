package httpx

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/kept-dev/kept/internal/platform/httpx/respond"
)

// Info is the head of the OpenAPI document.
type Info struct {
	Title, Version, Description string
	Server                      string // the address the paths are relative to; empty: where the document comes from
}

// OpenAPI describes the routes that have an Operation as an OpenAPI 3.1 document. Schemas are reflected from the
// operations' Go values: names and omitempty from json tags, descriptions from doc tags.
func OpenAPI(info Info, routes []Route) ([]byte, error) {
	s := newSchemas()
	problem, err := s.of(respond.ProblemDetails{})
	if err != nil {
		return nil, err
	}
	paths := map[string]map[string]any{}
	for _, r := range routes {
		if r.API == nil {
			continue
		}
		op, err := s.operation(r, problem)
		if err != nil {
			return nil, fmt.Errorf("httpx: openapi: %s %s: %w", r.Method, r.Path, err)
		}
		path := openAPIPath(r.Path)
		if paths[path] == nil {
			paths[path] = map[string]any{}
		}
		paths[path][strings.ToLower(r.Method)] = op
	}
	doc := map[string]any{
		"openapi": "3.1.0",
		"info":    map[string]any{"title": info.Title, "version": info.Version, "description": info.Description},
		"paths":   paths,
		"components": map[string]any{
			"schemas":         s.components,
			"securitySchemes": map[string]any{"key": map[string]any{"type": "http", "scheme": "bearer", "description": "An API key of a workspace, a personal access token, or a mobile app's access token."}},
		},
	}
	if info.Server != "" {
		doc["servers"] = []any{map[string]any{"url": info.Server}}
	}
	return json.Marshal(doc)
}

var (
	wildcard = regexp.MustCompile(`\{([A-Za-z_][A-Za-z0-9_]*)(\.\.\.)?\}`)
	notWord  = regexp.MustCompile(`[^A-Za-z0-9]+`)
)

// openAPIPath writes ServeMux' {rest...} and {$} the way OpenAPI does.
func openAPIPath(path string) string {
	return wildcard.ReplaceAllString(strings.ReplaceAll(path, "{$}", ""), "{$1}")
}

func (s *schemas) operation(r Route, problem any) (map[string]any, error) {
	if r.API.Summary == "" || len(r.API.Responses) == 0 {
		return nil, errors.New("an operation has a summary and at least one response")
	}
	op := map[string]any{
		"operationId": strings.ToLower(r.Method) + "_" + strings.Trim(notWord.ReplaceAllString(openAPIPath(r.Path), "_"), "_"),
		"summary":     r.API.Summary,
	}
	if r.API.Description != "" {
		op["description"] = r.API.Description
	}
	if needs := map[Access]string{APIKey: "The key or token", Person: "The person's token"}[r.Access]; needs != "" {
		op["security"] = []any{map[string]any{"key": []string{}}}
		op["description"] = strings.TrimSpace(r.API.Description + "\n\n" + needs + " needs the scope `" + r.Scope + "`.")
	}
	if params := parameters(r); len(params) > 0 {
		op["parameters"] = params
	}
	if r.API.Request != nil {
		schema, err := s.of(r.API.Request)
		if err != nil {
			return nil, err
		}
		op["requestBody"] = map[string]any{"required": true, "content": jsonContent("application/json", schema)}
	}
	responses, err := s.responses(r, problem)
	op["responses"] = responses
	return op, err
}

func jsonContent(media string, schema any) map[string]any {
	return map[string]any{media: map[string]any{"schema": schema}}
}

func (s *schemas) responses(r Route, problem any) (map[string]any, error) {
	out := map[string]any{}
	for _, status := range slices.Sorted(maps.Keys(r.API.Responses)) {
		answer := map[string]any{"description": http.StatusText(status)}
		if v := r.API.Responses[status]; v != nil {
			schema, err := s.of(v)
			if err != nil {
				return nil, err
			}
			answer["content"] = jsonContent("application/json", schema)
		}
		out[strconv.Itoa(status)] = answer
	}
	if r.Fail == nil { // else the peer's protocol says what an error looks like, and so do the operation's responses
		out["default"] = map[string]any{"description": "An error.", "content": jsonContent("application/problem+json", problem)}
	}
	return out, nil
}

func parameters(r Route) []any {
	var out []any
	for _, m := range wildcard.FindAllStringSubmatch(r.Path, -1) {
		out = append(out, map[string]any{"name": m[1], "in": "path", "required": true, "schema": map[string]any{"type": "string"}})
	}
	for _, p := range r.API.Query {
		out = append(out, p.openAPI())
	}
	return out
}

func (p Param) openAPI() map[string]any {
	schema := map[string]any{"type": "string"}
	switch p.Schema {
	case "integer", "boolean":
		schema["type"] = p.Schema
	case "date-time":
		schema["format"] = p.Schema
	}
	if len(p.Enum) > 0 {
		schema["enum"] = p.Enum
	}
	out := map[string]any{"name": p.Name, "in": "query", "required": p.Required, "schema": schema, "description": p.Description}
	if p.Example != "" {
		out["example"] = p.Example
	}
	return out
}
