// Package blob stores named bytes that are written once and read whole or in part: recordings, job bodies, documents,
// exports. Disk and Memory are the stores; Prefixed and Sealed wrap any of them. Every store passes blobtest.Run.
//
// Names say where a blob belongs and lie in the store in clear: never put personal data into one.
package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
)

var (
	// ErrNotFound says that there is no blob of that name.
	ErrNotFound = errors.New("blob: not found")
	// ErrExists says that there is one already: blobs are written once.
	ErrExists = errors.New("blob: exists already")
	// ErrName says that the name is not allowed; see CheckName.
	ErrName = errors.New("blob: bad name")
)

// Info describes a blob.
type Info struct {
	Name string
	Size int64 // bytes of content
}

// Store keeps blobs. It is safe for concurrent use.
type Store interface {
	// Put stores what r yields under name. The blob appears at once and whole, and is durable when Put returns; after an
	// error, also one of r, there is nothing of it. A name that is taken is ErrExists.
	Put(ctx context.Context, name string, r io.Reader) error
	// Get reads a blob; the caller closes it. No such blob is ErrNotFound.
	Get(ctx context.Context, name string) (io.ReadCloser, error)
	// GetRange reads the n bytes of a blob from off on, fewer where it ends before; a negative n reads to the end. An
	// off behind the end reads nothing. A negative off is an error.
	GetRange(ctx context.Context, name string, off, n int64) (io.ReadCloser, error)
	// Stat describes a blob. No such blob is ErrNotFound.
	Stat(ctx context.Context, name string) (Info, error)
	// Delete removes a blob. No such blob is no error.
	Delete(ctx context.Context, name string) error
	// List yields the blobs whose names begin with prefix, which may end inside of a segment, sorted by name. An error
	// ends it. Blobs that come or go meanwhile may or may not be among them.
	List(ctx context.Context, prefix string) iter.Seq2[Info, error]
}

// Limits of a name, in bytes. They leave room for a prefix and for what file systems allow.
const (
	MaxName    = 512
	maxSegment = 128
)

// CheckName tells whether a name is allowed: segments of letters, digits and "-_.", parted by single slashes, none of
// which begins with a dot. Upper-case letters are not allowed, because some file systems do not tell them apart.
func CheckName(name string) error {
	if name == "" || len(name) > MaxName {
		return fmt.Errorf("%w: %d bytes long, want 1 to %d", ErrName, len(name), MaxName)
	}
	for segment := range strings.SplitSeq(name, "/") {
		if segment == "" || segment[0] == '.' || len(segment) > maxSegment || segment[len(segment)-1] == '.' {
			return fmt.Errorf("%w: %.80q has an empty, too long or dotted segment", ErrName, name)
		}
		for i := range len(segment) {
			if !allowedByte(segment[i]) {
				return fmt.Errorf("%w: %.80q; use a-z, 0-9 and -_./", ErrName, name)
			}
		}
	}
	return nil
}

func allowedByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.'
}

// checkPrefix tells whether a blob's name could begin with prefix.
func checkPrefix(prefix string) error {
	if prefix == "" {
		return nil
	}
	return CheckName(prefix + "x") // completes a segment that the prefix leaves open
}

// checkRange refuses what GetRange cannot mean.
func checkRange(off int64) error {
	if off < 0 {
		return fmt.Errorf("blob: negative offset %d", off)
	}
	return nil
}

// ctxReader stops reading when its context ends, so that a Put of a slow body does.
type ctxReader struct {
	ctx context.Context
	r   io.Reader
}

func (c ctxReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

// section is a part of a stored blob together with what closes the whole.
type section struct {
	io.Reader
	io.Closer
}

// failed is the List of a store that cannot even begin.
func failed(err error) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) { yield(Info{}, err) }
}
