package access_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/core/access"
	"github.com/kept-dev/kept/internal/core/access/accesstest"
	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/kernel"
)

// selfSigned makes a certificate of public, signed by private.
func selfSigned(t *testing.T, public, private any) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "kept-agent"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func p256(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func certificate(t *testing.T) *x509.Certificate {
	k := p256(t)
	return selfSigned(t, &k.PublicKey, k)
}

// shows tells whose key a certificate stands for; empty: nobody's.
func shows(t *testing.T, s *accesstest.Stack, c *x509.Certificate) kernel.ID {
	t.Helper()
	r := httptest.NewRequest("POST", "/api/v1/agent/hello", nil)
	r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{c}}
	a, err := s.Access.Bearer(r)
	if err != nil && kernel.CodeOf(err) != kernel.Unauthenticated {
		t.Fatal(err)
	}
	return a.KeyID
}

// TestCertificateStandsForAKey: until it ends, until the key is revoked, or until the one that followed it is in use.
func TestCertificateStandsForAKey(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		_, ws, _ := s.Owner(t, owner, "W")
		k, _, err := s.Access.CreateHostKey(t.Context(), audit.System, ws, "host web-1", 0)
		if err != nil {
			t.Fatal(err)
		}
		first, second, stranger := certificate(t), certificate(t), certificate(t)
		until, err := s.Access.AddCertificate(t.Context(), ws, k.ID, first)
		if err != nil || !until.Equal(s.Clock.Now().Add(access.CertificateLife)) {
			t.Fatal(until, err)
		}
		if shows(t, s, first) != k.ID || shows(t, s, stranger) != "" {
			t.Fatal("the certificate must be known, and no other")
		}
		by, err := s.Access.ByCertificate(t.Context(), first)
		if err != nil || by.WorkspaceID != ws || len(by.Scopes) != 1 || by.Scopes[0] != access.ScopeIngest {
			t.Errorf("%+v, %v", by, err)
		}
		// Renewing takes the present certificate; a token or another's certificate is not enough.
		for _, old := range []*x509.Certificate{nil, stranger} {
			if _, err := s.Access.RenewCertificate(t.Context(), by, old, second); kernel.CodeOf(err) != kernel.Forbidden {
				t.Errorf("renewed without the present one: %v", err)
			}
		}
		s.Clock.Add(access.CertificateLife / 3)
		var lost *x509.Certificate
		for range 5 { // whose answers the agent never gets
			s.Clock.Add(time.Minute)
			lost = certificate(t)
			if _, err := s.Access.RenewCertificate(t.Context(), by, first, lost); err != nil {
				t.Fatal(err)
			}
		}
		s.Clock.Add(time.Minute)
		if _, err := s.Access.RenewCertificate(t.Context(), by, first, second); err != nil {
			t.Fatal(err)
		}
		if shows(t, s, lost) != "" {
			t.Error("one that was never shown works after another took its place")
		}
		if shows(t, s, first) != k.ID || shows(t, s, second) != k.ID {
			t.Error("until the new one is in use, both must work")
		}
		if err := s.Access.UsesCertificate(t.Context(), k.ID, first); err != nil || shows(t, s, second) != k.ID {
			t.Errorf("the use of the old one ended the new one: %v", err)
		}
		if err := s.Access.UsesCertificate(t.Context(), k.ID, second); err != nil || shows(t, s, first) != "" {
			t.Errorf("the old one works after the new one was used: %v", err)
		}
		s.Clock.Add(access.CertificateLife - time.Second)
		if shows(t, s, second) != k.ID {
			t.Error("ended too early")
		}
		s.Clock.Add(time.Second)
		if shows(t, s, second) != "" {
			t.Error("works after its end")
		}
		third := certificate(t)
		if _, err := s.Access.AddCertificate(t.Context(), ws, k.ID, third); err != nil || shows(t, s, third) != k.ID {
			t.Fatal(err)
		}
		if err := s.Access.RevokeKey(t.Context(), audit.System, ws, k.ID); err != nil || shows(t, s, third) != "" {
			t.Errorf("works after its key was revoked: %v", err)
		}
		if _, err := s.Access.AddCertificate(t.Context(), ws, k.ID, certificate(t)); kernel.CodeOf(err) != kernel.Unauthenticated {
			t.Errorf("a revoked key got a certificate: %v", err)
		}
	})
}

// TestCertificatesThatAreNotTaken: of another kind of key, not signed by their own key, in use already, or too many.
func TestCertificatesThatAreNotTaken(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		_, ws, _ := s.Owner(t, owner, "W")
		k, _, err := s.Access.CreateHostKey(t.Context(), audit.System, ws, "host web-1", 0)
		if err != nil {
			t.Fatal(err)
		}
		add := func(c *x509.Certificate) kernel.Code {
			_, err := s.Access.AddCertificate(t.Context(), ws, k.ID, c)
			if err == nil {
				return ""
			}
			return kernel.CodeOf(err)
		}
		weak, err := rsa.GenerateKey(rand.Reader, 1024)
		if err == nil {
			if code := add(selfSigned(t, &weak.PublicKey, weak)); code != kernel.Invalid {
				t.Errorf("RSA: %s", code)
			}
		}
		theirs, mine := p256(t), p256(t)
		if code := add(selfSigned(t, &theirs.PublicKey, mine)); code != kernel.Invalid {
			t.Errorf("somebody else's public key: %q", code)
		}
		one := certificate(t)
		for i, want := range []kernel.Code{"", kernel.Conflict} {
			if code := add(one); code != want {
				t.Errorf("try %d: %q", i, code)
			}
		}
		for i, want := range []kernel.Code{"", "", kernel.Conflict} {
			if code := add(certificate(t)); code != want {
				t.Errorf("certificate %d of a key, which may have three: %q", i+2, code)
			}
		}
		if _, err := s.Access.AddCertificate(t.Context(), "ws_other", k.ID, certificate(t)); kernel.CodeOf(err) != kernel.Unauthenticated {
			t.Errorf("a certificate for another workspace's key: %v", err)
		}
	})
}

// TestHostsHaveTheirOwnRoom: enrolled hosts take no place from people's keys, have a limit of their own, and are not in the
// list that people look through, but in the export.
func TestHostsHaveTheirOwnRoom(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		_, ws, _ := s.Owner(t, owner, "W")
		var last access.Key
		for i := range 120 {
			k, _, err := s.Access.CreateHostKey(t.Context(), audit.System, ws, "host", 120)
			if err != nil {
				t.Fatalf("host %d: %v", i, err)
			}
			last = k
		}
		if _, _, err := s.Access.CreateHostKey(t.Context(), audit.System, ws, "host", 120); kernel.CodeOf(err) != kernel.Conflict {
			t.Errorf("one host too many: %v", err)
		}
		if err := s.Access.RevokeKey(t.Context(), audit.System, ws, last.ID); err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.Access.CreateHostKey(t.Context(), audit.System, ws, "host", 120); err != nil {
			t.Errorf("in the place of a revoked one: %v", err)
		}
		if _, _, err := s.Access.CreateKey(t.Context(), audit.System, ws, access.NewKey{Name: "worker", Scopes: []string{"ingest"}}); err != nil {
			t.Errorf("a person's key beside 120 hosts: %v", err)
		}
		keys, err := s.Access.Keys(t.Context(), ws)
		if err != nil || len(keys) != 2 { // with that of the owner
			t.Errorf("%d keys in the list, %v", len(keys), err)
		}
		s.Browser(t, "192.0.2.1").SignIn(owner).Get(accesstest.Settings(ws)+"/api-keys").Is(200, "120 enrolled hosts have keys of their own")
		n := 0
		for _, c := range s.Access.Collections() {
			if c.Name == "api_keys" {
				err = c.Export(t.Context(), ws, func(any) error { n++; return nil })
			}
		}
		if err != nil || n != 123 {
			t.Errorf("%d keys in the export, %v", n, err)
		}
	})
}
