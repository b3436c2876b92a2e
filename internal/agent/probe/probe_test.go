package probe_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/agent/metric"
	"github.com/kept-dev/kept/internal/agent/probe"
)

func run(t *testing.T, p probe.Probe) string {
	t.Helper()
	p.Name = "shop"
	if p.Timeout == 0 {
		p.Timeout = 20 * time.Second
	}
	if err := p.Check(); err != nil {
		t.Fatal(err)
	}
	s := metric.NewSet(100)
	s.Begin()
	p.Run(context.Background(), s)
	var b bytes.Buffer
	if err := metric.WriteText(&b, s.End()); err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(b.String(), `probe="shop",target="`+p.URL+`"`, "…")
}

func has(t *testing.T, got string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(got, w) {
			t.Errorf("no %s in\n%s", w, got)
		}
	}
}

func pool(s *httptest.Server) *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(s.Certificate())
	return p
}

func TestHTTP(t *testing.T) {
	t.Parallel()
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/moved":
			http.Redirect(w, r, "/", http.StatusFound)
		case "/broken":
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	defer s.Close()
	got := run(t, probe.Probe{URL: s.URL + "/moved", Roots: pool(s)})
	has(t, got, "probe_success{…} 1\n", "probe_http_status_code{…} 200\n", "probe_http_redirects{…} 1\n", "probe_http_ssl{…} 1\n",
		"probe_ssl_earliest_cert_expiry{…} 3.6", `probe_tls_version_info{…,version="TLS 1.3"} 1`, `phase="connect"`)
	has(t, run(t, probe.Probe{URL: s.URL + "/broken", Roots: pool(s)}), "probe_success{…} 0\n", "probe_http_status_code{…} 500\n")
}

// TestUntrusted: a certificate that is not trusted is a failure, and its end is told all the same.
func TestUntrusted(t *testing.T) {
	t.Parallel()
	s := httptest.NewTLSServer(http.NotFoundHandler())
	defer s.Close()
	for _, scheme := range []string{"https://", "tls://"} {
		got := run(t, probe.Probe{URL: scheme + s.Listener.Addr().String(), Roots: x509.NewCertPool()})
		has(t, got, "probe_success{…} 0\n", "probe_ssl_earliest_cert_expiry{…} 3.6")
	}
}

func TestTCPAndTLS(t *testing.T) {
	t.Parallel()
	s := httptest.NewTLSServer(http.NotFoundHandler())
	defer s.Close()
	address := s.Listener.Addr().String()
	has(t, run(t, probe.Probe{URL: "tcp://" + address}), "probe_success{…} 1\n", "probe_duration_seconds{…} 0.")
	has(t, run(t, probe.Probe{URL: "tls://" + address, Roots: pool(s)}), "probe_success{…} 1\n", "probe_ssl_earliest_cert_expiry{…} 3.6")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	has(t, run(t, probe.Probe{URL: "tcp://" + l.Addr().String()}), "probe_success{…} 0\n")
}

// TestSilence: a server that accepts and says nothing fails in time.
func TestSilence(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, scheme := range []string{"http://", "tls://"} {
		start := time.Now()
		has(t, run(t, probe.Probe{URL: scheme + l.Addr().String(), Timeout: 50 * time.Millisecond}), "probe_success{…} 0\n")
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("%s took %v", scheme, took)
		}
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for address, good := range map[string]bool{
		"https://a.example/x": true, "tcp://a.example:5432": true, "tls://[::1]:443": true,
		"a.example": false, "ftp://a.example": false, "tcp://a.example": false, "tls://a.example:443/x": false, "": false,
	} {
		p := probe.Probe{Name: "x", URL: address}
		if err := p.Check(); (err == nil) != good {
			t.Errorf("%q: %v", address, err)
		}
	}
}
