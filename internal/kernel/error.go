package kernel

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Code classifies an error. Package httpx maps each code to one HTTP status.
type Code string

// The codes, from the one table in which they meet HTTP (see httpx).
const (
	Malformed       Code = "malformed"        // the request could not be read
	Unauthenticated Code = "unauthenticated"  // nobody is signed in, or the key is wrong
	PaymentRequired Code = "payment_required" // the plan is the cause
	Forbidden       Code = "forbidden"        // known, but not allowed
	ProofNeeded     Code = "proof_needed"     // allowed, once the person has shown again who he is
	NotFound        Code = "not_found"        // also what other workspaces' things look like
	Conflict        Code = "conflict"         // it changed meanwhile, or exists already
	TooLarge        Code = "too_large"        // over a stated limit
	Invalid         Code = "invalid"          // readable, but wrong; see Error.Fields
	Limited         Code = "limited"          // too many requests; see Error.RetryAfter
	Internal        Code = "internal"         // our fault
	Unavailable     Code = "unavailable"      // try again; see Error.RetryAfter
)

// Error is a code, a sentence that is safe to show, and a cause that only the log sees.
type Error struct {
	Code       Code
	Safe       string            // for people; says what to do
	Fields     map[string]string // for Invalid: form field to note
	RetryAfter time.Duration     // for Limited and Unavailable; 0 is unknown
	Cause      error
}

func (e *Error) Error() string {
	if e.Cause != nil {
		return fmt.Sprintf("%s: %s: %v", e.Code, e.Safe, e.Cause)
	}
	return fmt.Sprintf("%s: %s", e.Code, e.Safe)
}

func (e *Error) Unwrap() error { return e.Cause }

// Errorf makes an error whose formatted text is shown to people: never format a secret or content into it.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Safe: fmt.Sprintf(format, args...)}
}

// Wrap gives a cause a code and a safe sentence.
func Wrap(cause error, code Code, safe string) *Error {
	return &Error{Code: code, Safe: safe, Cause: cause}
}

// InvalidField is the error of a form in which one field is wrong.
func InvalidField(field, note string) *Error {
	return &Error{Code: Invalid, Safe: note, Fields: map[string]string{field: note}}
}

// AsError finds the Error in err's chain. A plain error is Internal and says nothing; a cancelled one is Unavailable.
func AsError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return Wrap(err, Unavailable, "The request was cut off before it was answered. Try again.")
	}
	return Wrap(err, Internal, "Something went wrong on our side.")
}

// CodeOf is the code of err; nil has none.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	return AsError(err).Code
}
