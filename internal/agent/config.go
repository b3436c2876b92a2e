package agent

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/kept-dev/kept/internal/agent/host"
	"github.com/kept-dev/kept/internal/agent/probe"
)

// Config says what an agent reads and where it sends it.
type Config struct {
	Server string // address of the server, such as https://kept.example.com
	Write  string // address for samples, where it is not Server's usual one: any remote write 2.0 receiver
	Key    string // what enrolment gave; "" where a certificate says who this is

	CertFile, KeyFile string // client certificate of somebody else's making, for a proxy; read again for each connection
	CAFile            string // certificates to trust instead of the system's

	StateDir    string        // where the buffer is, and the client certificate that the agent has made for itself
	BufferBytes int64         // how large it gets; 0 for 256 MiB
	BufferAge   time.Duration // how old; 0 for two days

	Interval time.Duration // between measurements; 0 for 15 s
	Instance string        // the label of all series; "" for the host's name
	Labels   map[string]string

	Only, Except  []string // collectors
	IgnoreDevices string
	TextfileDir   string
	TopProcesses  int
	MaxSeries     int // of the host, and of each target; 0 for 20,000

	Targets []Target
	Probes  []probe.Probe

	// KeepOnExit leaves series open when the agent stops, instead of marking that they ended.
	KeepOnExit bool

	Version string
	Log     *slog.Logger

	// Transport replaces the network between the agent, the server and targets, for tests.
	Transport http.RoundTripper
	// Proc, Sys and Root stand for /proc, /sys and /, for tests and containers.
	Proc, Sys, Root string
}

var labelName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]{0,99}$`)

// Target is a program on this host, or near it, that exposes measurements over HTTP.
type Target struct {
	Job     string
	URL     string
	Every   time.Duration // 0 for the agent's interval
	Timeout time.Duration // 0 for 10 s; less than Every
}

// fill puts the defaults in.
func (c *Config) fill() {
	set := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	set(&c.Interval, 15*time.Second)
	set(&c.BufferAge, 48*time.Hour)
	if c.BufferBytes <= 0 {
		c.BufferBytes = 256 << 20
	}
	if c.MaxSeries <= 0 {
		c.MaxSeries = 20_000
	}
	if c.TopProcesses <= 0 {
		c.TopProcesses = 10
	}
	if c.Instance == "" {
		c.Instance, _ = os.Hostname()
	}
	if c.Instance == "" {
		c.Instance = "unknown"
	}
	if c.Version == "" {
		c.Version = "unknown"
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	for i := range c.Targets {
		t := &c.Targets[i]
		set(&t.Every, c.Interval)
		t.Every = max(t.Every.Truncate(c.Interval), c.Interval)
		set(&t.Timeout, 10*time.Second)
		t.Timeout = min(t.Timeout, t.Every*9/10)
	}
	for i := range c.Probes {
		p := &c.Probes[i]
		set(&p.Every, max(c.Interval, time.Minute))
		p.Every = max(p.Every.Truncate(c.Interval), c.Interval)
		set(&p.Timeout, 10*time.Second)
		p.Timeout = min(p.Timeout, p.Every*9/10)
	}
}

// Check says what is wrong with a configuration.
func (c *Config) Check() error {
	if c.Interval < 0 || c.Interval > time.Hour || c.Interval%time.Second != 0 {
		return errors.New("the interval must be whole seconds, at most an hour")
	}
	if _, err := c.writeURL(); err != nil {
		return err
	}
	if (c.CertFile == "") != (c.KeyFile == "") {
		return errors.New("a client certificate needs both its files")
	}
	for name := range c.Labels {
		if !labelName.MatchString(name) || name == "job" || name == "instance" {
			return fmt.Errorf("%s cannot be a label for all series", name)
		}
	}
	if _, err := regexp.Compile(c.IgnoreDevices); err != nil {
		return fmt.Errorf("devices to ignore: %w", err)
	}
	for _, name := range slices.Concat(c.Only, c.Except) {
		if !slices.Contains(host.Names(), name) {
			return fmt.Errorf("there is no collector %s; there are %s", name, strings.Join(host.Names(), ", "))
		}
	}
	jobs := map[string]bool{}
	for _, t := range c.Targets {
		u, err := url.Parse(t.URL)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return fmt.Errorf("%s is no address to scrape: it begins with http:// or https://", t.URL)
		}
		if t.Job == "" || jobs[t.Job+t.URL] {
			return fmt.Errorf("the target %s has no name, or is there twice", t.URL)
		}
		jobs[t.Job+t.URL] = true
	}
	for _, p := range c.Probes {
		if err := p.Check(); err != nil {
			return err
		}
	}
	return nil
}

// writeURL is where samples go.
func (c *Config) writeURL() (string, error) {
	if c.Write != "" {
		return c.Write, checkURL(c.Write)
	}
	if c.Server == "" {
		return "", errors.New("which server? Enrol this host, or set the server")
	}
	return c.at("/prometheus/api/v1/write"), checkURL(c.Server)
}

// at is a path on the server.
func (c *Config) at(path string) string { return strings.TrimRight(c.Server, "/") + path }

func checkURL(address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return fmt.Errorf("%s is no address of a server: it begins with https://", address)
	}
	return nil
}

// client returns the HTTP client for the server. One connection stays open: a new one for each request would cost more
// processor time than all measurements. HTTP/2 would cost memory and gain nothing for one request at a time.
func (c *Config) client(own *held) (*http.Client, error) {
	client := &http.Client{
		Transport:     c.Transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	if c.Transport != nil {
		return client, nil
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, err
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s has no certificate", c.CAFile)
		}
	}
	conf.GetClientCertificate = own.forTLS
	if c.CertFile != "" {
		if _, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile); err != nil {
			return nil, err
		}
		conf.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile) // it may have been renewed
			return &pair, err
		}
	}
	client.Transport = &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		TLSClientConfig:     conf,
		TLSHandshakeTimeout: 10 * time.Second,
		MaxIdleConns:        2,
		IdleConnTimeout:     max(90*time.Second, 4*c.Interval),
		WriteBufferSize:     4 << 10,
		ReadBufferSize:      4 << 10,
	}
	return client, nil
}
