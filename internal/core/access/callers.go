package access

import (
	"context"

	"github.com/kept-dev/kept/internal/kernel"
)

// Caller is a key or a personal token as people know it.
type Caller struct {
	ID     kernel.ID
	Kind   string // "key" or "token"
	Name   string
	Prefix string
	Owner  string // of a token
	Ended  bool   // it works no more
	Host   bool   // a key that enrolment made for a host
}

// Callers lists who may use, or could once use, the API of a workspace: its keys and its members' tokens.
func (m *Module) Callers(ctx context.Context, ws kernel.WorkspaceID) ([]Caller, error) {
	keys, err := m.allKeys(ctx, ws)
	if err != nil {
		return nil, err
	}
	tokens, err := m.WorkspaceTokens(ctx, ws)
	if err != nil {
		return nil, err
	}
	now := m.d.Clock()
	out := make([]Caller, 0, len(keys)+len(tokens))
	for _, k := range keys {
		out = append(out, Caller{ID: k.ID, Kind: "key", Name: k.Name, Prefix: k.Prefix, Ended: !k.Works(now), Host: k.Host})
	}
	for _, t := range tokens {
		out = append(out, Caller{ID: t.ID, Kind: "token", Name: t.Name, Prefix: t.Prefix, Owner: t.Owner, Ended: !t.Works(now)})
	}
	return out, nil
}
