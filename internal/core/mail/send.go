package mail

import (
	"context"
	"errors"
	"fmt"
)

// Sender hands a message to whoever delivers it, and returns how that one calls it in later reports; empty where there
// are none. An error that is no *Fault counts as temporary.
type Sender interface {
	Send(ctx context.Context, msg Message) (id string, err error)
}

// Fault is why a message was not taken.
type Fault struct {
	Class     string // short and free of addresses, for the row and the log: "refused 550"
	Permanent bool   // another try makes no sense
	Bounce    bool   // nobody has the address
	Cause     error
}

func (f *Fault) Error() string { return fmt.Sprintf("mail: %s: %v", f.Class, f.Cause) }

func (f *Fault) Unwrap() error { return f.Cause }

func faultOf(err error) *Fault {
	var f *Fault
	if errors.As(err, &f) {
		return f
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return &Fault{Class: "timed out", Cause: err}
	}
	return &Fault{Class: "not delivered", Cause: err}
}
