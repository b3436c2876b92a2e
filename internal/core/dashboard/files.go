package dashboard

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kept-dev/kept/internal/kernel"
)

// found is a dashboard that is in no database: an app brings it, or it is a file of the operator. It is the same in all
// workspaces and read-only.
type found struct {
	ID        string // "app.jobs.overview", "file.node"
	Origin    string // "Jobs", or the name of the file
	FromFile  bool
	Dashboard *Dashboard
	Err       string // why it cannot be read; then there is no Dashboard
}

// parseFiles reads what apps bring. A broken one is shown as broken, not left out.
func parseFiles(files []File) []found {
	out := make([]found, 0, len(files))
	for _, f := range files {
		app, _, _ := strings.Cut(f.Key, "/")
		x := found{ID: "app." + slug(f.Key), Origin: strings.ToUpper(app[:min(1, len(app))]) + app[min(1, len(app)):]}
		d, err := Decode(f.JSON)
		if x.Dashboard = d; err != nil {
			x.Err = kernel.AsError(err).Safe
		}
		out = append(out, x)
	}
	return out
}

// slug makes a text part of an address.
func slug(s string) string {
	var out strings.Builder
	for _, c := range strings.ToLower(s) {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_' {
			out.WriteRune(c)
		} else {
			out.WriteByte('.')
		}
	}
	return out.String()
}

// The limits of the directory.
const (
	maxFiles  = 500
	pollEvery = 5 * time.Second
)

// folder is the operator's directory of dashboards. It is read when it is asked for and has changed: names, sizes and times
// are looked at every few seconds at most.
type folder struct {
	dir    string
	clock  kernel.Clock
	logger *slog.Logger

	mu     sync.Mutex
	looked time.Time
	stamp  string
	all    []found
}

// list is what the directory holds, by name.
func (f *folder) list() []found {
	if f.dir == "" {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if now := f.clock(); f.looked.IsZero() || now.Sub(f.looked) >= pollEvery || now.Before(f.looked) {
		f.looked = now
		f.read()
	}
	return f.all
}

func (f *folder) read() {
	names, stamp, err := f.look()
	switch {
	case err != nil:
		f.stamp, f.all = "", []found{{ID: "file.directory", Origin: f.dir, FromFile: true, Err: "The directory cannot be read."}}
		f.logger.Error("the directory of dashboards cannot be read", "error", err)
		return
	case stamp == f.stamp:
		return
	}
	f.stamp, f.all = stamp, nil
	for _, name := range names {
		f.all = append(f.all, f.one(name))
	}
}

// look lists the files and sums up their state.
func (f *folder) look() (names []string, stamp string, err error) {
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		return nil, "", err
	}
	var sum strings.Builder
	sum.WriteString("read\n")
	for _, e := range entries {
		info, err := os.Stat(filepath.Join(f.dir, e.Name())) // follows links, as mounted configuration has them
		if err != nil || info.IsDir() || !strings.HasSuffix(e.Name(), ".json") || strings.HasPrefix(e.Name(), ".") || len(names) == maxFiles {
			continue
		}
		names = append(names, e.Name())
		fmt.Fprintf(&sum, "%s %d %d\n", e.Name(), info.Size(), info.ModTime().UnixNano())
	}
	return names, sum.String(), nil
}

// one reads a file: our format, or Grafana's.
func (f *folder) one(name string) found {
	x := found{ID: "file." + slug(strings.TrimSuffix(name, ".json")), Origin: name, FromFile: true}
	file, err := os.Open(filepath.Join(f.dir, name))
	if err != nil {
		x.Err = "The file cannot be read."
		return x
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxImport+1))
	if err != nil {
		x.Err = "The file cannot be read."
		return x
	}
	d, _, err := Import(text)
	if x.Dashboard = d; err != nil {
		x.Err = kernel.AsError(err).Safe
	}
	return x
}

// brought is everything that is in no database.
func (m *Module) brought() []found { return slices.Concat(m.parsed(), m.folder.list()) }

// subject is a dashboard that a page is about, wherever it comes from.
type subject struct {
	ID       string
	D        *Dashboard
	Stored   *Stored // nil: it is brought and read-only
	Origin   string  // of a brought one
	FromFile bool
}

// Version is that of the stored dashboard.
func (s subject) Version() int64 {
	if s.Stored == nil {
		return 0
	}
	return s.Stored.Version
}

// find looks for a dashboard by the id in an address.
func (m *Module) find(ctx context.Context, ws kernel.WorkspaceID, id string) (subject, error) {
	if !kernel.ValidID(id) {
		for _, f := range m.brought() {
			if f.ID == id && f.Dashboard != nil {
				return subject{ID: id, D: f.Dashboard, Origin: f.Origin, FromFile: f.FromFile}, nil
			}
		}
		return subject{}, errNoDashboard
	}
	s, err := m.get(ctx, ws, id)
	if err != nil {
		return subject{}, err
	}
	if !s.DeletedAt.IsZero() {
		return subject{}, kernel.Errorf(kernel.NotFound, "This dashboard has been deleted. It can be brought back from the list of dashboards.")
	}
	d, err := s.dashboard()
	return subject{ID: id, D: d, Stored: &s}, err
}
