package identity

import (
	"fmt"
	"time"

	"github.com/kept-dev/kept/internal/core/mail"
)

// The mail types of this module.
const (
	mailSignUp          = "sign_up"
	mailSignUpKnown     = "sign_up_known"
	mailReset           = "password_reset"
	mailPasswordChanged = "password_changed"
	mailEmailChange     = "email_change"
	mailEmailChanged    = "email_changed"
	mailNotice          = "security_notice"
	mailCode            = "proof_code"
	mailLink            = "sign_in_link"
	mailNewDevice       = "new_device"
	mailUnusual         = "unusual_sign_in"
	mailOwner           = "unusual_sign_in_owner"
)

// MailTypes declares what this module sends, for mail.Deps.Types.
func MailTypes() []mail.Type {
	m := &Module{d: Deps{BaseURL: "https://kept.example"}}
	const sample = "EXAMPLE"
	return []mail.Type{
		{ID: mailSignUp, Kind: mail.Transactional, Security: true, Title: "Sign-up", MaxAge: signUpTTL, Sample: m.signUpContent(sample)},
		{ID: mailSignUpKnown, Kind: mail.Transactional, Security: true, Title: "Sign-up with an address that has an account", Sample: m.signUpKnownContent()},
		{ID: mailReset, Kind: mail.Transactional, Security: true, Title: "Password reset", MaxAge: resetTTL, Sample: m.resetContent(sample)},
		{ID: mailPasswordChanged, Kind: mail.Transactional, Security: true, Title: "Notice: password changed", Sample: m.passwordChangedContent()},
		{ID: mailEmailChange, Kind: mail.Transactional, Security: true, Title: "Confirm a new address", MaxAge: emailTTL, Sample: m.emailChangeContent(sample)},
		{ID: mailEmailChanged, Kind: mail.Transactional, Security: true, Title: "Notice: address changed", Sample: m.emailChangedContent()},
		{ID: mailNotice, Kind: mail.Transactional, Security: true, Title: "Security notice", Sample: m.noticeContent("A passkey was added", "The passkey \"Phone\" can sign in to your account now.")},
		{ID: mailLink, Kind: mail.Transactional, Security: true, Title: "Link to sign in", MaxAge: linkTTL, Sample: m.linkContent(sample)},
		{ID: mailNewDevice, Kind: mail.Transactional, Security: true, Title: "Notice: new device", Sample: m.newDeviceContent(sampleUnusual)},
		{ID: mailUnusual, Kind: mail.Transactional, Security: true, Title: "Notice: unusual sign-in", Sample: m.unusualContent(sampleUnusual)},
		{ID: mailOwner, Kind: mail.Transactional, Security: true, Title: "Notice to owners: unusual sign-in of a member", Sample: m.ownerContent("Acme", sampleUnusual)},
		{ID: mailCode, Kind: mail.Transactional, Security: true, Title: "Code to confirm that it is you", MaxAge: 10 * time.Minute, Sample: m.codeContent("12345678", 10*time.Minute)},
	}
}

func (m *Module) signUpContent(secret string) mail.Content {
	return mail.Content{
		Subject: "Finish signing up to Kept",
		Text:    []string{"Somebody, hopefully you, wants to open an account with this address. Choose a password to finish."},
		Action:  &mail.Action{Label: "Choose a password", URL: m.url(pathSignUpFinish, secret)},
		After:   []string{"The link works once, within 24 hours. If it was not you, do nothing: without the link there will be no account."},
		Why:     "You get this because your address was entered at sign-up.",
	}
}

func (m *Module) signUpKnownContent() mail.Content {
	return mail.Content{
		Subject: "You have an account with Kept already",
		Text: []string{"Somebody, hopefully you, wanted to open an account with this address. There is one already, so nothing was changed.",
			"If you forgot the password, you can reset it at " + m.d.BaseURL + pathReset + "."},
		Action: &mail.Action{Label: "Sign in", URL: m.d.BaseURL + pathSignIn},
		After:  []string{"If it was not you, do nothing."},
		Why:    "You get this because your address was entered at sign-up.",
	}
}

func (m *Module) resetContent(secret string) mail.Content {
	return mail.Content{
		Subject: "Reset your Kept password",
		Text:    []string{"Somebody, hopefully you, asked to reset the password of the account with this address."},
		Action:  &mail.Action{Label: "Choose a new password", URL: m.url(pathResetNew, secret)},
		After:   []string{"The link works once, within one hour. If it was not you, do nothing: your password stays as it is."},
		Why:     "You get this because your address was entered at password reset.",
	}
}

func (m *Module) passwordChangedContent() mail.Content {
	return mail.Content{
		Subject: "Your Kept password was changed",
		Text:    []string{"The password of your account was changed, and everybody who was signed in with it was signed out."},
		Action:  &mail.Action{Label: "It was not me: reset the password", URL: m.d.BaseURL + pathReset},
		After:   []string{"If it was you, there is nothing to do."},
		Why:     "You get this because it concerns the security of your account.",
	}
}

func (m *Module) emailChangeContent(secret string) mail.Content {
	return mail.Content{
		Subject: "Confirm your new address for Kept",
		Text:    []string{"Somebody, hopefully you, wants to use this address for their Kept account."},
		Action:  &mail.Action{Label: "Confirm the address", URL: m.url(pathEmailConfirm, secret)},
		After:   []string{"The link works once, within 24 hours. If it was not you, do nothing."},
		Why:     "You get this because your address was entered in an account's settings.",
	}
}

func (m *Module) emailChangedContent() mail.Content {
	return mail.Content{
		Subject: "Your Kept account has a new address",
		Text:    []string{"The address of your account was changed, and this mail goes to the old one. Mail goes to the new address from now on."},
		After:   []string{"If it was not you, tell the person who runs this server at once."},
		Why:     "You get this because it concerns the security of your account.",
	}
}

func (m *Module) noticeContent(title, text string) mail.Content {
	return mail.Content{
		Subject: title,
		Text:    []string{text},
		Action:  &mail.Action{Label: "Look at your account's security", URL: m.d.BaseURL + pathSecurity},
		After:   []string{"If it was you, there is nothing to do. If not, sign out all browsers there and choose a new password."},
		Why:     "You get this because it concerns the security of your account.",
	}
}

func (m *Module) codeContent(code string, ttl time.Duration) mail.Content {
	return mail.Content{
		Subject: "Your code for Kept",
		Text:    []string{"Enter this code on the page that asked for it:", code},
		After:   []string{fmt.Sprintf("It works once, within %d minutes. If you did not ask for it, somebody may be using your account: sign out all browsers.", int(ttl/time.Minute))},
		Why:     "You get this because somebody who is signed in to your account must confirm that it is you.",
	}
}

func (m *Module) linkContent(secret string) mail.Content {
	return mail.Content{
		Subject: "Your link to sign in to Kept",
		Text:    []string{"Somebody, hopefully you, asked for a link to sign in without a password."},
		Action:  &mail.Action{Label: "Sign in", URL: m.url(pathLink, secret)},
		After:   []string{"The link works once, within 15 minutes. If it was not you, do nothing, and pass it on to nobody."},
		Why:     "You get this because your address was entered at sign-in.",
	}
}

var sampleUnusual = Unusual{Email: "bob@example.org", Device: "Firefox on Linux", Place: "Iceland", NewCountry: true, Failures: 7, At: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}

func (u Unusual) line() string {
	return fmt.Sprintf("%s, %s, on %s.", u.Device, u.Place, u.At.UTC().Format("2 January 2006 at 15:04 UTC"))
}

func (m *Module) newDeviceContent(u Unusual) mail.Content {
	return mail.Content{
		Subject: "New sign-in to your Kept account",
		Text:    []string{"Your account was used from a device that it was not used from before:", u.line()},
		Action:  &mail.Action{Label: "See where you are signed in", URL: m.d.BaseURL + pathLogins},
		After:   []string{"If it was you, there is nothing to do. If not, sign out all browsers there and choose a new password."},
		Why:     "You get this because it concerns the security of your account.",
	}
}

func (m *Module) unusualContent(u Unusual) mail.Content {
	c := mail.Content{
		Subject: "Unusual sign-in to your Kept account",
		Text:    []string{"Somebody signed in to your account, and it was not as usual:", u.line()},
		Action:  &mail.Action{Label: "See where you are signed in", URL: m.d.BaseURL + pathLogins},
		After:   []string{"If it was you, there is nothing to do. If not, sign out all browsers there at once and choose a new password."},
		Why:     "You get this because it concerns the security of your account.",
	}
	if u.NewCountry {
		c.Text = append(c.Text, "It is the first time from this country.")
	}
	if u.Failures > 0 {
		c.Text = append(c.Text, fmt.Sprintf("Before it, %d attempts at your account failed.", u.Failures))
	}
	return c
}

func (m *Module) ownerContent(workspace string, u Unusual) mail.Content {
	return mail.Content{
		Subject: "Unusual sign-in by somebody who administers " + workspace,
		Text:    []string{"The account " + u.Email + ", which may change members and keys of " + workspace + ", signed in from a country that is new for it:", u.line()},
		After:   []string{"Ask the person, by another way than mail, whether it was them. If not, lower the account's role or remove it from the workspace."},
		Why:     "You get this because you are an owner of this workspace.",
	}
}
