package app

import (
	"context"

	"github.com/kept-dev/kept/internal/core/mail"
	"github.com/kept-dev/kept/internal/core/privacy"
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
	switch {
	case a.cfg.MailgunDomain != "":
		return mail.NewMailgun(mail.MailgunConfig{Domain: a.cfg.MailgunDomain, Key: a.cfg.MailgunKey.Text(), Region: a.cfg.MailgunRegion})
	case a.cfg.SESRegion != "":
		return mail.NewSES(mail.SESConfig{Region: a.cfg.SESRegion, AccessKey: a.cfg.SESAccessKey, SecretKey: a.cfg.SESSecretKey.Text(), Clock: a.clock})
	case a.cfg.SMTPHost == "":
		return noMail{}, nil
	}
	return mail.NewSMTP(mail.SMTPConfig{
		Host: a.cfg.SMTPHost, Port: a.cfg.SMTPPort, Username: a.cfg.SMTPUsername, Password: a.cfg.SMTPPassword.Text(), TLS: a.cfg.SMTPTLS,
	})
}

// mailReports says whose reports about delivered mail are believed.
func (a *App) mailReports() mail.Reports {
	return mail.Reports{MailgunKey: a.cfg.MailgunSigningKey.Text(), SESTopic: a.cfg.SESTopic}
}

// mailFacts declares who gets to see mail on its way (USE-3).
func (a *App) mailFacts(f *privacy.Facts) {
	add := func(host, name, setting string) {
		f.Outbound = append(f.Outbound, privacy.Outbound{Host: host, Setting: setting})
		f.Processors = append(f.Processors, privacy.Processor{
			Name: name, Role: "the mail server that the operator configured", Purpose: "delivers mail", Data: "names, e-mail addresses and the texts of mail", Host: host,
		})
	}
	switch {
	case a.keepMail:
	case a.cfg.MailgunDomain != "":
		add(mail.MailgunHost(a.cfg.MailgunRegion), "Mailgun", "mailgun-domain")
	case a.cfg.SESRegion != "":
		add(mail.SESHost(a.cfg.SESRegion), "Amazon SES", "ses-region")
	case a.cfg.SMTPHost != "":
		add(a.cfg.SMTPHost, a.cfg.SMTPHost, "smtp-host")
	}
	if host := mail.SNSHost(a.cfg.SESTopic); host != "" {
		f.Outbound = append(f.Outbound, privacy.Outbound{Host: host, Setting: "ses-topic"})
		f.Processors = append(f.Processors, privacy.Processor{
			Name: "Amazon SNS", Role: "the mail server that the operator configured", Purpose: "reports mail that came back", Data: "e-mail addresses", Host: host,
		})
	}
}

// noMail is the sender of a server without a mail server. It gives mail up at once instead of trying for days.
type noMail struct{}

func (noMail) Send(context.Context, mail.Message) (string, error) {
	return "", &mail.Fault{Class: "no mail server is configured", Permanent: true}
}

// canMail tells whether mail arrives. Without it nobody can sign up, because an address could not be verified.
func (a *App) canMail() bool { return a.keepMail || a.cfg.SendsMail() }

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
