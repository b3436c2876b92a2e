package uitest

import (
	"testing"

	"github.com/chromedp/cdproto/cdp"
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

// credential is what the command to add one must have. The generated type says more, which an authenticator of this kind
// refuses.
type credential struct {
	ID         []byte  `json:"credentialId"`
	Resident   bool    `json:"isResidentCredential"`
	RPID       string  `json:"rpId"`
	PrivateKey []byte  `json:"privateKey"`
	UserHandle []byte  `json:"userHandle"`
	SignCount  float64 `json:"signCount"`
}

type addCredentialParams struct {
	ID         webauthn.AuthenticatorID `json:"authenticatorId"`
	Credential credential               `json:"credential"`
}

var addCredential = cdp.Command[addCredentialParams, cdp.Empty]{Method: webauthn.CommandAddCredential}

// Add puts a passkey onto the device: a copy of another one, for instance.
func (a *Authenticator) Add(t testing.TB, c *webauthn.Credential) {
	t.Helper()
	call(t, a.page, addCredential, addCredentialParams{ID: a.id, Credential: credential{ID: c.CredentialID, Resident: c.IsResidentCredential,
		RPID: c.RpID, PrivateKey: c.PrivateKey, UserHandle: c.UserHandle, SignCount: c.SignCount}})
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
