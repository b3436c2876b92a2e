package series

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage/remote"

	"github.com/kept-dev/kept/internal/kernel"
)

// WorkspaceLabel marks whose a series is in a cluster. It is put on every series that is written and asked for in every
// question, and it is taken off what is read; what people send or ask under that name is ignored.
const WorkspaceLabel = "kept_workspace"

// tenantHeader names the tenant to clusters that have any (Mimir, Cortex, Thanos): one for each workspace. With those the
// label is a second fence; for the others it is the only one.
const tenantHeader = "X-Scope-OrgID"

// RemoteConfig says where a cluster is. Zero values are the defaults.
type RemoteConfig struct {
	// URL is the address below which the cluster has /api/v1/query and the like; user and password may be in it.
	URL    string
	Logger *slog.Logger
	Clock  kernel.Clock
	// Timeout is how long one request may take. Default 30 s.
	Timeout time.Duration
	// RetryFor is for how long a write is tried again while the cluster is out of order. Default 20 s.
	RetryFor time.Duration
	// Transport makes the connections. Nil is a new one.
	Transport http.RoundTripper
}

// Remote is the adapter for a cluster that takes remote write and answers the query API of Prometheus: Prometheus itself,
// Mimir, Thanos, VictoriaMetrics. An append is done when the cluster says so, so nothing is buffered here. How long the
// cluster keeps samples, and how many series it takes, is its own setting.
type Remote struct {
	cfg    RemoteConfig
	base   *url.URL
	http   *http.Client
	read   *remote.Client
	closed atomic.Bool

	oldWrite atomic.Bool  // the cluster knows remote write 1.0 only
	writeAt  atomic.Int32 // which of writePaths it has
	noRead   atomic.Bool  // the cluster has no remote read
}

var _ Store = (*Remote)(nil)

// NewRemote makes the adapter. The cluster is not asked for anything yet.
func NewRemote(cfg RemoteConfig) (*Remote, error) {
	base, err := url.Parse(strings.TrimRight(cfg.URL, "/"))
	if err != nil || (base.Scheme != "http" && base.Scheme != "https") || base.Host == "" {
		return nil, errors.New("series: the address of the cluster must be an http or https URL") // without it: it may hold a password
	}
	if cfg.Logger == nil {
		cfg.Logger = promslog.NewNopLogger()
	}
	if cfg.Clock == nil {
		cfg.Clock = kernel.SystemClock
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 30 * time.Second
	}
	if cfg.RetryFor == 0 {
		cfg.RetryFor = 20 * time.Second
	}
	if cfg.Transport == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.MaxIdleConnsPerHost = 32
		cfg.Transport = t
	}
	r := &Remote{cfg: cfg, base: base, http: &http.Client{Transport: tenantTransport{cfg.Transport, base.User}}}
	reader, err := remote.NewReadClient("series", &remote.ClientConfig{
		URL: &config.URL{URL: r.at("/api/v1/read", nil)}, Timeout: model.Duration(cfg.Timeout), ChunkedReadLimit: 64 << 20,
	})
	if err != nil {
		return nil, fmt.Errorf("series: %w", err)
	}
	r.read = reader.(*remote.Client)
	r.read.Client = r.http
	return r, nil
}

// at is an address of the cluster, without user and password.
func (r *Remote) at(path string, q url.Values) *url.URL {
	u := *r.base
	u.Path, u.User, u.RawQuery = u.Path+path, nil, q.Encode()
	return &u
}

// tenantTransport says on each request for whom it is, and who asks.
type tenantTransport struct {
	http.RoundTripper
	user *url.Userinfo
}

type tenantKey struct{}

func forTenant(ctx context.Context, ws kernel.WorkspaceID) context.Context {
	return context.WithValue(ctx, tenantKey{}, ws)
}

func (t tenantTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	if ws, ok := req.Context().Value(tenantKey{}).(kernel.WorkspaceID); ok {
		req.Header.Set(tenantHeader, string(ws))
	}
	if t.user != nil {
		password, _ := t.user.Password()
		req.SetBasicAuth(t.user.Username(), password)
	}
	return t.RoundTripper.RoundTrip(req)
}

// Close implements Store.
func (r *Remote) Close() error {
	r.closed.Store(true)
	r.http.CloseIdleConnections()
	return nil
}

// ready tells why a workspace cannot be asked for.
func (r *Remote) ready(ws kernel.WorkspaceID) error {
	if !kernel.ValidID(string(ws)) {
		return fmt.Errorf("series: %q is no workspace", ws)
	}
	if r.closed.Load() {
		return ErrClosed
	}
	return nil
}

// For implements Store.
func (r *Remote) For(ws kernel.WorkspaceID) Storage { return cluster{r, ws} }

// cluster is one workspace in the cluster.
type cluster struct {
	r  *Remote
	ws kernel.WorkspaceID
}

// own is the matcher that every question has.
func (c cluster) own() *labels.Matcher {
	return labels.MustNewMatcher(labels.MatchEqual, WorkspaceLabel, string(c.ws))
}

// within restricts matchers to the workspace. Seen from within, no series has the label: a matcher on it is true or false
// of the empty value, and false means that nothing can match.
func (c cluster) within(matchers []*labels.Matcher) (out []*labels.Matcher, possible bool) {
	for _, m := range matchers {
		if m.Name != WorkspaceLabel {
			out = append(out, m)
		} else if !m.Matches("") {
			return nil, false
		}
	}
	return append(out, c.own()), true
}

// selector writes matchers as the query language has them.
func selector(matchers []*labels.Matcher) string {
	parts := make([]string, len(matchers))
	for i, m := range matchers {
		parts[i] = m.String()
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// statusError is an answer that is no success.
type statusError struct {
	status     int
	text       string
	retryAfter time.Duration
}

func (e *statusError) Error() string {
	return fmt.Sprintf("series: the cluster answered %d: %s", e.status, e.text)
}

func statusOf(err error) int {
	if e, ok := errors.AsType[*statusError](err); ok {
		return e.status
	}
	return 0
}

const (
	maxAnswer  = 256 << 20 // of labels, exemplars and raw samples
	maxMessage = 300       // of what a cluster says of an error
)

func failure(res *http.Response) error {
	text, _ := io.ReadAll(io.LimitReader(res.Body, maxMessage)) // only for the message
	e := &statusError{status: res.StatusCode, text: strings.TrimSpace(string(text))}
	if wait, err := time.ParseDuration(res.Header.Get("Retry-After") + "s"); err == nil && wait > 0 {
		e.retryAfter = wait
	}
	return e
}

// ask gets an answer of the query API, whose data is read into out.
func (r *Remote) ask(ctx context.Context, path string, q url.Values, out any) error {
	return r.call(ctx, http.MethodGet, r.at(path, q), out)
}

func (r *Remote) call(ctx context.Context, method string, u *url.URL, out any) error {
	if r.closed.Load() {
		return ErrClosed
	}
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, u.String(), nil)
	if err != nil {
		return fmt.Errorf("series: %w", err)
	}
	res, err := r.http.Do(req)
	if err != nil {
		return fmt.Errorf("series: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode/100 != 2 {
		return failure(res)
	}
	if out == nil {
		return nil
	}
	answer := struct {
		Data any `json:"data"`
	}{out}
	if err := json.NewDecoder(io.LimitReader(res.Body, maxAnswer)).Decode(&answer); err != nil {
		return fmt.Errorf("series: what the cluster answered: %w", err)
	}
	return nil
}
