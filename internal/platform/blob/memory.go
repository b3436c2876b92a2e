package blob

import (
	"bytes"
	"context"
	"io"
	"iter"
	"slices"
	"strings"
	"sync"
)

// Memory keeps blobs in process memory, for tests.
type Memory struct {
	mu    sync.RWMutex
	blobs map[string][]byte
}

var _ Store = (*Memory)(nil)

// NewMemory makes an empty store.
func NewMemory() *Memory { return &Memory{blobs: map[string][]byte{}} }

// Put implements Store.
func (m *Memory) Put(ctx context.Context, name string, r io.Reader) error {
	if err := CheckName(name); err != nil {
		return err
	}
	content, err := io.ReadAll(ctxReader{ctx, r})
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, taken := m.blobs[name]; taken {
		return ErrExists
	}
	m.blobs[name] = content
	return nil
}

// Get implements Store.
func (m *Memory) Get(ctx context.Context, name string) (io.ReadCloser, error) {
	return m.GetRange(ctx, name, 0, -1)
}

// GetRange implements Store.
func (m *Memory) GetRange(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	content, err := m.content(ctx, name)
	if err != nil {
		return nil, err
	}
	if err := checkRange(off); err != nil {
		return nil, err
	}
	content = content[min(off, int64(len(content))):]
	if n >= 0 {
		content = content[:min(n, int64(len(content)))]
	}
	return io.NopCloser(bytes.NewReader(content)), nil
}

// Stat implements Store.
func (m *Memory) Stat(ctx context.Context, name string) (Info, error) {
	content, err := m.content(ctx, name)
	if err != nil {
		return Info{}, err
	}
	return Info{Name: name, Size: int64(len(content))}, nil
}

func (m *Memory) content(ctx context.Context, name string) ([]byte, error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	content, ok := m.blobs[name]
	if !ok {
		return nil, ErrNotFound
	}
	return content, nil
}

// Delete implements Store.
func (m *Memory) Delete(ctx context.Context, name string) error {
	if err := CheckName(name); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.blobs, name)
	return nil
}

// List implements Store.
func (m *Memory) List(ctx context.Context, prefix string) iter.Seq2[Info, error] {
	if err := checkPrefix(prefix); err != nil {
		return failed(err)
	}
	return func(yield func(Info, error) bool) {
		for _, info := range m.matching(prefix) {
			if err := ctx.Err(); err != nil {
				yield(Info{}, err)
				return
			}
			if !yield(info, nil) {
				return
			}
		}
	}
}

func (m *Memory) matching(prefix string) []Info {
	m.mu.RLock()
	defer m.mu.RUnlock()
	var out []Info
	for name, content := range m.blobs {
		if strings.HasPrefix(name, prefix) {
			out = append(out, Info{Name: name, Size: int64(len(content))})
		}
	}
	slices.SortFunc(out, func(a, b Info) int { return strings.Compare(a.Name, b.Name) })
	return out
}
