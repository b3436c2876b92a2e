package workspace

import "github.com/kept-dev/kept/internal/core/mail"

// MailTypes are the mails that the module sends.
func MailTypes() []mail.Type { return nil }
