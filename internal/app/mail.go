package app

import (
	"context"

	"github.com/kept-dev/kept/internal/core/mail"
)

// mailboxPath is where a demo's mail can be read; core/mail answers there.
const mailboxPath = "/mailbox"

// WithMailbox keeps mail in the process, on a page that anybody who reaches the server can read: for demos and tests.
func WithMailbox() Option { return func(a *App) { a.keepMail = true } }

// mailSender is how mail leaves: into the mailbox, through the mail server, or not at all.
func (a *App) mailSender() (mail.Sender, error) {
	if a.keepMail {
		a.mailbox = mail.NewMailbox(a.clock)
		return a.mailbox, nil
	}
	if a.cfg.SMTPHost == "" {
		return noMail{}, nil
	}
	return mail.NewSMTP(mail.SMTPConfig{
		Host: a.cfg.SMTPHost, Port: a.cfg.SMTPPort, Username: a.cfg.SMTPUsername, Password: a.cfg.SMTPPassword.Text(), TLS: a.cfg.SMTPTLS,
	})
}

// noMail is the sender of a server without a mail server. It gives mail up at once instead of trying for days.
type noMail struct{}

func (noMail) Send(context.Context, mail.Message) (string, error) {
	return "", &mail.Fault{Class: "no mail server is configured", Permanent: true}
}

// canMail tells whether mail arrives. Without it nobody can sign up, because an address could not be verified.
func (a *App) canMail() bool { return a.keepMail || a.cfg.SMTPHost != "" }

func (a *App) mailFrom() string {
	if a.cfg.SMTPFrom != "" {
		return a.cfg.SMTPFrom
	}
	return "kept@localhost" // nothing leaves the process then; see canMail
}

func (a *App) mailboxHref() string {
	if a.keepMail {
		return mailboxPath
	}
	return ""
}

// Mailbox holds what WithMailbox keeps; nil without it.
func (a *App) Mailbox() *mail.Mailbox { return a.mailbox }
