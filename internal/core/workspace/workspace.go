// Package workspace knows workspaces, the unit of isolation, billing, sealing and erasure, and who is a member of which.
// What a workspace holds is the apps' business.
package workspace

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/ui"
)

const (
	maxName       = 60 // characters
	maxWorkspaces = 50 // that one person may be a member of
)

// Deps is what the module needs.
type Deps struct {
	DB    *db.DB
	UI    *ui.UI // nil: no pages
	Home  string // where a workspace begins, below /w/{ws}/: "jobs"; empty is its settings
	Clock kernel.Clock
}

// Module is workspaces and memberships.
type Module struct {
	d     Deps
	db    *db.DB
	pages *ui.Pages

	mu      sync.Mutex
	changed []func(kernel.WorkspaceID)
}

// New builds the module.
func New(d Deps) (*Module, error) {
	if d.DB == nil {
		return nil, errors.New("workspace: DB is needed")
	}
	if d.Clock == nil {
		d.Clock = kernel.SystemClock
	}
	if d.Home == "" {
		d.Home = "settings"
	}
	m := &Module{d: d, db: d.DB}
	if d.UI != nil {
		var err error
		if m.pages, err = d.UI.Pages(templates, "templates/*.html"); err != nil {
			return nil, fmt.Errorf("workspace: %w", err)
		}
	}
	return m, nil
}

// Name names the module in the schema table and the data map.
func (m *Module) Name() string { return "workspace" }

// OnChanged registers a function that is called after a workspace was renamed or erased, or its members changed.
// Whoever remembers memberships must forget those of the workspace before it returns.
func (m *Module) OnChanged(f func(kernel.WorkspaceID)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.changed = append(m.changed, f)
}

func (m *Module) tellChanged(tx *db.Tx, ws kernel.WorkspaceID) {
	tx.AfterCommit(func() {
		m.mu.Lock()
		listeners := m.changed
		m.mu.Unlock()
		for _, f := range listeners {
			f(ws)
		}
	})
}

// Workspace is a workspace as one of its members sees it.
type Workspace struct {
	ID        kernel.WorkspaceID
	Name      string
	Role      string // of the member
	CreatedAt time.Time
}

// Person is a member of a workspace.
type Person struct {
	AccountID kernel.AccountID `json:"account_id"`
	Email     string           `json:"email"`
	Name      string           `json:"name,omitempty"`
	Role      string           `json:"role"`
	Since     time.Time        `json:"since"`
}

func cleanName(s string) (string, error) {
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "")), " ")
	switch {
	case s == "":
		return "", kernel.InvalidField("name", "Give the workspace a name, such as that of your team.")
	case utf8.RuneCountInString(s) > maxName:
		return "", kernel.InvalidField("name", "Use at most 60 characters.")
	case strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) }):
		return "", kernel.InvalidField("name", "A name has visible characters only.")
	}
	return s, nil
}

// Create makes a workspace that the account owns.
func (m *Module) Create(ctx context.Context, owner audit.Actor, name string) (w Workspace, err error) {
	if name, err = cleanName(name); err != nil {
		return w, err
	}
	err = m.db.Tx(ctx, func(tx *db.Tx) error {
		var n int
		if err := tx.QueryRow(ctx, `SELECT count(*) FROM memberships WHERE account_id = $1`, owner.ID).Scan(&n); err != nil {
			return err
		}
		if n >= maxWorkspaces {
			return kernel.Errorf(kernel.Conflict, "You are a member of %d workspaces, which is the most that one person may have.", n)
		}
		w = Workspace{ID: kernel.NewID(tx.Now()), Name: name, Role: RoleOwner, CreatedAt: tx.Now()}
		now := kernel.Micros(tx.Now())
		if _, err := tx.Exec(ctx, `INSERT INTO workspaces (id, name, created_at, updated_at) VALUES ($1, $2, $3, $3)`, w.ID, w.Name, now); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `INSERT INTO memberships (workspace_id, account_id, role, created_at) VALUES ($1, $2, $3, $4)`,
			w.ID, owner.ID, RoleOwner, now); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Event{WorkspaceID: w.ID, Actor: owner, Action: "workspace.create", Target: "workspace:" + string(w.ID), Detail: name})
	})
	return w, err
}

// Rename gives a workspace another name. That the person may do so is the route's check.
func (m *Module) Rename(ctx context.Context, by httpx.Actor, name string) error {
	name, err := cleanName(name)
	if err != nil {
		return err
	}
	return m.db.Tx(ctx, func(tx *db.Tx) error {
		n, err := tx.Exec(ctx, `UPDATE workspaces SET name = $2, updated_at = $3 WHERE id = $1`, by.WorkspaceID, name, kernel.Micros(tx.Now()))
		if err != nil {
			return err
		}
		if n == 0 {
			return errNotFound()
		}
		m.tellChanged(tx, by.WorkspaceID)
		return audit.Record(ctx, tx, audit.Event{WorkspaceID: by.WorkspaceID, Action: "workspace.rename",
			Target: "workspace:" + string(by.WorkspaceID), Detail: by.Workspace + " → " + name})
	})
}

func errNotFound() error { return kernel.Errorf(kernel.NotFound, "There is nothing at this address.") }

// Of lists the workspaces of an account, the oldest first.
func (m *Module) Of(ctx context.Context, account kernel.AccountID) ([]Workspace, error) {
	rows, err := m.db.Query(ctx, `SELECT w.id, w.name, m.role, w.created_at FROM memberships m JOIN workspaces w ON w.id = m.workspace_id
		WHERE m.account_id = $1 ORDER BY w.id`, account)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Workspace
	for rows.Next() {
		var w Workspace
		var created int64
		if err := rows.Scan(&w.ID, &w.Name, &w.Role, &created); err != nil {
			return nil, err
		}
		w.CreatedAt = kernel.FromMicros(created)
		out = append(out, w)
	}
	return out, rows.Err()
}

// Membership is a workspace as the account sees it. A workspace that does not exist and one of others are the same
// NotFound.
func (m *Module) Membership(ctx context.Context, account kernel.AccountID, ws kernel.WorkspaceID) (w Workspace, err error) {
	var created int64
	err = m.db.QueryRow(ctx, `SELECT w.id, w.name, m.role, w.created_at FROM memberships m JOIN workspaces w ON w.id = m.workspace_id
		WHERE m.workspace_id = $1 AND m.account_id = $2`, ws, account).Scan(&w.ID, &w.Name, &w.Role, &created)
	if errors.Is(err, db.ErrNoRows) {
		return w, errNotFound()
	}
	w.CreatedAt = kernel.FromMicros(created)
	return w, err
}

// Owned finds a workspace that the account owns by its name; ok is false when there is none.
func (m *Module) Owned(ctx context.Context, account kernel.AccountID, name string) (w Workspace, ok bool, err error) {
	if name, err = cleanName(name); err != nil {
		return w, false, err
	}
	all, err := m.Of(ctx, account)
	for _, w := range all {
		if w.Name == name && w.Role == RoleOwner {
			return w, true, nil
		}
	}
	return Workspace{}, false, err
}

// People lists the members of a workspace.
func (m *Module) People(ctx context.Context, ws kernel.WorkspaceID) ([]Person, error) {
	rows, err := m.db.Query(ctx, `SELECT a.id, a.email, a.name, m.role, m.created_at FROM memberships m JOIN accounts a ON a.id = m.account_id
		WHERE m.workspace_id = $1 ORDER BY m.created_at, a.id`, ws)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Person
	for rows.Next() {
		var p Person
		var since int64
		if err := rows.Scan(&p.AccountID, &p.Email, &p.Name, &p.Role, &since); err != nil {
			return nil, err
		}
		p.Since = kernel.FromMicros(since)
		out = append(out, p)
	}
	return out, rows.Err()
}

// WorkspaceIDs lists all workspaces, for retention and checks.
func (m *Module) WorkspaceIDs(ctx context.Context) ([]kernel.WorkspaceID, error) {
	rows, err := m.db.Query(ctx, `SELECT id FROM workspaces ORDER BY id`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []kernel.WorkspaceID
	for rows.Next() {
		var id kernel.WorkspaceID
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		out = append(out, id)
	}
	return out, rows.Err()
}
