package proof

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1" // what RFC 6238 and every authenticator app use by default
	"crypto/subtle"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// What authenticator apps take for granted; some ignore any other value in the address that they scan.
const (
	totpStep   = 30 * time.Second
	totpDigits = 6
	totpSecret = 20 // bytes, as long as the hash
)

func newTOTPSecret() []byte {
	secret := make([]byte, totpSecret)
	rand.Read(secret)
	return secret
}

// stepAt is the number of the time step that a moment lies in.
func stepAt(t time.Time) int64 { return t.Unix() / int64(totpStep/time.Second) }

// totpCode is the code of a time step (RFC 6238, on RFC 4226).
func totpCode(secret []byte, step int64, digits int) string {
	var message [8]byte
	binary.BigEndian.PutUint64(message[:], uint64(step))
	mac := hmac.New(sha1.New, secret)
	mac.Write(message[:])
	sum := mac.Sum(nil)
	offset := sum[len(sum)-1] & 0xf
	n := binary.BigEndian.Uint32(sum[offset:]) & 0x7fffffff
	mod := uint32(1)
	for range digits {
		mod *= 10
	}
	return fmt.Sprintf("%0*d", digits, n%mod)
}

// matchTOTP finds the time step whose code this is: the present one, or the one before for those who type slowly or
// whose clock is behind.
func matchTOTP(secret []byte, now time.Time, code string) (step int64, ok bool) {
	current := stepAt(now)
	for _, s := range []int64{current - 1, current} {
		if subtle.ConstantTimeCompare([]byte(totpCode(secret, s, totpDigits)), []byte(code)) == 1 {
			step, ok = s, true
		}
	}
	return step, ok
}

// cleanDigits is what somebody typed without the spaces that apps show; empty when it is no code of n digits.
func cleanDigits(s string, n int) string {
	s = strings.NewReplacer(" ", "", "-", "", "\u00a0", "").Replace(s)
	if len(s) != n || strings.Trim(s, "0123456789") != "" {
		return ""
	}
	return s
}

var base32Secret = base32.StdEncoding.WithPadding(base32.NoPadding)

// totpURI is what the QR code says: the address that authenticator apps take.
func totpURI(issuer, account string, secret []byte) string {
	q := url.Values{"secret": {base32Secret.EncodeToString(secret)}, "issuer": {issuer}}
	return "otpauth://totp/" + url.PathEscape(issuer+":"+account) + "?" + strings.ReplaceAll(q.Encode(), "+", "%20")
}

// grouped is a secret as people type it from a screen, in groups of four.
func grouped(s string) string {
	var b strings.Builder
	for i, r := range s {
		if i > 0 && i%4 == 0 {
			b.WriteByte(' ')
		}
		b.WriteRune(r)
	}
	return b.String()
}
