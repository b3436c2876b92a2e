// Package egress is the way out for requests whose address a user chose: webhooks, channels, subscribers. It refuses
// addresses of private networks, of this machine and of cloud metadata, after the name was resolved, for the very address
// that is dialled, so that a name which answers differently the second time gains nothing. It follows no redirects, takes
// no proxy from the environment, and bounds time and size.
package egress

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"
)

// Limits of one request.
const (
	Timeout   = 20 * time.Second // from the first byte out to the last one in
	MaxAnswer = 1 << 20          // bytes of an answer's body
	maxHeader = 64 << 10         // bytes of an answer's head
	userAgent = "Kept (+https://github.com/kept-dev/kept)"
)

var (
	// ErrPrivate says that an address is not on the public internet.
	ErrPrivate = errors.New("egress: the address is not a public one")
	// ErrTooLarge says that an answer was longer than MaxAnswer.
	ErrTooLarge = errors.New("egress: the answer is too large")
)

// Config says what may be reached. Zero values are the defaults.
type Config struct {
	// AllowPrivate lets private networks and this machine be reached. What only this link or a cloud's metadata service
	// has stays out of reach.
	AllowPrivate bool

	resolver *net.Resolver // of tests
	tls      *tls.Config   // of tests
	timeout  time.Duration // of tests; 0 is Timeout
}

// Client makes requests to addresses that users chose.
type Client struct {
	cfg  Config
	http *http.Client
}

// New makes a client.
func New(cfg Config) *Client {
	if cfg.timeout == 0 {
		cfg.timeout = Timeout
	}
	c := &Client{cfg: cfg}
	dialer := &net.Dialer{Timeout: cfg.timeout / 2, KeepAlive: 30 * time.Second, Control: c.control, Resolver: cfg.resolver}
	secure := &tls.Config{MinVersion: tls.VersionTLS12}
	if cfg.tls != nil {
		secure = cfg.tls.Clone()
		secure.MinVersion = tls.VersionTLS12
	}
	c.http = &http.Client{
		Timeout: cfg.timeout,
		Transport: bounded{&http.Transport{
			DialContext: dialer.DialContext, TLSClientConfig: secure, ForceAttemptHTTP2: true,
			TLSHandshakeTimeout: cfg.timeout / 2, ResponseHeaderTimeout: cfg.timeout, ExpectContinueTimeout: time.Second,
			MaxResponseHeaderBytes: maxHeader, MaxIdleConns: 50, MaxIdleConnsPerHost: 2, MaxConnsPerHost: 20, IdleConnTimeout: time.Minute,
		}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c
}

// HTTP is the client for libraries that want one. It follows no redirects: a 3xx is the answer.
func (c *Client) HTTP() *http.Client { return c.http }

// control sees the address that is about to be dialled, after every resolution.
func (c *Client) control(network, address string, _ syscall.RawConn) error {
	if network != "tcp4" && network != "tcp6" {
		return fmt.Errorf("%w: %s", ErrPrivate, network)
	}
	ap, err := netip.ParseAddrPort(address)
	if err != nil || !c.allowed(ap.Addr()) {
		return ErrPrivate // without the address: it must not tell what stands where behind our firewall
	}
	return nil
}

func (c *Client) allowed(a netip.Addr) bool {
	if Public(a) {
		return true
	}
	return c.cfg.AllowPrivate && ours(a)
}

// Check says whether an address that a user typed may be used at all: http or https, a host, nothing that is known to be
// refused. It does not resolve names; that is judged at each connection. The error is a sentence for people.
func (c *Client) Check(address string) error {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Hostname() == "" || u.Opaque != "":
		return errors.New("this is not an address such as https://example.com/hook")
	case u.Scheme != "https" && u.Scheme != "http":
		return errors.New("the address must begin with https:// or http://")
	case u.Fragment != "":
		return errors.New("leave out what is behind the #")
	}
	host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	local := host == "localhost" || strings.HasSuffix(host, ".localhost")
	if a, err := netip.ParseAddr(host); err == nil {
		local = !c.allowed(a)
	} else if local {
		local = !c.cfg.AllowPrivate
	}
	if local {
		return errors.New("this address is not on the public internet; the operator can allow such addresses with --allow-private")
	}
	return nil
}

// bounded names us in each request and cuts off answers that are too long.
type bounded struct{ next http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != "https" && r.URL.Scheme != "http" {
		return nil, fmt.Errorf("egress: no way out for %q", r.URL.Scheme)
	}
	r = r.Clone(r.Context())
	r.Header.Set("User-Agent", userAgent)
	res, err := b.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	res.Body = &limited{ReadCloser: res.Body, left: MaxAnswer}
	return res, nil
}

// CloseIdleConnections lets http.Client's method of that name reach the transport.
func (b bounded) CloseIdleConnections() {
	if c, ok := b.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

type limited struct {
	io.ReadCloser
	left int64
}

func (l *limited) Read(p []byte) (int, error) {
	if l.left < 0 {
		return 0, ErrTooLarge
	}
	if int64(len(p)) > l.left+1 {
		p = p[:l.left+1]
	}
	n, err := l.ReadCloser.Read(p)
	if l.left -= int64(n); l.left < 0 {
		return n - 1, ErrTooLarge
	}
	return n, err
}

// Reason is why a request got no answer, in words that name neither the address nor anything behind a firewall.
func Reason(err error) string {
	var dns *net.DNSError
	var cert *tls.CertificateVerificationError
	var op *net.OpError
	switch {
	case err == nil:
		return ""
	case errors.Is(err, ErrPrivate):
		return "the address is not on the public internet"
	case errors.Is(err, ErrTooLarge):
		return "the answer was too long"
	case errors.Is(err, context.Canceled):
		return "it was cut off on our side"
	case errors.As(err, &dns) && dns.IsNotFound:
		return "there is no host of this name"
	case errors.As(err, &dns):
		return "the name of the host could not be looked up"
	case errors.As(err, &cert):
		return "the server's certificate is not valid"
	case isTimeout(err):
		return "no answer in time"
	case errors.As(err, &op) && op.Op == "dial":
		return "no connection"
	}
	return "the connection failed"
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &t) && t.Timeout()
}
