package httpx

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx/respond"
)

// statusClientLeft is what the access log has for a client that left before the answer; nobody is sent it.
const statusClientLeft = 499

var (
	errPanic  = kernel.Errorf(kernel.Internal, "Something went wrong on our side.")
	errMethod = kernel.Errorf(kernel.Malformed, "This address does not take that method.")
)

// fail answers an error that a handler returned, or a gate before it.
func (m *Mux) fail(x *exchange, w http.ResponseWriter, r *http.Request, err error) {
	if clientLeft(x, err) {
		x.err = kernel.Wrap(err, kernel.Unavailable, "")
		if x.status == 0 {
			x.status = statusClientLeft
		}
		return
	}
	e, status := statusOf(err)
	m.logFailure(x, e, status)
	if x.err = e; x.begun {
		return
	}
	if e.Code == kernel.TooLarge {
		w.Header().Set("Connection", "close") // the rest of the body is not worth reading
	}
	switch {
	case x.route.Fail != nil:
		respond.SetRetryAfter(w.Header(), e)
		x.route.Fail(w, status, e, x.id)
	case wantsJSON(r):
		_ = respond.Problem(w, status, e, x.id) // ProblemDetails always encodes
	default:
		respond.SetRetryAfter(w.Header(), e)
		m.cfg.ErrorPage(w, r, status, e, x.id)
	}
}

// statusOf finds the Error in err and its status. Errors of the standard library that have a code are given it here.
func statusOf(err error) (*kernel.Error, int) {
	var large *http.MaxBytesError
	if errors.As(err, &large) && kernel.CodeOf(err) != kernel.TooLarge {
		err = kernel.Wrap(err, kernel.TooLarge, fmt.Sprintf("The request is too large: at most %s are accepted here.", size(large.Limit)))
	}
	if errors.Is(err, errMethod) {
		return errMethod, http.StatusMethodNotAllowed
	}
	e := kernel.AsError(err)
	return e, respond.Status(e.Code)
}

func size(n int64) string {
	if n >= 1<<20 && n%(1<<20) == 0 {
		return fmt.Sprintf("%d MiB", n>>20)
	}
	if n >= 1<<10 && n%(1<<10) == 0 {
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d bytes", n)
}

// clientLeft tells whether err is only the echo of a client that is gone.
func clientLeft(x *exchange, err error) bool {
	if !errors.Is(x.Context.Err(), context.Canceled) {
		return false
	}
	code := kernel.CodeOf(err)
	return errors.Is(err, context.Canceled) || code == kernel.Internal || code == kernel.Unavailable
}

// logFailure logs what is our fault, once, with its cause. What a client did wrong is in the access log.
func (m *Mux) logFailure(x *exchange, e *kernel.Error, status int) {
	if status < http.StatusInternalServerError && !x.begun || e == errPanic {
		return
	}
	message := "request failed"
	if x.begun {
		message = "request failed after its answer was begun"
	}
	m.cfg.Logger.LogAttrs(x, slog.LevelError, message, slog.String("request_id", x.id),
		slog.String("route", x.route.pattern()), slog.String("code", string(e.Code)), slog.Any("cause", e.Cause))
}

func (m *Mux) logPanic(x *exchange, p any) {
	m.cfg.Logger.LogAttrs(x, slog.LevelError, "request panicked", slog.String("request_id", x.id),
		slog.String("route", x.route.pattern()), slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
}

func (e *entry) pattern() string {
	if e.Path == "" {
		return "(none)"
	}
	return e.Method + " " + e.Path
}

// wantsJSON tells whether the client is a program: those of an API are, ours or that of Prometheus, elsewhere what it
// accepts decides.
func wantsJSON(r *http.Request) bool {
	if strings.HasPrefix(r.URL.Path, "/api/") || strings.HasPrefix(r.URL.Path, "/prometheus/api/") {
		return true
	}
	accept := r.Header.Get("Accept")
	return strings.Contains(accept, "json") && !strings.Contains(accept, "text/html")
}

func plainError(w http.ResponseWriter, _ *http.Request, status int, e *kernel.Error, requestID string) {
	_ = respond.Text(w, status, fmt.Sprintf("%s\n\nRequest %s\n", e.Safe, requestID))
}
