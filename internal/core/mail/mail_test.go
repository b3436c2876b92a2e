package mail

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"errors"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/db/dbtest"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// scripted answers each attempt with the next error of a list, then with none.
type scripted struct {
	mu     sync.Mutex
	errs   []error
	sent   []Message
	failed int
}

func (s *scripted) Send(_ context.Context, m Message) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.errs) > 0 {
		err := s.errs[0]
		s.errs = s.errs[1:]
		if err != nil {
			s.failed++
			return "", err
		}
	}
	s.sent = append(s.sent, m)
	return "id-of-" + m.ID, nil
}

var testTypes = []Type{
	{ID: "reset", Kind: Transactional, Title: "Password reset"},
	{ID: "news", Kind: Marketing, Title: "News"},
	{ID: "digest", Kind: Transactional, Title: "Weekly digest", Optional: true},
	{ID: "notice", Kind: Transactional, Title: "Security notice", Security: true},
}

const canary = "canary-8d1f"

func testMail() Mail {
	return Mail{Type: "reset", To: "ann@example.org", AccountID: "a1", Content: Content{
		Subject: "Reset your password", Text: []string{"Hello <b>Ann</b> " + canary},
		Action: &Action{"Choose a new password", "https://kept.example/reset?token=abc&x=1"},
		After:  []string{"If it was not you, do nothing."}, Why: "You get this because somebody asked for it."}}
}

// gcm is a Sealer with a fixed key.
type gcm struct{ cipher.AEAD }

func (g gcm) Seal(plain, aad []byte) ([]byte, error) {
	return g.AEAD.Seal(nil, nil, plain, aad), nil
}

func (g gcm) Open(sealed, aad []byte) ([]byte, error) {
	return g.AEAD.Open(nil, nil, sealed, aad)
}

func (g gcm) Tag(label string, data []byte) [32]byte {
	return sha256.Sum256(append([]byte("tag "+label+" "), data...))
}

func testBox(t testing.TB) Sealer {
	t.Helper()
	block, err := aes.NewCipher([]byte("0123456789abcdef"))
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		t.Fatal(err)
	}
	return gcm{aead}
}

type bundle struct {
	*Module
	c      *clock
	sender *scripted
}

func each(t *testing.T, f func(t *testing.T, b bundle)) {
	dbtest.EachConfig(t, func(t *testing.T, cfg db.Config) {
		c, sender := &clock{at: start}, &scripted{}
		cfg.Clock = c.now
		d := dbtest.Open(t, cfg, db.Module{Name: "audit", Migrations: audit.Migrations()}, db.Module{Name: "mail", Migrations: Migrations()})
		m, err := New(Deps{DB: d, Seal: testBox(t),
			Sender: sender, Types: testTypes, From: "Kept <kept@kept.example>", BaseURL: "https://kept.example", Clock: c.now})
		if err != nil {
			t.Fatal(err)
		}
		f(t, bundle{m, c, sender})
	})
}

func (b bundle) send(t *testing.T, mail Mail) {
	t.Helper()
	if err := b.db.Tx(t.Context(), func(tx *db.Tx) error { return b.Send(t.Context(), tx, mail) }); err != nil {
		t.Fatal(err)
	}
}

func (b bundle) drain(t *testing.T, want int) {
	t.Helper()
	n, err := b.Drain(t.Context())
	if err != nil || n != want {
		t.Fatalf("drained %d, want %d: %v", n, want, err)
	}
}

func (b bundle) row(t *testing.T) (state, fault string, sealed []byte) {
	t.Helper()
	if err := b.db.QueryRow(t.Context(), `SELECT state, error, sealed FROM mail_outbox`).Scan(&state, &fault, &sealed); err != nil {
		t.Fatal(err)
	}
	return state, fault, sealed
}

func TestOutboxSealsUntilSentThenRemoves(t *testing.T) {
	each(t, func(t *testing.T, b bundle) {
		b.send(t, testMail())
		_, _, sealed := b.row(t)
		if len(sealed) == 0 || strings.Contains(string(sealed), canary) || strings.Contains(string(sealed), "ann@") {
			t.Fatalf("the content is not sealed: %q", sealed)
		}
		b.drain(t, 1)
		state, _, sealed := b.row(t)
		if state != stateSent || sealed != nil {
			t.Errorf("after sending: %s, %d bytes left", state, len(sealed))
		}
		msg := b.sender.sent[0]
		if msg.To != "ann@example.org" || !strings.Contains(msg.Text, "https://kept.example/reset?token=abc&x=1") {
			t.Errorf("got %+v", msg)
		}
		if strings.Contains(msg.HTML, "<b>Ann") || !strings.Contains(msg.HTML, "&lt;b&gt;Ann") {
			t.Error("the HTML form does not escape")
		}
		b.drain(t, 0)
	})
}

func TestRolledBackChangeSendsNothing(t *testing.T) {
	each(t, func(t *testing.T, b bundle) {
		failed := errors.New("the change failed")
		err := b.db.Tx(t.Context(), func(tx *db.Tx) error { return errors.Join(b.Send(t.Context(), tx, testMail()), failed) })
		if !errors.Is(err, failed) {
			t.Fatal(err)
		}
		b.drain(t, 0)
	})
}

func TestVoidMailIsWrittenAndNeverSent(t *testing.T) {
	each(t, func(t *testing.T, b bundle) {
		mail := testMail()
		mail.Void = true
		b.send(t, mail)
		if _, _, sealed := b.row(t); len(sealed) == 0 {
			t.Error("a void mail is cheaper to write than a real one")
		}
		b.drain(t, 1)
		if state, _, sealed := b.row(t); state != stateVoid || sealed != nil || len(b.sender.sent) != 0 {
			t.Errorf("%s, %d sent", state, len(b.sender.sent))
		}
	})
}

func TestRetriesBackOffAndKeepTheMessageID(t *testing.T) {
	each(t, func(t *testing.T, b bundle) {
		b.sender.errs = []error{errors.New("away"), &Fault{Class: "refused 451", Cause: errors.New("busy")}}
		b.send(t, testMail())
		b.drain(t, 1)
		if state, fault, sealed := b.row(t); state != stateQueued || fault != "not delivered" || sealed == nil {
			t.Fatalf("%s %q", state, fault)
		}
		b.drain(t, 0) // not due yet
		b.c.add(31 * time.Second)
		b.drain(t, 1)
		b.c.add(59 * time.Second)
		b.drain(t, 0)
		b.c.add(2 * time.Second)
		b.drain(t, 1)
		if state, _, _ := b.row(t); state != stateSent || b.sender.failed != 2 {
			t.Fatalf("%s after %d failures", state, b.sender.failed)
		}
	})
}

func TestPermanentFaultGivesUp(t *testing.T) {
	each(t, func(t *testing.T, b bundle) {
		b.sender.errs = []error{&Fault{Class: "refused 550", Permanent: true, Cause: errors.New("no such ann@example.org")}}
		b.send(t, testMail())
		b.drain(t, 1)
		state, fault, sealed := b.row(t)
		if state != stateFailed || fault != "refused 550" || sealed != nil {
			t.Errorf("%s %q %d bytes", state, fault, len(sealed))
		}
	})
}

func TestOldMailIsGivenUp(t *testing.T) {
	each(t, func(t *testing.T, b bundle) {
		b.sender.errs = []error{errors.New("away")}
		b.send(t, testMail())
		b.c.add(DefaultMaxAge)
		b.drain(t, 1)
		if state, _, sealed := b.row(t); state != stateFailed || sealed != nil {
			t.Errorf("%s, %d bytes left", state, len(sealed))
		}
	})
}

func TestMarketingNeedsOptIn(t *testing.T) {
	each(t, func(t *testing.T, b bundle) {
		mail := testMail()
		mail.Type = "news"
		try := func() error {
			return b.db.Tx(t.Context(), func(tx *db.Tx) error { return b.Send(t.Context(), tx, mail) })
		}
		if err := try(); !errors.Is(err, ErrNoOptIn) {
			t.Fatalf("without a register: %v", err)
		}
		b.d.OptIns = optIns{}
		if err := try(); !errors.Is(err, ErrNoOptIn) {
			t.Fatalf("without opt-in: %v", err)
		}
		b.d.OptIns = optIns{"a1": true}
		if err := try(); err != nil {
			t.Fatalf("with opt-in: %v", err)
		}
		for _, mt := range b.MailTypes() {
			if mt.Marketing != mt.OptIn {
				t.Errorf("%+v", mt)
			}
		}
	})
}

type optIns map[kernel.AccountID]bool

func (o optIns) OptedIn(_ context.Context, _ *db.Tx, a kernel.AccountID, _ string) (bool, error) {
	return o[a], nil
}

func TestUndeclaredTypesAreRefused(t *testing.T) {
	each(t, func(t *testing.T, b bundle) {
		mail := testMail()
		mail.Type = "surprise"
		if err := b.db.Tx(t.Context(), func(tx *db.Tx) error { return b.Send(t.Context(), tx, mail) }); err == nil {
			t.Error("an undeclared type was sent")
		}
		for _, bad := range [][]Type{{{ID: "x", Title: "X"}}, {testTypes[0], testTypes[0]}, {{ID: "x", Kind: Transactional}}} {
			if _, err := New(Deps{DB: b.db, Seal: b.d.Seal, Sender: b.sender, Types: bad}); err == nil {
				t.Errorf("accepted %+v", bad)
			}
		}
	})
}

func TestTwoInstancesSendEachMailOnce(t *testing.T) {
	each(t, func(t *testing.T, b bundle) {
		const n = 40
		for range n {
			b.send(t, testMail())
		}
		other, err := New(b.d)
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for _, m := range []*Module{b.Module, other} {
			wg.Go(func() {
				if _, err := m.Drain(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if got := len(b.sender.sent); got != n {
			t.Errorf("%d mails went out, want %d", got, n)
		}
	})
}

func TestLeaseOfADeadInstanceEnds(t *testing.T) {
	each(t, func(t *testing.T, b bundle) {
		b.send(t, testMail())
		if _, err := b.claim(t.Context()); err != nil { // and dies
			t.Fatal(err)
		}
		b.drain(t, 0)
		b.c.add(lease + time.Second)
		b.drain(t, 1)
		if len(b.sender.sent) != 1 {
			t.Error("the mail was lost")
		}
	})
}

func TestStartSendsAndStopIsSafeInAnyOrder(t *testing.T) {
	each(t, func(t *testing.T, b bundle) {
		sent := make(chan Message, 1)
		b.d.Sender = senderFunc(func(_ context.Context, m Message) error { sent <- m; return nil })
		m, err := New(b.d)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := m.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if err := m.db.Tx(t.Context(), func(tx *db.Tx) error { return m.Send(t.Context(), tx, testMail()) }); err != nil {
			t.Fatal(err)
		}
		select {
		case <-sent:
		case <-time.After(10 * time.Second):
			t.Fatal("nothing was sent within 10 s of the commit")
		}
		for range 2 {
			if err := m.Stop(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	})
}

type senderFunc func(context.Context, Message) error

func (f senderFunc) Send(ctx context.Context, m Message) (string, error) { return "", f(ctx, m) }

const crashEnv = "KEPT_TEST_MAIL_CRASH"

// TestOutboxSurvivesACrashBetweenCommitAndSend kills a process that has committed a mail and is in the middle of
// sending it, and finds the mail again.
func TestOutboxSurvivesACrashBetweenCommitAndSend(t *testing.T) {
	if path := os.Getenv(crashEnv); path != "" {
		commitAndDie(t, path)
	}
	t.Parallel()
	cfg := dbtest.SQLite(t)
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestOutboxSurvivesACrashBetweenCommitAndSend$")
	cmd.Env = append(os.Environ(), crashEnv+"="+cfg.Path)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Exited() {
		t.Fatalf("the process should have been killed, but: %v\n%s", err, out)
	}
	cfg.Clock = func() time.Time { return time.Now().Add(2 * lease) } // past the lease of the dead
	sender := &scripted{}
	m, err := New(Deps{DB: dbtest.Open(t, cfg, db.Module{Name: "mail", Migrations: Migrations()}), Seal: testBox(t), Sender: sender,
		Types: testTypes, From: "kept@kept.example", Clock: cfg.Clock})
	if err != nil {
		t.Fatal(err)
	}
	if n, err := m.Drain(t.Context()); err != nil || n != 1 || len(sender.sent) != 1 {
		t.Fatalf("the mail was lost: %d, %v", n, err)
	}
}

func commitAndDie(t *testing.T, path string) {
	die := senderFunc(func(context.Context, Message) error {
		self, err := os.FindProcess(os.Getpid())
		if err == nil {
			err = self.Kill()
		}
		t.Error(err)
		select {}
	})
	cfg := db.Config{Path: path}
	m, err := New(Deps{DB: dbtest.Open(t, cfg, db.Module{Name: "mail", Migrations: Migrations()}), Seal: testBox(t), Sender: die,
		Types: testTypes, From: "kept@kept.example"})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.db.Tx(t.Context(), func(tx *db.Tx) error { return m.Send(t.Context(), tx, testMail()) }); err != nil {
		t.Fatal(err)
	}
	_, err = m.Drain(t.Context())
	t.Fatal("still alive", err)
}

func TestSweepRemovesOldRows(t *testing.T) {
	each(t, func(t *testing.T, b bundle) {
		b.send(t, testMail())
		b.drain(t, 1)
		b.c.add(Retention + time.Hour)
		b.send(t, testMail())
		outbox := b.Collections()[0]
		if n, err := outbox.Sweep(t.Context(), "", b.c.now().Add(-Retention)); err != nil || n != 1 {
			t.Fatalf("%d, %v", n, err)
		}
		if n, err := outbox.Count(t.Context(), ""); err != nil || n != 1 {
			t.Fatalf("%d left, %v", n, err)
		}
	})
}

func TestContentCannotAddHeadersOrParagraphs(t *testing.T) {
	t.Parallel()
	c := Content{Subject: "Hello\r\nBcc: eve@example.org", Text: []string{"Ann\n\nPay here: https://evil.example"}}
	msg, err := newRenderer("Kept", "").message("a@example.org", "", c)
	if err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(msg.Subject, "\r\n") || strings.Contains(msg.Text, "\n\nPay") {
		t.Errorf("%q %q", msg.Subject, msg.Text)
	}
}
