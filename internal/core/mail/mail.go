// Package mail sends mail. What may be sent is declared first: every type has an id, says what it is for, and is either
// transactional or marketing; a marketing type is refused without a stored opt-in (promise USE-4).
//
// A mail is a row of the outbox, written in the transaction of the change that it tells of, so that neither goes without
// the other. Background work sends it, again and again until the server takes it or its time is over. The row's content
// is sealed, and is removed as soon as nobody has to send it any more. A crash between sending and noting so sends twice;
// both copies have one Message-ID, by which mail programs show them as one.
package mail

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kept-dev/kept/internal/core/privacy"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/ui"
)

// Kind says why a mail may be sent.
type Kind string

// The kinds.
const (
	Transactional Kind = "transactional" // somebody did something that this mail belongs to
	Marketing     Kind = "marketing"     // only after opt-in
)

// Type declares one kind of mail.
type Type struct {
	ID     string // "password_reset"
	Kind   Kind
	Title  string        // for people: "Password reset"
	MaxAge time.Duration // a mail that could not be sent for so long is dropped; 0 is DefaultMaxAge
	Sample Content       // shows what it looks like

	// Optional mail can be refused with one click, by whoever gets it: it has List-Unsubscribe. Marketing mail always is.
	Optional bool
	// Security mail goes out whatever is known of the address: without it somebody could be locked out, or not hear of
	// an intruder.
	Security bool
}

// DefaultMaxAge is how long sending is tried.
const DefaultMaxAge = 24 * time.Hour

// Content is what a mail says. The text and the HTML form are both made of it.
type Content struct {
	Subject string
	Text    []string // paragraphs before the button
	Action  *Action
	After   []string // paragraphs after it
	Why     string   // why the person gets it: "You get this because …"
}

// Action is the one thing to do.
type Action struct{ Label, URL string }

// Mail is one mail to one person.
type Mail struct {
	Type      string // id of a declared type
	To        string // address
	AccountID kernel.AccountID
	Content   Content
	// Void mails are written, sealed and dropped like any other, and never sent: where sending would tell a stranger by
	// the clock whether an address is known.
	Void bool
	// Thread names what several mails are about, letters and digits only: mail programs show those of one thread together.
	Thread string
}

// ErrNoOptIn refuses a marketing mail to somebody who did not ask for it.
var ErrNoOptIn = errors.New("mail: marketing mail needs a stored opt-in")

// Sealer encrypts what waits in the outbox, and knows addresses again without keeping them; *seal.Box is one.
type Sealer interface {
	Seal(plain, aad []byte) ([]byte, error)
	Open(sealed, aad []byte) ([]byte, error)
	Tag(label string, data []byte) [32]byte
}

// OptIns tells who asked for marketing mail.
type OptIns interface {
	OptedIn(ctx context.Context, tx *db.Tx, account kernel.AccountID, mailType string) (bool, error)
}

// Deps is what the module needs.
type Deps struct {
	DB      *db.DB
	UI      *ui.UI // nil: no pages
	Seal    Sealer // the instance's box
	Sender  Sender // *SMTP, *Mailgun, *SES or *Mailbox
	Types   []Type // of all modules
	OptIns  OptIns // nil: nobody opted in to anything
	Product string // "Kept"
	From    string // address, with or without a name
	BaseURL string // where this server is reached, for the foot of each mail
	Reports Reports
	Clock   kernel.Clock
	Logger  *slog.Logger
}

// Module is the outbox and, in a demo, the mailbox.
type Module struct {
	d       Deps
	db      *db.DB
	types   map[string]Type
	render  *renderer
	pages   *ui.Pages
	mailbox *Mailbox // nil unless it is the Sender
	certs   certificates
	counted *prometheus.CounterVec
	loop    loop
}

// New builds the module. It fails when a type is declared badly or twice.
func New(d Deps) (*Module, error) {
	if d.Clock == nil {
		d.Clock = kernel.SystemClock
	}
	if d.Logger == nil {
		d.Logger = slog.Default()
	}
	if d.Product == "" {
		d.Product = "Kept"
	}
	if d.DB == nil || d.Seal == nil || d.Sender == nil {
		return nil, errors.New("mail: DB, Seal and Sender are needed")
	}
	d.Reports.fill()
	m := &Module{d: d, db: d.DB, types: map[string]Type{}, render: newRenderer(d.Product, d.BaseURL), counted: newReportCounter()}
	for _, t := range d.Types {
		if err := m.declare(t); err != nil {
			return nil, err
		}
	}
	m.loop.init()
	if box, ok := d.Sender.(*Mailbox); ok {
		m.mailbox = box
	}
	if d.UI != nil {
		var err error
		if m.pages, err = d.UI.Pages(templates, "templates/*.html"); err != nil {
			return nil, fmt.Errorf("mail: %w", err)
		}
	}
	return m, nil
}

func (m *Module) declare(t Type) error {
	if t.ID == "" || t.Title == "" || (t.Kind != Transactional && t.Kind != Marketing) {
		return fmt.Errorf("mail: type %q needs an id, a title and a kind", t.ID)
	}
	if _, twice := m.types[t.ID]; twice {
		return fmt.Errorf("mail: type %q is declared twice", t.ID)
	}
	if t.Kind == Marketing && t.Security || t.Optional && t.Security {
		return fmt.Errorf("mail: type %q cannot be about security and optional", t.ID)
	}
	t.Optional = t.Optional || t.Kind == Marketing
	if t.MaxAge == 0 {
		t.MaxAge = DefaultMaxAge
	}
	m.types[t.ID] = t
	return nil
}

// Name names the module in the schema table and the data map.
func (m *Module) Name() string { return "mail" }

// Types lists the declared types by id.
func (m *Module) Types() []Type {
	out := make([]Type, 0, len(m.types))
	for _, t := range m.types {
		out = append(out, t)
	}
	slices.SortFunc(out, func(a, b Type) int {
		if a.ID < b.ID {
			return -1
		}
		return 1
	})
	return out
}

// MailTypes lists the declared types for the promise registry. Send refuses marketing without opt-in, whatever the type.
func (m *Module) MailTypes() []privacy.MailType {
	var out []privacy.MailType
	for _, t := range m.Types() {
		out = append(out, privacy.MailType{Name: t.ID, Marketing: t.Kind == Marketing, OptIn: t.Kind == Marketing})
	}
	return out
}

// Send puts a mail into the outbox; it goes out soon after the transaction commits.
func (m *Module) Send(ctx context.Context, tx *db.Tx, mail Mail) error {
	t, ok := m.types[mail.Type]
	if !ok {
		return fmt.Errorf("mail: type %q is not declared", mail.Type)
	}
	if t.Kind == Marketing {
		if err := m.checkOptIn(ctx, tx, mail); err != nil {
			return err
		}
	}
	if err := m.insert(ctx, tx, mail); err != nil {
		return fmt.Errorf("mail: %w", err)
	}
	tx.AfterCommit(m.loop.wake)
	return nil
}

func (m *Module) checkOptIn(ctx context.Context, tx *db.Tx, mail Mail) error {
	if m.d.OptIns == nil || mail.AccountID == "" {
		return ErrNoOptIn
	}
	in, err := m.d.OptIns.OptedIn(ctx, tx, mail.AccountID, mail.Type)
	if err == nil && !in {
		err = ErrNoOptIn
	}
	return err
}
