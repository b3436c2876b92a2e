// Package apilog shows the owners and admins of a workspace who used its API: which key or token, for what, from where,
// and how it ended. It keeps nothing itself; the request log does.
package apilog

import (
	"context"
	"errors"
	"fmt"

	"github.com/kept-dev/kept/internal/core/access"
	"github.com/kept-dev/kept/internal/core/workspace"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx/accesslog"
	"github.com/kept-dev/kept/internal/ui"
)

// Deps is what the module needs.
type Deps struct {
	Log        *accesslog.Log
	Access     *access.Module    // knows keys and tokens by name
	Workspaces *workspace.Module // knows people by name
	UI         *ui.UI
	Days       int // how long the log is kept
	Clock      kernel.Clock
}

// Module is the page over the log.
type Module struct {
	d     Deps
	pages *ui.Pages
}

// New builds the module.
func New(d Deps) (*Module, error) {
	if d.Log == nil || d.Access == nil || d.Workspaces == nil || d.UI == nil {
		return nil, errors.New("apilog: Log, Access, Workspaces and UI are needed")
	}
	if d.Clock == nil {
		d.Clock = kernel.SystemClock
	}
	pages, err := d.UI.Pages(templates, "templates/*.html")
	if err != nil {
		return nil, fmt.Errorf("apilog: %w", err)
	}
	return &Module{d: d, pages: pages}, nil
}

// Name names the module.
func (m *Module) Name() string { return "apilog" }

// who is how a caller is shown.
type who struct {
	Kind   string // "key", "token", "app"
	Name   string
	Prefix string
	Owner  string // of a token or an app
}

// names knows the callers of one workspace.
type names struct {
	callers map[kernel.ID]access.Caller
	people  map[string]string // account to name or address
	options []ui.Option
}

func (m *Module) names(ctx context.Context, ws kernel.WorkspaceID) (n names, err error) {
	callers, err := m.d.Access.Callers(ctx, ws)
	if err != nil {
		return n, err
	}
	people, err := m.d.Workspaces.People(ctx, ws)
	if err != nil {
		return n, err
	}
	n.callers, n.people = map[kernel.ID]access.Caller{}, map[string]string{}
	for _, c := range callers {
		n.callers[c.ID] = c
		label := c.Name + " (" + c.Prefix + "…)"
		if c.Owner != "" {
			label = c.Name + ", " + c.Owner + " (" + c.Prefix + "…)"
		}
		if !c.Host { // there may be thousands
			n.options = append(n.options, ui.Option{Value: string(c.ID), Label: label})
		}
	}
	for _, p := range people {
		n.people[string(p.AccountID)] = p.Email
		if p.Name != "" {
			n.people[string(p.AccountID)] = p.Name
		}
	}
	return n, nil
}

// of is who made a request. A key that is gone keeps its number, and a person who left is not named.
func (n names) of(r accesslog.Record) who {
	if c, ok := n.callers[kernel.ID(r.KeyID+r.TokenID)]; ok {
		return who{Kind: c.Kind, Name: c.Name, Prefix: c.Prefix, Owner: c.Owner}
	}
	if r.KeyID != "" {
		return who{Kind: "key", Name: r.KeyID}
	}
	owner := n.people[r.AccountID]
	if owner == "" {
		owner = "former member"
	}
	return who{Kind: "app", Name: "Token or app", Owner: owner}
}
