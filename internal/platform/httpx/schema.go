package httpx

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"
)

// schemas reflects Go types into JSON schemas. A named struct becomes a component that others refer to.
type schemas struct {
	components map[string]any
	types      map[string]reflect.Type // component to the type that has the name
}

func newSchemas() *schemas {
	return &schemas{components: map[string]any{}, types: map[string]reflect.Type{}}
}

var (
	timeType          = reflect.TypeFor[time.Time]()
	rawType           = reflect.TypeFor[json.RawMessage]()
	textMarshalerType = reflect.TypeFor[encoding.TextMarshaler]()
	jsonMarshalerType = reflect.TypeFor[json.Marshaler]()
)

func (s *schemas) of(v any) (map[string]any, error) { return s.ofType(reflect.TypeOf(v)) }

func (s *schemas) ofType(t reflect.Type) (map[string]any, error) {
	switch {
	case t == timeType:
		return map[string]any{"type": "string", "format": "date-time"}, nil
	case t == rawType:
		return map[string]any{"description": "Any JSON value."}, nil
	case t.Kind() == reflect.Pointer:
		return s.nullable(t.Elem())
	case t.Implements(jsonMarshalerType):
		return map[string]any{}, nil // it writes itself, as anything
	case t.Implements(textMarshalerType):
		return map[string]any{"type": "string"}, nil
	}
	switch t.Kind() {
	case reflect.Struct:
		return s.component(t)
	case reflect.Slice, reflect.Array:
		return s.array(t)
	case reflect.Map:
		values, err := s.ofType(t.Elem())
		return map[string]any{"type": "object", "additionalProperties": values}, err
	}
	return scalar(t)
}

func scalar(t reflect.Type) (map[string]any, error) {
	switch t.Kind() {
	case reflect.String:
		return map[string]any{"type": "string"}, nil
	case reflect.Bool:
		return map[string]any{"type": "boolean"}, nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return map[string]any{"type": "integer"}, nil
	case reflect.Float32, reflect.Float64:
		return map[string]any{"type": "number"}, nil
	case reflect.Interface:
		return map[string]any{"description": "Any JSON value."}, nil
	}
	return nil, fmt.Errorf("%s has no JSON form", t)
}

func (s *schemas) array(t reflect.Type) (map[string]any, error) {
	if t.Elem().Kind() == reflect.Uint8 {
		return map[string]any{"type": "string", "contentEncoding": "base64"}, nil
	}
	items, err := s.ofType(t.Elem())
	return map[string]any{"type": "array", "items": items}, err
}

func (s *schemas) nullable(t reflect.Type) (map[string]any, error) {
	schema, err := s.ofType(t)
	if err != nil {
		return nil, err
	}
	return map[string]any{"anyOf": []any{schema, map[string]any{"type": "null"}}}, nil
}

// component registers a named struct and refers to it. It is registered before its fields are, so that a type may
// contain itself.
func (s *schemas) component(t reflect.Type) (map[string]any, error) {
	if t.Name() == "" {
		return s.object(t)
	}
	name := strings.ToUpper(t.Name()[:1]) + t.Name()[1:]
	ref := map[string]any{"$ref": "#/components/schemas/" + name}
	if known, ok := s.types[name]; ok {
		if known != t {
			return nil, fmt.Errorf("two types, %s and %s, would both be the schema %s: rename one", known, t, name)
		}
		return ref, nil
	}
	s.types[name] = t
	object, err := s.object(t)
	s.components[name] = object
	return ref, err
}

func (s *schemas) object(t reflect.Type) (map[string]any, error) {
	properties, required := map[string]any{}, []string{}
	if err := s.fields(t, properties, &required); err != nil {
		return nil, err
	}
	object := map[string]any{"type": "object", "properties": properties}
	if len(required) > 0 {
		object["required"] = required
	}
	return object, nil
}

func (s *schemas) fields(t reflect.Type, properties map[string]any, required *[]string) error {
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		embedded := f.Type
		if embedded.Kind() == reflect.Pointer {
			embedded = embedded.Elem()
		}
		switch {
		case name == "-" && options == "":
			continue
		case f.Anonymous && name == "" && embedded.Kind() == reflect.Struct:
			if err := s.fields(embedded, properties, required); err != nil {
				return err
			}
			continue
		case !f.IsExported():
			continue
		case name == "":
			name = f.Name
		}
		schema, err := s.field(f)
		if err != nil {
			return fmt.Errorf("%s.%s: %w", t, f.Name, err)
		}
		properties[name] = schema
		if !strings.Contains(options, "omit") {
			*required = append(*required, name)
		}
	}
	return nil
}

func (s *schemas) field(f reflect.StructField) (map[string]any, error) {
	schema, err := s.ofType(f.Type)
	if doc := f.Tag.Get("doc"); err == nil && doc != "" {
		schema["description"] = doc // allowed beside $ref since 3.1
	}
	return schema, err
}
