// Package identity knows people: their accounts, how they prove that they are who they say, and their logins (the
// sessions of their browsers). What a person may do in a workspace is not its business.
//
// # Nobody learns whether an address has an account
//
// Sign-up and password reset answer the same for every address, in the same words and with the same work: a mail is
// written and sealed in each case, and dropped unsent where there is nobody to write to. Sign-in hashes the password
// against a dummy when the address is unknown.
//
// # Sign-up begins with the address
//
// A person types an address, gets a mail, and chooses the password behind the link. So there is never an account whose
// address nobody proved, and nobody can prepare an account in another's name and wait until the owner of the address
// confirms it together with the stranger's password.
package identity

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"time"

	"context"

	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/core/mail"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/seal"
	"github.com/kept-dev/kept/internal/ui"
)

// How long things last.
const (
	LoginIdle     = 14 * 24 * time.Hour // a login that was not used for so long is dead
	LoginLifetime = 90 * 24 * time.Hour // and so is one of this age
	signUpTTL     = 24 * time.Hour
	resetTTL      = time.Hour
	emailTTL      = 24 * time.Hour
)

// Mailer puts mail into the outbox; *mail.Module is one.
type Mailer interface {
	Send(ctx context.Context, tx *db.Tx, m mail.Mail) error
}

// Deps is what the module needs.
type Deps struct {
	DB           *db.DB
	UI           *ui.UI // nil: no pages
	Mail         Mailer
	Seal         *seal.Box     // seals the data of unfinished flows
	Audit        *audit.Module // shows people what happened to their accounts; nil: nothing is shown
	BaseURL      string        // where mailed links lead, "https://kept.example"
	ClosedSignUp bool          // nobody can sign up; accounts come from `kept setup`
	MailboxHref  string        // where mail can be read in a demo; empty: in one's inbox
	NoMail       bool          // nothing can be mailed: no page offers it
	MinAge       int           // years; people are asked at sign-up. 0: nobody is
	Locate       bool          // an app that is on has a use for people's country: it is inferred at sign-up
	Start        string        // where to go after signing in; "/" when empty
	PasswordCost Cost          // of hashing; zero is right but for tests, which hash often
	Clock        kernel.Clock
	Logger       *slog.Logger
}

// Module is accounts and logins.
type Module struct {
	d      Deps
	db     *db.DB
	hasher *hasher
	pages  *ui.Pages

	second   SecondFactor
	ways     []Ways
	erasers  []Eraser
	carders  []Carder
	watchers []Watcher

	mu    sync.Mutex
	ended []func(kernel.AccountID)
}

// New builds the module.
func New(d Deps) (*Module, error) {
	if d.DB == nil || d.Mail == nil || d.Seal == nil {
		return nil, errors.New("identity: DB, Mail and Seal are needed")
	}
	if d.Clock == nil {
		d.Clock = kernel.SystemClock
	}
	if d.Logger == nil {
		d.Logger = slog.Default()
	}
	if d.Start == "" {
		d.Start = "/"
	}
	if d.PasswordCost == (Cost{}) {
		d.PasswordCost = defaultCost
	}
	d.BaseURL = strings.TrimSuffix(d.BaseURL, "/")
	m := &Module{d: d, db: d.DB, hasher: newHasher(d.PasswordCost, max(1, runtime.NumCPU()/2))}
	if d.UI != nil {
		var err error
		if m.pages, err = d.UI.Pages(templates, "templates/*.html"); err != nil {
			return nil, fmt.Errorf("identity: %w", err)
		}
	}
	return m, nil
}

// Name names the module in the schema table and the data map.
func (m *Module) Name() string { return "identity" }

// OnLoginsEnded registers a function that is called after logins of an account were ended, or what they say of the
// person changed. Whoever remembers logins must forget those of the account before it returns.
func (m *Module) OnLoginsEnded(f func(kernel.AccountID)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ended = append(m.ended, f)
}

// loginsChanged tells the listeners once the transaction is committed.
func (m *Module) loginsChanged(tx *db.Tx, account kernel.AccountID) {
	tx.AfterCommit(func() {
		m.mu.Lock()
		listeners := m.ended
		m.mu.Unlock()
		for _, f := range listeners {
			f(account)
		}
	})
}

func (m *Module) url(path, token string) string { return m.d.BaseURL + path + "?token=" + token }
