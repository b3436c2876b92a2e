package testkit

import (
	"strings"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/core/mail"
)

// MailTo waits for the mail to an address that has something in its text. The server must have been started with
// app.WithMailbox; it sends by itself, so that asking it to send is not enough: it may be at it.
func (a *App) MailTo(t testing.TB, address, text string) mail.Received {
	t.Helper()
	const patience = 30 * time.Second
	late := time.After(patience)
	for tick := time.NewTicker(5 * time.Millisecond); ; {
		for _, m := range a.Mailbox().To(address) {
			if strings.Contains(m.Text, text) {
				tick.Stop()
				return m
			}
		}
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("no mail to %s with %q in it", address, text)
		}
	}
}
