package proof

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/kept-dev/kept/internal/kernel"
)

// seeds are real answers, and broken ones.
func seeds(f *testing.F, file string) {
	f.Helper()
	real, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(real)
	f.Add(real[:len(real)/2])
	f.Add(bytes.Replace(real, []byte(`"public-key"`), []byte(`"x"`), 1))
	f.Add([]byte(`{"id":"AA","rawId":"AA","type":"public-key","response":{"clientDataJSON":"e30","attestationObject":"oGA","authenticatorData":"AA","signature":"AA"}}`))
	f.Add([]byte(`null`))
	f.Add(bytes.Repeat([]byte("["), 1000))
}

// check holds that an answer is read, or refused in words for people.
func check(t *testing.T, in []byte, read bool, err error) {
	t.Helper()
	code := kernel.CodeOf(err)
	if read == (err != nil) || err != nil && code != kernel.Malformed && code != kernel.TooLarge {
		t.Fatalf("%v for %q", err, in)
	}
	if len(in) > maxAnswer && code != kernel.TooLarge {
		t.Fatalf("%d bytes: %v", len(in), err)
	}
}

func FuzzAttestation(f *testing.F) {
	seeds(f, "attestation.json")
	f.Fuzz(func(t *testing.T, in []byte) {
		parsed, err := parseAttestation(in)
		check(t, in, parsed != nil, err)
	})
}

func FuzzAssertion(f *testing.F) {
	seeds(f, "assertion.json")
	f.Fuzz(func(t *testing.T, in []byte) {
		parsed, err := parseAssertion(in)
		check(t, in, parsed != nil, err)
	})
}
