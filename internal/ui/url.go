package ui

import (
	"fmt"
	"net/url"
)

// WithQuery returns the address u (a *url.URL or a string) with query
// parameters changed: each pair sets a name to a value, and an empty or nil
// value removes the name. The result is relative to the host, so it can stand
// in an href.
func WithQuery(u any, pairs ...any) (string, error) {
	if len(pairs)%2 != 0 {
		return "", fmt.Errorf("withQuery: odd number of arguments")
	}
	base, err := asURL(u)
	if err != nil {
		return "", err
	}
	q := base.Query()
	for i := 0; i < len(pairs); i += 2 {
		name, ok := pairs[i].(string)
		if !ok {
			return "", fmt.Errorf("withQuery: name %v is not a string", pairs[i])
		}
		value := ""
		if pairs[i+1] != nil {
			value = fmt.Sprint(pairs[i+1])
		}
		if value == "" {
			q.Del(name)
		} else {
			q.Set(name, value)
		}
	}
	return pathQuery(base.Path, q), nil
}

func asURL(v any) (*url.URL, error) {
	switch x := v.(type) {
	case *url.URL:
		if x == nil {
			return &url.URL{}, nil
		}
		return x, nil
	case string:
		return url.Parse(x)
	}
	return nil, fmt.Errorf("%T is not an address", v)
}

func pathQuery(path string, q url.Values) string {
	return (&url.URL{Path: path, RawQuery: q.Encode()}).String()
}
