package agent_test

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/agent"
	"github.com/kept-dev/kept/wire/agentapi"
	"github.com/kept-dev/kept/wire/remotewrite"
)

// tlsServer is a server at which TLS ends, and which knows clients by their certificates.
type tlsServer struct {
	*httptest.Server
	ca string // file with its own certificate

	mu     sync.Mutex
	known  map[string]bool // pins
	calls  []string        // "path pin key"
	fail   bool            // a renewal is noted, but the answer is lost
	called chan struct{}
}

func pinOf(c *x509.Certificate) string {
	return fmt.Sprintf("%.8x", sha256.Sum256(c.RawSubjectPublicKeyInfo))
}

func newTLSServer(t *testing.T) *tlsServer {
	t.Helper()
	s := &tlsServer{known: map[string]bool{}, called: make(chan struct{}, 1000), ca: filepath.Join(t.TempDir(), "ca.pem")}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	s.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	s.StartTLS()
	t.Cleanup(s.Close)
	if err := os.WriteFile(s.ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *tlsServer) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() { s.called <- struct{}{} }()
	pin := "none"
	if len(r.TLS.PeerCertificates) > 0 {
		pin = pinOf(r.TLS.PeerCertificates[0])
	}
	s.calls = append(s.calls, r.URL.Path+" "+pin+" "+r.Header.Get("Authorization"))
	if r.URL.Path == agentapi.PathEnrol {
		s.known[pin] = true
		json.NewEncoder(w).Encode(agentapi.EnrolResponse{WorkspaceName: "Acme", Until: time.Now().Add(time.Hour).Unix()})
		return
	}
	if !s.known[pin] {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	switch r.URL.Path {
	case agentapi.PathRenew:
		var in agentapi.RenewRequest
		json.NewDecoder(r.Body).Decode(&in)
		c, err := x509.ParseCertificate(in.Certificate)
		if err != nil || c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) != nil {
			w.WriteHeader(http.StatusUnprocessableEntity)
			return
		}
		s.known[pinOf(c)] = true
		if s.fail {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		json.NewEncoder(w).Encode(agentapi.RenewResponse{Until: time.Now().Add(time.Hour).Unix()})
	case agentapi.PathHello:
		io.WriteString(w, `{}`)
	default:
		w.Header().Set(remotewrite.SamplesWritten, "100000")
	}
}

// wait waits until a call was made that begins so, and returns it.
func (s *tlsServer) wait(t *testing.T, prefix string) string {
	t.Helper()
	for end := time.After(time.Minute); ; {
		s.mu.Lock()
		for _, c := range s.calls {
			if strings.HasPrefix(c, prefix) {
				s.mu.Unlock()
				return c
			}
		}
		s.mu.Unlock()
		select {
		case <-s.called:
		case <-end:
			t.Fatalf("nobody called %s: %q", prefix, s.calls)
		}
	}
}

func (s *tlsServer) config(dir string) agent.Config {
	return agent.Config{Server: s.URL, CAFile: s.ca, StateDir: dir, Interval: time.Second, Instance: "web-1", Only: []string{"loadavg"}, Log: slog.New(slog.DiscardHandler)}
}

func pinIn(t *testing.T, dir string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "identity.pem"))
	if err != nil {
		t.Fatal(err)
	}
	block, rest := pem.Decode(text)
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil || !strings.Contains(string(rest), "PRIVATE KEY") {
		t.Fatalf("%v in\n%s", err, text)
	}
	return pinOf(c)
}

// run runs an agent until f is done.
func run(t *testing.T, c agent.Config, f func()) {
	t.Helper()
	a, err := agent.New(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- a.Run(ctx) }()
	f()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestCertificateInPlaceOfKey: an agent makes a certificate, which is all that it shows from then on, over real handshakes.
func TestCertificateInPlaceOfKey(t *testing.T) {
	t.Parallel()
	s, dir := newTLSServer(t), t.TempDir()
	answer, err := agent.Enrol(t.Context(), s.config(dir), "token")
	if err != nil || answer.Key != "" {
		t.Fatalf("%+v, %v", answer, err)
	}
	pin := pinIn(t, dir)
	if info, err := os.Stat(filepath.Join(dir, "identity.pem")); err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("others can read the private key: %v, %v", info.Mode(), err)
	}
	run(t, s.config(dir), func() {
		for _, path := range []string{agentapi.PathHello, agentapi.PathWrite} {
			if got := s.wait(t, path); got != path+" "+pin+" " {
				t.Errorf("%q, want the certificate %s and no key", got, pin)
			}
		}
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.calls {
		if strings.HasPrefix(c, agentapi.PathRenew) {
			t.Error("a new certificate was renewed")
		}
	}
}

// TestCertificateIsRenewed: after ten days the agent makes another key, and the old one is gone from its disk.
func TestCertificateIsRenewed(t *testing.T) {
	t.Parallel()
	s, dir := newTLSServer(t), t.TempDir()
	if err := agent.SaveIdentity(dir, time.Now().Add(-agentapi.RenewAfter-time.Hour)); err != nil {
		t.Fatal(err)
	}
	old := pinIn(t, dir)
	s.known[old] = true
	run(t, s.config(dir), func() {
		s.wait(t, agentapi.PathRenew+" "+old)
		// Samples come by the second: soon with the new certificate, on a new connection.
		for end := time.Now().Add(time.Minute); pinIn(t, dir) == old && time.Now().Before(end); {
			<-s.called
		}
		fresh := pinIn(t, dir)
		if fresh == old {
			t.Fatal("the old certificate is still there")
		}
		s.wait(t, agentapi.PathWrite+" "+fresh)
	})
}

// TestRenewalThatIsCutOff: the server has noted the new certificate, but the agent does not know: it goes on with the old.
func TestRenewalThatIsCutOff(t *testing.T) {
	t.Parallel()
	s, dir := newTLSServer(t), t.TempDir()
	if err := agent.SaveIdentity(dir, time.Now().Add(-agentapi.RenewAfter-time.Hour)); err != nil {
		t.Fatal(err)
	}
	old := pinIn(t, dir)
	s.known[old], s.fail = true, true
	run(t, s.config(dir), func() {
		s.wait(t, agentapi.PathRenew+" "+old)
		s.mu.Lock()
		s.calls = nil
		s.mu.Unlock()
		s.wait(t, agentapi.PathWrite+" "+old)
	})
	if pinIn(t, dir) != old {
		t.Error("the certificate was replaced by one that nobody confirmed")
	}
}

// TestKeyWhereTLSEndsElsewhere: a server behind a proxy sees no certificate and gives a key; no certificate is kept then.
func TestKeyWhereTLSEndsElsewhere(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		json.NewEncoder(w).Encode(agentapi.EnrolResponse{Key: "kept_1", WorkspaceName: "Acme"})
	}))
	defer s.Close()
	dir := t.TempDir()
	if err := agent.SaveIdentity(dir, time.Now()); err != nil { // of an enrolment before
		t.Fatal(err)
	}
	answer, err := agent.Enrol(t.Context(), agent.Config{Server: s.URL, StateDir: dir}, "token")
	if _, gone := os.Stat(filepath.Join(dir, "identity.pem")); err != nil || answer.Key != "kept_1" || gone == nil {
		t.Errorf("%+v, %v, %v", answer, err, gone)
	}
}
