package agreement_test

import (
	"strings"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/core/access/accesstest"
	"github.com/kept-dev/kept/internal/core/agreement"
	"github.com/kept-dev/kept/internal/core/privacy"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/httpx"
)

const ann = "ann@example.org"

// world is a server whose settings name the processors of the test.
type world struct {
	*accesstest.Stack
	*agreement.Module
	processors []privacy.Processor
	ws         kernel.WorkspaceID
	owner      httpx.Actor
}

func each(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		w := &world{Stack: s}
		account, ws, _ := s.Owner(t, ann, "Ann's shop")
		w.ws, w.owner = ws, httpx.Actor{AccountID: account, Email: ann, WorkspaceID: ws, Workspace: "Ann's shop", Role: "owner"}
		var err error
		w.Module, err = agreement.New(agreement.Deps{
			DB: s.DB, Mail: s.Mail, Workspaces: s.Workspaces, Operator: "Example Ltd, Berlin", BaseURL: accesstest.BaseURL, Clock: s.Clock.Now,
			Map:        func() *privacy.Map { return privacy.NewMap(s.Identity.Collections()) },
			Processors: func() []privacy.Processor { return w.processors },
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.DB.Migrate(t.Context(), db.Module{Name: "agreement", Migrations: w.Migrations()}); err != nil {
			t.Fatal(err)
		}
		f(t, w)
	})
}

func (w *world) start(t *testing.T) {
	t.Helper()
	if err := w.Module.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func (w *world) sign(t *testing.T) agreement.Agreement {
	t.Helper()
	a, err := w.Sign(t.Context(), w.owner, agreement.Signature{Name: " Ann Example ", Title: "Owner", Version: w.Current("Ann's shop").Version()})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (w *world) unannounced(t *testing.T) string {
	t.Helper()
	s, err := w.AgreementState(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(s.WithoutNotice, ",")
}

var mailer = privacy.Processor{Name: "Example Mail", Purpose: "delivers mail", Data: "addresses", Country: "Germany"}

// TestWhatWasSignedStays: the signed text does not change with the settings, the current one does, and an old page cannot
// be signed.
func TestWhatWasSignedStays(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		before := w.Current("Ann's shop").Version()
		if w.Current("Bob's shop").Version() != before {
			t.Error("the version depends on the customer")
		}
		signed := w.sign(t)
		w.processors = []privacy.Processor{mailer}
		if w.Current("Ann's shop").Version() == before {
			t.Error("a new subprocessor changes nothing")
		}
		if _, err := w.Sign(t.Context(), w.owner, agreement.Signature{Name: "Ann", Title: "Owner", Version: before}); kernel.CodeOf(err) != kernel.Conflict {
			t.Errorf("an old text was signed: %v", err)
		}
		got, err := w.Find(t.Context(), w.ws, signed.ID)
		if err != nil || got.Version != before || got.Document.Version() != before || got.SignerName != "Ann Example" || got.Document.Customer != "Ann's shop" {
			t.Errorf("%+v, %v", got, err)
		}
		if _, err := w.Find(t.Context(), kernel.NewID(w.Clock.Now()), signed.ID); kernel.CodeOf(err) != kernel.NotFound {
			t.Errorf("another workspace sees it: %v", err)
		}
	})
}

func TestSignatureNeedsAPerson(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		_, err := w.Sign(t.Context(), w.owner, agreement.Signature{Name: "  ", Title: strings.Repeat("x", 201), Version: w.Current("Ann's shop").Version()})
		if e := kernel.AsError(err); e == nil || e.Fields["name"] == "" || e.Fields["title"] == "" {
			t.Errorf("%v", err)
		}
	})
}

// TestSubprocessorsNeedNotice: what is in use before anybody signed is agreed to by signing; later ones must have been
// announced thirty days before.
func TestSubprocessorsNeedNotice(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.processors = []privacy.Processor{mailer}
		w.start(t)
		w.Clock.Add(time.Hour)
		w.sign(t)
		if got := w.unannounced(t); got != "" {
			t.Errorf("without notice: %s", got)
		}
		w.Clock.Add(time.Hour)
		soon := privacy.Processor{Name: "Example Store", Purpose: "keeps recordings", Data: "recordings"}
		if err := w.Announce(t.Context(), soon, w.Clock.Now().Add(29*24*time.Hour)); kernel.CodeOf(err) != kernel.Invalid {
			t.Errorf("announced too late: %v", err)
		}
		from := w.Clock.Now().Add(31 * 24 * time.Hour)
		if err := w.Announce(t.Context(), soon, from); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Mail.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		told := false
		for _, m := range w.Mailbox.To(ann) {
			told = told || strings.Contains(m.Text, "Example Store") && strings.Contains(m.Text, from.Format(time.DateOnly))
		}
		if !told {
			t.Error("the owner was not told")
		}
		w.Clock.Add(32 * 24 * time.Hour)
		w.processors = append(w.processors, soon)
		w.start(t)
		if got := w.unannounced(t); got != "" {
			t.Errorf("without notice: %s", got)
		}
		w.processors = append(w.processors, privacy.Processor{Name: "Sudden Ltd", Purpose: "something", Data: "everything"})
		w.start(t)
		w.start(t)
		if got := w.unannounced(t); got != "Sudden Ltd" {
			t.Errorf("without notice: %q", got)
		}
	})
}

// TestDataSectionNamesPeople: the agreement lists what is about people and leaves out what is not.
func TestDataSectionNamesPeople(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		var rows []string
		for _, s := range w.Current("Ann's shop").Sections {
			for _, r := range s.Rows {
				rows = append(rows, strings.Join(r, "|"))
			}
		}
		all := strings.Join(rows, "\n")
		if !strings.Contains(all, "Accounts|account holders|identity") {
			t.Errorf("accounts are missing:\n%s", all)
		}
	})
}
