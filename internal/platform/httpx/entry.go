package httpx

import (
	"context"
	"errors"
	"net/http"

	"github.com/kept-dev/kept/internal/kernel"
)

// entry is a registered route with all that can be worked out before a request comes.
type entry struct {
	Route
	mux     *Mux
	squeeze bool // answers are compressed
	browser bool // browsers send their cookies here, so other sites could make them do it
	headers []header
	metrics *routeMetrics
}

func (m *Mux) newEntry(r Route) *entry {
	e := &entry{Route: r, mux: m, headers: pageHeaders(m.cfg.Secure)}
	e.browser = r.Access == Public || r.Access == SignedIn || r.Access == Member
	if r.Rate == RateIngest {
		e.headers = machineHeaders
	}
	if e.MaxBody == 0 {
		e.MaxBody = DefaultMaxBody
	}
	if e.Timeout == 0 {
		e.Timeout = DefaultTimeout
	}
	e.squeeze = r.Rate != RateIngest && r.Rate != RateLive
	e.metrics = m.cfg.Metrics.route(r)
	return e
}

// handler wraps the entry for ServeMux. Machines' answers are a few bytes and live streams must not be held back, so
// neither is compressed.
func (e *entry) handler() http.Handler {
	h := http.HandlerFunc(e.serve)
	if !e.squeeze {
		return h
	}
	return e.mux.compress(h)
}

func (e *entry) serve(w http.ResponseWriter, r *http.Request) {
	x := exchangeOf(r.Context())
	x.route = e
	h := w.Header()
	for i := range e.headers {
		h[e.headers[i].name] = e.headers[i].value
	}
	if e.squeeze {
		w = &inner{ResponseWriter: w, x: x}
	}
	if ctx, cancel := e.limitTime(r.Context()); cancel != nil {
		defer cancel()
		r = r.WithContext(ctx)
	}
	defer e.recover(x, w, r)
	if err := e.answer(x, w, r); err != nil {
		e.mux.fail(x, w, r, err)
	}
}

// limitTime ends a handler's context in time. Live streams end with the Mux instead, and ingest, which does one bounded
// thing, is spared the timer.
func (e *entry) limitTime(ctx context.Context) (context.Context, context.CancelFunc) {
	switch {
	case e.Rate == RateLive:
		ctx, cancel := context.WithCancel(ctx)
		stop := context.AfterFunc(e.mux.streams, cancel)
		return ctx, func() { stop(); cancel() }
	case e.Rate == RateIngest, e.Timeout < 0:
		return ctx, nil
	}
	return context.WithTimeout(ctx, e.Timeout)
}

// answer is the order of the gates in front of a handler.
func (e *entry) answer(x *exchange, w http.ResponseWriter, r *http.Request) error {
	if e.browser {
		if err := e.mux.crossSite.Check(r); err != nil {
			return kernel.Wrap(err, kernel.Forbidden, "This form was sent from another site. Open the page here and try again.")
		}
	}
	if e.Access != APIKey && e.Access != Person { // a key has its own limit, see authBearer
		if err := e.mux.cfg.Limiter.TakeAddr(e.Rate, x.client); err != nil {
			return err
		}
	}
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = http.MaxBytesReader(w, r.Body, e.MaxBody)
	}
	done, err := e.authorize(x, w, r)
	if done || err != nil {
		return err
	}
	if e.browser && !x.actor.Anonymous() && w.Header().Get("Cache-Control") == "" {
		w.Header().Set("Cache-Control", "no-store") // what a person sees stays out of shared disks
	}
	return e.Handler(w, r)
}

// recover turns a panic into a 500 with a request id. The process lives on; an answer that was begun is cut off, so that
// the client does not take the half for the whole.
func (e *entry) recover(x *exchange, w http.ResponseWriter, r *http.Request) {
	p := recover()
	if p == nil {
		return
	}
	if p == http.ErrAbortHandler {
		panic(p)
	}
	e.mux.logPanic(x, p)
	if x.err = errPanic; x.begun {
		panic(http.ErrAbortHandler)
	}
	e.mux.fail(x, w, r, errPanic)
}

// finish runs when a request has been answered: it counts, records and audits.
func (m *Mux) finish(x *exchange, r *http.Request) {
	if x.status == 0 {
		x.status = x.unwritten()
	}
	took := m.cfg.Clock().Sub(x.start)
	x.route.metrics.observe(x.status, took)
	if m.cfg.AccessLog != nil {
		m.cfg.AccessLog.Write(x.logEntry(r, took, m.cfg.SecretPrefixes))
	}
	if x.route.Audit != "" && m.cfg.Audit != nil {
		m.cfg.Audit(r, x.route.Route, x.outcome())
	}
}

// unwritten is the status of an answer of which nothing was written.
func (x *exchange) unwritten() int {
	switch {
	case errors.Is(x.Context.Err(), context.Canceled):
		return statusClientLeft
	case x.err != nil:
		return http.StatusInternalServerError
	}
	return http.StatusOK // what net/http sends then
}

func (x *exchange) outcome() Outcome {
	o := Outcome{Status: x.status, At: x.start, Actor: x.actor, Recorded: x.recorded.Load()}
	if x.err != nil {
		o.Code = x.err.Code
	}
	return o
}
