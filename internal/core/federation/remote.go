package federation

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Limits of what is asked of a provider.
const (
	remoteTimeout = 10 * time.Second
	maxAnswer     = 1 << 20 // bytes
	maxRedirects  = 3
)

// errHost is what a connection to a host ends with that nobody was told of.
var errHost = errors.New("this host is not one of the provider's: list it under hosts, if it is")

// newRemote makes a client that connects to the given hosts and to no other (USE-3), gives up after a while, and reads so
// much and no more.
func newRemote(base *http.Client, hosts []string) *http.Client {
	next := http.DefaultTransport
	if base != nil && base.Transport != nil {
		next = base.Transport
	}
	return &http.Client{
		Timeout: remoteTimeout, Transport: &bounded{next: next, hosts: hosts},
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			if len(via) > maxRedirects || r.URL.Host != via[0].URL.Host || r.URL.Scheme != via[0].URL.Scheme {
				return errors.New("the provider answers with a redirect to elsewhere")
			}
			return nil
		},
	}
}

// bounded is a transport with limits.
type bounded struct {
	next  http.RoundTripper
	hosts []string
}

// RoundTrip asks one of the hosts, over TLS.
func (b *bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	if !slices.Contains(b.hosts, strings.ToLower(r.URL.Hostname())) {
		return nil, fmt.Errorf("%s: %w", r.URL.Hostname(), errHost)
	}
	if r.URL.Scheme != "https" && !loopback(r.URL.Hostname()) {
		return nil, fmt.Errorf("%s: not over TLS", r.URL.Hostname())
	}
	res, err := b.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	res.Body = &boundedBody{ReadCloser: res.Body, left: maxAnswer}
	return res, nil
}

// boundedBody is an answer that must end in time.
type boundedBody struct {
	io.ReadCloser
	left int64
}

// Read fails where a longer answer would go on: what was cut off must not look like a whole.
func (b *boundedBody) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, errors.New("the provider's answer is too large")
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left+1)])
	b.left -= int64(n)
	if b.left < 0 {
		return 0, errors.New("the provider's answer is too large")
	}
	return n, err
}
