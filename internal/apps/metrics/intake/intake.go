// Package intake is the ways in for metrics: Prometheus remote write 1.0 and 2.0 and OTLP over HTTP. All of them end in one
// transaction on the workspace's series per request: when a request is answered with success, what it carried is in the
// store's log and survives the death of this process. Messages are read where they lie, with limits, so that no small
// request becomes a large one in memory.
package intake

import (
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/model/labels"
	"golang.org/x/sync/semaphore"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/httpx/respond"
	"github.com/kept-dev/kept/internal/platform/series"
)

// Limits of one request and of all requests that are being read.
const (
	MaxBody    = 32 << 20  // bytes as they come
	maxDecoded = 32 << 20  // bytes, decompressed
	maxMemory  = 256 << 20 // bytes, decompressed, of all requests at once; others wait
)

// Deps is what the ways in need.
type Deps struct {
	Store series.Store
	// ByToken finds whose API key a token is; Unauthenticated when it is nobody's.
	ByToken func(ctx context.Context, token string) (httpx.Actor, error)
	// ByCertificate finds whose client certificate it is; Unauthenticated when it is nobody's. Nil: certificates say nothing.
	ByCertificate func(ctx context.Context, c *x509.Certificate) (httpx.Actor, error)
	// Rules are what a workspace wants dropped.
	Rules func(ctx context.Context, ws kernel.WorkspaceID) (*Rules, error)
	// Rate is how many samples a second a workspace may send; 0 is no limit. Nil is no limit.
	Rate func(ctx context.Context, ws kernel.WorkspaceID) (float64, error)
	// Used is told what each request carried: it must be quick. Nil: nobody counts.
	Used func(ws kernel.WorkspaceID, c Counts)
	// Means is told what senders say of metrics, again and again: it must be quick, and copy what it keeps. Nil: nobody
	// listens.
	Means func(ws kernel.WorkspaceID, metric string, m Meaning)
	// Host is told of the labels of each node_uname_info that comes: it must be quick.
	Host func(ws kernel.WorkspaceID, ls labels.Labels)
	// Resource is told of each resource of an OTLP request that names its host: it must be quick. Nil: nobody listens.
	Resource func(ws kernel.WorkspaceID, r Resource)
	Clock    kernel.Clock
	Logger   *slog.Logger
}

// Intake is the ways in.
type Intake struct {
	d       Deps
	memory  *semaphore.Weighted
	quotas  *quotas
	samples *prometheus.CounterVec
}

// New makes the ways in.
func New(d Deps) (*Intake, error) {
	if d.Store == nil || d.ByToken == nil || d.Clock == nil {
		return nil, errors.New("intake: Store, ByToken and Clock are needed")
	}
	if d.Rules == nil {
		d.Rules = func(context.Context, kernel.WorkspaceID) (*Rules, error) { return nil, nil }
	}
	if d.Used == nil {
		d.Used = func(kernel.WorkspaceID, Counts) {}
	}
	if d.Means == nil {
		d.Means = func(kernel.WorkspaceID, string, Meaning) {}
	}
	if d.Resource == nil {
		d.Resource = func(kernel.WorkspaceID, Resource) {}
	}
	if d.Host == nil {
		d.Host = func(kernel.WorkspaceID, labels.Labels) {}
	}
	if d.Logger == nil {
		d.Logger = slog.Default()
	}
	return &Intake{d: d, memory: semaphore.NewWeighted(maxMemory), quotas: newQuotas(d.Clock),
		samples: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "kept_metrics_samples_total",
			Help: "Samples and histograms that came, by protocol and what became of them."}, []string{"protocol", "result"})}, nil
}

// Metrics counts what came.
func (in *Intake) Metrics() []prometheus.Collector { return []prometheus.Collector{in.samples} }

// count notes what a request carried: for the quota, for the workspace and for the operator.
func (in *Intake) count(ws kernel.WorkspaceID, protocol string, c Counts) {
	in.quotas.take(ws, c.Samples+c.Histograms+c.Refused)
	in.d.Used(ws, c)
	in.samples.WithLabelValues(protocol, "stored").Add(float64(c.Samples + c.Histograms - c.Dropped))
	in.samples.WithLabelValues(protocol, "dropped").Add(float64(c.Dropped))
	in.samples.WithLabelValues(protocol, "refused").Add(float64(c.Refused))
}

// key is whose key a request has: as a bearer token, or as the password of basic authentication, whatever the user, for
// programs that know nothing else. Without either, the client certificate says it.
func (in *Intake) key(r *http.Request) (actor httpx.Actor, err error) {
	token := ""
	if _, password, ok := r.BasicAuth(); ok {
		token = password
	} else if scheme, rest, _ := strings.Cut(r.Header.Get("Authorization"), " "); strings.EqualFold(scheme, "Bearer") {
		token = strings.TrimSpace(rest)
	}
	switch {
	case token != "":
		actor, err = in.d.ByToken(r.Context(), token)
	case in.d.ByCertificate != nil && r.TLS != nil && len(r.TLS.PeerCertificates) > 0:
		actor, err = in.d.ByCertificate(r.Context(), r.TLS.PeerCertificates[0])
	default:
		return actor, kernel.Errorf(kernel.Unauthenticated, "Send an API key: as Authorization: Bearer <key>, or as the password of basic authentication.")
	}
	if err != nil {
		return actor, err
	}
	httpx.Identify(r.Context(), actor)
	if !slices.Contains(actor.Scopes, "ingest") {
		return actor, kernel.Errorf(kernel.Forbidden, "This API key may not send metrics. Make one with the scope ingest.")
	}
	return actor, in.quota(r.Context(), actor.WorkspaceID)
}

func (in *Intake) quota(ctx context.Context, ws kernel.WorkspaceID) error {
	if in.d.Rate == nil {
		return nil
	}
	rate, err := in.d.Rate(ctx, ws)
	if err != nil || rate <= 0 {
		return err
	}
	return in.quotas.admit(ws, rate)
}

// retry makes a client send again what could not be stored for a reason that is not its own.
func (in *Intake) retry(r *http.Request, err error) error {
	if kernel.CodeOf(err) != kernel.Internal {
		return err
	}
	if r.Context().Err() == nil {
		in.d.Logger.Error("metrics could not be stored", "error", err)
	}
	return &kernel.Error{Code: kernel.Unavailable, Safe: "The metrics could not be stored. Send them again.", RetryAfter: 5 * time.Second, Cause: err}
}

// Fail answers an error in plain text, as senders show it in their logs.
func Fail(w http.ResponseWriter, status int, e *kernel.Error, _ string) {
	respond.SetRetryAfter(w.Header(), e)
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="Kept", Basic realm="Kept"`)
	}
	_ = respond.Text(w, status, e.Safe+"\n") // a client that left
}
