package proof_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/kept-dev/kept/internal/core/access/accesstest"
)

// device is a passkey and a browser in a few lines: what they send is made from the specification, not from the library
// that reads it.
type device struct {
	t      testing.TB
	rpID   string
	origin string
	key    *ecdsa.PrivateKey
	id     []byte
	handle []byte
	count  uint32
	flags  byte // of the answers: user present, user verified
}

const present, verified, attested = 1, 4, 64

func newDevice(t testing.TB) *device {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	id := make([]byte, 16)
	rand.Read(id)
	return &device{t: t, rpID: "kept.example", origin: accesstest.BaseURL, key: key, id: id, flags: present | verified}
}

type challenge struct {
	Flow      string `json:"flow"`
	PublicKey struct {
		Challenge string `json:"challenge"`
		User      struct {
			ID string `json:"id"`
		} `json:"user"`
		Attestation            string `json:"attestation"`
		UserVerification       string `json:"userVerification"`
		AuthenticatorSelection struct {
			ResidentKey      string `json:"residentKey"`
			UserVerification string `json:"userVerification"`
		} `json:"authenticatorSelection"`
		ExcludeCredentials []struct {
			ID string `json:"id"`
		} `json:"excludeCredentials"`
		AllowCredentials []struct {
			ID string `json:"id"`
		} `json:"allowCredentials"`
	} `json:"publicKey"`
}

var b64 = base64.RawURLEncoding

func (d *device) clientData(kind, challenge string) []byte {
	out, err := json.Marshal(map[string]any{"type": kind, "challenge": challenge, "origin": d.origin, "crossOrigin": false})
	if err != nil {
		d.t.Fatal(err)
	}
	return out
}

func (d *device) authData(flags byte) []byte {
	hash := sha256.Sum256([]byte(d.rpID))
	return binary.BigEndian.AppendUint32(append(hash[:], flags), d.count)
}

// head is a CBOR head: major type and value below 65536.
func head(major byte, n int) []byte {
	switch {
	case n < 24:
		return []byte{major<<5 | byte(n)}
	case n < 256:
		return []byte{major<<5 | 24, byte(n)}
	}
	return []byte{major<<5 | 25, byte(n >> 8), byte(n)}
}

func text(s string) []byte   { return append(head(3, len(s)), s...) }
func octets(b []byte) []byte { return append(head(2, len(b)), b...) }

func (d *device) coordinates() (x, y []byte) {
	point, err := d.key.PublicKey.Bytes() // 4, x, y
	if err != nil {
		d.t.Fatal(err)
	}
	return point[1:33], point[33:]
}

// register is the answer of a new passkey.
func (d *device) register(c challenge) json.RawMessage {
	d.t.Helper()
	var err error
	if d.handle, err = b64.DecodeString(c.PublicKey.User.ID); err != nil {
		d.t.Fatal(err)
	}
	x, y := d.coordinates()
	cose := bytes.Join([][]byte{head(5, 5), {1, 2}, {3, 0x26}, {0x20, 1}, {0x21}, octets(x), {0x22}, octets(y)}, nil) // EC2, ES256, P-256
	auth := append(d.authData(d.flags|attested), make([]byte, 16)...)
	auth = append(binary.BigEndian.AppendUint16(auth, uint16(len(d.id))), d.id...)
	auth = append(auth, cose...)
	object := bytes.Join([][]byte{head(5, 3), text("fmt"), text("none"), text("attStmt"), head(5, 0), text("authData"), octets(auth)}, nil)
	return d.credential(map[string]any{
		"clientDataJSON": b64.EncodeToString(d.clientData("webauthn.create", c.PublicKey.Challenge)), "attestationObject": b64.EncodeToString(object),
		"transports": []string{"internal", "hybrid"},
	})
}

// assert is the answer of a passkey that is used.
func (d *device) assert(c challenge) json.RawMessage {
	d.t.Helper()
	client, auth := d.clientData("webauthn.get", c.PublicKey.Challenge), d.authData(d.flags)
	hash := sha256.Sum256(client)
	sum := sha256.Sum256(append(append([]byte{}, auth...), hash[:]...))
	signature, err := ecdsa.SignASN1(rand.Reader, d.key, sum[:])
	if err != nil {
		d.t.Fatal(err)
	}
	return d.credential(map[string]any{
		"clientDataJSON": b64.EncodeToString(client), "authenticatorData": b64.EncodeToString(auth),
		"signature": b64.EncodeToString(signature), "userHandle": b64.EncodeToString(d.handle),
	})
}

func (d *device) credential(response map[string]any) json.RawMessage {
	id := b64.EncodeToString(d.id)
	out, err := json.Marshal(map[string]any{"id": id, "rawId": id, "type": "public-key", "response": response, "clientExtensionResults": map[string]any{"credProps": map[string]any{"rk": true}}})
	if err != nil {
		d.t.Fatal(err)
	}
	return out
}

// script posts JSON as the script of the pages does.
func script(t testing.TB, s *accesstest.Stack, b *accesstest.Browser, path string, body any) (status int, out map[string]any, c challenge) {
	t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest("POST", path, bytes.NewReader(raw))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	r.RemoteAddr, r.Host = b.IP+":40000", "kept.example"
	if b.Token != "" {
		r.AddCookie(&http.Cookie{Name: "kept_session", Value: b.Token})
	}
	w := httptest.NewRecorder()
	s.Mux.ServeHTTP(w, r)
	for _, cookie := range w.Result().Cookies() {
		b.Token = cookie.Value
	}
	if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil {
		t.Fatalf("%s: %d %s", path, w.Code, w.Body)
	}
	if err := json.Unmarshal(w.Body.Bytes(), &c); err != nil {
		t.Fatal(err)
	}
	return w.Code, out, c
}

// addPasskey registers a new device in a browser that is signed in.
func addPasskey(t testing.TB, s *accesstest.Stack, b *accesstest.Browser, name string) *device {
	t.Helper()
	d := newDevice(t)
	status, out, c := script(t, s, b, "/account/passkeys/options", struct{}{})
	if status != 200 {
		t.Fatalf("%d %v", status, out)
	}
	status, out, _ = script(t, s, b, "/account/passkeys", map[string]any{"flow": c.Flow, "name": name, "credential": d.register(c)})
	if status != 200 || out["next"] != "/account/passkeys?done=passkey-added" {
		t.Fatalf("%d %v", status, out)
	}
	return d
}

// use signs in with a passkey.
func (d *device) use(s *accesstest.Stack, b *accesstest.Browser) (status int, out map[string]any) {
	d.t.Helper()
	status, out, c := script(d.t, s, b, "/sign-in/passkey/options", struct{}{})
	if status != 200 {
		d.t.Fatalf("%d %v", status, out)
	}
	status, out, _ = script(d.t, s, b, "/sign-in/passkey", map[string]any{"flow": c.Flow, "next": "/account", "credential": d.assert(c)})
	return status, out
}
