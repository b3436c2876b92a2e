package app

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// WriteCertificate makes a certificate for 127.0.0.1 that signs itself.
func WriteCertificate(t *testing.T, dir string, serial int64) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

func TestRenewedCertificateIsRead(t *testing.T) {
	t.Parallel()
	dir, next := t.TempDir(), t.TempDir()
	cert, key := WriteCertificate(t, dir, 1)
	c := &certificate{certFile: cert, keyFile: key, logger: slog.New(slog.DiscardHandler)}
	if err := c.load(); err != nil {
		t.Fatal(err)
	}
	first, _ := c.get(nil)
	nextCert, nextKey := WriteCertificate(t, next, 2)
	later := time.Now().Add(time.Hour)
	if err := os.Chtimes(nextCert, later, later); err != nil {
		t.Fatal(err)
	}
	renew := func(from, to string) {
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
		c.checked = time.Time{} // as if a while had passed
	}
	renew(nextCert, cert)
	if half, _ := c.get(nil); half != first {
		t.Error("half of a renewal is in use")
	}
	renew(nextKey, key)
	if second, _ := c.get(nil); second == first {
		t.Error("the renewed certificate is not in use")
	}
}
