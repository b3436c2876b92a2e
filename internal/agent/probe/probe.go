// Package probe asks services whether they answer, over HTTP, TCP or TLS, and tells so under the names that
// blackbox_exporter uses.
package probe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync"
	"time"

	"github.com/kept-dev/kept/internal/agent/metric"
	"github.com/kept-dev/kept/wire/agentapi"
	"github.com/kept-dev/kept/wire/remotewrite"
)

// Probe is one question that is asked again and again.
type Probe struct {
	Name    string
	URL     string // http://…, https://…, tcp://host:port or tls://host:port
	Every   time.Duration
	Timeout time.Duration
	Roots   *x509.CertPool // nil for the system's
}

// Check says what is wrong with a probe.
func (p *Probe) Check() error {
	u, err := url.Parse(p.URL)
	if err != nil || u.Host == "" {
		return fmt.Errorf("%s is nothing to probe", p.URL)
	}
	switch u.Scheme {
	case "http", "https":
	case "tcp", "tls":
		if u.Port() == "" || u.Path != "" {
			return fmt.Errorf("%s needs a host and a port, such as %s://db.example.com:5432", p.URL, u.Scheme)
		}
	default:
		return fmt.Errorf("%s: probes begin with http://, https://, tcp:// or tls://", p.URL)
	}
	if p.Name == "" {
		return fmt.Errorf("the probe of %s has no name", p.URL)
	}
	return nil
}

func gauge(name, help string) *metric.Desc {
	return &metric.Desc{Name: name, Help: help, Type: remotewrite.Gauge}
}

var (
	descSuccess  = gauge(agentapi.MetricProbeSuccess, "Displays whether or not the probe was a success")
	descDuration = gauge(agentapi.MetricProbeDuration, "Returns how long the probe took to complete in seconds")
	descExpiry   = gauge(agentapi.MetricProbeCertExpiry, "Returns last SSL chain expiry in unixtime")
	descTLS      = gauge("probe_tls_version_info", "Returns the TLS version used or NaN when unknown")
	descStatus   = gauge("probe_http_status_code", "Response HTTP status code")
	descPhase    = gauge("probe_http_duration_seconds", "Duration of http request by phase, summed over all redirects")
	descHops     = gauge("probe_http_redirects", "The number of redirects")
	descSSL      = gauge("probe_http_ssl", "Indicates if SSL was used for the final redirect")
)

// maxBody is how much of a page is read: the answer must come, not all of it.
const maxBody = 1 << 20

// Run asks once and adds what came of it.
func (p *Probe) Run(ctx context.Context, s *metric.Set) {
	ctx, cancel := context.WithTimeout(ctx, p.Timeout)
	defer cancel()
	start := time.Now()
	labels := []string{"probe", p.Name, "target", p.URL}
	u, err := url.Parse(p.URL)
	if err == nil {
		switch u.Scheme {
		case "tcp":
			err = p.tcp(ctx, u.Host)
		case "tls":
			err = p.tls(ctx, s, u, labels)
		default:
			err = p.http(ctx, s, labels)
		}
	}
	var untrusted *tls.CertificateVerificationError
	if errors.As(err, &untrusted) {
		addExpiry(s, untrusted.UnverifiedCertificates, labels) // that it expired is worth knowing most of all
	}
	s.Add(descSuccess, truth(err == nil), labels...)
	s.Add(descDuration, time.Since(start).Seconds(), labels...)
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func (p *Probe) tcp(ctx context.Context, address string) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return conn.Close()
}

func (p *Probe) config(name string) *tls.Config {
	return &tls.Config{ServerName: name, RootCAs: p.Roots, MinVersion: tls.VersionTLS12}
}

func (p *Probe) tls(ctx context.Context, s *metric.Set, u *url.URL, labels []string) error {
	d := tls.Dialer{Config: p.config(u.Hostname())}
	conn, err := d.DialContext(ctx, "tcp", u.Host)
	if err != nil {
		return err
	}
	addTLS(s, conn.(*tls.Conn).ConnectionState(), labels)
	return conn.Close()
}

// phases are where an HTTP request spends its time.
type phases struct {
	mu                                      sync.Mutex // the transport writes and reads at once
	dns, connect, handshake, request, first time.Time
	spent                                   [5]time.Duration
}

var phaseNames = [...]string{"resolve", "connect", "tls", "processing", "transfer"}

func (t *phases) trace() *httptrace.ClientTrace {
	begin := func(at *time.Time) {
		t.mu.Lock()
		defer t.mu.Unlock()
		*at = time.Now()
	}
	end := func(i int, since *time.Time) {
		t.mu.Lock()
		defer t.mu.Unlock()
		if !since.IsZero() {
			t.spent[i] += time.Since(*since)
		}
	}
	return &httptrace.ClientTrace{
		DNSStart:             func(httptrace.DNSStartInfo) { begin(&t.dns) },
		DNSDone:              func(httptrace.DNSDoneInfo) { end(0, &t.dns) },
		ConnectStart:         func(string, string) { begin(&t.connect) },
		ConnectDone:          func(string, string, error) { end(1, &t.connect) },
		TLSHandshakeStart:    func() { begin(&t.handshake) },
		TLSHandshakeDone:     func(tls.ConnectionState, error) { end(2, &t.handshake) },
		WroteRequest:         func(httptrace.WroteRequestInfo) { begin(&t.request) },
		GotFirstResponseByte: func() { end(3, &t.request); begin(&t.first) },
	}
}

// all are the times of the phases, when the body has come.
func (t *phases) all() [5]time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.spent[4] = time.Since(t.first)
	return t.spent
}

func (p *Probe) http(ctx context.Context, s *metric.Set, labels []string) error {
	hops := 0
	client := &http.Client{
		// One address at a time, so that the phases do not overlap; and nothing is left open.
		Transport: &http.Transport{
			DialContext:       (&net.Dialer{FallbackDelay: -1}).DialContext,
			TLSClientConfig:   p.config(""),
			DisableKeepAlives: true,
		},
		CheckRedirect: func(_ *http.Request, via []*http.Request) error {
			hops = len(via)
			if hops > 10 {
				return errors.New("more than 10 redirects")
			}
			return nil
		},
	}
	var t phases
	request, err := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, t.trace()), http.MethodGet, p.URL, nil)
	if err != nil {
		return err
	}
	request.Header.Set("User-Agent", "kept-agent probe")
	answer, err := client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	_, err = io.Copy(io.Discard, io.LimitReader(answer.Body, maxBody))
	s.Add(descStatus, float64(answer.StatusCode), labels...)
	s.Add(descHops, float64(hops), labels...)
	s.Add(descSSL, truth(answer.TLS != nil), labels...)
	for i, d := range t.all() {
		s.Add(descPhase, d.Seconds(), append(labels[:len(labels):len(labels)], "phase", phaseNames[i])...)
	}
	if answer.TLS != nil {
		addTLS(s, *answer.TLS, labels)
	}
	if err == nil && (answer.StatusCode < 200 || answer.StatusCode > 299) {
		err = fmt.Errorf("status %d", answer.StatusCode)
	}
	return err
}

func addTLS(s *metric.Set, state tls.ConnectionState, labels []string) {
	addExpiry(s, state.PeerCertificates, labels)
	s.Add(descTLS, 1, append(labels[:len(labels):len(labels)], "version", tls.VersionName(state.Version))...)
}

// addExpiry tells when the first certificate of a chain ends.
func addExpiry(s *metric.Set, chain []*x509.Certificate, labels []string) {
	var first time.Time
	for _, c := range chain {
		if first.IsZero() || c.NotAfter.Before(first) {
			first = c.NotAfter
		}
	}
	if !first.IsZero() {
		s.Add(descExpiry, float64(first.Unix()), labels...)
	}
}
