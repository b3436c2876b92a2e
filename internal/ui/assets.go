package ui

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
)

// AssetPrefix is where Assets must be mounted.
const AssetPrefix = "/assets/"

//go:embed dist
var distFS embed.FS

// assetStore maps logical names ("kept.js") to hashed files, all in memory.
type assetStore struct {
	manifest map[string]string
	files    map[string]*assetFile
}

type assetFile struct {
	body []byte
	kind string
	etag string
	gzip func() []byte // compressed on first use; nil when that does not pay
}

func newAssetStore() (*assetStore, error) {
	s := &assetStore{files: map[string]*assetFile{}}
	text, err := distFS.ReadFile("dist/manifest.json")
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &s.manifest); err != nil {
		return nil, err
	}
	entries, err := distFS.ReadDir("dist")
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		body, err := distFS.ReadFile(path.Join("dist", e.Name()))
		if err != nil {
			return nil, err
		}
		s.files[e.Name()] = newAssetFile(e.Name(), body)
	}
	for logical, file := range s.manifest {
		if s.files[file] == nil {
			return nil, fmt.Errorf("manifest names %s for %s, which is not there", file, logical)
		}
	}
	return s, nil
}

func newAssetFile(name string, body []byte) *assetFile {
	sum := sha256.Sum256(body)
	f := &assetFile{body: body, kind: contentType(name), etag: `"` + hex.EncodeToString(sum[:8]) + `"`}
	f.gzip = sync.OnceValue(func() []byte {
		var buf bytes.Buffer
		zw, _ := gzip.NewWriterLevel(&buf, gzip.BestCompression)
		_, _ = zw.Write(body)
		_ = zw.Close()
		if buf.Len() >= len(body) {
			return nil
		}
		return buf.Bytes()
	})
	return f
}

// contentType does not ask the operating system first, whose tables differ.
func contentType(name string) string {
	switch path.Ext(name) {
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	case ".json":
		return "application/json"
	}
	return mime.TypeByExtension(path.Ext(name))
}

// asset returns the address of a file by its logical name.
func (s *assetStore) asset(name string) (string, error) {
	file, ok := s.manifest[name]
	if !ok {
		return "", fmt.Errorf("ui: no asset is named %q; run go run ./tools/assets", name)
	}
	return AssetPrefix + file, nil
}

// Assets serves the built files under AssetPrefix. Their names change with
// their content, so browsers may keep them for good.
func (u *UI) Assets() http.Handler { return http.HandlerFunc(u.assets.serve) }

// AssetPath returns the address of an asset by its logical name, such as
// "favicon.svg".
func (u *UI) AssetPath(name string) (string, error) { return u.assets.asset(name) }

func (s *assetStore) serve(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	name := strings.TrimPrefix(r.URL.Path, AssetPrefix)
	f := s.files[name]
	if f == nil || name == "manifest.json" {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", f.kind)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("Vary", "Accept-Encoding")
	body, etag := f.body, f.etag
	if acceptsGzip(r) {
		if z := f.gzip(); z != nil {
			body, etag = z, strings.TrimSuffix(f.etag, `"`)+`-gz"`
			h.Set("Content-Encoding", "gzip")
		}
	}
	h.Set("ETag", etag)
	if r.Header.Get("If-None-Match") == etag {
		h.Del("Content-Encoding")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method == http.MethodGet {
		_, _ = w.Write(body)
	}
}

func acceptsGzip(r *http.Request) bool {
	for part := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		name, q, _ := strings.Cut(strings.TrimSpace(part), ";")
		if strings.EqualFold(strings.TrimSpace(name), "gzip") {
			q = strings.ReplaceAll(q, " ", "")
			return !strings.HasPrefix(q, "q=0") || strings.Trim(q[3:], "0.") != ""
		}
	}
	return false
}
