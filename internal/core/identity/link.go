package identity

import (
	"context"
	"time"

	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/core/mail"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
)

// linkTTL is how long a mailed sign-in link works.
const linkTTL = 15 * time.Minute

// errNoMail is the answer where links cannot be mailed.
var errNoMail = kernel.Errorf(kernel.Forbidden, "This server cannot send mail. Ask the person who runs it.")

// RequestLink mails a link that signs in once, to an address that has an account. For every other address the same is
// written, and dropped instead of sent.
func (m *Module) RequestLink(ctx context.Context, email, next string) error {
	if m.d.NoMail {
		return errNoMail
	}
	addr, err := ParseAddress(email)
	if err != nil {
		return err
	}
	return m.db.Tx(ctx, func(tx *db.Tx) error {
		a, found, err := byKeyIn(ctx, tx, addr.Key)
		if err != nil {
			return err
		}
		allowed, err := mailAllowed(ctx, tx, addr.Key)
		if err != nil {
			return err
		}
		t, to := token{purpose: forNobody, next: localPath(next)}, addr.Typed
		if found {
			t.purpose, t.account, t.email, to = forLink, a.ID, a.Email, a.Email
		}
		secret, err := issue(ctx, tx, t, linkTTL)
		if err != nil {
			return err
		}
		err = m.d.Mail.Send(ctx, tx, mail.Mail{Type: mailLink, To: to, AccountID: a.ID, Content: m.linkContent(secret), Void: !found || !allowed})
		if err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Event{Action: "link.request"})
	})
}
