package uitest

import (
	"testing"

	"github.com/chromedp/cdproto/webauthn"
)

// Authenticator is a virtual device with passkeys in a tab: the real WebAuthn of the browser, without a finger. A tab has
// one of each kind, and each answers at once. The page must be on localhost or https.
type Authenticator struct {
	page *Page
	id   webauthn.AuthenticatorID
}

// Authenticator plugs a device into the tab: built in like a phone's own, or on USB. It verifies its person until
// Verify(false).
func (p *Page) Authenticator(t testing.TB, usb bool) *Authenticator {
	t.Helper()
	call(t, p, webauthn.Enable, webauthn.EnableParams{})
	transport := webauthn.AuthenticatorTransportInternal
	if usb {
		transport = webauthn.AuthenticatorTransportUsb
	}
	got := Raw(t, p, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{Options: &webauthn.VirtualAuthenticatorOptions{
		Protocol: webauthn.AuthenticatorProtocolCtap2, Ctap2version: webauthn.Ctap2versionCtap21, Transport: transport,
		HasResidentKey: true, HasUserVerification: true, IsUserVerified: true, AutomaticPresenceSimulation: true,
	}})
	return &Authenticator{page: p, id: got.AuthenticatorID}
}

// Verify chooses whether the device recognises its person.
func (a *Authenticator) Verify(t testing.TB, yes bool) {
	t.Helper()
	call(t, a.page, webauthn.SetUserVerified, webauthn.SetUserVerifiedParams{AuthenticatorID: a.id, IsUserVerified: yes})
}

// Unverified makes the device say that it did not verify its person, although it answers.
func (a *Authenticator) Unverified(t testing.TB, yes bool) {
	t.Helper()
	call(t, a.page, webauthn.SetResponseOverrideBits, webauthn.SetResponseOverrideBitsParams{AuthenticatorID: a.id, IsBadUV: &yes})
}

// Present chooses whether the device answers at once; without it, it waits for a touch that never comes.
func (a *Authenticator) Present(t testing.TB, yes bool) {
	t.Helper()
	call(t, a.page, webauthn.SetAutomaticPresenceSimulation, webauthn.SetAutomaticPresenceSimulationParams{AuthenticatorID: a.id, Enabled: yes})
}

// Credentials are the passkeys on the device.
func (a *Authenticator) Credentials(t testing.TB) []*webauthn.Credential {
	t.Helper()
	return Raw(t, a.page, webauthn.GetCredentials, webauthn.GetCredentialsParams{AuthenticatorID: a.id}).Credentials
}

// Add puts a passkey onto the device: a copy of another one, for instance.
func (a *Authenticator) Add(t testing.TB, c *webauthn.Credential) {
	t.Helper()
	call(t, a.page, webauthn.AddCredential, webauthn.AddCredentialParams{AuthenticatorID: a.id, Credential: c})
}

// Clear takes all passkeys off the device.
func (a *Authenticator) Clear(t testing.TB) {
	t.Helper()
	call(t, a.page, webauthn.ClearCredentials, webauthn.ClearCredentialsParams{AuthenticatorID: a.id})
}

// Remove unplugs the device.
func (a *Authenticator) Remove(t testing.TB) {
	t.Helper()
	call(t, a.page, webauthn.RemoveVirtualAuthenticator, webauthn.RemoveVirtualAuthenticatorParams{AuthenticatorID: a.id})
}
