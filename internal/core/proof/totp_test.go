package proof

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"rsc.io/qr"
)

// TestTOTPVectors: the vectors of RFC 6238, appendix B, for SHA-1.
func TestTOTPVectors(t *testing.T) {
	t.Parallel()
	secret := []byte("12345678901234567890")
	for at, want := range map[int64]string{
		59: "94287082", 1111111109: "07081804", 1111111111: "14050471", 1234567890: "89005924", 2000000000: "69279037", 20000000000: "65353130",
	} {
		if got := totpCode(secret, stepAt(time.Unix(at, 0)), 8); got != want {
			t.Errorf("at %d: %s, want %s", at, got, want)
		}
	}
}

func TestTOTPWindow(t *testing.T) {
	t.Parallel()
	secret, now := newTOTPSecret(), time.Unix(1_800_000_000, 0)
	for back, want := range map[int64]bool{-1: false, 0: true, 1: true, 2: false} {
		step, ok := matchTOTP(secret, now, totpCode(secret, stepAt(now)-back, totpDigits))
		if ok != want || ok && step != stepAt(now)-back {
			t.Errorf("a code %d steps old: %v (step %d)", back, ok, step)
		}
	}
	if _, ok := matchTOTP(secret, now, ""); ok {
		t.Error("no code matches")
	}
}

func TestCleanDigits(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"123456": "123456", " 123 456 ": "123456", "123-456": "123456", "12345": "", "1234567": "", "12345x": "", "": "", "١٢٣٤٥٦": ""} {
		if got := cleanDigits(in, totpDigits); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// TestQRCode: the picture says the address, and apps find issuer, account and secret in it.
func TestQRCode(t *testing.T) {
	t.Parallel()
	secret := newTOTPSecret()
	text := totpURI("Kept kept.example", "zoë+x@example.org", secret)
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "otpauth" || u.Host != "totp" || u.Path != "/Kept kept.example:zoë+x@example.org" {
		t.Fatalf("%q: %v", text, err)
	}
	if q := u.Query(); q.Get("secret") != base32Secret.EncodeToString(secret) || q.Get("issuer") != "Kept kept.example" || strings.Contains(text, "+K") {
		t.Errorf("%q", text)
	}
	v, err := newQR(text)
	if err != nil {
		t.Fatal(err)
	}
	code, err := qr.Encode(text, qr.M)
	if err != nil {
		t.Fatal(err)
	}
	black := 0
	for y := range code.Size {
		for x := range code.Size {
			if code.Black(x, y) {
				black++
			}
		}
	}
	if got := drawn(t, v.Path); got != black || v.Size != code.Size+8 {
		t.Errorf("the path draws %d of %d black modules, size %d", got, black, v.Size)
	}
}

// drawn counts the modules that a path of newQR fills.
func drawn(t *testing.T, path string) (n int) {
	t.Helper()
	for run := range strings.SplitSeq(path, "h") {
		digits, _, ok := strings.Cut(run, "v1")
		for i := 0; ok && i < len(digits); i++ {
			if digits[i] == '-' {
				ok = false
			}
		}
		if ok {
			k := 0
			for _, d := range digits {
				k = k*10 + int(d-'0')
			}
			n += k
		}
	}
	return n
}

func TestRecoveryCodeForms(t *testing.T) {
	t.Parallel()
	code := newRecoveryCode()
	if len(code) != 24+5 || strings.Trim(code, recoveryAlphabet+"-") != "" {
		t.Fatalf("%q", code)
	}
	want, ok := hashRecovery(code)
	if !ok || len(want) != 32 {
		t.Fatal("a code is not one")
	}
	for _, typed := range []string{strings.ToUpper(code), strings.ReplaceAll(code, "-", ""), strings.ReplaceAll(code, "-", " "), " " + code + "\n",
		strings.ReplaceAll(strings.ReplaceAll(code, "0", "O"), "1", "l")} {
		if got, ok := hashRecovery(typed); !ok || string(got) != string(want) {
			t.Errorf("%q is not %q", typed, code)
		}
	}
	for _, typed := range []string{"", code[1:], code + "0", strings.Repeat("-", 1000), strings.Replace(code, code[:1], "u", 1)} {
		if _, ok := hashRecovery(typed); ok {
			t.Errorf("%q is a code", typed)
		}
	}
}
