package httpx

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/kept-dev/kept/internal/kernel"
)

// The limits of a route that names none.
const (
	DefaultMaxBody = 1 << 20          // bytes
	DefaultTimeout = 30 * time.Second // of a handler
	DefaultFresh   = 10 * time.Minute // of a proof of identity
)

// Config is what a Mux needs. The zero value of each field is a working default, except that without an Authenticator
// nobody is ever signed in.
type Config struct {
	Auth           Authenticator
	Limiter        *Limiter       // nil: one with DefaultRates
	AccessLog      AccessLog      // nil: requests are not recorded
	Metrics        *Metrics       // nil: requests are not counted
	Logger         *slog.Logger   // nil: slog.Default
	Clock          kernel.Clock   // nil: the system clock
	TrustedProxies []netip.Prefix // whose X-Forwarded-For, X-Forwarded-Proto and X-Request-Id are believed
	TrustedOrigins []string       // scheme://host of other origins that may post forms, e.g. the base URL behind a proxy
	SecretPrefixes []string       // how keys begin; a word with one and 16 more characters is redacted wherever it stands in a logged URL
	Secure         bool           // people reach the server over TLS even if a proxy ends it: HSTS, Secure cookies

	Allows    func(role string, p Permission) bool // nil: no role may do anything
	Fresh     time.Duration                        // how long a proof of identity lasts for Route.StepUp; 0 is DefaultFresh
	ProvePath string                               // the page where a person proves who he is; empty is /account/prove

	// ErrorPage answers an error for somebody who reads pages. Nil: plain text.
	ErrorPage func(w http.ResponseWriter, r *http.Request, status int, e *kernel.Error, requestID string)
	// Audit is called after each request on a route with an audit action, whatever its outcome.
	Audit func(r *http.Request, route Route, outcome Outcome)
}

// Outcome is how a request on an audited route ended.
type Outcome struct {
	Status int
	Code   kernel.Code // of the error; empty when there was none
	At     time.Time   // when the request began
	Actor  Actor       // who made it; zero when it was refused before that was known

	Recorded bool // the handler wrote an audit event by itself; see Audited
}

// Mux is the server's route table and the edge in front of it.
type Mux struct {
	cfg       Config
	mux       *http.ServeMux
	routes    []Route
	anyPrefix []string // literal paths served under any prefix
	crossSite *http.CrossOriginProtection
	compress  func(http.Handler) http.HandlerFunc
	unmatched *entry
	streams   context.Context // ends when live streams must
	endStream context.CancelFunc
}

// NewMux makes a Mux without routes. It fails when a trusted origin is not one.
func NewMux(cfg Config) (*Mux, error) {
	if cfg.Clock == nil {
		cfg.Clock = kernel.SystemClock
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.Limiter == nil {
		cfg.Limiter = NewLimiter(nil, cfg.Clock)
	}
	if cfg.Auth == nil {
		cfg.Auth = nobody{}
	}
	if cfg.ErrorPage == nil {
		cfg.ErrorPage = plainError
	}
	if cfg.Allows == nil {
		cfg.Allows = func(string, Permission) bool { return false }
	}
	if cfg.Fresh == 0 {
		cfg.Fresh = DefaultFresh
	}
	if cfg.ProvePath == "" {
		cfg.ProvePath = "/account/prove"
	}
	m := &Mux{cfg: cfg, mux: http.NewServeMux(), crossSite: http.NewCrossOriginProtection()}
	m.streams, m.endStream = context.WithCancel(context.Background())
	for _, origin := range cfg.TrustedOrigins {
		if err := m.crossSite.AddTrustedOrigin(origin); err != nil {
			return nil, fmt.Errorf("httpx: trusted origin: %w", err)
		}
	}
	var err error
	if m.compress, err = newCompressor(); err != nil {
		return nil, fmt.Errorf("httpx: compression: %w", err)
	}
	m.unmatched = m.newEntry(Route{Access: Public, Rate: RatePage, Handler: m.notFound})
	m.mux.Handle("/", m.unmatched.handler())
	return m, nil
}

// Add registers routes. A route that breaks a rule of the table is refused with the reason, and none after it is added.
func (m *Mux) Add(routes ...Route) error {
	for _, r := range routes {
		if err := m.check(r); err != nil {
			return fmt.Errorf("httpx: route %s %s: %w", r.Method, r.Path, err)
		}
		if err := m.handle(r); err != nil {
			return fmt.Errorf("httpx: route %s %s: %w", r.Method, r.Path, err)
		}
		m.routes = append(m.routes, r)
		if r.AnyPrefix {
			m.anyPrefix = append(m.anyPrefix, r.Path)
		}
	}
	return nil
}

// handle turns the panic of ServeMux about a pattern that is wrong, or that conflicts with another, into an error.
func (m *Mux) handle(r Route) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	m.mux.Handle(r.Method+" "+r.Path, m.newEntry(r).handler())
	return nil
}

// Table is a copy of the route table in the order of registration.
func (m *Mux) Table() []Route { return slices.Clone(m.routes) }

// Limiter is the Mux's limiter, for handlers that learn by themselves which key a request has.
func (m *Mux) Limiter() *Limiter { return m.cfg.Limiter }

// CloseStreams ends the contexts of live streams, which would otherwise keep a server from shutting down. It may be
// called again.
func (m *Mux) CloseStreams() { m.endStream() }

// ServeHTTP answers a request: it makes the request's exchange, then hands over to the matching route.
func (m *Mux) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := m.newExchange(w, r)
	r = r.WithContext(x)
	m.normalise(r)
	x.Header()["X-Request-Id"] = []string{x.id}
	defer m.finish(x, r)
	m.mux.ServeHTTP(x, r)
}

// notFound answers what no route matches. When the path exists with other methods it is 405 and says which.
func (m *Mux) notFound(w http.ResponseWriter, r *http.Request) error {
	if allowed := m.allowed(r); len(allowed) > 0 {
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		return errMethod
	}
	return kernel.Errorf(kernel.NotFound, "There is nothing at this address.")
}

func (m *Mux) allowed(r *http.Request) []string {
	var out []string
	probe := *r
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"} {
		probe.Method = method
		if _, pattern := m.mux.Handler(&probe); pattern != "/" && pattern != "" {
			out = append(out, method)
		}
	}
	return out
}
