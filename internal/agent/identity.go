package agent

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/kept-dev/kept/wire/agentapi"
)

// identity is the client certificate that an agent made for itself, and its private key, which never leaves the host. The
// server knows it by its public key; nobody issues it.
type identity struct {
	pair tls.Certificate
	made time.Time
	text []byte // as it is in the file: PEM
}

// identityLife is what the certificate itself says. What counts is what the server says.
const identityLife = 90 * 24 * time.Hour

func newIdentity(now time.Time) (*identity, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	template := x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: agentapi.CertificateName}, NotBefore: now, NotAfter: now.Add(identityLife),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	for _, block := range []*pem.Block{{Type: "CERTIFICATE", Bytes: der}, {Type: "PRIVATE KEY", Bytes: private}} {
		if err := pem.Encode(&b, block); err != nil {
			return nil, err
		}
	}
	return readIdentity(b.Bytes())
}

func readIdentity(text []byte) (*identity, error) {
	pair, err := tls.X509KeyPair(text, text)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		return nil, err
	}
	return &identity{pair: pair, made: leaf.NotBefore, text: text}, nil
}

func identityFile(dir string) string { return filepath.Join(dir, "identity.pem") }

// loadIdentity reads the identity of a folder; nil if there is none.
func loadIdentity(dir string) (*identity, error) {
	text, err := os.ReadFile(identityFile(dir))
	if errors.Is(err, os.ErrNotExist) || dir == "" {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	id, err := readIdentity(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", identityFile(dir), err)
	}
	return id, nil
}

// save writes the identity, so that there is always one whole file. It belongs to whoever has the folder: enrolment is for
// root, the service is not.
func (id *identity) save(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".identity-*") // with mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(id.text)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = giveToOwner(f.Name(), dir)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return os.Rename(f.Name(), identityFile(dir))
}

// held is the identity in use, which may be renewed.
type held struct{ atomic.Pointer[identity] }

// forTLS hands the certificate to a server that asks, whichever authorities it names.
func (h *held) forTLS(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	if id := h.Load(); id != nil {
		return &id.pair, nil
	}
	return &tls.Certificate{}, nil // none
}

// renew makes a new identity when the present one has been in use for a while. The server knows the new one before it is
// written, and takes the old one until it has seen the new one: whatever fails in between, one of them works.
func (a *Agent) renew(ctx context.Context) {
	now := time.Now()
	id := a.identity.Load()
	if id == nil || now.Sub(id.made).Abs() < agentapi.RenewAfter {
		return
	}
	if err := a.renewNow(ctx, now); err != nil && ctx.Err() == nil {
		a.conf.Log.Warn("the certificate could not be renewed; it is tried again", "error", err)
	}
}

func (a *Agent) renewNow(ctx context.Context, now time.Time) error {
	fresh, err := newIdentity(now)
	if err != nil {
		return err
	}
	var answer agentapi.RenewResponse
	if err := post(ctx, a.client, a.conf.at(agentapi.PathRenew), "", agentapi.RenewRequest{Certificate: fresh.pair.Certificate[0]}, &answer); err != nil {
		return err
	}
	if err := fresh.save(a.conf.StateDir); err != nil {
		return err
	}
	a.identity.Store(fresh)
	a.client.CloseIdleConnections() // the next one is made with the new certificate
	a.conf.Log.Info("the certificate was renewed", "until", time.Unix(answer.Until, 0).UTC().Format(time.DateOnly))
	return nil
}
