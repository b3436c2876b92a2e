package query

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/util/annotations"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
)

// base is where the HTTP API of Prometheus is.
const base = "/prometheus/api/v1"

// reads says of the API's POST routes why they leave no audit event.
const reads = "it reads; clients post questions that are too long for an address"

// Routes implements the module's part of the HTTP API of Prometheus. Rules and alerts are core/alert's.
func (m *Module) Routes() []httpx.Route {
	var out []httpx.Route
	both := []string{"GET", "POST"}
	for _, e := range []struct {
		path    string
		methods []string
		handler apiHandler
	}{
		{"/query", both, m.serveQuery},
		{"/query_range", both, m.serveQueryRange},
		{"/query_exemplars", both, m.serveExemplars},
		{"/format_query", both, m.serveFormat},
		{"/parse_query", both, m.serveParse},
		{"/labels", both, m.serveLabels},
		{"/label/{name}/values", both[:1], m.serveLabelValues},
		{"/series", both, m.serveSeries},
		{"/metadata", both[:1], m.serveMetadata},
		{"/status/buildinfo", both[:1], m.serveBuildInfo},
	} {
		for _, method := range e.methods {
			out = append(out, apiRoute(method, e.path, e.handler.serve))
		}
	}
	return append(out, apiRoute("POST", "/read", m.serveRead))
}

func apiRoute(method, path string, h httpx.Handler) httpx.Route {
	r := httpx.Route{Method: method, Path: base + path, Handler: h, Access: httpx.APIKey, Scope: "read", Needs: httpx.MayView,
		Rate: httpx.RatePage, Timeout: maxTimeout + 10*time.Second, Fail: Fail}
	if method != "GET" {
		r.NoAudit = reads
	}
	return r
}

// apiHandler answers one question of the API. A nil data is no content.
type apiHandler func(ctx context.Context, ws kernel.WorkspaceID, r *http.Request) (apiAnswer, error)

// apiAnswer is what an answer has beside its status.
type apiAnswer struct {
	data     any
	warnings annotations.Annotations
	query    string // for the positions in warnings
}

func (h apiHandler) serve(w http.ResponseWriter, r *http.Request) error {
	if err := parseForm(r); err != nil {
		return err
	}
	a, err := h(r.Context(), httpx.ActorOf(r.Context()).WorkspaceID, r)
	if err != nil {
		return refuse(w, err)
	}
	if a.data == nil {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	w.Header().Set("Content-Type", "application/json")
	b := bufio.NewWriterSize(w, 32<<10)
	writeAnswer(b, a)
	_ = b.Flush() // a client that left
	return nil
}

// parseForm reads what a GET has in its address and a POST in its body, too.
func parseForm(r *http.Request) error {
	err := r.ParseForm()
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return err
	case err != nil:
		return kernel.Wrap(err, kernel.Malformed, "error parsing form values: "+err.Error())
	}
	return nil
}

// The kinds of errors in the API.
const (
	kindBadData  = "bad_data"
	kindExec     = "execution"
	kindTimeout  = "timeout"
	kindCanceled = "canceled"
	kindInternal = "internal"
	kindUnready  = "unavailable"
)

const statusClientClosed = 499

// refuse answers an error of a question in the words and with the status that Prometheus has for it. What is our fault
// goes on to the log.
func refuse(w http.ResponseWriter, err error) error {
	var param *badParameter
	var timeout promql.ErrQueryTimeout
	var canceled promql.ErrQueryCanceled
	var broken promql.ErrStorage
	var known *kernel.Error
	switch {
	case errors.As(err, &param):
		writeError(w, http.StatusBadRequest, kindBadData, param.Error())
	case errors.As(err, &timeout):
		writeError(w, http.StatusServiceUnavailable, kindTimeout, timeout.Error())
	case errors.As(err, &canceled), errors.Is(err, context.Canceled):
		writeError(w, statusClientClosed, kindCanceled, "query was canceled")
	case errors.Is(err, context.DeadlineExceeded):
		writeError(w, http.StatusServiceUnavailable, kindTimeout, "query timed out in query queue")
	case errors.As(err, &broken):
		return kernel.Wrap(err, kernel.Internal, "The series could not be read.")
	case errors.As(err, &known) && known.Cause != nil && (known.Code == kernel.Invalid || known.Code == kernel.TooLarge):
		writeError(w, http.StatusUnprocessableEntity, kindExec, known.Cause.Error())
	default:
		return err
	}
	return nil
}

// Fail answers an error in the shape of Prometheus, for routes of its API; see httpx.Route.
func Fail(w http.ResponseWriter, status int, e *kernel.Error, _ string) {
	kind := kindInternal
	switch {
	case status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests:
		kind = kindUnready
	case status == http.StatusUnprocessableEntity:
		kind = kindExec
	case status < http.StatusInternalServerError:
		kind = kindBadData
	}
	writeError(w, status, kind, e.Safe)
}

func writeError(w http.ResponseWriter, status int, kind, text string) {
	body, err := json.Marshal(struct {
		Status    string `json:"status"`
		ErrorType string `json:"errorType"`
		Error     string `json:"error"`
	}{"error", kind, text})
	if err != nil {
		status, body = http.StatusInternalServerError, nil // strings always encode
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that left
}
