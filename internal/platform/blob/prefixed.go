package blob

import (
	"context"
	"io"
	"iter"
	"strings"
)

// Prefixed is the part of a store below a prefix, such as one workspace's. prefix is a name without a slash at its end.
func Prefixed(s Store, prefix string) Store { return prefixed{s, prefix + "/"} }

type prefixed struct {
	store  Store
	prefix string
}

// full checks the name first: joined to the prefix, an empty or dotted one could mean something else.
func (p prefixed) full(name string) (string, error) {
	if err := CheckName(name); err != nil {
		return "", err
	}
	return p.prefix + name, nil
}

func (p prefixed) Put(ctx context.Context, name string, r io.Reader) error {
	full, err := p.full(name)
	if err != nil {
		return err
	}
	return p.store.Put(ctx, full, r)
}

func (p prefixed) Get(ctx context.Context, name string) (io.ReadCloser, error) {
	full, err := p.full(name)
	if err != nil {
		return nil, err
	}
	return p.store.Get(ctx, full)
}

func (p prefixed) GetRange(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	full, err := p.full(name)
	if err != nil {
		return nil, err
	}
	return p.store.GetRange(ctx, full, off, n)
}

func (p prefixed) Stat(ctx context.Context, name string) (Info, error) {
	full, err := p.full(name)
	if err != nil {
		return Info{}, err
	}
	info, err := p.store.Stat(ctx, full)
	return p.strip(info), err
}

func (p prefixed) Delete(ctx context.Context, name string) error {
	full, err := p.full(name)
	if err != nil {
		return err
	}
	return p.store.Delete(ctx, full)
}

func (p prefixed) List(ctx context.Context, prefix string) iter.Seq2[Info, error] {
	if err := checkPrefix(prefix); err != nil {
		return failed(err)
	}
	return func(yield func(Info, error) bool) {
		for info, err := range p.store.List(ctx, p.prefix+prefix) {
			if !yield(p.strip(info), err) {
				return
			}
		}
	}
}

func (p prefixed) strip(info Info) Info {
	info.Name = strings.TrimPrefix(info.Name, p.prefix)
	return info
}
