package proof

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/kept-dev/kept/internal/kernel"
)

// newRelyingParty is what browsers and devices know this server as: the host of the base URL, and its origin. Every
// passkey must be found without naming an account and must verify the person (a finger, a face, a PIN): that makes one
// passkey two factors. Who made the device is not asked.
func newRelyingParty(base *url.URL, name string) (*webauthn.WebAuthn, error) {
	host := base.Hostname()
	if net.ParseIP(host) != nil {
		return nil, errors.New("browsers bind passkeys to a name, and the base URL has an IP address")
	}
	if base.Scheme != "https" && host != "localhost" && !strings.HasSuffix(host, ".localhost") {
		return nil, errors.New("browsers have passkeys over https only")
	}
	resident := true
	return webauthn.New(&webauthn.Config{
		RPID: host, RPDisplayName: name, RPOrigins: []string{base.Scheme + "://" + base.Host},
		AttestationPreference: protocol.PreferNoAttestation,
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			ResidentKey: protocol.ResidentKeyRequirementRequired, RequireResidentKey: &resident, UserVerification: protocol.VerificationRequired,
		},
		// Password managers answer extensions that nobody asked for. We read none.
		ExtensionsUnsolicitedOutputPolicy: protocol.UnsolicitedOutputPolicyIgnore,
	})
}

// holder is a person as the library wants to see one.
type holder struct {
	account     kernel.AccountID
	handle      []byte // random, so that a device that is found tells nothing
	email       string
	credentials []webauthn.Credential
}

func (h *holder) WebAuthnID() []byte                         { return h.handle }
func (h *holder) WebAuthnName() string                       { return h.email }
func (h *holder) WebAuthnDisplayName() string                { return h.email }
func (h *holder) WebAuthnCredentials() []webauthn.Credential { return h.credentials }

// Challenge is what a browser needs to make or use a passkey.
type Challenge struct {
	Flow      string `json:"flow"`      // comes back with the answer
	PublicKey any    `json:"publicKey"` // the options of WebAuthn, in their JSON form
}

// maxAnswer bounds what a browser may send as the answer of a passkey; real ones have 2 kB.
const maxAnswer = 64 << 10

// parseAttestation reads the answer of a new passkey.
func parseAttestation(answer []byte) (*protocol.ParsedCredentialCreationData, error) {
	if len(answer) > maxAnswer {
		return nil, kernel.Errorf(kernel.TooLarge, "The answer of the passkey is too long.")
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes(answer)
	if err != nil {
		return nil, kernel.Wrap(detailed(err), kernel.Malformed, "The answer of the passkey could not be read.")
	}
	return parsed, nil
}

// parseAssertion reads the answer of a passkey that is used.
func parseAssertion(answer []byte) (*protocol.ParsedCredentialAssertionData, error) {
	if len(answer) > maxAnswer {
		return nil, kernel.Errorf(kernel.TooLarge, "The answer of the passkey is too long.")
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes(answer)
	if err != nil {
		return nil, kernel.Wrap(detailed(err), kernel.Malformed, "The answer of the passkey could not be read.")
	}
	return parsed, nil
}

// detailed adds what the library keeps beside its error text, for the log.
func detailed(err error) error {
	var e *protocol.Error
	if errors.As(err, &e) && e.DevInfo != "" {
		return fmt.Errorf("%w (%s)", err, e.DevInfo)
	}
	return err
}

func readSession(data []byte) (s webauthn.SessionData, err error) {
	err = json.Unmarshal(data, &s)
	return s, err
}
