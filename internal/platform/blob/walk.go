package blob

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"syscall"
)

// walker lists a Disk in the order of names. Folders have to be sorted as if their names ended in a slash: "a-b" comes
// before "a/b", although the folder "a" comes before "a-b".
type walker struct {
	disk   *Disk
	ctx    context.Context
	prefix string
	yield  func(Info, error) bool
}

// walk lists the folder dir. It returns fs.SkipAll when the caller has had enough.
func (w *walker) walk(dir string) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	entries, err := fs.ReadDir(w.disk.root.FS(), dir)
	if err != nil {
		if errors.Is(notFound(err), ErrNotFound) {
			return nil // pruned meanwhile, or a prefix that nothing has
		}
		return notFound(err)
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(sortKey(a), sortKey(b)) })
	for _, e := range entries {
		if err := w.visit(dir, e); err != nil {
			return err
		}
	}
	return nil
}

func (w *walker) visit(dir string, e fs.DirEntry) error {
	name := e.Name()
	if dir != "." {
		name = dir + "/" + name
	}
	if e.IsDir() {
		below := name + "/"
		if name == newDir || !strings.HasPrefix(below, w.prefix) && !strings.HasPrefix(w.prefix, below) {
			return nil
		}
		return w.walk(name)
	}
	if !strings.HasPrefix(name, w.prefix) || CheckName(name) != nil {
		return nil // not wanted, or not ours
	}
	info, err := w.disk.Stat(w.ctx, name)
	if errors.Is(err, ErrNotFound) {
		return nil // deleted meanwhile
	}
	if err != nil {
		return err
	}
	if !w.yield(info, nil) {
		return fs.SkipAll
	}
	return nil
}

func sortKey(e fs.DirEntry) string {
	if e.IsDir() {
		return e.Name() + "/"
	}
	return e.Name()
}

// isNotDir tells whether a path leads through a file.
func isNotDir(err error) bool { return errors.Is(err, syscall.ENOTDIR) }
