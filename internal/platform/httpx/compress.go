package httpx

import (
	"net/http"
	"strings"

	"github.com/klauspost/compress/gzhttp"
)

const compressFrom = 1024 // bytes; below that the answer fits into one packet anyhow

// newCompressor wraps handlers so that text of some size goes out as zstd or gzip, whichever the client prefers. The
// encoders are pooled by gzhttp.
func newCompressor() (func(http.Handler) http.HandlerFunc, error) {
	return gzhttp.NewWrapper(gzhttp.MinSize(compressFrom), gzhttp.EnableZstd(true), gzhttp.ContentTypeFilter(compressible))
}

func compressible(contentType string) bool {
	media, _, _ := strings.Cut(contentType, ";")
	switch media = strings.TrimSpace(media); media {
	case "application/json", "application/problem+json", "application/javascript", "image/svg+xml":
		return true
	case "text/event-stream":
		return false
	}
	return strings.HasPrefix(media, "text/")
}
