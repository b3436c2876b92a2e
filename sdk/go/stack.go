package kept

import (
	"errors"
	"fmt"
	"path"
	"reflect"
	"runtime"
	"strings"
)

// WithStack returns err with the stack of the caller, which Kept shows beside
// the error. It returns nil for nil, and err itself if it has a stack already.
func WithStack(err error) error {
	if err == nil || stackOf(err) != "" {
		return err
	}
	return &stackError{err: err, stack: frames(2)}
}

type stackError struct {
	err   error
	stack string
}

func (e *stackError) Error() string { return e.err.Error() }
func (e *stackError) Unwrap() error { return e.err }

// ErrorStack describes an error for Data.Stack: each error of its chain with
// its type, and then the innermost stack that one of them carries, by
// [WithStack] or by a StackTrace method as package github.com/pkg/errors has it.
func ErrorStack(err error) string {
	if err == nil {
		return ""
	}
	var b strings.Builder
	describe(&b, err, 0)
	if s := stackOf(err); s != "" {
		b.WriteString("\n")
		b.WriteString(s)
	}
	return strings.TrimRight(b.String(), "\n")
}

const maxChain = 32 // an error may unwrap to itself

func describe(b *strings.Builder, err error, depth int) {
	if err == nil || depth == maxChain || b.Len() > 1<<16 {
		return
	}
	if _, ours := err.(*stackError); !ours {
		fmt.Fprintf(b, "%s%T: %s\n", strings.Repeat("  ", depth), err, errorText(err))
		depth++
	}
	switch u := err.(type) {
	case interface{ Unwrap() error }:
		describe(b, u.Unwrap(), depth)
	case interface{ Unwrap() []error }:
		for _, e := range u.Unwrap() {
			describe(b, e, depth)
		}
	}
}

// errorText is err.Error() that survives a method on a nil pointer.
func errorText(err error) string { return fmt.Sprint(err) }

// stackOf returns the innermost stack in the chain, or "".
func stackOf(err error) (stack string) {
	defer func() { _ = recover() }() // somebody else's methods
	for i := 0; err != nil && i < maxChain; i++ {
		if s, ok := err.(*stackError); ok {
			stack = s.stack
		} else if m := reflect.ValueOf(err).MethodByName("StackTrace"); m.IsValid() && m.Type().NumIn() == 0 && m.Type().NumOut() == 1 {
			stack = strings.TrimSpace(fmt.Sprintf("%+v", m.Call(nil)[0]))
		}
		err = errors.Unwrap(err)
	}
	return stack
}

// PanicStack returns the stack of the panic that the calling deferred function
// is handling, from the place of the panic outwards. It works before and after
// recover.
func PanicStack() string { return frames(2) }

// frames formats the stack, skipping the given number of callers. When the
// stack goes through a panic, it begins at the function that panicked. Files
// are named by package, so that neither build machines nor home directories
// show, and stacks of different machines group.
func frames(skip int) string {
	pcs := make([]uintptr, 128)
	pcs = pcs[:runtime.Callers(skip+1, pcs)]
	var lines []string
	inPanic := false // in the runtime's frames between the panic and the code that caused it
	for it := runtime.CallersFrames(pcs); ; {
		f, more := it.Next()
		switch own := strings.HasPrefix(f.Function, "runtime."); {
		case f.Function == "runtime.gopanic":
			lines, inPanic = lines[:0], true
		case f.Function != "" && f.Function != "runtime.goexit" && !(inPanic && own):
			inPanic = false
			lines = append(lines, fmt.Sprintf("%s\n\t%s:%d", f.Function, file(f), f.Line))
		}
		if !more {
			return strings.Join(lines, "\n")
		}
	}
}

// file is the frame's file with its package's import path.
func file(f runtime.Frame) string {
	pkg := f.Function
	slash := strings.LastIndexByte(pkg, '/') + 1
	if dot := strings.IndexByte(pkg[slash:], '.'); dot >= 0 {
		pkg = pkg[:slash+dot]
	}
	return pkg + "/" + path.Base(strings.ReplaceAll(f.File, `\`, "/"))
}
