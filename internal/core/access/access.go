// Package access decides who makes a request: a person with a login, a machine with an API key, or a program with a
// person's token. It owns the keys and the tokens, and it is the httpx.Authenticator, with small memories so that asking
// costs next to nothing: a memory lives for seconds, and what this process revokes is forgotten at once.
package access

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/kept-dev/kept/internal/core/identity"
	"github.com/kept-dev/kept/internal/core/workspace"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/ui"
)

// memory is how long another process's revocation may go unnoticed here.
const memory = 4 * time.Second

// remembered is how many logins, keys, tokens and memberships each are remembered, at least.
const remembered = 8192

// Deps is what the module needs.
type Deps struct {
	DB         *db.DB
	UI         *ui.UI // nil: no pages
	Identity   *identity.Module
	Workspaces *workspace.Module
	BaseURL    string // for the curl line
	Clock      kernel.Clock
	Logger     *slog.Logger
}

// Module is API keys, people's tokens and the Authenticator.
type Module struct {
	d      Deps
	db     *db.DB
	pages  *ui.Pages
	second SecondStep // nil: nobody has a second factor

	logins  *cache[[32]byte, identity.Login]
	keys    *cache[[32]byte, Key]
	tokens  *cache[[32]byte, bearer]
	members *cache[membership, workspace.Workspace]

	seenLogins seen
	seenKeys   seen
	seenTokens seen
	loop       kernel.Loop
}

type membership struct {
	account kernel.AccountID
	ws      kernel.WorkspaceID
}

// New builds the module and listens for what must be forgotten.
func New(d Deps) (*Module, error) {
	if d.DB == nil || d.Identity == nil || d.Workspaces == nil {
		return nil, errors.New("access: DB, Identity and Workspaces are needed")
	}
	if d.Clock == nil {
		d.Clock = kernel.SystemClock
	}
	if d.Logger == nil {
		d.Logger = slog.Default()
	}
	d.BaseURL = strings.TrimSuffix(d.BaseURL, "/")
	m := &Module{d: d, db: d.DB,
		logins:  newCache[[32]byte, identity.Login](remembered, memory),
		keys:    newCache[[32]byte, Key](remembered, memory),
		tokens:  newCache[[32]byte, bearer](remembered, memory),
		members: newCache[membership, workspace.Workspace](remembered, memory),
	}
	if d.UI != nil {
		var err error
		if m.pages, err = d.UI.Pages(templates, "templates/*.html"); err != nil {
			return nil, fmt.Errorf("access: %w", err)
		}
	}
	d.Identity.OnLoginsEnded(func(a kernel.AccountID) {
		m.logins.forget(func(_ [32]byte, l identity.Login) bool { return l.AccountID == a })
		m.tokens.forget(func(_ [32]byte, b bearer) bool { return b.account == a })
		m.members.forget(func(k membership, _ workspace.Workspace) bool { return k.account == a })
	})
	d.Workspaces.OnChanged(func(ws kernel.WorkspaceID) {
		m.members.forget(func(k membership, _ workspace.Workspace) bool { return k.ws == ws })
		m.keys.forget(func(_ [32]byte, k Key) bool { return k.WorkspaceID == ws })
		m.tokens.forget(func(_ [32]byte, b bearer) bool { return b.ws == ws })
	})
	return m, nil
}

// Name names the module in the schema table and the data map.
func (m *Module) Name() string { return "access" }

// Use tells the module how a mobile sign-in ends for people with a second factor, before the server starts.
func (m *Module) Use(second SecondStep) { m.second = second }

// Start begins to note in the background when keys, tokens and logins were used. Starting twice does nothing.
func (m *Module) Start(context.Context) error {
	m.loop.Start(flushEvery, m.flush)
	return nil
}

// Stop notes what is left and ends. Stopping twice, or before starting, does nothing more than that.
func (m *Module) Stop(ctx context.Context) error {
	m.loop.Stop()
	return m.Flush(ctx)
}

func (m *Module) flush(ctx context.Context) {
	if err := m.Flush(ctx); err != nil && ctx.Err() == nil {
		m.d.Logger.Error("last use of keys, tokens and logins could not be noted", slog.Any("cause", err))
	}
}

// Flush notes now when keys, tokens and logins were used.
func (m *Module) Flush(ctx context.Context) error {
	var failures []error
	if used := m.seenKeys.take(); len(used) > 0 {
		failures = append(failures, m.noteUses(ctx, "api_keys", used))
	}
	if used := m.seenTokens.take(); len(used) > 0 {
		failures = append(failures, m.noteUses(ctx, "personal_tokens", used))
	}
	if used := m.seenLogins.take(); len(used) > 0 {
		failures = append(failures, m.d.Identity.SeenLogins(ctx, used))
	}
	return errors.Join(failures...)
}
