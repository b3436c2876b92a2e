// Package agreement makes the data processing agreement (GDPR Art. 28) between whoever runs the server and a workspace:
// generated from the data map and the processors that the settings name, so that it says what the program does, and signed
// by an owner, after which the text that was signed stays as it was. It also announces new subprocessors thirty days before
// they may be used (USE-8).
package agreement

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/core/mail"
	"github.com/kept-dev/kept/internal/core/privacy"
	"github.com/kept-dev/kept/internal/core/workspace"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/ui"
)

//go:embed templates/*.html
var templates embed.FS

// Notice is how long before its use a new subprocessor is announced.
const Notice = 30 * 24 * time.Hour

// Deps is what the module needs.
type Deps struct {
	DB         *db.DB
	UI         *ui.UI // nil: no pages
	Mail       *mail.Module
	Workspaces *workspace.Module
	// Operator is who runs the server: name and address.
	Operator string
	// Map is the data map and Processors are the third parties in use, both as they are now.
	Map        func() *privacy.Map
	Processors func() []privacy.Processor
	BaseURL    string
	Clock      kernel.Clock
}

// Module is the agreements.
type Module struct {
	d     Deps
	db    *db.DB
	pages *ui.Pages
}

// New makes the module.
func New(d Deps) (*Module, error) {
	if d.DB == nil || d.Workspaces == nil || d.Map == nil || d.Processors == nil {
		return nil, errors.New("agreement: DB, Workspaces, Map and Processors are needed")
	}
	if d.Clock == nil {
		d.Clock = kernel.SystemClock
	}
	m := &Module{d: d, db: d.DB}
	if d.UI == nil {
		return m, nil
	}
	var err error
	m.pages, err = d.UI.Pages(templates, "templates/*.html")
	return m, err
}

// Name names the module in the schema table and the data map.
func (m *Module) Name() string { return "agreement" }

// Start notes which processors are in use.
func (m *Module) Start(ctx context.Context) error { return m.noteUse(ctx) }

// Agreement is a signed one.
type Agreement struct {
	ID          kernel.ID
	Version     string
	Document    Document
	SignerName  string
	SignerTitle string
	SignedAt    time.Time
}

// Document is the agreement's text.
type Document struct {
	Operator string    `json:"operator"`
	Customer string    `json:"customer"`
	Sections []Section `json:"sections"`
}

// Section is one clause: paragraphs and, after them, a table if it has a head.
type Section struct {
	Title string     `json:"title"`
	Text  []string   `json:"text"`
	Head  []string   `json:"head,omitempty"`
	Rows  [][]string `json:"rows,omitempty"`
}

// Version names the text, whoever the customer is: the same clauses have the same version.
func (d Document) Version() string {
	d.Customer = ""
	text, err := json.Marshal(d)
	if err != nil {
		panic(err) // strings only
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:6])
}

// Signature is who signs for a workspace.
type Signature struct {
	Name, Title string
	Version     string // of the text that was on screen
}

// Limits of a signature, in characters.
const (
	maxName  = 200
	maxTitle = 200
)

func (s *Signature) check() error {
	s.Name, s.Title = strings.TrimSpace(s.Name), strings.TrimSpace(s.Title)
	fields := map[string]string{}
	switch n := utf8.RuneCountInString(s.Name); {
	case n == 0:
		fields["name"] = "Write the name of the person who signs."
	case n > maxName:
		fields["name"] = fmt.Sprintf("At most %d characters.", maxName)
	}
	switch n := utf8.RuneCountInString(s.Title); {
	case n == 0:
		fields["title"] = "Write what the person is in the organisation, for example managing director."
	case n > maxTitle:
		fields["title"] = fmt.Sprintf("At most %d characters.", maxTitle)
	}
	if len(fields) > 0 {
		return &kernel.Error{Code: kernel.Invalid, Safe: "The agreement is not signed yet.", Fields: fields}
	}
	return nil
}

// Sign records that an owner of the actor's workspace agrees to the text as it is now. Conflict: the text has changed since
// it was shown.
func (m *Module) Sign(ctx context.Context, by httpx.Actor, s Signature) (Agreement, error) {
	if err := s.check(); err != nil {
		return Agreement{}, err
	}
	a := Agreement{Document: m.Current(by.Workspace), SignerName: s.Name, SignerTitle: s.Title}
	if a.Version = a.Document.Version(); a.Version != s.Version {
		return Agreement{}, kernel.Errorf(kernel.Conflict, "The agreement has changed since this page was opened. Read it again.")
	}
	text, err := json.Marshal(a.Document)
	if err != nil {
		return Agreement{}, err
	}
	err = m.db.Tx(ctx, func(tx *db.Tx) error {
		a.ID, a.SignedAt = kernel.NewID(tx.Now()), tx.Now()
		_, err := tx.Exec(ctx, `INSERT INTO agreements (id, workspace_id, version, document, signer_name, signer_title, account_id, signed_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`, a.ID, by.WorkspaceID, a.Version, string(text), a.SignerName, a.SignerTitle, by.AccountID, kernel.Micros(a.SignedAt))
		if err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Event{WorkspaceID: by.WorkspaceID, Actor: audit.ActorOf(by), Action: "agreement.sign", Target: "agreement " + string(a.ID), Detail: "version " + a.Version})
	})
	return a, err
}

// Signed lists the agreements of a workspace, the newest first.
func (m *Module) Signed(ctx context.Context, ws kernel.WorkspaceID) ([]Agreement, error) {
	return m.find(ctx, `WHERE workspace_id = $1 ORDER BY signed_at DESC, id DESC`, ws)
}

// Find is one agreement of a workspace; NotFound when it has no such one.
func (m *Module) Find(ctx context.Context, ws kernel.WorkspaceID, id kernel.ID) (Agreement, error) {
	found, err := m.find(ctx, `WHERE workspace_id = $1 AND id = $2`, ws, id)
	if err != nil {
		return Agreement{}, err
	}
	if len(found) == 0 {
		return Agreement{}, kernel.Errorf(kernel.NotFound, "There is no such agreement.")
	}
	return found[0], nil
}

func (m *Module) find(ctx context.Context, where string, args ...any) (out []Agreement, err error) {
	rows, err := m.db.Query(ctx, `SELECT id, version, document, signer_name, signer_title, signed_at FROM agreements `+where, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var a Agreement
		var text string
		var at int64
		if err := rows.Scan(&a.ID, &a.Version, &text, &a.SignerName, &a.SignerTitle, &at); err != nil {
			return nil, err
		}
		if err := json.Unmarshal([]byte(text), &a.Document); err != nil {
			return nil, fmt.Errorf("agreement %s: %w", a.ID, err)
		}
		a.SignedAt = kernel.FromMicros(at)
		out = append(out, a)
	}
	return out, rows.Err()
}
