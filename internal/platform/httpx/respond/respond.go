// Package respond writes answers: JSON, problem+json, pages and redirects, and holds the one table in which error codes
// meet HTTP statuses. An answer is rendered to a buffer first, so that a failure to render is a clean error.
package respond

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/kept-dev/kept/internal/kernel"
)

var statuses = map[kernel.Code]int{
	kernel.Malformed:       http.StatusBadRequest,
	kernel.Unauthenticated: http.StatusUnauthorized,
	kernel.PaymentRequired: http.StatusPaymentRequired,
	kernel.Forbidden:       http.StatusForbidden,
	kernel.ProofNeeded:     http.StatusForbidden,
	kernel.NotFound:        http.StatusNotFound,
	kernel.Conflict:        http.StatusConflict,
	kernel.TooLarge:        http.StatusRequestEntityTooLarge,
	kernel.Invalid:         http.StatusUnprocessableEntity,
	kernel.Limited:         http.StatusTooManyRequests,
	kernel.Internal:        http.StatusInternalServerError,
	kernel.Unavailable:     http.StatusServiceUnavailable,
}

// Status is the HTTP status of a code; an unknown code is 500.
func Status(code kernel.Code) int {
	if s, ok := statuses[code]; ok {
		return s
	}
	return http.StatusInternalServerError
}

const (
	keepBuffer        = 1 << 20 // larger buffers are left to the collector
	unavailableRetry  = 5 * time.Second
	contentTypeHeader = "Content-Type"
)

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

func withBuffer(f func(b *bytes.Buffer) error) error {
	b := buffers.Get().(*bytes.Buffer)
	defer func() {
		if b.Cap() <= keepBuffer {
			b.Reset()
			buffers.Put(b)
		}
	}()
	return f(b)
}

// JSON answers with v. Nothing is written when v cannot be encoded.
func JSON(w http.ResponseWriter, status int, v any) error {
	return jsonAs(w, status, "application/json; charset=utf-8", v)
}

func jsonAs(w http.ResponseWriter, status int, contentType string, v any) error {
	return withBuffer(func(b *bytes.Buffer) error {
		enc := json.NewEncoder(b)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(v); err != nil {
			return fmt.Errorf("respond: encode %T: %w", v, err)
		}
		return send(w, status, contentType, b)
	})
}

// HTML answers with the page that render writes. Nothing is written when render fails.
func HTML(w http.ResponseWriter, status int, render func(io.Writer) error) error {
	return withBuffer(func(b *bytes.Buffer) error {
		if err := render(b); err != nil {
			return fmt.Errorf("respond: render: %w", err)
		}
		return send(w, status, "text/html; charset=utf-8", b)
	})
}

// Text answers with plain text.
func Text(w http.ResponseWriter, status int, text string) error {
	return send(w, status, "text/plain; charset=utf-8", bytes.NewBufferString(text))
}

// send writes the head and the body. A client that has left is no error of ours, so a failed write is not reported.
func send(w http.ResponseWriter, status int, contentType string, b *bytes.Buffer) error {
	h := w.Header()
	h.Set(contentTypeHeader, contentType)
	if h.Get("Cache-Control") == "" {
		h.Set("Cache-Control", "no-store")
	}
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes())
	return nil
}

// NoContent answers 204.
func NoContent(w http.ResponseWriter) error {
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// SeeOther sends the browser to a path of this server after a form was handled.
func SeeOther(w http.ResponseWriter, r *http.Request, path string) error {
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, path, http.StatusSeeOther)
	return nil
}

// FormError answers an Invalid error with 422 and the form again, which render writes with the values kept and a note
// per field. Any other error passes through for the Mux to answer.
func FormError(w http.ResponseWriter, err error, render func(w io.Writer, e *kernel.Error) error) error {
	var e *kernel.Error
	if !errors.As(err, &e) || e.Code != kernel.Invalid {
		return err
	}
	return HTML(w, http.StatusUnprocessableEntity, func(out io.Writer) error { return render(out, e) })
}

// ProblemDetails is the body of an error answer in the API (RFC 9457).
type ProblemDetails struct {
	Type      string            `json:"type"`             // always about:blank; Code is what a program compares
	Title     string            `json:"title"`            // the status in words
	Status    int               `json:"status"`           // the HTTP status
	Detail    string            `json:"detail,omitempty"` // one sentence for people
	Code      kernel.Code       `json:"code"`             // stable name of the error
	Fields    map[string]string `json:"fields,omitempty"` // of an invalid request: field to note
	RequestID string            `json:"request_id,omitempty"`
}

// Problem answers with an error as application/problem+json.
func Problem(w http.ResponseWriter, status int, e *kernel.Error, requestID string) error {
	SetRetryAfter(w.Header(), e)
	return jsonAs(w, status, "application/problem+json", ProblemDetails{
		Type: "about:blank", Title: http.StatusText(status), Status: status,
		Detail: e.Safe, Code: e.Code, Fields: e.Fields, RequestID: requestID,
	})
}

// SetRetryAfter sets Retry-After for the codes that have one: whole seconds, at least 1, since some clients read a
// fraction or a date as zero and come back at once.
func SetRetryAfter(h http.Header, e *kernel.Error) {
	wait := e.RetryAfter
	switch {
	case e.Code != kernel.Limited && e.Code != kernel.Unavailable:
		return
	case wait <= 0 && e.Code == kernel.Unavailable:
		wait = unavailableRetry
	}
	seconds := max(1, int64((wait+time.Second-1)/time.Second))
	h.Set("Retry-After", strconv.FormatInt(seconds, 10))
}
