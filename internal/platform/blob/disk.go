package blob

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"
)

// Disk keeps each blob in a file of its own below one folder: folders have mode 0700 and files 0600. A blob that is
// being written is a file in ".new", which no blob's name can reach.
type Disk struct {
	root *os.Root // refuses every path that would leave it, symbolic links included
	// dirs makes Put's folder and Delete's pruning of empty ones exclude each other.
	dirs sync.RWMutex
}

var _ Store = (*Disk)(nil)

const newDir = ".new"

// staleAfter is how old an unfinished file must be before another process's start may remove it.
const staleAfter = 24 * time.Hour

// OpenDisk opens the store in dir, which is created if need be, and removes what writes that were cut off left there.
func OpenDisk(dir string) (*Disk, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("blob: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("blob: %w", err)
	}
	d := &Disk{root: root}
	if err := root.MkdirAll(newDir, 0o700); err != nil {
		return nil, errors.Join(fmt.Errorf("blob: %w", err), root.Close())
	}
	if err := d.removeStale(time.Now().Add(-staleAfter)); err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return d, nil
}

// Close lets go of the folder.
func (d *Disk) Close() error { return d.root.Close() }

func (d *Disk) removeStale(before time.Time) error {
	entries, err := fs.ReadDir(d.root.FS(), newDir)
	if err != nil {
		return fmt.Errorf("blob: %w", err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || info.ModTime().After(before) {
			continue // gone already, or perhaps still being written
		}
		if err := d.root.Remove(newDir + "/" + e.Name()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("blob: %w", err)
		}
	}
	return nil
}

// Put implements Store. The content goes to a file in ".new" and is on disk before the file gets its name.
func (d *Disk) Put(ctx context.Context, name string, r io.Reader) error {
	if err := CheckName(name); err != nil {
		return err
	}
	if _, err := d.Stat(ctx, name); err == nil {
		return ErrExists // before reading a body for nothing; link decides
	} else if !errors.Is(err, ErrNotFound) {
		return err
	}
	temp := newDir + "/" + strings.ToLower(rand.Text())
	defer d.root.Remove(temp)
	if err := d.write(temp, ctxReader{ctx, r}); err != nil {
		return err
	}
	return d.link(temp, name)
}

func (d *Disk) write(temp string, r io.Reader) error {
	f, err := d.root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("blob: %w", err)
	}
	if _, err := io.Copy(f, r); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("blob: %w", err)
	}
	return nil
}

// link gives the finished file its name. A hard link fails where a rename would replace a blob that another Put of the
// same name has made meanwhile.
func (d *Disk) link(temp, name string) error {
	d.dirs.RLock()
	defer d.dirs.RUnlock()
	made, err := d.makeDirs(name)
	if err != nil {
		return err
	}
	if err := d.root.Link(temp, name); errors.Is(err, fs.ErrExist) {
		return ErrExists
	} else if err != nil {
		return fmt.Errorf("blob: %w", err)
	}
	for _, dir := range append(made, parent(name)) {
		if err := d.syncDir(dir); err != nil {
			return fmt.Errorf("blob: %w", err)
		}
	}
	return nil
}

// makeDirs makes the folders above name and returns those whose entries changed.
func (d *Disk) makeDirs(name string) (changed []string, err error) {
	for i := range len(name) {
		if name[i] != '/' {
			continue
		}
		switch err := d.root.Mkdir(name[:i], 0o700); {
		case err == nil:
			changed = append(changed, parent(name[:i]))
		case !errors.Is(err, fs.ErrExist):
			return nil, fmt.Errorf("blob: %w", err)
		}
	}
	return changed, nil
}

// syncDir makes new names in a folder durable. Windows cannot open folders for that and does not need it.
func (d *Disk) syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	f, err := d.root.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// Get implements Store.
func (d *Disk) Get(ctx context.Context, name string) (io.ReadCloser, error) {
	return d.open(ctx, name)
}

// GetRange implements Store.
func (d *Disk) GetRange(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	if err := checkRange(off); err != nil {
		return nil, err
	}
	f, err := d.open(ctx, name)
	if err != nil {
		return nil, err
	}
	if _, err := f.Seek(off, io.SeekStart); err != nil {
		return nil, errors.Join(fmt.Errorf("blob: %w", err), f.Close())
	}
	if n < 0 {
		return f, nil
	}
	return section{io.LimitReader(f, n), f}, nil
}

func (d *Disk) open(ctx context.Context, name string) (*os.File, error) {
	if _, err := d.Stat(ctx, name); err != nil {
		return nil, err
	}
	f, err := d.root.Open(name)
	return f, notFound(err)
}

// Stat implements Store.
func (d *Disk) Stat(ctx context.Context, name string) (Info, error) {
	if err := CheckName(name); err != nil {
		return Info{}, err
	}
	if err := ctx.Err(); err != nil {
		return Info{}, err
	}
	info, err := d.root.Lstat(name)
	if err != nil {
		return Info{}, notFound(err)
	}
	if !info.Mode().IsRegular() {
		return Info{}, ErrNotFound // a folder, or something that Kept did not make
	}
	return Info{Name: name, Size: info.Size()}, nil
}

// Delete implements Store. Folders that become empty go too, so that a workspace's erasure leaves no name behind.
func (d *Disk) Delete(ctx context.Context, name string) error {
	if _, err := d.Stat(ctx, name); errors.Is(err, ErrNotFound) {
		return nil
	} else if err != nil {
		return err
	}
	d.dirs.Lock()
	defer d.dirs.Unlock()
	if err := notFound(d.root.Remove(name)); err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	dir := parent(name)
	for dir != "." && d.root.Remove(dir) == nil { // fails when it is not empty
		dir = parent(dir)
	}
	if err := d.syncDir(dir); err != nil {
		return fmt.Errorf("blob: %w", err)
	}
	return nil
}

// List implements Store.
func (d *Disk) List(ctx context.Context, prefix string) iter.Seq2[Info, error] {
	if err := checkPrefix(prefix); err != nil {
		return failed(err)
	}
	return func(yield func(Info, error) bool) {
		w := walker{disk: d, ctx: ctx, prefix: prefix, yield: yield}
		if err := w.walk(parent(prefix)); err != nil && !errors.Is(err, fs.SkipAll) {
			yield(Info{}, err)
		}
	}
}

// notFound turns the file system's ways of saying that a name leads nowhere into ErrNotFound.
func notFound(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist), isNotDir(err):
		return ErrNotFound
	}
	return fmt.Errorf("blob: %w", err)
}

func parent(name string) string {
	if i := strings.LastIndexByte(name, '/'); i >= 0 {
		return name[:i]
	}
	return "."
}

// Path is the folder of the store.
func (d *Disk) Path() string { return filepath.Clean(d.root.Name()) }
