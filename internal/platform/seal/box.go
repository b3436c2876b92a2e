package seal

import (
	"bytes"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// Overhead is how many bytes longer than the plain text a sealed text is.
const Overhead = 5 + 12 + 16 // Tink's key prefix, nonce, tag

// ErrOpen says that sealed bytes were altered, belong to other associated data or to another workspace's key.
var ErrOpen = errors.New("seal: the sealed bytes cannot be opened with this key and associated data")

// Box seals and opens bytes with the keys of one workspace. It is safe for concurrent use.
type Box struct {
	aead   tink.AEAD
	secret *secret
}

// Seal encrypts plain and binds it to aad: what it is and where it belongs, such as "jobs/block/" + an id. The same aad
// opens it. aad itself is not stored.
func (b *Box) Seal(plain, aad []byte) ([]byte, error) {
	sealed, err := b.aead.Encrypt(plain, aad)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	return sealed, nil
}

// Open decrypts what Seal made. The error is ErrOpen, whatever the reason.
func (b *Box) Open(sealed, aad []byte) ([]byte, error) {
	plain, err := b.aead.Decrypt(sealed, aad)
	if err != nil {
		return nil, ErrOpen // Tink's text says nothing more
	}
	return plain, nil
}

// Tag maps data to 32 bytes that only the holder of the workspace's key can compute, to find sealed things by an exact
// value (an e-mail address, a reference) without storing the value in clear.
//
// It is HMAC-SHA256 of the data under HKDF-Expand-SHA256(the workspace's tag key, "kept tag v1 " + label). The tag key
// is 32 random bytes made and wrapped together with the workspace's first key: tags survive Rotate, differ between
// workspaces and labels, and can be neither checked nor guessed after Shred.
func (b *Box) Tag(label string, data []byte) [32]byte {
	key, err := hkdf.Expand(sha256.New, b.secret.tagKey[:], "kept tag v1 "+label, sha256.Size)
	if err != nil {
		panic("seal: " + err.Error()) // only for a length over 255 hashes
	}
	mac := hmac.New(sha256.New, key)
	mac.Write(data)
	return [32]byte(mac.Sum(nil))
}

// Format keeps key bytes out of logs, whatever the verb.
func (b *Box) Format(f fmt.State, _ rune) { fmt.Fprint(f, "seal.Box(secret)") }

// secret is what the instance key wraps: the tag key and a Tink keyset.
type secret struct {
	tagKey [32]byte
	handle *keyset.Handle
}

// secretVersion is the first byte of a marshalled secret; behind it come the tag key and the binary keyset.
const secretVersion = 1

func (s *secret) box() (*Box, error) {
	primitive, err := aead.New(s.handle)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	return &Box{aead: primitive, secret: s}, nil
}

func (s *secret) rotated() (*secret, error) {
	manager := keyset.NewManagerFromHandle(s.handle)
	id, err := manager.Add(aead.AES256GCMKeyTemplate())
	if err == nil {
		err = manager.SetPrimary(id)
	}
	if err != nil {
		return nil, fmt.Errorf("seal: rotate: %w", err)
	}
	handle, err := manager.Handle()
	if err != nil {
		return nil, fmt.Errorf("seal: rotate: %w", err)
	}
	return &secret{tagKey: s.tagKey, handle: handle}, nil
}

// marshal writes the secret in clear; it leaves the package wrapped only.
func (s *secret) marshal() ([]byte, error) {
	var out bytes.Buffer
	out.WriteByte(secretVersion)
	out.Write(s.tagKey[:])
	if err := insecurecleartextkeyset.Write(s.handle, keyset.NewBinaryWriter(&out)); err != nil {
		return nil, fmt.Errorf("seal: write a key: %w", err)
	}
	return out.Bytes(), nil
}

func unmarshalSecret(b []byte) (*secret, error) {
	const head = 1 + 32
	if len(b) <= head || b[0] != secretVersion {
		return nil, errors.New("seal: the workspace's key has a format that this version does not know")
	}
	s := &secret{tagKey: [32]byte(b[1:head])}
	var err error
	s.handle, err = insecurecleartextkeyset.Read(keyset.NewBinaryReader(bytes.NewReader(b[head:])))
	if err != nil {
		return nil, fmt.Errorf("seal: read a key: %w", err)
	}
	return s, nil
}
