package kept

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// PayloadPolicy says how much of a job's own data leaves the program: its
// input, return value, log line meta data, and progress that is not a number.
type PayloadPolicy string

// The policies. The zero value is PayloadFull.
const (
	PayloadFull PayloadPolicy = "full" // keys and values, redacted
	PayloadKeys PayloadPolicy = "keys" // keys, with the JSON type's name in place of each value
	PayloadNone PayloadPolicy = "none" // nothing
)

// Config configures a [Client]. Only Endpoint and APIKey are needed, and both
// may come from the environment.
type Config struct {
	Endpoint string // base URL of the server, a path prefix is kept; default $KEPT_ENDPOINT
	APIKey   string // at least 10 printable ASCII characters; default $KEPT_API_KEY
	Env      string // environment of events that name none, such as "production"; default $KEPT_ENV

	BatchSize     int           // events that start a request; default 100, at most 500
	FlushInterval time.Duration // longest wait of an event for company; default 1 s
	BufferSize    int           // events kept while the server is slow or away; default 10 000
	BufferBytes   int           // bytes kept likewise; default 64 MiB
	Timeout       time.Duration // of one request; default 10 s
	PanicFlush    time.Duration // how long Run may wait to deliver before it lets a panic go on; default 1 s, negative is not at all

	Payload         PayloadPolicy // default PayloadFull
	MaxPayloadBytes int           // a larger input, result or meta becomes {"_notice":"[INPUT_TOO_LARGE]"}; default 1 MiB
	MaxTextBytes    int           // error texts, stacks and log lines are cut there; default 64 KiB
	Redact          Redaction     // the zero value redacts

	// OnError is told about events that will not arrive: how many, and why.
	// It runs on the sending goroutine, so it must not wait for this client.
	OnError func(err error, lost int)
	Logger  *slog.Logger // for trouble with delivery, never content; default slog.Default()

	HTTPClient *http.Client     // default: an own client; redirects are never followed
	Now        func() time.Time // stamps events without a time; default time.Now
}

// Limits of the protocol.
const (
	maxEventsPerRequest = 500
	maxBodyBytes        = 5 << 20
)

// ErrNotConfigured is wrapped by New's error when endpoint or key is missing,
// so that a program can run without reporting where none is set up.
var ErrNotConfigured = errors.New("kept: no endpoint or API key")

func (c Config) withDefaults() (Config, error) {
	c.Endpoint = strings.TrimRight(or(c.Endpoint, os.Getenv("KEPT_ENDPOINT")), "/")
	c.APIKey = or(c.APIKey, os.Getenv("KEPT_API_KEY"))
	c.Env = or(c.Env, os.Getenv("KEPT_ENV"))
	c.BatchSize = min(or(c.BatchSize, 100), maxEventsPerRequest)
	c.FlushInterval = or(c.FlushInterval, time.Second)
	c.BufferSize = or(c.BufferSize, 10_000)
	c.BufferBytes = or(c.BufferBytes, 64<<20)
	c.Timeout = or(c.Timeout, 10*time.Second)
	c.PanicFlush = or(c.PanicFlush, time.Second)
	c.Payload = or(c.Payload, PayloadFull)
	c.MaxPayloadBytes = min(or(c.MaxPayloadBytes, 1<<20), maxBodyBytes/4)
	c.MaxTextBytes = min(or(c.MaxTextBytes, 64<<10), maxBodyBytes/16)
	c.Logger = or(c.Logger, slog.Default())
	if c.Now == nil {
		c.Now = time.Now
	}
	return c, c.check()
}

func (c Config) check() error {
	if c.Endpoint == "" || c.APIKey == "" {
		return fmt.Errorf("%w: set Config.Endpoint and Config.APIKey, or KEPT_ENDPOINT and KEPT_API_KEY", ErrNotConfigured)
	}
	u, err := url.Parse(c.Endpoint)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return errors.New("kept: the endpoint must be an http or https URL, such as https://kept.example.com")
	}
	if len(c.APIKey) < 10 || strings.ContainsFunc(c.APIKey, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return errors.New("kept: the API key must be at least 10 printable ASCII characters without spaces")
	}
	if c.BatchSize < 1 || c.BufferSize < 1 || c.BufferBytes < 1 || c.MaxPayloadBytes < 1 || c.MaxTextBytes < 1 {
		return errors.New("kept: sizes must be positive")
	}
	if c.FlushInterval < 0 || c.Timeout < 0 {
		return errors.New("kept: FlushInterval and Timeout must be positive")
	}
	switch c.Payload {
	case PayloadFull, PayloadKeys, PayloadNone:
		return nil
	}
	return fmt.Errorf("kept: unknown payload policy %q; use full, keys or none", c.Payload)
}

func or[T comparable](v, fallback T) T {
	var zero T
	if v == zero {
		return fallback
	}
	return v
}
