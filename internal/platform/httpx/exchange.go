package httpx

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/kept-dev/kept/internal/kernel"
)

// exchange is one request and its answer as the edge sees them. It is the request's context and the response's writer
// in one value, because ingest is counted in microseconds and each of these would be an allocation of its own.
type exchange struct {
	context.Context
	http.ResponseWriter
	route  *entry
	start  time.Time
	id     string
	target string // path and query as they came, before normalising; secrets are still in it
	client netip.Addr
	secure bool // the client speaks TLS with us or with a trusted proxy
	actor  Actor
	status int
	begun  bool // the handler has written something, be it only into the compressor's buffer
	bytes  int64
	err    *kernel.Error // why the answer is an error

	recorded atomic.Bool // see Audited
}

type exchangeKey struct{}

// Value makes the exchange and its actor findable from the request's context.
func (x *exchange) Value(key any) any {
	switch key {
	case exchangeKey{}:
		return x
	case actorKey{}:
		return x.actor
	}
	return x.Context.Value(key)
}

func (m *Mux) newExchange(w http.ResponseWriter, r *http.Request) *exchange {
	x := &exchange{Context: r.Context(), ResponseWriter: w, route: m.unmatched, start: m.cfg.Clock(), target: r.URL.RequestURI()}
	peer := peerAddr(r.RemoteAddr)
	x.client, x.secure = peer, r.TLS != nil || m.cfg.Secure
	if len(m.cfg.TrustedProxies) > 0 && m.trusted(peer) {
		m.believeProxy(x, r)
	}
	if x.id == "" {
		x.id = newRequestID()
	}
	return x
}

func newRequestID() string {
	var raw [12]byte
	var out [24]byte
	rand.Read(raw[:])
	hex.Encode(out[:], raw[:])
	return string(out[:])
}

func exchangeOf(ctx context.Context) *exchange {
	x, _ := ctx.Value(exchangeKey{}).(*exchange)
	return x
}

// RequestID names the request that ctx belongs to, in the log and in error answers; empty outside of a request.
func RequestID(ctx context.Context) string {
	if x := exchangeOf(ctx); x != nil {
		return x.id
	}
	return ""
}

// ClientIP is the address of the client of the request that ctx belongs to, as far as trusted proxies tell it. The zero
// Addr is unknown.
func ClientIP(ctx context.Context) netip.Addr {
	if x := exchangeOf(ctx); x != nil {
		return x.client
	}
	return netip.Addr{}
}

// Audited notes that an audit event was written for the request that ctx belongs to: the edge, which sees to it that
// each change leaves one, need not.
func Audited(ctx context.Context) {
	if x := exchangeOf(ctx); x != nil {
		x.recorded.Store(true)
	}
}

// Identify notes who makes the request that ctx belongs to, for the log, on a route whose handler finds that out itself
// (Handled).
func Identify(ctx context.Context, a Actor) {
	if x := exchangeOf(ctx); x != nil {
		x.actor = a
	}
}

// WriteHeader notes the status on its way to the client.
func (x *exchange) WriteHeader(status int) {
	if x.status == 0 && status >= 200 {
		x.status, x.begun = status, true
	}
	x.ResponseWriter.WriteHeader(status)
}

// Write counts the bytes on their way to the client, compressed where the answer is.
func (x *exchange) Write(b []byte) (int, error) {
	if x.status == 0 {
		x.status, x.begun = http.StatusOK, true
	}
	n, err := x.ResponseWriter.Write(b)
	x.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (x *exchange) Unwrap() http.ResponseWriter { return x.ResponseWriter }

// Flush serves libraries that look for an http.Flusher.
func (x *exchange) Flush() { _ = http.NewResponseController(x.ResponseWriter).Flush() }

// inner stands between a handler and the compressor, which holds small answers back: only here does one see that the
// handler has begun to answer.
type inner struct {
	http.ResponseWriter
	x *exchange
}

func (w *inner) WriteHeader(status int) {
	w.x.begun = w.x.begun || status >= 200
	w.ResponseWriter.WriteHeader(status)
}

func (w *inner) Write(b []byte) (int, error) {
	w.x.begun = true
	return w.ResponseWriter.Write(b)
}

func (w *inner) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *inner) Flush() { _ = http.NewResponseController(w.ResponseWriter).Flush() }
