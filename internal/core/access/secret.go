package access

import (
	"crypto/rand"
	"crypto/sha256"
	"math/big"
	"strings"
)

// What machines and apps carry begins with a word that says what it is, and goes on with 43 base-62 digits: 256 random
// bits, all of them safe in headers, addresses and shells.
const (
	keyPrefix      = "kept_"  // a workspace's API key
	personalPrefix = "keptp_" // a person's access token
	accessPrefix   = "kepta_" // a mobile app's access token
	refreshPrefix  = "keptr_" // a mobile app's refresh token

	secretDigits = 43
	shownDigits  = 7 // stay visible, so that people tell their keys apart
	base62Digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

// newSecret makes the text of a key or token, and what is stored of it.
//
// That is the SHA-256 of the text. A slow, salted hash such as that of passwords would add nothing: it makes guessing
// dear, and 256 random bits cannot be guessed at any price; but it would cost every request its milliseconds.
func newSecret(prefix string) (text string, hash [32]byte) {
	raw := make([]byte, 32)
	rand.Read(raw)
	n, base, digit := new(big.Int).SetBytes(raw), big.NewInt(62), new(big.Int)
	out := make([]byte, secretDigits) // 62^43 is just over 2^256
	for i := range out {
		n.DivMod(n, base, digit)
		out[secretDigits-1-i] = base62Digits[digit.Int64()]
	}
	text = prefix + string(out)
	return text, hashOf(text)
}

func hashOf(text string) [32]byte { return sha256.Sum256([]byte(text)) }

// shown is how much of a secret stays visible: "kept_x8Fq2Lm".
func shown(prefix, text string) string { return text[:len(prefix)+shownDigits] }

// looksLike keeps what cannot be a secret of that kind from being looked up.
func looksLike(prefix, s string) bool {
	if len(s) != len(prefix)+secretDigits || !strings.HasPrefix(s, prefix) {
		return false
	}
	for _, c := range []byte(s[len(prefix):]) {
		if !(c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z') {
			return false
		}
	}
	return true
}
