package notify

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// phone is a browser that gets pushes.
type phone struct {
	key  *ecdh.PrivateKey
	auth []byte
}

func newPhone(t testing.TB) *phone {
	key, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p := &phone{key: key, auth: make([]byte, 16)}
	rand.Read(p.auth)
	return p
}

func (p *phone) subscription(endpoint string) (s subscription) {
	s.Endpoint, s.Browser = endpoint, "Firefox on Linux"
	s.Keys.P256DH, s.Keys.Auth = b64(p.key.PublicKey().Bytes()), b64(p.auth)
	return s
}

// decrypt is the receiver's side of RFC 8291 and RFC 8188.
func (p *phone) decrypt(body []byte) ([]byte, error) {
	if len(body) < 21+65+17 || len(body) > 4096 {
		return nil, fmt.Errorf("%d bytes", len(body))
	}
	salt, size, idlen := body[:16], binary.BigEndian.Uint32(body[16:20]), int(body[20])
	sender, err := ecdh.P256().NewPublicKey(body[21 : 21+idlen])
	if err != nil {
		return nil, err
	}
	record := body[21+idlen:]
	if uint32(len(record)) > size {
		return nil, errors.New("more than one record")
	}
	shared, err := p.key.ECDH(sender)
	if err != nil {
		return nil, err
	}
	prk, err := hkdf.Extract(sha256.New, shared, p.auth)
	if err != nil {
		return nil, err
	}
	info := "WebPush: info\x00" + string(p.key.PublicKey().Bytes()) + string(sender.Bytes())
	ikm, err := hkdf.Expand(sha256.New, prk, info, 32)
	if err != nil {
		return nil, err
	}
	gcm, nonce, err := recordKey(ikm, salt)
	if err != nil {
		return nil, err
	}
	plain, err := gcm.Open(nil, nonce, record, nil)
	if err != nil {
		return nil, err
	}
	plain = bytes.TrimRight(plain, "\x00")
	if len(plain) == 0 || plain[len(plain)-1] != 2 {
		return nil, errors.New("no delimiter of a last record")
	}
	return plain[:len(plain)-1], nil
}

// checkVAPID is what a push service does before it takes anything (RFC 8292).
func checkVAPID(header, origin string, now time.Time) error {
	found := regexp.MustCompile(`^vapid t=([\w-]+)\.([\w-]+)\.([\w-]+), k=([\w-]+)$`).FindStringSubmatch(header)
	if found == nil {
		return fmt.Errorf("authorization %q", header)
	}
	key, err := unb64(found[4])
	if err != nil {
		return err
	}
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), key)
	if err != nil {
		return err
	}
	signature, _ := unb64(found[3])
	if len(signature) != 64 {
		return errors.New("signature")
	}
	sum := sha256.Sum256([]byte(found[1] + "." + found[2]))
	raw, _ := unb64(found[2])
	var claims struct {
		Aud, Sub string
		Exp      int64
	}
	if err := json.Unmarshal(raw, &claims); err != nil {
		return err
	}
	left := time.Unix(claims.Exp, 0).Sub(now)
	return need("signature", ecdsa.Verify(public, sum[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])), "aud", claims.Aud == origin,
		"sub", strings.HasPrefix(claims.Sub, "https://") || strings.HasPrefix(claims.Sub, "mailto:"), "exp", left > 0 && left <= 24*time.Hour)
}

var testNow = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func (p *provider) push(r *http.Request, body []byte) (any, error) {
	plain, err := p.phone.decrypt(body)
	if err != nil {
		return nil, err
	}
	var in pushMessage
	if err := json.Unmarshal(plain, &in); err != nil {
		return nil, err
	}
	ttl, ttlErr := strconv.Atoi(r.Header.Get("TTL"))
	origin, _ := url.Parse(p.server.URL)
	p.add(posted{Title: in.Title, Text: in.Body, Thread: in.Tag})
	return nil, errors.Join(checkVAPID(r.Header.Get("Authorization"), origin.Scheme+"://"+origin.Host, p.now()), need("encoding", r.Header.Get("Content-Encoding") == "aes128gcm",
		"ttl", ttlErr == nil && ttl > 0, "urgency", slices.Contains([]string{"very-low", "low", "normal", "high"}, r.Header.Get("Urgency")),
		"topic", regexp.MustCompile(`^[\w-]{1,32}$`).MatchString(r.Header.Get("Topic")), "title", in.Title != "" && in.Body != ""))
}
