package seal

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/tink-crypto/tink-go/v2/aead/aesgcm"
	"github.com/tink-crypto/tink-go/v2/aead/subtle"
	"github.com/tink-crypto/tink-go/v2/insecuresecretdataaccess"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/secretdata"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/kept-dev/kept/internal/kernel"
)

// Env is the environment variable that may hold the instance key in place of a file.
const Env = "KEPT_INSTANCE_KEY"

const keyLen = 32

// InstanceKey wraps the keys of workspaces. Whoever has it and the database can read everything.
//
// Its one written form, in the file and in the environment, is 32 random bytes in standard base64 (44 characters):
// what `openssl rand -base64 32` prints. The wrapping key and the key of Keys.Instance are derived from it with HKDF.
type InstanceKey struct {
	wrapping tink.AEAD
	box      *Box
}

// Format keeps key bytes out of logs, whatever the verb.
func (k *InstanceKey) Format(f fmt.State, _ rune) { fmt.Fprint(f, "seal.InstanceKey(secret)") }

// LoadInstanceKey reads the instance key: from env, the value of KEPT_INSTANCE_KEY, when that is not empty, else from
// the file at path, which is created with a new key when it is absent (created is then true). A file that others than
// its owner may read or change is refused.
func LoadInstanceKey(path, env string) (key *InstanceKey, created bool, err error) {
	if env != "" {
		key, err = ParseInstanceKey(env)
		if err != nil {
			err = fmt.Errorf("seal: %s: %w", Env, err)
		}
		return key, false, err
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		if created, err = createKeyFile(path); err != nil {
			return nil, false, fmt.Errorf("seal: create the instance key file: %w", err)
		}
	}
	key, err = readKeyFile(path)
	return key, created, err
}

// ParseInstanceKey reads a key in its written form. The error never contains the text.
func ParseInstanceKey(text string) (*InstanceKey, error) {
	raw, err := base64.StdEncoding.Strict().DecodeString(strings.TrimSpace(text))
	if err != nil || len(raw) != keyLen {
		return nil, errors.New("an instance key is 32 bytes in base64: make one with `openssl rand -base64 32`")
	}
	return newInstanceKey(raw)
}

// NewInstanceKey makes a random instance key that is stored nowhere, for tests and throw-away data.
func NewInstanceKey() (*InstanceKey, error) {
	raw := make([]byte, keyLen)
	rand.Read(raw)
	return newInstanceKey(raw)
}

func newInstanceKey(raw []byte) (*InstanceKey, error) {
	derive := func(purpose string) []byte {
		out, err := hkdf.Key(sha256.New, raw, nil, "kept instance key v1 "+purpose, keyLen)
		if err != nil {
			panic("seal: " + err.Error()) // only for a length over 255 hashes
		}
		return out
	}
	wrapping, err := subtle.NewAESGCM(derive("wrap workspace keys"))
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	handle, err := fixedKeyset(derive("instance box"))
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	box, err := (&secret{tagKey: [32]byte(derive("instance tags")), handle: handle}).box()
	if err != nil {
		return nil, err
	}
	return &InstanceKey{wrapping: wrapping, box: box}, nil
}

// fixedKeyset is a Tink keyset of one given AES-256-GCM key.
func fixedKeyset(raw []byte) (*keyset.Handle, error) {
	params, err := aesgcm.NewParameters(aesgcm.ParametersOpts{
		KeySizeInBytes: keyLen, IVSizeInBytes: 12, TagSizeInBytes: 16, Variant: aesgcm.VariantTink,
	})
	if err != nil {
		return nil, err
	}
	key, err := aesgcm.NewKey(secretdata.NewBytesFromData(raw, insecuresecretdataaccess.Token{}), 1, params)
	if err != nil {
		return nil, err
	}
	manager := keyset.NewManager()
	id, err := manager.AddKey(key)
	if err != nil {
		return nil, err
	}
	if err := manager.SetPrimary(id); err != nil {
		return nil, err
	}
	return manager.Handle()
}

// wrap encrypts a workspace's secret. The workspace is the associated data: a row copied to another workspace is useless.
func (k *InstanceKey) wrap(ws kernel.WorkspaceID, s *secret) ([]byte, error) {
	clear, err := s.marshal()
	if err != nil {
		return nil, err
	}
	return k.wrapping.Encrypt(clear, []byte(ws))
}

func (k *InstanceKey) unwrap(ws kernel.WorkspaceID, wrapped []byte) (*Box, error) {
	clear, err := k.wrapping.Decrypt(wrapped, []byte(ws))
	if err != nil {
		return nil, ErrWrongInstanceKey
	}
	s, err := unmarshalSecret(clear)
	if err != nil {
		return nil, err
	}
	return s.box()
}

func readKeyFile(path string) (*InstanceKey, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("seal: instance key file: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 && runtime.GOOS != "windows" {
		return nil, fmt.Errorf("seal: instance key file %s has mode %#o, so others may use it: run chmod 600 %s", path, mode, path)
	}
	if info.Size() > 1024 {
		return nil, fmt.Errorf("seal: %s is too long for an instance key file", path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("seal: instance key file: %w", err)
	}
	key, err := ParseInstanceKey(string(text))
	if err != nil {
		return nil, fmt.Errorf("seal: instance key file %s: %w", path, err)
	}
	return key, nil
}

// createKeyFile writes a new key beside path and links it into place, so that path never holds half a key, neither
// after a crash nor for a second process that starts at the same time. It tells whether this call made the file.
func createKeyFile(path string) (bool, error) {
	raw := make([]byte, keyLen)
	rand.Read(raw)
	temp := path + ".new-" + rand.Text()
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return false, err
	}
	defer os.Remove(temp)
	_, err = f.WriteString(base64.StdEncoding.EncodeToString(raw) + "\n")
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return false, err
	}
	if err := os.Link(temp, path); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return false, nil // another process was faster
		}
		return false, err
	}
	return true, syncDir(filepath.Dir(path))
}

// syncDir makes a new name durable. Windows cannot open folders for that and does not need it.
func syncDir(path string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
