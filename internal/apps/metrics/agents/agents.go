// Package agents hands out kept-agent: one build for each platform, from a folder beside the server, and a script that
// installs the one that fits a host and enrols it, so that connecting a host takes one command.
package agents

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/kept-dev/kept/internal/kernel"
)

// Builds are the agents in a folder, as `make agents` leaves them there: kept-agent-linux-amd64 and so on. The zero value
// has none.
type Builds struct {
	dir string

	mu   sync.Mutex
	sums map[string]sum // by name of the file
}

// sum is the hash of a file as it was at a time.
type sum struct {
	at   time.Time
	size int64
	hash string
}

// In are the builds in a folder, which need not be there yet; with an empty one there are none.
func In(dir string) *Builds { return &Builds{dir: dir, sums: map[string]sum{}} }

// Build is an agent for one platform.
type Build struct {
	Platform string // GOOS-GOARCH: "linux-amd64"
	File     string // its name, and the last part of its address
	Size     int64  // bytes
	SHA256   string // in hex
}

// name of a build's file; Windows wants a suffix.
var name = regexp.MustCompile(`^kept-agent-([a-z0-9]+-[a-z0-9]+)(?:\.exe)?$`)

// List are the builds that are there now, by platform.
func (b *Builds) List() (out []Build, err error) {
	if b.dir == "" {
		return nil, nil
	}
	entries, err := os.ReadDir(b.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("agents: %w", err)
	}
	for _, e := range entries {
		m := name.FindStringSubmatch(e.Name())
		if m == nil {
			continue
		}
		s, err := b.sum(e.Name())
		if err != nil {
			return nil, err
		}
		out = append(out, Build{Platform: m[1], File: e.Name(), Size: s.size, SHA256: s.hash})
	}
	return out, nil
}

// sum is the hash of a file, which is read again when it has changed.
func (b *Builds) sum(file string) (s sum, err error) {
	f, err := os.Open(filepath.Join(b.dir, file))
	if err != nil {
		return s, fmt.Errorf("agents: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return s, fmt.Errorf("agents: %w", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if known, ok := b.sums[file]; ok && known.at.Equal(info.ModTime()) && known.size == info.Size() {
		return known, nil
	}
	h := sha256.New()
	if s.size, err = io.Copy(h, f); err != nil {
		return s, fmt.Errorf("agents: %w", err)
	}
	s.at, s.hash = info.ModTime(), hex.EncodeToString(h.Sum(nil))
	b.sums[file] = s
	return s, nil
}

// Serve answers with a build; {file} is its name.
func (b *Builds) Serve(w http.ResponseWriter, r *http.Request) error {
	none := kernel.Errorf(kernel.NotFound, "There is no such agent here.")
	file := r.PathValue("file")
	if b.dir == "" || !name.MatchString(file) {
		return none
	}
	f, err := os.Open(filepath.Join(b.dir, file))
	if errors.Is(err, fs.ErrNotExist) {
		return none
	}
	if err != nil {
		return fmt.Errorf("agents: %w", err)
	}
	defer f.Close()
	s, err := b.sum(file)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Disposition", `attachment; filename="`+file+`"`)
	h.Set("ETag", `"`+s.hash+`"`)
	h.Set("Cache-Control", "no-cache") // a newer server brings newer agents
	http.ServeContent(w, r, file, s.at, f)
	return nil
}

// quote makes a text one word of a shell.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
