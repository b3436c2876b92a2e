package httpx

import (
	"net/http"
	"net/url"
	"strings"
)

// normalise rewrites a path that ServeMux would answer with a redirect or not find, where a redirect would lose data:
// doubled slashes become one, and the path of an AnyPrefix route is found behind any prefix. Slashes that are escaped
// belong to a name and stay. The request is already our own copy; its URL is not, so that it is copied before it is
// changed.
func (m *Mux) normalise(r *http.Request) {
	escaped := r.URL.EscapedPath()
	path := escaped
	if strings.Contains(path, "//") {
		path = collapseSlashes(path)
	}
	if r.Method == http.MethodPost {
		path = m.stripPrefix(path)
	}
	if path == escaped {
		return
	}
	plain, err := url.PathUnescape(path)
	if err != nil {
		return // not from EscapedPath
	}
	u := new(url.URL)
	*u = *r.URL
	u.Path, u.RawPath = plain, path
	r.URL = u
}

func (m *Mux) stripPrefix(path string) string {
	trimmed := strings.TrimRight(path, "/")
	for _, p := range m.anyPrefix {
		if strings.HasSuffix(trimmed, p) {
			return p
		}
	}
	return path
}

func collapseSlashes(path string) string {
	out := make([]byte, 0, len(path))
	for i := 0; i < len(path); i++ {
		if path[i] == '/' && i > 0 && path[i-1] == '/' {
			continue
		}
		out = append(out, path[i])
	}
	return string(out)
}
