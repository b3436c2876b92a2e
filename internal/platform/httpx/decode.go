package httpx

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/kept-dev/kept/internal/kernel"
)

// ReadJSON reads a JSON body into v, a pointer to a struct. The body is limited by Route.MaxBody. A field that v does
// not have, or anything behind the value, is Malformed: a misspelt field must not be ignored silently.
func ReadJSON(r *http.Request, v any) error {
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		return kernel.Errorf(kernel.Malformed, "Send JSON, with Content-Type: application/json.")
	}
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return jsonError(err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return kernel.Errorf(kernel.Malformed, "There is something behind the JSON value.")
	}
	return nil
}

// jsonError says what is wrong with the text in words that quote nothing but names of fields.
func jsonError(err error) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	var large *http.MaxBytesError
	name, unknown := strings.CutPrefix(err.Error(), "json: unknown field ")
	switch {
	case errors.As(err, &large):
		return err // the Mux knows this one
	case errors.As(err, &syntax):
		return &kernel.Error{Code: kernel.Malformed, Safe: "The body is not JSON: " + syntax.Error() + ".", Cause: err}
	case errors.As(err, &kind):
		return &kernel.Error{Code: kernel.Malformed, Safe: "The field " + kind.Field + " must be a " + kind.Type.String() + ", not a " + kind.Value + ".", Cause: err}
	case unknown:
		return kernel.Errorf(kernel.Malformed, "There is no field %s.", strings.Trim(clip(name, 80), `"`))
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return kernel.Wrap(err, kernel.Malformed, "The JSON ends too early.")
	}
	return kernel.Wrap(err, kernel.Malformed, "The body could not be read.")
}

// ReadForm reads a form's fields (not those of the query), of application/x-www-form-urlencoded. The body is limited by
// Route.MaxBody.
func ReadForm(r *http.Request) (url.Values, error) {
	if err := r.ParseForm(); err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			return nil, err
		}
		return nil, kernel.Wrap(err, kernel.Malformed, "The form could not be read.")
	}
	return r.PostForm, nil
}

// ReadTime reads a time of a page's address, as a form's date and time fields send it (UTC); empty is the zero time.
func ReadTime(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{"2006-01-02T15:04", "2006-01-02T15:04:05", time.DateOnly, time.RFC3339Nano} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, kernel.Errorf(kernel.Malformed, "A time in the address cannot be read. Write it like 2026-01-31T15:04.")
}
